//! What can go wrong while writing. Reading has [`glasshouse_core::reader::ReadError`].

use std::io;
use std::path::{Path, PathBuf};

use glasshouse_core::reader::ReadError;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried: `write`, `sync`, `rename` …
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process writes to this store.
    #[error("`{}` is being written by another process (stop it, or choose another state folder)", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A series was not defined, or was forgotten because its run is long over.
    #[error("series {number} is not defined in this store (define it again)")]
    UnknownSeries {
        /// The number inside the reference.
        number: u32,
    },
    /// A series in the batch of a collector that is not its own, or twice in one batch.
    #[error("series `{metric}` does not fit into this batch of `{collector}`: {detail}")]
    Misplaced {
        /// Its metric.
        metric: String,
        /// The collector of the batch.
        collector: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// A definition or a batch that is larger than a frame may be.
    #[error("{what} is too large for the store ({size}, at most {most})")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        most: usize,
    },
    /// A file makes no sense.
    #[error("`{}` is damaged: {detail}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A file of another version of the format. Nothing of it was touched.
    #[error(
        "`{}` was written by another version of glasshouse (start that version, or move the file elsewhere to go on without it)",
        path.display()
    )]
    OtherVersion {
        /// Which file.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether only the file that it names is concerned, and will be tomorrow too: questions are answered without it.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::OtherVersion { .. } => true,
            _ => self.is_unreadable(),
        }
    }

    /// Whether the disk did not give back what stands on it.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()))
    }

    /// Whether the file system said it of this file.
    pub(crate) fn is_of(&self, file: &Path) -> bool {
        matches!(self, Self::Io { path, .. } if path == file)
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { path, source, .. } => Self::Io {
                path: path.display().to_string(),
                source,
            },
            StoreError::Damaged { path, detail } => Self::Damaged {
                path: path.display().to_string(),
                detail,
            },
            StoreError::OtherVersion { path } => Self::Damaged {
                path: path.display().to_string(),
                detail: OTHER_VERSION.0.to_owned(),
            },
            other => Self::Damaged {
                path: String::new(),
                detail: other.to_string(),
            },
        }
    }
}

/// Bytes that make no sense, without the file that they stand in; the file's reader adds its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Not damage: it makes sense to somebody else.
pub(crate) const OTHER_VERSION: Malformed =
    Malformed("it was written by another version of glasshouse");

impl Malformed {
    pub(crate) fn inside(self, path: &Path) -> StoreError {
        if self == OTHER_VERSION {
            let path = path.to_owned();
            return StoreError::OtherVersion { path };
        }
        StoreError::Damaged {
            path: path.to_owned(),
            detail: self.0.to_owned(),
        }
    }
}
