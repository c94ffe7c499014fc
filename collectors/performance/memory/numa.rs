//! Memory of each NUMA node: what it is used for, where allocations ended up, and pages lost to hardware.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, optional, scaled};

pub(crate) static NUMA: Spec = Spec {
    name: "numa",
    summary: "Memory of each NUMA node, where allocations ended up, and pages that failed.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Numa {
            root,
            nodes: Vec::new(),
            runs: 0,
            buffer: ReadBuffer::new(),
        })
    },
};

const DIRECTORY: &str = "sys/devices/system/node";

/// Runs between two looks for nodes, which memory that is plugged in may bring: five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 30;

/// The file says `kB` and means KiB.
const BYTES_PER_KIBIBYTE: u64 = 1024;

const NODE: LabelDefinition = LabelDefinition {
    key: "linux.memory.node",
    help: "The kernel's number of the NUMA node.",
};

static METRICS: [MetricDefinition; 4] = [
    MetricDefinition {
        name: "system.memory.linux.numa.usage",
        unit: "By",
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help: "Memory of each NUMA node by state; the states sum up to what the node has.",
        is_not: "Not what programs have there: `used` includes caches that can be had back.",
        labels: &[
            NODE,
            LabelDefinition {
                key: "system.memory.state",
                help: "One of `used`, `free`.",
            },
        ],
        source: "/sys/devices/system/node/node*/meminfo",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.memory.linux.numa.detail",
        unit: "By",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "Memory of each NUMA node by what the kernel accounts it to.",
        is_not: "Not parts of a whole: the kinds overlap, so they must not be added.",
        labels: &[
            NODE,
            LabelDefinition {
                key: "linux.memory.kind",
                help: "The name of the line in the kernel's file, in our spelling.",
            },
        ],
        source: "/sys/devices/system/node/node*/meminfo",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.memory.linux.numa.allocations",
        unit: "{page}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Pages allocated from each NUMA node since boot, by whether that was where they were wanted.",
        is_not: "Not accesses: memory that is allocated once may be used from afar for ever.",
        labels: &[
            NODE,
            LabelDefinition {
                key: "linux.memory.numa.outcome",
                help: "`hit` as wanted, `miss` wanted elsewhere, `foreign` wanted here but had elsewhere, `local` or `other` by a process of this node or not, `interleave` as wanted by interleaving.",
            },
        ],
        source: "/sys/devices/system/node/node*/numastat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.memory.linux.failed_pages",
        unit: "{page}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Pages of each NUMA node with uncorrectable errors since boot, by what the kernel could do about them.",
        is_not: "Not corrected errors, which cost no page unless firmware or the kernel retires it.",
        labels: &[
            NODE,
            LabelDefinition {
                key: "linux.memory.failure.outcome",
                help: "One of `recovered`, `delayed`, `ignored`, `failed`.",
            },
        ],
        source: "/sys/devices/system/node/node*/memory_failure/*",
        audience: Audience::Operator,
    },
];
static USAGE: &MetricDefinition = &METRICS[0];
static DETAIL: &MetricDefinition = &METRICS[1];
static ALLOCATIONS: &MetricDefinition = &METRICS[2];
static FAILED: &MetricDefinition = &METRICS[3];

/// Lines of `meminfo` that become a sample as they are.
const DETAILS: [(&str, &str); 12] = [
    ("FilePages", "file"),
    ("AnonPages", "anonymous"),
    ("AnonHugePages", "anonymous_huge"),
    ("Mapped", "mapped"),
    ("Shmem", "shared"),
    ("Dirty", "dirty"),
    ("Writeback", "writeback"),
    ("KernelStack", "kernel_stack"),
    ("PageTables", "page_tables"),
    ("SReclaimable", "slab_reclaimable"),
    ("SUnreclaim", "slab_unreclaimable"),
    ("Unevictable", "unevictable"),
];

/// Lines of `numastat`.
const OUTCOMES: [(&str, &str); 6] = [
    ("numa_hit", "hit"),
    ("numa_miss", "miss"),
    ("numa_foreign", "foreign"),
    ("interleave_hit", "interleave"),
    ("local_node", "local"),
    ("other_node", "other"),
];

/// Files of `memory_failure` (since Linux 6.4).
const FAILURES: [&str; 4] = ["recovered", "delayed", "ignored", "failed"];

#[derive(Debug)]
struct Numa {
    root: SysRoot,
    nodes: Vec<Node>,
    runs: u32,
    buffer: ReadBuffer,
}

#[derive(Debug)]
struct Node {
    number: String,
    meminfo: KeptFile,
    numastat: KeptFile,
    failures: Vec<(&'static str, KeptFile)>,
}

impl Collector for Numa {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.nodes = find(&self.root)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.nodes.is_empty() {
            self.runs = 0;
            let looked_for = format!("no `/{DIRECTORY}/node*`");
            return Ok(Presence::Absent(looked_for));
        }
        for node in &mut self.nodes {
            for outcome in [
                node.read_meminfo(&mut self.buffer, out),
                node.read_numastat(&mut self.buffer, out),
            ] {
                // a node may go, or have no memory of its own
                if let Err(error) = optional(outcome) {
                    out.failure(error);
                }
            }
            node.read_failures(&mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

impl Node {
    /// `Node 0 MemTotal:       32581076 kB`; older kernels begin with an empty line.
    fn read_meminfo(
        &mut self,
        buffer: &mut ReadBuffer,
        out: &mut dyn SampleWriter,
    ) -> Result<(), CollectError> {
        let path = self.meminfo.path().to_owned();
        let text = self.meminfo.read(buffer)?;
        let mut known = 0;
        for (n, line) in text.lines().enumerate() {
            match read_line(Fields::new(&path, n + 1, line)) {
                Ok(None) => continue,
                Ok(Some(("MemFree", bytes))) => {
                    out.sample(USAGE, &[&self.number, "free"], Value::U64(bytes));
                }
                Ok(Some(("MemUsed", bytes))) => {
                    out.sample(USAGE, &[&self.number, "used"], Value::U64(bytes));
                }
                Ok(Some((key, bytes))) => {
                    for (_, kind) in DETAILS.iter().filter(|(line, _)| *line == key) {
                        out.sample(DETAIL, &[&self.number, kind], Value::U64(bytes));
                    }
                }
                Err(error) => out.failure(error),
            }
            known += 1;
        }
        if known == 0 {
            return Err(malformed(&path, None, "a line `MemFree`", text));
        }
        Ok(())
    }

    fn read_numastat(
        &mut self,
        buffer: &mut ReadBuffer,
        out: &mut dyn SampleWriter,
    ) -> Result<(), CollectError> {
        let path = self.numastat.path().to_owned();
        let text = self.numastat.read(buffer)?;
        let mut known = 0;
        for (n, line) in text.lines().enumerate() {
            let mut fields = Fields::new(&path, n + 1, line);
            let key = fields.word("a key").unwrap_or_default();
            let Some((_, outcome)) = OUTCOMES.iter().find(|(line, _)| *line == key) else {
                continue;
            };
            known += 1;
            match fields.number("pages") {
                Ok(pages) => {
                    out.sample(ALLOCATIONS, &[&self.number, outcome], Value::U64(pages));
                }
                Err(error) => out.failure(error),
            }
        }
        if known < OUTCOMES.len() {
            return Err(malformed(&path, None, "six known lines", text));
        }
        Ok(())
    }

    fn read_failures(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for (outcome, file) in &mut self.failures {
            match optional(file.read_u64(buffer)) {
                Ok(None) => {}
                Ok(Some(pages)) => {
                    out.sample(FAILED, &[&self.number, outcome], Value::U64(pages));
                }
                Err(error) => {
                    out.absent(FAILED, &[&self.number, outcome], error.reason);
                    out.failure(error);
                }
            }
        }
    }
}

/// The key and the bytes; `None` where the line is of no interest.
fn read_line<'t>(mut fields: Fields<'t>) -> Result<Option<(&'t str, u64)>, CollectError> {
    // `Node`, and its number
    let (Ok("Node"), Ok(_)) = (fields.word("a word"), fields.word("a number")) else {
        return Ok(None);
    };
    let key = fields.word("a key")?.trim_end_matches(':');
    let wanted =
        matches!(key, "MemFree" | "MemUsed") || DETAILS.iter().any(|(line, _)| *line == key);
    if !wanted {
        return Ok(None);
    }
    let kibibytes = fields.number("an amount")?;
    scaled(kibibytes, BYTES_PER_KIBIBYTE)
        .map(|bytes| Some((key, bytes)))
        .ok_or_else(|| fields.malformed("an amount", &kibibytes.to_string()))
}

fn find(root: &SysRoot) -> Result<Vec<Node>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let numbers = names.iter().filter_map(|name| name.strip_prefix("node"));
    Ok(numbers
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|number| {
            let file = |name: &str| format!("{DIRECTORY}/node{number}/{name}");
            let failures = FAILURES.iter().filter_map(|outcome| {
                let path = file(&format!("memory_failure/{outcome}"));
                root.exists(&path)
                    .then(|| (*outcome, KeptFile::attribute(root, &path)))
            });
            Node {
                number: number.to_owned(),
                meminfo: KeptFile::attribute(root, &file("meminfo")),
                numastat: KeptFile::attribute(root, &file("numastat")),
                failures: failures.collect(),
            }
        })
        .collect())
}
