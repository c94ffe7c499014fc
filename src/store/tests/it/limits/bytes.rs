//! The folder never holds more bytes than it may: not while a merge writes, not for an instant.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use glasshouse_core::reader::{Aggregation, SampleReader};
use glasshouse_store::faults::{unwatch, watch};
use glasshouse_store::{Retention, Store, StoreError, StoreReader, StoreSettings, stat};

use super::{append, devices};
use crate::common::{S, START, moment, names, query, quick};

fn small(bytes: u64) -> StoreSettings {
    StoreSettings {
        retention: Retention {
            bytes,
            ..Retention::default()
        },
        ..quick()
    }
}

fn folder(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap();
    let lengths = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    lengths.sum()
}

/// Looks before and after everything that this thread does to the disk.
struct Watched(Rc<Cell<u64>>);

impl Watched {
    fn new(dir: &Path, most: u64) -> Self {
        let (largest, dir) = (Rc::new(Cell::new(0)), dir.to_owned());
        let seen = Rc::clone(&largest);
        watch(move || {
            let bytes = folder(&dir);
            seen.set(seen.get().max(bytes));
            assert!(bytes <= most, "{bytes} of {most}: {:?}", names(&dir, ""));
        });
        Self(largest)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        unwatch();
    }
}

/// Hours of noise, of series that come and go. How often something was refused for want of room.
fn churn(store: &mut Store, seconds: std::ops::Range<i64>) -> (usize, usize) {
    let (mut refused, mut merged) = (0, 0);
    for second in seconds.step_by(10) {
        let first = second / 600 * 7;
        match append(store, second, &devices(first..first + 20)) {
            Ok(()) => {}
            Err(StoreError::Full { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        for call in 0..4 {
            let now = moment(START + (second + call) * S, (second + call) * S);
            let done = store.maintain(now).unwrap();
            let is_merged = |name: &&String| name.get(4..16) != name.get(17..29);
            merged += done.written.iter().filter(is_merged).count();
        }
    }
    (refused, merged)
}

#[test]
fn a_full_store_forgets_the_oldest_and_never_grows() {
    for most in [150_000, 400_000] {
        let dir = tempfile::tempdir().unwrap();
        let watched = Watched::new(dir.path(), most);
        let (mut store, _) = Store::open(dir.path(), small(most)).unwrap();
        let (refused, merged) = churn(&mut store, 0..6 * 3600);
        assert_eq!(refused, 0, "there was always something older");
        assert!(merged > 20, "{merged}");
        assert!(watched.0.get() > most / 2, "{} of {most}", watched.0.get());
        let newest = query(
            "m",
            START + 21_000 * S,
            START + 21_600 * S,
            10 * S,
            Aggregation::Last,
        );
        let answer = StoreReader::open(dir.path()).range(&newest).unwrap();
        let values = answer
            .series
            .iter()
            .flat_map(|one| &one.values)
            .flatten()
            .count();
        assert_eq!(values, 60 * 20, "what is new is there");
        // Not everything is lost to rollups, nor to samples.
        let tiers = stat(dir.path()).unwrap().tiers;
        assert!(
            tiers.iter().all(|tier| tier.coverage.bytes > 0),
            "{tiers:?}"
        );
        store.close(moment(START + 21_600 * S, 21_600 * S)).unwrap();
        assert!(folder(dir.path()) <= most);
    }
}

#[test]
fn a_smaller_bound_holds_from_the_start_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), small(u64::MAX)).unwrap();
    churn(&mut store, 0..2 * 3600);
    drop(store);
    let before = folder(dir.path());
    assert!(before > 200_000, "{before}");
    let (mut store, _) = Store::open(dir.path(), small(150_000)).unwrap();
    assert!(folder(dir.path()) <= 150_000);
    let _watched = Watched::new(dir.path(), 150_000);
    let done = store.maintain(moment(START + 7200 * S, 7200 * S)).unwrap();
    assert!(done.expired.len() > 3, "{done:?}");
    assert_eq!(churn(&mut store, 7200..10_000).0, 0);
}

#[test]
fn what_others_leave_in_the_folder_counts_and_at_worst_all_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), small(200_000)).unwrap();
    churn(&mut store, 0..600);
    fs::write(dir.path().join("core.1234"), [0; 120_000]).unwrap();
    drop(store);
    let (mut store, _) = Store::open(dir.path(), small(200_000)).unwrap();
    {
        let _watched = Watched::new(dir.path(), 200_000);
        assert_eq!(churn(&mut store, 600..4000).0, 0);
    }
    fs::write(dir.path().join("core.5678"), [0; 75_000]).unwrap();
    drop(store);
    let (mut store, _) = Store::open(dir.path(), small(200_000)).unwrap();
    let _watched = Watched::new(dir.path(), 200_000);
    let (refused, _) = churn(&mut store, 4000..6000);
    assert!(refused > 100, "{refused}");
    fs::remove_file(dir.path().join("core.1234")).unwrap();
    assert_eq!(churn(&mut store, 6000..7000).0, 0, "there is room again");
}

#[test]
fn what_was_set_aside_goes_before_any_sample() {
    let dir = tempfile::tempdir().unwrap();
    let aside = "raw-000000001001-000000001001.seg.damaged";
    let (mut store, _) = Store::open(dir.path(), small(300_000)).unwrap();
    churn(&mut store, 0..600);
    drop(store);
    fs::write(dir.path().join(aside), [0; 150_000]).unwrap();
    let (mut store, _) = Store::open(dir.path(), small(300_000)).unwrap();
    let _watched = Watched::new(dir.path(), 300_000);
    let mut expired = Vec::new();
    for second in (600..20_000).step_by(10) {
        append(&mut store, second, &devices(0..20)).unwrap();
        let done = store
            .maintain(moment(START + second * S, second * S))
            .unwrap();
        expired.extend(done.expired);
    }
    assert_eq!(expired.first().map(String::as_str), Some(aside));
    assert!(expired.len() > 1, "{expired:?}");
}

#[test]
fn each_tier_keeps_to_its_own_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = small(u64::MAX);
    settings.retention.raw_bytes = Some(60_000);
    settings.retention.minute_bytes = Some(30_000);
    settings.retention.hour_bytes = Some(5_000);
    let (mut store, _) = Store::open(dir.path(), settings.clone()).unwrap();
    let mut written = 0;
    for second in (0..8 * 3600).step_by(10) {
        append(&mut store, second, &devices(0..20)).unwrap();
        let done = store
            .maintain(moment(START + second * S, second * S))
            .unwrap();
        written += done.written.len();
    }
    for tier in stat(dir.path()).unwrap().tiers {
        let most = settings.retention.most_bytes(tier.coverage.resolution);
        assert!(tier.sealed_bytes <= most, "{tier:?}");
        assert!(tier.sealed_bytes > 0, "{tier:?}");
    }
    // Rollups that had to go are not made anew again and again.
    assert!(written < 8 * 36 + 48 * 4 + 50, "{written}");
}
