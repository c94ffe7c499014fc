//! Processor time and the counters of the scheduler, from one read of `/proc/stat`.
//!
//! The kernel walks every interrupt of every processor to write that file, so nobody else here reads it.

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
        })
    },
};

const PATH: &str = "proc/stat";

/// `USER_HZ`: what the kernel counts in towards programs, on every architecture that we run on.
const TICKS_PER_SECOND: u32 = 100;

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
                Some(number) => write_times(number, &mut fields, out).map(|()| processors += 1),
                None => write_single(key, &mut fields, out),
            };
            if let Err(error) = outcome {
                out.failure(error);
            }
        }
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
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fields.malformed("the number of a processor", number));
    }
    let mut ticks = [0; MODES.len()];
    for slot in &mut ticks {
        *slot = fields.number("clock ticks in eight modes")?;
    }
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
