//! Load averages, from `/proc/loadavg`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, finite, presence};

pub(crate) static LOAD: Spec = Spec {
    name: "load",
    summary: "Load averages over one, five and fifteen minutes.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // the kernel computes them every five seconds
    interval_seconds: 5,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Load {
            loadavg: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
        })
    },
};

const PATH: &str = "proc/loadavg";

/// The three averages differ in nothing but their span.
const fn average(name: &'static str, help: &'static str) -> MetricDefinition {
    MetricDefinition {
        name,
        unit: "{thread}",
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help,
        is_not: "Not processor utilization: threads that wait for a disk count too.",
        labels: &[],
        source: "/proc/loadavg",
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 3] = [
    average(
        "system.cpu.load_average.1m",
        "Threads that ran, or waited for a processor or a disk: decaying average over one minute.",
    ),
    average(
        "system.cpu.load_average.5m",
        "Threads that ran, or waited for a processor or a disk: decaying average over five minutes.",
    ),
    average(
        "system.cpu.load_average.15m",
        "Threads that ran, or waited for a processor or a disk: decaying average over fifteen minutes.",
    ),
];

#[derive(Debug)]
struct Load {
    loadavg: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for Load {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Load {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.loadavg.read(&mut self.buffer)?;
        let mut fields = Fields::new(PATH, 1, text);
        for metric in &METRICS {
            let word = fields.word("three load averages")?;
            let average = finite(word)
                .filter(|average| *average >= 0.0)
                .ok_or_else(|| fields.malformed("a load average", word))?;
            out.sample(metric, &[], Value::F64(average));
        }
        Ok(())
    }
}
