//! The folder of the store as its writer knows it: what is in it, what goes first, and how much room is left.

use std::path::{Path, PathBuf};

use glasshouse_core::time::Timestamp;

use crate::catalog::Catalog;
use crate::disk;
use crate::error::StoreError;
use crate::files::SegmentName;
use crate::retain::{Aside, asides};
use crate::room::Room;
use crate::settings::Retention;

/// What stands in the folder, but for heads.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) dir: PathBuf,
    pub(crate) room: Room,
    pub(crate) catalog: Catalog,
    /// Files whose place a newer one has taken and that still stand.
    pub(crate) replaced: Vec<String>,
    /// Files that were set aside, oldest first.
    pub(crate) asides: Vec<Aside>,
    /// Files that retention removed, and nobody was told of yet.
    pub(crate) expired: Vec<String>,
}

impl Folder {
    /// The folder as a start finds it.
    pub(crate) fn new(
        dir: &Path,
        catalog: Catalog,
        retention: &Retention,
    ) -> Result<Self, StoreError> {
        let room = Room::new(retention.bytes);
        room.measure(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            room,
            catalog,
            replaced: Vec::new(),
            asides: asides(dir)?,
            expired: Vec::new(),
        })
    }

    /// Sees to it that so many bytes can be written; what is oldest goes for them.
    ///
    /// # Errors
    /// [`StoreError::Full`] where nothing can go any more.
    pub(crate) fn make_room(&mut self, bytes: u64) -> Result<(), StoreError> {
        while !self.room.has(bytes) {
            // What was taken and not written is found out only by looking.
            self.room.measure(&self.dir)?;
            if !self.room.has(bytes) && !self.expire_oldest()? {
                return Err(self.room.full());
            }
        }
        Ok(())
    }

    /// Writes a file that may need about so many bytes, and makes more room where it needs more.
    pub(crate) fn write<T>(
        &mut self,
        estimate: u64,
        mut write: impl FnMut(&Room) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.make_room(estimate) {
            // It may need less than that.
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
        loop {
            match write(&self.room) {
                Err(StoreError::Full { .. }) if self.expire_oldest()? => {
                    self.room.measure(&self.dir)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Removes one file, the one that is missed least: one that is replaced, else one that was set aside, else the
    /// oldest samples, else the oldest rollups. `false` where there is none.
    pub(crate) fn expire_oldest(&mut self) -> Result<bool, StoreError> {
        if let Some(name) = self.replaced.last() {
            self.remove(name)?;
            self.replaced.pop();
            return Ok(true);
        }
        if !self.asides.is_empty() {
            self.expire_aside()?;
            return Ok(true);
        }
        match self.catalog.oldest() {
            Some(name) => self.expire([name]).map(|()| true),
            None => Ok(false),
        }
    }

    /// Removes what was set aside before this time.
    pub(crate) fn expire_asides(&mut self, before: Timestamp) -> Result<(), StoreError> {
        while self
            .asides
            .first()
            .is_some_and(|aside| aside.modified < before)
        {
            self.expire_aside()?;
        }
        Ok(())
    }

    fn expire_aside(&mut self) -> Result<(), StoreError> {
        if let Some(aside) = self.asides.first() {
            self.remove(&aside.name)?;
            self.expired.push(self.asides.remove(0).name);
        }
        Ok(())
    }

    /// Removes segments.
    pub(crate) fn expire(
        &mut self,
        names: impl IntoIterator<Item = SegmentName>,
    ) -> Result<(), StoreError> {
        for name in names {
            self.remove(&name.to_string())?;
            self.catalog.remove(name);
            self.expired.push(name.to_string());
        }
        Ok(())
    }

    /// Removes what a newer file replaces; what cannot be removed now is tried again.
    pub(crate) fn remove_replaced(&mut self) -> Result<(), StoreError> {
        while let Some(name) = self.replaced.last() {
            self.remove(name)?;
            self.replaced.pop();
        }
        Ok(())
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        match disk::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source)) {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }
}
