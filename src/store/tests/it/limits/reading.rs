//! What a question reads, what it is told of that, and what it cannot be told.

use std::path::Path;
use std::time::Duration;

use glasshouse_core::reader::{Aggregation, RangeAnswer, RangeQuery, SampleReader, Truncation};
use glasshouse_store::faults::counted;
use glasshouse_store::{Retention, Store, StoreReader, StoreSettings};

use super::{append, devices, noise};
use crate::common::{S, START, close, moment, query};

const DAY: i64 = 86_400;

/// Each ten minutes, with heads of two hours.
fn slow(raw: i64) -> StoreSettings {
    StoreSettings {
        rotate: Duration::from_secs(7200),
        merge: Duration::from_secs(DAY.unsigned_abs()),
        retention: Retention {
            raw: Duration::from_secs(raw.unsigned_abs()),
            ..Retention::default()
        },
        ..StoreSettings::default()
    }
}

fn fill(dir: &Path, settings: StoreSettings, days: i64, series: i64) {
    let (mut store, _) = Store::open(dir, settings).unwrap();
    for second in (0..days * DAY).step_by(600) {
        append(&mut store, second, &devices(0..series)).unwrap();
        for call in 0..3 {
            store
                .maintain(moment(START + (second + call) * S, (second + call) * S))
                .unwrap();
        }
    }
}

/// What a reader that has seen nothing yet answers, and what it reads for it.
fn cold(dir: &Path, query: &RangeQuery) -> (RangeAnswer, u64) {
    let (answer, counts) = counted(|| StoreReader::open(dir).range(query).unwrap());
    assert_eq!(
        answer.bytes_read, counts.read,
        "what is said to be read is what is read"
    );
    (answer, counts.read)
}

#[test]
fn one_series_of_a_fortnight_is_read_without_the_others() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), slow(30 * DAY), 14, 40);
    let ask = |device: &str| {
        let mut query = query("m", START, START + 14 * DAY * S, 600 * S, Aggregation::Max);
        query.selector.labels = vec![("system.device".to_owned(), device.to_owned())];
        query
    };
    let (nothing, base) = cold(dir.path(), &ask("nobody"));
    assert!(nothing.series.is_empty());
    let (one, one_read) = cold(dir.path(), &ask("device7"));
    assert_eq!(one.series[0].samples, 14 * 144);
    let mut all = ask("x");
    all.selector.labels.clear();
    let (_, all_read) = cold(dir.path(), &all);
    // The head is read whole, and times are shared by all.
    let of_one = one_read - base;
    assert!(
        of_one * 10 < all_read - base,
        "{of_one} of {}",
        all_read - base
    );
    // Its 2,016 noisy numbers take 8 bytes each, and hardly more is read.
    assert!((16_000..30_000).contains(&of_one), "{of_one}");
    // By the day it is answered from rollups.
    let mut by_day = ask("device7");
    by_day.step = Duration::from_secs(DAY.unsigned_abs());
    let (_, by_day_read) = cold(dir.path(), &by_day);
    assert!(by_day_read < one_read, "{by_day_read} of {one_read}");
    // A budget is kept to the byte.
    let mut tight = all;
    for bytes in [base, one_read, all_read - 1] {
        tight.budget.bytes = bytes;
        let (answer, read) = cold(dir.path(), &tight);
        assert!(
            answer.truncated.has(Truncation::Bytes) && read <= bytes,
            "{read} of {bytes}"
        );
    }
    tight.budget.bytes = all_read;
    assert!(cold(dir.path(), &tight).0.truncated.is_empty());
}

#[test]
fn pages_of_series_are_the_whole_answer() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), slow(30 * DAY), 1, 11);
    let mut query = query("m", START, START + DAY * S, 3600 * S, Aggregation::Mean);
    let (whole, all_read) = cold(dir.path(), &query);
    assert_eq!((whole.matched, whole.series.len()), (11, 11));
    query.budget.series = 4;
    let mut paged = Vec::new();
    for offset in [0, 4, 8, 12] {
        query.offset = offset;
        let (page, read) = cold(dir.path(), &query);
        assert_eq!(page.matched, 11);
        assert_eq!(page.truncated.has(Truncation::Series), offset < 7);
        assert!(read < all_read, "{read} of {all_read}: others are not read");
        paged.extend(page.series);
    }
    assert_eq!(paged, whole.series);
}

#[test]
fn quantiles_are_exact_where_there_are_samples_and_absent_where_only_rollups_are() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), slow(3 * DAY), 8, 2);
    let mut query = query("m", START, START + 8 * DAY * S, DAY * S, Aggregation::P90);
    query.selector.labels = vec![("system.device".to_owned(), "device0".to_owned())];
    let (answer, _) = cold(dir.path(), &query);
    assert_eq!(answer.truncated, Truncation::Rollups.into());
    let values = &answer.series[0].values;
    // Days begin at midnight, two hours after the first sample.
    let expected = |day: usize| {
        let midnight = i64::try_from(day).unwrap() * DAY + 7200 - DAY;
        let mut day: Vec<f64> = (0..144).map(|n| noise(midnight + n * 600, 1)).collect();
        day.sort_by(f64::total_cmp);
        // 0.9 * 143 = 128.7
        Some(day[128] * 0.3 + day[129] * 0.7)
    };
    let held = values.iter().filter(|value| value.is_some()).count();
    assert!((3..=6).contains(&held), "{values:?}");
    for (day, value) in values
        .iter()
        .enumerate()
        .filter(|(day, _)| (6..8).contains(day))
    {
        assert!(
            close(*value, expected(day)),
            "{day}: {value:?} is not {:?}",
            expected(day)
        );
    }
    assert!(values[..4].iter().all(Option::is_none), "{values:?}");
    // The mean is known all the same.
    query.aggregation = Aggregation::Mean;
    let (answer, _) = cold(dir.path(), &query);
    assert!(answer.truncated.is_empty() && answer.series[0].values.iter().all(Option::is_some));
}
