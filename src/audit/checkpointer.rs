//! The node's side: reads the log as it grows, signs its root, and says so where it did more than grow.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use glasshouse_core::time::Timestamp;

use crate::checkpoint::{Checkpoint, Checkpoints, NextCheckpoint, digest_of_nothing};
use crate::error::AuditError;
use crate::key::Key;
use crate::record::{Link, check_link};
use crate::segments::{AUDIT, CHECKPOINTS, Lines, Next, Segment, list, path};
use crate::text::{hex, time};
use crate::tree::Frontier;
use crate::writer::sync_folder;

/// How often the whole log is read again: the newest segment may be changed in place, which its size does not show.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(3600);

/// Past so many bytes a new file of checkpoints is begun: about two months.
const MOST_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Signs what the log holds. One for a node; the face never has one.
#[derive(Debug)]
pub struct Checkpointer {
    audit: PathBuf,
    checkpoints: PathBuf,
    key: Key,
    signed: Signed,
    read: Read,
    read_all: Option<Timestamp>,
    /// The log lost or changed what was signed: nothing is signed until a full reading finds it whole again.
    halted: bool,
}

/// What one run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// Records that the newest checkpoint vouches for.
    pub records: u64,
    /// Whether this run signed a new one.
    pub signed: bool,
    /// What is wrong with the log, as recorded among the checkpoints.
    pub finding: Option<String>,
}

/// The newest checkpoint that was written.
#[derive(Debug)]
struct Signed {
    next_number: u64,
    before: String,
    tree_size: u64,
    root: String,
    finding: Option<String>,
    file: Option<(PathBuf, u64)>,
}

/// How far the log has been read.
#[derive(Debug, Default)]
struct Read {
    tree: Frontier,
    link: Link,
    segment: Option<Segment>,
    offset: u64,
    /// Full segments as they looked when they were left.
    left: BTreeMap<PathBuf, Stamp>,
    /// The root at the size that was signed, once it was passed.
    root_at_signed: Option<String>,
}

/// What changes where a file is written to: size, inode, and the times that only the kernel sets.
type Stamp = (u64, u64, i64, i64);

/// Why reading stopped before the end.
enum Stopped {
    /// What was read before is no longer there as it was.
    Changed(String),
    /// The next line is no record; what stands before it is good.
    At(String),
}

impl Stopped {
    fn finding(self) -> String {
        match self {
            Self::Changed(finding) | Self::At(finding) => finding,
        }
    }
}

impl Checkpointer {
    /// Reads the checkpoints that exist and makes a key where there is none. The log need not exist yet.
    ///
    /// # Errors
    /// [`AuditError`] where the checkpoints are damaged or cannot be read, or the key cannot be used.
    pub fn open(audit: &Path, checkpoints: &Path, key: &Path) -> Result<Self, AuditError> {
        Ok(Self {
            audit: audit.to_owned(),
            checkpoints: checkpoints.to_owned(),
            key: Key::load_or_create(key)?,
            signed: Signed::read(checkpoints)?,
            read: Read::default(),
            read_all: None,
            halted: false,
        })
    }

    /// The public half of the key, in hexadecimal digits: keep it somewhere else to compare with what verify prints.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.key.public()
    }

    /// Reads what is new and signs it. What is wrong with the log is recorded once, logged each time, and never signed
    /// over. It waits for disks alone, never for whoever owns the log; a caller may take a run that does not end, or
    /// fails again and again, as a finding of its own.
    ///
    /// # Errors
    /// [`AuditError`] where files cannot be read or written; the next run tries again.
    pub fn run_once(&mut self, now: Timestamp) -> Result<Checkpointed, AuditError> {
        let due = self
            .read_all
            .is_none_or(|last| now.since(last) >= READ_AGAIN_EVERY || now < last);
        let stopped = if due {
            self.read_from_the_start(now)?
        } else if self.halted {
            return Ok(self.report(false));
        } else {
            match self.read_on()? {
                Some(Stopped::Changed(_)) => self.read_from_the_start(now)?,
                stopped => stopped,
            }
        };
        let finding = match stopped {
            Some(Stopped::Changed(finding)) => {
                self.halted = true;
                Some(finding)
            }
            stopped => {
                self.halted = false;
                stopped.map(Stopped::finding)
            }
        };
        let signed = !self.halted && self.sign_what_is_new(now)?;
        self.record(finding, now)?;
        Ok(self.report(signed))
    }

    fn report(&self, signed: bool) -> Checkpointed {
        if let Some(finding) = &self.signed.finding {
            tracing::error!(
                finding,
                "The audit log is not what it was; run `glasshouse audit verify`."
            );
        }
        Checkpointed {
            records: self.signed.tree_size,
            signed,
            finding: self.signed.finding.clone(),
        }
    }

    fn read_from_the_start(&mut self, now: Timestamp) -> Result<Option<Stopped>, AuditError> {
        self.read = Read::default();
        self.read_all = Some(now);
        let stopped = self.read_on()?;
        if matches!(stopped, Some(Stopped::Changed(_))) {
            return Ok(stopped);
        }
        let (has, signed) = (self.read.tree.leaves(), self.signed.tree_size);
        if has < signed {
            let why = match &stopped {
                Some(Stopped::At(why) | Stopped::Changed(why)) => format!(": {why}"),
                None => String::new(),
            };
            let lost = format!("the log has {has} good records where {signed} were signed{why}");
            return Ok(Some(Stopped::Changed(lost)));
        }
        if signed > 0 && self.read.root_at_signed.as_ref() != Some(&self.signed.root) {
            let changed =
                format!("one of the first {signed} records was changed after it was signed");
            return Ok(Some(Stopped::Changed(changed)));
        }
        Ok(stopped)
    }

    /// Reads the lines behind the last one read.
    fn read_on(&mut self) -> Result<Option<Stopped>, AuditError> {
        let segments = match list(&self.audit, AUDIT) {
            Err(AuditError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Vec::new()
            }
            listed => listed?,
        };
        if let Some(changed) = self.read.changed(&segments)? {
            return Ok(Some(Stopped::Changed(changed)));
        }
        let from = self
            .read
            .segment
            .as_ref()
            .map_or(0, |segment| segment.first);
        let unread: Vec<Segment> = segments
            .into_iter()
            .filter(|segment| segment.first >= from)
            .collect();
        for (n, segment) in unread.iter().enumerate() {
            let is_newest = n + 1 == unread.len();
            if let Some(stopped) = self.read.read(segment, is_newest, self.signed.tree_size)? {
                return Ok(Some(stopped));
            }
        }
        Ok(None)
    }

    fn sign_what_is_new(&mut self, now: Timestamp) -> Result<bool, AuditError> {
        if self.read.tree.leaves() <= self.signed.tree_size {
            return Ok(false);
        }
        let (tree_size, root) = (self.read.tree.leaves(), root(&self.read.tree));
        self.write(tree_size, root, None, now)?;
        Ok(true)
    }

    /// Writes a finding down, where it is not the newest thing said.
    fn record(&mut self, finding: Option<String>, now: Timestamp) -> Result<(), AuditError> {
        if finding.is_none() || finding == self.signed.finding {
            // a finding that is gone is gone with the next checkpoint
            return Ok(());
        }
        self.write(
            self.signed.tree_size,
            self.signed.root.clone(),
            finding,
            now,
        )
    }

    fn write(
        &mut self,
        tree_size: u64,
        root: String,
        finding: Option<String>,
        now: Timestamp,
    ) -> Result<(), AuditError> {
        let checkpoint = Checkpoint {
            number: self.signed.next_number,
            at: time(now),
            tree_size,
            root: root.clone(),
            finding: finding.clone(),
            before: self.signed.before.clone(),
            key: self.key.public(),
        };
        let (bytes, digest) = checkpoint.sign(&self.key).map_err(|detail| {
            AuditError::io("write a checkpoint to", &self.checkpoints)(std::io::Error::other(
                detail,
            ))
        })?;
        self.signed.append(&self.checkpoints, &bytes)?;
        self.signed.next_number = self.signed.next_number.saturating_add(1);
        self.signed.before = digest;
        self.signed.tree_size = tree_size;
        self.signed.root = root.clone();
        self.signed.finding = finding;
        self.read.root_at_signed = Some(root);
        Ok(())
    }
}

impl Read {
    /// What of the segments that were read is no longer as it was.
    fn changed(&self, segments: &[Segment]) -> Result<Option<String>, AuditError> {
        for (path, stamp) in &self.left {
            if stamp_of(path)? != Some(*stamp) {
                return Ok(Some(format!(
                    "`{}` was written to after it was full",
                    path.display()
                )));
            }
        }
        let Some(segment) = &self.segment else {
            return Ok(None);
        };
        let still = segments.contains(segment);
        match stamp_of(&segment.path)?.filter(|_| still) {
            Some((size, ..)) if size >= self.offset => Ok(None),
            Some(_) => Ok(Some(format!(
                "`{}` has become shorter",
                segment.path.display()
            ))),
            None => Ok(Some(format!("`{}` is gone", segment.path.display()))),
        }
    }

    /// Reads one segment to its end.
    fn read(
        &mut self,
        segment: &Segment,
        is_newest: bool,
        signed: u64,
    ) -> Result<Option<Stopped>, AuditError> {
        if self.segment.as_ref() != Some(segment) {
            if segment.first != self.tree.leaves() {
                let due = self.tree.leaves();
                return Ok(Some(Stopped::At(format!(
                    "record {due} is missing: `{}` comes next",
                    segment.path.display()
                ))));
            }
            self.segment = Some(segment.clone());
            self.offset = 0;
        }
        let mut lines = match Lines::open(&segment.path, self.offset) {
            Err(strange @ AuditError::Strange { .. }) => {
                return Ok(Some(Stopped::At(strange.to_string())));
            }
            opened => opened?,
        };
        let from = self.offset;
        let stopped = self.read_lines(&mut lines, is_newest, signed)?;
        if self.offset > from {
            // what is signed must not be lost by a power loss, or that would look like tampering
            lines
                .file()
                .sync_data()
                .map_err(AuditError::io("sync", &segment.path))?;
        }
        if stopped.is_none() && !is_newest {
            // of the file that was read, whatever stands under its name by now
            let about = lines.file().metadata();
            let about = about.map_err(AuditError::io("read", &segment.path))?;
            self.left.insert(segment.path.clone(), stamp(&about));
        }
        Ok(stopped)
    }

    fn read_lines(
        &mut self,
        lines: &mut Lines,
        is_newest: bool,
        signed: u64,
    ) -> Result<Option<Stopped>, AuditError> {
        loop {
            let wrong = match lines.next()? {
                // the face may be in the middle of a line
                Next::End(torn) if torn == 0 || is_newest => return Ok(None),
                Next::End(_) => "it is torn".to_owned(),
                Next::TooLong => "it is longer than any record".to_owned(),
                Next::Line(bytes) => match check_link(&bytes, self.link) {
                    Ok(link) => {
                        self.tree.push(&bytes);
                        self.link = link;
                        self.offset = lines.offset();
                        if self.tree.leaves() == signed {
                            self.root_at_signed = Some(root(&self.tree));
                        }
                        continue;
                    }
                    Err(wrong) => wrong,
                },
            };
            let record = self.tree.leaves();
            return Ok(Some(Stopped::At(format!(
                "record {record} is damaged: {wrong}"
            ))));
        }
    }
}

impl Signed {
    /// The newest checkpoint of a folder; a torn one behind it is cut.
    fn read(folder: &Path) -> Result<Self, AuditError> {
        let mut signed = Self {
            next_number: 0,
            before: digest_of_nothing(),
            tree_size: 0,
            root: root(&Frontier::default()),
            finding: None,
            file: None,
        };
        let mut checkpoints = Checkpoints::open(folder)?;
        loop {
            match checkpoints.next()? {
                NextCheckpoint::Good(checkpoint) => {
                    signed.tree_size = checkpoint.tree_size;
                    signed.root = checkpoint.root;
                    signed.finding = checkpoint.finding;
                }
                NextCheckpoint::Bad(path, line, detail) => {
                    let path = path.display().to_string();
                    return Err(AuditError::Damaged { path, line, detail });
                }
                NextCheckpoint::End => break,
            }
        }
        signed.next_number = checkpoints.number;
        signed.before = checkpoints.before;
        if let Some((path, whole)) = &checkpoints.end {
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.set_len(*whole))
                .map_err(AuditError::io("cut", path))?;
        }
        signed.file = checkpoints.end;
        Ok(signed)
    }

    /// Appends a line and syncs it; a line that was written in part is cut.
    fn append(&mut self, folder: &Path, bytes: &[u8]) -> Result<(), AuditError> {
        let (file, length) = match self.file.take() {
            Some((path, length)) if length < MOST_FILE_BYTES => (path, length),
            _ => (path(folder, CHECKPOINTS, self.next_number), 0),
        };
        let mut open = open_file(&file).map_err(AuditError::io("open", &file))?;
        let written = open.write_all(bytes).and_then(|()| open.sync_data());
        let written = written.and_then(|()| {
            if length == 0 {
                sync_folder(folder)
            } else {
                Ok(())
            }
        });
        self.file = Some((file.clone(), length));
        if let Err(error) = written {
            open.set_len(length).map_err(AuditError::io("cut", &file))?;
            return Err(AuditError::io("write a checkpoint to", &file)(error));
        }
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.file = Some((file, length.saturating_add(added)));
        Ok(())
    }
}

fn open_file(path: &Path) -> Result<File, std::io::Error> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

fn stamp(file: &Metadata) -> Stamp {
    (file.size(), file.ino(), file.ctime(), file.ctime_nsec())
}

/// How what stands there looks, a link as a link; `None` where it is gone.
fn stamp_of(path: &Path) -> Result<Option<Stamp>, AuditError> {
    match std::fs::symlink_metadata(path) {
        Ok(now) => Ok(Some(stamp(&now))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AuditError::io("read", path)(error)),
    }
}

/// The root in digits.
pub(crate) fn root(tree: &Frontier) -> String {
    hex(tree.root().as_bytes())
}
