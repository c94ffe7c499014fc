//! The machine, or a tree captured from one, as a place to read from.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glasshouse_core::failure::{CollectError, FailureReason};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::buffer::{End, FillError, MOST_BYTES, ReadBuffer};
use crate::names::natural_order;
use crate::parse::{malformed, optional};

/// The root below which everything is read. Paths given to it are relative: `proc/stat`, `sys/class/net`.
///
/// Errors name files as they are on the machine (`/proc/stat`), also where a captured tree is read.
#[derive(Clone, Debug)]
pub struct SysRoot {
    root: Arc<Path>,
    live: bool,
}

/// The most entries of one directory that are looked at: twice the default of `pid_max` on large machines would be
/// more, but nothing else comes near, and a directory beyond it is no machine's.
const MOST_ENTRIES: usize = 1 << 18;

/// Tries to open a file of a captured tree before another way is taken: on a machine that compiles, one in a thousand
/// fails, and two in a row do not.
const MOST_TRIES: usize = 16;

impl SysRoot {
    /// Takes the root; touches nothing.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: Arc::from(root),
            live: root == Path::new("/"),
        }
    }

    /// Whether this is the running machine rather than a captured tree.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.live
    }

    /// A whole file into the buffer.
    ///
    /// # Errors
    /// [`CollectError`] where it is missing, denied, longer than 4 MiB or not readable.
    pub fn read_bytes<'b>(
        &self,
        path: &str,
        buffer: &'b mut ReadBuffer,
    ) -> Result<&'b [u8], CollectError> {
        let file = self.open(path)?;
        buffer
            .fill(file.as_fd(), End::Zero)
            .map_err(|error| fill_error(path, error))
    }

    /// The end of a file of any length, half a MiB of it or more; all of a shorter one. The kernel still writes the
    /// whole of it.
    ///
    /// # Errors
    /// [`CollectError`] where it is missing, denied, longer than 128 MiB or not readable.
    pub fn read_end<'b>(
        &self,
        path: &str,
        buffer: &'b mut ReadBuffer,
    ) -> Result<&'b [u8], CollectError> {
        let file = self.open(path)?;
        buffer
            .fill_end(file.as_fd())
            .map_err(|error| fill_error(path, error))
    }

    /// A whole file as text.
    ///
    /// # Errors
    /// As [`Self::read_bytes`]; malformed where it is not UTF-8.
    pub fn read_text(&self, path: &str) -> Result<String, CollectError> {
        let mut buffer = ReadBuffer::new();
        let bytes = self.read_bytes(path, &mut buffer)?;
        Ok(text(path, bytes)?.to_owned())
    }

    /// A whole file as text, without white space around it: how sysfs writes one word or one line.
    ///
    /// # Errors
    /// As [`Self::read_text`].
    pub fn read_trimmed(&self, path: &str) -> Result<String, CollectError> {
        Ok(self.read_text(path)?.trim().to_owned())
    }

    /// Like [`Self::read_trimmed`], with `None` where the file does not exist or is empty.
    ///
    /// # Errors
    /// As [`Self::read_text`], but never missing.
    pub fn read_optional_trimmed(&self, path: &str) -> Result<Option<String>, CollectError> {
        let word = optional(self.read_trimmed(path))?;
        Ok(word.filter(|word| !word.is_empty()))
    }

    /// A file that holds one whole number.
    ///
    /// # Errors
    /// As [`Self::read_text`]; malformed where it is no number.
    pub fn read_u64(&self, path: &str) -> Result<u64, CollectError> {
        let word = self.read_trimmed(path)?;
        word.parse()
            .map_err(|_| malformed(path, None, "a whole number", &word))
    }

    /// Like [`Self::read_u64`], with `None` where the file does not exist.
    ///
    /// # Errors
    /// As [`Self::read_u64`], but never missing.
    pub fn read_optional_u64(&self, path: &str) -> Result<Option<u64>, CollectError> {
        optional(self.read_u64(path))
    }

    /// The names in a directory, numbers in them in the order of their value (`cpu2` before `cpu10`).
    /// Names that are not UTF-8 are left out: the kernel makes none.
    ///
    /// # Errors
    /// [`CollectError`] where the directory is missing, denied or not readable.
    pub fn list(&self, directory: &str) -> Result<Vec<String>, CollectError> {
        let mut names = Vec::new();
        self.each_name(directory, |name| names.push(name.to_owned()))?;
        names.sort_by(|a, b| natural_order(a, b));
        Ok(names)
    }

    /// Calls with each name in a directory, in no order and without a list.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn each_name(
        &self,
        directory: &str,
        mut visit: impl FnMut(&str),
    ) -> Result<(), CollectError> {
        let file = self.open_with(directory, OFlags::DIRECTORY)?;
        let mut entries = rustix::fs::Dir::new(file).map_err(|errno| os_error(directory, errno))?;
        let mut seen = 0;
        while let Some(entry) = entries.read() {
            let entry = entry.map_err(|errno| os_error(directory, errno))?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            seen += 1;
            if seen > MOST_ENTRIES {
                let expected = format!("at most {MOST_ENTRIES} names");
                return Err(malformed(directory, None, &expected, "more"));
            }
            visit(name);
        }
        Ok(())
    }

    /// The last part of where a symbolic link points, e.g. the driver's name for `…/device/driver`;
    /// `None` where there is no such link. Where it leads to is not visited.
    #[must_use]
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = self.link_target(path)?;
        Some(target.rsplit('/').next()?.to_owned())
    }

    /// Where a symbolic link points, as it is written; `None` where there is no such link. It is not visited.
    #[must_use]
    pub fn link_target(&self, path: &str) -> Option<String> {
        let (directory, name) = path.rsplit_once('/')?;
        let directory = self
            .open_with(directory, OFlags::DIRECTORY | OFlags::PATH)
            .ok()?;
        let target = rustix::fs::readlinkat(directory, name, Vec::new()).ok()?;
        Some(target.to_str().ok()?.to_owned())
    }

    /// Whether something exists there (a dangling link does not).
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.open_with(path, OFlags::PATH).is_ok()
    }

    pub(crate) fn open(&self, path: &str) -> Result<OwnedFd, CollectError> {
        self.open_with(path, OFlags::empty())
    }

    fn open_with(&self, path: &str, more: OFlags) -> Result<OwnedFd, CollectError> {
        #[cfg(feature = "compliance")]
        {
            crate::compliance::note_opened(path);
            crate::witness::opening(path);
        }
        let mut flags = OFlags::CLOEXEC | more;
        if !more.contains(OFlags::PATH) {
            // NONBLOCK: a FIFO in a captured tree must not hang the reader
            flags |= OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK;
        }
        let opened = if self.live {
            rustix::fs::openat(CWD, self.root.join(path), flags, Mode::empty())
        } else {
            self.open_inside(path, flags)
        };
        opened.map_err(|errno| os_error(path, errno))
    }

    /// Opens below a captured tree as if it were the root: links, absolute ones too, stay inside.
    fn open_inside(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let root = rustix::fs::openat(
            CWD,
            &*self.root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // the kernel gives up on `..` where anything on the machine was renamed meanwhile, and asks to try again
        for _ in 0..MOST_TRIES {
            match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                // no such system call: an old kernel, or a container's filter
                Err(Errno::NOSYS | Errno::PERM) => break,
                result => return result,
            }
        }
        self.open_checked(path, flags)
    }

    fn open_checked(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let canonical = |path: &Path| {
            std::fs::canonicalize(path)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        let target = canonical(&self.root.join(path))?;
        if !target.starts_with(canonical(&self.root)?) {
            return Err(Errno::XDEV);
        }
        rustix::fs::openat(CWD, target, flags, Mode::empty())
    }
}

/// The file as it is on the machine.
pub(crate) fn machine_path(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

pub(crate) fn text<'b>(path: &str, bytes: &'b [u8]) -> Result<&'b str, CollectError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        malformed(path, Some(line), "text", "bytes that are not UTF-8")
    })
}

pub(crate) fn os_error(path: &str, errno: Errno) -> CollectError {
    let error = std::io::Error::from(errno);
    CollectError {
        path: machine_path(path),
        line: None,
        reason: match errno {
            // a process that ended between listing and reading
            Errno::SRCH => FailureReason::Missing,
            // a sensor that is switched off, or does not have what was asked for
            Errno::NODATA => FailureReason::Unsupported,
            _ => FailureReason::from_io(&error),
        },
        detail: format!("{} (errno {})", error.kind(), errno.raw_os_error()),
    }
}

pub(crate) fn fill_error(path: &str, error: FillError) -> CollectError {
    match error {
        FillError::Os(errno) => os_error(path, errno),
        FillError::TooLong => malformed(path, None, &format!("at most {MOST_BYTES} bytes"), "more"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, SysRoot) {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret"), "outside").unwrap();
        let inner = outer.path().join("root");
        std::fs::create_dir_all(inner.join("sys/devices/real")).unwrap();
        std::fs::write(inner.join("sys/devices/real/value"), " 42\n").unwrap();
        (outer, SysRoot::new(&inner))
    }

    #[test]
    fn no_link_leads_out_of_a_captured_tree() {
        let (outer, root) = tree();
        let inner = outer.path().join("root");
        symlink("../../secret", inner.join("sys/up")).unwrap();
        symlink(outer.path().join("secret"), inner.join("sys/absolute")).unwrap();
        symlink("/sys/devices/real", inner.join("sys/inside")).unwrap();
        symlink("/proc/self/root/etc/passwd", inner.join("sys/magic")).unwrap();
        for path in ["sys/up", "sys/absolute", "sys/magic", "../secret"] {
            let error = root.read_text(path).unwrap_err();
            assert_eq!(error.reason, FailureReason::Missing, "{path}: {error}");
        }
        assert_eq!(root.read_u64("sys/inside/value").unwrap(), 42);
        assert!(root.exists("sys/inside/value") && !root.exists("sys/up"));
        assert_eq!(root.link_name("sys/inside").as_deref(), Some("real"));
        assert_eq!(root.link_name("sys/devices"), None);
        for path in ["sys/up", "sys/absolute", "../secret"] {
            assert!(root.open_checked(path, OFlags::RDONLY).is_err(), "{path}");
        }
    }

    #[test]
    fn absent_is_told_from_failed() {
        let (_outer, root) = tree();
        assert_eq!(root.read_optional_u64("sys/none").unwrap(), None);
        assert_eq!(
            root.read_optional_trimmed("sys/devices/real/value/x")
                .unwrap(),
            None
        );
        let error = root.read_text("sys/devices").unwrap_err();
        assert_eq!(error.reason, FailureReason::Io);
        assert_eq!(error.path, Path::new("/sys/devices"));
        assert!(root.list("sys/none").is_err());
    }

    #[test]
    fn a_bad_number_names_the_file_and_what_was_found() {
        let (outer, root) = tree();
        std::fs::write(outer.path().join("root/sys/bad"), "12\u{1b}x\n").unwrap();
        assert_eq!(
            root.read_u64("sys/bad").unwrap_err().to_string(),
            "failed to read `/sys/bad`: expected a whole number, found `12x`"
        );
        std::fs::write(outer.path().join("root/sys/bytes"), b"a\nb\n\xff").unwrap();
        assert_eq!(root.read_text("sys/bytes").unwrap_err().line, Some(3));
    }

    #[test]
    fn the_end_of_a_long_file_is_enough() {
        let (outer, root) = tree();
        let mut buffer = ReadBuffer::new();
        for megabytes in [0, 5] {
            let mut content = vec![b'x'; megabytes << 20];
            content.extend(b"\nthe end");
            std::fs::write(outer.path().join("root/sys/long"), &content).unwrap();
            let end = root.read_end("sys/long", &mut buffer).unwrap();
            assert!(content.ends_with(end) && end.ends_with(b"\nthe end"));
            assert!(end.len() >= content.len().min(512 << 10));
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let (outer, root) = tree();
        let file = std::fs::File::create(outer.path().join("root/sys/huge")).unwrap();
        file.set_len(64 << 20).unwrap();
        let error = root.read_text("sys/huge").unwrap_err();
        assert_eq!(error.reason, FailureReason::Malformed);
    }

    #[test]
    fn names_come_in_the_order_of_their_numbers() {
        let (outer, root) = tree();
        for name in ["cpu10", "cpu2", "cpu0", "cpufreq"] {
            std::fs::create_dir(outer.path().join("root/sys/devices").join(name)).unwrap();
        }
        let names = root.list("sys/devices").unwrap();
        assert_eq!(names, ["cpu0", "cpu2", "cpu10", "cpufreq", "real"]);
    }
}
