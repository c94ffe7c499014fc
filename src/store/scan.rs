//! Hands over the samples themselves, for whoever writes them elsewhere.
//!
//! A [`Scan`] is one snapshot of the raw tier: each sample that was stored when it was made and lies in its window, once,
//! with its quality and where it is absent with the reason. It goes series by series, and within a series in the order
//! in which the samples came; where the clock was set back, that is not the order of their times. Rollups are not handed over:
//! what retention left only rollups of is not there.
//!
//! Memory is bounded by what is open at once: the index entries of the window's segments, the times of one collector, one
//! block, and what the unsealed heads hold of one collector. For a long time, ask day by day ([`StoreReader::days`]): samples are
//! told apart by their time, so that each is still handed over once, although each day is a snapshot of its own.

mod find;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glasshouse_core::reader::{ReadError, Selector, SeriesInfo};
use glasshouse_core::sample::Sample;
use glasshouse_core::time::{Day, Timestamp, Window};

use crate::blocks;
use crate::column::Column;
use crate::error::{Malformed, StoreError};
use crate::files::SegmentName;
use crate::index::Place;
use crate::reader::StoreReader;
use crate::segment::SegmentFile;
use crate::times::Times;
use crate::view::OpenHead;

/// The samples of a window, as one snapshot has them.
#[derive(Debug)]
pub struct Scan {
    window: Window,
    /// Oldest first.
    segments: Vec<Segment>,
    /// Oldest first.
    heads: Vec<Head>,
    series: Vec<Arc<SeriesInfo>>,
    /// Where each series stands, oldest first.
    blocks: Vec<Vec<Block>>,
    loaded: Loaded,
    /// Names of files.
    damaged: BTreeSet<String>,
}

/// An open segment.
#[derive(Debug)]
struct Segment {
    file: SegmentFile,
    /// Places of times, by collector.
    times: Vec<Place>,
}

/// An open head, and which series each of its references is.
#[derive(Debug)]
struct Head {
    head: OpenHead,
    wanted: BTreeMap<u32, usize>,
}

/// The samples of a series in a segment.
#[derive(Clone, Copy, Debug)]
struct Block {
    segment: usize,
    collector: usize,
    place: Place,
}

/// What all series of one collector share.
#[derive(Debug, Default)]
struct Loaded {
    collector: Option<String>,
    /// By segment; `None` where they are damaged.
    times: BTreeMap<usize, Option<Times>>,
    /// What the heads hold, by series.
    heads: BTreeMap<usize, Vec<Sample>>,
}

impl StoreReader {
    /// The samples of all series that match, in a window. Some forty files are open meanwhile for a window
    /// of a day.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read. What is damaged is left out, and [`Scan::damaged`] names it.
    pub fn scan(&self, selector: &Selector, window: Window) -> Result<Scan, ReadError> {
        let found = self.ask(|view, snapshot| find::find(view, snapshot, selector, window))?;
        Ok(found.into_scan(window))
    }

    /// The days that have samples in the window, oldest first. Most are known from the ends of files; times are read only at the
    /// ends of the window and where a clock was set.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn days(&self, window: Window) -> Result<BTreeSet<Day>, ReadError> {
        self.ask(|view, snapshot| find::days(view, snapshot, window))
    }
}

impl Scan {
    /// The series, by collector, metric and labels. One whose meaning changed (its unit, kind or states) is two. Some may
    /// have no sample in the window.
    #[must_use]
    pub fn series(&self) -> &[Arc<SeriesInfo>] {
        &self.series
    }

    /// The files of which something was damaged and left out, as far as they were read; and those of which nobody can tell what
    /// is in them.
    #[must_use]
    pub const fn damaged(&self) -> &BTreeSet<String> {
        &self.damaged
    }

    /// The samples of the series at a place of [`Self::series`]. It is cheapest to take the series of a collector one after the
    /// other.
    ///
    /// # Errors
    /// [`ReadError`] where a file cannot be read.
    pub fn read(&mut self, place: usize) -> Result<Samples<'_>, ReadError> {
        if let Some(series) = self.series.get(place) {
            let collector = series.collector.as_str();
            if self.loaded.collector.as_deref() != Some(collector) {
                let collector = collector.to_owned();
                self.load(collector)?;
            }
        }
        Ok(Samples {
            series: place,
            next: 0,
            heads_are_next: true,
            column: Column::default(),
            samples: Vec::new(),
            scan: self,
        })
    }

    /// Reads what the heads hold of a collector, and forgets the one before.
    fn load(&mut self, collector: String) -> Result<(), ReadError> {
        let mut heads: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
        for Head { head, wanted } in &self.heads {
            let read = head.view.each(&head.file, |batch| {
                let at = batch.at.wall;
                if batch.collector != collector || !self.window.contains(at) {
                    return;
                }
                batch.each_readable(|(reference, value, quality)| {
                    if let Some(series) = wanted.get(&reference) {
                        let samples = heads.entry(*series).or_default();
                        samples.push(Sample { at, value, quality });
                    }
                });
            });
            read.map_err(|source| StoreError::io("read", &head.path, source))?;
        }
        self.loaded = Loaded {
            collector: Some(collector),
            times: BTreeMap::new(),
            heads,
        };
        Ok(())
    }

    /// Appends the samples of a block, or none where it is damaged.
    fn decode(
        &mut self,
        block: Block,
        column: &mut Column,
        samples: &mut Vec<Sample>,
    ) -> Result<(), StoreError> {
        let Some(segment) = self.segments.get(block.segment) else {
            return Ok(());
        };
        let name = segment.file.footer.name;
        let times = match self.loaded.times.entry(block.segment) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => {
                let times = segment.times(block.collector);
                slot.insert(readable(&mut self.damaged, name, times)?)
            }
        };
        let Some(times) = times else {
            return Ok(());
        };
        let decoded = segment.file.column(block.place, times, column);
        if readable(&mut self.damaged, name, decoded)?.is_none() {
            return Ok(());
        }
        for (row, wall) in column.rows().zip(&times.wall) {
            let at = Timestamp::from_nanos(*wall);
            if let Some((value, quality)) = row
                && self.window.contains(at)
            {
                samples.push(Sample { at, value, quality });
            }
        }
        Ok(())
    }
}

impl Segment {
    fn times(&self, collector: usize) -> Result<Times, StoreError> {
        let place = self.times.get(collector).copied();
        let place =
            place.ok_or_else(|| Malformed("the index points nowhere").inside(&self.file.path))?;
        self.file.times(place)
    }
}

/// The samples of one series, block by block.
#[derive(Debug)]
pub struct Samples<'a> {
    scan: &'a mut Scan,
    series: usize,
    /// The next block.
    next: usize,
    heads_are_next: bool,
    column: Column,
    samples: Vec<Sample>,
}

impl Samples<'_> {
    /// The samples of the next block that has some, in the order in which they came.
    ///
    /// # Errors
    /// [`ReadError`] where a file cannot be read.
    pub fn next_block(&mut self) -> Result<Option<&[Sample]>, ReadError> {
        self.samples.clear();
        while self.samples.is_empty() {
            let blocks = self.scan.blocks.get(self.series);
            let block = blocks.and_then(|blocks| blocks.get(self.next)).copied();
            if let Some(block) = block {
                self.next += 1;
                self.scan
                    .decode(block, &mut self.column, &mut self.samples)?;
            } else if self.heads_are_next {
                self.heads_are_next = false;
                let heads = self.scan.loaded.heads.get(&self.series);
                self.samples.extend(heads.into_iter().flatten());
            } else {
                return Ok(None);
            }
        }
        Ok(Some(&self.samples))
    }
}

/// What was read, or `None` where it is damaged, which is noted.
fn readable<T>(
    damaged: &mut BTreeSet<String>,
    name: SegmentName,
    read: Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    blocks::readable(read, || {
        damaged.insert(name.to_string());
    })
}
