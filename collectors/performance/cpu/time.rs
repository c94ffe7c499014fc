//! Processor time and the counters of the scheduler, from one read of `/proc/stat`.
//!
//! The kernel walks every interrupt of every processor to write that file, so nobody else here reads it.
//!
//! Its counters of time do not only grow: `iowait` is charged to whichever processor is at hand, `idle` is worked out
//! anew when a processor wakes, and `steal` is what the host says. A store would take each small step back for a counter
//! that began anew and add all of it, so the last value stands until the kernel's is past it.

use std::collections::BTreeMap;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, presence, ratio};

use crate::labels::LOGICAL_CPU;

pub(crate) static CPU: Spec = Spec {
    name: "cpu",
    summary: "Processor time by mode, context switches, interrupts, new and waiting processes.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 1,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Cpu {
            stat: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
            times: Times::default(),
        })
    },
};

const PATH: &str = "proc/stat";

/// `USER_HZ`: what the kernel counts in towards programs, on every architecture that we run on.
const TICKS_PER_SECOND: u32 = 100;

/// What a counter may fall by without having begun anew. Steps back are hundredths of a second as a rule; a processor
/// that went and came back begins at zero, and has been up for longer than this.
const MOST_TICKS_BACK: u64 = 3 * TICKS_PER_SECOND as u64;

/// The columns of a `cpu` line in their order. `guest` and `guest_nice` follow, but are parts of `user` and `nice`.
const MODES: [&str; 8] = [
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "interrupt",
    "softirq",
    "steal",
];

static METRICS: [MetricDefinition; 9] = [
    MetricDefinition {
        name: "system.cpu.time",
        unit: "s",
        kind: MetricKind::Counter,
        value: ValueType::F64,
        help: "Seconds that each logical processor spent in each mode since boot.",
        is_not: "Not utilization: its rate is. `user` includes guests, and `iowait` is idle time with a request pending.",
        labels: &[
            LOGICAL_CPU,
            LabelDefinition {
                key: "cpu.mode",
                help: "One of `user`, `nice`, `system`, `idle`, `iowait`, `interrupt`, `softirq`, `steal`.",
            },
        ],
        source: "/proc/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.cpu.logical.count",
        unit: "{cpu}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Logical processors that are online.",
        is_not: "Not the number of cores: two threads of one core count twice.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.cpu.linux.context_switches",
        unit: "{switch}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Context switches of all processors since boot.",
        is_not: "Not split into voluntary and forced ones.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.interrupts",
        unit: "{interrupt}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Interrupts served by all processors since boot.",
        is_not: "Not the soft interrupts, which are counted apart.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.soft_interrupts",
        unit: "{interrupt}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Soft interrupts served by all processors since boot.",
        is_not: "Not interrupts of devices: those cause only a part of these.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.process.created",
        unit: "{process}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Processes and threads created since boot.",
        is_not: "Not processes alone: a new thread counts too.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.process.linux.runnable",
        unit: "{thread}",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "Threads that run or wait for a processor now.",
        is_not: "Not an average: it is the instant of the reading, and includes the reader.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.process.linux.blocked",
        unit: "{thread}",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "Threads that wait for a disk or another device now.",
        is_not: "Not every thread that sleeps: only those that no signal can wake.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.boot_time",
        unit: "s",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "When the machine booted, in seconds since 1970 UTC.",
        is_not: "Not fixed: it moves when the wall clock is set.",
        labels: &[],
        source: "/proc/stat",
        audience: Audience::Operator,
    },
];

static TIME: &MetricDefinition = &METRICS[0];
static COUNT: &MetricDefinition = &METRICS[1];

/// The metric behind a line with one number that counts.
fn single(key: &str) -> Option<&'static MetricDefinition> {
    match key {
        "ctxt" => Some(&METRICS[2]),
        "intr" => Some(&METRICS[3]),
        "softirq" => Some(&METRICS[4]),
        "processes" => Some(&METRICS[5]),
        "procs_running" => Some(&METRICS[6]),
        "procs_blocked" => Some(&METRICS[7]),
        "btime" => Some(&METRICS[8]),
        _ => None,
    }
}

#[derive(Debug)]
struct Cpu {
    stat: KeptFile,
    buffer: ReadBuffer,
    times: Times,
}

type Ticks = [u64; MODES.len()];

/// The last times told, by processor.
#[derive(Debug, Default)]
struct Times {
    last: BTreeMap<u32, Last>,
    run: u64,
}

#[derive(Debug)]
struct Last {
    ticks: Ticks,
    /// The run in which it was told.
    run: u64,
}

impl Times {
    /// The times to tell: those read, but where one fell a little, the one told last.
    fn forward(&mut self, processor: u32, read: Ticks) -> Ticks {
        let run = self.run;
        let last = self
            .last
            .entry(processor)
            .or_insert(Last { ticks: read, run });
        for (last, read) in last.ticks.iter_mut().zip(read) {
            let back = last.saturating_sub(read);
            if back == 0 || back >= MOST_TICKS_BACK {
                *last = read;
            }
        }
        last.run = run;
        last.ticks
    }

    /// Forgets processors that this run did not see, and begins the next.
    fn end_run(&mut self) {
        let run = self.run;
        self.last.retain(|_, last| last.run == run);
        self.run = run.wrapping_add(1);
    }
}

impl Collector for Cpu {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Cpu {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.stat.read(&mut self.buffer)?;
        let mut processors = 0;
        for (n, line) in text.lines().enumerate() {
            let mut fields = Fields::new(PATH, n + 1, line);
            let Ok(key) = fields.word("a key") else {
                continue;
            };
            let outcome = match key.strip_prefix("cpu") {
                Some("") => Ok(()), // the sum of the others
                Some(number) => {
                    let written = write_times(number, &mut fields, &mut self.times, out);
                    written.map(|()| processors += 1)
                }
                None => write_single(key, &mut fields, out),
            };
            if let Err(error) = outcome {
                out.failure(error);
            }
        }
        self.times.end_run();
        if processors == 0 {
            return Err(malformed(PATH, None, "a line for each processor", text));
        }
        out.sample(COUNT, &[], Value::U64(processors));
        Ok(())
    }
}

fn write_times(
    number: &str,
    fields: &mut Fields<'_>,
    times: &mut Times,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    let processor = number
        .parse()
        .map_err(|_| fields.malformed("the number of a processor", number))?;
    let mut ticks = [0; MODES.len()];
    for slot in &mut ticks {
        *slot = fields.number("clock ticks in eight modes")?;
    }
    let ticks = times.forward(processor, ticks);
    for (mode, ticks) in MODES.iter().zip(ticks) {
        let seconds = ratio(ticks, TICKS_PER_SECOND);
        out.sample(TIME, &[number, mode], Value::F64(seconds));
    }
    Ok(())
}

fn write_single(
    key: &str,
    fields: &mut Fields<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    if let Some(metric) = single(key) {
        out.sample(metric, &[], Value::U64(fields.number("a count")?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::Recording;

    use super::*;

    /// Lines of processor 0 and 7, with idle and iowait in ticks.
    fn stat(times: &[(u32, u64, u64)]) -> String {
        let mut text = "cpu  0 0 0 0 0 0 0 0 0 0\n".to_owned();
        for (number, idle, iowait) in times {
            text += &format!("cpu{number} 100 0 0 {idle} {iowait} 0 0 0 0 0\n");
        }
        text
    }

    #[test]
    fn a_small_step_back_stands_still_and_a_large_one_begins_anew() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("proc")).unwrap();
        let mut cpu = (CPU.build)(SysRoot::new(tree.path()), &Options::default());
        // idle and iowait of processor 7 as the kernel says them, and as they are told
        for ((idle, iowait), told) in [
            ((100_000, 5000), (1000.0, 50.0)),
            ((100_010, 4999), (1000.1, 50.0)),
            ((99_711, 4998), (1000.1, 50.0)),
            ((100_011, 5001), (1000.11, 50.01)),
            // it went and came back
            ((12, 5001), (0.12, 50.01)),
            ((20, 4701), (0.2, 47.01)),
        ] {
            let text = stat(&[(0, 50, 50), (7, idle, iowait)]);
            std::fs::write(tree.path().join(PATH), text).unwrap();
            let recording = Recording::of(cpu.as_mut());
            let value = |mode| recording.value("system.cpu.time", &["7", mode]).unwrap();
            assert_eq!((value("idle"), value("iowait")), told, "{idle} {iowait}");
            assert_eq!(
                recording.value("system.cpu.time", &["0", "idle"]),
                Some(0.5)
            );
        }
    }

    #[test]
    fn a_processor_that_went_is_forgotten() {
        let mut times = Times::default();
        times.forward(3, [500; 8]);
        times.end_run();
        times.end_run();
        assert!(times.last.is_empty());
        assert_eq!(times.forward(3, [499; 8]), [499; 8]);
    }
}
