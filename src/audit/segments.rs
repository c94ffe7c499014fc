//! The files of a log: their names, their order, and their lines.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::AuditError;
use crate::record::MOST_LINE_BYTES;

/// Files of decisions.
pub(crate) const AUDIT: &str = "audit";

/// Files of checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// The most segments of one log: 64 MiB each make 6 TiB. More is a folder that somebody else fills.
const MOST_SEGMENTS: usize = 100_000;

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    /// The number of its first line, which its name says.
    pub(crate) first: u64,
    /// Where it stands.
    pub(crate) path: PathBuf,
}

/// The name of the segment that begins with this line.
pub(crate) fn path(folder: &Path, kind: &str, first: u64) -> PathBuf {
    folder.join(format!("{kind}-{first:020}.jsonl"))
}

/// The segments of a folder in their order.
pub(crate) fn list(folder: &Path, kind: &str) -> Result<Vec<Segment>, AuditError> {
    let failed = AuditError::io("read", folder);
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        if let Some(first) = path
            .file_name()
            .and_then(|name| number(name.to_str()?, kind))
        {
            segments.push(Segment { first, path });
        }
        if segments.len() > MOST_SEGMENTS {
            return Err(failed(std::io::Error::other("too many segments")));
        }
    }
    segments.sort();
    Ok(segments)
}

fn number(name: &str, kind: &str) -> Option<u64> {
    let digits = name
        .strip_prefix(kind)?
        .strip_prefix('-')?
        .strip_suffix(".jsonl")?;
    (digits.len() == 20).then_some(digits)?.parse().ok()
}

/// Reads a file line by line from an offset on, in bounded memory.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    offset: u64,
}

/// What stands next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole line, its newline taken off.
    Line(Vec<u8>),
    /// The file ends here; so many bytes of a line without its newline follow.
    End(u64),
    /// A line that is longer than any record.
    TooLong,
}

impl Lines {
    /// Opens a file at an offset.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self, AuditError> {
        let mut file = open_regular(path)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(AuditError::io("read", path))?;
        Ok(Self {
            reader: BufReader::with_capacity(64 * 1024, file),
            path: path.to_owned(),
            offset,
        })
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Result<Next, AuditError> {
        let most = u64::try_from(MOST_LINE_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut line = Vec::new();
        let read = self
            .reader
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut line)
            .map_err(AuditError::io("read", &self.path))?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        if line.pop() == Some(b'\n') {
            self.offset = self.offset.saturating_add(read);
            return Ok(Next::Line(line));
        }
        Ok(if read == most {
            Next::TooLong
        } else {
            Next::End(read)
        })
    }

    /// Where the next line begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The file, to sync it.
    pub(crate) fn file(&self) -> &File {
        self.reader.get_ref()
    }
}

/// Opens a file of the log without waiting for anybody. Whoever owns the folder can put anything there under a name of
/// the log: a FIFO without a writer would hold a plain `open` for ever, a link would lead elsewhere.
fn open_regular(path: &Path) -> Result<File, AuditError> {
    let failed = AuditError::io("open", path);
    let strange = |detail| AuditError::Strange {
        path: path.display().to_string(),
        detail,
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(strange("it is a symbolic link")),
        Err(Errno::NXIO) => return Err(strange("it is no regular file")),
        Err(error) => return Err(failed(error.into())),
    };
    let about = file.metadata().map_err(&failed)?;
    if !about.is_file() {
        return Err(strange("it is no regular file"));
    }
    let folder = path.parent().unwrap_or(path);
    let owner = std::fs::metadata(folder).map_err(&failed)?.uid();
    if about.uid() != owner {
        return Err(strange("it belongs to another user than its folder"));
    }
    Ok(file)
}
