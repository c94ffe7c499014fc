//! Heads that begin, or cannot begin, and what the numbers in them stand for.

use std::fs;
use std::path::Path;

use crate::common::{S, START, info, moment, names, query, quick};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, SampleReader};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_store::{Batch, SeriesRef, Store, StoreReader, StoreSettings};

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
    let query = query(metric, START, START + 10_000 * S, S, Aggregation::Last);
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
