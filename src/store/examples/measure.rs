//! Feeds recorded samples to a store, as a node would, and says what that costs.
//!
//! `measure DIR < RECORDING`, where the recording is little-endian: `u32` series, each `u32` length and its name as
//! Prometheus writes it; then to the end `u32` series, `i64` milliseconds, `f64` value, sorted by time.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{
    Aggregation, Budget, RangeQuery, SampleReader, Selector, SeriesInfo,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp, Window};
use glasshouse_store::{Batch, SeriesRef, Store, StoreReader, StoreSettings, stat};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let dir = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("usage: measure DIR < RECORDING")?,
    );
    let mut input = BufReader::new(io::stdin().lock());
    let (mut store, _) = Store::open(&dir, StoreSettings::default())?;
    let mut series = Vec::new();
    for number in 0..read_u32(&mut input)? {
        let mut name = vec![0; usize::try_from(read_u32(&mut input)?)?];
        input.read_exact(&mut name)?;
        let info = info(&String::from_utf8(name)?);
        series.push((store.define(1, number, &info)?, info));
    }
    let mut out = io::stdout().lock();
    let mut worst = Duration::ZERO;
    let (mut appending, mut upkeep, mut samples) = (Duration::ZERO, Duration::ZERO, 0_u64);
    let mut second: BTreeMap<String, Vec<(SeriesRef, Option<Value>, Quality)>> = BTreeMap::new();
    let mut now = 0;
    while let Ok(number) = read_u32(&mut input) {
        let (millis, value) = (
            read_8(&mut input).map(i64::from_le_bytes)?,
            read_8(&mut input).map(f64::from_le_bytes)?,
        );
        if millis != now {
            let at = moment(now);
            let begun = Instant::now();
            for (collector, samples) in &second {
                if !samples.is_empty() {
                    store.append(&Batch {
                        collector,
                        at,
                        samples,
                    })?;
                }
            }
            appending += begun.elapsed();
            second.values_mut().for_each(Vec::clear);
            let begun = Instant::now();
            if now > 0 {
                store.maintain(at)?;
            }
            upkeep += begun.elapsed();
            worst = worst.max(begun.elapsed());
            now = millis;
        }
        let (reference, info) = series
            .get(usize::try_from(number)?)
            .ok_or("unknown series")?;
        samples += 1;
        let quality = if value.is_finite() {
            Quality::Good
        } else {
            continue;
        };
        let batch = second.entry(info.collector.clone()).or_default();
        batch.push((*reference, Some(Value::F64(value)), quality));
    }
    writeln!(out, "live: {:?}", stat(&dir)?)?;
    let later = moment(now + 3_600_000);
    let begun = Instant::now();
    store.close(later)?;
    let (mut store, _) = Store::open(&dir, StoreSettings::default())?;
    while store.maintain(later)?.more {}
    writeln!(
        out,
        "{samples} samples: append {appending:?}, upkeep {upkeep:?} (worst call {worst:?}), last merge {:?}",
        begun.elapsed()
    )?;
    writeln!(out, "merged: {:#?}", stat(&dir)?)?;
    memory(&mut out)?;
    let reader = StoreReader::open(&dir);
    for (step, aggregation) in [
        (1, Aggregation::Mean),
        (60, Aggregation::Rate),
        (60, Aggregation::Max),
    ] {
        let query = RangeQuery {
            selector: Selector::default(),
            window: Window {
                from: Timestamp::from_nanos((now - 3_600_000) * 1_000_000),
                to: Timestamp::from_nanos(now * 1_000_000),
            },
            step: Duration::from_secs(step),
            aggregation,
            offset: 0,
            budget: Budget {
                series: 1000,
                points: 1_000_000,
                bytes: u64::MAX,
            },
        };
        let begun = Instant::now();
        let answer = reader.range(&query)?;
        writeln!(
            out,
            "{} series at {:?} by {}: {:?}",
            answer.series.len(),
            answer.step,
            aggregation.word(),
            begun.elapsed()
        )?;
    }
    memory(&mut out)?;
    Ok(())
}

fn memory(out: &mut impl Write) -> Outcome<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
    {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn info(name: &str) -> SeriesInfo {
    let (metric, labels) = name.split_once('{').unwrap_or((name, ""));
    let pairs = labels
        .trim_end_matches('}')
        .split("\",")
        .filter_map(|pair| pair.split_once("=\""));
    let collector = metric.split('_').nth(1).unwrap_or("node");
    SeriesInfo {
        metric: metric.to_owned(),
        unit: "1".to_owned(),
        kind: if metric.ends_with("_total") {
            MetricKind::Counter
        } else {
            MetricKind::Gauge
        },
        states: Vec::new(),
        help: format!("What {metric} says, in a sentence that is as long as such sentences are."),
        labels: Labels::new(pairs.map(|(key, value)| (key, value.trim_end_matches('"')))),
        collector: collector.to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    }
}

fn moment(millis: i64) -> Moment {
    Moment {
        wall: Timestamp::from_nanos(millis * 1_000_000),
        boot: BootTime::from_nanos(
            (millis * 1_000_000)
                .unsigned_abs()
                .saturating_sub(1_700_000_000_000_000_000),
        ),
    }
}

fn read_u32(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_8(input: &mut impl Read) -> io::Result<[u8; 8]> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
