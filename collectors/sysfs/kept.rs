//! A file that is read again and again.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use glasshouse_core::failure::CollectError;

use crate::buffer::{End, FillError, ReadBuffer};
use crate::parse::malformed;
use crate::root::{SysRoot, fill_error, text};

/// A file that a collector reads at each run. On the live machine it stays open between runs, so that a read costs one
/// or two `pread`; in a captured tree it is opened afresh. A file whose device went away is opened again.
#[derive(Debug)]
pub struct KeptFile {
    root: SysRoot,
    path: Box<str>,
    end: End,
    kept: Option<KeptDescriptor>,
}

/// The most descriptors that all [`KeptFile`]s of the process keep: the usual soft limit is 1024, and a machine with
/// 256 processors has more attributes than that. Beyond it files are opened and closed at each read.
const MOST_KEPT: usize = 512;

static KEPT: AtomicUsize = AtomicUsize::new(0);

impl KeptFile {
    /// A table of `/proc`, of any length. Touches nothing.
    #[must_use]
    pub fn table(root: &SysRoot, path: &str) -> Self {
        Self::new(root, path, End::Zero)
    }

    /// An attribute of sysfs, one word or a few lines. Touches nothing.
    #[must_use]
    pub fn attribute(root: &SysRoot, path: &str) -> Self {
        Self::new(root, path, End::Short)
    }

    fn new(root: &SysRoot, path: &str, end: End) -> Self {
        Self {
            root: root.clone(),
            path: path.into(),
            end,
            kept: None,
        }
    }

    /// The path below the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole file as it is now, as text.
    ///
    /// # Errors
    /// [`CollectError`] where it is missing, denied, too long, not readable or not UTF-8.
    pub fn read<'b>(&mut self, buffer: &'b mut ReadBuffer) -> Result<&'b str, CollectError> {
        if let Some(kept) = self.kept.take() {
            match buffer
                .fill(kept.descriptor.as_fd(), self.end)
                .map(<[u8]>::len)
            {
                Ok(_) => self.kept = Some(kept),
                // whatever it is: the file may be another by now, so the second try below decides
                Err(FillError::Os(_)) => {}
                Err(error @ FillError::TooLong) => return Err(fill_error(&self.path, error)),
            }
        }
        if self.kept.is_none() {
            let descriptor = self.root.open(&self.path)?;
            buffer
                .fill(descriptor.as_fd(), self.end)
                .map_err(|error| fill_error(&self.path, error))?;
            if self.root.is_live() {
                self.kept = KeptDescriptor::keep(descriptor);
            }
        }
        text(&self.path, buffer.filled())
    }

    /// The file as one whole number.
    ///
    /// # Errors
    /// As [`Self::read`]; malformed where it is no such number.
    pub fn read_u64(&mut self, buffer: &mut ReadBuffer) -> Result<u64, CollectError> {
        let word = self.read(buffer)?.trim();
        word.parse()
            .map_err(|_| malformed(&self.path, None, "a whole number", word))
    }

    /// The file as one whole number that may be negative.
    ///
    /// # Errors
    /// As [`Self::read`]; malformed where it is no such number.
    pub fn read_i64(&mut self, buffer: &mut ReadBuffer) -> Result<i64, CollectError> {
        let word = self.read(buffer)?.trim();
        word.parse()
            .map_err(|_| malformed(&self.path, None, "a whole number", word))
    }
}

/// A descriptor that counts towards [`MOST_KEPT`].
#[derive(Debug)]
struct KeptDescriptor {
    descriptor: OwnedFd,
}

impl KeptDescriptor {
    fn keep(descriptor: OwnedFd) -> Option<Self> {
        let kept = Self { descriptor };
        let before = KEPT.fetch_add(1, Ordering::Relaxed);
        // where there is no room, `kept` is dropped here, which closes and counts down
        (before < MOST_KEPT).then_some(kept)
    }
}

impl Drop for KeptDescriptor {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_live_file_is_read_afresh_through_the_kept_descriptor() {
        let root = SysRoot::new(Path::new("/"));
        let mut file = KeptFile::table(&root, "proc/uptime");
        let mut buffer = ReadBuffer::new();
        let first = file.read(&mut buffer).unwrap().to_owned();
        assert!(file.kept.is_some());
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert_ne!(file.read(&mut buffer).unwrap(), first);
    }

    #[test]
    fn a_file_of_a_captured_tree_may_be_replaced_between_reads() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = KeptFile::attribute(&SysRoot::new(directory.path()), "value");
        let mut buffer = ReadBuffer::new();
        for value in ["7", "12345", "-3"] {
            std::fs::remove_file(directory.path().join("value")).ok();
            std::fs::write(directory.path().join("value"), value).unwrap();
            assert_eq!(file.read(&mut buffer).unwrap(), value);
        }
        assert_eq!(file.read_i64(&mut buffer).unwrap(), -3);
        assert!(file.read_u64(&mut buffer).is_err());
    }
}
