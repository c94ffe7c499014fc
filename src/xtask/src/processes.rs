//! What the kernel says of a process: CPU time, memory, parent.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// Ticks a second of the times in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that is shipped.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time since it started, in seconds, of all its threads.
    pub(crate) fn cpu_seconds(self) -> anyhow::Result<f64> {
        let stat = self.read("stat")?;
        let ticks = |n| -> anyhow::Result<f64> { Ok(field(&stat, n)?.parse()?) };
        Ok((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
    }

    /// Proportional share of memory in KiB.
    pub(crate) fn pss_kib(self) -> anyhow::Result<u64> {
        let rollup = self.read("smaps_rollup")?;
        let line = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .context("no Pss in smaps_rollup")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Its command line, arguments joined by spaces.
    pub(crate) fn command_line(self) -> anyhow::Result<String> {
        Ok(self.read("cmdline")?.replace('\0', " "))
    }

    /// Processes that it started and that live.
    pub(crate) fn children(self) -> anyhow::Result<Vec<Self>> {
        let mut children = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let process = Self(number);
            // it may have ended between the two looks
            let Ok(stat) = process.read("stat") else {
                continue;
            };
            if field(&stat, 4)?.parse() == Ok(self.0) {
                children.push(process);
            }
        }
        Ok(children)
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.0));
        let bytes =
            std::fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A field of `stat`, counted from 1 as in proc(5). The name (field 2) may hold spaces and parentheses.
fn field(stat: &str, n: usize) -> anyhow::Result<&str> {
    let Some((_, rest)) = stat.rsplit_once(')') else {
        bail!("a stat without a name: {stat}");
    };
    rest.split_ascii_whitespace()
        .nth(n.saturating_sub(3))
        .with_context(|| format!("a stat without a field {n}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "12 (a) b (c)) S 7 12 12 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1";
        assert_eq!(field(stat, 3).unwrap(), "S");
        assert_eq!(field(stat, 4).unwrap(), "7");
        assert_eq!(field(stat, 14).unwrap(), "250");
        assert_eq!(field(stat, 15).unwrap(), "50");
    }

    #[test]
    fn this_process_has_a_footprint() {
        let this = Process(std::process::id());
        assert!(this.cpu_seconds().unwrap() >= 0.0);
        assert!(this.pss_kib().unwrap() > 0);
        assert!(this.command_line().unwrap().contains("xtask"));
    }
}
