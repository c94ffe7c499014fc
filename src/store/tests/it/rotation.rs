//! Heads that begin, or cannot begin, and what the numbers in them stand for.

use std::fs;
use std::path::Path;

use crate::common::{S, START, info, moment, names, query, quick};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, SampleReader};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_store::{Batch, SeriesRef, Store, StoreError, StoreReader, StoreSettings};

fn append(store: &mut Store, n: i64, series: SeriesRef) {
    let sample = (series, Some(Value::U64(n.unsigned_abs())), Quality::Good);
    let batch = Batch {
        collector: "x",
        at: moment(START + n * S, n * S),
        samples: &[sample],
    };
    store.append(&batch).unwrap();
}

fn define(store: &mut Store, run: u64, number: u32, metric: &str) -> SeriesRef {
    let info = info(metric, "x", "a", MetricKind::Gauge);
    store.define(run, number, &info).unwrap()
}

fn values(dir: &Path, metric: &str) -> Vec<f64> {
    let query = query(metric, START, START + 20_000 * S, S, Aggregation::Last);
    let answer = StoreReader::open(dir).range(&query).unwrap();
    let series = answer.series.into_iter();
    series.flat_map(|one| one.values).flatten().collect()
}

/// A folder under the name of the next head's temporary stands for a disk that has no room for it.
fn block_heads(dir: &Path) {
    for n in 2..9 {
        fs::create_dir(dir.join(format!("head-{n:012}.log.tmp"))).unwrap();
    }
}

#[test]
fn a_head_that_could_not_begin_gives_no_number_away() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    let old = define(&mut store, 1, 1, "old");
    append(&mut store, 1, old);
    define(&mut store, 2, 1, "other");
    define(&mut store, 3, 1, "other");
    block_heads(dir.path());
    assert!(store.maintain(moment(START + 200 * S, 200 * S)).is_err());
    let new = define(&mut store, 3, 2, "new");
    append(&mut store, 201, new);
    store.close(moment(START + 202 * S, 202 * S)).unwrap_err();
    drop(Store::open(dir.path(), quick()));
    assert_eq!(values(dir.path(), "old"), [1.0]);
    assert_eq!(values(dir.path(), "new"), [201.0]);
}

#[test]
fn a_head_is_not_full_of_what_it_began_with() {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        head_bytes: 2000,
        ..quick()
    };
    let (mut store, _) = Store::open(dir.path(), settings).unwrap();
    let all: Vec<SeriesRef> = (0..100)
        .map(|number| define(&mut store, 1, number, &format!("m{number}")))
        .collect();
    let mut rotated = 0;
    for n in 0..20 {
        append(&mut store, n, all[0]);
        let done = store.maintain(moment(START + n * S, n * S)).unwrap();
        rotated += usize::from(done.rotated);
    }
    // The definitions that came while it was open fill the first one.
    assert_eq!(rotated, 1, "{:?}", names(dir.path(), ""));
}

#[test]
fn a_series_without_samples_is_forgotten_and_can_be_defined_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    let stays = define(&mut store, 1, 1, "stays");
    let rests = define(&mut store, 1, 2, "rests");
    let goes = define(&mut store, 1, 3, "goes");
    append(&mut store, 1, goes);
    append(&mut store, 2, rests);
    // Hours, in which one is read now and then, and the other is not.
    for n in (0..240).map(|n| 3 + n * 50) {
        append(&mut store, n, stays);
        if n == 5003 {
            append(&mut store, n + 1, rests);
        }
        store.maintain(moment(START + n * S, n * S)).unwrap();
        let known = [stays, rests, goes].map(|series| store.knows(series));
        let expected = [true, true, n < 7400];
        assert!(
            known == expected || (7200..7600).contains(&n),
            "{n} {known:?}"
        );
    }
    let numbers = |store: &Store| -> Vec<u32> {
        let definitions = store.definitions(1).into_iter();
        definitions.map(|(number, _)| number).collect()
    };
    assert_eq!(numbers(&store), [1, 2]);
    let again = define(&mut store, 1, 3, "goes");
    append(&mut store, 12_000, again);
    assert_ne!(again, goes);
    drop(store);
    let (store, _) = Store::open(dir.path(), quick()).unwrap();
    assert_eq!(numbers(&store), [1, 2, 3]);
    assert_eq!(values(dir.path(), "goes").len(), 2);
}

#[test]
fn one_series_under_ever_new_numbers_keeps_only_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    for number in 0..100 {
        define(&mut store, 1, number, "again");
    }
    assert_eq!(store.definitions(1).len(), 4);
    assert_eq!(store.definitions(1)[3].0, 99);
}

#[test]
fn heads_with_more_series_than_fit_do_not_hinder_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    let mut wanted = 0;
    let refused = loop {
        let info = info(&format!("m{wanted}"), "x", "a", MetricKind::Gauge);
        match store.define(1, wanted, &info) {
            Ok(_) => wanted += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, StoreError::TooManySeries { .. }),
        "{refused}"
    );
    drop(store);
    // Two heads, each full, of different series.
    let other = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(other.path(), quick()).unwrap();
    define(&mut store, 2, 1, "another");
    drop(store);
    let name = names(other.path(), ".log")[0].clone();
    let mut log = fs::read(dir.path().join(&name)).unwrap();
    let more = fs::read(other.path().join(&name)).unwrap();
    fs::write(dir.path().join("head-000000000002.log"), &more).unwrap();
    let (store, recovery) = Store::open(dir.path(), quick()).unwrap();
    assert_eq!((recovery.forgotten, store.definitions(2).len()), (0, 1));
    drop(store);
    // More in one head than it may hold: its opening is not repeated.
    let definition = more.windows(4).rposition(|four| four == b"GHf1").unwrap();
    log.extend_from_slice(&more[definition..]);
    let full = tempfile::tempdir().unwrap();
    fs::write(full.path().join(&name), &log).unwrap();
    let (store, recovery) = Store::open(full.path(), quick()).unwrap();
    assert_eq!(recovery.forgotten, 1);
    assert_eq!(store.definitions(1).len(), 65_536);
}

#[test]
fn a_head_that_cannot_begin_is_not_tried_each_second() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    let series = define(&mut store, 1, 1, "m");
    append(&mut store, 1, series);
    block_heads(dir.path());
    let failed = (200..440)
        .filter(|n| store.maintain(moment(START + n * S, n * S)).is_err())
        .count();
    assert_eq!(failed, 4);
}
