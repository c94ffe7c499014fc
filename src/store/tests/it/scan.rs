//! What a scan hands over, against a plain list of what was appended.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{ReadError, Selector};
use glasshouse_core::sample::{Quality, Sample, Value};
use glasshouse_core::time::{Day, Timestamp, Window};
use glasshouse_store::{Batch, Retention, Scan, Store, StoreReader, StoreSettings};

use crate::common::{S, START, info, moment, names, quick, window};

/// By collector, metric and device.
type Model = BTreeMap<(String, String, String), Vec<Sample>>;

const EVERYTHING: Window = Window {
    from: Timestamp::from_nanos(i64::MIN),
    to: Timestamp::from_nanos(i64::MAX),
};

/// A writer that remembers what it wrote.
struct Writer {
    store: Store,
    model: Model,
    run: u64,
    boot: i64,
    written: u64,
}

const SERIES: [(&str, &str, &str); 5] = [
    ("disk.io", "disk", "sda"),
    ("disk.io", "disk", "sdb"),
    ("disk.temperature", "disk", "sda"),
    ("hw.temperature", "hwmon", "cpu"),
    ("hw.status", "hwmon", "fan"),
];

impl Writer {
    fn open(dir: &Path, settings: StoreSettings) -> Self {
        let (store, _) = Store::open(dir, settings).unwrap();
        Self {
            store,
            model: Model::new(),
            run: 1,
            boot: 10 * S,
            written: 0,
        }
    }

    /// One batch of each collector at a wall time, one second of boot time later.
    fn write(&mut self, wall: i64) {
        self.boot += S;
        let at = moment(wall, self.boot);
        for collector in ["disk", "hwmon"] {
            let mut samples = Vec::new();
            for (number, (metric, of, device)) in (0..).zip(SERIES) {
                // Some series miss some batches.
                if of != collector || (self.written + u64::from(number)).is_multiple_of(7) {
                    continue;
                }
                let mut info = info(metric, of, device, MetricKind::Gauge);
                if metric == "hw.status" {
                    info.states = ["ok", "degraded", "failed"].map(str::to_owned).to_vec();
                }
                let series = self.store.define(self.run, number, &info).unwrap();
                let (value, quality) = self.reading(metric);
                samples.push((series, value, quality));
                let key = (of.to_owned(), metric.to_owned(), device.to_owned());
                let at = Timestamp::from_nanos(wall);
                let sample = Sample { at, value, quality };
                self.model.entry(key).or_default().push(sample);
            }
            self.store
                .append(&Batch {
                    collector,
                    at,
                    samples: &samples,
                })
                .unwrap();
        }
        self.written += 1;
    }

    fn reading(&self, metric: &str) -> (Option<Value>, Quality) {
        let n = self.written;
        if n % 11 == 3 {
            return (None, Quality::Absent(FailureReason::Timeout));
        }
        let quality = [Quality::Good, Quality::Stale, Quality::Estimated];
        let quality = quality[usize::try_from(n % 3).unwrap()];
        let value = match metric {
            "disk.io" => Value::U64(u64::MAX - n),
            "hw.status" => Value::State(u16::try_from(n % 3).unwrap()),
            _ => Value::F64(f64::from(u32::try_from(n).unwrap()) / 8.0),
        };
        (Some(value), quality)
    }

    fn maintain(&mut self, wall: i64) {
        while self.store.maintain(moment(wall, self.boot)).unwrap().more {}
    }
}

fn scan(dir: &Path, selector: &Selector, window: Window) -> Scan {
    StoreReader::open(dir).scan(selector, window).unwrap()
}

fn read(scan: &mut Scan) -> Model {
    let mut model = Model::new();
    for (place, info) in scan.series().to_vec().iter().enumerate() {
        let mut samples = Vec::new();
        let mut blocks = scan.read(place).unwrap();
        while let Some(block) = blocks.next_block().unwrap() {
            assert!(!block.is_empty());
            samples.extend_from_slice(block);
        }
        let device = info.labels.get("system.device").unwrap().raw().to_owned();
        if !samples.is_empty() {
            let key = (info.collector.clone(), info.metric.clone(), device);
            assert!(model.insert(key, samples).is_none(), "{info:?} comes twice");
        }
    }
    model
}

fn inside(model: &Model, window: Window) -> Model {
    let series = model.iter().map(|(key, samples)| {
        let samples = samples.iter().filter(|sample| window.contains(sample.at));
        (key.clone(), samples.copied().collect::<Vec<_>>())
    });
    series.filter(|(_, samples)| !samples.is_empty()).collect()
}

#[test]
fn each_sample_comes_once_in_the_order_of_arrival_whatever_was_sealed_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), quick());
    let midnight = START + 7200 * S;
    let mut wall = midnight - 1500 * S;
    for second in 0..3000 {
        match second {
            // The clock is set back, then forward.
            700 => wall -= 600 * S,
            1400 => wall += 3600 * S,
            // The probe starts again: other numbers for the same series.
            2000 => writer.run = 2,
            _ => wall += S,
        }
        writer.write(wall);
        writer.maintain(wall);
        if second % 97 == 0 || second == 2999 {
            let mut all = scan(dir.path(), &Selector::default(), EVERYTHING);
            assert!(read(&mut all) == writer.model, "after {second} s");
            assert!(all.damaged().is_empty());
        }
    }
    // Merged, sealed and open, or the test shows less than it says.
    let segments = names(dir.path(), ".seg");
    let raw = segments.iter().filter(|name| name.starts_with("raw"));
    let (merged, sealed): (Vec<_>, Vec<_>) =
        raw.partition(|name| name.get(4..16) != name.get(17..29));
    assert!(!merged.is_empty() && !sealed.is_empty(), "{segments:?}");
    let reader = StoreReader::open(dir.path());
    let days = reader.days(EVERYTHING).unwrap();
    let days: Vec<String> = days.iter().map(Day::to_string).collect();
    assert_eq!(days, ["2023-11-14", "2023-11-15"]);
    let mut pieces = Model::new();
    for day in reader.days(EVERYTHING).unwrap() {
        for (key, samples) in read(&mut reader.scan(&Selector::default(), day.window()).unwrap()) {
            pieces.entry(key).or_default().extend(samples);
        }
    }
    for (key, samples) in &mut pieces {
        let mut want = writer.model[key].clone();
        want.sort_by_key(|sample| sample.at);
        samples.sort_by_key(|sample| sample.at);
        assert!(*samples == want, "{key:?}");
    }
    for (from, to) in [(-100, 100), (0, 1), (-3000, -2000), (650, 660)] {
        let window = window(midnight + from * S, midnight + to * S);
        let found = read(&mut scan(dir.path(), &Selector::default(), window));
        assert!(found == inside(&writer.model, window), "{from} to {to}");
        let days = reader.days(window).unwrap();
        assert_eq!(days.is_empty(), found.is_empty(), "{from} to {to}");
    }
}

#[test]
fn only_what_is_asked_for_comes_by_collector_metric_and_labels() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), quick());
    for second in 0..150 {
        writer.write(START + second * S);
        writer.maintain(START + second * S);
    }
    let all = scan(dir.path(), &Selector::default(), EVERYTHING);
    let order = all.series().iter().map(|info| {
        let device = info.labels.get("system.device").unwrap().raw();
        (info.collector.as_str(), info.metric.as_str(), device)
    });
    let order: Vec<_> = order.collect();
    assert_eq!(
        order,
        [
            ("disk", "disk.io", "sda"),
            ("disk", "disk.io", "sdb"),
            ("disk", "disk.temperature", "sda"),
            ("hwmon", "hw.status", "fan"),
            ("hwmon", "hw.temperature", "cpu"),
        ]
    );
    let selector = Selector {
        metrics: vec!["disk.io".to_owned(), "hw.status".to_owned()],
        labels: vec![("system.device".to_owned(), "sdb".to_owned())],
    };
    let found = read(&mut scan(dir.path(), &selector, EVERYTHING));
    let key = ("disk".to_owned(), "disk.io".to_owned(), "sdb".to_owned());
    assert!(found == Model::from([(key.clone(), writer.model[&key].clone())]));
    let nothing = scan(dir.path(), &Selector::metric("no.such"), EVERYTHING);
    assert!(nothing.series().is_empty());
}

#[test]
fn a_series_whose_meaning_changed_is_two() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    let mut one = info("disk.io", "disk", "sda", MetricKind::Gauge);
    for (run, unit, help) in [(1, "By", "old"), (2, "By", "new"), (3, "KiBy", "new")] {
        one.unit = unit.to_owned();
        one.help = help.to_owned();
        let series = store.define(run, 0, &one).unwrap();
        let at = moment(START + i64::try_from(run).unwrap() * S, 10 * S);
        let samples = [(series, Some(Value::U64(run)), Quality::Good)];
        let collector = "disk";
        store
            .append(&Batch {
                collector,
                at,
                samples: &samples,
            })
            .unwrap();
    }
    let mut scan = scan(dir.path(), &Selector::default(), EVERYTHING);
    let series = scan.series().to_vec();
    let said: Vec<_> = series
        .iter()
        .map(|info| (info.unit.as_str(), info.help.as_str()))
        .collect();
    assert_eq!(said, [("By", "new"), ("KiBy", "new")]);
    let mut count = |place| {
        scan.read(place)
            .unwrap()
            .next_block()
            .unwrap()
            .unwrap()
            .len()
    };
    assert_eq!((count(0), count(1)), (2, 1));
}

#[test]
fn a_scan_stays_what_it_was_while_the_writer_merges_and_forgets() {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        retention: Retention {
            raw: Duration::from_secs(1200),
            bytes: u64::MAX,
            ..Retention::default()
        },
        shard: Duration::from_secs(600),
        ..quick()
    };
    let mut writer = Writer::open(dir.path(), settings);
    for second in 0..1150 {
        writer.write(START + second * S);
        writer.maintain(START + second * S);
    }
    let before = writer.model.clone();
    let mut snapshot = scan(dir.path(), &Selector::default(), EVERYTHING);
    let files = names(dir.path(), "");
    for second in 1150..4000 {
        writer.write(START + second * S);
        writer.maintain(START + second * S);
    }
    let gone = |name: &String| !dir.path().join(name).exists();
    assert!(files.iter().any(gone), "nothing was merged or forgotten");
    assert!(read(&mut snapshot) == before);
    let kept = read(&mut scan(dir.path(), &Selector::default(), EVERYTHING));
    assert!(kept != writer.model, "nothing was forgotten");
}

#[test]
fn what_is_damaged_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), quick());
    for second in 0..350 {
        writer.write(START + second * S);
        writer.maintain(START + second * S);
    }
    let segments = names(dir.path(), ".seg");
    let damaged = segments
        .iter()
        .find(|name| name.starts_with("raw"))
        .unwrap();
    let path = dir.path().join(damaged);
    let whole = std::fs::read(&path).unwrap();
    let samples = |model: &Model| model.values().map(Vec::len).sum::<usize>();
    let all = samples(&writer.model);
    let mut lost = Vec::new();
    for at in [20, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut scan = scan(dir.path(), &Selector::default(), EVERYTHING);
        let found = read(&mut scan);
        assert!(scan.damaged().contains(damaged), "byte {at}");
        for (key, samples) in &found {
            let mut rest = writer.model[key].iter();
            assert!(samples.iter().all(|sample| rest.any(|one| one == sample)));
        }
        lost.push(all - samples(&found));
    }
    assert!(lost.iter().all(|lost| (1..all).contains(lost)), "{lost:?}");
}

#[test]
fn a_clock_that_was_not_set_yet_costs_no_days_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), quick());
    for wall in [5 * S, 6 * S, START, START + S] {
        writer.write(wall);
    }
    let check = || {
        let days = StoreReader::open(dir.path()).days(EVERYTHING).unwrap();
        let days: Vec<String> = days.iter().map(Day::to_string).collect();
        assert_eq!(days, ["1970-01-01", "2023-11-14"]);
    };
    check();
    writer.store.close(moment(START + S, 20 * S)).unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    while store
        .maintain(moment(START + 200 * S, 220 * S))
        .unwrap()
        .more
    {}
    check();
}

#[test]
fn a_store_that_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let reader = StoreReader::open(&dir.path().join("store"));
    let scan = reader.scan(&Selector::default(), EVERYTHING);
    assert!(matches!(scan, Err(ReadError::Empty { .. })));
    assert!(matches!(
        reader.days(EVERYTHING),
        Err(ReadError::Empty { .. })
    ));
}
