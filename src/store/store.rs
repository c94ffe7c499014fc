//! The one writer.

use std::path::Path;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use crate::bytes::wide;
use crate::definitions::put_define;
use crate::disk::File;
use crate::error::StoreError;
use crate::failing::Failing;
use crate::files::head_name;
use crate::folder::Folder;
use crate::frame;
use crate::head::Head;
use crate::record::put_batch;
use crate::recovery::{Found, Recovery, lock, recover};
use crate::registry::Registry;
use crate::retain::ClockWatch;
use crate::settings::{SeriesLimits, StoreSettings};

/// A head takes at most this part of what the store may hold, its first definitions aside.
const HEAD_SHARE: u64 = 16;

/// A defined series, as [`Store::append`] takes it. Valid for the store that gave it, until that is dropped or the
/// series is forgotten because two newer runs of the probe did without it, or it had no sample for hours
/// ([`Store::knows`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef {
    pub(crate) number: u32,
    pub(crate) generation: u32,
}

/// The samples of one run of one collector: they share their time.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The collector, the same that the series were defined with.
    pub collector: &'a str,
    /// When it read. The store keeps whole milliseconds of it, rounded down: a run takes longer than that, and what is
    /// finer is noise that would take more room than most of what was read.
    pub at: Moment,
    /// What it read. A value that is not finite, or whose quality says that it is absent, is kept as absent.
    pub samples: &'a [(SeriesRef, Option<Value>, Quality)],
}

/// The writer of a store. There is one at a time; readers come and go as they like.
#[derive(Debug)]
pub struct Store {
    pub(crate) settings: StoreSettings,
    pub(crate) registry: Registry,
    pub(crate) head: Head,
    /// It holds as many batches as a file may, and the next one could not be begun.
    pub(crate) head_is_full: bool,
    /// Heads that are to be sealed, oldest first.
    pub(crate) pending: Vec<u64>,
    pub(crate) folder: Folder,
    pub(crate) failing: Failing,
    pub(crate) clock: ClockWatch,
    pub(crate) last_sync: Option<BootTime>,
    /// After a failure, not before this.
    pub(crate) retry_at: Option<BootTime>,
    /// Held as long as the store is open.
    _lock: File,
}

/// What a store takes, and how much of that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in its folder; never too few, and since the last upkeep perhaps too many.
    pub bytes: u64,
    /// Bytes that there may be.
    pub most_bytes: u64,
    /// Series that are defined.
    pub series: usize,
    /// Series that there may be.
    pub most_series: usize,
}

/// What [`Store::maintain`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// The head was synced.
    pub synced: bool,
    /// A new head was begun.
    pub rotated: bool,
    /// Segments that were written: sealed, merged, rolled up.
    pub written: Vec<String>,
    /// Files that retention removed.
    pub expired: Vec<String>,
    /// Files with blocks that could not be read and are lost, and how many blocks.
    pub lost: Vec<(String, u64)>,
    /// Files that make no sense or cannot be read, and were set aside under this name with `.damaged` behind it.
    pub set_aside: Vec<String>,
    /// More may be due; a call soon will go on with it.
    pub more: bool,
}

impl Store {
    /// Opens or creates the store in `dir` and mends what a crash left.
    ///
    /// Heads that are found are sealed by the next calls of [`Self::maintain`]; a new one is begun, with their
    /// definitions.
    ///
    /// # Errors
    /// [`StoreError::OtherVersion`] where a file of another version stands in it,
    /// [`StoreError::Busy`] where another process writes it, [`StoreError::Io`] where the folder cannot be used,
    /// [`StoreError::Full`] where others fill it, or it may take less than the definitions of its series.
    pub fn open(dir: &Path, mut settings: StoreSettings) -> Result<(Self, Recovery), StoreError> {
        let lock = lock(dir)?;
        let Found {
            catalog,
            mut registry,
            heads: mut pending,
            newest,
            recovery,
        } = recover(dir)?;
        registry.prune();
        // A small store has small heads, so that one and what it becomes fit beside the rest.
        let most_head = settings.retention.bytes / HEAD_SHARE;
        settings.head_bytes = settings.head_bytes.min(most_head);
        let mut folder = Folder::new(dir, catalog, &settings.retention)?;
        // It may have been larger before.
        while let Err(error) = folder.make_room(0) {
            if !matches!(error, StoreError::Full { .. }) || pending.is_empty() {
                return Err(error);
            }
            let oldest = head_name(pending.remove(0));
            folder.remove(&oldest)?;
            folder.expired.push(oldest);
        }
        let sequence = newest.saturating_add(1);
        let head = folder.write(0, |room| Head::create(dir, sequence, &registry, room))?;
        let store = Self {
            settings,
            registry,
            head,
            head_is_full: false,
            pending,
            folder,
            failing: Failing::default(),
            clock: ClockWatch::default(),
            last_sync: None,
            retry_at: None,
            _lock: lock,
        };
        Ok((store, recovery))
    }

    /// Defines the series that the probe's run calls `number`, and logs that in the head. Nothing is written where it
    /// is known already.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the head cannot take it, [`StoreError::TooLarge`] where it is,
    /// [`StoreError::TooManySeries`] where there are as many as there may be, [`StoreError::Full`] where there is no room.
    pub fn define(
        &mut self,
        run: u64,
        number: u32,
        info: &SeriesInfo,
    ) -> Result<SeriesRef, StoreError> {
        let known = self.registry.find(info);
        if let Some(series) = known
            && self.registry.number(run, number) == known
        {
            return Ok(series);
        }
        if known.is_none() {
            self.registry.admit(info, self.settings.series)?;
        }
        let slot = known.map_or_else(|| self.registry.next_slot(), |series| Ok(series.number))?;
        let put = put_define(&mut self.head.buffer, run, number, slot, info);
        put.map_err(|size| too_large("a definition", size))?;
        self.commit()?;
        let series = match known {
            Some(series) => series,
            None => self.registry.insert(info)?,
        };
        self.registry.name(run, number, series);
        Ok(series)
    }

    /// The series that were defined in a run, also before a restart, sorted by number. The last two runs are kept.
    #[must_use]
    pub fn definitions(&self, run: u64) -> Vec<(u32, SeriesRef)> {
        self.registry.run(run)
    }

    /// Whether the series is still defined: one without a sample for hours is forgotten, and has to be defined again.
    #[must_use]
    pub fn knows(&self, series: SeriesRef) -> bool {
        self.registry.knows(series)
    }

    /// What the store takes, and how much of that is in use.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            bytes: self.folder.room.used(),
            most_bytes: self.folder.room.most(),
            series: self.registry.len(),
            most_series: self.settings.series.all.min(SeriesLimits::MOST),
        }
    }

    /// Writes the frames in the buffer, once there is room for them and for what the head becomes.
    fn commit(&mut self) -> Result<(), StoreError> {
        let reserve = self.settings.head_bytes.saturating_mul(2);
        let needed = wide(self.head.buffer.len()).saturating_add(reserve);
        if let Err(error) = self.folder.make_room(needed) {
            self.head.discard();
            return Err(error);
        }
        self.head.commit()
    }

    /// Appends a batch with one write. When this returns, readers see it and a crash of the process does not lose it.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the head; nothing of the batch is kept, and the next append may succeed.
    /// [`StoreError::UnknownSeries`], [`StoreError::Misplaced`], [`StoreError::TooLarge`] say what is wrong with it.
    /// [`StoreError::Full`] and [`StoreError::HeadFull`] say that there is no room for it.
    pub fn append(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.registry.begin_batch();
        for (series, _, _) in batch.samples {
            self.registry.check(batch.collector, *series)?;
        }
        let series = self.registry.of_collector(batch.collector);
        if !self.head.takes(batch.collector, series) {
            if self.head_is_full {
                return Err(StoreError::HeadFull);
            }
            let rotated = self.rotate();
            // Not tried again before the next upkeep.
            self.head_is_full = rotated.is_err();
            rotated?;
        }
        let at = whole_millis(batch.at);
        let samples = batch.samples.iter().map(|(series, value, quality)| {
            let (value, quality) = vouched(*value, *quality);
            (series.number, value, quality)
        });
        let put = put_batch(&mut self.head.buffer, batch.collector, at, samples);
        put.map_err(|size| too_large("a batch", size))?;
        self.commit()?;
        self.head.count(batch.collector, at);
        Ok(())
    }
}

/// The last whole millisecond of wall time, and boot time moved by as much, so that their distance stays the same.
fn whole_millis(at: Moment) -> Moment {
    const MILLISECOND: i64 = 1_000_000;
    let rest = at.wall.nanos().rem_euclid(MILLISECOND);
    Moment {
        wall: Timestamp::from_nanos(at.wall.nanos().saturating_sub(rest)),
        boot: BootTime::from_nanos(at.boot.nanos().saturating_sub(rest.unsigned_abs())),
    }
}

/// A value with a quality that vouches for it, or the reason why there is none.
fn vouched(value: Option<Value>, quality: Quality) -> (Option<Value>, Quality) {
    match (value, quality) {
        (_, Quality::Absent(_)) => (None, quality),
        (None, _) => (None, Quality::Absent(FailureReason::Missing)),
        (Some(value), _) if !value.is_finite() => (None, Quality::Absent(FailureReason::Malformed)),
        _ => (value, quality),
    }
}

const fn too_large(what: &'static str, size: usize) -> StoreError {
    StoreError::TooLarge {
        what,
        size,
        most: frame::MOST_PAYLOAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_milliseconds_and_the_distance_of_its_clocks() {
        for (wall, boot, kept) in [
            (
                1_700_000_000_123_456_789,
                5_000_999_999,
                (1_700_000_000_123_000_000, 5_000_543_210),
            ),
            (
                1_700_000_000_123_000_000,
                5_000_000_001,
                (1_700_000_000_123_000_000, 5_000_000_001),
            ),
            (-1, 10_000_000, (-1_000_000, 9_000_001)),
            (999_999, 5, (0, 0)),
        ] {
            let at = whole_millis(Moment {
                wall: Timestamp::from_nanos(wall),
                boot: BootTime::from_nanos(boot),
            });
            assert_eq!((at.wall.nanos(), at.boot.nanos()), kept);
        }
    }
}
