//! Page faults, swapping and out-of-memory kills, from `/proc/vmstat`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, presence};

pub(crate) static PAGING: Spec = Spec {
    name: "paging",
    summary: "Page faults, pages swapped in and out, and out-of-memory kills.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 1,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Paging {
            vmstat: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
        })
    },
};

const PATH: &str = "proc/vmstat";

/// How the wanted lines begin, five of some 200.
const STARTS: [&str; 4] = ["pgfault", "pgmajfault", "pswp", "oom_kill"];

static METRICS: [MetricDefinition; 3] = [
    MetricDefinition {
        name: "system.paging.faults",
        unit: "{fault}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Page faults since boot: `major` ones waited for a disk, `minor` ones did not.",
        is_not: "Not a sign of trouble by itself: starting a program faults its pages in.",
        labels: &[LabelDefinition {
            key: "system.paging.fault.type",
            help: "One of `major`, `minor`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.paging.operations",
        unit: "{operation}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Pages swapped in and out since boot.",
        is_not: "Not reads and writes of files, which the kernel pages too.",
        labels: &[LabelDefinition {
            key: "system.paging.direction",
            help: "One of `in`, `out`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.memory.linux.oom_kills",
        unit: "{process}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Processes that the kernel killed since boot because memory ran out.",
        is_not: "Not limited to the whole machine: a full control group counts too.",
        labels: &[],
        source: "/proc/vmstat",
        audience: Audience::Operator,
    },
];
static FAULTS: &MetricDefinition = &METRICS[0];
static OPERATIONS: &MetricDefinition = &METRICS[1];
static KILLS: &MetricDefinition = &METRICS[2];

#[derive(Debug)]
struct Paging {
    vmstat: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for Paging {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Paging {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.vmstat.read(&mut self.buffer)?;
        let (mut faults, mut major) = (None, None);
        let mut lines = 0;
        for (n, line) in text.lines().enumerate() {
            // look before splitting: most lines are not wanted
            if !STARTS.iter().any(|start| line.starts_with(start)) {
                continue;
            }
            match read_line(Fields::new(PATH, n + 1, line)) {
                Ok(("pgfault", count)) => faults = Some(count),
                Ok(("pgmajfault", count)) => major = Some(count),
                Ok(("pswpin", count)) => out.sample(OPERATIONS, &["in"], Value::U64(count)),
                Ok(("pswpout", count)) => out.sample(OPERATIONS, &["out"], Value::U64(count)),
                Ok(("oom_kill", count)) => out.sample(KILLS, &[], Value::U64(count)),
                Ok(_) => continue,
                Err(error) => out.failure(error),
            }
            lines += 1;
        }
        if lines == 0 {
            return Err(malformed(PATH, None, "a line `pgfault`", text));
        }
        if let (Some(faults), Some(major)) = (faults, major) {
            let minor = faults.checked_sub(major).ok_or_else(|| {
                malformed(
                    PATH,
                    None,
                    "`pgmajfault` within `pgfault`",
                    &major.to_string(),
                )
            })?;
            out.sample(FAULTS, &["major"], Value::U64(major));
            out.sample(FAULTS, &["minor"], Value::U64(minor));
        }
        Ok(())
    }
}

fn read_line<'t>(mut fields: Fields<'t>) -> Result<(&'t str, u64), CollectError> {
    Ok((fields.word("a key")?, fields.number("a count")?))
}
