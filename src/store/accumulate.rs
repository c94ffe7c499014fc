//! From samples and rollup rows to one value a step.

use std::sync::Arc;

use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, SeriesInfo, SeriesValues};
use glasshouse_core::time::Timestamp;

use crate::bytes::wide;
use crate::quantile::Held;
use crate::rollup::{Point, Row};

/// The steps of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// A multiple of the step.
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Steps {
    /// Steps over a stretch of time, aligned to multiples of the step.
    pub(crate) fn over(from: i64, to: i64, step: i64) -> Self {
        let start = crate::rollup::floor(from, step);
        let length = to.saturating_sub(start).max(0);
        let count = length / step + i64::from(length % step != 0);
        Self {
            start,
            step,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        }
    }

    pub(crate) fn place(&self, time: i64) -> Option<usize> {
        usize::try_from(time.checked_sub(self.start)?.div_euclid(self.step)).ok()
    }

    /// How many of the first steps are over at a time.
    pub(crate) fn over_at(&self, time: i64) -> usize {
        let over = time.saturating_sub(self.start).max(0) / self.step;
        usize::try_from(over).unwrap_or(usize::MAX)
    }
}

/// Collects one series of an answer.
#[derive(Debug)]
pub(crate) struct Accumulator {
    pub(crate) info: Arc<SeriesInfo>,
    aggregation: Aggregation,
    steps: Steps,
    cells: Vec<Cell>,
    samples: u64,
    newest: Option<i64>,
    /// The sample before, for rates; and the one that [`Self::part`] put aside.
    before: Option<Point>,
    parted: Option<Point>,
    /// For quantiles: the samples of the steps that are not over.
    held: Option<Held>,
}

/// One step: what it comes to, and with which weight (samples, nanoseconds, or the time of the last one).
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    value: f64,
    weight: i64,
    filled: bool,
}

impl Accumulator {
    pub(crate) fn new(info: Arc<SeriesInfo>, aggregation: Aggregation, steps: Steps) -> Self {
        Self {
            info,
            aggregation,
            steps,
            cells: vec![Cell::default(); steps.count],
            samples: 0,
            newest: None,
            before: None,
            parted: None,
            held: aggregation.quantile().map(Held::new),
        }
    }

    /// What comes until [`Self::rejoin`] does not follow what came before.
    pub(crate) const fn part(&mut self) {
        self.parted = self.before.take();
    }

    /// What comes now follows what came before [`Self::part`].
    pub(crate) const fn rejoin(&mut self) {
        self.before = self.parted.take();
    }

    /// A sample; one that does not count only says what a counter grew from.
    pub(crate) fn sample(&mut self, point: Point, counts: bool) {
        let before = self.before.replace(point);
        if !counts {
            return;
        }
        self.note(1, point.wall);
        if let Some(held) = &mut self.held {
            let place = self.steps.place(point.wall);
            if let Some(place) = place.filter(|place| *place < self.cells.len()) {
                held.push(place, point.value);
            }
            return;
        }
        let row = Row::of(point.wall, &point);
        match self.aggregation {
            Aggregation::Rate => {
                if let Some((increase, span)) =
                    before.and_then(|before| point.growth_since(&before))
                {
                    self.add(&Row {
                        increase,
                        span,
                        ..row
                    });
                }
            }
            _ => self.add(&row),
        }
    }

    /// A rollup row.
    pub(crate) fn row(&mut self, row: &Row) {
        self.note(row.count, row.last_at);
        self.add(row);
    }

    /// The first and the last sample of a file of rollups; `counts` says whether the step of the first one is asked for.
    pub(crate) fn ends(&mut self, first: Point, last: Point, bucket: i64, counts: bool) {
        let before = self.before.replace(last);
        let grown = before.and_then(|before| first.growth_since(&before));
        if let Some((increase, span)) =
            grown.filter(|_| counts && self.aggregation == Aggregation::Rate)
        {
            let row = Row {
                increase,
                span,
                ..Row::of(bucket, &first)
            };
            self.add(&row);
        }
    }

    /// How many samples are held for quantiles.
    pub(crate) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, Held::len)
    }

    /// No sample before this time comes any more: quantiles of the steps until then are worked out.
    pub(crate) fn settle(&mut self, before: i64) {
        let over = self.steps.over_at(before);
        for (place, value) in self.held.iter_mut().flat_map(|held| held.take(over)) {
            if let Some(cell) = self.cells.get_mut(place) {
                *cell = Cell {
                    value,
                    filled: true,
                    ..Cell::default()
                };
            }
        }
    }

    /// Gives up the quantiles of the steps that are not over: their samples are too many to be held.
    pub(crate) fn give_up(&mut self) {
        if let Some(held) = &mut self.held {
            held.give_up();
        }
    }

    /// Of this time, both ends inside, samples are missing: its steps have no value.
    pub(crate) fn blind(&mut self, oldest: i64, newest: i64) {
        let first = self.steps.place(oldest.max(self.steps.start)).unwrap_or(0);
        let last = self.steps.place(newest).unwrap_or(0);
        let behind = last.saturating_add(1).min(self.cells.len());
        let cells = self.cells.get_mut(first..behind).unwrap_or_default();
        cells.fill(Cell::default());
    }

    pub(crate) fn finish(self) -> SeriesValues {
        let aggregation = self.aggregation;
        SeriesValues {
            values: self
                .cells
                .iter()
                .map(|cell| cell.finish(aggregation))
                .collect(),
            series: self.info,
            samples: self.samples,
            newest: self.newest.map(Timestamp::from_nanos),
        }
    }

    fn note(&mut self, samples: u64, at: i64) {
        self.samples = self.samples.saturating_add(samples);
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }

    fn add(&mut self, row: &Row) {
        if self.aggregation == Aggregation::Rate && self.info.kind != MetricKind::Counter {
            return;
        }
        let place = self.steps.place(row.bucket);
        if let Some(cell) = place.and_then(|place| self.cells.get_mut(place)) {
            cell.add(row, self.aggregation);
        }
    }
}

impl Cell {
    fn add(&mut self, row: &Row, aggregation: Aggregation) {
        let first = !self.filled;
        self.filled = true;
        match aggregation {
            Aggregation::Mean | Aggregation::Sum => {
                self.value += row.sum;
                self.weight = self.weight.saturating_add_unsigned(row.count);
            }
            Aggregation::Min if first || row.min < self.value => self.value = row.min,
            Aggregation::Max if first || row.max > self.value => self.value = row.max,
            Aggregation::Last if first || row.last_at >= self.weight => {
                self.value = row.last;
                self.weight = row.last_at;
            }
            Aggregation::Rate => {
                self.value += row.increase;
                self.weight = self.weight.saturating_add_unsigned(row.span);
            }
            // Quantiles are made of samples alone.
            _ => {}
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a count or a span of time as a divisor"
    )]
    fn finish(&self, aggregation: Aggregation) -> Option<f64> {
        const NANOS: f64 = 1e9;
        let weight = self.weight as f64;
        let value = match aggregation {
            Aggregation::Mean => self.value / weight,
            Aggregation::Rate => self.value * NANOS / weight,
            _ => self.value,
        };
        // No sample, no pair of samples, or numbers so large that they add up to none.
        (self.filled && value.is_finite()).then_some(value)
    }
}

/// The steps of an answer of `series` series that may have `points` values: longer ones where the asked are too many.
pub(crate) fn fit(from: i64, to: i64, step: i64, series: usize, points: usize) -> Steps {
    let each = (points / series.max(1)).max(1);
    let steps = Steps::over(from, to, step);
    if steps.count <= each {
        return steps;
    }
    // A multiple of what was asked, so that rollups still fit; alignment may need one step more than the length does.
    let needed = wide(steps.count).div_ceil(wide(each)).max(2);
    let mut factor = i64::try_from(needed).unwrap_or(i64::MAX);
    loop {
        let longer = Steps::over(from, to, step.saturating_mul(factor));
        if longer.count <= each || longer.step == i64::MAX {
            return longer;
        }
        factor = factor.saturating_add(factor / 8 + 1);
    }
}
