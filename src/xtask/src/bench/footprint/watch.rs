//! What the processes of the table have used.

use std::time::Duration;

use crate::processes::{Process, Switches};

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Probe, workers, node and face: what a node consists of.
    Node,
    /// Ours, but no part of a node.
    Beside,
    Exporter,
    Netdata,
}

/// What one collects.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Series {
    pub(super) count: u64,
    pub(super) samples_a_second: f64,
}

impl Series {
    /// Of counts, each with the seconds between its samples.
    pub(super) fn sum(parts: impl Iterator<Item = (u32, f64)>) -> Self {
        let mut sum = Self::default();
        for (count, seconds) in parts {
            sum.count += u64::from(count);
            if seconds > 0.0 {
                sum.samples_a_second += f64::from(count) / seconds;
            }
        }
        sum
    }
}

/// One process of the table.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) group: Group,
    pub(super) process: Process,
    before: Used,
    after: Used,
    /// Proportional share of memory in KiB, and when.
    memory: Vec<(Duration, u64)>,
}

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    cpu_seconds: f64,
    switches: Switches,
    threads: u64,
}

impl Watched {
    pub(super) fn new(name: &str, group: Group, process: Process) -> Self {
        Self {
            name: name.to_owned(),
            group,
            process,
            before: Used::default(),
            after: Used::default(),
            memory: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        self.before = self.used()?;
        self.memory.clear();
        Ok(())
    }

    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        self.after = self.used()?;
        Ok(())
    }

    /// Looks at its memory.
    pub(super) fn look(&mut self, at: Duration) -> anyhow::Result<()> {
        self.memory.push((at, self.process.pss_kib()?));
        Ok(())
    }

    pub(super) fn cpu_seconds(&self) -> f64 {
        self.after.cpu_seconds - self.before.cpu_seconds
    }

    pub(super) fn switches(&self) -> Switches {
        let (before, after) = (self.before.switches, self.after.switches);
        Switches {
            voluntary: after.voluntary.saturating_sub(before.voluntary),
            involuntary: after.involuntary.saturating_sub(before.involuntary),
        }
    }

    pub(super) const fn threads(&self) -> u64 {
        self.after.threads
    }

    pub(super) fn memory(&self) -> &[(Duration, u64)] {
        &self.memory
    }

    fn used(&self) -> anyhow::Result<Used> {
        Ok(Used {
            cpu_seconds: self.process.cpu_seconds()?,
            switches: self.process.switches()?,
            threads: self.process.threads()?,
        })
    }
}

/// The memory of several processes at the same times.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Vec<(f64, f64)>);

impl Memory {
    /// The sum of the processes at each look.
    pub(super) fn sum<'a>(watched: impl Iterator<Item = &'a Watched>) -> Self {
        let mut sum: Vec<(f64, f64)> = Vec::new();
        for one in watched {
            for (at, (when, kib)) in one.memory().iter().enumerate() {
                let kib = f64::from(u32::try_from(*kib).unwrap_or(u32::MAX));
                match sum.get_mut(at) {
                    Some((_, so_far)) => *so_far += kib,
                    None => sum.push((when.as_secs_f64(), kib)),
                }
            }
        }
        Self(sum)
    }

    /// When it was looked at, in seconds, and the KiB that there were.
    pub(super) fn looks(&self) -> &[(f64, f64)] {
        &self.0
    }

    pub(super) fn first_mib(&self) -> f64 {
        self.0.first().map_or(0.0, |(_, kib)| kib / 1024.0)
    }

    pub(super) fn last_mib(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, kib)| kib / 1024.0)
    }

    pub(super) fn most_mib(&self) -> f64 {
        self.0.iter().map(|(_, kib)| *kib).fold(0.0, f64::max) / 1024.0
    }

    /// How fast it grows, by the straight line that fits best, in KiB a minute.
    pub(super) fn slope_kib_a_minute(&self) -> f64 {
        let count = f64::from(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        if count < 2.0 {
            return 0.0;
        }
        let mean = |part: fn(&(f64, f64)) -> f64| self.0.iter().map(part).sum::<f64>() / count;
        let (time, kib) = (mean(|point| point.0), mean(|point| point.1));
        let (mut along, mut across) = (0.0, 0.0);
        for (at, have) in &self.0 {
            along += (at - time) * (at - time);
            across += (at - time) * (have - kib);
        }
        if along > 0.0 {
            across / along * 60.0
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let line = |kib: &[f64]| {
            let points = kib.iter().enumerate();
            Memory(
                points
                    .map(|(n, kib)| (f64::from(u32::try_from(n).unwrap()) * 30.0, *kib))
                    .collect(),
            )
        };
        assert!((line(&[100.0, 110.0, 120.0]).slope_kib_a_minute() - 20.0).abs() < 1e-9);
        assert!(line(&[100.0, 100.0]).slope_kib_a_minute().abs() < 1e-9);
        assert!(line(&[]).slope_kib_a_minute().abs() < 1e-9);
        assert!((line(&[1024.0, 3072.0, 2048.0]).most_mib() - 3.0).abs() < 1e-9);
    }
}
