//! The life of a node's files as a script that is the same each time: samples, log entries, events, inventory.
//!
//! Each step takes five seconds of its own clock. Within a hundred steps heads are sealed, merged and rolled up, shards
//! become one, retention takes samples, a file is set aside, and the process is killed once and stops in order once.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::common::{S, START, info, moment, names, query};
use glasshouse_core::condition::Severity;
use glasshouse_core::finding::{Event, EventId, Finding, FindingReader};
use glasshouse_core::identity::NodeId;
use glasshouse_core::log::{LogEntry, LogQuery, LogReader, LogSource};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{
    Aggregation, Inventory, InventoryReader, LinkStatus, ReadError, SampleReader,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Moment, Timestamp, Window};
use glasshouse_store::findings::{Change, Durability, FindingFiles, FindingWriter};
use glasshouse_store::inventory::{self, InventoryFile};
use glasshouse_store::logs::{LogFiles, LogWriter};
use glasshouse_store::{
    Batch, Keep, Recovery, Retention, Store, StoreError, StoreReader, StoreSettings,
};

/// Seconds of a step.
pub(super) const STEP: i64 = 5;

/// Steps of a whole life.
pub(super) const STEPS: i64 = 100;

/// Seconds of a shard: by these samples are taken away.
const SHARD: i64 = 240;

/// Seconds that samples are kept.
const RAW: i64 = 150;

const NODE: NodeId = NodeId::from_bytes([7; 16]);

pub(super) fn settings() -> StoreSettings {
    StoreSettings {
        sync: Duration::from_secs(10),
        rotate: Duration::from_secs(20),
        merge: Duration::from_secs(120),
        shard: Duration::from_secs(SHARD.unsigned_abs()),
        retry: Duration::from_secs(1),
        retention: Retention {
            raw: Duration::from_secs(RAW.unsigned_abs()),
            ..Retention::default()
        },
        ..StoreSettings::default()
    }
}

/// The writers, each of which may have been refused.
#[derive(Default)]
pub(super) struct Life {
    dir: PathBuf,
    store: Option<Store>,
    logs: Option<LogWriter>,
    findings: Option<FindingWriter>,
    /// Batches that were taken.
    pub(super) taken: BTreeSet<i64>,
    /// Batches that were refused.
    pub(super) refused: BTreeSet<i64>,
    /// Entries that were taken, and those that are to be said again.
    pub(super) entries: BTreeSet<i64>,
    unsaid: BTreeSet<i64>,
    /// Events that are open as the files know.
    open: BTreeSet<i64>,
    /// Events that were opened at any time.
    opened: BTreeSet<i64>,
    /// Each refusal: what it said, and the code of the system at the end of the chain.
    pub(super) errors: Vec<(String, Option<i32>)>,
    /// What each start of the store mended.
    pub(super) recoveries: Vec<Recovery>,
}

pub(super) fn now(n: i64) -> Moment {
    moment(START + n * STEP * S, (1000 + n * STEP) * S)
}

impl Life {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            ..Self::default()
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// As if the process had been killed.
    pub(super) fn kill(&mut self) {
        (self.store, self.logs, self.findings) = (None, None, None);
    }

    /// Notes a refusal.
    fn note<T>(&mut self, outcome: Result<T, StoreError>) -> Option<T> {
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let mut cause: &dyn Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let system = cause.downcast_ref::<std::io::Error>();
        let code = system.and_then(std::io::Error::raw_os_error);
        self.errors.push((error.to_string(), code));
        None
    }

    /// Opens what is not open.
    pub(super) fn open(&mut self) {
        if self.store.is_none() {
            let opened = Store::open(&self.folder("store"), settings());
            if let Some((store, recovery)) = self.note(opened) {
                self.store = Some(store);
                self.recoveries.push(recovery);
            }
        }
        if self.logs.is_none() {
            let opened = LogWriter::open(&self.folder("logs"), Keep::default());
            self.logs = self.note(opened);
        }
        if self.findings.is_none() {
            let opened = FindingWriter::open(&self.folder("findings"), NODE);
            if let Some((writer, found)) = self.note(opened) {
                let is_unreadable = matches!(found.trouble, Some(ReadError::Io { .. }));
                assert!(
                    found.trouble.is_none() || is_unreadable,
                    "{:?}",
                    found.trouble
                );
                let open = found.open.iter();
                self.open = open.map(number_of).collect();
                self.opened.extend(&self.open);
                self.findings = Some(writer);
            }
        }
    }

    pub(super) fn step(&mut self, n: i64) {
        if n % 100 == 40 {
            self.kill();
            self.leave_junk(n);
        }
        if n % 100 == 70
            && let Some(store) = self.store.take()
        {
            let closed = store.close(now(n));
            self.note(closed);
        }
        self.open();
        self.append(n);
        self.say(n);
        self.find(n);
        if n % 10 == 0 {
            let written = inventory::write(&self.folder("inventory"), &inventory(n));
            self.note(written);
        }
    }

    /// A segment that makes no sense, of long ago.
    fn leave_junk(&self, n: i64) {
        let name = format!("raw-{:012}-{:012}.seg", 1000 * n, 1000 * n);
        let path = self.folder("store").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A disk that is full has no room for junk.
        let Ok(file) = fs::File::create(&path) else {
            return;
        };
        drop(fs::write(&path, b"no segment"));
        let old = START + (n * STEP - 100) * S;
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(old.unsigned_abs()))
            .unwrap();
    }

    fn append(&mut self, n: i64) {
        let Some(mut store) = self.store.take() else {
            self.refused.insert(n);
            return;
        };
        // First, so that a batch is in no head of the stretch before it.
        let maintained = store.maintain(now(n));
        if let Some(done) = self.note(maintained) {
            assert!(done.lost.is_empty(), "{n}: {done:?}");
        }
        let appended = append(&mut store, n);
        if self.note(appended).is_some() {
            self.taken.insert(n);
        } else {
            self.refused.insert(n);
        }
        self.store = Some(store);
    }

    /// An entry each third step; what was refused is said again, as collectors do.
    fn say(&mut self, n: i64) {
        if n % 3 == 0 {
            self.unsaid.insert(n);
        }
        let Some(mut logs) = self.logs.take() else {
            return;
        };
        let entries: Vec<LogEntry> = self.unsaid.iter().map(|n| entry(*n)).collect();
        let appended = logs.append("ipmi", &entries, now(n));
        if self.note(appended).is_some() {
            self.entries.append(&mut self.unsaid);
        }
        let maintained = logs.maintain(now(n));
        self.note(maintained);
        self.logs = Some(logs);
    }

    /// An event each eighth step, open for four.
    fn find(&mut self, n: i64) {
        let Some(mut findings) = self.findings.take() else {
            return;
        };
        let wanted = open_at(n);
        let opened = wanted.difference(&self.open);
        let resolved = self.open.difference(&wanted);
        let mut changes: Vec<(Change, Event)> =
            opened.map(|k| (Change::Opened, event(*k, None))).collect();
        changes.extend(resolved.map(|k| (Change::Resolved, event(*k, Some(n)))));
        if changes.is_empty() || {
            let appended = findings.append(&changes, now(n).wall);
            self.note(appended).is_some()
        } {
            self.opened.extend(&wanted);
            self.open = wanted;
        }
        let open = self.open.iter().map(|k| event(*k, None)).collect();
        let replaced = findings.replace(open, now(n).wall, Durability::Synced);
        self.note(replaced);
        let maintained = findings.maintain(now(n));
        self.note(maintained);
        self.findings = Some(findings);
    }

    /// Time passes until all that failed has been tried again.
    pub(super) fn rest(&mut self, n: i64) {
        self.open();
        self.say(n);
        self.find(n);
        // A merge that failed three times waits for an hour.
        for second in (0..20).chain(3600..3620) {
            let Some(mut store) = self.store.take() else {
                return;
            };
            let wall = START + (n * STEP) * S;
            let maintained = store.maintain(moment(wall, (1000 + n * STEP + second) * S));
            self.note(maintained);
            self.store = Some(store);
        }
    }

    /// Each refusal names a file of this life and says this reason.
    pub(super) fn errors_say(&self, codes: &[i32]) {
        for (text, code) in &self.errors {
            assert!(
                text.contains(self.dir.to_str().unwrap())
                    && code.is_some_and(|c| codes.contains(&c)),
                "{text}: {code:?}"
            );
        }
    }

    /// What was taken until now is there once, and what was refused is not, but for a batch that a crash may have left.
    pub(super) fn is_whole(&self, n: i64, may_be_there: Option<i64>) {
        self.samples_are_whole(n, may_be_there);
        let logs = LogFiles::new(&self.folder("logs"));
        let answer = logs.entries(&everything()).unwrap();
        let mut found: Vec<String> = answer
            .entries
            .iter()
            .map(|heard| heard.entry.id.raw().to_owned())
            .collect();
        found.sort();
        let mut expected: Vec<String> = self.entries.iter().map(i64::to_string).collect();
        expected.sort();
        found.retain(|id| expected.contains(id) || !self.unsaid.contains(&id.parse().unwrap()));
        assert_eq!(found, expected, "entries at {n}");
        assert!(!answer.damaged, "{n}");
    }

    fn samples_are_whole(&self, n: i64, may_be_there: Option<i64>) {
        let reader = StoreReader::open(&self.folder("store"));
        // Before this, rollups may be all there is.
        let cut = ((n * STEP - RAW).max(0) / SHARD) * SHARD;
        let ask = |from: i64, to: i64, step: i64, metric: &str, aggregation| {
            let query = query(
                metric,
                START + from * S,
                START + to * S,
                step * S,
                aggregation,
            );
            match reader.range(&query) {
                Err(ReadError::Empty { .. }) => Vec::new(),
                answer => answer
                    .unwrap()
                    .series
                    .into_iter()
                    .flat_map(|one| one.values)
                    .collect(),
            }
        };
        let to = (n + 1) * STEP;
        // A head that could not be rotated holds samples of the shard before, and goes with it.
        let cut = if cut > 0 { (cut + 60).min(to) } else { 0 };
        let old = ask(0, cut, 60, "one", Aggregation::Sum);
        let count: f64 = old.into_iter().flatten().sum();
        let is_old = |batch: &&i64| **batch * STEP < cut;
        let least = self.taken.iter().filter(is_old).count();
        let most = least + usize::from(may_be_there.is_some_and(|batch| is_old(&&batch)));
        assert!(
            (least as f64..=most as f64).contains(&count),
            "{count} of {least} at {n}"
        );
        let ones = ask(cut, to, STEP, "one", Aggregation::Sum);
        let numbers = ask(cut, to, STEP, "number", Aggregation::Last);
        for batch in (cut / STEP)..=n {
            let place = usize::try_from(batch - cut / STEP).unwrap();
            let found = ones.get(place).copied().flatten();
            let number = numbers.get(place).copied().flatten();
            if may_be_there == Some(batch) && found.is_none() {
                continue;
            }
            let expected =
                (self.taken.contains(&batch) || may_be_there == Some(batch)).then_some(1.0);
            assert_eq!(found, expected, "batch {batch} at {n}: {:?}", self.errors);
            assert_eq!(
                number,
                expected.map(|_| batch as f64),
                "batch {batch} at {n}"
            );
        }
    }

    /// What another process said of a step that it did.
    pub(super) fn tell(&mut self, n: i64, taken: bool, entry: bool) {
        assert!(taken, "{n}");
        self.taken.insert(n);
        self.entries.extend(entry.then_some(n));
        self.opened.extend(open_at(n));
    }

    /// Checks everything after a step of which nobody knows how far it came, and learns that.
    pub(super) fn learn(&mut self, n: i64) {
        self.unsaid.insert(n);
        self.is_whole(n, Some(n));
        self.unsaid.clear();
        let from = START + n * STEP * S;
        let query = query("one", from, from + S, S, Aggregation::Sum);
        let answer = StoreReader::open(&self.folder("store")).range(&query);
        let has_batch = match answer {
            Err(ReadError::Empty { .. }) => false,
            answer => answer
                .unwrap()
                .series
                .iter()
                .any(|one| one.values.contains(&Some(1.0))),
        };
        let heard = LogFiles::new(&self.folder("logs")).entries(&everything());
        let id = n.to_string();
        let has_entry = heard
            .unwrap()
            .entries
            .iter()
            .any(|heard| heard.entry.id.raw() == id);
        if has_batch {
            self.taken.insert(n);
        } else {
            self.refused.insert(n);
        }
        self.entries.extend(has_entry.then_some(n));
    }

    /// Events as they should be, and no file that nobody needs.
    pub(super) fn is_settled(&mut self, n: i64) {
        let findings = FindingFiles::new(&self.folder("findings"));
        let open = FindingReader::open(&findings).unwrap();
        let open: BTreeSet<i64> = open.events.iter().map(number_of).collect();
        assert_eq!(open, open_at(n), "events at {n}");
        let history = findings.resolved(window(), 1000).unwrap();
        let mut resolved: Vec<i64> = history.events.iter().map(number_of).collect();
        resolved.sort_unstable();
        let opened = self.opened.iter().copied();
        let expected: Vec<i64> = opened.filter(|k| 8 * k + 4 <= n).collect();
        assert_eq!(resolved, expected, "resolved until {n}: {:?}", self.errors);
        self.is_tidy(n);
    }

    /// Nothing stands there that a start would have to mend.
    pub(super) fn is_tidy(&mut self, n: i64) {
        let inventory = InventoryFile::new(&self.folder("inventory"));
        let written = inventory.inventory().unwrap().written;
        assert!(written >= now(n - 20).wall, "{written:?}");
        self.kill();
        let before = names(&self.folder("store"), "");
        let (_, recovery) = Store::open(&self.folder("store"), settings()).unwrap();
        assert!(
            recovery.is_clean(),
            "{recovery:?} of {before:?} {:?}",
            self.errors
        );
    }
}

fn append(store: &mut Store, n: i64) -> Result<(), StoreError> {
    let one = store.define(1, 1, &info("one", "x", "a", MetricKind::Gauge))?;
    let number = store.define(1, 2, &info("number", "x", "a", MetricKind::Counter))?;
    let float = store.define(1, 3, &info("float", "x", "a", MetricKind::Gauge))?;
    let samples = [
        (one, Some(Value::U64(1)), Quality::Good),
        (number, Some(Value::U64(n.unsigned_abs())), Quality::Good),
        (float, Some(Value::F64(n as f64 / 7.0)), Quality::Estimated),
    ];
    store.append(&Batch {
        collector: "x",
        at: now(n),
        samples: &samples,
    })
}

fn entry(n: i64) -> LogEntry {
    LogEntry {
        source: if n % 2 == 0 {
            LogSource::Sel
        } else {
            LogSource::Kernel
        },
        origin: Untrusted::new("bmc"),
        id: Untrusted::new(&n.to_string()),
        at: Some(now(n).wall),
        severity: Severity::Warning,
        code: Untrusted::new("08h/03"),
        component: Untrusted::new("PSU 1"),
        text: Untrusted::new("Power supply AC lost"),
        raw: Vec::new(),
    }
}

pub(super) fn window() -> Window {
    Window {
        from: Timestamp::default(),
        to: Timestamp::from_nanos(i64::MAX),
    }
}

pub(super) fn everything() -> LogQuery {
    LogQuery {
        sources: Vec::new(),
        least: Severity::Info,
        window: window(),
        most: 100_000,
        bytes: u64::MAX,
    }
}

/// The events that are open at a step.
fn open_at(n: i64) -> BTreeSet<i64> {
    let open = (0..=n).filter(|k| 8 * k <= n && n < 8 * k + 4);
    open.collect()
}

fn number_of(event: &Event) -> i64 {
    (event.finding.first_seen.nanos() - START) / (8 * STEP * S)
}

pub(super) fn event(k: i64, resolved: Option<i64>) -> Event {
    let mut id = [9; 16];
    id[..8].copy_from_slice(&k.to_le_bytes());
    Event {
        id: EventId::from_bytes(id),
        node: NODE,
        finding: Finding {
            cause: "bmc.unresponsive".to_owned(),
            severity: Severity::Warning,
            component: Untrusted::new("bmc"),
            source: "ipmi".to_owned(),
            detail: Untrusted::new("no answer"),
            first_seen: now(8 * k).wall,
            last_seen: now(8 * k).wall,
            evidence: vec![glasshouse_core::finding::Evidence {
                name: "number".to_owned(),
                value: k as f64,
                unit: "1".to_owned(),
            }],
            next_step: "Look at the BMC.".to_owned(),
        },
        resolved: resolved.map(|n| now(n).wall),
    }
}

fn inventory(n: i64) -> Inventory {
    Inventory {
        node: NODE,
        host_name: Untrusted::new("rack7-3"),
        written: now(n).wall,
        facts: Vec::new(),
        collectors: Vec::new(),
        link: LinkStatus::default(),
    }
}
