//! The kernel's own health: uptime, open files, and the troubles that it counts.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, finite, optional};

pub(crate) static KERNEL: Spec = Spec {
    name: "kernel",
    summary: "Uptime, open files, and the oopses, warnings, lock-ups and stalls that the kernel counted.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Kernel {
            uptime: KeptFile::table(&root, UPTIME_PATH),
            file_handles: KeptFile::table(&root, FILE_HANDLES_PATH),
            faults: FAULTS
                .map(|(path, fault)| (fault, KeptFile::attribute(&root, path)))
                .into(),
            buffer: ReadBuffer::new(),
        })
    },
};

const UPTIME_PATH: &str = "proc/uptime";
const FILE_HANDLES_PATH: &str = "proc/sys/fs/file-nr";

/// Counters of trouble; kernels lack some, by version and configuration.
const FAULTS: [(&str, &str); 6] = [
    ("sys/kernel/oops_count", "oops"),
    ("sys/kernel/warn_count", "warning"),
    ("sys/kernel/softlockup_count", "soft_lockup"),
    ("sys/kernel/hardlockup_count", "hard_lockup"),
    ("sys/kernel/rcu_stall_count", "rcu_stall"),
    ("proc/sys/kernel/hung_task_detect_count", "hung_task"),
];

static METRICS: [MetricDefinition; 4] = [
    MetricDefinition {
        name: "system.uptime",
        unit: "s",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help: "Seconds since boot, with time in suspend.",
        is_not: "Not the time that anything else has been running.",
        labels: &[],
        source: "/proc/uptime",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.file_handle.usage",
        unit: "{file}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Open files of the whole machine.",
        is_not: "Not descriptors: several may share one open file.",
        labels: &[],
        source: "/proc/sys/fs/file-nr",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.file_handle.limit",
        unit: "{file}",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Files that the whole machine may have open.",
        is_not: "Not the limit of a process, which is reached long before.",
        labels: &[],
        source: "/proc/sys/fs/file-nr",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.kernel.faults",
        unit: "{event}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Troubles that the kernel counted since boot.",
        is_not: "Not all troubles: a kernel without the counter shows nothing rather than zero.",
        labels: &[LabelDefinition {
            key: "linux.kernel.fault",
            help: "One of `oops`, `warning`, `soft_lockup`, `hard_lockup`, `rcu_stall`, `hung_task`.",
        }],
        source: "/sys/kernel/*_count",
        audience: Audience::Operator,
    },
];
static UPTIME: &MetricDefinition = &METRICS[0];
static FILES: &MetricDefinition = &METRICS[1];
static FILES_LIMIT: &MetricDefinition = &METRICS[2];
static FAULT_COUNT: &MetricDefinition = &METRICS[3];

#[derive(Debug)]
struct Kernel {
    uptime: KeptFile,
    file_handles: KeptFile,
    faults: Vec<(&'static str, KeptFile)>,
    buffer: ReadBuffer,
}

impl Collector for Kernel {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        let mut note = |outcome: Result<(), CollectError>, out: &mut dyn SampleWriter| {
            match optional(outcome) {
                Ok(None) => return,
                Ok(Some(())) => {}
                Err(error) => out.failure(error),
            }
            present = true;
        };
        let outcome = self.read_uptime(out);
        note(outcome, out);
        let outcome = self.read_file_handles(out);
        note(outcome, out);
        for (fault, file) in &mut self.faults {
            let outcome = file
                .read_u64(&mut self.buffer)
                .map(|count| out.sample(FAULT_COUNT, &[fault], Value::U64(count)));
            note(outcome, out);
        }
        if !present {
            return Ok(Presence::Absent(format!("no `/{UPTIME_PATH}`")));
        }
        Ok(Presence::Present)
    }
}

impl Kernel {
    fn read_uptime(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.uptime.read(&mut self.buffer)?;
        let mut fields = Fields::new(UPTIME_PATH, 1, text);
        let word = fields.word("seconds")?;
        let seconds = finite(word)
            .filter(|seconds| *seconds >= 0.0)
            .ok_or_else(|| fields.malformed("seconds", word))?;
        out.sample(UPTIME, &[], Value::F64(seconds));
        Ok(())
    }

    fn read_file_handles(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.file_handles.read(&mut self.buffer)?;
        let mut fields = Fields::new(FILE_HANDLES_PATH, 1, text);
        let used = fields.number("open files")?;
        fields.number("free handles")?;
        let limit = fields.number("the limit of open files")?;
        out.sample(FILES, &[], Value::U64(used));
        out.sample(FILES_LIMIT, &[], Value::U64(limit));
        Ok(())
    }
}
