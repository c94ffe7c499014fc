//! What the kernel remembers against itself until the next boot, and what earlier ones left behind when they died.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, optional};

pub(crate) static KERNEL_STATE: Spec = Spec {
    name: "kernel_state",
    summary: "What makes the kernel's word doubtful until the next boot, and records of crashes before this one.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 30,
    needs: "CAP_DAC_READ_SEARCH for records of crashes",
    build: |root: SysRoot, _: &Options| {
        Box::new(State {
            file: KeptFile::attribute(&root, PATH),
            root,
            buffer: ReadBuffer::new(),
        })
    },
};

const PATH: &str = "proc/sys/kernel/tainted";

/// Where firmware keeps what a dying kernel gave it.
const CRASHES: &str = "sys/fs/pstore";

/// How records are called there, and the word for each; other kinds hold no crash.
const KINDS: [(&str, &str); 3] = [
    ("dmesg-", "kernel_log"),
    ("console-", "console"),
    ("mce-", "machine_check"),
];

/// The bits in their order, `Documentation/admin-guide/tainted-kernels.rst`.
const FLAGS: [&str; 20] = [
    "proprietary_module",
    "forced_module",
    "out_of_specification",
    "forced_unload",
    "machine_check",
    "bad_page",
    "user_request",
    "oops",
    "overridden_acpi_table",
    "warning",
    "staging_driver",
    "firmware_workaround",
    "external_module",
    "unsigned_module",
    "soft_lockup",
    "live_patch",
    "distribution",
    "randomized_layout",
    "test",
    "firmware_control",
];

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.linux.kernel.taint",
        unit: "{state}",
        kind: MetricKind::Gauge,
        value: ValueType::State(&["clear", "set"]),
        help: "Whether something that the kernel remembers until the next boot has happened.",
        is_not: "Not how often or when; and no fault by itself: a driver of a GPU's maker sets three.",
        labels: &[LabelDefinition {
            key: "linux.kernel.taint",
            help: "What, e.g. `machine_check`, `oops`, `warning`, `soft_lockup`, `bad_page`, `proprietary_module`.",
        }],
        source: "/proc/sys/kernel/tainted",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.kernel.crash_records",
        unit: "{record}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Records that an earlier kernel left in persistent memory as it died.",
        is_not: "Not crashes: one leaves several parts, and some systems move them elsewhere at boot.",
        labels: &[LabelDefinition {
            key: "linux.kernel.crash_record.kind",
            help: "One of `kernel_log`, `console`, `machine_check`.",
        }],
        source: "/sys/fs/pstore",
        audience: Audience::Operator,
    },
];
static TAINT: &MetricDefinition = &METRICS[0];
static RECORDS: &MetricDefinition = &METRICS[1];

#[derive(Debug)]
struct State {
    root: SysRoot,
    file: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for State {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for outcome in [self.read_taint(out), self.read_crashes(out)] {
            match optional(outcome) {
                Ok(None) => continue,
                Ok(Some(())) => {}
                Err(error) => out.failure(error),
            }
            present = true;
        }
        if !present {
            return Ok(Presence::Absent(format!("no `/{PATH}`")));
        }
        Ok(Presence::Present)
    }
}

impl State {
    fn read_taint(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let bits = self.file.read_u64(&mut self.buffer)?;
        for (bit, flag) in FLAGS.iter().enumerate() {
            let set = u16::from(bits >> bit & 1 == 1);
            out.sample(TAINT, &[flag], Value::State(set));
        }
        Ok(())
    }

    fn read_crashes(&self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let mut counts = [0_u64; KINDS.len()];
        let outcome = self.root.each_name(CRASHES, |name| {
            for ((start, _), count) in KINDS.iter().zip(&mut counts) {
                *count += u64::from(name.starts_with(start));
            }
        });
        for ((_, kind), count) in KINDS.iter().zip(counts) {
            match &outcome {
                Ok(()) => out.sample(RECORDS, &[kind], Value::U64(count)),
                Err(error) if error.reason == FailureReason::Missing => {}
                Err(error) => out.absent(RECORDS, &[kind], error.reason),
            }
        }
        outcome
    }
}
