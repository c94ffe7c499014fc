//! How full local file systems are. Only on the live machine: a captured tree holds no capacities.
//!
//! Read from `mountinfo`, because that tells a file system's own options from those of one mount of it. A service that
//! systemd protects (`ProtectSystem=`) sees every mount read-only; what a failing disk does is read-only for all. The
//! file of process 1 would show the machine's mounts, but reading it needs the right to trace that process, which is
//! the right to do anything; the file systems behind the mounts are the same.

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
    options: &[
        OptionDefinition {
            name: "exclude_types",
            help: "Types of file systems to leave out: names, or the start of one and `*`. What hangs without its server belongs here.",
            default: OptionDefault::TextList(NOT_LOCAL),
        },
        OptionDefinition {
            name: "exclude_mount_points",
            help: "Mount points to leave out: paths, or the start of one and `*`.",
            default: OptionDefault::TextList(OF_CONTAINERS),
        },
    ],
    interval_seconds: 30,
    needs: "",
    build: |root: SysRoot, options: &Options| {
        Box::new(Filesystem {
            is_live: root.is_live(),
            mounts: KeptFile::table(&root, PATH),
            buffer: ReadBuffer::new(),
            exclude: Patterns::new(options.text_list("exclude_types")),
            exclude_points: Patterns::new(options.text_list("exclude_mount_points")),
        })
    },
};

const PATH: &str = "proc/self/mountinfo";

/// What containers, their volumes and sessions bring along and take away again. The folders themselves may be file
/// systems that fill up, and stay.
const OF_CONTAINERS: &[&str] = &[
    "/run/*",
    "/var/lib/containerd/*",
    "/var/lib/containers/*",
    "/var/lib/docker/*",
    "/var/lib/kubelet/*",
];

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
        source: "/proc/self/mountinfo, statvfs(3)",
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
            // a share it is not, and unit `1` would be called one
            "{state}",
            "1 where the file system is read-only for everybody, else 0.",
            "Not always trouble: but a disk that fails makes ext4 do this. Not whether one mount of it is read-only.",
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
    exclude_points: Patterns,
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
                    if self.exclude.matches(&mount.kind)
                        || self.exclude_points.matches(&mount.point)
                        || !seen.insert(mount.device.clone()) => {}
                Ok(mount) => {
                    mount.write_state(out);
                    match capacity(&mount.point) {
                        Ok(capacity) => mount.write_usage(capacity, out),
                        Err(error) => {
                            out.absent(LIMIT, &mount.labels(), error.reason);
                            out.failure(error);
                        }
                    }
                }
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
    /// `36 35 98:0 / /home rw,noatime master:1 - ext4 /dev/sda3 rw,errors=continue`, see proc_pid_mountinfo(5).
    fn read(mut fields: Fields<'t>) -> Result<Self, CollectError> {
        for what in ["a mount's number", "its parent's", "a device's", "a folder"] {
            fields.word(what)?;
        }
        let point = unescaped(fields.word("a mount point")?);
        fields.word("options of the mount")?;
        while fields.word("`-`")? != "-" {}
        let kind = unescaped(fields.word("a type")?);
        let device = unescaped(fields.word("a device")?);
        let mut options = fields.word("options of the file system")?.split(',');
        Ok(Self {
            device,
            point,
            kind,
            read_only: options.any(|word| word == "ro"),
        })
    }

    fn labels(&self) -> [&str; 3] {
        [&self.device, &self.point, &self.kind]
    }

    fn write_state(&self, out: &mut dyn SampleWriter) {
        let read_only = Value::U64(u64::from(self.read_only));
        out.sample(READ_ONLY, &self.labels(), read_only);
    }

    fn write_usage(&self, capacity: Capacity, out: &mut dyn SampleWriter) {
        let labels = self.labels();
        let [device, point, kind] = labels;
        out.sample(LIMIT, &labels, Value::U64(capacity.bytes));
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
    use glasshouse_sysfs::compliance::{Recording, definition_violations, empty_root_violations};

    use super::*;

    #[test]
    fn a_mount_point_with_a_space_is_told_as_it_is() {
        let line = r"36 35 8:17 / /mnt/my\040disk\134x rw,noatime master:1 - xfs /dev/sdb1 rw";
        let mount = Mount::read(Fields::new(PATH, 1, line)).unwrap();
        assert_eq!(mount.labels(), ["/dev/sdb1", r"/mnt/my disk\x", "xfs"]);
        for cut in [
            "36 35 8:17 / /mnt",
            "36 35 8:17 / /mnt rw shared:1 xfs /dev/sdb1 rw",
        ] {
            assert!(Mount::read(Fields::new(PATH, 1, cut)).is_err(), "{cut}");
        }
    }

    #[test]
    fn read_only_is_what_the_file_system_is_and_not_a_mount_of_it() {
        for (line, read_only) in [
            (
                "36 35 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw,discard",
                false,
            ),
            (
                "36 35 8:1 / / rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro",
                true,
            ),
            (
                "36 35 8:1 / / ro shared:1 master:2 - ext4 /dev/sda1 rw,errors=remount-ro",
                false,
            ),
        ] {
            let mount = Mount::read(Fields::new(PATH, 1, line)).unwrap();
            assert_eq!(mount.read_only, read_only, "{line}");
        }
    }

    #[test]
    fn numbers_of_a_file_system_by_state() {
        let line = "36 35 8:1 / /srv rw - ext4 /dev/sda1 ro";
        let mount = Mount::read(Fields::new(PATH, 1, line)).unwrap();
        let capacity = Capacity {
            bytes: 1000,
            bytes_free: 400,
            bytes_available: 350,
            inodes: 100,
            inodes_free: 60,
        };
        let mut told = Recording::empty();
        mount.write_state(&mut told);
        mount.write_usage(capacity, &mut told);
        let of = "system.device=\"/dev/sda1\",system.filesystem.mountpoint=\"/srv\",system.filesystem.type=\"ext4\"";
        let state = |state: &str| format!("{of},system.filesystem.state=\"{state}\"");
        let mut expected = vec![
            format!("system.filesystem.linux.read_only{{{of}}} 1 {{state}}"),
            format!("system.filesystem.limit{{{of}}} 1000 By"),
        ];
        for (name, bytes) in [("used", 600), ("free", 350), ("reserved", 50)] {
            expected.push(format!(
                "system.filesystem.usage{{{}}} {bytes} By",
                state(name)
            ));
        }
        for (name, inodes) in [("used", 40), ("free", 60)] {
            let state = state(name);
            expected.push(format!(
                "system.filesystem.inodes.usage{{{state}}} {inodes} {{inode}}"
            ));
        }
        expected.sort();
        let text = told.text();
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), expected);

        let mut told = Recording::empty();
        let without_inodes = Capacity {
            inodes: 0,
            ..capacity
        };
        mount.write_usage(without_inodes, &mut told);
        assert!(!told.text().contains("inode"));
    }

    #[test]
    fn what_containers_mount_is_left_out() {
        let exclude = Options::defaults(FILESYSTEM.options);
        let exclude = Patterns::new(exclude.text_list("exclude_mount_points"));
        for point in [
            "/run/user/1000",
            "/run/credentials/x.service",
            "/var/lib/docker/overlay2/ab/merged",
            "/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pvc-2/mount",
        ] {
            assert!(exclude.matches(point), "{point}");
        }
        for point in ["/", "/run", "/var/lib/docker", "/var/lib/kubelet", "/srv"] {
            assert!(!exclude.matches(point), "{point}");
        }
    }

    #[test]
    fn it_is_sound_and_absent_below_a_captured_tree() {
        assert!(definition_violations(&FILESYSTEM).is_empty());
        assert!(empty_root_violations(&FILESYSTEM).is_empty());
    }
}
