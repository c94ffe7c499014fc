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

/// The letters of the kernel, and the word for each: four of OpenTelemetry, two of ours.
const STATES: [(&str, &[u8]); 6] = [
    ("running", b"R"),
    ("sleeping", b"S"),
    ("uninterruptible", b"D"),
    ("stopped", b"Tt"),
    ("defunct", b"ZX"),
    ("idle", b"I"),
];

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
            help: "One of `running`, `sleeping`, `uninterruptible`, `stopped`, `defunct`, `idle`.",
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
        .and_then(|[letter]| STATES.iter().position(|(_, known)| known.contains(&letter)));
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
