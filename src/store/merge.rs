//! Merges segments: those of an hour into one, with its rollups; the rollups of a day into one.
//!
//! Both go series by series, so that an hour of a large machine does not have to fit into memory at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Resolution, SeriesInfo};

use crate::bytes::wide;
use crate::column::Column;
use crate::error::{Malformed, StoreError};
use crate::files::SegmentName;
use crate::index::{Index, Place};
use crate::rollup::{Point, Rolled};
use crate::room::Room;
use crate::seal::{write_collector, write_series};
use crate::segment::{Footer, SegmentFile, SegmentWriter};
use crate::times::Times;

/// What a merge wrote.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// The new segments.
    pub(crate) footers: Vec<Footer>,
    /// Blocks that were damaged, by file.
    pub(crate) lost: BTreeMap<String, u64>,
}

/// The width of a rollup tier in nanoseconds; `None` for the samples themselves.
pub(crate) const fn width(tier: Resolution) -> Option<i64> {
    match tier {
        Resolution::Raw => None,
        Resolution::Minute => Some(60_000_000_000),
        Resolution::Hour => Some(3_600_000_000_000),
    }
}

/// Merges raw segments that follow each other and writes the rollups of these tiers. A single segment is not written
/// again, only rolled up.
pub(crate) fn merge_raw(
    dir: &Path,
    inputs: &[Footer],
    tiers: &[Resolution],
    room: &Room,
) -> Result<Merged, StoreError> {
    let plan = Plan::of(dir, inputs)?;
    let mut merged = Merged::default();
    // Raw first: rollups without it would say that the merge is done. Then the coarsest first, for the same reason.
    let mut writers = Vec::new();
    if inputs.len() > 1 {
        writers.push(SegmentWriter::create(
            dir,
            plan.name(Resolution::Raw),
            room,
        )?);
    }
    let mut rollups = Vec::new();
    for tier in tiers {
        if let Some(width) = width(*tier) {
            rollups.push((width, SegmentWriter::create(dir, plan.name(*tier), room)?));
        }
    }
    for (name, collector) in &plan.collectors {
        let parts = plan.times(collector, &mut merged)?;
        let mut times = Times::default();
        parts.values().for_each(|part| times.extend(part));
        for writer in &mut writers {
            write_collector(writer, name, &times)?;
        }
        let mut bases = Vec::new();
        for (width, writer) in &mut rollups {
            let base = roll(*width, times.rows().map(|row| (row, 0.0)));
            write_base(writer, name, &base)?;
            bases.push(base);
        }
        let mut column = Column::default();
        for series in collector.series.values() {
            plan.column(series, &parts, &mut column, &mut merged)?;
            for writer in &mut writers {
                write_series(writer, &series.info, &column, &times)?;
            }
            for ((width, writer), base) in rollups.iter_mut().zip(&bases) {
                let values = column.rows().zip(times.rows()).filter_map(|(row, time)| {
                    row.and_then(|(value, _)| value)
                        .map(|value| (time, value.as_f64()))
                });
                write_rolled(writer, &series.info, &roll(*width, values), base)?;
            }
        }
    }
    let rollups = rollups.into_iter().map(|(_, writer)| writer);
    for writer in writers.into_iter().chain(rollups) {
        merged.footers.push(writer.finish(plan.opened)?);
    }
    Ok(merged)
}

/// Merges rollups of one tier that follow each other.
pub(crate) fn merge_rollups(
    dir: &Path,
    inputs: &[Footer],
    tier: Resolution,
    room: &Room,
) -> Result<Merged, StoreError> {
    let plan = Plan::of(dir, inputs)?;
    let width = width(tier).unwrap_or(1);
    let mut merged = Merged::default();
    let mut writer = SegmentWriter::create(dir, plan.name(tier), room)?;
    for (name, collector) in &plan.collectors {
        let mut parts = BTreeMap::new();
        let mut base = Rolled::default();
        for (input, place) in &collector.times {
            let part = plan.block(*input, *place, &mut merged, Rolled::decode_base)?;
            if let Some(part) = part {
                base.append(width, &part);
                parts.insert(*input, part);
            }
        }
        write_base(&mut writer, name, &base)?;
        for series in collector.series.values() {
            let mut rolled = Rolled::default();
            for (input, (place, counter)) in &series.blocks {
                let Some(part) = parts.get(input) else {
                    continue;
                };
                let decode = |block: &[u8]| Rolled::decode(block, part, *counter);
                if let Some(part) = plan.block(*input, *place, &mut merged, decode)? {
                    rolled.append(width, &part);
                }
            }
            write_rolled(&mut writer, &series.info, &rolled, &base)?;
        }
    }
    merged.footers.push(writer.finish(plan.opened)?);
    Ok(merged)
}

fn roll(width: i64, values: impl Iterator<Item = ((i64, u64), f64)>) -> Rolled {
    let mut rolled = Rolled::default();
    for ((wall, boot), value) in values {
        rolled.push(width, Point { wall, boot, value });
    }
    rolled
}

fn write_base(writer: &mut SegmentWriter, name: &str, base: &Rolled) -> Result<(), StoreError> {
    let block = base
        .encode_base()
        .map_err(|error| error.inside(writer.temporary()))?;
    writer.collector(name, base.rows.len(), bounds(base), &block)
}

fn write_rolled(
    writer: &mut SegmentWriter,
    info: &SeriesInfo,
    rolled: &Rolled,
    base: &Rolled,
) -> Result<(), StoreError> {
    if rolled.rows.is_empty() {
        return Ok(());
    }
    let block = rolled
        .encode(base, is_counter(info))
        .map_err(|error| error.inside(writer.temporary()))?;
    writer.series(info, &block, wide(rolled.rows.len()), bounds(rolled))
}

/// Whether rollups of the series keep growth.
pub(crate) fn is_counter(info: &SeriesInfo) -> bool {
    info.kind == MetricKind::Counter
}

fn bounds(rolled: &Rolled) -> (i64, i64) {
    let oldest = rolled.rows.first().map_or(0, |row| row.bucket);
    let newest = rolled.rows.iter().map(|row| row.last_at).max();
    (oldest, newest.unwrap_or(oldest))
}

/// What a merge reads: for each collector and series, which blocks of which inputs.
struct Plan {
    files: Vec<SegmentFile>,
    collectors: BTreeMap<String, CollectorPlan>,
    first: u64,
    last: u64,
    opened: i64,
}

#[derive(Default)]
struct CollectorPlan {
    times: BTreeMap<usize, Place>,
    series: BTreeMap<(String, Labels), SeriesPlan>,
}

struct SeriesPlan {
    /// As the newest input describes it.
    info: Arc<SeriesInfo>,
    /// By input; and whether the input takes it for a counter.
    blocks: BTreeMap<usize, (Place, bool)>,
}

impl Plan {
    fn of(dir: &Path, inputs: &[Footer]) -> Result<Self, StoreError> {
        let mut plan = Self {
            files: Vec::new(),
            collectors: BTreeMap::new(),
            first: inputs.first().map_or(0, |footer| footer.name.first),
            last: inputs.last().map_or(0, |footer| footer.name.last),
            opened: inputs.first().map_or(0, |footer| footer.opened),
        };
        for (input, footer) in inputs.iter().enumerate() {
            let file = SegmentFile::open(dir, footer.name)?;
            let bytes = file.index()?;
            plan.add(input, &file, &bytes)?;
            plan.files.push(file);
        }
        Ok(plan)
    }

    fn add(&mut self, input: usize, file: &SegmentFile, bytes: &[u8]) -> Result<(), StoreError> {
        let inside = |error: Malformed| error.inside(&file.path);
        let index = Index::parse(bytes, SegmentFile::blocks_start(), file.footer.index.offset)
            .map_err(inside)?;
        for entry in &index.collectors {
            let collector = self.collectors.entry(entry.name.to_owned()).or_default();
            collector.times.insert(input, entry.times);
        }
        let collectors = &mut self.collectors;
        index
            .each(
                |_| true,
                |entry| {
                    let key = (entry.info.metric.clone(), entry.info.labels.clone());
                    let collector = collectors.entry(entry.info.collector.clone()).or_default();
                    let block = (entry.block, is_counter(&entry.info));
                    let series = collector.series.entry(key).or_insert_with(|| SeriesPlan {
                        info: Arc::clone(&entry.info),
                        blocks: BTreeMap::new(),
                    });
                    if *series.info != *entry.info {
                        series.info = entry.info;
                    }
                    series.blocks.insert(input, block);
                    Ok(())
                },
            )
            .map_err(inside)
    }

    const fn name(&self, tier: Resolution) -> SegmentName {
        SegmentName {
            tier,
            first: self.first,
            last: self.last,
        }
    }

    /// The times of a collector by input; what cannot be read is lost, and with it the collector's rows there.
    fn times(
        &self,
        collector: &CollectorPlan,
        merged: &mut Merged,
    ) -> Result<BTreeMap<usize, Times>, StoreError> {
        let mut parts = BTreeMap::new();
        for (input, place) in &collector.times {
            if let Some(times) = self.block(*input, *place, merged, Times::decode)? {
                parts.insert(*input, times);
            }
        }
        Ok(parts)
    }

    /// The rows of a series in all inputs, one after the other.
    fn column(
        &self,
        series: &SeriesPlan,
        parts: &BTreeMap<usize, Times>,
        column: &mut Column,
        merged: &mut Merged,
    ) -> Result<(), StoreError> {
        column.clear();
        for (input, times) in parts {
            let start = column.len();
            let end = start + times.len();
            if let Some((place, _)) = series.blocks.get(input) {
                let decoded = self.block(*input, *place, merged, |block| {
                    let mut part = Column::default();
                    part.decode(block)?;
                    if part.len() != times.len() {
                        return Err(Malformed("a column is not as long as its times"));
                    }
                    Ok(part)
                })?;
                if let Some(part) = decoded {
                    column.extend(&part);
                }
            }
            column.pad(end);
        }
        Ok(())
    }

    /// A decoded block, or `None` where it is damaged, which is noted.
    fn block<T>(
        &self,
        input: usize,
        place: Place,
        merged: &mut Merged,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, StoreError> {
        let Some(file) = self.files.get(input) else {
            return Ok(None);
        };
        let block = match file.block(place) {
            Err(StoreError::Damaged { .. }) => None,
            // A disk that does not answer today may answer tomorrow: nothing is given up for that.
            block => Some(block?),
        };
        let decoded = block.and_then(|block| decode(&block).ok());
        if decoded.is_none() {
            *merged.lost.entry(file.footer.name.to_string()).or_default() += 1;
        }
        Ok(decoded)
    }
}
