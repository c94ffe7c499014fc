//! A buffer that readers use again and again.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

/// Where file contents go. It grows to the largest file seen and stays there, so a steady reader does not allocate.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

/// A page: what a sysfs attribute holds at most, and what most tables of `/proc` fit in.
const FIRST_BYTES: usize = 4096;

/// More than `/proc/stat` of the largest machines (the `intr` line of one with 10,000 interrupts has 200 kB).
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// What is kept of a file whose end alone is wanted: 30 lines of `/proc/interrupts` on a machine with 1024 processors
/// have 350 kB.
const END_BYTES: usize = 512 << 10;

/// What may come before the end: 4096 interrupts of 1024 processors have 50 MB.
const MOST_PASSED_BYTES: u64 = 128 << 20;

/// Where a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Where a read says so: tables of `/proc` come in several pieces.
    Zero,
    /// Where a read fills less than the buffer: attributes of sysfs come in one piece. Saves a system call.
    Short,
}

/// Why a file did not fit or could not be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FillError {
    TooLong,
    Os(Errno),
}

impl ReadBuffer {
    /// An empty buffer; the first read allocates.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            filled: 0,
        }
    }

    /// Reads the whole file from its start.
    pub(crate) fn fill(&mut self, file: BorrowedFd<'_>, end: End) -> Result<&[u8], FillError> {
        self.filled = 0;
        self.filled = self.fill_count(file, end)?;
        Ok(self.filled())
    }

    /// Reads the whole file and keeps its end alone, at least [`END_BYTES`] of it where it has as many.
    pub(crate) fn fill_end(&mut self, file: BorrowedFd<'_>) -> Result<&[u8], FillError> {
        self.filled = 0;
        let (mut filled, mut offset) = (0, 0);
        loop {
            if filled >= 2 * END_BYTES {
                self.bytes.copy_within(filled - END_BYTES..filled, 0);
                filled = END_BYTES;
            }
            if filled == self.bytes.len() {
                self.grow()?;
            }
            let room = self.bytes.get_mut(filled..).unwrap_or_default();
            let read = match rustix::io::pread(file, room, offset) {
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(FillError::Os(errno)),
            };
            if read == 0 {
                break;
            }
            filled += read;
            offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            if offset > MOST_PASSED_BYTES {
                return Err(FillError::TooLong);
            }
        }
        self.filled = filled;
        Ok(self.filled())
    }

    /// What the last successful [`Self::fill`] read.
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    fn fill_count(&mut self, file: BorrowedFd<'_>, end: End) -> Result<usize, FillError> {
        let mut filled = 0;
        loop {
            if filled == self.bytes.len() {
                self.grow()?;
            }
            let room = self.bytes.get_mut(filled..).unwrap_or_default();
            let room_bytes = room.len();
            let offset = u64::try_from(filled).map_err(|_| FillError::TooLong)?;
            let read = match rustix::io::pread(file, room, offset) {
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(FillError::Os(errno)),
            };
            filled += read;
            if read == 0 || (end == End::Short && read < room_bytes) {
                return Ok(filled);
            }
        }
    }

    fn grow(&mut self) -> Result<(), FillError> {
        if self.bytes.len() >= MOST_BYTES {
            return Err(FillError::TooLong);
        }
        let bytes = self.bytes.len().saturating_mul(2).max(FIRST_BYTES);
        self.bytes.resize(bytes, 0);
        Ok(())
    }
}
