//! What a process costs while it works, and what its files take.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::processes::Process;

/// How often the share of memory is looked at: looking costs as well.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A process is quiet when it used less than this in each of [`QUIET_SECONDS`] seconds: what idle servers use.
const QUIET_CPU: f64 = 0.03;

/// Long enough that a background merge would have begun.
const QUIET_SECONDS: u32 = 4;

/// After this long it will not become quiet.
const QUIET_AT_LAST: Duration = Duration::from_secs(180);

/// What one stretch of work cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// User and system time of all threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    /// The most memory that was resident at once since the process began.
    pub(crate) peak_kib: u64,
    /// The most that its proportional share was, of what was seen.
    pub(crate) peak_share_kib: u64,
}

impl Cost {
    pub(crate) fn json(&self) -> Value {
        json!({
            "cpu_s": self.cpu_seconds,
            "wall_s": self.wall_seconds,
            "vm_hwm_kib": self.peak_kib,
            "pss_kib": self.peak_share_kib,
        })
    }
}

/// Looks at a process from a beginning on.
#[derive(Debug)]
pub(crate) struct Watch {
    process: Process,
    begun: Instant,
    cpu_at_begin: f64,
    looked: Instant,
    peak_share_kib: u64,
}

impl Watch {
    pub(crate) fn begin(process: Process) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            process,
            begun: now,
            cpu_at_begin: process.cpu_seconds()?,
            looked: now,
            peak_share_kib: process.pss_kib()?,
        })
    }

    /// Looks at the memory, if it has not for a while.
    pub(crate) fn look(&mut self) -> anyhow::Result<()> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            self.peak_share_kib = self.peak_share_kib.max(self.process.pss_kib()?);
        }
        Ok(())
    }

    /// Waits until the process does no more than idle.
    pub(crate) fn wait_until_quiet(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut quiet = 0;
        let mut before = self.process.cpu_seconds()?;
        while quiet < QUIET_SECONDS {
            if begun.elapsed() > QUIET_AT_LAST {
                eprintln!(
                    "it is still at work after {QUIET_AT_LAST:?}; what follows counts without that"
                );
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
            self.look()?;
            let now = self.process.cpu_seconds()?;
            quiet = if now - before <= QUIET_CPU {
                quiet + 1
            } else {
                0
            };
            before = now;
        }
        Ok(())
    }

    /// What it came to.
    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        let share = self.peak_share_kib.max(self.process.pss_kib()?);
        Ok(Cost {
            cpu_seconds: self.process.cpu_seconds()? - self.cpu_at_begin,
            wall_seconds: self.begun.elapsed().as_secs_f64(),
            peak_kib: peak_kib(self.process)?,
            peak_share_kib: share,
        })
    }
}

/// The most memory that was ever resident at once.
pub(crate) fn peak_kib(process: Process) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.context("no VmHWM in status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Their lengths.
    pub(crate) bytes: u64,
    /// What the file system gave them.
    pub(crate) allocated: u64,
    pub(crate) files: u64,
}

impl Size {
    /// Of all files below a folder whose path, from there, is wanted. Files that vanish meanwhile are not there.
    pub(crate) fn below(folder: &Path, wanted: impl Fn(&Path) -> bool) -> anyhow::Result<Self> {
        let mut size = Self::default();
        let mut folders = vec![folder.to_owned()];
        // bounds a tree that has no end
        for _ in 0..100_000 {
            let Some(next) = folders.pop() else {
                return Ok(size);
            };
            let Ok(entries) = std::fs::read_dir(&next) else {
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                let Ok(metadata) = std::fs::symlink_metadata(&path) else {
                    continue;
                };
                if metadata.is_dir() {
                    folders.push(path);
                } else if wanted(path.strip_prefix(folder)?) {
                    size.bytes += metadata.len();
                    size.allocated += metadata.blocks() * 512;
                    size.files += 1;
                }
            }
        }
        bail!("`{}` has too many folders", folder.display())
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "bytes": self.bytes, "allocated_bytes": self.allocated, "files": self.files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_summed_up_where_they_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/one"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("two"), [0; 5]).unwrap();
        let all = Size::below(folder.path(), |_| true).unwrap();
        assert_eq!((all.bytes, all.files), (15, 2));
        let some = Size::below(folder.path(), |path| path.starts_with("a")).unwrap();
        assert_eq!((some.bytes, some.files), (10, 1));
    }

    #[test]
    fn this_process_has_a_cost() {
        let mut watch = Watch::begin(Process(std::process::id())).unwrap();
        watch.look().unwrap();
        let cost = watch.cost().unwrap();
        assert!(cost.peak_kib > 0 && cost.peak_share_kib > 0 && cost.cpu_seconds >= 0.0);
    }
}
