//! What a role of Glasshouse uses of its machine, said by itself: so operators see what watching costs them.

use crate::metric::{Audience, LabelDefinition, MetricDefinition, counter, gauge};

const ROLE: &[LabelDefinition] = &[LabelDefinition {
    key: "glasshouse.role",
    help: "The role: `probe`, `probe gpu` and `probe ipmi` for the workers that the probe starts, `node`, or `serve`, which stands on its page alone.",
}];

const SOURCE: &str = "/proc/<pid>/stat";

/// Each role that can write samples reports it of its own process, as it does the other two.
pub const CPU_TIME: MetricDefinition = MetricDefinition {
    value: crate::metric::ValueType::F64,
    audience: Audience::Glasshouse,
    ..counter(
        "glasshouse.process.cpu.time",
        "s",
        "Processor time that the role's process has used since it started, user and system together.",
        "Not the time of the role over restarts: a new process counts from zero.",
        ROLE,
        SOURCE,
    )
};

/// See [`ProcessUse::resident_bytes`].
pub const MEMORY: MetricDefinition = MetricDefinition {
    audience: Audience::Glasshouse,
    ..gauge(
        "glasshouse.process.memory.usage",
        "By",
        "Memory of the role's process that is resident.",
        "Not what it costs the machine: pages of the program that all roles share are counted for each.",
        ROLE,
        SOURCE,
    )
    .whole()
};

/// See [`ProcessUse::threads`].
pub const THREADS: MetricDefinition = MetricDefinition {
    audience: Audience::Glasshouse,
    ..gauge(
        "glasshouse.process.threads",
        "{thread}",
        "Threads of the role's process.",
        "Not threads that run: nearly all sleep.",
        ROLE,
        SOURCE,
    )
    .whole()
};

/// Ticks a second in `/proc/<pid>/stat`: `USER_HZ`, 100 on every architecture that is shipped.
const TICKS_A_SECOND: f64 = 100.0;

/// Words behind the name of the process (proc_pid_stat(5)): user time, system time, threads, resident pages are its
/// fields 14, 15, 20 and 24, and the first word is field 3.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const THREAD_COUNT: usize = 17;
const RESIDENT_PAGES: usize = 21;

/// What a process has used and uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUse {
    /// Processor time since it started, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessUse {
    /// Reads the text of a `/proc/<pid>/stat`; `None` where it is none. The name in it may hold spaces and parentheses.
    #[must_use]
    pub fn parse(stat: &str, page_bytes: u64) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut words = rest.split_ascii_whitespace();
        let mut at = 0;
        let mut word = |wanted: usize| -> Option<u64> {
            let word = words.nth(wanted.checked_sub(at)?)?;
            at = wanted.checked_add(1)?;
            word.parse().ok()
        };
        let ticks = word(USER_TIME)?.checked_add(word(SYSTEM_TIME)?)?;
        Some(Self {
            threads: word(THREAD_COUNT)?,
            resident_bytes: word(RESIDENT_PAGES)?.checked_mul(page_bytes)?,
            // a hundred years of a core fit 32 bits of seconds
            cpu_seconds: f64::from(u32::try_from(ticks / 100).ok()?)
                + f64::from(u32::try_from(ticks % 100).ok()?) / TICKS_A_SECOND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "12 (a) b (c)) S 7 12 12 0 -1 4194304 100 0 0 0 250 51 0 0 20 0 9 0 1000 1048576 33 184467";
        let seen = ProcessUse::parse(stat, 4096).unwrap();
        assert!((seen.cpu_seconds - 3.01).abs() < 1e-9);
        assert_eq!((seen.threads, seen.resident_bytes), (9, 33 * 4096));
        for broken in ["", "12 (a) S 7", "12 (a S 7 12", &stat.replace("250", "x")] {
            assert_eq!(ProcessUse::parse(broken, 4096), None, "{broken}");
        }
    }
}
