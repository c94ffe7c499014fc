//! The clock of each processor, from cpufreq.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional, scaled};

use super::processors::{self, DIRECTORY};
use crate::labels::LOGICAL_CPU;

pub(crate) static CPU_FREQUENCY: Spec = Spec {
    name: "cpu_frequency",
    summary: "The clock of each logical processor, and what was delivered of it.",
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

/// Runs between two looks for processors that came online: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.cpu.frequency",
        unit: "Hz",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "The clock at which each logical processor ran when the kernel last looked.",
        is_not: "Not the rated clock, and not throttling by itself: an idle processor runs slowly too.",
        labels: &[LOGICAL_CPU],
        source: "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.frequency.average",
        unit: "Hz",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "The clock that the hardware delivered to each logical processor while it was busy, averaged over milliseconds.",
        is_not: "Not there for a processor that rests, and not an average over the time between two readings.",
        labels: &[LOGICAL_CPU],
        source: "/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_avg_freq",
        audience: Audience::Performance,
    },
];
static FREQUENCY: &MetricDefinition = &METRICS[0];
static AVERAGE: &MetricDefinition = &METRICS[1];

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
    /// Where the kernel (since 6.14) and the hardware count delivered cycles.
    average: Option<KeptFile>,
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
            let labels = [&*processor.number];
            for (metric, file) in [
                (FREQUENCY, Some(&mut processor.kilohertz)),
                (AVERAGE, processor.average.as_mut()),
            ] {
                match file.map(|file| read(file, &mut self.buffer)) {
                    None | Some(Ok(None)) => {}
                    Some(Ok(Some(hertz))) => out.sample(metric, &labels, Value::U64(hertz)),
                    Some(Err(error)) => {
                        out.absent(metric, &labels, error.reason);
                        out.failure(error);
                    }
                }
            }
        }
        Ok(Presence::Present)
    }
}

/// `None` where the processor went offline, or rests and has nothing to average.
fn read(file: &mut KeptFile, buffer: &mut ReadBuffer) -> Result<Option<u64>, CollectError> {
    let kilohertz = match optional(file.read_u64(buffer)) {
        Ok(None) => return Ok(None),
        // EAGAIN
        Err(error) if error.reason == FailureReason::Timeout => return Ok(None),
        Ok(Some(kilohertz)) => kilohertz,
        Err(error) => return Err(error),
    };
    scaled(kilohertz, 1000)
        .map(Some)
        .ok_or_else(|| malformed(file.path(), None, "kilohertz", &kilohertz.to_string()))
}

fn find(root: &SysRoot) -> Result<Vec<Processor>, CollectError> {
    let numbers = processors::with(root, "cpufreq/scaling_cur_freq")?;
    let file = |number: &str, name: &str| format!("{DIRECTORY}/cpu{number}/cpufreq/{name}");
    Ok(numbers
        .into_iter()
        .map(|number| {
            let average = file(&number, "cpuinfo_avg_freq");
            Processor {
                kilohertz: KeptFile::attribute(root, &file(&number, "scaling_cur_freq")),
                average: root
                    .exists(&average)
                    .then(|| KeptFile::attribute(root, &average)),
                number,
            }
        })
        .collect())
}
