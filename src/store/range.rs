//! Answers a question over time.
//!
//! First it is found out, newest file first, which series match and what reading them costs; then the steps are fixed;
//! then the files are read in the order in which they were written, each series' rows one after the other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::{
    Aggregation, RangeAnswer, RangeQuery, Resolution, SeriesInfo, Truncation, Truncations,
};
use glasshouse_core::time::Timestamp;

use crate::accumulate::{Accumulator, Steps, fit};
use crate::column::Column;
use crate::error::{Malformed, StoreError};
use crate::merge::width;
use crate::plan::{Plan, PlannedSegment};
use crate::record::interval_nanos;
use crate::rollup::{Point, Rolled, floor};
use crate::segment::Footer;
use crate::times::Times;
use crate::view::{OpenHead, Snapshot, View, cover};

/// Values in one answer at most, whatever the budget says: 24 MB.
const MOST_POINTS: usize = 1_000_000;

/// Samples that one answer holds at once for quantiles: 16 MB, a step of a fortnight of one series at 1 s, or of an hour
/// of 580. A step that needs more has no value.
const MOST_HELD: usize = 1 << 21;

/// How far before the window a rate looks for the sample that its first step grew from, at least.
const LOOK_BEFORE: i64 = 60_000_000_000;

/// The same at most.
const LOOK_BEFORE_AT_MOST: i64 = 3_600_000_000_000;

/// Answers from a snapshot.
pub(crate) fn range(
    view: &View,
    snapshot: &Snapshot,
    query: &RangeQuery,
) -> Result<RangeAnswer, StoreError> {
    let asked = Asked::of(query, snapshot);
    let mut plan = Plan::default();
    plan.find(view, snapshot, query, &asked)?;
    let matched = plan.keys.len();
    let points = query.budget.points.min(MOST_POINTS);
    let rest = matched.saturating_sub(query.offset);
    let shown = rest.min(query.budget.series).min(points);
    let steps = fit(asked.from, asked.to, asked.step, shown, points);
    let mut series = plan.accumulators(query, shown, steps);
    plan.keep(|key| matches!(series.get(key), Some(Some(_))), query);
    let read = plan.read(view, &mut series, &asked)?;
    let mut truncated = read.truncated;
    truncated.add_if(plan.too_large, Truncation::Bytes);
    truncated.add_if(shown < rest, Truncation::Series);
    truncated.add_if(steps.step > asked.step && shown > 0, Truncation::Points);
    truncated.add_if(!asked.blind.is_empty(), Truncation::Rollups);
    for (oldest, newest) in &asked.blind {
        let series = series.iter_mut().flatten();
        series.for_each(|series| series.blind(*oldest, *newest));
    }
    let mut answers: Vec<_> = series
        .into_iter()
        .flatten()
        .map(Accumulator::finish)
        .collect();
    answers.sort_by(|a, b| key(&a.series).cmp(&key(&b.series)));
    Ok(RangeAnswer {
        resolution: read.coarsest,
        start: Timestamp::from_nanos(steps.start),
        step: Duration::from_nanos(steps.step.unsigned_abs()),
        series: answers,
        matched,
        truncated,
        bytes_read: plan.bytes,
    })
}

pub(crate) fn key(info: &SeriesInfo) -> (&str, &Labels) {
    (&info.metric, &info.labels)
}

/// The question in nanoseconds.
pub(crate) struct Asked {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// From here on files are read.
    pub(crate) look_from: i64,
    pub(crate) step: i64,
    /// The segments that hold the answer, without those beside the window.
    pub(crate) chosen: Vec<Footer>,
    /// Raw segments of which only what rollups cannot give is read: the ends of the window.
    pub(crate) edges: Vec<Footer>,
    /// From when to when only rollups are left, where the question needs samples.
    blind: Vec<(i64, i64)>,
}

impl Asked {
    fn of(query: &RangeQuery, snapshot: &Snapshot) -> Self {
        let from = query.window.from.nanos();
        let to = query.window.to.nanos().max(from);
        let step = i64::try_from(interval_nanos(query.step))
            .unwrap_or(i64::MAX)
            .max(1);
        let needs_samples = query.aggregation.quantile().is_some();
        let tier = if needs_samples {
            Resolution::Raw
        } else {
            tier_for(step)
        };
        let look_from = if query.aggregation == Aggregation::Rate {
            from.saturating_sub(step.clamp(LOOK_BEFORE, LOOK_BEFORE_AT_MOST))
        } else {
            from
        };
        let mut asked = Self {
            from,
            to,
            look_from,
            step,
            chosen: Vec::new(),
            edges: Vec::new(),
            blind: Vec::new(),
        };
        let mut chosen = cover(&snapshot.segments, tier);
        chosen.retain(|footer| asked.overlaps(footer.oldest, footer.newest));
        if needs_samples {
            let coarse = chosen.extract_if(.., |footer| footer.name.tier != Resolution::Raw);
            asked.blind = coarse
                .map(|footer| (footer.oldest, footer.newest))
                .collect();
        }
        asked.chosen = chosen;
        asked.find_edges(snapshot);
        // Where retention left only rollups, a step shorter than theirs would be mostly empty.
        let coarse = asked
            .chosen
            .iter()
            .filter_map(|footer| width(footer.name.tier))
            .max();
        if let Some(width) = coarse
            && asked.step % width != 0
        {
            asked.step = (asked.step / width).saturating_add(1).saturating_mul(width);
        }
        asked
    }

    pub(crate) const fn overlaps(&self, oldest: i64, newest: i64) -> bool {
        self.look_from <= newest && oldest < self.to
    }

    /// Whether it lies in the window itself, not only where the first step looks back to.
    pub(crate) const fn shows(&self, oldest: i64, newest: i64) -> bool {
        self.from <= newest && oldest < self.to
    }

    fn find_edges(&mut self, snapshot: &Snapshot) {
        let raw = snapshot
            .segments
            .iter()
            .filter(|footer| footer.name.tier == Resolution::Raw);
        for footer in raw {
            let name = footer.name;
            let rollup = self
                .chosen
                .iter()
                .find(|chosen| chosen.name.covers(name.first, name.last));
            let Some(width) = rollup.and_then(|rollup| width(rollup.name.tier)) else {
                continue;
            };
            let (inner, outer) = (self.from.saturating_add(width - 1), floor(self.to, width));
            let at_start = self.from <= footer.newest && footer.oldest < floor(inner, width);
            let at_end = outer <= footer.newest && footer.oldest < self.to;
            if at_start && self.from % width != 0 || at_end && self.to % width != 0 {
                self.edges.push(*footer);
            }
        }
    }

    const fn counts(&self, wall: i64) -> bool {
        self.from <= wall && wall < self.to
    }

    /// Whether a row of rollups lies in the window as a whole.
    const fn counts_row(&self, bucket: i64, width: i64) -> bool {
        self.from <= bucket && bucket.saturating_add(width) <= self.to
    }

    /// How wide the rollups are that hold the rest of what an edge holds.
    fn width_beside(&self, edge: &Footer) -> i64 {
        let beside = self
            .chosen
            .iter()
            .find(|chosen| chosen.name.covers(edge.name.first, edge.name.last));
        beside
            .and_then(|beside| width(beside.name.tier))
            .unwrap_or(1)
    }
}

/// The coarsest tier that gives the step exactly.
fn tier_for(step: i64) -> Resolution {
    let fits = |tier: &Resolution| width(*tier).is_none_or(|width| step % width == 0);
    Resolution::ALL
        .iter()
        .rev()
        .copied()
        .find(fits)
        .unwrap_or(Resolution::Raw)
}

impl Plan<'_> {
    /// One accumulator a series, for as many as are shown in the order of metric and labels.
    fn accumulators(
        &self,
        query: &RangeQuery,
        shown: usize,
        steps: Steps,
    ) -> Vec<Option<Accumulator>> {
        let mut order: Vec<usize> = (0..self.infos.len()).collect();
        order.sort_by_key(|place| self.infos.get(*place).map(|info| key(info)));
        let mut series: Vec<Option<Accumulator>> = Vec::new();
        series.resize_with(self.infos.len(), || None);
        for place in order.into_iter().skip(query.offset).take(shown) {
            if let (Some(slot), Some(info)) = (series.get_mut(place), self.infos.get(place)) {
                *slot = Some(Accumulator::new(Arc::clone(info), query.aggregation, steps));
            }
        }
        series
    }

    /// Reads everything, oldest first.
    fn read(
        &self,
        view: &View,
        series: &mut [Option<Accumulator>],
        asked: &Asked,
    ) -> Result<Read, StoreError> {
        let mut coarsest = Resolution::Raw;
        let mut reading = Reading {
            view,
            damaged: self.damaged,
            held: 0,
            gave_up: false,
        };
        let whole = self.segments.iter().map(|segment| (segment, false));
        let mut parts: Vec<_> = whole
            .chain(self.edges.iter().map(|segment| (segment, true)))
            .collect();
        parts.sort_by_key(|(segment, edge)| (segment.file.footer.name.first, *edge));
        let mut settled = self.oldest_first_samples(&parts).into_iter();
        for (segment, edge) in parts {
            reading.settle(series, settled.next());
            let tier = segment.file.footer.name.tier;
            coarsest = coarsest.max(tier);
            match width(tier) {
                None if edge => {
                    series.iter_mut().flatten().for_each(Accumulator::part);
                    let width = asked.width_beside(&segment.file.footer);
                    reading.raw(segment, series, |wall| {
                        asked.counts(wall) && !asked.counts_row(floor(wall, width), width)
                    })?;
                    series.iter_mut().flatten().for_each(Accumulator::rejoin);
                }
                None => reading.raw(segment, series, |wall| asked.counts(wall))?,
                Some(width) => reading.rollups(segment, series, asked, width)?,
            }
        }
        for (head, wanted) in self.heads.iter().rev() {
            reading.settle(series, settled.next());
            reading.head(head, wanted, series, asked)?;
        }
        reading.settle(series, Some(i64::MAX));
        let mut truncated = Truncations::NONE;
        truncated.add_if(reading.damaged, Truncation::Damage);
        truncated.add_if(reading.gave_up, Truncation::Samples);
        Ok(Read {
            coarsest,
            truncated,
        })
    }

    /// For each file in the order in which they are read, the time of the oldest sample in it or in one behind it: what
    /// is older than that is complete.
    fn oldest_first_samples(&self, parts: &[(&PlannedSegment, bool)]) -> Vec<i64> {
        let segments = parts.iter().map(|(segment, _)| segment.file.footer.oldest);
        let heads = self.heads.iter().rev();
        let heads = heads.map(|(head, _)| head.view.bounds.map_or(i64::MAX, |(oldest, _)| oldest));
        let mut oldest: Vec<i64> = segments.chain(heads).collect();
        let mut known = i64::MAX;
        for time in oldest.iter_mut().rev() {
            known = known.min(*time);
            *time = known;
        }
        oldest
    }
}

/// What was read.
struct Read {
    coarsest: Resolution,
    /// Why something is left out.
    truncated: Truncations,
}

/// Reads segments block by block; one that is damaged is left out.
struct Reading<'a> {
    view: &'a View,
    damaged: bool,
    /// Samples that all series hold for quantiles.
    held: usize,
    /// There were too many of them.
    gave_up: bool,
}

impl Reading<'_> {
    /// Works out the quantiles of steps that are complete.
    fn settle(&mut self, series: &mut [Option<Accumulator>], before: Option<i64>) {
        if self.held > 0
            && let Some(before) = before
        {
            let series = series.iter_mut().flatten();
            self.held = series.fold(0, |held, series| {
                series.settle(before);
                held.saturating_add(series.held())
            });
        }
    }

    /// Counts what a series has come to hold, and lets go of it where that is too much.
    fn hold(&mut self, accumulator: &mut Accumulator, before: usize) {
        let more = accumulator.held().saturating_sub(before);
        self.held = self.held.saturating_add(more);
        if more > 0 && self.held > MOST_HELD {
            self.held = self.held.saturating_sub(accumulator.held());
            accumulator.give_up();
            self.gave_up = true;
        }
    }

    fn raw(
        &mut self,
        segment: &PlannedSegment,
        series: &mut [Option<Accumulator>],
        counts: impl Fn(i64) -> bool,
    ) -> Result<(), StoreError> {
        let inside = |error: Malformed| error.inside(&segment.file.path);
        let mut all_times: BTreeMap<usize, Option<Times>> = BTreeMap::new();
        let mut column = Column::default();
        for planned in &segment.blocks {
            let Some(Some(accumulator)) = series.get_mut(planned.key) else {
                continue;
            };
            let times = self.once(&mut all_times, segment, planned.collector, Times::decode)?;
            let Some(times) = times else {
                continue;
            };
            column.clear();
            let block = segment.file.block(planned.block);
            let decoded = block.and_then(|block| {
                column.decode(&block).map_err(inside)?;
                if column.len() != times.len() {
                    return Err(inside(Malformed("a column is not as long as its times")));
                }
                Ok(())
            });
            if self.readable(segment, decoded)?.is_none() {
                continue;
            }
            let held = accumulator.held();
            for (row, (wall, boot)) in column.rows().zip(times.rows()) {
                if let Some(value) = row.and_then(|(value, _)| value) {
                    let value = value.as_f64();
                    accumulator.sample(Point { wall, boot, value }, counts(wall));
                }
            }
            self.hold(accumulator, held);
        }
        Ok(())
    }

    fn rollups(
        &mut self,
        segment: &PlannedSegment,
        series: &mut [Option<Accumulator>],
        asked: &Asked,
        width: i64,
    ) -> Result<(), StoreError> {
        let inside = |error: Malformed| error.inside(&segment.file.path);
        let mut bases: BTreeMap<usize, Option<Rolled>> = BTreeMap::new();
        for planned in &segment.blocks {
            let Some(Some(accumulator)) = series.get_mut(planned.key) else {
                continue;
            };
            let base = self.once(&mut bases, segment, planned.collector, Rolled::decode_base)?;
            let Some(base) = base else {
                continue;
            };
            let block = segment.file.block(planned.block);
            let rolled = block
                .and_then(|block| Rolled::decode(&block, base, planned.counter).map_err(inside));
            let Some(rolled) = self.readable(segment, rolled)? else {
                continue;
            };
            for row in rolled
                .rows
                .iter()
                .filter(|row| asked.counts_row(row.bucket, width))
            {
                accumulator.row(row);
            }
            if let Some((first, last)) = rolled.ends {
                let bucket = floor(first.wall, width);
                accumulator.ends(first, last, bucket, asked.counts_row(bucket, width));
            }
        }
        Ok(())
    }

    /// What all series of a collector share, read once; `None` where it is damaged.
    fn once<'t, T>(
        &mut self,
        known: &'t mut BTreeMap<usize, Option<T>>,
        segment: &PlannedSegment,
        collector: usize,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<&'t T>, StoreError> {
        let shared = match known.entry(collector) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => {
                let inside = |error: Malformed| error.inside(&segment.file.path);
                let block = segment.times(collector);
                let decoded = block.and_then(|block| decode(&block).map_err(inside));
                slot.insert(self.readable(segment, decoded)?)
            }
        };
        Ok(shared.as_ref())
    }

    fn readable<T>(
        &mut self,
        segment: &PlannedSegment,
        read: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let read = self.view.readable(&segment.file.footer, read)?;
        self.damaged |= read.is_none();
        Ok(read)
    }

    fn head(
        &mut self,
        head: &OpenHead,
        wanted: &BTreeMap<u32, usize>,
        series: &mut [Option<Accumulator>],
        asked: &Asked,
    ) -> Result<(), StoreError> {
        let read = head.view.each(&head.file, |batch| {
            let (wall, boot) = (batch.at.wall.nanos(), batch.at.boot.nanos());
            if wall < asked.look_from || wall >= asked.to {
                return;
            }
            batch.each_readable(|(reference, value, _)| {
                let place = wanted.get(&reference).copied();
                if let Some(value) = value
                    && let Some(Some(accumulator)) = place.and_then(|place| series.get_mut(place))
                {
                    let held = accumulator.held();
                    let value = value.as_f64();
                    accumulator.sample(Point { wall, boot, value }, asked.counts(wall));
                    self.hold(accumulator, held);
                }
            });
        });
        read.map_err(|source| StoreError::io("read", &head.path, source))
    }
}
