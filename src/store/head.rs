//! The head that is being written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use glasshouse_core::time::Moment;

use crate::bytes::wide;
use crate::definitions::DefinitionList;
use crate::disk::{self, File};
use crate::error::StoreError;
use crate::files::{TEMPORARY, head_name};
use crate::record::put_open;
use crate::registry::Registry;
use crate::room::Room;
use crate::segment::sync_folder;

/// Batches in one head at most, so that columns stay within what a reader accepts.
pub(crate) const MOST_BATCHES: u64 = 1 << 16;

/// Values that sealing may have to hold of one collector at once: its batches times its series, 10 bytes each. A collector
/// at 1 s with all the series that one may have stays far below in the five minutes of a head.
const MOST_CELLS: usize = 1 << 23;

/// The buffer is not kept larger than this between appends: a batch of a few thousand samples.
const KEPT_BUFFER: usize = 64 << 10;

/// The one head that is open for writing.
#[derive(Debug)]
pub(crate) struct Head {
    file: File,
    path: PathBuf,
    pub(crate) sequence: u64,
    /// Behind the last frame that was written whole.
    bytes: u64,
    /// What it began with: its definitions.
    began_with: u64,
    /// A write failed half-way and what it left could not be cut off yet.
    torn: bool,
    /// When its first batch was read.
    pub(crate) opened: Option<Moment>,
    pub(crate) batches: u64,
    /// Batches of each collector.
    rows: BTreeMap<String, usize>,
    pub(crate) unsynced: bool,
    /// A sync failed: the next one may say that all is well although what was to be synced is gone.
    pub(crate) sync_failed: bool,
    folder_unsynced: bool,
    /// Frames that the next [`Self::commit`] writes.
    pub(crate) buffer: Vec<u8>,
    room: Room,
}

impl Head {
    /// Begins a head. It appears under its name only with all definitions in it.
    pub(crate) fn create(
        dir: &Path,
        sequence: u64,
        registry: &Registry,
        room: &Room,
    ) -> Result<Self, StoreError> {
        let path = dir.join(head_name(sequence));
        let temporary = dir.join(format!("{}{TEMPORARY}", head_name(sequence)));
        let file = File::create(&temporary)
            .map_err(|source| StoreError::io("create", &temporary, source))?;
        let mut head = Self {
            file,
            path: temporary.clone(),
            sequence,
            bytes: 0,
            began_with: 0,
            torn: false,
            opened: None,
            batches: 0,
            rows: BTreeMap::new(),
            unsynced: true,
            sync_failed: false,
            folder_unsynced: true,
            buffer: Vec::new(),
            room: room.clone(),
        };
        let written = head.begin(registry).and_then(|()| {
            disk::rename(&temporary, &path)
                .map_err(|source| StoreError::io("rename", &temporary, source))
        });
        if let Err(error) = written {
            // What cannot be removed now is removed at the next start.
            drop(disk::remove_file(&temporary));
            return Err(error);
        }
        head.path = path;
        head.began_with = head.bytes;
        Ok(head)
    }

    /// Whether sealing it stays inside a node's memory with one more batch of the collector, which has so many series. One
    /// batch always fits.
    pub(crate) fn takes(&self, collector: &str, series: usize) -> bool {
        let rows = self.rows.get(collector).copied().unwrap_or(0);
        self.batches < MOST_BATCHES
            && (rows == 0 || (rows + 1).saturating_mul(series) <= MOST_CELLS)
    }

    /// A batch was written.
    pub(crate) fn count(&mut self, collector: &str, at: Moment) {
        self.batches += 1;
        self.opened = self.opened.or(Some(at));
        match self.rows.get_mut(collector) {
            Some(rows) => *rows += 1,
            None => drop(self.rows.insert(collector.to_owned(), 1)),
        }
    }

    /// Bytes that came since it began.
    pub(crate) const fn appended(&self) -> u64 {
        self.bytes.saturating_sub(self.began_with)
    }

    fn begin(&mut self, registry: &Registry) -> Result<(), StoreError> {
        put_open(&mut self.buffer, self.sequence);
        let mut list = DefinitionList::default();
        let path = self.path.clone();
        let pack = |source| StoreError::io("pack the definitions of", &path, source);
        for (run, number, series, info) in registry.definitions() {
            let definition = (run, number, series.number, info);
            list.add(&mut self.buffer, definition).map_err(pack)?;
            if self.buffer.len() > KEPT_BUFFER {
                self.commit()?;
            }
        }
        list.put(&mut self.buffer).map_err(pack)?;
        self.commit()
    }

    /// Writes the frames in the buffer with one write. Where that fails, what it left is cut off again.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        let length = wide(self.buffer.len());
        let taken = self.room.take(length);
        let written = taken.is_ok().then(|| self.write());
        self.discard();
        match written.unwrap_or(Ok(())) {
            _ if taken.is_err() => taken,
            Ok(()) => {
                self.bytes += length;
                self.unsynced = true;
                Ok(())
            }
            Err(source) => {
                self.torn = self.file.set_len(self.bytes).is_err();
                Err(StoreError::io("write", &self.path, source))
            }
        }
    }

    /// Forgets the frames in the buffer.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
    }

    /// All that was written to it.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.bytes)?;
            self.torn = false;
        }
        self.file.write_all_at(&self.buffer, self.bytes)
    }

    /// From now on power loss does not lose what was written until now.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        let synced = self.file.sync_data();
        self.sync_failed |= synced.is_err();
        synced.map_err(|source| StoreError::io("sync", &self.path, source))?;
        if self.folder_unsynced {
            sync_folder(self.path.parent().unwrap_or(&self.path))?;
            self.folder_unsynced = false;
        }
        self.unsynced = false;
        Ok(())
    }
}
