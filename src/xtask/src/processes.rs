//! What the kernel says of a process: CPU time, memory, parent.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// Ticks a second of the times in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that is shipped.
const TICKS_PER_SECOND: f64 = 100.0;

/// How often threads left the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// To wait: each is followed by a wake-up.
    pub(crate) voluntary: u64,
    /// For somebody else.
    pub(crate) involuntary: u64,
}

/// A process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time since it started, in seconds, of all its threads. To the nanosecond, but where threads
    /// have ended: of those the kernel keeps ticks alone.
    pub(crate) fn cpu_seconds(self) -> anyhow::Result<f64> {
        let stat = self.read("stat")?;
        let ticks = |n| -> anyhow::Result<f64> { Ok(field(&stat, n)?.parse()?) };
        let in_all = (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND;
        let mut of_threads = 0.0;
        for thread in self.each_thread("schedstat")? {
            let nanoseconds: f64 = thread
                .split_ascii_whitespace()
                .next()
                .context("an empty schedstat")?
                .parse()?;
            of_threads += nanoseconds / 1e9;
        }
        let have_ended = in_all > of_threads + 3.0 / TICKS_PER_SECOND;
        Ok(if have_ended { in_all } else { of_threads })
    }

    /// How often its threads, those that live, gave up the processor or lost it.
    pub(crate) fn switches(self) -> anyhow::Result<Switches> {
        let mut switches = Switches::default();
        for thread in self.each_thread("status")? {
            let count = |name: &str| -> anyhow::Result<u64> {
                let line = thread.lines().find_map(|line| line.strip_prefix(name));
                Ok(line.context("a status without switches")?.trim().parse()?)
            };
            switches.voluntary += count("voluntary_ctxt_switches:")?;
            switches.involuntary += count("nonvoluntary_ctxt_switches:")?;
        }
        Ok(switches)
    }

    /// How many threads it has.
    pub(crate) fn threads(self) -> anyhow::Result<u64> {
        Ok(field(&self.read("stat")?, 20)?.parse()?)
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

    /// A file of each thread that lives.
    fn each_thread(self, file: &str) -> anyhow::Result<Vec<String>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.0))? {
            // it may have ended between the two looks
            all.extend(std::fs::read_to_string(entry?.path().join(file)));
        }
        Ok(all)
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
        assert!(this.threads().unwrap() > 0);
        assert!(this.switches().unwrap().voluntary > 0);
        assert!(this.command_line().unwrap().contains("xtask"));
    }
}
