//! A store that version 1 of the format wrote once and for all: each later build reads it, every sample, rollup, entry and
//! event of it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{S, START, moment, names, query, quick};
use glasshouse_core::condition::Severity;
use glasshouse_core::fact::Fact;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::finding::{Event, EventId, Evidence, Finding, FindingReader};
use glasshouse_core::identity::NodeId;
use glasshouse_core::labels::Labels;
use glasshouse_core::log::{LogEntry, LogQuery, LogReader, LogSource};
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{
    Aggregation, CollectorState, CollectorStatus, Inventory, InventoryReader, LinkStatus,
    SampleReader, Selector, SeriesInfo,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Timestamp, Window};
use glasshouse_store::findings::{Change, Durability, FindingFiles, FindingWriter};
use glasshouse_store::inventory::{self, InventoryFile};
use glasshouse_store::logs::{LogFiles, LogWriter};
use glasshouse_store::{Batch, Keep, Store, StoreReader, StoreSettings};

const NODE: NodeId = NodeId::from_bytes([7; 16]);

/// The last second that has a batch.
const END: i64 = 1560;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/store/v1")
}

/// Collector, metric and what the values are like.
const SERIES: [(&str, &str, MetricKind, &str); 10] = [
    ("a", "constant", MetricKind::Gauge, "W"),
    ("a", "whole", MetricKind::UpDownCounter, "By"),
    ("a", "decimal", MetricKind::Gauge, "Cel"),
    ("a", "float", MetricKind::Gauge, "1"),
    ("a", "counter", MetricKind::Counter, "J"),
    ("a", "reset", MetricKind::Counter, "By"),
    ("b", "mixed", MetricKind::Gauge, "1"),
    ("b", "holes", MetricKind::Gauge, "V"),
    ("b", "state", MetricKind::Gauge, "1"),
    ("b", "rare", MetricKind::Gauge, "1"),
];

fn described(collector: &str, metric: &str, kind: MetricKind, unit: &str) -> SeriesInfo {
    let is_state = metric == "state";
    let states: &[&str] = if is_state {
        &["off", "on", "fault"]
    } else {
        &[]
    };
    SeriesInfo {
        metric: format!("fixture.{metric}"),
        unit: unit.to_owned(),
        kind,
        states: states.iter().map(|state| (*state).to_owned()).collect(),
        help: format!("What {metric} says"),
        labels: Labels::new([
            ("system.device", "0000:41:00.0"),
            ("odd", "a\u{1}\"b\\ü\u{202e}"),
        ]),
        collector: collector.to_owned(),
        interval: Duration::from_secs(2),
        audience: if is_state {
            Audience::Performance
        } else {
            Audience::Operator
        },
    }
}

/// The value at a second, and `None` where the batch does without the series.
fn value(metric: &str, n: i64) -> Option<(Option<Value>, Quality)> {
    let whole = n.unsigned_abs();
    let good = |value| Some((Some(value), Quality::Good));
    let absent = |reason| Some((None, Quality::Absent(reason)));
    // The same numbers on every machine: no sine, no logarithm.
    let noise = whole.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    match metric {
        "constant" => good(Value::U64(7)),
        "whole" => good(Value::U64((1 << 62) + noise)),
        "decimal" => good(Value::F64((400 + noise % 90) as f64 / 10.0)),
        "float" if noise.is_multiple_of(31) => good(Value::F64(-f64::MIN_POSITIVE)),
        "float" => good(Value::F64((noise as f64 - 8e6) / 3.0)),
        "counter" => good(Value::U64(u64::from(u32::MAX) + 9 * whole)),
        "reset" => good(Value::U64(4096 * (whole % 500))),
        "mixed" if n % 4 == 0 => Some((Some(Value::U64(noise)), Quality::Estimated)),
        "mixed" => Some((Some(Value::F64(noise as f64 / 7.0)), Quality::Stale)),
        "holes" if n % 10 == 0 => absent(FailureReason::Timeout),
        "holes" if n % 10 == 2 => absent(FailureReason::Denied),
        "holes" if n % 10 == 4 => None,
        "holes" => good(Value::F64(12.0 + (noise % 100) as f64 / 100.0)),
        "state" => good(Value::State(if n % 300 < 200 { 1 } else { 2 })),
        _ => (n % 400 == 0).then_some((Some(Value::F64(-0.0)), Quality::Good)),
    }
}

fn settings() -> StoreSettings {
    StoreSettings {
        rotate: Duration::from_secs(200),
        merge: Duration::from_secs(600),
        shard: Duration::from_secs(1200),
        ..quick()
    }
}

/// Segments of each tier, merged and not, rollups of a shard, and a head; the clock steps back by 90 s in between.
fn write_store(dir: &Path) {
    let (mut store, _) = Store::open(dir, settings()).unwrap();
    for n in (0..=END).step_by(6) {
        let wall = START + (if n < 700 { n } else { n - 90 }) * S;
        let at = moment(wall, (500 + n) * S);
        store.maintain(at).unwrap();
        let run = if n < 900 { 1 } else { 2 };
        for collector in ["a", "b"] {
            let mut samples = Vec::new();
            for (number, (own, metric, kind, unit)) in (1..).zip(SERIES) {
                let info = described(own, metric, kind, unit);
                if own != collector {
                    continue;
                }
                let series = store.define(run, number, &info).unwrap();
                if let Some((value, quality)) = value(metric, n) {
                    samples.push((series, value, quality));
                }
            }
            let at = moment(
                wall + i64::from(collector == "b") * 1_000_003,
                (500 + n) * S,
            );
            let samples = samples.as_slice();
            store
                .append(&Batch {
                    collector,
                    at,
                    samples,
                })
                .unwrap();
        }
    }
}

fn entry(n: u8) -> LogEntry {
    LogEntry {
        source: LogSource::ALL[usize::from(n) % LogSource::ALL.len()],
        origin: Untrusted::new("bmc/rack7-3/Sel"),
        id: Untrusted::new(&n.to_string()),
        at: (!n.is_multiple_of(3)).then_some(Timestamp::from_nanos(START - i64::from(n) * S)),
        severity: if n.is_multiple_of(2) {
            Severity::Warning
        } else {
            Severity::Critical
        },
        code: Untrusted::new("08h/03"),
        component: Untrusted::new("PSU \u{1b}[1m1"),
        text: Untrusted::new("Power supply \"AC\" lost\n"),
        raw: vec![n; usize::from(n)],
    }
}

fn event(number: u8, resolved: Option<i64>) -> Event {
    Event {
        id: EventId::from_bytes([number; 16]),
        node: NODE,
        finding: Finding {
            cause: "bmc.unresponsive".to_owned(),
            severity: if number == 1 {
                Severity::Critical
            } else {
                Severity::Info
            },
            component: Untrusted::new("bmc"),
            source: "ipmi".to_owned(),
            detail: Untrusted::new("no answer for \"31 s\"\u{202e}"),
            first_seen: Timestamp::from_nanos(START + i64::from(number) * S),
            last_seen: Timestamp::from_nanos(START + 100 * S),
            evidence: vec![Evidence {
                name: "silent_for".to_owned(),
                value: 31.25,
                unit: "s".to_owned(),
            }],
            next_step: "Look at the BMC.".to_owned(),
        },
        resolved: resolved.map(|n| Timestamp::from_nanos(START + n * S)),
    }
}

fn write_events(dir: &Path) {
    let (mut writer, _) = FindingWriter::open(dir, NODE).unwrap();
    let at = |n| Timestamp::from_nanos(START + n * S);
    let opened = [1, 2, 3].map(|number| (Change::Opened, event(number, None)));
    writer.append(&opened, at(3)).unwrap();
    let resolved = (Change::Resolved, event(2, Some(50)));
    writer.append(&[resolved], at(50)).unwrap();
    let open = vec![event(1, None), event(3, None)];
    writer.replace(open, at(51), Durability::Synced).unwrap();
    // This one stands in the day's file alone.
    let late = (Change::Opened, event(4, None));
    writer.append(&[late], at(86_000)).unwrap();
}

fn node() -> Inventory {
    Inventory {
        node: NODE,
        host_name: Untrusted::new("rack7-3\u{7}"),
        written: Timestamp::from_nanos(START),
        facts: vec![Fact {
            component: Untrusted::new("cpu0"),
            key: "model".to_owned(),
            value: Untrusted::new("EPYC 9654"),
        }],
        collectors: vec![CollectorStatus {
            name: "ipmi".to_owned(),
            interval: Duration::from_secs(10),
            state: CollectorState::Partial(FailureReason::Timeout),
            detail: Untrusted::new("one sensor does not answer"),
            last_run: Timestamp::from_nanos(START),
            duration: Duration::from_millis(120),
            series: 31,
            failures: 2,
        }],
        link: LinkStatus {
            run: u64::MAX,
            last_frame: Timestamp::from_nanos(START),
            frames: 9,
            lost: 1,
            resyncs: 2,
            dropped: 3,
        },
    }
}

/// Not a test: writes what is kept. There is one for each version of the format, and none is ever written again.
#[test]
#[ignore = "writes tests/fixtures/store/v1, which is done once"]
fn write_fixture() {
    let dir = folder();
    assert!(
        !dir.join("expected.txt").exists(),
        "it is kept as it is: a new version gets a new folder"
    );
    write_store(&dir.join("store"));
    let mut logs = LogWriter::open(&dir.join("logs"), Keep::default()).unwrap();
    for n in 0..8 {
        logs.append(
            "ipmi",
            &[entry(n)],
            moment(START + i64::from(n) * 20_000 * S, S),
        )
        .unwrap();
    }
    write_events(&dir.join("findings"));
    inventory::write(&dir.join("inventory"), &node()).unwrap();
    drop(fs::remove_file(dir.join("store/lock")));
    let expected = tell(&dir);
    fs::write(dir.join("expected.txt"), expected).unwrap();
}

/// All that is in the folders, one thing a line.
fn tell(dir: &Path) -> String {
    let mut out = String::new();
    tell_samples(&dir.join("store"), &mut out);
    tell_rollups(&dir.join("store"), &mut out);
    tell_beside(dir, &mut out);
    out
}

fn everything() -> Window {
    Window {
        from: Timestamp::from_nanos(0),
        to: Timestamp::from_nanos(i64::MAX),
    }
}

/// Each series as it is described, and each of its samples to the bit.
fn tell_samples(store: &Path, out: &mut String) {
    let reader = StoreReader::open(store);
    let mut scan = reader.scan(&Selector::default(), everything()).unwrap();
    let all = scan.series().to_vec();
    for (place, info) in all.iter().enumerate() {
        let labels: Vec<String> = info
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={:?}", value.raw()))
            .collect();
        let SeriesInfo {
            metric,
            unit,
            collector,
            states,
            help,
            interval,
            audience,
            kind,
            ..
        } = &**info;
        writeln!(
            out,
            "series {collector} {metric} {} {unit} {states:?} {labels:?} {} {audience:?} {help:?}",
            kind.word(),
            interval.as_nanos(),
        )
        .unwrap();
        let mut samples = scan.read(place).unwrap();
        while let Some(block) = samples.next_block().unwrap() {
            for sample in block {
                let value = match sample.value {
                    None => "-".to_owned(),
                    Some(Value::U64(whole)) => format!("u{whole}"),
                    Some(Value::F64(float)) => format!("f{:016x}", float.to_bits()),
                    Some(Value::State(state)) => format!("s{state}"),
                };
                let at = sample.at.nanos() - START;
                writeln!(out, "{at} {value} {}", sample.quality.code()).unwrap();
            }
        }
    }
    assert_eq!(scan.damaged().len(), 0, "{:?}", scan.damaged());
}

/// The rollups of each tier, without what they were made from.
fn tell_rollups(store: &Path, out: &mut String) {
    for (tier, step) in [("1m-", 60), ("1h-", 3600)] {
        let alone = tempfile::tempdir().unwrap();
        for name in names(store, ".seg")
            .iter()
            .filter(|name| name.starts_with(tier))
        {
            fs::copy(store.join(name), alone.path().join(name)).unwrap();
        }
        let reader = StoreReader::open(alone.path());
        for (_, metric, ..) in SERIES {
            for aggregation in [
                Aggregation::Mean,
                Aggregation::Min,
                Aggregation::Max,
                Aggregation::Sum,
                Aggregation::Last,
                Aggregation::Rate,
            ] {
                let name = format!("fixture.{metric}");
                let asked = query(&name, START, START + 2000 * S, step * S, aggregation);
                let answer = reader.range(&asked).unwrap();
                assert!(answer.truncated.is_empty(), "{metric} {aggregation:?}");
                let values: Vec<String> = answer
                    .series
                    .iter()
                    .flat_map(|one| &one.values)
                    // Sums may be added up in another order some day.
                    .map(|value| value.map_or("-".to_owned(), |value| format!("{value:.10e}")))
                    .collect();
                writeln!(
                    out,
                    "{tier} {metric} {} {}",
                    aggregation.word(),
                    values.join(" ")
                )
                .unwrap();
            }
        }
    }
}

/// Entries, events, inventory.
fn tell_beside(dir: &Path, out: &mut String) {
    let asked = LogQuery {
        sources: Vec::new(),
        least: Severity::Info,
        window: everything(),
        most: 100,
        bytes: u64::MAX,
    };
    let answer = LogFiles::new(&dir.join("logs")).entries(&asked).unwrap();
    assert!(!answer.damaged);
    for heard in &answer.entries {
        let LogEntry {
            source,
            origin,
            id,
            at,
            severity,
            code,
            component,
            text,
            raw,
        } = &heard.entry;
        writeln!(
            out,
            "entry {} {} {:?} {:?} {:?} {} {:?} {:?} {:?} {raw:?}",
            heard.heard.nanos(),
            source.word(),
            origin.raw(),
            id.raw(),
            at.map(Timestamp::nanos),
            severity.word(),
            code.raw(),
            component.raw(),
            text.raw()
        )
        .unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    crate::common::copy_folder(&dir.join("findings"), copy.path());
    let files = FindingFiles::new(copy.path());
    let open = FindingReader::open(&files).unwrap();
    open.events
        .iter()
        .for_each(|event| tell_event("open", event, out));
    let resolved = files.resolved(everything(), 100).unwrap();
    assert!(!resolved.damaged);
    resolved
        .events
        .iter()
        .for_each(|event| tell_event("resolved", event, out));
    let (_, found) = FindingWriter::open(copy.path(), NODE).unwrap();
    assert!(found.trouble.is_none());
    found
        .open
        .iter()
        .for_each(|event| tell_event("after a start", event, out));
    let inventory = InventoryFile::new(&dir.join("inventory"))
        .inventory()
        .unwrap();
    assert_eq!(*inventory, node());
}

fn tell_event(what: &str, event: &Event, out: &mut String) {
    let finding = &event.finding;
    let evidence: Vec<String> = finding
        .evidence
        .iter()
        .map(|one| format!("{} {} {}", one.name, one.value, one.unit))
        .collect();
    writeln!(
        out,
        "{what} {} {} {} {} {:?} {} {:?} {} {} {evidence:?} {:?} {:?}",
        event.id,
        event.node,
        finding.cause,
        finding.severity.word(),
        finding.component.raw(),
        finding.source,
        finding.detail.raw(),
        finding.first_seen.nanos(),
        finding.last_seen.nanos(),
        finding.next_step,
        event.resolved.map(Timestamp::nanos)
    )
    .unwrap();
}

/// Compares line by line, so that a failure shows the first that differs.
fn is_as_expected(dir: &Path, what: &str) {
    let expected = fs::read_to_string(folder().join("expected.txt")).unwrap();
    let told = tell(dir);
    for (number, (told, expected)) in (1..).zip(told.lines().zip(expected.lines())) {
        assert_eq!(told, expected, "{what}, line {number} of expected.txt");
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "{what}");
    assert!(expected.lines().count() > 1500);
}

#[test]
fn what_version_1_wrote_is_read_to_the_bit() {
    let dir = folder();
    for kind in ["head-", "raw-", "1m-", "1h-"] {
        let all = names(&dir.join("store"), "");
        assert!(
            all.iter().any(|name| name.starts_with(kind)),
            "{kind} {all:?}"
        );
    }
    let sources = ["kernel", "sel", "redfish", "gpu"];
    assert!(
        sources
            .iter()
            .all(|source| dir.join("logs").join(source).is_dir())
    );
    is_as_expected(&dir, "as it was written");
}

#[test]
fn what_version_1_wrote_is_taken_over_by_a_writer() {
    let (origin, copy) = (folder(), tempfile::tempdir().unwrap());
    for part in ["store", "findings", "inventory"] {
        crate::common::copy_folder(&origin.join(part), &copy.path().join(part));
    }
    for source in LogSource::ALL {
        let part = Path::new("logs").join(source.word());
        crate::common::copy_folder(&origin.join(&part), &copy.path().join(&part));
    }
    let store = copy.path().join("store");
    let (opened, recovery) = Store::open(&store, settings()).unwrap();
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(opened.definitions(2).len(), SERIES.len());
    assert_eq!(opened.definitions(1).len(), SERIES.len());
    drop(opened);
    is_as_expected(copy.path(), "beside a new head");
    // The head is sealed, and every sample stays what it was.
    let (opened, _) = Store::open(&store, settings()).unwrap();
    opened
        .close(moment(START + (END - 90) * S, (500 + END) * S))
        .unwrap();
    let mut sealed = String::new();
    tell_samples(&store, &mut sealed);
    let expected = fs::read_to_string(folder().join("expected.txt")).unwrap();
    assert!(expected.starts_with(&sealed), "sealed");
    let mut logs = LogWriter::open(&copy.path().join("logs"), Keep::default()).unwrap();
    let known: Vec<LogEntry> = (0..8).map(entry).collect();
    assert_eq!(logs.append("ipmi", &known, moment(START, S)).unwrap(), 0);
}
