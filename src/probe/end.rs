//! The probe's end of a worker's pipe: read without blocking, and no more than a share at once.

use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::read;

/// Bytes that are read before somebody looks at the clock again.
const SHARE: usize = 256 * 1024;

/// The end of a pipe that is read.
#[derive(Debug)]
pub(crate) struct End {
    end: OwnedFd,
    share: usize,
    /// Bytes since it was made.
    bytes: u64,
}

impl End {
    /// For a pipe that does not block.
    pub(crate) const fn new(end: OwnedFd) -> Self {
        Self {
            end,
            share: SHARE,
            bytes: 0,
        }
    }

    pub(crate) const fn descriptor(&self) -> &OwnedFd {
        &self.end
    }

    /// Bytes that were read since it was made.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until there is something to read or the other end is closed, at most this long; then another share may be
    /// read.
    pub(crate) fn wait(&mut self, span: Duration) {
        self.share = SHARE;
        let mut ends = [PollFd::new(&self.end, PollFlags::IN)];
        let span = Timespec::try_from(span).unwrap_or_default();
        // an interrupted or failed wait shows in the next read
        poll(&mut ends, Some(&span)).ok();
    }
}

impl Read for End {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.share == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = into.len().min(self.share);
        let got = read(&self.end, into.get_mut(..most).unwrap_or_default())?;
        self.share = self.share.saturating_sub(got);
        let got_bytes = u64::try_from(got).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(got_bytes);
        Ok(got)
    }
}
