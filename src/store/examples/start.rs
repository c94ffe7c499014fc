//! How long a start takes where a fortnight is stored, and the first questions after it.
//!
//! `start DIR [SERIES]` stores fourteen days of that many series (600), one batch every five minutes, as a node would, where there
//! is no such folder yet, and then starts as after a stop, after a kill, and after a crash in the midst of a merge with torn and damaged files.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{
    Aggregation, Budget, RangeQuery, SampleReader, Selector, SeriesInfo,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp, Window};
use glasshouse_store::faults::{Operation, counted};
use glasshouse_store::{Batch, Store, StoreReader, StoreSettings};

type Outcome<T> = Result<T, Box<dyn Error>>;

const DAYS: i64 = 14;

/// Seconds between batches.
const STEP: usize = 300;

/// 2023-11-14T00:00:00Z.
const START: i64 = 1_699_920_000;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("usage: start DIR [SERIES]")?);
    let series: u32 = arguments.next().map_or(Ok(600), |text| text.parse())?;
    let mut out = io::stdout().lock();
    if !dir.exists() {
        let begun = Instant::now();
        drop(fill(&dir, series)?);
        writeln!(out, "stored in {:?}", begun.elapsed())?;
    }
    start(&dir, "after a kill", &mut out)?;
    break_files(&dir)?;
    start(&dir, "after a crash in the midst of a merge", &mut out)?;
    let (mut store, _) = Store::open(&dir, StoreSettings::default())?;
    let end = DAYS * 86_400;
    while store.maintain(moment(end))?.more {}
    store.close(moment(end))?;
    start(&dir, "after a stop", &mut out)?;
    Ok(())
}

/// A node's fortnight, which ends at half past the hour.
fn fill(dir: &Path, series: u32) -> Outcome<Store> {
    let (mut store, _) = Store::open(dir, StoreSettings::default())?;
    for n in (0..DAYS * 86_400 + 1800).step_by(STEP) {
        let now = moment(n);
        while store.maintain(now)?.more {}
        for (collector, share) in ["cpu", "disk", "network"].into_iter().zip(0..) {
            let mut samples = Vec::new();
            for number in (0..series).filter(|number| number % 3 == share) {
                let reference = store.define(1, number, &info(number, collector))?;
                let value = n.unsigned_abs() * u64::from(number) % 1000;
                samples.push((reference, Some(Value::U64(value)), Quality::Good));
            }
            store.append(&Batch {
                collector,
                at: now,
                samples: &samples,
            })?;
        }
    }
    Ok(store)
}

/// What a crash leaves.
fn break_files(dir: &Path) -> Outcome<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.path());
    }
    names.sort();
    let ending = |end: &'static str| {
        let names = names.iter().rev();
        names.filter(move |path| path.extension().is_some_and(|extension| extension == end))
    };
    for segment in ending("seg").take(3) {
        fs::copy(segment, segment.with_extension("seg.tmp"))?;
    }
    for damaged in ending("seg").skip(3).take(3) {
        let whole = fs::read(damaged)?;
        fs::write(damaged, whole.get(..whole.len() / 2).unwrap_or_default())?;
    }
    for head in ending("log").take(1) {
        let mut torn = fs::read(head)?;
        torn.extend_from_slice(b"GHf1\x40\0\0\0torn");
        fs::write(head, torn)?;
    }
    Ok(())
}

fn start(dir: &Path, what: &str, out: &mut impl Write) -> Outcome<()> {
    let begun = Instant::now();
    let (opened, counts) = counted(|| Store::open(dir, StoreSettings::default()));
    let (store, recovery) = opened?;
    let took = begun.elapsed();
    let files = counts.of(Operation::Open);
    writeln!(
        out,
        "{what}: started in {took:?} ({files} files opened, {} bytes read, {} removed, {} set aside)",
        counts.read,
        recovery.removed.len(),
        recovery.set_aside.len()
    )?;
    let reader = StoreReader::open(dir);
    let end = START + DAYS * 86_400 + 1800;
    let begun = Instant::now();
    let latest = reader.latest(&Selector::default(), seconds(end))?;
    writeln!(
        out,
        "  {} newest samples in {:?}",
        latest.entries.len(),
        begun.elapsed()
    )?;
    for (what, from, step) in [
        ("an hour by 5 min", end - 3600, 300),
        ("a day by 1 min", end - 86_400, 60),
        ("a fortnight by 1 h", START, 3600),
    ] {
        let query = RangeQuery {
            selector: Selector::metric("start.7"),
            window: Window {
                from: seconds(from),
                to: seconds(end),
            },
            step: Duration::from_secs(step),
            aggregation: Aggregation::Mean,
            offset: 0,
            budget: Budget {
                series: 10,
                points: 100_000,
                bytes: u64::MAX,
            },
        };
        let begun = Instant::now();
        let (answer, counts) = counted(|| reader.range(&query));
        let values: usize = answer?.series.iter().map(|one| one.values.len()).sum();
        writeln!(
            out,
            "  {what}: {values} values in {:?} ({} files, {} bytes)",
            begun.elapsed(),
            counts.of(Operation::Open),
            counts.read
        )?;
    }
    drop(store);
    Ok(())
}

fn info(number: u32, collector: &str) -> SeriesInfo {
    SeriesInfo {
        metric: format!("start.{number}"),
        unit: "1".to_owned(),
        kind: MetricKind::Gauge,
        states: Vec::new(),
        help: "What it says, in a sentence that is as long as such sentences are.".to_owned(),
        labels: Labels::new([("system.device", format!("device{number}").as_str())]),
        collector: collector.to_owned(),
        interval: Duration::from_secs(300),
        audience: Audience::Operator,
    }
}

fn seconds(at: i64) -> Timestamp {
    Timestamp::from_nanos(at * 1_000_000_000)
}

fn moment(n: i64) -> Moment {
    Moment {
        wall: seconds(START + n),
        boot: BootTime::from_nanos((n.unsigned_abs() + 100) * 1_000_000_000),
    }
}
