//! The one writer.

use std::path::Path;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Moment;

use crate::error::StoreError;
use crate::settings::StoreSettings;

/// A defined series, as [`Store::append`] takes it. Valid for the store that gave it, until that is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub(crate) u32);

/// The samples of one run of one collector: they share their time.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The collector, the same that the series were defined with.
    pub collector: &'a str,
    /// When it read.
    pub at: Moment,
    /// What it read. A value without a quality that vouches for it is not kept.
    pub samples: &'a [(SeriesRef, Option<Value>, Quality)],
}

/// The writer of a store. There is one at a time; readers come and go as they like.
#[derive(Debug)]
pub struct Store {}

/// What [`Store::open`] found and mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Heads whose torn end was cut, and how many bytes that took.
    pub cut: Vec<(String, u64)>,
    /// Files with blocks that could not be read, and how many blocks.
    pub lost: Vec<(String, u64)>,
    /// Leftovers that were removed: temporaries, and files that a newer one replaces.
    pub removed: Vec<String>,
    /// Files that make no sense and were set aside under this name with `.damaged` behind it.
    pub set_aside: Vec<String>,
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
    /// Segments that retention removed.
    pub expired: Vec<String>,
    /// Files with blocks that could not be read and are lost, and how many blocks.
    pub lost: Vec<(String, u64)>,
    /// More is due; a call soon will go on with it.
    pub more: bool,
}

impl Store {
    /// Opens or creates the store in `dir` and mends what a crash left.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where another process writes it, [`StoreError::Io`] where the folder cannot be used.
    pub fn open(dir: &Path, settings: StoreSettings) -> Result<(Self, Recovery), StoreError> {
        let _ = (dir, settings);
        Ok((Self {}, Recovery::default()))
    }

    /// Defines the series that the probe's run calls `number`, and logs that in the head.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the head cannot take it, [`StoreError::TooLarge`].
    pub fn define(
        &mut self,
        run: u64,
        number: u32,
        info: &SeriesInfo,
    ) -> Result<SeriesRef, StoreError> {
        let _ = (run, info);
        Ok(SeriesRef(number))
    }

    /// The series that were defined in a run, also before a restart, sorted by number.
    #[must_use]
    pub fn definitions(&self, run: u64) -> Vec<(u32, SeriesRef)> {
        let _ = run;
        Vec::new()
    }

    /// Appends a batch with one write. When this returns, readers see it and a crash of the process does not lose it.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the head; nothing of the batch is kept, and the next append may succeed.
    pub fn append(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        let _ = batch;
        Ok(())
    }

    /// Does what is due: sync, rotate, seal, roll up, merge, forget. Call it every second.
    ///
    /// # Errors
    /// The first [`StoreError`]; the store stays usable and tries again after [`StoreSettings::retry`].
    pub fn maintain(&mut self, now: Moment) -> Result<Maintenance, StoreError> {
        let _ = now;
        Ok(Maintenance::default())
    }

    /// Seals the head and keeps the definitions for the next start.
    ///
    /// # Errors
    /// [`StoreError`] where the head could not be sealed; it is then sealed after the next start.
    pub fn close(self, now: Moment) -> Result<(), StoreError> {
        let _ = now;
        Ok(())
    }
}
