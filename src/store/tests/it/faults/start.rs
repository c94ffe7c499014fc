//! What a start, and the first question, touch where a fortnight is stored: time is not measured here (`examples/start.rs`
//! does), but files and bytes are what it is made of.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::folder;
use crate::common::{S, START, info, moment, names, query};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, SampleReader, Selector};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Timestamp;
use glasshouse_store::faults::{Counts, Operation, counted};
use glasshouse_store::{Batch, Store, StoreReader, StoreSettings};

const DAYS: i64 = 14;

/// Seconds between batches: values are cheap here.
const STEP: i64 = 1800;

/// Index and footer of a segment with three series.
const MOST_OF_SEGMENT: u64 = 600;

fn fortnight(dir: &Path) {
    let settings = StoreSettings {
        rotate: Duration::from_secs(3600),
        ..StoreSettings::default()
    };
    let (mut store, _) = Store::open(dir, settings).unwrap();
    for n in (0..DAYS * 86_400).step_by(usize::try_from(STEP).unwrap()) {
        let at = moment(START + n * S, n * S);
        while store.maintain(at).unwrap().more {}
        let mut samples = Vec::new();
        for number in 0..3 {
            let info = info(&format!("m{number}"), "x", "a", MetricKind::Gauge);
            let series = store.define(1, number, &info).unwrap();
            samples.push((series, Some(Value::U64(n.unsigned_abs())), Quality::Good));
        }
        let collector = "x";
        store
            .append(&Batch {
                collector,
                at,
                samples: &samples,
            })
            .unwrap();
    }
}

/// Opened files and read bytes are no more than these.
fn is_within(counts: &Counts, opened: u64, read: u64, what: &str) {
    assert!(
        counts.of(Operation::Open) <= opened,
        "{what}: {counts:?}, not {opened}"
    );
    assert!(counts.read <= read, "{what}: {counts:?}, not {read}");
}

fn starts_with_little(dir: &Path, what: &str) -> u64 {
    let segments = names(dir, ".seg").len() as u64;
    let heads: u64 = names(dir, ".log")
        .iter()
        .map(|name| fs::metadata(dir.join(name)).unwrap().len())
        .sum();
    let files = segments + names(dir, ".log").len() as u64;
    let (opened, counts) = counted(|| Store::open(dir, StoreSettings::default()));
    let (store, recovery) = opened.unwrap();
    assert!(recovery.lost.is_empty(), "{what}: {recovery:?}");
    is_within(&counts, files, segments * MOST_OF_SEGMENT + heads, what);
    assert!(
        counts.of(Operation::List) <= 3 && counts.of(Operation::Sync) <= 2,
        "{what}: {counts:?}"
    );
    drop(store);
    segments
}

#[test]
fn a_start_after_a_fortnight_reads_ends_of_files_and_no_samples() {
    let dir = folder();
    let dir = dir.path();
    fortnight(dir);
    let segments = starts_with_little(dir, "a kill");
    assert!(segments > 336, "{segments}");
    // A crash in the midst of a merge, a head that is torn, a segment that is damaged.
    fs::write(dir.join("raw-000000000300-000000000301.seg.tmp"), [0; 5000]).unwrap();
    let head = names(dir, ".log").pop().unwrap();
    let mut log = fs::read(dir.join(&head)).unwrap();
    log.extend_from_slice(b"GHf1\x40\0\0\0torn");
    fs::write(dir.join(&head), log).unwrap();
    let segment = dir.join(&names(dir, ".seg")[0]);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() / 2]).unwrap();
    starts_with_little(dir, "torn and damaged files");
    let (_, recovery) = Store::open(dir, StoreSettings::default()).unwrap();
    assert!(recovery.lost.is_empty(), "{recovery:?}");
    asks_little(dir, segments);
}

fn asks_little(dir: &Path, segments: u64) {
    let end = START + DAYS * 86_400 * S;
    let reader = StoreReader::open(dir);
    let heads = names(dir, ".log").len() as u64;
    let now = Timestamp::from_nanos(end - STEP * S);
    let (latest, counts) = counted(|| reader.latest(&Selector::default(), now));
    assert_eq!(latest.unwrap().entries.len(), 3);
    // The first one looks at the end of each file.
    is_within(
        &counts,
        segments + heads + 8,
        segments * 100 + (64 << 10),
        "first",
    );
    let hour = query("m1", end - 3600 * S, end, S * STEP, Aggregation::Last);
    let (answer, counts) = counted(|| reader.range(&hour));
    assert_eq!(answer.unwrap().series[0].values.len(), 2);
    is_within(&counts, 6 + heads, 16 << 10, "an hour");
    let all = query("m1", START, end, 3600 * S, Aggregation::Max);
    let (answer, counts) = counted(|| reader.range(&all));
    assert_eq!(answer.unwrap().series[0].values.len(), 336);
    // Rollups of a day are one file.
    is_within(&counts, 40 + heads, 128 << 10, "all of it");
}
