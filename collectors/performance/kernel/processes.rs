//! How many processes there are in each state, and which wait without end, from one walk over `/proc/*/stat`.

use std::fmt::Write as _;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{ReadBuffer, Spec, SysRoot, malformed, optional};

use super::stuck::{self, Stuck};

pub(crate) static PROCESSES: Spec = Spec {
    name: "processes",
    summary: "Processes by state, their threads, and those that have been stuck for minutes.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // one open and read a process
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Processes {
            stuck: Stuck::new(&root),
            root,
            pids: Vec::new(),
            path: String::new(),
            buffer: ReadBuffer::new(),
        })
    },
};

/// The letters of the kernel, and the word for each: four of OpenTelemetry, three of ours. The letters differ between
/// kernels (`W` is paging, or waking; `K` and `x` came and went), so one that nobody knows is a state like another.
const STATES: [(&str, &[u8]); 7] = [
    ("running", b"R"),
    ("sleeping", b"S"),
    ("uninterruptible", b"D"),
    ("stopped", b"Tt"),
    ("defunct", b"ZXx"),
    // kernel threads that wait for work, or were parked with their processor
    ("idle", b"IP"),
    (OTHER, b"KW"),
];
const OTHER: &str = "other";

static METRICS: [MetricDefinition; 3] = [
    MetricDefinition {
        name: "system.process.count",
        unit: "{process}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Processes in each state.",
        is_not: "Not threads: a process shows the state of its first thread. Kernel threads count as processes.",
        labels: &[LabelDefinition {
            key: "process.state",
            help: "One of `running`, `sleeping`, `uninterruptible`, `stopped`, `defunct`, `idle`, `other`.",
        }],
        source: "/proc/*/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.process.linux.threads",
        unit: "{thread}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Threads of all processes.",
        is_not: "Not threads that run: most sleep.",
        labels: &[],
        source: "/proc/*/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.process.linux.stuck",
        unit: "{process}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Processes that have been in uninterruptible sleep for two minutes without doing anything, by what they wait for.",
        is_not: "Not each thread: a process shows its first. Not there until processes were watched for two minutes.",
        labels: &[LabelDefinition {
            key: "linux.process.wait",
            help: "One of `nvidia`, `nfs`, `network_storage`, `storage`, `lock`, `other`, and `unknown` where the kernel does not tell us.",
        }],
        source: "/proc/*/stat, /proc/*/status, /proc/*/wchan",
        audience: Audience::Operator,
    },
];
static COUNT: &MetricDefinition = &METRICS[0];
static THREADS: &MetricDefinition = &METRICS[1];
pub(super) static STUCK: &MetricDefinition = &METRICS[2];

/// Words from the state (field 3 of proc_pid_stat(5)) to user time, system time, the number of threads, the time of
/// the start, and the time that was waited for disks: fields 14, 15, 20, 22 and 42.
const WORDS_TO_USER_TIME: usize = 11;
const WORDS_TO_SYSTEM_TIME: usize = 12;
const WORDS_TO_THREADS: usize = 17;
const WORDS_TO_START: usize = 19;
const WORDS_TO_DISK_TIME: usize = 39;

/// Index of `uninterruptible` in [`STATES`].
const UNINTERRUPTIBLE: usize = 2;

#[derive(Debug)]
struct Processes {
    root: SysRoot,
    pids: Vec<u32>,
    path: String,
    buffer: ReadBuffer,
    stuck: Stuck,
}

/// What one process says.
#[derive(Debug)]
struct Stat {
    /// Index in [`STATES`].
    state: usize,
    threads: u64,
    task: stuck::Task,
}

impl Collector for Processes {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        self.pids.clear();
        let pids = &mut self.pids;
        optional(self.root.each_name("proc", |name| {
            pids.extend(name.parse::<u32>());
        }))?;
        let mut counts = [0; STATES.len()];
        let (mut seen, mut threads) = (0, 0_u64);
        self.stuck.begin(&mut self.buffer, out);
        for pid in &self.pids {
            self.path.clear();
            // writing to a String cannot fail
            write!(self.path, "proc/{pid}/stat").ok();
            match read(&self.root, &self.path, &mut self.buffer) {
                Ok(stat) => {
                    if let Some(count) = counts.get_mut(stat.state) {
                        *count += 1;
                    }
                    if stat.state == UNINTERRUPTIBLE {
                        let (pid, task) = (*pid, stat.task);
                        self.stuck.waits(&self.root, pid, task, &mut self.buffer);
                    }
                    threads = threads.saturating_add(stat.threads);
                    seen += 1;
                }
                // it ended since it was listed
                Err(error) if error.reason == FailureReason::Missing => {}
                Err(error) => out.failure(error),
            }
        }
        if self.pids.is_empty() {
            return Ok(Presence::Absent("no process in `/proc`".to_owned()));
        }
        if seen > 0 {
            for ((state, _), count) in STATES.iter().zip(counts) {
                out.sample(COUNT, &[state], Value::U64(count));
            }
            out.sample(THREADS, &[], Value::U64(threads));
            self.stuck.end(&self.root, &mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

fn read(root: &SysRoot, path: &str, buffer: &mut ReadBuffer) -> Result<Stat, CollectError> {
    let bytes = root.read_bytes(path, buffer)?;
    // the name in parentheses is the process's own choice: it may hold spaces, parentheses and any byte
    let end = bytes.iter().rposition(|byte| *byte == b')');
    let rest = end.and_then(|end| bytes.get(end + 1..)).unwrap_or_default();
    let rest = std::str::from_utf8(rest).unwrap_or_default();
    let mut state = None;
    let mut threads = None;
    let mut task = stuck::Task::default();
    for (n, word) in rest.split_ascii_whitespace().enumerate() {
        match n {
            0 => {
                state = <[u8; 1]>::try_from(word.as_bytes())
                    .ok()
                    .and_then(|[letter]| state_index(letter));
            }
            WORDS_TO_THREADS => threads = word.parse().ok(),
            WORDS_TO_START => task.start = word.parse().unwrap_or(0),
            WORDS_TO_USER_TIME | WORDS_TO_SYSTEM_TIME | WORDS_TO_DISK_TIME => {
                let ticks: u64 = word.parse().unwrap_or(0);
                task.work = task.work.wrapping_add(ticks);
            }
            _ if n > WORDS_TO_DISK_TIME => break,
            _ => {}
        }
    }
    match (state, threads) {
        (Some(state), Some(threads)) => Ok(Stat {
            state,
            threads,
            task,
        }),
        _ => Err(malformed(
            path,
            None,
            "a state and a number of threads",
            rest,
        )),
    }
}

/// The index of the state that a letter means; `None` where it is no letter.
fn state_index(letter: u8) -> Option<usize> {
    if !letter.is_ascii_alphabetic() {
        return None;
    }
    let known = STATES
        .iter()
        .position(|(_, letters)| letters.contains(&letter));
    known.or_else(|| STATES.iter().position(|(word, _)| *word == OTHER))
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::record;

    use super::*;

    #[test]
    fn every_letter_of_any_kernel_is_counted() {
        let tree = tempfile::tempdir().unwrap();
        let states = [
            "R", "S", "D", "T", "t", "Z", "X", "x", "I", "P", "K", "W", "Q",
        ];
        for (pid, state) in states.iter().enumerate() {
            let process = tree.path().join(format!("proc/{}", pid + 1));
            std::fs::create_dir_all(&process).unwrap();
            let zeros = "0 ".repeat(WORDS_TO_THREADS - 1);
            let stat = format!("{} (a) {state} {zeros}1 0", pid + 1);
            std::fs::write(process.join("stat"), stat).unwrap();
        }
        let recording = record(&PROCESSES, tree.path());
        assert!(recording.failures.is_empty(), "{:?}", recording.failures);
        for (state, count) in [
            ("running", 1.0),
            ("sleeping", 1.0),
            ("uninterruptible", 1.0),
            ("stopped", 2.0),
            ("defunct", 3.0),
            ("idle", 2.0),
            ("other", 3.0),
        ] {
            let told = recording.value("system.process.count", &[state]);
            assert_eq!(told, Some(count), "{state}");
        }
        let threads = recording.value("system.process.linux.threads", &[]);
        assert_eq!(threads, Some(13.0));
    }
}
