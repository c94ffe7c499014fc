//! The one door to files: whatever the store does to a disk, it does here.
//!
//! Shipped builds add nothing to what the standard library does. With the feature `faults` every operation passes
//! [`faults`] first, which counts it, and lets it fail where a test says so.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

#[cfg(feature = "faults")]
pub mod faults;

#[cfg(not(feature = "faults"))]
mod passing;
mod tree;
#[cfg(not(feature = "faults"))]
use passing as faults;

use faults::{Named, Operation};

pub(crate) use self::tree::Folder;

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    inner: fs::File,
    /// Tests choose files by their names.
    name: Named,
}

/// What a folder says of a file. Two that are equal are of one file, and it was not replaced between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
    /// Since 1970-01-01.
    pub(crate) modified_seconds: i64,
    pub(crate) modified_nanos: i64,
}

/// A file in a folder.
#[derive(Debug)]
pub(crate) struct Entry(fs::DirEntry);

impl File {
    /// Opens a file for reading.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, Operation::Open, fs::File::options().read(true))
    }

    /// Opens an empty file for writing; what stood there is lost.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut options = fs::File::options();
        options.write(true).create(true).truncate(true);
        Self::open_as(path, Operation::Create, &options)
    }

    /// Opens a file that is there for reading and writing.
    pub(crate) fn open_to_mend(path: &Path) -> io::Result<Self> {
        let mut options = fs::File::options();
        options.read(true).write(true);
        Self::open_as(path, Operation::Open, &options)
    }

    /// Opens a file for reading and writing; an empty one where there is none.
    pub(crate) fn open_or_create(path: &Path) -> io::Result<Self> {
        let mut options = fs::File::options();
        options.read(true).write(true).create(true).truncate(false);
        Self::open_as(path, Operation::Create, &options)
    }

    fn open_as(path: &Path, operation: Operation, options: &fs::OpenOptions) -> io::Result<Self> {
        let name = Named::of(path);
        name.pass(operation)?;
        let inner = options.open(path)?;
        Ok(Self { inner, name })
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.name.pass(Operation::Metadata)?;
        self.inner
            .metadata()
            .map(|metadata| Metadata::of(&metadata))
    }

    /// Reads some bytes from an offset on; none at the end.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.name.pass(Operation::Read)?;
        let read = self.inner.read_at(bytes, offset)?;
        self.name.has_read(read);
        Ok(read)
    }

    /// Reads all of these bytes, or fails.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.name.pass(Operation::Read)?;
        self.inner.read_exact_at(bytes, offset)?;
        self.name.has_read(bytes.len());
        Ok(())
    }

    /// Writes all of these bytes; where it fails, some of them may stand there.
    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let lands = |part: &[u8]| self.inner.write_all_at(part, offset);
        self.name.pass_write(bytes, lands)?;
        lands(bytes)
    }

    pub(crate) fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.name.pass(Operation::Truncate)?;
        self.inner.set_len(bytes)
    }

    /// The bytes outlast a loss of power from now on.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.name.pass(Operation::Sync)?;
        self.inner.sync_data()
    }

    /// The bytes and all that describes them outlast a loss of power from now on.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.name.pass(Operation::Sync)?;
        self.inner.sync_all()
    }

    /// Locks the file for this process alone, until it is closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where another process holds the lock.
    pub(crate) fn lock(&self) -> io::Result<()> {
        self.name.pass(Operation::Lock)?;
        Ok(flock(
            &self.inner,
            FlockOperation::NonBlockingLockExclusive,
        )?)
    }
}

impl Read for File {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.name.pass(Operation::Read)?;
        let read = self.inner.read(bytes)?;
        self.name.has_read(read);
        Ok(read)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut self.inner;
        self.name.pass_write(bytes, |part| inner.write_all(part))?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Metadata {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified_seconds: metadata.mtime(),
            modified_nanos: metadata.mtime_nsec(),
        }
    }
}

impl Entry {
    pub(crate) fn name(&self) -> OsString {
        self.0.file_name()
    }

    pub(crate) fn inode(&self) -> u64 {
        self.0.ino()
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        Named::of(&self.0.path()).pass(Operation::Metadata)?;
        self.0.metadata().map(|metadata| Metadata::of(&metadata))
    }
}

/// The entries of a folder, in no order.
pub(crate) fn list(dir: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
    Named::of(dir).pass(Operation::List)?;
    Ok(fs::read_dir(dir)?.map(|entry| entry.map(Entry)))
}

pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    Named::of(path).pass(Operation::Metadata)?;
    fs::metadata(path).map(|metadata| Metadata::of(&metadata))
}

/// Makes a folder, and those above it, where they are missing.
pub(crate) fn create_dir_all(dir: &Path) -> io::Result<()> {
    Named::of(dir).pass(Operation::Create)?;
    fs::create_dir_all(dir)
}

/// Gives a file another name; the file that had it is gone.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    Named::of(to).pass(Operation::Rename)?;
    fs::rename(from, to)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    Named::of(path).pass(Operation::Remove)?;
    fs::remove_file(path)
}

/// The names in a folder outlast a loss of power from now on.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    Named::of(dir).pass(Operation::Sync)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
impl From<fs::File> for File {
    fn from(inner: fs::File) -> Self {
        let name = Named::of(Path::new(""));
        Self { inner, name }
    }
}
