//! Room in the kernel's tables: tracked connections, and entropy.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, Spec, SysRoot, optional};

pub(crate) static KERNEL_TABLES: Spec = Spec {
    name: "kernel_tables",
    summary: "Tracked connections and their limit, and the kernel's entropy.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Tables {
            files: FILES
                .map(|(path, metric)| (metric, KeptFile::attribute(&root, path)))
                .into(),
            buffer: ReadBuffer::new(),
        })
    },
};

static FILES: [(&str, &MetricDefinition); 4] = [
    ("proc/sys/net/netfilter/nf_conntrack_count", &METRICS[0]),
    ("proc/sys/net/netfilter/nf_conntrack_max", &METRICS[1]),
    ("proc/sys/kernel/random/entropy_avail", &METRICS[2]),
    ("proc/sys/kernel/random/poolsize", &METRICS[3]),
];

const fn table(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help,
        is_not,
        labels: &[],
        source,
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 4] = [
    table(
        "system.network.linux.conntrack.usage",
        "{connection}",
        "Connections that the firewall tracks.",
        "Not open connections: closed ones stay for a while, and other name spaces have their own count.",
        "/proc/sys/net/netfilter/nf_conntrack_count",
    ),
    table(
        "system.network.linux.conntrack.limit",
        "{connection}",
        "Connections that the firewall can track; beyond it new ones are dropped.",
        "Not a limit of sockets.",
        "/proc/sys/net/netfilter/nf_conntrack_max",
    ),
    table(
        "system.linux.entropy.available",
        "{bit}",
        "Bits of entropy that the kernel credits itself with.",
        "Not what programs may take: since Linux 5.18 it is the size of the pool once it was seeded.",
        "/proc/sys/kernel/random/entropy_avail",
    ),
    table(
        "system.linux.entropy.limit",
        "{bit}",
        "Bits that the kernel's pool of entropy can hold.",
        "Not a quality of random numbers.",
        "/proc/sys/kernel/random/poolsize",
    ),
];

#[derive(Debug)]
struct Tables {
    files: Vec<(&'static MetricDefinition, KeptFile)>,
    buffer: ReadBuffer,
}

impl Collector for Tables {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for (metric, file) in &mut self.files {
            match optional(file.read_u64(&mut self.buffer)) {
                Ok(None) => continue,
                Ok(Some(number)) => out.sample(metric, &[], Value::U64(number)),
                Err(error) => {
                    out.absent(metric, &[], error.reason);
                    out.failure(error);
                }
            }
            present = true;
        }
        if !present {
            let looked_for = "no `/proc/sys/net/netfilter` and no `/proc/sys/kernel/random`";
            return Ok(Presence::Absent(looked_for.to_owned()));
        }
        Ok(Presence::Present)
    }
}
