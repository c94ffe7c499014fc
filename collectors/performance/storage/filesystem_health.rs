//! What file systems say of their own health and work: ext4, XFS and Btrfs, from `/sys/fs`.
//!
//! Btrfs names its file systems by UUID, which is an identity and is not told: the first device stands for it.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, Spec, SysRoot, scaled};

use crate::labels::DEVICE;
use crate::parts::{counter, names, noted, write_number};

pub(crate) static FILESYSTEM_HEALTH: Spec = Spec {
    name: "filesystem_health",
    summary: "Errors that ext4 and Btrfs found in themselves, and the work of XFS.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(FilesystemHealth { root }),
};

const EXT4: &str = "sys/fs/ext4";
const XFS: &str = "sys/fs/xfs";
const BTRFS: &str = "sys/fs/btrfs";

const TYPE: LabelDefinition = LabelDefinition {
    key: "system.filesystem.type",
    help: "Its type, e.g. `ext4`, `xfs`.",
};
const MEMBER: LabelDefinition = LabelDefinition {
    key: "linux.btrfs.device",
    help: "The number that the file system gave the device.",
};

static METRICS: [MetricDefinition; 8] = [
    counter(
        "system.filesystem.linux.errors",
        "{error}",
        "Damage that the file system found in its own structures since it was checked last.",
        "Not since boot: the number is kept on disk until a check of the file system clears it.",
        &[DEVICE, TYPE],
        "/sys/fs/ext4/*/errors_count",
    ),
    counter(
        "system.filesystem.linux.warnings",
        "{warning}",
        "Warnings of the file system since it was mounted.",
        "Not damage: see `system.filesystem.linux.errors`.",
        &[DEVICE, TYPE],
        "/sys/fs/ext4/*/warning_count",
    ),
    counter(
        "system.filesystem.linux.messages",
        "{message}",
        "Messages of the file system to the kernel's log since it was mounted.",
        "Not damage: most are harmless.",
        &[DEVICE, TYPE],
        "/sys/fs/ext4/*/msg_count",
    ),
    time(
        "system.filesystem.linux.first_error_time",
        "When the file system found the first damage since it was checked last, in seconds since 1970.",
        "/sys/fs/ext4/*/first_error_time",
    ),
    time(
        "system.filesystem.linux.last_error_time",
        "When the file system found the last damage, in seconds since 1970.",
        "/sys/fs/ext4/*/last_error_time",
    ),
    counter(
        "system.filesystem.linux.device_errors",
        "{error}",
        "Errors of one device of the file system, by kind, kept over mounts.",
        "Not since boot: they are kept on disk until somebody resets them.",
        &[
            DEVICE,
            TYPE,
            MEMBER,
            LabelDefinition {
                key: "linux.filesystem.error",
                help: "One of `write`, `read`, `flush`, `corruption`, `generation`.",
            },
        ],
        "/sys/fs/btrfs/*/devinfo/*/error_stats",
    ),
    counter(
        "system.filesystem.linux.operations",
        "{operation}",
        "Work of the file system since it was mounted, by kind.",
        "Not operations of the disk below.",
        &[
            DEVICE,
            TYPE,
            LabelDefinition {
                key: "linux.filesystem.operation",
                help: "What it did, e.g. `extent_allocated`, `log_forced`, `read_called`.",
            },
        ],
        "/sys/fs/xfs/*/stats/stats",
    ),
    counter(
        "system.filesystem.linux.io",
        "By",
        "Bytes that programs read and wrote through the file system since it was mounted, and bytes of its log.",
        "Not what passed the disk: much of it stays in the page cache.",
        &[
            DEVICE,
            TYPE,
            LabelDefinition {
                key: "linux.filesystem.io",
                help: "One of `read`, `write`, `converted`, `log`.",
            },
        ],
        "/sys/fs/xfs/*/stats/stats",
    ),
];
static ERRORS: &MetricDefinition = &METRICS[0];
static WARNINGS: &MetricDefinition = &METRICS[1];
static MESSAGES: &MetricDefinition = &METRICS[2];
static FIRST_ERROR: &MetricDefinition = &METRICS[3];
static LAST_ERROR: &MetricDefinition = &METRICS[4];
static DEVICE_ERRORS: &MetricDefinition = &METRICS[5];
static OPERATIONS: &MetricDefinition = &METRICS[6];
static IO: &MetricDefinition = &METRICS[7];

const fn time(name: &'static str, help: &'static str, source: &'static str) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        ..counter(
            name,
            "s",
            help,
            "Not told where there was none. By the machine's clock of that time, which may have been wrong.",
            &[DEVICE, TYPE],
            source,
        )
    }
}

/// Lines of XFS, and the word for each of their columns; an empty one is left out. See fs/xfs/xfs_stats.c.
const XFS_LINES: [(&str, &[&str]); 4] = [
    (
        "extent_alloc",
        &[
            "extent_allocated",
            "block_allocated",
            "extent_freed",
            "block_freed",
        ],
    ),
    (
        "dir",
        &[
            "directory_looked_up",
            "directory_entry_created",
            "directory_entry_removed",
            "directory_read",
        ],
    ),
    // the second column counts blocks of the log, told as bytes
    (
        "log",
        &[
            "log_written",
            "",
            "log_buffer_waited",
            "log_forced",
            "log_force_waited",
        ],
    ),
    ("rw", &["write_called", "read_called"]),
];

/// The columns of the line `xpc`.
const XFS_BYTES: [&str; 3] = ["converted", "write", "read"];

/// A block of the log of XFS, whatever the file system's own blocks are.
const LOG_BLOCK_BYTES: u64 = 512;

#[derive(Debug)]
struct FilesystemHealth {
    root: SysRoot,
}

impl Collector for FilesystemHealth {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for name in names(&self.root, EXT4)? {
            let directory = format!("{EXT4}/{name}");
            // `features` stands among the file systems
            if self.root.exists(&format!("{directory}/errors_count")) {
                present = true;
                self.write_ext4(&name, &directory, out);
            }
        }
        for name in names(&self.root, XFS)? {
            let path = format!("{XFS}/{name}/stats/stats");
            // `stats`, the sum of all, stands among the file systems
            if let Some(text) = noted(self.root.read_optional_trimmed(&path), out) {
                present = true;
                for (n, line) in text.lines().enumerate() {
                    if let Err(error) = write_xfs(&name, Fields::new(&path, n + 1, line), out) {
                        out.failure(error);
                    }
                }
            } else if self.root.exists(&path) {
                present = true;
            }
        }
        for name in names(&self.root, BTRFS)? {
            present |= self.write_btrfs(&format!("{BTRFS}/{name}"), out);
        }
        if !present {
            let looked_for = "no ext4, XFS or Btrfs in `/sys/fs`".to_owned();
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

impl FilesystemHealth {
    fn write_ext4(&self, device: &str, directory: &str, out: &mut dyn SampleWriter) {
        let labels = [device, "ext4"];
        for (metric, file) in [
            (ERRORS, "errors_count"),
            (WARNINGS, "warning_count"),
            (MESSAGES, "msg_count"),
        ] {
            write_number(
                &self.root,
                &format!("{directory}/{file}"),
                metric,
                &labels,
                out,
            );
        }
        for (metric, file) in [
            (FIRST_ERROR, "first_error_time"),
            (LAST_ERROR, "last_error_time"),
        ] {
            let time = self.root.read_optional_u64(&format!("{directory}/{file}"));
            if let Some(time @ 1..) = noted(time, out) {
                out.sample(metric, &labels, Value::U64(time));
            }
        }
    }

    /// Says whether there is such a file system.
    fn write_btrfs(&self, directory: &str, out: &mut dyn SampleWriter) -> bool {
        let devices = self.root.list(&format!("{directory}/devices"));
        // `features` stands among the file systems
        let Ok(devices) = devices else {
            return false;
        };
        let Some(device) = devices.first() else {
            return false;
        };
        let members = noted(
            names(&self.root, &format!("{directory}/devinfo")).map(Some),
            out,
        );
        for member in members.unwrap_or_default() {
            let path = format!("{directory}/devinfo/{member}/error_stats");
            let Some(text) = noted(self.root.read_optional_trimmed(&path), out) else {
                continue;
            };
            for (n, line) in text.lines().enumerate() {
                let fields = Fields::new(&path, n + 1, line);
                if let Err(error) = write_device_error(device, &member, fields, out) {
                    out.failure(error);
                }
            }
        }
        true
    }
}

/// `write_errs 0`
fn write_device_error(
    device: &str,
    member: &str,
    mut fields: Fields<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    const KINDS: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];
    let name = fields.word("a kind of error")?;
    let count = fields.number("a count")?;
    let kind = name.strip_suffix("_errs").unwrap_or(name);
    if KINDS.contains(&kind) {
        let labels = [device, "btrfs", member, kind];
        out.sample(DEVICE_ERRORS, &labels, Value::U64(count));
    }
    Ok(())
}

/// A name and its columns. Lines that are not known are left alone: each version of the kernel adds some.
fn write_xfs(
    device: &str,
    mut fields: Fields<'_>,
    out: &mut dyn SampleWriter,
) -> Result<(), CollectError> {
    let name = fields.word("a kind of work")?;
    if name == "xpc" {
        for kind in XFS_BYTES {
            let bytes = fields.number("bytes")?;
            out.sample(IO, &[device, "xfs", kind], Value::U64(bytes));
        }
        return Ok(());
    }
    let Some((_, words)) = XFS_LINES.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    for word in *words {
        let count = fields.number("a count")?;
        if !word.is_empty() {
            out.sample(OPERATIONS, &[device, "xfs", word], Value::U64(count));
        } else if let Some(bytes) = scaled(count, LOG_BLOCK_BYTES) {
            out.sample(IO, &[device, "xfs", "log"], Value::U64(bytes));
        }
    }
    Ok(())
}
