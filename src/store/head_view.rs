//! A head as a reader sees it: what was appended since the last look is read, the rest is remembered.

use std::io;
use std::sync::Arc;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Sample;
use glasshouse_core::time::Timestamp;

use crate::disk::File;
use crate::error::{Malformed, OTHER_VERSION};
use crate::frame::Frames;
use crate::record::{BatchRecord, MOST_SERIES, Record};

/// What is known of one head.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadView {
    /// Behind the last good frame.
    pub(crate) bytes: u64,
    /// Where the first batch stands.
    batches_from: Option<u64>,
    /// By reference.
    pub(crate) series: Vec<Option<HeadSeries>>,
    pub(crate) samples: u64,
    /// Oldest and newest batch.
    pub(crate) bounds: Option<(i64, i64)>,
    /// Damaged blocks.
    pub(crate) lost: u64,
    /// It is of another version: nothing of it is read.
    is_foreign: bool,
}

/// A series in a head.
#[derive(Clone, Debug)]
pub(crate) struct HeadSeries {
    pub(crate) info: Arc<SeriesInfo>,
    /// The sample that came last.
    pub(crate) newest: Option<Sample>,
    /// The oldest and the newest time of its samples.
    pub(crate) bounds: Option<(i64, i64)>,
}

impl HeadView {
    /// Reads what was appended.
    pub(crate) fn refresh(&mut self, file: &File) -> io::Result<()> {
        if self.is_foreign {
            return Ok(());
        }
        let mut frames = Frames::new(file, self.bytes, u64::MAX);
        loop {
            let before = frames.good();
            let Some(payload) = frames.next()? else {
                break;
            };
            let batch = match Record::decode(payload) {
                Ok(Record::Batch(batch)) => {
                    self.batches_from = self.batches_from.or(Some(before));
                    self.batch(&batch)
                }
                Ok(Record::Define(definitions)) => {
                    definitions.each(|one| self.define(one.reference, one.info))
                }
                Ok(Record::Open) => Ok(()),
                Err(OTHER_VERSION) => {
                    self.is_foreign = true;
                    self.lost = 1;
                    return Ok(());
                }
                Err(error) => Err(error),
            };
            self.lost += u64::from(batch.is_err());
        }
        self.bytes = frames.good();
        self.lost += frames.lost();
        Ok(())
    }

    /// Hands every batch that was there at the last refresh to `take`.
    pub(crate) fn each(
        &self,
        file: &File,
        mut take: impl FnMut(&BatchRecord<'_>),
    ) -> io::Result<()> {
        let Some(from) = self.batches_from else {
            return Ok(());
        };
        let mut frames = Frames::new(file, from, self.bytes);
        while let Some(payload) = frames.next()? {
            if let Ok(Record::Batch(batch)) = Record::decode(payload) {
                take(&batch);
            }
        }
        Ok(())
    }

    /// What [`Self::each`] reads.
    pub(crate) fn cost(&self) -> u64 {
        self.batches_from
            .map_or(0, |from| self.bytes.saturating_sub(from))
    }

    /// The known series with their references.
    pub(crate) fn defined(&self) -> impl Iterator<Item = (u32, &HeadSeries)> {
        let numbered = (0..).zip(&self.series);
        numbered.filter_map(|(reference, series)| Some((reference, series.as_ref()?)))
    }

    fn define(&mut self, reference: u32, info: SeriesInfo) -> Result<(), Malformed> {
        let place = usize::try_from(reference).unwrap_or(usize::MAX);
        if place >= MOST_SERIES {
            return Err(Malformed("a reference is too large"));
        }
        if self.series.len() <= place {
            self.series.resize(place + 1, None);
        }
        let Some(slot) = self.series.get_mut(place) else {
            return Ok(());
        };
        // Another run may define the same again; what is known of it stays.
        if slot.as_ref().is_none_or(|known| *known.info != info) {
            *slot = Some(HeadSeries {
                info: Arc::new(info),
                newest: None,
                bounds: None,
            });
        }
        Ok(())
    }

    fn batch(&mut self, batch: &BatchRecord<'_>) -> Result<(), Malformed> {
        let at = batch.at.wall;
        self.bounds = Some(widen(self.bounds, at.nanos()));
        let series = &mut self.series;
        let mut values = 0;
        let read = batch.each(|(reference, value, quality)| {
            let place = usize::try_from(reference).unwrap_or(usize::MAX);
            if let Some(Some(series)) = series.get_mut(place) {
                values += u64::from(value.is_some());
                series.bounds = Some(widen(series.bounds, at.nanos()));
                series.newest = Some(Sample { at, value, quality });
            }
        });
        self.samples += values;
        read
    }
}

/// The sample of each reference of a head that came last, not later than `now`, by reading the head again.
pub(crate) fn newest_until(
    view: &HeadView,
    file: &File,
    now: Timestamp,
) -> io::Result<Vec<Option<Sample>>> {
    let mut newest = vec![None; view.series.len()];
    view.each(file, |batch| {
        let at = batch.at.wall;
        if at > now {
            return;
        }
        batch.each_readable(|(reference, value, quality)| {
            let place = usize::try_from(reference).unwrap_or(usize::MAX);
            if let Some(slot) = newest.get_mut(place) {
                *slot = Some(Sample { at, value, quality });
            }
        });
    })?;
    Ok(newest)
}

fn widen(bounds: Option<(i64, i64)>, time: i64) -> (i64, i64) {
    bounds.map_or((time, time), |(oldest, newest)| {
        (oldest.min(time), newest.max(time))
    })
}
