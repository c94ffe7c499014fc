//! Retention beside a clock that was set, and merges that cannot be done.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::common::{S, START, info, moment, names, quick};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_store::{Batch, Retention, Store, StoreSettings};

/// Appends each ten seconds and does what is due, errors or not.
fn run(store: &mut Store, seconds: std::ops::Range<i64>) {
    for n in seconds.step_by(10) {
        let info = info("m", "x", "a", MetricKind::Gauge);
        let series = store.define(1, 1, &info).unwrap();
        let batch = Batch {
            collector: "x",
            at: moment(START + n * S, n * S),
            samples: &[(series, Some(Value::U64(1)), Quality::Good)],
        };
        store.append(&batch).unwrap();
        for call in 0..10 {
            drop(store.maintain(moment(START + (n + call) * S, (n + call) * S)));
        }
    }
}

fn short() -> StoreSettings {
    let age = Duration::from_secs(10 * 86_400);
    StoreSettings {
        retention: Retention {
            raw: age,
            minute: age,
            hour: age,
            bytes: u64::MAX,
            ..Retention::default()
        },
        ..quick()
    }
}

#[test]
fn a_clock_set_forward_does_not_empty_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), short()).unwrap();
    run(&mut store, 0..2000);
    let ahead = |n: i64| moment(START + (n + 30 * 86_400) * S, n * S);
    let before = names(dir.path(), ".seg");
    for n in [2000, 2001, 2002, 50_000] {
        let done = store.maintain(ahead(n)).unwrap();
        assert_eq!(done.expired, [""; 0], "{n}");
    }
    assert!(before.len() >= 3, "{before:?}");
    // Nor does a start with such a clock.
    drop(store);
    let (mut store, _) = Store::open(dir.path(), short()).unwrap();
    assert_eq!(store.maintain(ahead(51_000)).unwrap().expired, [""; 0]);
    // But what goes on for a day is the time.
    let done = store.maintain(ahead(51_000 + 86_400)).unwrap();
    assert!(done.expired.len() >= 3, "{done:?}");
}

#[test]
fn what_was_set_aside_goes_by_age_and_first_by_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let aside = |number: u32, modified: i64| {
        let name = format!("raw-{number:012}-{number:012}.seg.damaged");
        fs::write(dir.path().join(&name), vec![0; 100_000]).unwrap();
        let file = fs::File::options().write(true).open(dir.path().join(&name));
        let modified = UNIX_EPOCH + Duration::from_nanos(modified.unsigned_abs());
        file.unwrap().set_modified(modified).unwrap();
        name
    };
    let old = aside(1001, START - 11 * 86_400 * S);
    let new = aside(1002, START - 9 * 86_400 * S);
    let (mut store, _) = Store::open(dir.path(), short()).unwrap();
    assert_eq!(store.maintain(moment(START, S)).unwrap().expired, [old]);
    run(&mut store, 0..2000);
    drop(store);
    let mut settings = short();
    settings.retention.bytes = 100_000;
    let (mut store, _) = Store::open(dir.path(), settings).unwrap();
    let done = store.maintain(moment(START + 2000 * S, 2000 * S)).unwrap();
    assert_eq!(done.expired, [new]);
}

#[test]
fn a_merge_that_fails_does_not_hold_up_the_others() {
    let merged = |dir: &Path| -> Vec<String> {
        let mut names = names(dir, ".seg");
        names.retain(|name| name.starts_with("raw-") && name.get(4..16) != name.get(17..29));
        names
    };
    let model = tempfile::tempdir().unwrap();
    run(&mut Store::open(model.path(), quick()).unwrap().0, 0..1400);
    let all = merged(model.path());
    assert_eq!(all.len(), 2, "{all:?}");
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    // Nothing can be written under this name.
    let blocked = dir.path().join(format!("{}.tmp", all[0]));
    fs::create_dir(&blocked).unwrap();
    run(&mut store, 0..2000);
    assert_eq!(merged(dir.path()).first(), Some(&all[1]));
    fs::remove_dir(&blocked).unwrap();
    run(&mut store, 2000..5000);
    assert_eq!(merged(dir.path())[..2], all);
}
