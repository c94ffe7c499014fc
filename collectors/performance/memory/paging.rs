//! Page faults, swapping, the search for free memory, NUMA balancing and out-of-memory kills, from `/proc/vmstat`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, KeptFile, ReadBuffer, Spec, SysRoot, malformed, presence};

pub(crate) static PAGING: Spec = Spec {
    name: "paging",
    summary: "Page faults, swapping, what it costs to find memory, NUMA balancing, out-of-memory kills.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 1,
    needs: "",
    build: |root: SysRoot, _: &Options| {
        Box::new(Paging {
            vmstat: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
        })
    },
};

const PATH: &str = "proc/vmstat";

/// How the wanted lines begin, some 20 of 200.
const STARTS: [&str; 9] = [
    "pgfault",
    "pgmajfault",
    "pswp",
    "oom_kill",
    "allocstall",
    "compact_",
    "numa_hint_faults",
    "numa_pages_migrated",
    "workingset_refault",
];

/// Lines that become a sample as they are: key, metric, label.
static PLAIN: [(&str, &MetricDefinition, &str); 8] = [
    ("compact_stall", &METRICS[4], "stall"),
    ("compact_success", &METRICS[4], "success"),
    ("compact_fail", &METRICS[4], "failure"),
    ("numa_hint_faults", &METRICS[5], "fault"),
    ("numa_hint_faults_local", &METRICS[5], "local_fault"),
    ("numa_pages_migrated", &METRICS[5], "migration"),
    ("workingset_refault_anon", &METRICS[6], "anonymous"),
    ("workingset_refault_file", &METRICS[6], "file"),
];

static METRICS: [MetricDefinition; 7] = [
    MetricDefinition {
        name: "system.paging.faults",
        unit: "{fault}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Page faults since boot: `major` ones waited for a disk, `minor` ones did not.",
        is_not: "Not a sign of trouble by itself: starting a program faults its pages in.",
        labels: &[LabelDefinition {
            key: "system.paging.fault.type",
            help: "One of `major`, `minor`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.paging.operations",
        unit: "{operation}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Pages swapped in and out since boot.",
        is_not: "Not reads and writes of files, which the kernel pages too.",
        labels: &[LabelDefinition {
            key: "system.paging.direction",
            help: "One of `in`, `out`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.memory.linux.oom_kills",
        unit: "{process}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Processes that the kernel killed since boot because memory ran out.",
        is_not: "Not limited to the whole machine: a full control group counts too.",
        labels: &[],
        source: "/proc/vmstat",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.memory.linux.reclaim.stalls",
        unit: "{stall}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Times since boot that a program had to free memory itself before it got some.",
        is_not: "Not how long it took, see pressure; and not the kernel's own freeing in the background.",
        labels: &[],
        source: "/proc/vmstat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.memory.linux.compactions",
        unit: "{compaction}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Times since boot that a program had to wait while memory was moved together for a large page, and what came of it.",
        is_not: "Not the kernel's own moving in the background. One stall may be several attempts.",
        labels: &[LabelDefinition {
            key: "linux.memory.compaction.outcome",
            help: "One of `stall` (all that began), `success`, `failure`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.memory.linux.numa.balancing",
        unit: "{page}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Pages since boot that automatic NUMA balancing looked at, found in place, and moved.",
        is_not: "Not accesses to far memory: the kernel samples a few.",
        labels: &[LabelDefinition {
            key: "linux.memory.numa.event",
            help: "One of `fault`, `local_fault`, `migration`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Performance,
    },
    MetricDefinition {
        name: "system.memory.linux.refaults",
        unit: "{page}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Pages since boot that were needed again soon after they had been evicted: memory is short for what runs.",
        is_not: "Not first reads of files.",
        labels: &[LabelDefinition {
            key: "linux.memory.kind",
            help: "One of `anonymous`, `file`.",
        }],
        source: "/proc/vmstat",
        audience: Audience::Performance,
    },
];
static FAULTS: &MetricDefinition = &METRICS[0];
static OPERATIONS: &MetricDefinition = &METRICS[1];
static KILLS: &MetricDefinition = &METRICS[2];
static STALLS: &MetricDefinition = &METRICS[3];

#[derive(Debug)]
struct Paging {
    vmstat: KeptFile,
    buffer: ReadBuffer,
}

impl Collector for Paging {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Paging {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.vmstat.read(&mut self.buffer)?;
        let (mut faults, mut major, mut stalls) = (None, None, None);
        let (mut lines, mut is_whole) = (0, true);
        for (n, line) in text.lines().enumerate() {
            // look before splitting: most lines are not wanted
            if !STARTS.iter().any(|start| line.starts_with(start)) {
                continue;
            }
            match read_line(Fields::new(PATH, n + 1, line)) {
                Ok(("pgfault", count)) => faults = Some(count),
                Ok(("pgmajfault", count)) => major = Some(count),
                Ok(("pswpin", count)) => out.sample(OPERATIONS, &["in"], Value::U64(count)),
                Ok(("pswpout", count)) => out.sample(OPERATIONS, &["out"], Value::U64(count)),
                Ok(("oom_kill", count)) => out.sample(KILLS, &[], Value::U64(count)),
                // one line a zone; before Linux 4.10 one line in all
                Ok((key, count)) if key.starts_with("allocstall") => {
                    stalls = Some(count.saturating_add(stalls.unwrap_or(0)));
                }
                Ok((key, count)) => {
                    let Some((_, metric, word)) = PLAIN.iter().find(|(line, ..)| *line == key)
                    else {
                        continue;
                    };
                    out.sample(metric, &[word], Value::U64(count));
                }
                Err(error) => {
                    // a sum without a part would look like a counter that began anew
                    is_whole &= !line.starts_with("allocstall");
                    out.failure(error);
                }
            }
            lines += 1;
        }
        if lines == 0 {
            return Err(malformed(PATH, None, "a line `pgfault`", text));
        }
        if let Some(stalls) = stalls.filter(|_| is_whole) {
            out.sample(STALLS, &[], Value::U64(stalls));
        }
        if let (Some(faults), Some(major)) = (faults, major) {
            let minor = faults.checked_sub(major).ok_or_else(|| {
                malformed(
                    PATH,
                    None,
                    "`pgmajfault` within `pgfault`",
                    &major.to_string(),
                )
            })?;
            out.sample(FAULTS, &["major"], Value::U64(major));
            out.sample(FAULTS, &["minor"], Value::U64(minor));
        }
        Ok(())
    }
}

fn read_line<'t>(mut fields: Fields<'t>) -> Result<(&'t str, u64), CollectError> {
    Ok((fields.word("a key")?, fields.number("a count")?))
}
