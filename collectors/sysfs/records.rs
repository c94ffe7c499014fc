//! A file that gives a record at each read: the kernel's log, `/dev/kmsg`.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use glasshouse_core::failure::{CollectError, FailureReason};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::buffer::{End, FillError, ReadBuffer};
use crate::root::{SysRoot, fill_error, os_error};

/// The kernel's log, below the root.
const KERNEL_LOG_PATH: &str = "dev/kmsg";

/// The kernel's log, opened while this process could.
static KERNEL_LOG: OnceLock<OwnedFd> = OnceLock::new();

/// Opens the kernel's log for reading, to be used by [`RecordFile`] when this process has given up the right to
/// (`CAP_SYSLOG`, where `kernel.dmesg_restrict` is 1): the kernel asks for it at the opening and never again. To be called
/// before rights are given up; a second call does nothing.
///
/// # Errors
/// What the system says; without the log, its collector says that it is denied.
pub fn open_kernel_log() -> std::io::Result<()> {
    if KERNEL_LOG.get().is_some() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = rustix::fs::open("/dev/kmsg", flags, Mode::empty())?;
    KERNEL_LOG.set(opened).ok();
    Ok(())
}

/// More than a record can have: the kernel formats one into 8 KiB, older ones and newer ones into less.
const MOST_RECORD_BYTES: usize = 16 << 10;

/// A record device, read from its oldest record on and never waited for. On the live machine it stays open, so that each
/// record comes once. In a captured tree the file holds the records one after the other, lines that continue one begin
/// with a space, and it is taken to grow at its end only.
#[derive(Debug)]
pub struct RecordFile {
    root: SysRoot,
    path: Box<str>,
    device: Option<OwnedFd>,
    record: Vec<u8>,
    /// Of a captured tree: what was read at the last [`Self::refresh`], and how much of it was given.
    captured: ReadBuffer,
    given: usize,
}

/// What one step brought.
#[derive(Debug)]
pub enum Record<'b> {
    /// A record, with its final line break where the kernel wrote one.
    One(&'b [u8]),
    /// The kernel overwrote records before they were read; the next one is the oldest that is left.
    Overrun,
    /// There is no more for now.
    End,
}

impl RecordFile {
    /// Takes the path below the root. Touches nothing.
    #[must_use]
    pub fn new(root: &SysRoot, path: &str) -> Self {
        Self {
            root: root.clone(),
            path: path.into(),
            device: None,
            record: Vec::new(),
            captured: ReadBuffer::new(),
            given: 0,
        }
    }

    /// The path below the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Opens it where it is not open yet; a captured file is read afresh. To be called once before a round of
    /// [`Self::read`].
    ///
    /// # Errors
    /// [`CollectError`] where it is missing, denied, too long or not readable.
    pub fn refresh(&mut self) -> Result<(), CollectError> {
        if self.root.is_live() {
            if self.device.is_none() {
                self.device = Some(self.open_live()?);
                self.record.resize(MOST_RECORD_BYTES, 0);
            }
            return Ok(());
        }
        let file = self.root.open(&self.path)?;
        let bytes = self
            .captured
            .fill(file.as_fd(), End::Zero)
            .map_err(|error| fill_error(&self.path, error))?
            .len();
        if bytes < self.given {
            // another file by now
            self.given = 0;
        }
        Ok(())
    }

    /// A descriptor that was opened beforehand, where this process may not open the device itself.
    fn open_live(&self) -> Result<OwnedFd, CollectError> {
        match (self.root.open(&self.path), KERNEL_LOG.get()) {
            (Err(error), Some(opened))
                if error.reason == FailureReason::Denied && self.path() == KERNEL_LOG_PATH =>
            {
                opened.try_clone().map_err(|_| error)
            }
            (result, _) => result,
        }
    }

    /// The next record, or that there is none now. Never blocks.
    ///
    /// # Errors
    /// [`CollectError`] where reading failed; the device is opened again at the next [`Self::refresh`].
    pub fn read(&mut self) -> Result<Record<'_>, CollectError> {
        let Some(device) = &self.device else {
            return Ok(self.next_captured());
        };
        let read = loop {
            match rustix::io::read(device, &mut self.record) {
                Err(Errno::INTR) => {}
                result => break result,
            }
        };
        match read {
            Ok(0) | Err(Errno::AGAIN) => Ok(Record::End),
            Ok(bytes) => Ok(Record::One(self.record.get(..bytes).unwrap_or_default())),
            Err(Errno::PIPE) => Ok(Record::Overrun),
            Err(errno) => {
                self.device = None;
                Err(fill_error_of(&self.path, errno))
            }
        }
    }

    fn next_captured(&mut self) -> Record<'_> {
        let rest = self.captured.filled().get(self.given..).unwrap_or_default();
        let bytes = record_bytes(rest);
        self.given += bytes;
        match rest.get(..bytes) {
            Some(record) if !record.is_empty() => Record::One(record),
            _ => Record::End,
        }
    }
}

fn fill_error_of(path: &str, errno: Errno) -> CollectError {
    match fill_error(path, FillError::Os(errno)) {
        error if errno == Errno::INVAL => CollectError {
            detail: format!("a record has more than {MOST_RECORD_BYTES} bytes"),
            ..error
        },
        _ => os_error(path, errno),
    }
}

/// The length of the first record: its line and those that continue it.
fn record_bytes(rest: &[u8]) -> usize {
    let mut bytes = 0;
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        if bytes > 0 && line.first() != Some(&b' ') {
            break;
        }
        bytes += line.len();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn all(file: &mut RecordFile) -> Vec<String> {
        file.refresh().unwrap();
        let mut records = Vec::new();
        while let Record::One(record) = file.read().unwrap() {
            records.push(String::from_utf8_lossy(record).into_owned());
        }
        records
    }

    #[test]
    fn a_captured_log_gives_each_record_once() {
        let tree = tempfile::tempdir().unwrap();
        let place = tree.path().join("kmsg");
        let mut file = RecordFile::new(&SysRoot::new(tree.path()), "kmsg");
        assert!(file.refresh().is_err());
        std::fs::write(&place, "6,1,2,-;a\n SUBSYSTEM=x\n DEVICE=y\n6,2,3,-;b\n").unwrap();
        assert_eq!(
            all(&mut file),
            ["6,1,2,-;a\n SUBSYSTEM=x\n DEVICE=y\n", "6,2,3,-;b\n"]
        );
        assert!(all(&mut file).is_empty());
        std::fs::write(
            &place,
            "6,1,2,-;a\n SUBSYSTEM=x\n DEVICE=y\n6,2,3,-;b\n6,3,4,-;c",
        )
        .unwrap();
        assert_eq!(all(&mut file), ["6,3,4,-;c"]);
        std::fs::write(&place, "6,0,0,-;anew\n").unwrap();
        assert_eq!(all(&mut file), ["6,0,0,-;anew\n"]);
    }

    #[test]
    fn the_live_log_ends_and_does_not_wait() {
        let mut file = RecordFile::new(&SysRoot::new(Path::new("/")), "dev/kmsg");
        if let Err(error) = file.refresh() {
            return println!("skipped: {error}");
        }
        let mut records = 0;
        while !matches!(file.read().unwrap(), Record::End) {
            records += 1;
            assert!(records < 1_000_000);
        }
    }
}
