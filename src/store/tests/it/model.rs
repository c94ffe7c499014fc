//! The store against a plain list of samples: whatever is appended, sealed, merged and reopened in whatever order, a
//! second reader always gives what the list gives.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{Kept, S, START, close, info, moment, query, quick, steps, window};
use glasshouse_core::failure::FailureReason;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, Resolution, SampleReader, Selector, Truncation};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Timestamp;
use glasshouse_store::{Batch, SeriesRef, Store, StoreReader};
use proptest::prelude::*;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// So many batches of a collector, this many tenths of a second apart.
    Append {
        collector: usize,
        batches: u16,
        tenths: u16,
        seed: u16,
    },
    Maintain {
        calls: u8,
    },
    /// The process is killed and starts again.
    Reopen,
    /// It stops in order and starts again.
    Close,
    /// The wall clock is set back or forward by seconds.
    Clock(i8),
    /// Nobody appends for so many seconds.
    Silence(u16),
    /// The probe starts again: a new run, whose numbers differ.
    Run,
    Ask {
        from: u16,
        length: u16,
        step: u16,
        aggregation: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..3, 1_u16..120, 1_u16..60, any::<u16>())
            .prop_map(|(collector, batches, tenths, seed)| Step::Append { collector, batches, tenths, seed }),
        6 => (1_u8..6).prop_map(|calls| Step::Maintain { calls }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Close),
        1 => any::<i8>().prop_map(Step::Clock),
        1 => (0_u16..4000).prop_map(Step::Silence),
        1 => Just(Step::Run),
        6 => (any::<u16>(), any::<u16>(), 0_u16..5, 0..ASKED.len())
            .prop_map(|(from, length, step, aggregation)| Step::Ask { from, length, step, aggregation }),
    ]
}

const COLLECTORS: [&str; 3] = ["memory", "power", "thermal"];
const SERIES: usize = 3;

/// Rates are asked for beside them.
const ASKED: [Aggregation; 7] = [
    Aggregation::Mean,
    Aggregation::Min,
    Aggregation::Max,
    Aggregation::Sum,
    Aggregation::Last,
    Aggregation::P50,
    Aggregation::P95,
];

struct World {
    dir: tempfile::TempDir,
    store: Option<Store>,
    reader: StoreReader,
    run: u64,
    references: Vec<Vec<SeriesRef>>,
    kept: BTreeMap<(usize, usize), Vec<Kept>>,
    wall: i64,
    boot: i64,
}

fn metric(collector: usize, series: usize) -> String {
    format!("{}.{series}", COLLECTORS[collector])
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let reader = StoreReader::open(dir.path());
        let mut world = Self {
            dir,
            store: None,
            reader,
            run: 1,
            references: Vec::new(),
            kept: BTreeMap::new(),
            wall: START,
            boot: 1000 * S,
        };
        world.open();
        world.define();
        world
    }

    fn open(&mut self) {
        drop(self.store.take());
        let (store, recovery) = Store::open(self.dir.path(), quick()).unwrap();
        assert!(
            recovery.lost.is_empty() && recovery.set_aside.is_empty() && recovery.cut.is_empty(),
            "{recovery:?}"
        );
        self.store = Some(store);
    }

    /// The number by which this run calls a series.
    fn number(&self, collector: usize, series: usize) -> u32 {
        u32::try_from(collector * 10 + series + usize::try_from(self.run).unwrap()).unwrap()
    }

    fn define_one(&mut self, collector: usize, series: usize) -> SeriesRef {
        let kind = if series == 2 {
            MetricKind::Counter
        } else {
            MetricKind::Gauge
        };
        let info = info(&metric(collector, series), COLLECTORS[collector], "x", kind);
        let number = self.number(collector, series);
        let store = self.store.as_mut().unwrap();
        store.define(self.run, number, &info).unwrap()
    }

    fn define(&mut self) {
        self.references = (0..COLLECTORS.len())
            .map(|collector| {
                (0..SERIES)
                    .map(|series| self.define_one(collector, series))
                    .collect()
            })
            .collect();
    }

    /// What the probe does each minute: it repeats what it knows, so that a series which the store forgot, because it had no
    /// sample for hours, is defined again before it has one.
    fn repeat(&mut self, collector: usize) {
        for series in 0..SERIES {
            let known = self.references[collector][series];
            if !self.store.as_ref().unwrap().knows(known) {
                self.references[collector][series] = self.define_one(collector, series);
            }
        }
    }

    /// What a restarted node does: it asks the store, because it cannot ask the probe. What the store forgot, the probe
    /// repeats.
    fn remember(&mut self) {
        let known = self.store.as_ref().unwrap().definitions(self.run);
        let known: BTreeMap<u32, SeriesRef> = known.into_iter().collect();
        for collector in 0..COLLECTORS.len() {
            for series in 0..SERIES {
                let number = self.number(collector, series);
                self.references[collector][series] = match known.get(&number) {
                    Some(reference) => *reference,
                    None => self.define_one(collector, series),
                };
            }
        }
    }

    fn value(&self, series: usize, n: u16) -> (Option<Value>, Quality) {
        match series {
            0 if n.is_multiple_of(7) => (None, Quality::Absent(FailureReason::Timeout)),
            0 => (Some(Value::F64(f64::from(n % 1000) / 10.0)), Quality::Good),
            1 => (Some(Value::U64(u64::from(n / 13))), Quality::Estimated),
            // Three a second of real time, so that every rate is three, whatever the wall clock does.
            _ => (
                Some(Value::F64(3.0 * (self.boot as f64) / 1e9)),
                Quality::Good,
            ),
        }
    }

    fn append(&mut self, collector: usize, batches: u16, tenths: u16, seed: u16) {
        self.repeat(collector);
        for n in 0..batches {
            self.wall += i64::from(tenths) * S / 10;
            self.boot += i64::from(tenths) * S / 10;
            let mut samples = Vec::new();
            for series in 0..SERIES {
                let n = n.wrapping_mul(31).wrapping_add(seed);
                // The second series comes and goes.
                if series == 1 && n % 5 == 0 {
                    continue;
                }
                let (value, quality) = self.value(series, n);
                samples.push((self.references[collector][series], value, quality));
                self.kept
                    .entry((collector, series))
                    .or_default()
                    .push(Kept {
                        at: self.wall,
                        value,
                        quality,
                    });
            }
            let at = moment(self.wall, self.boot);
            self.store
                .as_mut()
                .unwrap()
                .append(&Batch {
                    collector: COLLECTORS[collector],
                    at,
                    samples: &samples,
                })
                .unwrap();
        }
    }

    fn maintain(&mut self) {
        let now = moment(self.wall, self.boot);
        let done = self.store.as_mut().unwrap().maintain(now).unwrap();
        assert!(
            done.lost.is_empty() && done.expired.is_empty() && done.set_aside.is_empty(),
            "{done:?}"
        );
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Append {
                collector,
                batches,
                tenths,
                seed,
            } => self.append(collector, batches, tenths, seed),
            Step::Maintain { calls } => (0..calls).for_each(|_| self.maintain()),
            Step::Reopen => {
                self.open();
                self.remember();
            }
            Step::Close => {
                self.store
                    .take()
                    .unwrap()
                    .close(moment(self.wall, self.boot))
                    .unwrap();
                self.open();
                self.remember();
            }
            Step::Clock(seconds) => self.wall += i64::from(seconds) * S,
            Step::Silence(seconds) => {
                self.wall += i64::from(seconds) * S;
                self.boot += i64::from(seconds) * S;
            }
            Step::Run => {
                self.run += 1;
                self.define();
            }
            Step::Ask {
                from,
                length,
                step,
                aggregation,
            } => {
                let from = START - 100 * S + i64::from(from) * S / 4;
                let to = from + i64::from(length) * S / 4 + 1;
                let step = [1, 7, 60, 300, 3600][usize::from(step)] * S;
                self.ask(from, to, step, ASKED[aggregation]);
            }
        }
        self.check_latest();
    }

    fn ask(&self, from: i64, to: i64, step: i64, aggregation: Aggregation) {
        for ((collector, series), kept) in &self.kept {
            let name = metric(*collector, *series);
            let answer = self
                .reader
                .range(&query(&name, from, to, step, aggregation))
                .unwrap();
            let expected = steps(kept, from, to, step, aggregation);
            let context = format!(
                "{name} {from} {to} {step} {aggregation:?} {:?}",
                crate::common::names(self.dir.path(), "")
            );
            assert!(answer.truncated.is_empty(), "{context}");
            assert_eq!(answer.step, Duration::from_nanos(step.unsigned_abs()));
            assert_eq!(answer.start.nanos(), from.div_euclid(step) * step);
            let inside = || kept.iter().filter(|kept| from <= kept.at && kept.at < to);
            match answer.series.as_slice() {
                [] => assert!(inside().next().is_none(), "{context}"),
                [one] => {
                    assert_eq!(one.values.len(), expected.len());
                    for (n, (a, b)) in one.values.iter().zip(&expected).enumerate() {
                        assert!(close(*a, *b), "step {n}: {a:?} is not {b:?}: {context}");
                    }
                    let valued = || inside().filter(|kept| kept.value.is_some());
                    assert_eq!(one.samples, valued().count() as u64, "{context}");
                    assert_eq!(
                        one.newest.map(Timestamp::nanos),
                        valued().map(|kept| kept.at).max(),
                        "{context}"
                    );
                }
                more => panic!("{} series: {context}", more.len()),
            }
            if *series == 2 {
                let answer = self
                    .reader
                    .range(&query(&name, from, to, step, Aggregation::Rate))
                    .unwrap();
                for rate in answer
                    .series
                    .iter()
                    .flat_map(|one| one.values.iter().flatten())
                {
                    assert!((rate - 3.0).abs() < 0.01, "rate {rate}: {context}");
                }
            }
            let found = self
                .reader
                .series(&Selector::metric(&name), window(from, to))
                .unwrap();
            assert_eq!(
                found.entries.len(),
                usize::from(inside().next().is_some()),
                "{context}"
            );
        }
    }

    fn check_latest(&self) {
        let now = self.wall;
        let after = now - 900 * S;
        let latest = self
            .reader
            .latest(&Selector::default(), Timestamp::from_nanos(now))
            .unwrap();
        let mut found = latest.entries.iter();
        for ((collector, series), kept) in &self.kept {
            let newest = kept
                .iter()
                .rev()
                .find(|kept| after < kept.at && kept.at <= now);
            let Some(newest) = newest else {
                continue;
            };
            let latest = found.next().unwrap();
            assert_eq!(latest.series.metric, metric(*collector, *series));
            assert_eq!(
                (latest.sample.at.nanos(), latest.sample.value),
                (newest.at, newest.value)
            );
            let stale = now - newest.at > 3 * S && newest.value.is_some();
            assert_eq!(
                latest.sample.quality,
                if stale {
                    Quality::Stale
                } else {
                    newest.quality
                }
            );
        }
        assert_eq!(found.next(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_second_reader_gives_what_a_list_gives(script in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &script {
            world.take(step);
        }
        let to = world.wall.max(START) + S;
        for step in [60, 3600] {
            for aggregation in [Aggregation::Mean, Aggregation::Last, Aggregation::Sum] {
                world.ask(START - 5000 * S, to, step * S, aggregation);
            }
        }
    }
}

#[test]
fn a_day_is_rolled_up_merged_and_answered_from_the_tier_that_fits() {
    let mut world = World::new();
    for minute in 0..5 * 60 {
        world.append(0, 20, 30, minute);
        world.maintain();
    }
    (0..100).for_each(|_| world.maintain());
    let tiers = world.reader.coverage().unwrap();
    assert!(tiers.iter().all(|tier| tier.samples > 0), "{tiers:?}");
    // Four whole hours are one file each, the fifth is in parts.
    let files: Vec<usize> = tiers.iter().map(|tier| tier.files).collect();
    assert!(files[1] < 12 && files[2] < 12 && files[0] < 40, "{files:?}");
    let end = world.wall;
    for (step, resolution) in [
        (30, Resolution::Raw),
        (90, Resolution::Raw),
        (120, Resolution::Minute),
        (3600, Resolution::Hour),
    ] {
        for aggregation in [
            Aggregation::Mean,
            Aggregation::Min,
            Aggregation::Max,
            Aggregation::Sum,
            Aggregation::Last,
        ] {
            world.ask(START + 17 * S, end, step * S, aggregation);
        }
        let rates = world
            .reader
            .range(&query("memory.2", START, end, step * S, Aggregation::Rate))
            .unwrap();
        assert_eq!(rates.resolution, resolution);
        let rates = &rates.series[0].values;
        assert!(
            rates
                .iter()
                .all(|rate| rate.is_some_and(|rate| (rate - 3.0).abs() < 1e-9)),
            "{rates:?}"
        );
    }
}

#[test]
fn an_answer_stays_inside_its_budget_and_says_so() {
    let mut world = World::new();
    world.append(0, 600, 10, 1);
    world.append(1, 1, 10, 1);
    (0..5).for_each(|_| world.maintain());
    let (from, to) = (START, world.wall + S);
    let mut all = query("memory.0", from, to, S, Aggregation::Max);
    all.selector = Selector::default();
    let whole = world.reader.range(&all).unwrap();
    assert_eq!((whole.matched, whole.truncated.is_empty()), (6, true));
    let mut few = all;
    few.budget.points = 60;
    let answer = world.reader.range(&few).unwrap();
    assert_eq!(answer.truncated, Truncation::Points.into());
    assert!(answer.series.len() == 6 && answer.series.iter().all(|one| one.values.len() <= 10));
    let largest = |answer: &glasshouse_core::reader::RangeAnswer| {
        answer.series[0]
            .values
            .iter()
            .flatten()
            .copied()
            .fold(0.0, f64::max)
    };
    assert_eq!(largest(&answer), largest(&whole));
    few.budget.series = 2;
    few.budget.points = 1_000_000;
    let answer = world.reader.range(&few).unwrap();
    assert_eq!(
        (answer.truncated, answer.series.len(), answer.matched),
        (Truncation::Series.into(), 2, 6)
    );
    assert_eq!(answer.series[0].series.metric, "memory.0");
    few.budget.points = 1;
    let answer = world.reader.range(&few).unwrap();
    assert_eq!((answer.series.len(), answer.series[0].values.len()), (1, 1));
    few.budget.bytes = 1;
    let answer = world.reader.range(&few).unwrap();
    assert!(
        answer.truncated.has(Truncation::Bytes),
        "{}",
        answer.truncated
    );
    let mut values = answer.series.iter().flat_map(|one| &one.values);
    assert!(values.all(Option::is_none) && answer.bytes_read <= 1);
    let empty = world
        .reader
        .range(&query("memory.0", to, from, S, Aggregation::Max))
        .unwrap();
    assert!(empty.series.is_empty());
    let mut huge = query("memory.0", i64::MIN, i64::MAX, 1, Aggregation::Max);
    huge.budget.points = usize::MAX;
    assert!(world.reader.range(&huge).unwrap().series[0].values.len() <= 1_000_000);
}
