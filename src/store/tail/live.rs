//! A head that is followed while it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Sample;
use glasshouse_core::time::Timestamp;

use super::{TailChunk, TailCursor};
use crate::disk::File;
use crate::error::{OTHER_VERSION, StoreError};
use crate::files::head_name;
use crate::frame::Frames;
use crate::record::{BatchRecord, MOST_SERIES, Record};

/// An open head, and how far it was read.
#[derive(Debug)]
pub(super) struct Live {
    sequence: u64,
    path: PathBuf,
    file: File,
    /// Behind the last frame that was read.
    offset: u64,
    /// By reference.
    series: Vec<Option<Arc<SeriesInfo>>>,
    /// Rows of a collector that were read before this head was opened.
    skip: BTreeMap<String, usize>,
    /// Nothing is appended any more.
    is_closed: bool,
    /// It was read to its end after that.
    is_over: bool,
}

/// The places of a chunk's series: by reference in the head, in the chunk.
type Places = BTreeMap<u32, usize>;

impl Live {
    pub(super) fn open(dir: &Path, sequence: u64, cursor: &TailCursor) -> Result<Self, StoreError> {
        let path = dir.join(head_name(sequence));
        let file = File::open(&path).map_err(|source| StoreError::io("open", &path, source))?;
        let mut live = Self {
            sequence,
            path,
            file,
            offset: 0,
            series: Vec::new(),
            skip: BTreeMap::new(),
            is_closed: false,
            is_over: false,
        };
        live.find(cursor)?;
        Ok(live)
    }

    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether all of it was read.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// The writer has gone on.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }

    /// Finds out which rows were read already.
    fn find(&mut self, cursor: &TailCursor) -> Result<(), StoreError> {
        if cursor.head != self.sequence || cursor.rows.is_empty() {
            return Ok(());
        }
        let mut rows: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
        let mut frames = Frames::new(&self.file, 0, u64::MAX);
        let io = |source| StoreError::io("read", &self.path, source);
        while let Some(payload) = frames.next().map_err(io)? {
            if let Ok(Record::Batch(batch)) = Record::decode(payload) {
                let row = (batch.at.wall.nanos(), batch.at.boot.nanos());
                match rows.get_mut(batch.collector) {
                    Some(rows) => rows.push(row),
                    None => drop(rows.insert(batch.collector.to_owned(), vec![row])),
                }
            }
        }
        for (collector, rows) in rows {
            let read = cursor.read_of(&collector, rows);
            if read > 0 {
                self.skip.insert(collector, read);
            }
        }
        Ok(())
    }

    /// Reads what was appended until the piece is full.
    pub(super) fn read(
        &mut self,
        chunk: &mut TailChunk,
        cursor: &mut TailCursor,
        most: usize,
    ) -> Result<(), StoreError> {
        let mut places = Places::new();
        let mut reached: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut frames = Frames::new(&self.file, self.offset, u64::MAX);
        let mut lost = 0;
        let read = loop {
            if chunk.samples.len() >= most {
                break Ok(false);
            }
            let payload = match frames.next() {
                Ok(Some(payload)) => payload,
                Ok(None) => break Ok(true),
                Err(source) => break Err(StoreError::io("read", &self.path, source)),
            };
            match Record::decode(payload) {
                Ok(Record::Batch(batch)) => {
                    if let Some(left) = self.skip.get_mut(batch.collector).filter(|n| **n > 0) {
                        *left -= 1;
                        continue;
                    }
                    lost += u64::from(take(&self.series, &batch, chunk, &mut places));
                    cursor.reach(batch.collector, batch.at);
                    reached.insert(batch.collector.to_owned(), batch.at.wall);
                }
                Ok(Record::Define(definitions)) => {
                    let read = definitions.each(|one| {
                        places.remove(&one.reference);
                        lost += u64::from(define(&mut self.series, one.reference, one.info));
                        Ok(())
                    });
                    lost += u64::from(read.is_err());
                }
                Ok(Record::Open) => {}
                Err(OTHER_VERSION) => {
                    (lost, self.is_closed) = (1, true);
                    break Ok(true);
                }
                Err(_) => lost += 1,
            }
        };
        self.offset = frames.good();
        lost += frames.lost();
        if lost > 0 {
            chunk.lost.push((head_name(self.sequence), lost));
        }
        cursor.head = self.sequence;
        chunk.reached.extend(reached);
        self.is_over = read? && self.is_closed;
        Ok(())
    }
}

/// Learns a series; `true` where that makes no sense.
fn define(series: &mut Vec<Option<Arc<SeriesInfo>>>, reference: u32, info: SeriesInfo) -> bool {
    let place = usize::try_from(reference).unwrap_or(usize::MAX);
    if place >= MOST_SERIES {
        return true;
    }
    if series.len() <= place {
        series.resize(place + 1, None);
    }
    if let Some(slot) = series.get_mut(place)
        && slot.as_ref().is_none_or(|known| **known != info)
    {
        *slot = Some(Arc::new(info));
    }
    false
}

/// Takes the samples of a batch; `true` where some of it makes no sense.
fn take(
    series: &[Option<Arc<SeriesInfo>>],
    batch: &BatchRecord<'_>,
    chunk: &mut TailChunk,
    places: &mut Places,
) -> bool {
    let at = batch.at.wall;
    let read = batch.each(|(reference, value, quality)| {
        let slot = usize::try_from(reference).unwrap_or(usize::MAX);
        let Some(Some(info)) = series.get(slot) else {
            return;
        };
        let place = *places.entry(reference).or_insert_with(|| {
            chunk.series.push(Arc::clone(info));
            chunk.series.len() - 1
        });
        chunk.samples.push((place, Sample { at, value, quality }));
    });
    read.is_err()
}
