//! A segment that is read row by row although it stands in columns: collector by collector, series by series.

use std::path::Path;
use std::sync::Arc;

use glasshouse_core::sample::Sample;
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use super::{TailChunk, TailCursor};
use crate::blocks::readable;
use crate::column::Column;
use crate::error::{Malformed, StoreError};
use crate::files::SegmentName;
use crate::index::{Index, Place, SeriesEntry};
use crate::segment::SegmentFile;
use crate::times::Times;

/// An open segment, and how far it was read.
#[derive(Debug)]
pub(super) struct Sealed {
    name: SegmentName,
    /// `None` where nobody can tell what is in it.
    file: Option<SegmentFile>,
    /// In the order of the index; those that were read are gone from the front.
    collectors: Vec<Collector>,
    /// Which of them is being read.
    current: Option<Current>,
    /// Blocks that could not be read, and were not told yet.
    lost: u64,
}

#[derive(Debug)]
struct Collector {
    name: String,
    times: Place,
    /// Those that were not begun, the next one last.
    series: Vec<SeriesEntry>,
}

#[derive(Debug)]
struct Current {
    times: Times,
    /// Rows before this were read already.
    from: usize,
    /// The block that is being read: one at a time is in memory.
    block: Option<Block>,
}

#[derive(Debug)]
struct Block {
    entry: SeriesEntry,
    column: Column,
    /// Rows before this were handed out.
    row: usize,
}

impl Sealed {
    /// Opens a segment. One that is damaged as a whole is open too, with nothing in it but the damage.
    pub(super) fn open(dir: &Path, name: SegmentName) -> Result<Self, StoreError> {
        let mut sealed = Self {
            name,
            file: None,
            collectors: Vec::new(),
            current: None,
            lost: 0,
        };
        let read = SegmentFile::open(dir, name).and_then(|file| {
            let collectors = collectors(&file)?;
            Ok((file, collectors))
        });
        match read {
            Err(error) if error.is_damage() => sealed.lost = 1,
            read => {
                let (file, collectors) = read?;
                sealed.file = Some(file);
                sealed.collectors = collectors;
            }
        }
        Ok(sealed)
    }

    pub(super) const fn name(&self) -> SegmentName {
        self.name
    }

    /// Reads until the piece is full, `false`, or the segment is over, `true`.
    pub(super) fn read(
        &mut self,
        chunk: &mut TailChunk,
        cursor: &mut TailCursor,
        most: usize,
    ) -> Result<bool, StoreError> {
        let is_over = self.read_collectors(chunk, cursor, most);
        if self.lost > 0 {
            chunk.lost.push((self.name.to_string(), self.lost));
            self.lost = 0;
        }
        is_over
    }

    fn read_collectors(
        &mut self,
        chunk: &mut TailChunk,
        cursor: &mut TailCursor,
        most: usize,
    ) -> Result<bool, StoreError> {
        while let Some(collector) = self.collectors.first_mut() {
            let Some(file) = &self.file else {
                break;
            };
            let current = match &mut self.current {
                Some(current) => current,
                None => match readable(file.times(collector.times), || self.lost += 1)? {
                    Some(times) => self.current.insert(Current {
                        from: cursor.read_of(&collector.name, times.rows()),
                        times,
                        block: None,
                    }),
                    None => {
                        // without its times nothing of it has a place
                        self.collectors.remove(0);
                        continue;
                    }
                },
            };
            let is_read = current.from >= current.times.len();
            if !is_read && !current.read(file, collector, &mut self.lost, chunk, most)? {
                return Ok(false);
            }
            if let Some(at) = current.last() {
                cursor.reach(&collector.name, at);
                chunk.reached.push((collector.name.clone(), at.wall));
            }
            self.current = None;
            self.collectors.remove(0);
        }
        Ok(true)
    }
}

impl Current {
    /// Reads series until the piece is full, `false`, or there are none left, `true`.
    fn read(
        &mut self,
        file: &SegmentFile,
        collector: &mut Collector,
        lost: &mut u64,
        chunk: &mut TailChunk,
        most: usize,
    ) -> Result<bool, StoreError> {
        loop {
            if chunk.samples.len() >= most {
                return Ok(false);
            }
            if self.block.is_none() {
                let Some(entry) = collector.series.last() else {
                    return Ok(true);
                };
                let mut column = Column::default();
                let read = file.column(entry.block, &self.times, &mut column);
                let column = readable(read, || *lost += 1)?.map(|()| column);
                let entry = collector.series.pop();
                self.block = entry.zip(column).map(|(entry, column)| Block {
                    entry,
                    column,
                    row: self.from,
                });
                continue;
            }
            if let Some(block) = &mut self.block
                && block.take(&self.times, chunk, most)
            {
                self.block = None;
            }
        }
    }

    /// The last row.
    fn last(&self) -> Option<Moment> {
        let (wall, boot) = self.times.rows().last()?;
        Some(Moment {
            wall: Timestamp::from_nanos(wall),
            boot: BootTime::from_nanos(boot),
        })
    }
}

impl Block {
    /// Hands out rows until the piece is full, `false`, or there are none left, `true`.
    fn take(&mut self, times: &Times, chunk: &mut TailChunk, most: usize) -> bool {
        let place = chunk.series.len();
        chunk.series.push(Arc::clone(&self.entry.info));
        let rows = self.column.rows().zip(&times.wall).skip(self.row);
        for (row, wall) in rows {
            if chunk.samples.len() >= most {
                return false;
            }
            self.row += 1;
            if let Some((value, quality)) = row {
                let at = Timestamp::from_nanos(*wall);
                chunk.samples.push((place, Sample { at, value, quality }));
            }
        }
        true
    }
}

fn collectors(file: &SegmentFile) -> Result<Vec<Collector>, StoreError> {
    let inside = |error: Malformed| error.inside(&file.path);
    let bytes = file.index()?;
    let index = Index::parse(
        &bytes,
        SegmentFile::blocks_start(),
        file.footer.index.offset,
    )
    .map_err(inside)?;
    let entries = index.collectors.iter();
    let mut collectors: Vec<Collector> = entries
        .map(|entry| Collector {
            name: entry.name.to_owned(),
            times: entry.times,
            series: Vec::new(),
        })
        .collect();
    let take = |entry: SeriesEntry| {
        if let Some(collector) = collectors.get_mut(entry.collector) {
            collector.series.push(entry);
        }
        Ok(())
    };
    index.each(|_| true, take).map_err(inside)?;
    collectors
        .iter_mut()
        .for_each(|collector| collector.series.reverse());
    Ok(collectors)
}
