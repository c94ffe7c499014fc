//! A store with everything that an export can stumble over, and what was put into it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::identity::NodeId;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{Inventory, LinkStatus, SeriesInfo};
use glasshouse_core::sample::{Quality, Sample, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Moment, Timestamp};
use glasshouse_store::{Batch, Store, StoreSettings};

const S: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;

/// 2026-11-23T00:00:00Z.
pub(super) const MIDNIGHT: i64 = 1_795_392_000 * S;

pub(super) const NODE: [u8; 16] = [7; 16];

/// A label that steers a terminal, and would end a line or a value.
pub(super) const HOSTILE: &str = "sd\"a\\b\n\u{1b}[2J\u{202e}%41,{x=\"1\"} Straße";

/// What was written, in the order in which it came.
pub(super) struct Recorded {
    pub(super) series: Vec<(SeriesInfo, Vec<Sample>)>,
}

fn info(metric: &str, unit: &str, kind: MetricKind, collector: &str, device: &str) -> SeriesInfo {
    SeriesInfo {
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        kind,
        states: Vec::new(),
        help: "What it says.\nAnd \"more\".".to_owned(),
        labels: Labels::new([("system.device", device), ("empty", "")]),
        collector: collector.to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    }
}

fn all_series() -> Vec<SeriesInfo> {
    let mut status = info("hw.status", "1", MetricKind::UpDownCounter, "hwmon", "fan");
    status.states = ["ok", "degraded", "failed"].map(str::to_owned).to_vec();
    vec![
        info("system.disk.io", "By", MetricKind::Counter, "disk", "sda"),
        info("system.disk.io", "By", MetricKind::Counter, "disk", HOSTILE),
        // the same to whoever sees only what is shown
        info(
            "system.disk.io",
            "By",
            MetricKind::Counter,
            "disk",
            "s\u{200b}da",
        ),
        info("system.disk.usage", "1", MetricKind::Gauge, "disk", "sda"),
        info("hw.temperature", "Cel", MetricKind::Gauge, "hwmon", "cpu"),
        // one family in two collectors
        info(
            "hw.temperature",
            "Cel",
            MetricKind::Gauge,
            "thermal",
            "zone",
        ),
        // two metrics that are one name once they are translated
        info(
            "hw_temperature",
            "Cel",
            MetricKind::Gauge,
            "thermal",
            "zone",
        ),
        status,
    ]
}

/// What a series says at a tick.
fn reading(series: usize, tick: u64) -> (Option<Value>, Quality) {
    let small = f64::from(u32::try_from(tick).unwrap());
    match (tick % 13, series) {
        (5, _) => (None, Quality::Absent(FailureReason::Timeout)),
        (7, 3) => (Some(Value::F64(0.1)), Quality::Stale),
        // beyond what a double holds
        (_, 0..=2) => (Some(Value::U64((1 << 60) + 3 * tick)), Quality::Good),
        (_, 7) => {
            let state = u16::try_from(tick / 20 % 3).unwrap();
            (Some(Value::State(state)), Quality::Good)
        }
        (_, 3) => (Some(Value::F64(-small / 7.0)), Quality::Estimated),
        _ => (Some(Value::F64(20.0 + small / 16.0)), Quality::Good),
    }
}

/// Writes into a state folder: an hour round midnight, with the clock set back and forward, sealed and merged in part.
pub(super) fn write(state: &Path) -> Recorded {
    let settings = StoreSettings {
        rotate: Duration::from_secs(300),
        merge: Duration::from_secs(1200),
        ..StoreSettings::default()
    };
    let (mut store, _) = Store::open(&state.join("store"), settings).unwrap();
    let infos = all_series();
    let mut recorded: Vec<(SeriesInfo, Vec<Sample>)> = infos
        .iter()
        .map(|info| (info.clone(), Vec::new()))
        .collect();
    // a time of which the store keeps the milliseconds
    let mut wall = MIDNIGHT - 1500 * S + 123_456_789;
    for tick in 0..3000_u64 {
        wall += match tick {
            900 => -400 * S,
            2000 => 700 * S,
            _ => S,
        };
        let at = Moment {
            wall: Timestamp::from_nanos(wall),
            boot: BootTime::from_nanos((tick + 100) * S.unsigned_abs()),
        };
        let mut batches: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (number, (info, kept)) in recorded.iter_mut().enumerate() {
            let (value, quality) = reading(number, tick);
            let reference = store
                .define(1, u32::try_from(number).unwrap(), info)
                .unwrap();
            let batch = batches.entry(&infos[number].collector).or_default();
            batch.push((reference, value, quality));
            let at = Timestamp::from_nanos(wall.div_euclid(MS) * MS);
            kept.push(Sample { at, value, quality });
        }
        for (collector, samples) in &batches {
            store
                .append(&Batch {
                    collector,
                    at,
                    samples,
                })
                .unwrap();
        }
        while store.maintain(at).unwrap().more {}
    }
    let inventory = Inventory {
        node: NodeId::from_bytes(NODE),
        host_name: Untrusted::new("web\u{1b}[31m1"),
        written: Timestamp::from_nanos(wall),
        facts: Vec::new(),
        collectors: Vec::new(),
        link: LinkStatus::default(),
    };
    glasshouse_store::inventory::write(&state.join("inventory"), &inventory).unwrap();
    Recorded { series: recorded }
}
