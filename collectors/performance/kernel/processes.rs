//! How many processes there are in each state, from `/proc/*/stat`.

use std::fmt::Write as _;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{ReadBuffer, Spec, SysRoot, malformed, optional};

pub(crate) static PROCESSES: Spec = Spec {
    name: "processes",
    summary: "Processes by state, and their threads.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // one open and read a process
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Processes {
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

static METRICS: [MetricDefinition; 2] = [
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
];
static COUNT: &MetricDefinition = &METRICS[0];
static THREADS: &MetricDefinition = &METRICS[1];

/// Words from the state to the number of threads: fields 3 and 20 of proc_pid_stat(5).
const WORDS_TO_THREADS: usize = 17;

#[derive(Debug)]
struct Processes {
    root: SysRoot,
    pids: Vec<u32>,
    path: String,
    buffer: ReadBuffer,
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
        for pid in &self.pids {
            self.path.clear();
            // writing to a String cannot fail
            write!(self.path, "proc/{pid}/stat").ok();
            match read(&self.root, &self.path, &mut self.buffer) {
                Ok((state, thread_count)) => {
                    if let Some(count) = counts.get_mut(state) {
                        *count += 1;
                    }
                    threads = threads.saturating_add(thread_count);
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
        }
        Ok(Presence::Present)
    }
}

/// The index of the state, and the number of threads.
fn read(root: &SysRoot, path: &str, buffer: &mut ReadBuffer) -> Result<(usize, u64), CollectError> {
    let bytes = root.read_bytes(path, buffer)?;
    // the name in parentheses is the process's own choice: it may hold spaces, parentheses and any byte
    let end = bytes.iter().rposition(|byte| *byte == b')');
    let rest = end.and_then(|end| bytes.get(end + 1..)).unwrap_or_default();
    let rest = std::str::from_utf8(rest).unwrap_or_default();
    let mut words = rest.split_ascii_whitespace();
    let state = words
        .next()
        .and_then(|word| <[u8; 1]>::try_from(word.as_bytes()).ok())
        .and_then(|[letter]| state_index(letter));
    let threads = words
        .nth(WORDS_TO_THREADS - 1)
        .and_then(|word| word.parse().ok());
    match (state, threads) {
        (Some(state), Some(threads)) => Ok((state, threads)),
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
