//! Bytes that moved between caches and memory, where the processor counts them, from resctrl.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional};

pub(crate) static MEMORY_BANDWIDTH: Spec = Spec {
    name: "memory_bandwidth",
    summary: "Bytes between caches and memory, and cache in use, of the default resctrl group.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "/sys/fs/resctrl mounted, and a processor with bandwidth monitoring",
    build: |root: SysRoot, _: &Options| {
        Box::new(Bandwidth {
            root,
            files: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/fs/resctrl/mon_data";

/// Runs between two looks for domains: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

const DOMAIN: LabelDefinition = LabelDefinition {
    key: "linux.resctrl.domain",
    help: "The cache whose traffic is counted, e.g. `L3_00`: the kernel's number of it.",
};

static METRICS: [MetricDefinition; 2] = [
    MetricDefinition {
        name: "system.memory.linux.bandwidth.io",
        unit: "By",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Bytes between the last cache and memory, of all tasks in the default resctrl group.",
        is_not: "Not of tasks that somebody moved to another control group; and the processor's count is approximate.",
        labels: &[
            DOMAIN,
            LabelDefinition {
                key: "linux.memory.bandwidth.scope",
                help: "`all` memory, or the `local` one of the cache's own node.",
            },
        ],
        source: "/sys/fs/resctrl/mon_data/mon_L3_*/mbm_{total,local}_bytes",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.cpu.linux.cache.usage",
        unit: "By",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Bytes of the last cache that tasks in the default resctrl group have filled.",
        is_not: "Not what they need: a cache fills up with what nobody reads again.",
        labels: &[DOMAIN],
        source: "/sys/fs/resctrl/mon_data/mon_L3_*/llc_occupancy",
        audience: Audience::Performance,
    },
];

/// File, metric, scope where the metric has one.
static FILES: [(&str, &MetricDefinition, Option<&str>); 3] = [
    ("mbm_total_bytes", &METRICS[0], Some("all")),
    ("mbm_local_bytes", &METRICS[0], Some("local")),
    ("llc_occupancy", &METRICS[1], None),
];

#[derive(Debug)]
struct Bandwidth {
    root: SysRoot,
    files: Vec<Monitor>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Monitor {
    domain: String,
    metric: &'static MetricDefinition,
    scope: Option<&'static str>,
    file: KeptFile,
}

impl Collector for Bandwidth {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.files = find(&self.root)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.files.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/mon_L3_*`");
            return Ok(Presence::Absent(looked_for));
        }
        for monitor in &mut self.files {
            let both = [monitor.domain.as_str(), monitor.scope.unwrap_or_default()];
            let labels = match monitor.scope {
                Some(_) => both.as_slice(),
                None => both.get(..1).unwrap_or_default(),
            };
            match optional(read(&mut monitor.file, &mut self.buffer)) {
                // unmounted since
                Ok(None) => {}
                Ok(Some(Ok(bytes))) => out.sample(monitor.metric, labels, Value::U64(bytes)),
                Ok(Some(Err(reason))) => out.absent(monitor.metric, labels, reason),
                Err(error) => {
                    out.absent(monitor.metric, labels, error.reason);
                    out.failure(error);
                }
            }
        }
        Ok(Presence::Present)
    }
}

/// A number, or a word for why there is none.
fn read(
    file: &mut KeptFile,
    buffer: &mut ReadBuffer,
) -> Result<Result<u64, FailureReason>, CollectError> {
    let path = file.path().to_owned();
    match file.read(buffer)?.trim() {
        "Unavailable" | "Unassigned" => Ok(Err(FailureReason::Unsupported)),
        "Error" => Ok(Err(FailureReason::Io)),
        word => word
            .parse()
            .map(Ok)
            .map_err(|_| malformed(&path, None, "bytes", word)),
    }
}

fn find(root: &SysRoot) -> Result<Vec<Monitor>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let mut found = Vec::new();
    for name in &names {
        let Some(domain) = name.strip_prefix("mon_").filter(|d| d.starts_with("L3_")) else {
            continue;
        };
        for (file, metric, scope) in FILES {
            let path = format!("{DIRECTORY}/{name}/{file}");
            if root.exists(&path) {
                found.push(Monitor {
                    domain: domain.to_owned(),
                    metric,
                    scope,
                    file: KeptFile::attribute(root, &path),
                });
            }
        }
    }
    Ok(found)
}
