//! A wall clock that is set forward or back by an hour at any phase of a head, a merge, a shard.

use std::path::Path;
use std::time::Duration;

use super::folder;
use crate::common::{Kept, S, START, close, info, moment, query, quick, steps};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, SampleReader};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_store::{Batch, Store, StoreReader, StoreSettings};

const HOUR: i64 = 3600;

/// Seconds between batches.
const STEP: i64 = 20;

/// Seconds that a run lasts by the boot clock.
const LENGTH: i64 = 4800;

/// A node whose wall clock is what it is told.
struct World {
    store: Store,
    kept: Vec<Kept>,
    expired: Vec<String>,
}

impl World {
    fn new(dir: &Path, settings: StoreSettings) -> Self {
        let (store, recovery) = Store::open(dir, settings).unwrap();
        assert!(recovery.lost.is_empty() && recovery.set_aside.is_empty());
        Self {
            store,
            kept: Vec::new(),
            expired: Vec::new(),
        }
    }

    fn again(self, dir: &Path, settings: StoreSettings) -> Self {
        drop(self.store);
        Self {
            kept: self.kept,
            expired: self.expired,
            ..Self::new(dir, settings)
        }
    }

    /// One batch: one, and what grows by three in each second of the boot clock.
    fn batch(&mut self, boot: i64, offset: i64) {
        let one = info("one", "x", "a", MetricKind::Gauge);
        let grows = info("grows", "x", "a", MetricKind::Counter);
        let one = self.store.define(1, 1, &one).unwrap();
        let grows = self.store.define(1, 2, &grows).unwrap();
        let wall = START + (boot + offset) * S;
        let value = Some(Value::U64(1));
        let samples = [
            (one, value, Quality::Good),
            (
                grows,
                Some(Value::U64(3 * boot.unsigned_abs())),
                Quality::Good,
            ),
        ];
        let at = moment(wall, (10_000 + boot) * S);
        let collector = "x";
        self.store
            .append(&Batch {
                collector,
                at,
                samples: &samples,
            })
            .unwrap();
        let quality = Quality::Good;
        self.kept.push(Kept {
            at: wall,
            value,
            quality,
        });
        for _ in 0..2 {
            self.expired
                .extend(self.store.maintain(at).unwrap().expired);
        }
    }

    fn check(&self, dir: &Path, context: &str) {
        let reader = StoreReader::open(dir);
        let (from, to) = (START - 2 * HOUR * S, START + 4 * HOUR * S);
        for step in [STEP, 60, 600, HOUR] {
            let ask = |metric, aggregation| {
                let answer = reader.range(&query(metric, from, to, step * S, aggregation));
                let mut answer = answer.unwrap();
                assert!(answer.truncated.is_empty(), "{context}");
                answer.series.remove(0).values
            };
            for aggregation in [Aggregation::Sum, Aggregation::Max] {
                let expected = steps(&self.kept, from, to, step * S, aggregation);
                let found = ask("one", aggregation);
                for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert!(
                        close(*found, *expected),
                        "{context}: {aggregation:?} by {step}, step {place}: {found:?}, not {expected:?}"
                    );
                }
                assert_eq!(found.len(), expected.len());
            }
            let rates = ask("grows", Aggregation::Rate);
            for (place, rate) in rates.iter().enumerate() {
                assert!(
                    rate.is_none_or(|rate| (rate - 3.0).abs() < 1e-6),
                    "{context}: rate by {step}, step {place}: {rate:?}"
                );
            }
            let count = rates.iter().flatten().count();
            assert!(count > 0, "{context}: no rate by {step}");
        }
    }
}

/// The seconds at which the clock is set: within a head, as it rotates, as it is sealed, as an hour is merged.
const PHASES: [i64; 6] = [340, 400, 420, 580, 600, 640];

#[test]
fn an_hour_forward_and_back_again_loses_nothing_and_resets_no_counter() {
    for (phase, at) in PHASES.into_iter().enumerate() {
        for hours in [1, -1] {
            let dir = folder();
            let dir = dir.path();
            let mut world = World::new(dir, quick());
            let back = at + 1500 + 20 * at % 700;
            for boot in (0..LENGTH).step_by(20) {
                let offset = if (at..back).contains(&boot) {
                    hours * HOUR
                } else {
                    0
                };
                // Some are killed as the clock is set.
                if phase % 3 == 2 && boot == at {
                    world = world.again(dir, quick());
                }
                world.batch(boot, offset);
            }
            let context = format!("{hours} h at {at} s");
            assert_eq!(world.expired, [""; 0], "{context}");
            world.check(dir, &context);
            let world = world.again(dir, quick());
            world.check(dir, &format!("{context}, started again"));
        }
    }
}

#[test]
fn retention_takes_no_more_than_an_hour_too_much_by_a_clock_that_is_set() {
    let mut settings = quick();
    settings.shard = Duration::from_secs(600);
    let age = Duration::from_secs(2 * HOUR.unsigned_abs());
    (
        settings.retention.raw,
        settings.retention.minute,
        settings.retention.hour,
    ) = (age, age, age);
    for jump in [HOUR, 2 * HOUR, 30 * 24 * HOUR, -HOUR, -30 * 24 * HOUR] {
        let dir = folder();
        let mut world = World::new(dir.path(), settings.clone());
        let (before, after) = (3 * HOUR, 3 * HOUR + HOUR / 2);
        for boot in (0..before).step_by(20) {
            world.batch(boot, 0);
        }
        for boot in (before..after).step_by(20) {
            world.batch(boot, jump);
        }
        let reader = StoreReader::open(dir.path());
        let from = START + (before - age_of(jump)) * S;
        let query = query("one", from, START + before * S, STEP * S, Aggregation::Sum);
        let answer = reader.range(&query).unwrap();
        let values = &answer.series[0].values;
        assert!(
            answer.step == Duration::from_secs(20) && values.iter().all(Option::is_some),
            "{jump}: {values:?}"
        );
        // Nor does it stop: what is older than both is gone.
        assert!(!world.expired.is_empty(), "{jump}");
    }
}

/// Seconds before the clock was set of which all is still there half an hour later.
fn age_of(jump: i64) -> i64 {
    // An hour's step is believed; a larger one is not, for a day.
    if jump == HOUR { HOUR / 2 } else { 2 * HOUR }
}
