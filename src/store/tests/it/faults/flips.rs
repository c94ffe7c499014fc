//! Any single bit of any file is flipped: nothing panics, no answer is wrong without saying so, what is whole is still
//! answered, and the writer goes on.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{ALL, Random, folder};
use crate::common::{S, START, copy_folder, info, moment, names, query, quick};
use glasshouse_core::condition::Severity;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::finding::{Event, EventId, Finding, FindingReader};
use glasshouse_core::identity::NodeId;
use glasshouse_core::log::{HeardEntry, LogEntry, LogReader, LogSource};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, RangeAnswer, SampleReader, SeriesValues, Truncation};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use glasshouse_store::findings::{Change, Durability, FindingFiles, FindingWriter};
use glasshouse_store::logs::{LogFiles, LogWriter};
use glasshouse_store::{Batch, Keep, Store, StoreError, StoreReader};

/// Series of each form that a column has.
const SERIES: [(&str, MetricKind); 7] = [
    ("constant", MetricKind::Gauge),
    ("whole", MetricKind::Gauge),
    ("float", MetricKind::Gauge),
    ("mixed", MetricKind::Gauge),
    ("holes", MetricKind::Gauge),
    ("state", MetricKind::Gauge),
    ("counter", MetricKind::Counter),
];

fn value(series: &str, n: i64) -> (Option<Value>, Quality) {
    let whole = n.unsigned_abs();
    match series {
        "constant" => (Some(Value::U64(7)), Quality::Good),
        "whole" => (Some(Value::U64(whole * whole % 1009)), Quality::Good),
        "float" => (Some(Value::F64((n as f64).sin())), Quality::Good),
        "mixed" if n % 2 == 0 => (Some(Value::U64(whole)), Quality::Estimated),
        "mixed" => (Some(Value::F64(n as f64 / 3.0)), Quality::Good),
        "holes" if n % 3 == 0 => (None, Quality::Absent(FailureReason::Timeout)),
        "holes" => (Some(Value::F64(n as f64 / 10.0)), Quality::Good),
        "state" => (Some(Value::State(u16::from(n % 5 == 0))), Quality::Good),
        _ => (Some(Value::U64(10 * whole)), Quality::Good),
    }
}

fn append(store: &mut Store, n: i64) {
    let mut samples = Vec::new();
    for (number, (series, kind)) in (1..).zip(SERIES) {
        let mut info = info(series, "x", "a", kind);
        if series == "state" {
            info.states = vec!["off".to_owned(), "on".to_owned()];
        }
        let reference = store.define(1, number, &info).unwrap();
        let (value, quality) = value(series, n);
        samples.push((reference, value, quality));
    }
    let at = moment(START + n * S, n * S);
    let collector = "x";
    store
        .append(&Batch {
            collector,
            at,
            samples: &samples,
        })
        .unwrap();
}

/// The last second of the script.
const END: i64 = 165;

/// A merged segment with its rollups, and a head.
fn origin() -> tempfile::TempDir {
    let dir = folder();
    let mut settings = quick();
    settings.merge = std::time::Duration::from_secs(120);
    let (mut store, _) = Store::open(dir.path(), settings).unwrap();
    for n in (0..END).step_by(5) {
        append(&mut store, n);
        store.maintain(moment(START + n * S, n * S)).unwrap();
    }
    drop(store);
    dir
}

/// What can be asked of a store.
#[derive(Debug, PartialEq)]
struct Answers {
    ranges: Vec<RangeAnswer>,
    damaged: Vec<String>,
}

/// Asks for the samples, and one of three other questions.
fn ask(dir: &Path, which: usize) -> Answers {
    let reader = StoreReader::open(dir);
    let others = [
        (60, Aggregation::Mean),
        (3600, Aggregation::Max),
        (60, Aggregation::Rate),
    ];
    let mut ranges = Vec::new();
    for (step, aggregation) in [(5, Aggregation::Last), others[which % others.len()]] {
        let mut query = query("any", START, START + END * S, step * S, aggregation);
        query.selector.metrics.clear();
        ranges.push(reader.range(&query).unwrap());
    }
    if which == 0 {
        let (selector, now) = (Default::default(), Timestamp::from_nanos(START + END * S));
        reader.latest(&selector, now).unwrap();
        let window = query("any", START, START + END * S, S, Aggregation::Last).window;
        reader.series(&selector, window).unwrap();
    }
    Answers {
        ranges,
        damaged: reader.damaged().unwrap(),
    }
}

/// Each answer is right or says that something is damaged, and no value of a sample is wrong either way.
fn is_right(found: &Answers, right: &Answers, context: &str) {
    for (place, (found, right)) in found.ranges.iter().zip(&right.ranges).enumerate() {
        let says = found.truncated.has(Truncation::Damage);
        assert!(
            says || found == right,
            "{context}: answer {place} is wrong and says nothing"
        );
    }
    invents_nothing(found, right, context);
}

/// Every sample that is there is right.
fn invents_nothing(found: &Answers, right: &Answers, context: &str) {
    let (found, right) = (&found.ranges[0], &right.ranges[0]);
    // Where rollups stand in for samples.
    if found.step != right.step {
        return;
    }
    for series in &found.series {
        let of = |one: &&SeriesValues| one.series.metric == series.series.metric;
        let whole = right.series.iter().find(of);
        let whole = &whole
            .unwrap_or_else(|| panic!("{context}: a series that was not"))
            .values;
        for (value, whole) in series.values.iter().zip(whole) {
            assert!(
                value.is_none() || value == whole,
                "{context}: {value:?}, not {whole:?}"
            );
        }
    }
}

/// How many samples are there.
fn samples(answers: &Answers) -> u64 {
    answers.ranges[0].series.iter().map(|one| one.samples).sum()
}

/// Flips each byte of a file, one bit of it or all in turn, and hands the folder to `read`, which leaves it as it is, and
/// a copy of it now and then to `write`: a writer does a good deal.
fn each_flip(
    origin: &Path,
    name: &str,
    mut read: impl FnMut(&Path, &str),
    mut write: impl FnMut(&Path, &str),
) {
    let is_all = std::env::var(ALL).is_ok_and(|value| value == "all");
    let whole = fs::read(origin.join(name)).unwrap();
    let mut random = Random(0x666c_6970);
    // The files of one source of log entries stand in a folder of its word.
    let (parent, other) = (folder(), folder());
    let (dir, copy) = (parent.path().join("sel"), other.path().join("sel"));
    copy_folder(origin, &dir);
    for at in 0..whole.len() {
        let bit = random.next() % 8;
        for bit in if is_all { 0..8 } else { bit..bit + 1 } {
            let mut bad = whole.clone();
            bad[at] ^= 1 << bit;
            fs::write(dir.join(name), bad).unwrap();
            let context = format!("{name}, bit {bit} of byte {at} of {}", whole.len());
            let checked = catch_unwind(AssertUnwindSafe(|| {
                read(&dir, &context);
                if is_all || at % WRITERS == 0 {
                    copy_folder(&dir, &copy);
                    write(&copy, &context);
                    fs::remove_dir_all(&copy).unwrap();
                }
            }));
            assert!(checked.is_ok(), "{context}");
        }
    }
}

/// A writer opens one flipped file of so many; a number that no length in the files is a multiple of.
const WRITERS: usize = 23;

#[test]
fn any_bit_of_a_store_costs_what_it_hits_and_is_said() {
    let origin = origin();
    let right = [0, 1, 2].map(|which| ask(origin.path(), which));
    assert_eq!(right[0].damaged, [""; 0]);
    let all = names(origin.path(), "");
    for kind in ["raw-", "1m-", "1h-", "head-"] {
        let name = all.iter().find(|name| name.starts_with(kind)).unwrap();
        let (mut noticed, mut asked) = (0, 0);
        each_flip(
            origin.path(),
            name,
            |dir, context| {
                let which = asked % right.len();
                asked += 1;
                let right = &right[which];
                let found = ask(dir, which);
                // The last frame of a head may be torn, or be written at this moment.
                let is_torn = kind == "head-"
                    && found.damaged.is_empty()
                    && samples(right) - samples(&found) == SERIES.len() as u64;
                if is_torn {
                    invents_nothing(&found, right, context);
                } else {
                    is_right(&found, right, context);
                }
                if found == *right {
                    return;
                }
                noticed += 1;
                assert!(
                    is_torn || found.damaged == [name.as_str()],
                    "{context} and nobody says which file"
                );
            },
            |dir, context| mend(dir, &right[0], context),
        );
        assert!(noticed > 20, "{name}: {noticed}");
    }
}

/// A writer opens the folder, and goes on.
fn mend(dir: &Path, right: &Answers, context: &str) {
    let (mut store, _) = match Store::open(dir, quick()) {
        // A flipped version is another version.
        Err(StoreError::OtherVersion { .. }) => return,
        opened => opened.unwrap_or_else(|error| panic!("{context}: {error}")),
    };
    append(&mut store, END);
    for second in 5000..5020 {
        store
            .maintain(moment(START + second * S, second * S))
            .unwrap();
    }
    drop(store);
    let mended = ask(dir, 0);
    assert!(
        mended.ranges[0].step != right.ranges[0].step || samples(&mended) > 0,
        "{context}"
    );
    // What was damaged is given up, and nobody has to say so again.
    invents_nothing(&mended, right, context);
}

const NODE: NodeId = NodeId::from_bytes([7; 16]);

fn event(number: u8) -> Event {
    Event {
        id: EventId::from_bytes([number; 16]),
        node: NODE,
        finding: Finding {
            cause: "bmc.unresponsive".to_owned(),
            severity: Severity::Warning,
            component: Untrusted::new("bmc"),
            source: "ipmi".to_owned(),
            detail: Untrusted::new("no answer"),
            first_seen: Timestamp::from_nanos(START),
            last_seen: Timestamp::from_nanos(START),
            evidence: Vec::new(),
            next_step: "Look at the BMC.".to_owned(),
        },
        resolved: None,
    }
}

#[test]
fn any_bit_of_the_events_costs_what_it_hits_and_is_said() {
    let origin = folder();
    let (mut writer, _) = FindingWriter::open(origin.path(), NODE).unwrap();
    let now = Timestamp::from_nanos(START);
    let events = [1, 2, 3, 4].map(event);
    for one in &events {
        writer
            .append(&[(Change::Opened, one.clone())], now)
            .unwrap();
    }
    writer
        .replace(events.to_vec(), now, Durability::Written)
        .unwrap();
    let ended = |one: &Event| Event {
        resolved: Some(now),
        ..one.clone()
    };
    writer
        .append(&[(Change::Resolved, ended(&events[0]))], now)
        .unwrap();
    writer
        .append(&[(Change::Resolved, ended(&events[1]))], now)
        .unwrap();
    drop(writer);
    let is_known = |one: &Event| {
        events
            .iter()
            .any(|event| *one == *event || *one == ended(event))
    };
    for name in names(origin.path(), "") {
        let read = |dir: &Path, context: &str| {
            let files = FindingFiles::new(dir);
            let resolved = files.resolved(super::life::window(), 100).unwrap();
            assert!(resolved.events.iter().all(is_known), "{context}");
            // The last frame may be torn, or be written at this moment.
            let missing = 2 - resolved.events.len();
            assert!(
                missing == 0 || resolved.damaged || missing == 1,
                "{context}"
            );
            match FindingReader::open(&files) {
                Ok(open) => assert_eq!(open.events.len(), 4, "{context}"),
                Err(error) => assert!(error.to_string().contains("current.json"), "{error}"),
            }
            let is_hit = name.ends_with(".json");
            assert_eq!(FindingReader::open(&files).is_err(), is_hit, "{context}");
        };
        each_flip(origin.path(), &name, read, |dir, context| {
            let files = FindingFiles::new(dir);
            let (mut writer, found) = FindingWriter::open(dir, NODE).unwrap();
            assert!(found.open.iter().all(is_known), "{context}");
            assert!(
                found.trouble.is_some() || found.open.len() >= 2,
                "{context}"
            );
            writer.append(&[(Change::Opened, event(9))], now).unwrap();
            writer
                .replace(vec![event(9)], now, Durability::Written)
                .unwrap();
            assert_eq!(
                FindingReader::open(&files).unwrap().events,
                [event(9)],
                "{context}"
            );
        });
    }
}

#[test]
fn any_bit_of_the_log_entries_costs_what_it_hits_and_is_said() {
    let origin = folder();
    let at = moment(START, S);
    let entry = |n: u8| LogEntry {
        source: LogSource::Sel,
        origin: Untrusted::new("bmc"),
        id: Untrusted::new(&n.to_string()),
        at: Some(at.wall),
        severity: Severity::Warning,
        code: Untrusted::new("08h/03"),
        component: Untrusted::new("PSU 1"),
        text: Untrusted::new("Power supply AC lost"),
        raw: vec![n; 4],
    };
    let all: Vec<LogEntry> = (0..5).map(entry).collect();
    let mut writer = LogWriter::open(origin.path(), Keep::default()).unwrap();
    for one in &all {
        writer
            .append("ipmi", std::slice::from_ref(one), at)
            .unwrap();
    }
    drop(writer);
    let sel = origin.path().join("sel");
    let name = names(&sel, ".log").remove(0);
    let entries = |dir: &Path| {
        let files = LogFiles::new(dir.parent().unwrap());
        files.entries(&super::life::everything()).unwrap()
    };
    let read = |dir: &Path, context: &str| {
        let answer = entries(dir);
        let known = |heard: &HeardEntry| all.contains(&heard.entry);
        assert!(answer.entries.iter().all(known), "{context}");
        let has_last = answer.entries.iter().any(|heard| heard.entry == all[4]);
        // The last one may be torn, or be written at this moment.
        let missing = 5 - answer.entries.len();
        assert!(
            missing == 0 || (missing == 1 && (answer.damaged || !has_last)),
            "{context}"
        );
    };
    each_flip(&sel, &name, read, |dir, context| {
        let known = entries(dir).entries.len();
        let mut writer = LogWriter::open(dir.parent().unwrap(), Keep::default()).unwrap();
        // What was lost is new again, and nothing else.
        assert_eq!(
            writer.append("ipmi", &all, at).unwrap(),
            5 - known,
            "{context}"
        );
        drop(writer);
        assert_eq!(entries(dir).entries.len(), 5, "{context}");
    });
}
