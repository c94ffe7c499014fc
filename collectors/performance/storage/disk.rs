//! What block devices did, from `/proc/diskstats`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{
    Fields, KeptFile, Patterns, ReadBuffer, Spec, SysRoot, malformed, presence, ratio, scaled,
};

use crate::labels::{DEVICE, DISK_DIRECTION};

pub(crate) static DISK: Spec = Spec {
    name: "disk",
    summary: "Operations, bytes and time of each block device.",
    metrics: &METRICS,
    facts: &[],
    options: &[
        OptionDefinition {
            name: "exclude",
            help: "Block devices to leave out: names, or the start of one and `*`.",
            default: OptionDefault::TextList(&["loop*", "ram*", "fd*"]),
        },
        OptionDefinition {
            name: "partitions",
            help: "Whether partitions are told beside whole devices.",
            default: OptionDefault::Bool(false),
        },
    ],
    interval_seconds: 1,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(Disk {
            diskstats: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
            exclude: Patterns::new(options.text_list("exclude")),
            partitions: options.is_on("partitions"),
        })
    },
};

const PATH: &str = "proc/diskstats";

/// The kernel counts in these, whatever the device's own sectors are.
const BYTES_PER_SECTOR: u64 = 512;

const MILLISECONDS_PER_SECOND: u32 = 1000;

const fn counter(
    name: &'static str,
    unit: &'static str,
    value: ValueType,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Counter,
        value,
        help,
        is_not,
        labels,
        source: "/proc/diskstats",
        audience: Audience::Operator,
    }
}

/// Discards and flushes move nothing: OpenTelemetry's direction knows `read` and `write` alone, and a sum over it is what
/// passed the wire.
const OPERATION: LabelDefinition = LabelDefinition {
    key: "linux.disk.operation",
    help: "One of `discard`, `flush`.",
};

static METRICS: [MetricDefinition; 11] = [
    counter(
        "system.disk.io",
        "By",
        ValueType::U64,
        "Bytes moved to and from the device since boot.",
        "Not what programs read and wrote: much of that stays in the page cache.",
        &[DEVICE, DISK_DIRECTION],
    ),
    counter(
        "system.disk.operations",
        "{operation}",
        ValueType::U64,
        "Operations that the device completed since boot.",
        "Not what programs asked for: requests are merged and split on the way.",
        &[DEVICE, DISK_DIRECTION],
    ),
    counter(
        "system.disk.merged",
        "{operation}",
        ValueType::U64,
        "Operations since boot that were merged into another before the device saw them.",
        "Not operations of the device.",
        &[DEVICE, DISK_DIRECTION],
    ),
    counter(
        "system.disk.operation_time",
        "s",
        ValueType::F64,
        "Seconds since boot that operations took, each counted on its own.",
        "Not wall time: two operations at once count twice. Divided by operations it is the mean latency.",
        &[DEVICE, DISK_DIRECTION],
    ),
    counter(
        "system.disk.io_time",
        "s",
        ValueType::F64,
        "Seconds since boot in which the device had at least one operation.",
        "Not saturation: a solid-state disk that is always busy may have room for more.",
        &[DEVICE],
    ),
    counter(
        "system.disk.weighted_io_time",
        "s",
        ValueType::F64,
        "Seconds since boot in operations, weighted by how many were under way.",
        "Not wall time: its rate is the mean length of the queue.",
        &[DEVICE],
    ),
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..counter(
            "system.disk.pending_operations",
            "{operation}",
            ValueType::U64,
            "Operations under way at the device now.",
            "Not an average: it is the instant of the reading.",
            &[DEVICE],
        )
    },
    counter(
        "system.disk.linux.discarded",
        "By",
        ValueType::U64,
        "Bytes that the device was told since boot that nobody needs any more.",
        "Not bytes moved: a discard carries no data.",
        &[DEVICE],
    ),
    counter(
        "system.disk.linux.operations",
        "{operation}",
        ValueType::U64,
        "Operations beside reads and writes that the device completed since boot.",
        "Not part of `system.disk.operations`.",
        &[DEVICE, OPERATION],
    ),
    counter(
        "system.disk.linux.merged",
        "{operation}",
        ValueType::U64,
        "Operations beside reads and writes since boot that were merged into another before the device saw them.",
        "Not part of `system.disk.merged`.",
        &[DEVICE, OPERATION],
    ),
    counter(
        "system.disk.linux.operation_time",
        "s",
        ValueType::F64,
        "Seconds since boot that operations beside reads and writes took, each counted on its own.",
        "Not wall time, and not part of `system.disk.operation_time`.",
        &[DEVICE, OPERATION],
    ),
];
static IO: &MetricDefinition = &METRICS[0];
static OPERATIONS: &MetricDefinition = &METRICS[1];
static MERGED: &MetricDefinition = &METRICS[2];
static OPERATION_TIME: &MetricDefinition = &METRICS[3];
static IO_TIME: &MetricDefinition = &METRICS[4];
static WEIGHTED_IO_TIME: &MetricDefinition = &METRICS[5];
static PENDING: &MetricDefinition = &METRICS[6];
static DISCARDED: &MetricDefinition = &METRICS[7];
static OTHER_OPERATIONS: &MetricDefinition = &METRICS[8];
static OTHER_MERGED: &MetricDefinition = &METRICS[9];
static OTHER_OPERATION_TIME: &MetricDefinition = &METRICS[10];

#[derive(Debug)]
struct Disk {
    diskstats: KeptFile,
    buffer: ReadBuffer,
    exclude: Patterns,
    partitions: bool,
}

impl Collector for Disk {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        presence(self.read(out))
    }
}

impl Disk {
    fn read(&mut self, out: &mut dyn SampleWriter) -> Result<(), CollectError> {
        let text = self.diskstats.read(&mut self.buffer)?;
        if text.trim().is_empty() {
            return Err(malformed(PATH, None, "a line for each device", ""));
        }
        let mut whole = "";
        for (n, line) in text.lines().enumerate() {
            let mut fields = Fields::new(PATH, n + 1, line);
            let device = match device_name(&mut fields) {
                Ok(device) => device,
                Err(error) => {
                    out.failure(error);
                    continue;
                }
            };
            let is_partition = is_partition_of(device, whole);
            if !is_partition {
                whole = device;
            }
            if (is_partition && !self.partitions) || self.exclude.matches(device) {
                continue;
            }
            match Stat::read(&mut fields) {
                Ok(stat) => stat.write(device, out),
                Err(error) => out.failure(error),
            }
        }
        Ok(())
    }
}

fn device_name<'t>(fields: &mut Fields<'t>) -> Result<&'t str, CollectError> {
    fields.number("a major number")?;
    fields.number("a minor number")?;
    fields.word("the name of a device")
}

/// Partitions follow their device; the kernel names them by a number, after a `p` where the device ends with a digit.
fn is_partition_of(name: &str, whole: &str) -> bool {
    let Some(rest) = name.strip_prefix(whole) else {
        return false;
    };
    let number = if whole.ends_with(|c: char| c.is_ascii_digit()) {
        rest.strip_prefix('p')
    } else {
        (!whole.is_empty()).then_some(rest)
    };
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The numbers of one line, in the units of the samples.
#[derive(Debug)]
struct Stat {
    read: Direction,
    write: Direction,
    pending: u64,
    io_time: f64,
    weighted_io_time: f64,
    /// Since Linux 4.18.
    discard: Option<Direction>,
    /// Operations and seconds; since Linux 5.5.
    flush: Option<(u64, f64)>,
}

#[derive(Debug)]
struct Direction {
    operations: u64,
    merged: u64,
    bytes: u64,
    seconds: f64,
}

impl Direction {
    fn read(operations: u64, fields: &mut Fields<'_>) -> Result<Self, CollectError> {
        let merged = fields.number("merged operations")?;
        let sectors = fields.number("sectors")?;
        Ok(Self {
            operations,
            merged,
            bytes: scaled(sectors, BYTES_PER_SECTOR)
                .ok_or_else(|| fields.malformed("sectors", &sectors.to_string()))?,
            seconds: seconds(fields)?,
        })
    }

    fn write(&self, device: &str, direction: &str, out: &mut dyn SampleWriter) {
        let labels = [device, direction];
        out.sample(OPERATIONS, &labels, Value::U64(self.operations));
        out.sample(MERGED, &labels, Value::U64(self.merged));
        out.sample(IO, &labels, Value::U64(self.bytes));
        out.sample(OPERATION_TIME, &labels, Value::F64(self.seconds));
    }
}

impl Stat {
    fn read(fields: &mut Fields<'_>) -> Result<Self, CollectError> {
        let count = "completed operations";
        let reads = fields.number(count)?;
        let read = Direction::read(reads, fields)?;
        let writes = fields.number(count)?;
        let write = Direction::read(writes, fields)?;
        let pending = fields.number("operations under way")?;
        let io_time = seconds(fields)?;
        let weighted_io_time = seconds(fields)?;
        let discard = match fields.optional_number(count)? {
            Some(discards) => Some(Direction::read(discards, fields)?),
            None => None,
        };
        let flush = match fields.optional_number(count)? {
            Some(flushes) => Some((flushes, seconds(fields)?)),
            None => None,
        };
        Ok(Self {
            read,
            write,
            pending,
            io_time,
            weighted_io_time,
            discard,
            flush,
        })
    }

    fn write(&self, device: &str, out: &mut dyn SampleWriter) {
        self.read.write(device, "read", out);
        self.write.write(device, "write", out);
        if let Some(discard) = &self.discard {
            let labels = [device, "discard"];
            out.sample(DISCARDED, &[device], Value::U64(discard.bytes));
            out.sample(OTHER_OPERATIONS, &labels, Value::U64(discard.operations));
            out.sample(OTHER_MERGED, &labels, Value::U64(discard.merged));
            out.sample(OTHER_OPERATION_TIME, &labels, Value::F64(discard.seconds));
        }
        if let Some((operations, seconds)) = self.flush {
            let labels = [device, "flush"];
            out.sample(OTHER_OPERATIONS, &labels, Value::U64(operations));
            out.sample(OTHER_OPERATION_TIME, &labels, Value::F64(seconds));
        }
        out.sample(PENDING, &[device], Value::U64(self.pending));
        out.sample(IO_TIME, &[device], Value::F64(self.io_time));
        let weighted = Value::F64(self.weighted_io_time);
        out.sample(WEIGHTED_IO_TIME, &[device], weighted);
    }
}

fn seconds(fields: &mut Fields<'_>) -> Result<f64, CollectError> {
    let milliseconds = fields.number("milliseconds")?;
    Ok(ratio(milliseconds, MILLISECONDS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_sysfs::compliance::record;

    use super::*;

    #[test]
    fn a_direction_is_read_or_write() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host");
        let recording = record(&DISK, &fixture);
        let directed = recording
            .samples
            .iter()
            .filter(|sample| sample.metric.labels.contains(&DISK_DIRECTION));
        for sample in directed {
            assert!(
                ["read", "write"].contains(&sample.labels[1].as_str()),
                "{}",
                sample.name()
            );
        }
        for (metric, operation) in [
            ("system.disk.linux.operations", "discard"),
            ("system.disk.linux.operations", "flush"),
            ("system.disk.linux.operation_time", "flush"),
        ] {
            assert!(recording.value(metric, &["nvme0n1", operation]).is_some());
        }
        assert!(
            recording
                .value("system.disk.linux.discarded", &["nvme0n1"])
                .is_some()
        );
    }

    #[test]
    fn partitions_are_told_by_the_name_of_the_device_before() {
        for (name, whole) in [
            ("sda1", "sda"),
            ("nvme0n1p2", "nvme0n1"),
            ("mmcblk0p1", "mmcblk0"),
            ("vda15", "vda"),
        ] {
            assert!(is_partition_of(name, whole), "{name}");
        }
        for (name, whole) in [
            ("sda", ""),
            ("sdaa", "sda"),
            ("nvme0n12", "nvme0n1"),
            ("dm-1", "dm-0"),
            ("md127", "md12"),
            ("mmcblk0boot0", "mmcblk0"),
        ] {
            assert!(!is_partition_of(name, whole), "{name}");
        }
    }
}
