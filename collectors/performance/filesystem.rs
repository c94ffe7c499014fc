//! How full local file systems are. Only on the live machine: a captured tree holds no capacities.

use std::borrow::Cow;
use std::collections::BTreeSet;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Capacity, Fields, KeptFile, Patterns, ReadBuffer, Spec, SysRoot, capacity};

use crate::labels::DEVICE;

pub(crate) static FILESYSTEM: Spec = Spec {
    name: "filesystem",
    summary: "Bytes and inodes of local file systems.",
    metrics: &METRICS,
    facts: &[],
    options: &[OptionDefinition {
        name: "exclude_types",
        help: "Types of file systems to leave out: names, or the start of one and `*`. What hangs without its server belongs here.",
        default: OptionDefault::TextList(NOT_LOCAL),
    }],
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(Filesystem {
            is_live: root.is_live(),
            mounts: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
            exclude: Patterns::new(options.text_list("exclude_types")),
        })
    },
};

const PATH: &str = "proc/self/mounts";

/// Without a disk of their own, or across a network, where a dead server would hold whoever asks.
const NOT_LOCAL: &[&str] = &[
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "binfmt_misc",
    "bpf",
    "ceph",
    "cgroup*",
    "cifs",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse*",
    "fusectl",
    "glusterfs",
    "gpfs",
    "hugetlbfs",
    "iso9660",
    "lustre",
    "mqueue",
    "nfs*",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smb*",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "virtiofs",
    "wekafs",
];

const MOUNT_POINT: LabelDefinition = LabelDefinition {
    key: "system.filesystem.mountpoint",
    help: "Where it is mounted.",
};
const TYPE: LabelDefinition = LabelDefinition {
    key: "system.filesystem.type",
    help: "Its type, e.g. `ext4`, `xfs`.",
};
const STATE: LabelDefinition = LabelDefinition {
    key: "system.filesystem.state",
    help: "One of `used`, `free`, `reserved`.",
};

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
        source: "/proc/self/mounts, statvfs(3)",
        audience: Audience::Operator,
    }
}

static METRICS: [MetricDefinition; 4] = [
    usage(
        "system.filesystem.usage",
        "By",
        "Bytes of the file system by state; the states sum up to the limit.",
        "Not the size of files: holes, compression and shared blocks make the two differ.",
        &[DEVICE, MOUNT_POINT, TYPE, STATE],
    ),
    usage(
        "system.filesystem.limit",
        "By",
        "Bytes of the file system.",
        "Not the size of the disk: the file system's own structures took theirs before.",
        &[DEVICE, MOUNT_POINT, TYPE],
    ),
    usage(
        "system.filesystem.inodes.usage",
        "{inode}",
        "Inodes of the file system by state.",
        "Not told where a file system has no fixed number of them.",
        &[DEVICE, MOUNT_POINT, TYPE, STATE],
    ),
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..usage(
            "system.filesystem.linux.read_only",
            "1",
            "1 where the file system is mounted read-only, else 0.",
            "Not always trouble: but a disk that fails makes ext4 do this.",
            &[DEVICE, MOUNT_POINT, TYPE],
        )
    },
];
static USAGE: &MetricDefinition = &METRICS[0];
static LIMIT: &MetricDefinition = &METRICS[1];
static INODES: &MetricDefinition = &METRICS[2];
static READ_ONLY: &MetricDefinition = &METRICS[3];

#[derive(Debug)]
struct Filesystem {
    is_live: bool,
    mounts: KeptFile,
    buffer: ReadBuffer,
    exclude: Patterns,
}

impl Collector for Filesystem {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if !self.is_live {
            let why = "a captured tree holds no capacities".to_owned();
            return Ok(Presence::Absent(why));
        }
        let text = self.mounts.read(&mut self.buffer)?;
        let mut seen = BTreeSet::new();
        for (n, line) in text.lines().enumerate() {
            match Mount::read(Fields::new(PATH, n + 1, line)) {
                // a device is told once, however often it is mounted
                Ok(mount)
                    if self.exclude.matches(&mount.kind) || !seen.insert(mount.device.clone()) => {}
                Ok(mount) => match capacity(&mount.point) {
                    Ok(capacity) => mount.write(capacity, out),
                    Err(error) => {
                        out.absent(LIMIT, &mount.labels(), error.reason);
                        out.failure(error);
                    }
                },
                Err(error) => out.failure(error),
            }
        }
        if seen.is_empty() {
            return Ok(Presence::Absent(
                "no local file system is mounted".to_owned(),
            ));
        }
        Ok(Presence::Present)
    }
}

#[derive(Debug)]
struct Mount<'t> {
    device: Cow<'t, str>,
    point: Cow<'t, str>,
    kind: Cow<'t, str>,
    read_only: bool,
}

impl<'t> Mount<'t> {
    /// `/dev/vda / ext4 rw,relatime 0 0`
    fn read(mut fields: Fields<'t>) -> Result<Self, CollectError> {
        Ok(Self {
            device: unescaped(fields.word("a device")?),
            point: unescaped(fields.word("a mount point")?),
            kind: unescaped(fields.word("a type")?),
            read_only: fields.word("options")?.split(',').any(|word| word == "ro"),
        })
    }

    fn labels(&self) -> [&str; 3] {
        [&self.device, &self.point, &self.kind]
    }

    fn write(&self, capacity: Capacity, out: &mut dyn SampleWriter) {
        let labels = self.labels();
        let [device, point, kind] = labels;
        out.sample(LIMIT, &labels, Value::U64(capacity.bytes));
        out.sample(READ_ONLY, &labels, Value::U64(u64::from(self.read_only)));
        let reserved = capacity.bytes_free.saturating_sub(capacity.bytes_available);
        let states = [
            ("used", capacity.bytes.saturating_sub(capacity.bytes_free)),
            ("free", capacity.bytes_free.saturating_sub(reserved)),
            ("reserved", reserved),
        ];
        for (state, bytes) in states {
            out.sample(USAGE, &[device, point, kind, state], Value::U64(bytes));
        }
        if capacity.inodes > 0 {
            let used = capacity.inodes.saturating_sub(capacity.inodes_free);
            for (state, inodes) in [("used", used), ("free", capacity.inodes_free)] {
                out.sample(INODES, &[device, point, kind, state], Value::U64(inodes));
            }
        }
    }
}

/// Undoes what the kernel does to white space and backslashes: `\040` is a space.
fn unescaped(word: &str) -> Cow<'_, str> {
    if !word.contains('\\') {
        return Cow::Borrowed(word);
    }
    const ESCAPES: [(&str, &str); 5] = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\043", "#"),
        ("\\134", "\\"),
    ];
    let mut text = word.to_owned();
    for (escape, plain) in ESCAPES {
        text = text.replace(escape, plain);
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_sysfs::compliance::{definition_violations, empty_root_violations, record};

    use super::*;

    #[test]
    fn a_mount_point_with_a_space_is_told_as_it_is() {
        let line = "/dev/sdb1 /mnt/my\\040disk\\134x xfs ro,noatime 0 0";
        let mount = Mount::read(Fields::new(PATH, 1, line)).unwrap();
        assert_eq!(mount.labels(), ["/dev/sdb1", "/mnt/my disk\\x", "xfs"]);
        assert!(mount.read_only);
        assert!(Mount::read(Fields::new(PATH, 1, "/dev/sdb1 /mnt")).is_err());
    }

    #[test]
    fn it_is_sound_and_absent_below_a_captured_tree() {
        assert!(definition_violations(&FILESYSTEM).is_empty());
        assert!(empty_root_violations(&FILESYSTEM).is_empty());
    }

    #[test]
    fn states_of_a_live_file_system_sum_up_to_its_limit() {
        let live = record(&FILESYSTEM, Path::new("/"));
        assert!(live.failures.is_empty(), "{:?}", live.failures);
        for limit in live
            .samples
            .iter()
            .filter(|s| std::ptr::eq(s.metric, LIMIT))
        {
            let sum: f64 = live
                .samples
                .iter()
                .filter(|s| std::ptr::eq(s.metric, USAGE) && s.labels.starts_with(&limit.labels))
                .map(|s| s.value.unwrap().as_f64())
                .sum();
            assert_eq!(sum, limit.value.unwrap().as_f64(), "{}", limit.name());
        }
    }
}
