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
    /// All that the store may take is in use, and nothing can go to make room.
    #[error(
        "the store has no room: the {most} bytes that it may take are in use (raise `most_bytes` in [store], or remove what does not belong into its folder)"
    )]
    Full {
        /// What it may take.
        most: u64,
    },
    /// The head has as many batches as a file may have, and the next one could not be begun. It is tried again after
    /// [`StoreSettings::retry`](crate::StoreSettings::retry).
    #[error("the head is full and the next one could not be begun (free some space on the disk)")]
    HeadFull,
    /// A new series beyond those that there may be. Those that there are go on.
    #[error("collector `{collector}` may have no new series: {}", limit.in_words(*most))]
    TooManySeries {
        /// The collector of the series.
        collector: String,
        /// Which bound is reached.
        limit: SeriesLimit,
        /// What it is.
        most: usize,
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

/// Which bound of [`SeriesLimits`](crate::SeriesLimits) is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesLimit {
    /// That of one collector.
    OfCollector,
    /// That of the store.
    OfAll,
}

impl SeriesLimit {
    fn in_words(self, most: usize) -> String {
        match self {
            Self::OfCollector => format!(
                "it has {most}, which are all that one may have (raise `most_series_a_collector` in [store], or let it read less)"
            ),
            Self::OfAll => format!(
                "the store has {most}, which are all that it may have (raise `most_series` in [store], or let collectors read less)"
            ),
        }
    }
}

impl StoreError {
    /// Every word of [`Self::word`].
    pub const WORDS: &[&str] = &[
        "io",
        "full",
        "head_full",
        "too_many_series",
        "too_large",
        "unknown_series",
        "misplaced",
        "damaged",
        "busy",
        "other_version",
    ];

    /// The word for it in labels.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Full { .. } => "full",
            Self::HeadFull => "head_full",
            Self::TooManySeries { .. } => "too_many_series",
            Self::TooLarge { .. } => "too_large",
            Self::UnknownSeries { .. } => "unknown_series",
            Self::Misplaced { .. } => "misplaced",
            Self::Damaged { .. } => "damaged",
            Self::Busy { .. } => "busy",
            Self::OtherVersion { .. } => "other_version",
        }
    }

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
