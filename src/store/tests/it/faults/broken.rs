//! A sector that the disk never gives back costs its file, and not the node.

use std::path::Path;
use std::time::Duration;

use super::folder;
use super::life::everything;
use crate::common::{S, START, info, moment, names, query, quick};
use glasshouse_core::condition::Severity;
use glasshouse_core::finding::FindingReader;
use glasshouse_core::identity::NodeId;
use glasshouse_core::log::{LogEntry, LogReader, LogSource};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, ReadError, SampleReader, Truncation};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_store::faults::{self, EIO, Fault, Operation, Plan};
use glasshouse_store::findings::{FindingFiles, FindingWriter};
use glasshouse_store::logs::{LogFiles, LogWriter};
use glasshouse_store::{Batch, Keep, Store, StoreReader};

/// From now on files of this name cannot be read.
fn unreadable(name: &str) {
    faults::set(Plan {
        fault: Fault::Error(EIO),
        operations: vec![Operation::Read],
        name: name.to_owned(),
        skip: 0,
        fail: u64::MAX,
    });
}

fn append(store: &mut Store, n: i64) {
    let info = info("m", "x", "a", MetricKind::Gauge);
    let series = store.define(1, 1, &info).unwrap();
    let sample = (series, Some(Value::U64(n.unsigned_abs())), Quality::Good);
    let at = moment(START + n * S, n * S);
    let collector = "x";
    store
        .append(&Batch {
            collector,
            at,
            samples: &[sample],
        })
        .unwrap();
}

fn values(dir: &Path) -> (Vec<f64>, bool) {
    let query = query("m", START, START + 20_000 * S, S, Aggregation::Last);
    let answer = StoreReader::open(dir).range(&query).unwrap();
    let series = answer.series.into_iter();
    let values = series.flat_map(|one| one.values).flatten().collect();
    (values, answer.truncated.has(Truncation::Damage))
}

#[test]
fn a_head_that_cannot_be_read_is_set_aside_and_those_behind_it_are_sealed() {
    let dir = folder();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    append(&mut store, 1);
    unreadable("head-000000000001.log");
    let (mut failed, mut aside) = (0, Vec::new());
    for n in (110..1000).step_by(10) {
        append(&mut store, n);
        match store.maintain(moment(START + n * S, n * S)) {
            Ok(done) => aside.extend(done.set_aside),
            Err(error) => {
                failed += 1;
                assert!(
                    error.to_string().contains("head-000000000001.log"),
                    "{error}"
                );
            }
        }
    }
    assert_eq!(aside, ["head-000000000001.log"]);
    assert_eq!(failed, 2, "it is tried again before");
    assert!(
        names(dir.path(), ".seg").len() > 2,
        "{:?}",
        names(dir.path(), "")
    );
    assert_eq!(values(dir.path()).0.len(), 89 - 1);
    faults::clear();
    drop(store);
    assert!(Store::open(dir.path(), quick()).unwrap().1.is_clean());
}

/// Nothing of these kinds succeeds on files whose name has this in it, once.
fn fails_once(operation: Operation, name: &str) {
    faults::set(Plan {
        fault: Fault::Error(EIO),
        operations: vec![operation],
        name: name.to_owned(),
        skip: 0,
        fail: 1,
    });
}

#[test]
fn a_segment_whose_head_is_to_be_sealed_again_is_not_merged_before() {
    let dir = folder();
    let mut settings = quick();
    settings.retry = Duration::from_secs(1);
    let (mut store, _) = Store::open(dir.path(), settings).unwrap();
    let mut run = |seconds: std::ops::Range<i64>| {
        let mut errors = Vec::new();
        for n in seconds.step_by(10) {
            let done = store.maintain(moment(START + n * S, n * S));
            errors.extend(done.err().map(|error| error.to_string()));
            append(&mut store, n);
        }
        errors
    };
    assert_eq!(run(0..600), [""; 0]);
    // The last head of the stretch: its segment stands, and the folder is not synced.
    let folder = dir.path().file_name().unwrap().to_str().unwrap();
    fails_once(Operation::Sync, folder);
    assert_eq!(run(600..610).len(), 1);
    assert!(names(dir.path(), ".seg").contains(&"raw-000000000006-000000000006.seg".to_owned()));
    // The merge of the others fails too, and the writer looks at what stands there.
    fails_once(Operation::Create, "raw-000000000001-000000000005");
    assert_eq!(run(610..700).len(), 1, "{:?}", names(dir.path(), ""));
    faults::clear();
    assert_eq!(run(700..6000), [""; 0]);
    let seconds: Vec<f64> = (0..6000).step_by(10).map(f64::from).collect();
    assert_eq!(values(dir.path()), (seconds, false));
    drop(store);
    let (_, recovery) = Store::open(dir.path(), quick()).unwrap();
    assert!(recovery.is_clean(), "{recovery:?}");
}

#[test]
fn a_start_goes_on_without_what_it_cannot_read() {
    let dir = folder();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    append(&mut store, 1);
    store.close(moment(START + 2 * S, 2 * S)).unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    append(&mut store, 3);
    drop(store);
    let head = names(dir.path(), ".log").pop().unwrap();
    for name in ["raw-000000000001-000000000001.seg", &head] {
        unreadable(name);
        let (read, says) = values(dir.path());
        assert!(says && read.len() == 1, "{name}: {read:?}");
        let reader = StoreReader::open(dir.path());
        assert_eq!(reader.damaged().unwrap(), [name]);
        let (store, recovery) = Store::open(dir.path(), quick()).unwrap();
        assert_eq!(recovery.set_aside, [name]);
        drop(store);
        faults::clear();
        // Somebody copied it back from the disk.
        let aside = dir.path().join(format!("{name}.damaged"));
        std::fs::rename(aside, dir.path().join(name)).unwrap();
    }
    let (_, recovery) = Store::open(dir.path(), quick()).unwrap();
    assert!(recovery.set_aside.is_empty(), "{recovery:?}");
    assert_eq!(values(dir.path()), (vec![1.0, 3.0], false));
}

#[test]
fn entries_and_events_go_on_without_what_cannot_be_read() {
    let dir = folder();
    let entry = |n: u8| LogEntry {
        source: LogSource::Sel,
        origin: Untrusted::new("bmc"),
        id: Untrusted::new(&n.to_string()),
        at: None,
        severity: Severity::Warning,
        code: Untrusted::new("08h/03"),
        component: Untrusted::new(""),
        text: Untrusted::new("Power supply AC lost"),
        raw: vec![n],
    };
    let at = moment(START, S);
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    writer.append("ipmi", &[entry(1)], at).unwrap();
    drop(writer);
    unreadable("20231114-0000.log");
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    assert_eq!(writer.append("ipmi", &[entry(2)], at).unwrap(), 1);
    let answer = LogFiles::new(dir.path()).entries(&everything()).unwrap();
    assert_eq!((answer.entries.len(), answer.damaged), (1, true));
    faults::clear();
    let answer = LogFiles::new(dir.path()).entries(&everything()).unwrap();
    assert_eq!((answer.entries.len(), answer.damaged), (2, false));
    let dir = folder();
    let node = NodeId::from_bytes([7; 16]);
    let (mut writer, _) = FindingWriter::open(dir.path(), node).unwrap();
    let event = super::life::event(1, None);
    let change = (glasshouse_store::findings::Change::Opened, event);
    let changes = std::slice::from_ref(&change);
    writer.append(changes, at.wall).unwrap();
    drop(writer);
    unreadable("20231114-0000.log");
    let (mut writer, found) = FindingWriter::open(dir.path(), node).unwrap();
    assert!(
        matches!(found.trouble, Some(ReadError::Io { .. })),
        "{found:?}"
    );
    writer.append(&[change], at.wall).unwrap();
    let files = FindingFiles::new(dir.path());
    assert!(files.resolved(super::life::window(), 9).unwrap().damaged);
    faults::clear();
}
