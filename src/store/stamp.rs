//! Whether a file that is replaced as a whole was replaced.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// What changes when the file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanos: i64,
}

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            seconds: metadata.mtime(),
            nanos: metadata.mtime_nsec(),
        })
    }
}
