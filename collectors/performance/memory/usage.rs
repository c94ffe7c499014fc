//! Memory and swap space in use, from `/proc/meminfo`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, presence, scaled};

pub(crate) static MEMORY: Spec = Spec {
    name: "memory",
    summary: "Memory, huge pages and swap space by what they are used for.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 1,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Memory {
            meminfo: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
        })
    },
};

const PATH: &str = "proc/meminfo";

/// The file says `kB` and means KiB.
const BYTES_PER_KIBIBYTE: u64 = 1024;

/// All metrics here are read from one file and count what is in use.
const fn usage(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        help,
        is_not,
        labels,
        source: "/proc/meminfo",
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 11] = [
    usage(
        "system.memory.usage",
        "By",
        "Memory by state; the states sum up to the limit.",
        "Not what is left for programs: much of `cached` can be had back, see `system.memory.linux.available`.",
        &[LabelDefinition {
            key: "system.memory.state",
            help: "One of `used`, `free`, `buffers`, `cached`.",
        }],
    ),
    usage(
        "system.memory.limit",
        "By",
        "Memory that the kernel has.",
        "Not what is plugged in: firmware and the kernel's own image took theirs before.",
        &[],
    ),
    usage(
        "system.memory.linux.available",
        "By",
        "Memory that new programs could take without swapping, as the kernel estimates it.",
        "Not exact: it is an estimate, and no promise to a single program.",
        &[],
    ),
    usage(
        "system.memory.linux.shared",
        "By",
        "Memory of tmpfs and shared segments.",
        "Not the memory that programs share by mapping the same file.",
        &[],
    ),
    usage(
        "system.memory.linux.slab.usage",
        "By",
        "Memory of the kernel's caches of small objects.",
        "Not the page cache.",
        &[LabelDefinition {
            key: "linux.memory.slab.state",
            help: "One of `reclaimable`, `unreclaimable`.",
        }],
    ),
    MetricDefinition {
        kind: MetricKind::Gauge,
        audience: Audience::Performance,
        ..usage(
            "system.memory.linux.detail",
            "By",
            "Memory by what the kernel accounts it to.",
            "Not parts of a whole: the kinds overlap, so they must not be added.",
            &[LabelDefinition {
                key: "linux.memory.kind",
                help: "The name of the line in the kernel's file, in our spelling.",
            }],
        )
    },
    usage(
        "system.memory.linux.hugepages.usage",
        "{page}",
        "Huge pages of the default size by state; the states sum up to the limit.",
        "Not transparent huge pages, which come from ordinary memory.",
        &[LabelDefinition {
            key: "system.memory.linux.hugepages.state",
            help: "One of `used`, `free`.",
        }],
    ),
    usage(
        "system.memory.linux.hugepages.limit",
        "{page}",
        "Huge pages of the default size that are set aside.",
        "Not memory that is in use: pages set aside may be free.",
        &[],
    ),
    usage(
        "system.memory.linux.hugepages.page_size",
        "By",
        "The default size of a huge page.",
        "Not the only size: a processor may have several.",
        &[],
    ),
    usage(
        "system.paging.usage",
        "By",
        "Swap space by state, all devices together.",
        "Not swapping: space may be in use since long ago, see `system.paging.operations`.",
        &[LabelDefinition {
            key: "system.paging.state",
            help: "One of `used`, `free`.",
        }],
    ),
    usage(
        "system.paging.limit",
        "By",
        "Swap space, all devices together.",
        "Not memory: programs that need it run slowly.",
        &[],
    ),
];
static USAGE: &MetricDefinition = &METRICS[0];
static LIMIT: &MetricDefinition = &METRICS[1];
static SLAB: &MetricDefinition = &METRICS[4];
static DETAIL: &MetricDefinition = &METRICS[5];
static HUGE_USAGE: &MetricDefinition = &METRICS[6];
static HUGE_LIMIT: &MetricDefinition = &METRICS[7];
static SWAP_USAGE: &MetricDefinition = &METRICS[9];
static SWAP_LIMIT: &MetricDefinition = &METRICS[10];

/// Lines that become a sample as they are.
fn plain(key: &str) -> Option<(&'static MetricDefinition, &'static [&'static str])> {
    Some(match key {
        "MemAvailable" => (&METRICS[2], &[]),
        "Shmem" => (&METRICS[3], &[]),
        "SReclaimable" => (SLAB, &["reclaimable"]),
        "SUnreclaim" => (SLAB, &["unreclaimable"]),
        "Hugepagesize" => (&METRICS[8], &[]),
        "Dirty" => (DETAIL, &["dirty"]),
        "Writeback" => (DETAIL, &["writeback"]),
        "AnonPages" => (DETAIL, &["anonymous"]),
        "AnonHugePages" => (DETAIL, &["anonymous_huge"]),
        "Mapped" => (DETAIL, &["mapped"]),
        "PageTables" => (DETAIL, &["page_tables"]),
        "KernelStack" => (DETAIL, &["kernel_stack"]),
        "Percpu" => (DETAIL, &["per_cpu"]),
        "Unevictable" => (DETAIL, &["unevictable"]),
        "SwapCached" => (DETAIL, &["swap_cached"]),
        "Committed_AS" => (DETAIL, &["committed"]),
        "CommitLimit" => (DETAIL, &["commit_limit"]),
        "HardwareCorrupted" => (DETAIL, &["hardware_corrupted"]),
        _ => return None,
    })
}

/// Lines that are added or subtracted before they become samples.
#[derive(Debug, Default)]
struct Sums {
    total: Option<u64>,
    free: Option<u64>,
    buffers: Option<u64>,
    cached: Option<u64>,
    swap_total: Option<u64>,
    swap_free: Option<u64>,
    huge_total: Option<u64>,
    huge_free: Option<u64>,
}

impl Sums {
    fn slot(&mut self, key: &str) -> Option<&mut Option<u64>> {
        Some(match key {
            "MemTotal" => &mut self.total,
            "MemFree" => &mut self.free,
            "Buffers" => &mut self.buffers,
            "Cached" => &mut self.cached,
            "SwapTotal" => &mut self.swap_total,
            "SwapFree" => &mut self.swap_free,
            "HugePages_Total" => &mut self.huge_total,
            "HugePages_Free" => &mut self.huge_free,
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Memory {
    meminfo: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for Memory {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Memory {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.meminfo.read(&mut self.buffer)?;
        let mut sums = Sums::default();
        let mut known = 0;
        for (n, line) in text.lines().enumerate() {
            match read_line(Fields::new(PATH, n + 1, line), &mut sums, out) {
                Ok(Line::Known) => known += 1,
                Ok(Line::Other) => {}
                Err(error) => out.failure(error),
            }
        }
        if known == 0 {
            return Err(malformed(PATH, None, "a line `MemTotal`", text));
        }
        let huge = (sums.huge_total, sums.huge_free);
        let swap = (sums.swap_total, sums.swap_free);
        // each on its own: what does not fit in one says nothing about the others
        for outcome in [
            write_usage(&sums, out),
            write_pair(huge, HUGE_LIMIT, HUGE_USAGE, out),
            write_pair(swap, SWAP_LIMIT, SWAP_USAGE, out),
        ] {
            if let Err(error) = outcome {
                out.failure(error);
            }
        }
        Ok(())
    }
}

enum Line {
    Known,
    Other,
}

/// `MemTotal:       15666184 kB`, or without a unit where it counts pages.
fn read_line(
    mut fields: Fields<'_>,
    sums: &mut Sums,
    out: &mut dyn SampleWriter,
) -> Result<Line, CollectError> {
    let key = fields.word("a key")?.trim_end_matches(':');
    let plain = plain(key);
    let slot = sums.slot(key);
    if plain.is_none() && slot.is_none() {
        return Ok(Line::Other);
    }
    let number = fields.number("an amount")?;
    let amount = match fields.word("a unit") {
        Ok("kB") => scaled(number, BYTES_PER_KIBIBYTE)
            .ok_or_else(|| fields.malformed("an amount", &number.to_string()))?,
        Ok(other) => return Err(fields.malformed("`kB`", other)),
        Err(_) => number,
    };
    if let Some((metric, labels)) = plain {
        out.sample(metric, labels, Value::U64(amount));
    }
    if let Some(slot) = slot {
        *slot = Some(amount);
    }
    Ok(Line::Known)
}

/// The limit and the parts that are there; what is used only where all are.
fn write_usage(sums: &Sums, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
    if let Some(total) = sums.total {
        out.sample(LIMIT, &[], Value::U64(total));
    }
    let parts = [
        ("free", sums.free),
        ("buffers", sums.buffers),
        ("cached", sums.cached),
    ];
    for (state, bytes) in parts {
        if let Some(bytes) = bytes {
            out.sample(USAGE, &[state], Value::U64(bytes));
        }
    }
    let all = (sums.total, sums.free, sums.buffers, sums.cached);
    let (Some(total), Some(free), Some(buffers), Some(cached)) = all else {
        let expected = "lines `MemTotal`, `MemFree`, `Buffers` and `Cached`";
        return Err(malformed(PATH, None, expected, "fewer"));
    };
    let used = [free, buffers, cached]
        .iter()
        .try_fold(total, |left, part| left.checked_sub(*part))
        .ok_or_else(|| malformed(PATH, None, "parts within `MemTotal`", &total.to_string()))?;
    out.sample(USAGE, &["used"], Value::U64(used));
    Ok(())
}

/// What has a total and a free part. Nothing set aside, or no such lines, is nothing to tell.
fn write_pair(
    pair: (Option<u64>, Option<u64>),
    limit: &'static MetricDefinition,
    usage: &'static MetricDefinition,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    let (Some(total @ 1..), Some(free)) = pair else {
        return Ok(());
    };
    let used = total.checked_sub(free).ok_or_else(|| {
        malformed(
            PATH,
            None,
            "a free part within its total",
            &free.to_string(),
        )
    })?;
    out.sample(limit, &[], Value::U64(total));
    out.sample(usage, &["used"], Value::U64(used));
    out.sample(usage, &["free"], Value::U64(free));
    Ok(())
}

#[cfg(test)]
mod tests {
    use glasshouse_sysfs::compliance::{Recording, record};

    use super::*;

    fn of(meminfo: &str) -> Recording {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("proc")).unwrap();
        std::fs::write(tree.path().join(PATH), meminfo).unwrap();
        record(&MEMORY, tree.path())
    }

    #[test]
    fn what_does_not_fit_costs_nothing_else() {
        let swap = "SwapTotal: 9 kB\nSwapFree: 4 kB\n";
        // more cached than there is; huge pages more free than set aside
        let recording = of(&format!(
            "MemTotal: 10 kB\nMemFree: 3 kB\nBuffers: 1 kB\nCached: 99 kB\n\
             HugePages_Total: 1\nHugePages_Free: 2\n{swap}"
        ));
        assert_eq!(recording.failures.len(), 2, "{:?}", recording.failures);
        for (metric, labels, value) in [
            ("system.memory.limit", &[][..], Some(10240.0)),
            ("system.memory.usage", &["free"], Some(3072.0)),
            ("system.memory.usage", &["used"], None),
            ("system.paging.usage", &["used"], Some(5120.0)),
        ] {
            assert_eq!(
                recording.value(metric, labels),
                value,
                "{metric} {labels:?}"
            );
        }
        let recording = of(&format!("MemTotal: x kB\nMemFree: 3 kB\n{swap}"));
        assert_eq!(recording.failures.len(), 2, "{:?}", recording.failures);
        assert_eq!(recording.value("system.paging.limit", &[]), Some(9216.0));
        assert!(of("MemTotal: x kB\n").outcome.is_err());
    }
}
