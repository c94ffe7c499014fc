//! What the tests of the store share: series, settings, and the answers that a plain list of samples gives.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{Aggregation, Budget, RangeQuery, Selector, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp, Window};
use glasshouse_store::{Retention, SeriesLimits, StoreSettings};

pub(crate) const S: i64 = 1_000_000_000;

/// 2023-11-14T22:00:00Z, two hours before midnight.
pub(crate) const START: i64 = 1_699_999_200 * S;

pub(crate) fn info(metric: &str, collector: &str, device: &str, kind: MetricKind) -> SeriesInfo {
    SeriesInfo {
        metric: metric.to_owned(),
        unit: "By".to_owned(),
        kind,
        states: Vec::new(),
        help: "What it says".to_owned(),
        labels: Labels::new([("system.device", device), ("odd", "a\u{0}b\u{202e}ü")]),
        collector: collector.to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    }
}

pub(crate) fn moment(wall: i64, boot: i64) -> Moment {
    Moment {
        wall: Timestamp::from_nanos(wall),
        boot: BootTime::from_nanos(boot.unsigned_abs()),
    }
}

/// Everything happens within minutes; nothing is forgotten.
pub(crate) fn quick() -> StoreSettings {
    StoreSettings {
        sync: Duration::from_secs(5),
        rotate: Duration::from_secs(100),
        merge: Duration::from_secs(600),
        shard: Duration::from_secs(3600),
        retention: Retention {
            bytes: u64::MAX,
            ..Retention::default()
        },
        series: SeriesLimits {
            a_collector: SeriesLimits::MOST,
            all: SeriesLimits::MOST,
        },
        ..StoreSettings::default()
    }
}

pub(crate) fn window(from: i64, to: i64) -> Window {
    Window {
        from: Timestamp::from_nanos(from),
        to: Timestamp::from_nanos(to),
    }
}

pub(crate) fn query(
    metric: &str,
    from: i64,
    to: i64,
    step: i64,
    aggregation: Aggregation,
) -> RangeQuery {
    RangeQuery {
        selector: Selector::metric(metric),
        window: window(from, to),
        step: Duration::from_nanos(step.unsigned_abs()),
        aggregation,
        offset: 0,
        budget: Budget {
            series: 100,
            points: 500_000,
            bytes: u64::MAX,
        },
    }
}

/// A sample as it was appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) at: i64,
    pub(crate) value: Option<Value>,
    pub(crate) quality: Quality,
}

/// One value a step, by brute force.
pub(crate) fn steps(
    samples: &[Kept],
    from: i64,
    to: i64,
    step: i64,
    aggregation: Aggregation,
) -> Vec<Option<f64>> {
    let start = from.div_euclid(step) * step;
    let mut cells: BTreeMap<i64, Vec<(i64, f64)>> = BTreeMap::new();
    for sample in samples
        .iter()
        .filter(|sample| from <= sample.at && sample.at < to)
    {
        if let Some(value) = sample.value {
            cells
                .entry((sample.at - start) / step)
                .or_default()
                .push((sample.at, value.as_f64()));
        }
    }
    let count = (to - start) / step + i64::from((to - start) % step != 0);
    let value = |values: &Vec<(i64, f64)>| {
        let each = || values.iter().map(|(_, value)| *value);
        match aggregation {
            Aggregation::Mean => each().sum::<f64>() / values.len() as f64,
            Aggregation::Sum => each().sum(),
            Aggregation::Min => each().fold(f64::INFINITY, f64::min),
            Aggregation::Max => each().fold(f64::NEG_INFINITY, f64::max),
            Aggregation::Last => values.iter().max_by_key(|(at, _)| *at).unwrap().1,
            Aggregation::Rate => unreachable!("rates are compared otherwise"),
            Aggregation::P50 | Aggregation::P90 | Aggregation::P95 | Aggregation::P99 => {
                quantile(each().collect(), aggregation.quantile().unwrap())
            }
        }
    };
    (0..count).map(|n| cells.get(&n).map(value)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "places in a short list")]
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = share * (values.len() - 1) as f64;
    let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
    low + (high - low) * rank.fract()
}

pub(crate) fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9),
        _ => false,
    }
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

pub(crate) fn names(dir: &Path, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}
