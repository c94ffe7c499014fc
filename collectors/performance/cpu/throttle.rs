//! How often and how long the heat made a core or a package slower, from `thermal_throttle` (Intel).

use std::collections::BTreeSet;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, optional, ratio};

pub(crate) static CPU_THROTTLE: Spec = Spec {
    name: "cpu_throttle",
    summary: "Thermal throttling of cores and packages: how often, and for how long.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(CpuThrottle {
            root,
            counters: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/devices/system/cpu";

/// Runs between two looks for processors that came online: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

const MILLISECONDS_PER_SECOND: u32 = 1000;

const LABELS: &[LabelDefinition] = &[
    LabelDefinition {
        key: "cpu.package",
        help: "The number of the package (socket).",
    },
    LabelDefinition {
        key: "cpu.core",
        help: "The number of the core in its package, or `package` for the package as a whole.",
    },
];

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.cpu.linux.throttle.count",
        unit: "{event}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Times since boot that the core or package began to throttle because it was too hot.",
        is_not: "Not power capping, and not a duration: one event may last a millisecond or an hour.",
        labels: LABELS,
        source: "/sys/devices/system/cpu/cpu*/thermal_throttle/{core,package}_throttle_count",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.cpu.linux.throttle.time",
        unit: "s",
        kind: MetricKind::Counter,
        value: ValueType::F64,
        help: "Seconds since boot that the core or package throttled because it was too hot.",
        is_not: "Not the performance that was lost: the clock while throttled is not told.",
        labels: LABELS,
        source: "/sys/devices/system/cpu/cpu*/thermal_throttle/{core,package}_throttle_total_time_ms",
        audience: Audience::Operator,
    },
];
static COUNT: &MetricDefinition = &METRICS[0];
static TIME: &MetricDefinition = &METRICS[1];

#[derive(Debug)]
struct CpuThrottle {
    root: SysRoot,
    counters: Vec<Counters>,
    runs: u32,
    buffer: ReadBuffer,
}

/// The two counters of one core or package; every thread of it shows the same.
#[derive(Debug)]
struct Counters {
    package: String,
    core: String,
    count: KeptFile,
    milliseconds: KeptFile,
}

impl Collector for CpuThrottle {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.counters = find(&self.root, out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.counters.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/cpu*/thermal_throttle`");
            return Ok(Presence::Absent(looked_for));
        }
        for counters in &mut self.counters {
            counters.write(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Counters {
    fn write(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        let labels = [&*self.package, &*self.core];
        let count = optional(self.count.read_u64(buffer)).map(|count| count.map(Value::U64));
        let time = optional(self.milliseconds.read_u64(buffer)).map(|time| {
            time.map(|milliseconds| Value::F64(ratio(milliseconds, MILLISECONDS_PER_SECOND)))
        });
        for (metric, outcome) in [(COUNT, count), (TIME, time)] {
            match outcome {
                Ok(Some(value)) => out.sample(metric, &labels, value),
                Ok(None) => {}
                Err(error) => {
                    out.absent(metric, &labels, error.reason);
                    out.failure(error);
                }
            }
        }
    }
}

fn find(root: &SysRoot, out: &mut dyn SampleWriter) -> Result<Vec<Counters>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for name in names.iter().filter(|name| is_processor(name)) {
        let processor = format!("{DIRECTORY}/{name}");
        if !root.exists(&format!("{processor}/thermal_throttle")) {
            continue;
        }
        let number = |file: &str| root.read_u64(&format!("{processor}/topology/{file}"));
        match (number("physical_package_id"), number("core_id")) {
            (Ok(package), Ok(core)) => {
                for (core, scope) in [(Some(core), "core"), (None, "package")] {
                    if seen.insert((package, core)) {
                        found.push(counters(root, &processor, package, core, scope));
                    }
                }
            }
            (Err(error), _) | (_, Err(error)) => out.failure(error),
        }
    }
    Ok(found)
}

fn counters(
    root: &SysRoot,
    processor: &str,
    package: u64,
    core: Option<u64>,
    scope: &str,
) -> Counters {
    let file = |name: &str| {
        let path = format!("{processor}/thermal_throttle/{scope}_throttle_{name}");
        KeptFile::attribute(root, &path)
    };
    Counters {
        package: package.to_string(),
        core: core.map_or_else(|| "package".to_owned(), |core| core.to_string()),
        count: file("count"),
        milliseconds: file("total_time_ms"),
    }
}

fn is_processor(name: &str) -> bool {
    name.strip_prefix("cpu").is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
