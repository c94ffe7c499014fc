//! Seals a head: reads it once more and writes its samples as columns.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::{Resolution, SeriesInfo};

use crate::column::Column;
use crate::disk::File;
use crate::error::{Malformed, StoreError};
use crate::files::{SegmentName, head_name};
use crate::frame::Frames;
use crate::record::{BatchRecord, MOST_SERIES, Record};
use crate::room::Room;
use crate::segment::{Footer, SegmentWriter};
use crate::times::Times;

/// What came of a head.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// `None` where the head held no batch.
    pub(crate) footer: Option<Footer>,
    /// Blocks that were damaged.
    pub(crate) lost: u64,
}

/// Writes the segment of a head. The head still stands when this returns.
pub(crate) fn seal(dir: &Path, sequence: u64, room: &Room) -> Result<Sealed, StoreError> {
    let path = dir.join(head_name(sequence));
    let columns = HeadColumns::load(&path)?;
    let Some(opened) = columns.opened else {
        return Ok(Sealed {
            footer: None,
            lost: columns.lost,
        });
    };
    let name = SegmentName {
        tier: Resolution::Raw,
        first: sequence,
        last: sequence,
    };
    let mut writer = SegmentWriter::create(dir, name, room)?;
    for (name, mut collector) in columns.collectors {
        write_collector(&mut writer, &name, &collector.times)?;
        for place in collector.series.values() {
            if let Some((info, column)) = collector.columns.get_mut(*place) {
                column.pad(collector.times.len());
                write_series(&mut writer, info, column, &collector.times)?;
            }
        }
    }
    Ok(Sealed {
        footer: Some(writer.finish(opened)?),
        lost: columns.lost,
    })
}

/// Begins a collector of a raw segment.
pub(crate) fn write_collector(
    writer: &mut SegmentWriter,
    name: &str,
    times: &Times,
) -> Result<(), StoreError> {
    let block = times
        .encode()
        .map_err(|error| error.inside(writer.temporary()))?;
    let bounds = bounds(times.wall.iter().copied());
    writer.collector(name, times.len(), bounds, &block)
}

/// Writes a series of a raw segment; one without any sample is left out.
pub(crate) fn write_series(
    writer: &mut SegmentWriter,
    info: &SeriesInfo,
    column: &Column,
    times: &Times,
) -> Result<(), StoreError> {
    if column.is_void() {
        return Ok(());
    }
    let block = column
        .encode()
        .map_err(|error| error.inside(writer.temporary()))?;
    let sampled = column
        .rows()
        .zip(&times.wall)
        .filter(|(row, _)| row.is_some());
    let bounds = bounds(sampled.map(|(_, wall)| *wall));
    writer.series(info, &block, crate::bytes::wide(column.values()), bounds)
}

fn bounds(times: impl Iterator<Item = i64>) -> (i64, i64) {
    let bounds = times.fold(None, |bounds: Option<(i64, i64)>, time| {
        Some(bounds.map_or((time, time), |(oldest, newest)| {
            (oldest.min(time), newest.max(time))
        }))
    });
    bounds.unwrap_or((0, 0))
}

/// The samples of a head as columns.
#[derive(Debug, Default)]
struct HeadColumns {
    collectors: BTreeMap<String, CollectorColumns>,
    definitions: Vec<Option<Arc<SeriesInfo>>>,
    opened: Option<i64>,
    lost: u64,
}

#[derive(Debug, Default)]
struct CollectorColumns {
    times: Times,
    /// Places in the list of columns. Sorted, as series stand in segments.
    series: BTreeMap<(String, Labels), usize>,
    columns: Vec<(Arc<SeriesInfo>, Column)>,
    /// The place of the column that a reference stands for, so that keys are compared once and not for every sample.
    places: HashMap<u32, usize>,
}

impl HeadColumns {
    fn load(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::io("read", path, source);
        let file = File::open(path).map_err(|source| StoreError::io("open", path, source))?;
        let mut columns = Self::default();
        let mut frames = Frames::new(&file, 0, u64::MAX);
        while let Some(payload) = frames.next().map_err(io)? {
            if columns.take(payload).is_err() {
                columns.lost += 1;
            }
        }
        columns.lost += frames.lost();
        Ok(columns)
    }

    fn take(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        match Record::decode(payload)? {
            Record::Open => Ok(()),
            Record::Define(definitions) => {
                definitions.each(|one| define(&mut self.definitions, one.reference, one.info))
            }
            Record::Batch(batch) => self.batch(&batch),
        }
    }

    fn batch(&mut self, batch: &BatchRecord<'_>) -> Result<(), Malformed> {
        if !self.collectors.contains_key(batch.collector) {
            self.collectors
                .insert(batch.collector.to_owned(), CollectorColumns::default());
        }
        let Some(collector) = self.collectors.get_mut(batch.collector) else {
            return Ok(());
        };
        self.opened = self.opened.or(Some(batch.at.wall.nanos()));
        let row = collector.times.len();
        collector
            .times
            .push(batch.at.wall.nanos(), batch.at.boot.nanos());
        let mut unknown = 0;
        batch.each(|(reference, value, quality)| {
            let Some(column) = collector.column(reference, &self.definitions) else {
                unknown += 1;
                return;
            };
            if column.len() <= row {
                column.pad(row);
                column.push(value, quality);
            }
        })?;
        if unknown > 0 {
            return Err(Malformed("a batch has series that are not defined"));
        }
        Ok(())
    }
}

impl CollectorColumns {
    fn column(
        &mut self,
        reference: u32,
        definitions: &[Option<Arc<SeriesInfo>>],
    ) -> Option<&mut Column> {
        if let Some(place) = self.places.get(&reference) {
            return self.columns.get_mut(*place).map(|(_, column)| column);
        }
        let info = definitions
            .get(usize::try_from(reference).ok()?)?
            .as_ref()?;
        let key = (info.metric.clone(), info.labels.clone());
        let place = *self.series.entry(key).or_insert(self.columns.len());
        self.places.insert(reference, place);
        match self.columns.get_mut(place) {
            // The newest definition describes the series.
            Some((known, _)) => *known = Arc::clone(info),
            None => self.columns.push((Arc::clone(info), Column::default())),
        }
        self.columns.get_mut(place).map(|(_, column)| column)
    }
}

/// Notes a definition of a head; one whose reference nobody would write is refused.
pub(crate) fn define(
    definitions: &mut Vec<Option<Arc<SeriesInfo>>>,
    reference: u32,
    info: SeriesInfo,
) -> Result<(), Malformed> {
    let place = usize::try_from(reference).unwrap_or(usize::MAX);
    if place >= MOST_SERIES {
        return Err(Malformed("a reference is too large"));
    }
    if definitions.len() <= place {
        definitions.resize(place + 1, None);
    }
    if let Some(slot) = definitions.get_mut(place) {
        *slot = Some(Arc::new(info));
    }
    Ok(())
}
