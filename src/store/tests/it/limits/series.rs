//! How many series there may be, and that others neither lose nor wait for those that are too many.

use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_store::{
    Batch, SeriesLimit, SeriesLimits, SeriesRef, Store, StoreError, StoreSettings,
};

use crate::common::{S, START, info, moment, quick};

fn few() -> StoreSettings {
    StoreSettings {
        series: SeriesLimits {
            a_collector: 10,
            all: 15,
        },
        ..quick()
    }
}

fn of(collector: &str, number: u32) -> SeriesInfo {
    info(
        "m",
        collector,
        &format!("{collector}{number}"),
        MetricKind::Gauge,
    )
}

fn say(store: &mut Store, second: i64, collector: &str, series: &[SeriesRef]) {
    let sample = |series: &SeriesRef| {
        (
            *series,
            Some(Value::U64(second.unsigned_abs())),
            Quality::Good,
        )
    };
    let samples: Vec<_> = series.iter().map(sample).collect();
    let batch = Batch {
        collector,
        at: moment(START + second * S, second * S),
        samples: &samples,
    };
    store.append(&batch).unwrap();
    store
        .maintain(moment(START + second * S, second * S))
        .unwrap();
}

#[test]
fn a_collector_is_refused_beyond_its_bound_and_its_series_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), few()).unwrap();
    let x: Vec<SeriesRef> = (0..10)
        .map(|number| store.define(1, number, &of("x", number)).unwrap())
        .collect();
    for _ in 0..3 {
        match store.define(1, 10, &of("x", 10)) {
            Err(StoreError::TooManySeries {
                collector,
                limit,
                most,
            }) => {
                assert_eq!(
                    (collector.as_str(), limit, most),
                    ("x", SeriesLimit::OfCollector, 10)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    for number in 0..5 {
        store.define(1, 20 + number, &of("y", number)).unwrap();
    }
    let refused = store.define(1, 30, &of("z", 0)).unwrap_err();
    let words = refused.to_string();
    assert!(
        words.contains("15") && words.contains("most_series"),
        "{words}"
    );
    assert_eq!(refused.word(), "too_many_series");
    assert_eq!(store.usage().series, 15);
    // Half of them are read on, for hours.
    for second in (0..7500).step_by(50) {
        say(&mut store, second, "x", &x[..5]);
        if second < 7000 {
            assert!(store.define(1, 10, &of("x", 10)).is_err(), "{second}");
        }
    }
    // The others were forgotten, and make room.
    assert_eq!(store.usage().series, 5);
    for number in 10..15 {
        store.define(1, number, &of("x", number)).unwrap();
    }
    assert!(store.define(1, 15, &of("x", 15)).is_err());
    say(&mut store, 7600, "x", &x[..5]);
    // A start keeps what there was, and the bound.
    drop(store);
    let (mut store, _) = Store::open(dir.path(), few()).unwrap();
    assert_eq!(store.usage().series, 10);
    assert!(store.define(2, 15, &of("x", 15)).is_err());
    store.define(2, 14, &of("x", 14)).unwrap();
}

#[test]
fn a_new_description_is_no_new_series_but_ever_new_ones_are() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), few()).unwrap();
    for number in 0..10 {
        store.define(1, number, &of("x", number)).unwrap();
    }
    // An upgrade: all say the same in other words.
    for number in 0..10 {
        let mut other = of("x", number);
        other.help = "What it says now".to_owned();
        store.define(2, number, &other).unwrap();
    }
    assert_eq!(store.usage().series, 10);
    let mut third = of("x", 0);
    third.help = "And now".to_owned();
    assert!(matches!(
        store.define(2, 99, &third),
        Err(StoreError::TooManySeries { .. })
    ));
}
