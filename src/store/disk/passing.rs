//! Nothing stands in the way: shipped builds have this in place of `faults.rs`, and the compiler leaves nothing of it.

use std::io;
use std::path::Path;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Open,
    Create,
    List,
    Metadata,
    Read,
    Truncate,
    Sync,
    Rename,
    Remove,
    Lock,
}

/// A file, of which nothing needs to be known.
#[derive(Debug)]
pub(super) struct Named;

impl Named {
    pub(super) const fn of(_: &Path) -> Self {
        Self
    }

    pub(super) const fn pass(&self, _: Operation) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn pass_write(
        &self,
        _: &[u8],
        _: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        Ok(())
    }

    pub(super) const fn has_read(&self, _: usize) {}
}
