//! Room for what is written: the folder never holds more bytes than it may.
//!
//! What is written is taken from the room first, by whoever writes; what is removed is found out by looking at the
//! folder. So what the room says is in use is never less than what is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk;
use crate::error::StoreError;

/// How many bytes there may be, and are. Cheap to share; all copies are one.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: u64,
    used: AtomicU64,
}

impl Room {
    pub(crate) fn new(most: u64) -> Self {
        let used = AtomicU64::new(0);
        Self(Arc::new(Inner { most, used }))
    }

    pub(crate) fn most(&self) -> u64 {
        self.0.most
    }

    /// Bytes in use; never too few.
    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether so many bytes more may be written.
    pub(crate) fn has(&self, bytes: u64) -> bool {
        self.used().saturating_add(bytes) <= self.0.most
    }

    /// Takes room for bytes that are about to be written.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), StoreError> {
        let take = |used: u64| Some(used.saturating_add(bytes)).filter(|used| *used <= self.0.most);
        let taken = self
            .0
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| self.full())
    }

    /// Looks how much there is, after something was removed.
    pub(crate) fn measure(&self, dir: &Path) -> Result<(), StoreError> {
        let used = folder_bytes(dir)?;
        self.0.used.store(used, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn full(&self) -> StoreError {
        let most = self.0.most;
        StoreError::Full { most }
    }
}

/// The bytes of all files in a folder, whosever they are.
pub(crate) fn folder_bytes(dir: &Path) -> Result<u64, StoreError> {
    let io = |source| StoreError::io("list", dir, source);
    let mut bytes = 0_u64;
    for entry in disk::list(dir).map_err(io)? {
        match entry.map_err(io)?.metadata() {
            Ok(metadata) => bytes = bytes.saturating_add(metadata.bytes),
            // Somebody else removed it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_until_there_is_none_and_comes_back_with_what_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::new(100);
        room.take(60).unwrap();
        let same = room.clone();
        assert!(same.has(40) && !same.has(41));
        assert!(matches!(same.take(41), Err(StoreError::Full { most: 100 })));
        same.take(40).unwrap();
        std::fs::write(dir.path().join("a stranger's"), [0; 70]).unwrap();
        room.measure(dir.path()).unwrap();
        assert!(room.has(30) && !room.has(31));
        assert!(room.take(u64::MAX).is_err());
    }
}
