//! What the kernel says itself, from `/dev/kmsg`: counted by class, and the messages of known classes as log entries.
//!
//! At the first run everything that the kernel still has is read: hardware errors that firmware reports at boot stand
//! there before anybody could watch. It is told, but not counted: a counter says what came since it began.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use glasshouse_sysfs::{Record, RecordFile, Spec, SysRoot, malformed};

use super::patterns::{self, Pattern};
use super::record::{self, KernelRecord};
use super::subject;

pub(crate) static KERNEL_MESSAGES: Spec = Spec {
    name: "kernel_messages",
    summary: "What the kernel says: errors of hardware, drivers and file systems, lock-ups, killed processes.",
    metrics: &METRICS,
    facts: &[],
    options: &[],
    // one system call where nothing was said; but each class is a sample
    interval_seconds: 5,
    needs: "CAP_SYSLOG where `kernel.dmesg_restrict` is 1",
    build: |root: SysRoot, _: &Options| Box::new(Messages::new(root)),
};

const PATH: &str = "dev/kmsg";
const STAT: &str = "proc/stat";
const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";

/// The kernel: other facilities are what programs wrote into its log.
const KERNEL_FACILITY: u32 = 0;

/// Records of one run. The largest logs hold some 100,000; what is left waits for the next.
const MOST_RECORDS: usize = 8192;

/// Entries of one class about one component that are told within one minute of the kernel's clock: a dying disk says
/// thousands.
const MOST_TOLD_A_MINUTE: u32 = 10;

/// Components of one class that are told apart within one minute; what further ones say is held back. One bad disk must not
/// hide what is said of another.
const MOST_COMPONENTS: usize = 8;

const MICROSECONDS_PER_MINUTE: u64 = 60_000_000;

/// Characters of the boot id that make ids of entries unique: enough for all boots of one machine.
const BOOT_ID_CHARACTERS: usize = 8;

const CLASS: &[LabelDefinition] = &[LabelDefinition {
    key: "linux.kernel.message.class",
    help: "What the message means: `xid`, `hung_task`, `io_error`, `machine_check` and so on.",
}];

static METRICS: [MetricDefinition; 3] = [
    MetricDefinition {
        name: "system.linux.kernel.messages",
        unit: "{message}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Messages of the kernel by what they mean, since Glasshouse began to watch.",
        is_not: "Not faults: one fault may be said in many lines. Messages without a known meaning are not counted.",
        labels: CLASS,
        source: "/dev/kmsg",
        audience: Audience::Operator,
    },
    MetricDefinition {
        name: "system.linux.kernel.messages.held_back",
        unit: "{message}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Messages that were counted but not told as log entries, because their class had told enough that minute.",
        is_not: "Not lost to the kernel's own log.",
        labels: CLASS,
        source: "/dev/kmsg",
        audience: Audience::Glasshouse,
    },
    MetricDefinition {
        name: "system.linux.kernel.messages.lost",
        unit: "{message}",
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help: "Messages that the kernel overwrote before they were read.",
        is_not: "Not known by class: nobody read them.",
        labels: &[],
        source: "/dev/kmsg",
        audience: Audience::Glasshouse,
    },
];
static MESSAGES: &MetricDefinition = &METRICS[0];
static HELD_BACK: &MetricDefinition = &METRICS[1];
static LOST: &MetricDefinition = &METRICS[2];

#[derive(Debug)]
struct Messages {
    root: SysRoot,
    log: RecordFile,
    classes: Vec<Class>,
    /// Whether what was there before the first run has been read.
    caught_up: bool,
    next_sequence: Option<u64>,
    lost: u64,
    boot: Boot,
}

#[derive(Debug)]
struct Class {
    name: &'static str,
    count: u64,
    held_back: u64,
    /// The minute of the kernel's clock, and how many were told in it of each component.
    minute: u64,
    told: Vec<(Box<str>, u32)>,
}

/// What makes times and ids of entries out of the kernel's.
#[derive(Debug, Default)]
struct Boot {
    id: String,
    /// Of this run alone: the clock may have been stepped since.
    started: Option<Timestamp>,
}

impl Collector for Messages {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        match self.log.refresh() {
            Ok(()) => {}
            Err(error) if error.reason == FailureReason::Missing => {
                return Ok(Presence::Absent(format!("no `/{PATH}`")));
            }
            Err(error) => return Err(with_way_out(error)),
        }
        self.boot.started = None;
        let mut is_odd = false;
        for _ in 0..MOST_RECORDS {
            let record = match self.log.read() {
                Ok(Record::One(record)) => record::parse(record),
                // the sequence of the next record says how many
                Ok(Record::Overrun) => continue,
                Ok(Record::End) => {
                    self.caught_up = true;
                    break;
                }
                Err(error) => {
                    out.failure(with_way_out(error));
                    break;
                }
            };
            match record {
                Some(record) => self.take(&record, out),
                None => is_odd = true,
            }
        }
        if is_odd {
            out.failure(malformed(
                PATH,
                None,
                "a prefix and a text",
                "something else",
            ));
        }
        self.write(out);
        Ok(Presence::Present)
    }
}

impl Messages {
    fn new(root: SysRoot) -> Self {
        let classes = patterns::classes().into_iter().map(|name| Class {
            name,
            count: 0,
            held_back: 0,
            minute: 0,
            told: Vec::new(),
        });
        Self {
            log: RecordFile::new(&root, PATH),
            // a captured log is all that there will be
            caught_up: !root.is_live(),
            root,
            classes: classes.collect(),
            next_sequence: None,
            lost: 0,
            boot: Boot::default(),
        }
    }

    fn take(&mut self, record: &KernelRecord, out: &mut dyn SampleWriter) {
        let skipped = self
            .next_sequence
            .and_then(|expected| record.sequence.checked_sub(expected));
        self.lost = self.lost.saturating_add(skipped.unwrap_or(0));
        self.next_sequence = record.sequence.checked_add(1);
        if record.facility != KERNEL_FACILITY {
            return;
        }
        let Some(pattern) = patterns::classify(&record.text) else {
            return;
        };
        let counted = self.caught_up;
        let Some(class) = self
            .classes
            .iter_mut()
            .find(|class| class.name == pattern.class)
        else {
            return;
        };
        class.count += u64::from(counted);
        if class.may_tell(record.microseconds, subject::component(&record.text)) {
            self.boot.prepare(&self.root);
            out.log(self.boot.entry(record, pattern));
        } else {
            class.held_back += u64::from(counted);
        }
    }

    fn write(&self, out: &mut dyn SampleWriter) {
        for class in &self.classes {
            out.sample(MESSAGES, &[class.name], Value::U64(class.count));
            if class.held_back > 0 {
                out.sample(HELD_BACK, &[class.name], Value::U64(class.held_back));
            }
        }
        out.sample(LOST, &[], Value::U64(self.lost));
    }
}

impl Class {
    fn may_tell(&mut self, microseconds: u64, component: &str) -> bool {
        let minute = microseconds / MICROSECONDS_PER_MINUTE;
        if minute != self.minute {
            self.minute = minute;
            self.told.clear();
        }
        let known = self.told.iter_mut().find(|(name, _)| **name == *component);
        if let Some((_, told)) = known {
            *told = told.saturating_add(1);
            return *told <= MOST_TOLD_A_MINUTE;
        }
        let is_room = self.told.len() < MOST_COMPONENTS;
        if is_room {
            self.told.push((component.into(), 1));
        }
        is_room
    }
}

impl Boot {
    /// Reads what is needed, once a run and only where there is something to tell: `/proc/stat` costs the kernel much.
    fn prepare(&mut self, root: &SysRoot) {
        if self.id.is_empty() {
            let id = root.read_optional_trimmed(BOOT_ID).ok().flatten();
            let id = id.unwrap_or_default();
            self.id = id.chars().take(BOOT_ID_CHARACTERS).collect();
        }
        if self.started.is_none() {
            let stat = root.read_text(STAT).unwrap_or_default();
            self.started = stat
                .lines()
                .find_map(|line| line.strip_prefix("btime "))
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Timestamp::from_seconds);
        }
    }

    fn entry(&self, record: &KernelRecord, pattern: &Pattern) -> LogEntry {
        let since_boot = std::time::Duration::from_micros(record.microseconds);
        LogEntry {
            source: LogSource::Kernel,
            origin: Untrusted::new("kmsg"),
            id: Untrusted::new(&format!("{}:{}", self.id, record.sequence)),
            at: self.started.map(|started| started.after(since_boot)),
            severity: pattern.severity,
            code: Untrusted::new(&subject::code(pattern, &record.text)),
            component: Untrusted::new(subject::component(&record.text)),
            text: Untrusted::new(&record.text),
            raw: Vec::new(),
        }
    }
}

fn with_way_out(error: CollectError) -> CollectError {
    if error.reason != FailureReason::Denied {
        return error;
    }
    let detail = format!(
        "{}; grant CAP_SYSLOG, or set kernel.dmesg_restrict=0",
        error.detail
    );
    CollectError { detail, ..error }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glasshouse_sysfs::compliance::{Recording, record};

    use super::*;

    const NAME: &str = "system.linux.kernel.messages";

    fn write(tree: &Path, log: &str) {
        std::fs::create_dir_all(tree.join("dev")).unwrap();
        std::fs::create_dir_all(tree.join("proc/sys/kernel/random")).unwrap();
        std::fs::write(tree.join(PATH), log).unwrap();
        std::fs::write(tree.join(STAT), "cpu 0\nbtime 1700000000\n").unwrap();
        std::fs::write(tree.join(BOOT_ID), "0123abcd-0000-0000-0000-000000000000\n").unwrap();
    }

    #[test]
    fn an_xid_is_counted_and_told_once() {
        let tree = tempfile::tempdir().unwrap();
        let xid = "4,7,5000000,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\\x1b[0m\n SUBSYSTEM=pci\n";
        write(tree.path(), &format!("6,6,4000000,-;hello\n{xid}"));
        let mut collector = (KERNEL_MESSAGES.build)(SysRoot::new(tree.path()), &Options::default());
        let recording = Recording::of(collector.as_mut());
        assert_eq!(recording.value(NAME, &["xid"]), Some(1.0));
        assert_eq!(recording.value(NAME, &["hung_task"]), Some(0.0));
        let entry = recording.entries.first().unwrap();
        assert_eq!(entry.code.raw(), "xid.79");
        assert_eq!(entry.id.raw(), "0123abcd:7");
        assert_eq!(entry.component.raw(), "0000:3b:00");
        assert_eq!(entry.at, Some(Timestamp::from_seconds(1_700_000_005)));
        assert!(entry.text.raw().ends_with("\u{1b}[0m") && !entry.text.clean().contains('\u{1b}'));
        let again = Recording::of(collector.as_mut());
        assert_eq!(again.value(NAME, &["xid"]), Some(1.0));
        assert!(again.entries.is_empty());
    }

    #[test]
    fn what_programs_write_into_the_log_is_not_the_kernel() {
        let tree = tempfile::tempdir().unwrap();
        write(tree.path(), "12,1,5,-;NVRM: Xid (PCI:0000:3b:00): 79, x\n");
        let recording = record(&KERNEL_MESSAGES, tree.path());
        assert_eq!(recording.value(NAME, &["xid"]), Some(0.0));
        assert!(recording.entries.is_empty());
    }

    #[test]
    fn a_storm_is_counted_and_told_in_part() {
        let tree = tempfile::tempdir().unwrap();
        let storm: String = (0..500)
            .map(|n| {
                format!(
                    "3,{n},{},-;I/O error, dev sda, sector {n}\n",
                    60_000_000 + n
                )
            })
            .collect();
        let later = "3,900,120000000,-;I/O error, dev sda, sector 900\n";
        write(tree.path(), &(storm + later));
        let recording = record(&KERNEL_MESSAGES, tree.path());
        assert_eq!(recording.value(NAME, &["io_error"]), Some(501.0));
        assert_eq!(recording.entries.len(), 11);
        let held_back = recording.value("system.linux.kernel.messages.held_back", &["io_error"]);
        assert_eq!(held_back, Some(490.0));
        let lost = recording.value("system.linux.kernel.messages.lost", &[]);
        assert_eq!(lost, Some(400.0), "the sequence jumps");
    }

    #[test]
    fn denial_names_the_way_out() {
        let error = with_way_out(CollectError {
            path: "/dev/kmsg".into(),
            line: None,
            reason: FailureReason::Denied,
            detail: "permission denied".to_owned(),
        });
        assert!(error.detail.contains("CAP_SYSLOG"), "{error}");
    }

    #[test]
    fn a_bad_disk_does_not_hide_another() {
        let mut class = Class {
            name: "io_error",
            count: 0,
            held_back: 0,
            minute: 0,
            told: Vec::new(),
        };
        let told = |class: &mut Class, minute: u64, component: &str| {
            let at = minute * MICROSECONDS_PER_MINUTE;
            (0..100).filter(|_| class.may_tell(at, component)).count()
        };
        assert_eq!(told(&mut class, 1, "sdx"), 10);
        assert_eq!(told(&mut class, 1, "sda"), 10);
        for further in 0..100 {
            told(&mut class, 1, &format!("sd{further}"));
        }
        assert_eq!(class.told.len(), MOST_COMPONENTS);
        assert_eq!(told(&mut class, 1, "sdzz"), 0, "no room in this minute");
        assert_eq!(told(&mut class, 2, "sdzz"), 10);
    }
}
