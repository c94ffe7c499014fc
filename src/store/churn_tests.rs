//! Series that come and go cost nothing once they are gone.

use std::path::Path;
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use crate::room::folder_bytes;
use crate::settings::{Retention, StoreSettings};
use crate::store::{Batch, Store};

const DAY: u64 = 86_400;

/// A minute sees seven new ones, and each lives for ten: 10,000 a day.
const NEW_A_MINUTE: u64 = 7;
const LIVES_MINUTES: u64 = 10;

fn at(second: u64) -> Moment {
    Moment {
        wall: Timestamp::from_nanos(1_700_006_400_000_000_000).after(Duration::from_secs(second)),
        boot: BootTime::from_nanos(second * 1_000_000_000),
    }
}

fn short_lived(number: u64) -> SeriesInfo {
    SeriesInfo {
        metric: "container.cpu.time".to_owned(),
        unit: "s".to_owned(),
        kind: MetricKind::Counter,
        states: Vec::new(),
        help: "Time that a container had".to_owned(),
        labels: Labels::new([("container.id", format!("{number:064x}").as_str())]),
        collector: "containers".to_owned(),
        interval: Duration::from_secs(60),
        audience: Audience::Operator,
    }
}

fn settings() -> StoreSettings {
    StoreSettings {
        rotate: Duration::from_secs(1800),
        shard: Duration::from_secs(6 * 3600),
        retention: Retention {
            raw: Duration::from_secs(DAY),
            minute: Duration::from_secs(DAY),
            hour: Duration::from_secs(DAY),
            ..Retention::default()
        },
        ..StoreSettings::default()
    }
}

fn a_minute(store: &mut Store, minute: u64) {
    let second = minute * 60;
    let oldest = minute.saturating_sub(LIVES_MINUTES) * NEW_A_MINUTE;
    let mut samples = Vec::new();
    for number in oldest..minute * NEW_A_MINUTE {
        let name = u32::try_from(number).unwrap();
        let series = store.define(1, name, &short_lived(number)).unwrap();
        samples.push((series, Some(Value::U64(minute)), Quality::Good));
    }
    let batch = Batch {
        collector: "containers",
        at: at(second),
        samples: &samples,
    };
    store.append(&batch).unwrap();
    for call in 0..4 {
        store.maintain(at(second + call)).unwrap();
    }
}

/// What the store takes in memory and on disk: slots, hashes and names of the registry, the bytes that a head begins
/// with, series in the largest segment, files, bytes.
fn sizes(store: &Store, dir: &Path) -> [u64; 7] {
    let [slots, hashes, names] = store.registry.sizes().map(|size| size as u64);
    let began_with = store.head.bytes() - store.head.appended();
    let segments = glasshouse_core::reader::Resolution::ALL;
    let segments = segments
        .iter()
        .flat_map(|tier| store.folder.catalog.tier(*tier));
    let series = segments.map(|footer| u64::from(footer.series)).max();
    let files = std::fs::read_dir(dir).unwrap().count() as u64;
    let bytes = folder_bytes(dir).unwrap();
    [
        slots,
        hashes,
        names,
        began_with,
        series.unwrap_or(0),
        files,
        bytes,
    ]
}

#[test]
fn ten_thousand_short_lived_series_a_day_do_not_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), settings()).unwrap();
    let mut largest = Vec::new();
    for day in 0..3 {
        let mut most = [0; 7];
        for minute in day * 1440..(day + 1) * 1440 {
            a_minute(&mut store, minute);
            if minute % 60 == 59 {
                let now = sizes(&store, dir.path());
                most = std::array::from_fn(|place| most[place].max(now[place]));
            }
        }
        largest.push(most);
    }
    let [slots, hashes, names, ..] = largest[1];
    // Those of the last two hours, of the half hour before they are noticed, and of a head.
    let most = NEW_A_MINUTE * (120 + 3 * 30 + LIVES_MINUTES);
    assert!(
        slots <= most && hashes <= most && names <= most,
        "{largest:?}"
    );
    for (place, (before, after)) in largest[1].iter().zip(&largest[2]).enumerate() {
        // A shard may have a head more than another.
        assert!(after * 100 <= before * 105, "{place}: {largest:?}");
    }
    // A restart finds no more.
    drop(store);
    let (store, _) = Store::open(dir.path(), settings()).unwrap();
    assert!(sizes(&store, dir.path())[0] <= most);
}
