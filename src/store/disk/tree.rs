//! Folders that are walked name by name, without following a link: for a tree that somebody else may write to.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, mkdirat, open, openat, renameat, unlinkat};

use super::File;
use super::faults::{Named, Operation};

/// How every folder is opened; below the first one no link is followed either.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// What is made is for the umask to close.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// An open folder. Names in it are looked up in itself, whatever its path has become since.
#[derive(Debug)]
pub(crate) struct Folder {
    inner: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the root of the tree, which may be a link: whoever names it vouches for it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Named::of(path).pass(Operation::Open)?;
        Ok(Self {
            inner: open(path, FOLDER, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// For messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder in this one. A link is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] where the name is of something else.
    pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        Named::of(&path).pass(Operation::Open)?;
        let flags = FOLDER.union(OFlags::NOFOLLOW);
        Ok(Self {
            inner: openat(&self.inner, name, flags, Mode::empty())?,
            path,
        })
    }

    /// As [`Self::enter`]; makes the folder where it is missing.
    pub(crate) fn make(&self, name: &str) -> io::Result<Self> {
        Named::of(&self.path.join(name)).pass(Operation::Create)?;
        match mkdirat(&self.inner, name, FOLDER_MODE).map_err(io::Error::from) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.enter(name),
        }
    }

    /// The names in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        Named::of(&self.path).pass(Operation::List)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.inner)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// Makes a file of a name that is free, for writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something has the name, be it a link.
    pub(crate) fn create_new(&self, file: &str) -> io::Result<File> {
        let name = Named::of(&self.path.join(file));
        name.pass(Operation::Create)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let inner = fs::File::from(openat(&self.inner, file, flags, FILE_MODE)?);
        Ok(File { inner, name })
    }

    /// Gives a file another name; the file that had it is gone.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Named::of(&self.path.join(to)).pass(Operation::Rename)?;
        Ok(renameat(&self.inner, from, &self.inner, to)?)
    }

    /// Removes a file, or a link itself.
    pub(crate) fn remove(&self, file: &str) -> io::Result<()> {
        Named::of(&self.path.join(file)).pass(Operation::Remove)?;
        Ok(unlinkat(&self.inner, file, AtFlags::empty())?)
    }

    /// The names in it outlast a loss of power from now on.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Named::of(&self.path).pass(Operation::Sync)?;
        Ok(rustix::fs::fsync(&self.inner)?)
    }
}
