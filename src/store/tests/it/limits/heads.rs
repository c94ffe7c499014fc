//! Heads that cannot be sealed, and heads that are full, hold up nothing else.

use std::fs;
use std::path::Path;

use glasshouse_core::reader::{Aggregation, SampleReader};
use glasshouse_store::faults::{Operation, counted};
use glasshouse_store::{Store, StoreError, StoreReader};

use super::{append, devices, noise};
use crate::common::{S, START, moment, names, query, quick};

fn run(store: &mut Store, seconds: std::ops::Range<i64>) {
    for second in seconds.step_by(10) {
        append(store, second, &devices(0..1)).unwrap();
        for call in 0..10 {
            drop(store.maintain(moment(START + (second + call) * S, (second + call) * S)));
        }
    }
}

fn is_whole(dir: &Path, to: i64) {
    for step in [10, 60] {
        let query = query("m", START, START + to * S, step * S, Aggregation::Last);
        let answer = StoreReader::open(dir).range(&query).unwrap();
        for (place, value) in (0..).zip(&answer.series[0].values) {
            let second = (place + 1) * step - 10;
            assert_eq!(*value, Some(noise(second, 1)), "{second} by {step}");
        }
    }
}

#[test]
fn a_head_that_cannot_be_sealed_holds_up_no_other_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    // Nothing can be written under this name.
    let blocked = dir.path().join("raw-000000000003-000000000003.seg.tmp");
    fs::create_dir(&blocked).unwrap();
    run(&mut store, 0..3000);
    is_whole(dir.path(), 3000);
    let logs = names(dir.path(), ".log");
    assert_eq!(
        logs.first().map(String::as_str),
        Some("head-000000000003.log")
    );
    assert!(logs.len() <= 4, "{logs:?}");
    let merged = |name: &String| name.starts_with("raw-") && name.get(4..16) != name.get(17..29);
    let merges: Vec<String> = names(dir.path(), ".seg")
        .into_iter()
        .filter(merged)
        .collect();
    assert!(merges.len() >= 4, "{merges:?}");
    // None of them may be taken for what holds that head.
    for name in &merges {
        let number = |range: std::ops::Range<usize>| name.get(range).unwrap().parse().unwrap();
        let (first, last): (u64, u64) = (number(4..16), number(17..29));
        assert!(!(first..=last).contains(&3), "{name}");
    }
    fs::remove_dir(&blocked).unwrap();
    run(&mut store, 3000..6000);
    is_whole(dir.path(), 6000);
    assert!(
        names(dir.path(), ".log")
            .iter()
            .all(|name| name != "head-000000000003.log")
    );
    drop(store);
    drop(Store::open(dir.path(), quick()).unwrap());
    is_whole(dir.path(), 6000);
}

#[test]
fn a_full_head_refuses_by_name_and_is_not_tried_at_each_batch() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    for n in 2..9 {
        fs::create_dir(dir.path().join(format!("head-{n:012}.log.tmp"))).unwrap();
    }
    for _ in 0..65_536 {
        append(&mut store, 1, &devices(0..1)).unwrap();
    }
    let again = |store: &mut Store| {
        counted(|| {
            let refused = (0..100).map(|_| append(store, 2, &devices(0..1)));
            refused
                .filter(|refused| matches!(refused, Err(StoreError::HeadFull)))
                .count()
        })
    };
    let (refused, counts) = again(&mut store);
    // The first one tries it.
    assert_eq!((refused, counts.of(Operation::Create)), (99, 1));
    let late = moment(START + 100 * S, 100 * S);
    drop(store.maintain(late).unwrap_err());
    assert_eq!(again(&mut store).0, 100);
    for n in 2..9 {
        fs::remove_dir(dir.path().join(format!("head-{n:012}.log.tmp"))).unwrap();
    }
    let later = moment(START + 200 * S, 200 * S);
    assert!(store.maintain(later).unwrap().rotated);
    assert_eq!(again(&mut store).0, 0);
}

/// 65,536 batches of one sample and then one of all series would unfold to gigabytes where a head is sealed.
#[test]
fn a_head_ends_before_its_columns_outgrow_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    let many = devices(0..4000);
    append(&mut store, 0, &many).unwrap();
    for second in 1..2200 {
        append(&mut store, second, &many[..1]).unwrap();
    }
    assert_eq!(names(dir.path(), ".log").len(), 2);
}
