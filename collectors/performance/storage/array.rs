//! Arrays of the kernel's RAID (md), from `/sys/block/md*/md`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{Fields, Spec, SysRoot, malformed, ratio, scaled};

use crate::labels::DEVICE;
use crate::parts::{counter, names, noted, state, write_absent, write_number, write_state};

pub(crate) static ARRAY: Spec = Spec {
    name: "array",
    summary: "State, missing disks and repairs of the kernel's RAID arrays.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(Array { root }),
};

const DIRECTORY: &str = "sys/block";

const MEMBER: LabelDefinition = LabelDefinition {
    key: "linux.md.member",
    help: "The kernel's name of the member's block device.",
};

const OF_ARRAY: &[LabelDefinition] = &[DEVICE];
const OF_MEMBER: &[LabelDefinition] = &[DEVICE, MEMBER];

const fn gauge(
    name: &'static str,
    unit: &'static str,
    value: ValueType,
    help: &'static str,
    is_not: &'static str,
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Gauge,
        value,
        ..counter(name, unit, help, is_not, OF_ARRAY, source)
    }
}

static METRICS: [MetricDefinition; 9] = [
    state(
        "system.linux.md.state",
        &[
            "clear",
            "inactive",
            "suspended",
            "readonly",
            "read-auto",
            "clean",
            "active",
            "write-pending",
            "active-idle",
            "broken",
            "unknown",
        ],
        "What the array does: `clean` and `active` are at work, `broken` and `inactive` are not.",
        "Not redundancy: an array that is clean may lack a disk, see `system.linux.md.degraded`.",
        OF_ARRAY,
        "/sys/block/md*/md/array_state",
    ),
    gauge(
        "system.linux.md.disks",
        "{disk}",
        ValueType::U64,
        "Disks that the array is made of when it is whole, spares not counted.",
        "Not disks that are there: see `system.linux.md.degraded`.",
        "/sys/block/md*/md/raid_disks",
    ),
    gauge(
        "system.linux.md.degraded",
        "{disk}",
        ValueType::U64,
        "Disks that the array lacks; 0 is whole.",
        "Not told for arrays without redundancy. A disk that is being rebuilt still counts as lacking.",
        "/sys/block/md*/md/degraded",
    ),
    state(
        "system.linux.md.sync",
        &[
            "idle", "frozen", "resync", "recover", "check", "repair", "reshape", "unknown",
        ],
        "What the array repairs or checks now.",
        "Not trouble when it is `check`: distributions check each month.",
        OF_ARRAY,
        "/sys/block/md*/md/sync_action",
    ),
    gauge(
        "system.linux.md.sync.ratio",
        "1",
        ValueType::F64,
        "How much of the repair or check is done, from 0 to 1; not told while there is none.",
        "Not how much of the array is sound.",
        "/sys/block/md*/md/sync_completed",
    ),
    gauge(
        "system.linux.md.sync.speed",
        "By/s",
        ValueType::U64,
        "Bytes per second of the repair or check; not told while there is none.",
        "Not what programs read and write.",
        "/sys/block/md*/md/sync_speed",
    ),
    gauge(
        "system.linux.md.mismatches",
        "{sector}",
        ValueType::U64,
        "Sectors that the last check or repair found to differ between copies.",
        "Not lost data as such: swap on RAID 1 differs by design. It stays until the next check.",
        "/sys/block/md*/md/mismatch_cnt",
    ),
    state(
        "system.linux.md.member.state",
        &[
            "faulty",
            "blocked",
            "in_sync",
            "spare",
            "journal",
            "write_error",
            "want_replacement",
            "unknown",
        ],
        "What the member is to its array; the gravest word where the kernel says several.",
        "Not the health of the disk: a faulty member was thrown out, a disk about to fail may be in sync.",
        OF_MEMBER,
        "/sys/block/md*/md/dev-*/state",
    ),
    counter(
        "system.linux.md.member.errors",
        "{error}",
        "Read errors of the member that the array mended from the others.",
        "Not errors that programs saw. A member that is new in the array begins at 0.",
        OF_MEMBER,
        "/sys/block/md*/md/dev-*/errors",
    ),
];
static STATE: &MetricDefinition = &METRICS[0];
static DISKS: &MetricDefinition = &METRICS[1];
static DEGRADED: &MetricDefinition = &METRICS[2];
static SYNC: &MetricDefinition = &METRICS[3];
static SYNC_RATIO: &MetricDefinition = &METRICS[4];
static SYNC_SPEED: &MetricDefinition = &METRICS[5];
static MISMATCHES: &MetricDefinition = &METRICS[6];
static MEMBER_STATE: &MetricDefinition = &METRICS[7];
static MEMBER_ERRORS: &MetricDefinition = &METRICS[8];

static FACTS: [FactDefinition; 2] = [
    FactDefinition {
        key: "array.level",
        help: "The RAID level, e.g. `raid1`.",
        source: "/sys/block/md*/md/level",
    },
    FactDefinition {
        key: "array.metadata_version",
        help: "The version of what is written on the members.",
        source: "/sys/block/md*/md/metadata_version",
    },
];
static LEVEL: &FactDefinition = &FACTS[0];
static METADATA: &FactDefinition = &FACTS[1];

#[derive(Debug)]
struct Array {
    root: SysRoot,
}

impl Collector for Array {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut present = false;
        for name in names(&self.root, DIRECTORY)? {
            let directory = format!("{DIRECTORY}/{name}/md");
            if !name.starts_with("md") || !self.root.exists(&directory) {
                continue;
            }
            present = true;
            let one = One {
                root: &self.root,
                name: &name,
                directory,
            };
            one.write_states(out);
            one.write_sync(out);
            for number in [(DEGRADED, "degraded"), (MISMATCHES, "mismatch_cnt")] {
                let (metric, file) = number;
                write_number(&self.root, &one.path(file), metric, &[&name], out);
            }
            one.write_members(out);
        }
        if !present {
            let looked_for = format!("no array in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        Ok(Presence::Present)
    }
}

/// One array.
struct One<'a> {
    root: &'a SysRoot,
    name: &'a str,
    directory: String,
}

impl One<'_> {
    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.directory)
    }

    fn word(&self, file: &str, out: &mut dyn SampleWriter) -> Option<String> {
        noted(self.root.read_optional_trimmed(&self.path(file)), out)
    }

    fn write_states(&self, out: &mut dyn SampleWriter) {
        for (metric, file) in [(STATE, "array_state"), (SYNC, "sync_action")] {
            if let Some(word) = self.word(file, out) {
                write_state(metric, &[self.name], &word, out);
            }
        }
        // while it is reshaped the number before follows in parentheses
        if let Some(text) = self.word("raid_disks", out) {
            let path = self.path("raid_disks");
            match Fields::new(&path, 1, &text).number("a number of disks") {
                Ok(disks) => out.sample(DISKS, &[self.name], Value::U64(disks)),
                Err(error) => write_absent(error, DISKS, &[self.name], out),
            }
        }
        let component = format!("array/{}", self.name);
        for (fact, file) in [(LEVEL, "level"), (METADATA, "metadata_version")] {
            if let Some(text) = self.word(file, out) {
                out.fact(fact, &component, &text);
            }
        }
    }

    fn write_sync(&self, out: &mut dyn SampleWriter) {
        const BYTES_PER_KIBIBYTE: u64 = 1024;
        if let Some(text) = self.word("sync_completed", out) {
            match completed(&self.path("sync_completed"), &text) {
                Ok(Some(done)) => out.sample(SYNC_RATIO, &[self.name], Value::F64(done)),
                Ok(None) => {}
                Err(error) => write_absent(error, SYNC_RATIO, &[self.name], out),
            }
        }
        let path = self.path("sync_speed");
        match self.word("sync_speed", out).as_deref() {
            None | Some("none") => {}
            Some(word) => {
                let speed = word.parse().ok();
                match speed.and_then(|speed| scaled(speed, BYTES_PER_KIBIBYTE)) {
                    Some(speed) => out.sample(SYNC_SPEED, &[self.name], Value::U64(speed)),
                    None => out.failure(malformed(&path, None, "KiB per second", word)),
                }
            }
        }
    }

    fn write_members(&self, out: &mut dyn SampleWriter) {
        let files = match self.root.list(&self.directory) {
            Ok(files) => files,
            Err(error) => return out.failure(error),
        };
        for file in &files {
            let Some(member) = file.strip_prefix("dev-").filter(|name| !name.is_empty()) else {
                continue;
            };
            let labels = [self.name, member];
            if let Some(words) = self.word(&format!("{file}/state"), out) {
                write_state(MEMBER_STATE, &labels, gravest(&words), out);
            }
            let errors = self.path(&format!("{file}/errors"));
            write_number(self.root, &errors, MEMBER_ERRORS, &labels, out);
        }
    }
}

/// `none`, `delayed`, or sectors done and to do: `16775552 / 195310144`.
fn completed(path: &str, text: &str) -> Result<Option<f64>, CollectError> {
    if matches!(text, "none" | "delayed") {
        return Ok(None);
    }
    let (done, all) = text
        .split_once('/')
        .ok_or_else(|| malformed(path, None, "sectors `/` sectors", text))?;
    let number = |word: &str| Fields::new(path, 1, word).number("sectors");
    let (done, all) = (number(done)?, number(all)?);
    /// Enough digits for a bar, little enough for exact arithmetic.
    const PARTS: u32 = 1_000_000;
    let parts = u128::from(done.min(all)) * u128::from(PARTS);
    let parts = parts.checked_div(u128::from(all));
    let parts = parts.and_then(|parts| u64::try_from(parts).ok());
    Ok(parts.map(|parts| ratio(parts, PARTS)))
}

/// The word that matters most of a list like `in_sync,write_mostly`.
fn gravest(words: &str) -> &str {
    const BY_GRAVITY: [&str; 7] = [
        "faulty",
        "blocked",
        "write_error",
        "want_replacement",
        "in_sync",
        "spare",
        "journal",
    ];
    BY_GRAVITY
        .into_iter()
        .find(|grave| words.split(',').any(|word| word.trim() == *grave))
        .unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_share() {
        assert_eq!(completed("x", "none").unwrap(), None);
        assert_eq!(completed("x", "delayed").unwrap(), None);
        assert_eq!(completed("x", "50 / 200").unwrap(), Some(0.25));
        assert_eq!(completed("x", "300 / 200").unwrap(), Some(1.0));
        assert_eq!(completed("x", "0 / 0").unwrap(), None);
        for bad in ["", "half", "1 of 2", "-1 / 2"] {
            assert!(completed("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_faulty_member_is_faulty_whatever_else_it_is() {
        assert_eq!(gravest("in_sync,write_mostly"), "in_sync");
        assert_eq!(gravest("faulty,write_error"), "faulty");
        assert_eq!(gravest("external_bbl"), "external_bbl");
    }
}
