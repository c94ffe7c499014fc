use std::path::Path;
use std::time::Duration;

use glasshouse_core::condition::Severity;
use glasshouse_core::identity::NodeId;
use glasshouse_core::labels::Labels;
use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{SampleReader, Selector, SeriesInfo};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Timestamp};
use glasshouse_store::{Keep, StoreReader, StoreSettings};
use glasshouse_wire::Batch;

use super::*;
use crate::state::State;

fn ingest(dir: &Path) -> Ingest {
    let (store, _) = Store::open(&dir.join("store"), StoreSettings::default()).unwrap();
    let node = NodeId::from_bytes([1; 16]);
    let state = State::prepare(dir).unwrap();
    let notices = Notices::open(&state, node, Duration::from_secs(90), Keep::default()).unwrap();
    let sheet = Sheet::load(&state.inventory, node, Untrusted::new("host"));
    Ingest::new(store, sheet, notices)
}

/// So far apart that the store begins a new head each time.
fn moment(number: u64) -> Moment {
    let seconds = 1000 * number;
    Moment {
        wall: Timestamp::from_seconds(1_700_000_000 + i64::try_from(seconds).unwrap()),
        boot: BootTime::from_nanos(seconds * 1_000_000_000),
    }
}

fn definition(metric: &str, collector: &str) -> SeriesDefinition {
    SeriesDefinition {
        number: 1,
        info: SeriesInfo {
            metric: metric.to_owned(),
            unit: "1".to_owned(),
            kind: MetricKind::Gauge,
            states: Vec::new(),
            help: "A number.".to_owned(),
            labels: Labels::default(),
            collector: collector.to_owned(),
            interval: Duration::from_secs(1),
            audience: Audience::Operator,
        },
    }
}

fn take(ingest: &mut Ingest, run: u64, message: &Message, now: Moment) {
    let payload = message.encode();
    let frame = Frame {
        run,
        sequence: 0,
        payload: &payload,
    };
    ingest.take(&frame, now);
}

#[test]
fn entries_of_a_log_that_the_collector_does_not_read_are_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = ingest(dir.path());
    let entry = LogEntry {
        source: LogSource::Kernel,
        origin: Untrusted::new("kmsg"),
        id: Untrusted::new("0123:9"),
        at: None,
        severity: Severity::Critical,
        code: Untrusted::new("xid.79"),
        component: Untrusted::default(),
        text: Untrusted::new("GPU has fallen off the bus"),
        raw: Vec::new(),
    };
    for (collector, refused) in [("redfish", 1), ("unknown", 2), ("kernel_messages", 2)] {
        let message = Message::Log {
            collector: collector.to_owned(),
            entries: vec![entry.clone()],
        };
        take(&mut ingest, 1, &message, moment(1));
        assert_eq!(ingest.notices.entries_refused(), refused, "{collector}");
    }
}

#[test]
fn the_nodes_own_series_outlive_the_runs_of_the_probe() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = ingest(dir.path());
    let mut own = Own::new(Duration::from_secs(10), None);
    for run in 1..=6 {
        let now = moment(run);
        let define = Message::Define(vec![definition(&format!("test.{run}"), "test")]);
        take(&mut ingest, run, &define, now);
        ingest.report(&mut own, 0, now);
        let batch = Message::Batch(Batch {
            collector: "test".to_owned(),
            at: now,
            samples: vec![(1, Some(Value::U64(run)), Quality::Good)],
        });
        take(&mut ingest, run, &batch, now);
        while ingest.store.maintain(now).unwrap().more {}
        let reader = StoreReader::open(&dir.path().join("store"));
        let latest = |metric: &str| {
            let latest = reader.latest(&Selector::metric(metric), now.wall).unwrap();
            latest
                .entries
                .first()
                .and_then(|latest| latest.sample.value)
        };
        assert_eq!(
            latest("glasshouse.node.frames"),
            Some(Value::U64(2 * run - 1))
        );
        assert_eq!(latest(&format!("test.{run}")), Some(Value::U64(run)));
    }
    assert_eq!(ingest.losses, Losses::default());
}

#[test]
fn what_is_lost_is_a_series() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = ingest(dir.path());
    let unknown = Message::Batch(Batch {
        collector: "test".to_owned(),
        at: moment(1),
        samples: vec![(1, Some(Value::U64(1)), Quality::Good); 3],
    });
    take(&mut ingest, 1, &unknown, moment(1));
    ingest.losses.damage(
        &[("a".to_owned(), 2), ("b".to_owned(), 3)],
        &["c".to_owned()],
    );
    ingest.report(&mut Own::new(Duration::from_secs(10), None), 7, moment(1));
    let reader = StoreReader::open(&dir.path().join("store"));
    for (metric, value) in [
        ("glasshouse.node.samples_unknown", 3),
        ("glasshouse.node.maintenance_failures", 7),
        ("glasshouse.store.blocks_lost", 5),
        ("glasshouse.store.files_set_aside", 1),
    ] {
        let latest = reader.latest(&Selector::metric(metric), moment(1).wall);
        let latest = latest.unwrap();
        assert_eq!(
            latest.entries[0].sample.value,
            Some(Value::U64(value)),
            "{metric}"
        );
    }
}

#[test]
fn the_probe_cannot_write_the_nodes_own_series() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = ingest(dir.path());
    ingest.report(&mut Own::new(Duration::from_secs(10), None), 0, moment(1));
    let forged = Message::Define(vec![definition("glasshouse.node.frames", OWN_COLLECTOR)]);
    take(&mut ingest, 5, &forged, moment(1));
    assert_eq!(ingest.losses.definitions, 1);
    assert_eq!(ingest.store.definitions(5), []);
    let batch = Message::Batch(Batch {
        collector: OWN_COLLECTOR.to_owned(),
        at: moment(2),
        samples: vec![(1, Some(Value::U64(99)), Quality::Good)],
    });
    take(&mut ingest, 5, &batch, moment(2));
    assert_eq!(ingest.losses.unknown, 1);
    // the node's own run is no way in either
    take(&mut ingest, OWN_RUN, &batch, moment(2));
    assert_eq!((ingest.losses.messages, ingest.losses.unknown), (1, 1));
    assert_eq!(ingest.link.run, 5);
    let reader = StoreReader::open(&dir.path().join("store"));
    let selector = Selector::metric("glasshouse.node.frames");
    let latest = reader.latest(&selector, moment(1).wall).unwrap();
    assert_eq!(latest.entries[0].sample.value, Some(Value::U64(0)));
}

/// Batches of one second each.
const SECONDS: u64 = 200;

/// What a batch may allocate, whatever the number of its samples: prost's way of taking a column of bytes, and what the
/// store needs once for a batch.
const MOST_A_BATCH: u64 = 4;

#[test]
fn a_batch_allocates_no_more_for_many_samples_than_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = ingest(dir.path());
    let second = |number: u64| Moment {
        wall: Timestamp::from_seconds(1_700_000_000 + i64::try_from(number).unwrap()),
        boot: BootTime::from_nanos(number * 1_000_000_000),
    };
    let many = 500;
    for number in 1..=many {
        let definition = SeriesDefinition {
            number,
            ..definition(&format!("test.number_{number}"), "fake")
        };
        take(
            &mut ingest,
            7,
            &Message::Define(vec![definition]),
            second(0),
        );
    }
    for count in [1, many] {
        let payload = |at: u64| {
            let samples = (1..=count).map(|number| {
                (
                    number,
                    Some(Value::U64(at * u64::from(number))),
                    Quality::Good,
                )
            });
            let batch = Batch {
                collector: "fake".to_owned(),
                at: second(at),
                samples: samples.collect(),
            };
            Message::Batch(batch).encode()
        };
        let begin = u64::from(count) + 10;
        let payloads: Vec<Vec<u8>> = (begin..begin + 20 + SECONDS).map(payload).collect();
        let mut number = begin;
        let mut take = |payload: &Vec<u8>| {
            let (run, sequence) = (7, 0);
            ingest.take(
                &Frame {
                    run,
                    sequence,
                    payload,
                },
                second(number),
            );
            number += 1;
        };
        let (warm, steady) = payloads.split_at(20);
        warm.iter().for_each(&mut take);
        let allocated = allocation_counter::measure(|| steady.iter().for_each(&mut take));
        assert_eq!(ingest.losses, Losses::default());
        assert!(
            allocated.count_total <= MOST_A_BATCH * SECONDS,
            "{} allocations for {SECONDS} batches of {count}",
            allocated.count_total
        );
    }
}
