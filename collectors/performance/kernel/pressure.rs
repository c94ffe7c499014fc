//! Pressure stall information: how long work waited for processor, memory and disks.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional, ratio};

pub(crate) static PRESSURE: Spec = Spec {
    name: "pressure",
    summary: "Time that work waited for processors, memory, disks and interrupts (PSI).",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 1,
    needs: "a kernel with CONFIG_PSI that was not booted with psi=0",
    build: |root: SysRoot, _: &Options| {
        Box::new(Pressure {
            files: RESOURCES
                .map(|(resource, path)| (resource, path, KeptFile::table(&root, path)))
                .into(),
            buffer: ReadBuffer::new(),
        })
    },
};

const RESOURCES: [(&str, &str); 4] = [
    ("cpu", "proc/pressure/cpu"),
    ("memory", "proc/pressure/memory"),
    ("io", "proc/pressure/io"),
    ("irq", "proc/pressure/irq"),
];

const MICROSECONDS_PER_SECOND: u32 = 1_000_000;

/// The file says percent with two digits: hundredths of them make a whole.
const HUNDREDTHS_OF_A_PERCENT: u32 = 10_000;

const RESOURCE: LabelDefinition = LabelDefinition {
    key: "linux.pressure.resource",
    help: "What was waited for: `cpu`, `memory`, `io`, `irq`.",
};
const SCOPE: LabelDefinition = LabelDefinition {
    key: "linux.pressure.scope",
    help: "Whether `some` task waited, or the `full` set of tasks that were not idle.",
};

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.linux.pressure.time",
        unit: "s",
        kind: MetricKind::Counter,
        value: ValueType::F64,
        help: "Seconds since boot in which tasks waited for the resource.",
        is_not: "Not the sum over tasks: a second in which ten tasks wait is one second.",
        labels: &[RESOURCE, SCOPE],
        source: "/proc/pressure/*",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.pressure.share",
        unit: "1",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help: "Share of the last seconds in which tasks waited for the resource, as the kernel averages it.",
        is_not: "Not utilization: a resource may be fully used and nobody waits for it.",
        labels: &[
            RESOURCE,
            SCOPE,
            LabelDefinition {
                key: "linux.pressure.window",
                help: "Over how long the kernel averages: `10s`, `60s`, `300s`.",
            },
        ],
        source: "/proc/pressure/*",
        audience: Audience::Operator,
    },
];
static TIME: &MetricDefinition = &METRICS[0];
static SHARE: &MetricDefinition = &METRICS[1];

#[derive(Debug)]
struct Pressure {
    files: Vec<(&'static str, &'static str, KeptFile)>,
    buffer: ReadBuffer,
}

impl Collector for Pressure {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for (resource, path, file) in &mut self.files {
            let path = *path;
            match optional(file.read(&mut self.buffer)) {
                Ok(None) => {}
                Ok(Some(text)) => {
                    present = true;
                    write(resource, path, text, out);
                }
                Err(error) => {
                    present = true;
                    out.failure(error);
                }
            }
        }
        if !present {
            return Ok(Presence::Absent("no `/proc/pressure`".to_owned()));
        }
        Ok(Presence::Present)
    }
}

fn write(resource: &str, path: &str, text: &str, out: &mut dyn SampleWriter) {
    if text.trim().is_empty() {
        out.failure(malformed(path, None, "a line `some`", ""));
    }
    for (n, line) in text.lines().enumerate() {
        if let Err(error) = write_line(resource, Fields::new(path, n + 1, line), out) {
            out.failure(error);
        }
    }
}

/// `some avg10=0.10 avg60=2.00 avg300=3.85 total=15`
fn write_line(
    resource: &str,
    mut fields: Fields<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    let scope = match fields.word("`some` or `full`")? {
        scope @ ("some" | "full") => scope,
        other => return Err(fields.malformed("`some` or `full`", other)),
    };
    for (key, window) in [("avg10=", "10s"), ("avg60=", "60s"), ("avg300=", "300s")] {
        let word = fields.word(key)?;
        let share = word
            .strip_prefix(key)
            .and_then(hundredths)
            .filter(|hundredths| *hundredths <= u64::from(HUNDREDTHS_OF_A_PERCENT));
        // the time behind the averages is worth more than they are
        let Some(share) = share else {
            out.failure(fields.malformed(key, word));
            continue;
        };
        let share = ratio(share, HUNDREDTHS_OF_A_PERCENT);
        let labels = [resource, scope, window];
        out.sample(SHARE, &labels, Value::F64(share));
    }
    let word = fields.word("total=")?;
    let microseconds = word
        .strip_prefix("total=")
        .and_then(|total| total.parse().ok())
        .ok_or_else(|| fields.malformed("total=", word))?;
    let seconds = ratio(microseconds, MICROSECONDS_PER_SECOND);
    out.sample(TIME, &[resource, scope], Value::F64(seconds));
    Ok(())
}

/// `3.85` as 385, so that one division gives the nearest float, which also packs well.
fn hundredths(percent: &str) -> Option<u64> {
    let (whole, fraction) = percent.split_once('.')?;
    let fraction = (fraction.len() == 2).then(|| fraction.parse::<u64>().ok())??;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::record;

    use super::*;

    #[test]
    fn an_average_that_makes_no_sense_costs_nothing_else() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("proc/pressure")).unwrap();
        let text = "some avg10=x avg60=100.01 avg300=0.50 total=2000000\n";
        std::fs::write(tree.path().join("proc/pressure/io"), text).unwrap();
        let recording = record(&PRESSURE, tree.path());
        assert_eq!(recording.failures.len(), 2, "{:?}", recording.failures);
        let share = recording.value("system.linux.pressure.share", &["io", "some", "300s"]);
        assert_eq!(share, Some(0.005));
        let time = recording.value("system.linux.pressure.time", &["io", "some"]);
        assert_eq!(time, Some(2.0));
    }
}
