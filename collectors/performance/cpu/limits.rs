//! Between which clocks the kernel lets each processor run, and whether turbo is allowed, from cpufreq.

use std::fmt::Write as _;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, ReadBuffer, Spec, SysRoot, malformed, optional, scaled};

use super::processors::{self, DIRECTORY};
use crate::labels::LOGICAL_CPU;

pub(crate) static CPU_LIMITS: Spec = Spec {
    name: "cpu_limits",
    summary: "Limits of each processor's clock, its base clock, and whether turbo is allowed.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // five files a processor, and limits move seldom
    interval_seconds: 60,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(CpuLimits {
            root,
            processors: Vec::new(),
            runs: 0,
            path: String::new(),
            buffer: ReadBuffer::new(),
        })
    },
};

/// Runs between two looks for processors that came online: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 5;

/// File of a processor, and the word for what it says.
const FILES: [(&str, &str); 5] = [
    ("scaling_min_freq", "min"),
    ("scaling_max_freq", "max"),
    ("cpuinfo_min_freq", "hardware_min"),
    ("cpuinfo_max_freq", "hardware_max"),
    ("base_frequency", "base"),
];

/// Where turbo is allowed or forbidden, and the number that allows it. `boost` of the first policy is where drivers with
/// a switch for each policy (amd-pstate, cppc_cpufreq) say it.
const TURBO: [(&str, u64); 3] = [
    ("sys/devices/system/cpu/intel_pstate/no_turbo", 0),
    ("sys/devices/system/cpu/cpufreq/boost", 1),
    ("sys/devices/system/cpu/cpu0/cpufreq/boost", 1),
];

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.cpu.linux.frequency.limit",
        unit: "Hz",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "The clocks between which the kernel lets each logical processor run, those it could have, and its base clock.",
        is_not: "Not the clock that it has; and heat and power may hold it below `min`.",
        labels: &[
            LOGICAL_CPU,
            LabelDefinition {
                key: "linux.cpu.frequency.limit_type",
                help: "One of `min`, `max` (policy), `hardware_min`, `hardware_max`, `base` (Intel, without turbo).",
            },
        ],
        source: "/sys/devices/system/cpu/cpu*/cpufreq/{scaling,cpuinfo}_{min,max}_freq, base_frequency",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.turbo",
        unit: "{state}",
        kind: MetricKind::Gauge,
        value: ValueType::State(&["forbidden", "allowed"]),
        help: "Whether clocks above the base clock are allowed.",
        is_not: "Not whether a processor runs above its base clock now.",
        labels: &[],
        source: "/sys/devices/system/cpu/intel_pstate/no_turbo, /sys/devices/system/cpu/cpufreq/boost",
        audience: Audience::Performance,
    },
];
static LIMIT: &MetricDefinition = &METRICS[0];
static ALLOWED: &MetricDefinition = &METRICS[1];

#[derive(Debug)]
struct CpuLimits {
    root: SysRoot,
    processors: Vec<String>,
    runs: u32,
    path: String,
    buffer: ReadBuffer,
}

impl Collector for CpuLimits {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.processors = processors::with(&self.root, "cpufreq")?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.processors.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/cpu*/cpufreq`");
            return Ok(Presence::Absent(looked_for));
        }
        self.read_turbo(out);
        for processor in &self.processors {
            for (file, word) in FILES {
                self.path.clear();
                // writing to a String cannot fail
                write!(self.path, "{DIRECTORY}/cpu{processor}/cpufreq/{file}").ok();
                match read_hertz(&self.root, &self.path, &mut self.buffer) {
                    Ok(Some(hertz)) => out.sample(LIMIT, &[processor, word], Value::U64(hertz)),
                    Ok(None) => {}
                    Err(error) => {
                        out.absent(LIMIT, &[processor, word], error.reason);
                        out.failure(error);
                    }
                }
            }
        }
        Ok(Presence::Present)
    }
}

impl CpuLimits {
    fn read_turbo(&self, out: &mut dyn SampleWriter) {
        for (path, allows) in TURBO {
            match self.root.read_optional_u64(path) {
                Ok(None) => {}
                Ok(Some(number)) => {
                    let allowed = u16::from(number == allows);
                    return out.sample(ALLOWED, &[], Value::State(allowed));
                }
                Err(error) => return out.failure(error),
            }
        }
    }
}

/// `None` where the driver or the processor has no such file, or says nothing.
fn read_hertz(
    root: &SysRoot,
    path: &str,
    buffer: &mut ReadBuffer,
) -> Result<Option<u64>, CollectError> {
    let Some(bytes) = optional(root.read_bytes(path, buffer))? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes).unwrap_or("\u{fffd}");
    let kilohertz = Fields::new(path, 1, text).number("kilohertz")?;
    scaled(kilohertz, 1000)
        .map(Some)
        .ok_or_else(|| malformed(path, None, "kilohertz", &kilohertz.to_string()))
}
