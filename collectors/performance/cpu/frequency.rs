//! The clock of each processor, from cpufreq.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional, scaled};

use crate::labels::LOGICAL_CPU;

pub(crate) static CPU_FREQUENCY: Spec = Spec {
    name: "cpu_frequency",
    summary: "The clock of each logical processor.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // older kernels interrupt every processor to answer
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(CpuFrequency {
            root,
            processors: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/devices/system/cpu";

/// Runs between two looks for processors that came online: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

static METRICS: [MetricDefinition; 1] = [MetricDefinition {
    name: "system.cpu.frequency",
    unit: "Hz",
    kind: MetricKind::Gauge,
    value: ValueType::U64,
    help: "The clock at which each logical processor ran when the kernel last looked.",
    is_not: "Not the rated clock, and not throttling by itself: an idle processor runs slowly too.",
    labels: &[LOGICAL_CPU],
    source: "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
    audience: Audience::Performance,
}];
static FREQUENCY: &MetricDefinition = &METRICS[0];

#[derive(Debug)]
struct CpuFrequency {
    root: SysRoot,
    processors: Vec<Processor>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Processor {
    number: String,
    kilohertz: KeptFile,
}

impl Collector for CpuFrequency {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.processors = find(&self.root)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.processors.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/cpu*/cpufreq`");
            return Ok(Presence::Absent(looked_for));
        }
        for processor in &mut self.processors {
            match processor.read(&mut self.buffer) {
                Ok(Some(hertz)) => {
                    out.sample(FREQUENCY, &[&processor.number], Value::U64(hertz));
                }
                Ok(None) => {}
                Err(error) => {
                    out.absent(FREQUENCY, &[&processor.number], error.reason);
                    out.failure(error);
                }
            }
        }
        Ok(Presence::Present)
    }
}

impl Processor {
    /// `None` where the processor went offline.
    fn read(&mut self, buffer: &mut ReadBuffer) -> Result<Option<u64>, CollectError> {
        let Some(kilohertz) = optional(self.kilohertz.read_u64(buffer))? else {
            return Ok(None);
        };
        let hertz = scaled(kilohertz, 1000).ok_or_else(|| {
            let path = self.kilohertz.path();
            malformed(path, None, "kilohertz", &kilohertz.to_string())
        })?;
        Ok(Some(hertz))
    }
}

fn find(root: &SysRoot) -> Result<Vec<Processor>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let numbers = names.iter().filter_map(|name| name.strip_prefix("cpu"));
    Ok(numbers
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|number| {
            let path = format!("{DIRECTORY}/cpu{number}/cpufreq/scaling_cur_freq");
            root.exists(&path).then(|| Processor {
                number: number.to_owned(),
                kilohertz: KeptFile::attribute(root, &path),
            })
        })
        .collect())
}
