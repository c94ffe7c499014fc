//! The probe's end of the FIFO: opened without blocking, written without blocking, kept when the reader goes.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, stat};
use rustix::io::{Errno, write};
use tracing::{info, warn};

use crate::parcel::Parcel;

/// A FIFO may appear, and a reader come back, at any time; this is how soon it is noticed.
pub(crate) const RETRY: Duration = Duration::from_millis(200);

/// Where frames are written.
#[derive(Debug)]
pub enum Output {
    /// To the FIFO of this path, which need not exist yet.
    Fifo(PathBuf),
    /// To this pipe, whose reader started this process.
    Pipe(OwnedFd),
}

/// The end of a FIFO, or of a pipe, that is written to.
pub(crate) struct Link {
    /// Empty for a pipe, which cannot be opened again.
    path: PathBuf,
    end: Option<OwnedFd>,
    state: LinkState,
}

/// How a parcel goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of it is in the pipe.
    Done,
    /// The pipe is full.
    Full,
    /// Nobody reads, or the FIFO is not there; try again after [`RETRY`].
    NoReader,
}

/// What the log was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    Unknown,
    Connected,
    Down(Errno),
}

impl Link {
    pub(crate) fn new(output: Output) -> Self {
        let (path, end) = match output {
            Output::Fifo(path) => (path, None),
            Output::Pipe(end) => (PathBuf::new(), Some(end)),
        };
        Self {
            path,
            end,
            state: LinkState::Unknown,
        }
    }

    /// Writes on from `written`, which it moves. Never blocks.
    pub(crate) fn write(&mut self, parcel: &Parcel, written: &mut usize) -> Progress {
        if self.end.is_none() {
            match self.open() {
                // the part of a frame that went into another pipe does not count; whole ones do, or they came twice
                Ok(end) => (self.end, *written) = (Some(end), parcel.frame_at(*written)),
                Err(error) => return self.down(error),
            }
        }
        while let Some(end) = &self.end {
            let rest = parcel.bytes().get(*written..).unwrap_or_default();
            if rest.is_empty() {
                self.tell(LinkState::Connected);
                return Progress::Done;
            }
            match write(end, rest) {
                Ok(bytes) => *written = written.saturating_add(bytes),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Progress::Full,
                // what is in the pipe waits there for the next reader, as long as this end stays open
                Err(Errno::PIPE) if self.is_still_there() => return self.down(Errno::PIPE),
                Err(error) => {
                    self.end = None;
                    return self.down(error);
                }
            }
        }
        Progress::NoReader
    }

    /// Waits until a full pipe has room, for [`RETRY`] at most.
    pub(crate) fn wait_for_room(&self) {
        let Some(end) = &self.end else {
            return;
        };
        let mut ends = [PollFd::new(end, PollFlags::OUT)];
        let retry = Timespec::try_from(RETRY).unwrap_or_default();
        // an interrupted or failed wait shows in the next write
        poll(&mut ends, Some(&retry)).ok();
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        if self.path.as_os_str().is_empty() {
            return Err(Errno::PIPE);
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let end = open(&self.path, flags, Mode::empty())?;
        // never fill a regular file that somebody put in the FIFO's place
        if FileType::from_raw_mode(fstat(&end)?.st_mode) != FileType::Fifo {
            return Err(Errno::SPIPE);
        }
        Ok(end)
    }

    /// Whether the path still names the FIFO that is open: a supervisor may have made a new one.
    fn is_still_there(&self) -> bool {
        let end = self.end.as_ref();
        end.is_some_and(|end| is_same_file(end, &self.path))
    }

    fn down(&mut self, error: Errno) -> Progress {
        self.tell(LinkState::Down(error));
        Progress::NoReader
    }

    /// Logs a change of state, once.
    fn tell(&mut self, state: LinkState) {
        if self.state == state {
            return;
        }
        self.state = state;
        let path = self.path.display();
        match state {
            // who started this process reads its pipe from the beginning
            LinkState::Connected if self.path.as_os_str().is_empty() => {}
            LinkState::Unknown => {}
            LinkState::Connected => info!(%path, "The frames are read."),
            LinkState::Down(Errno::NOENT) => {
                warn!(%path, "The FIFO does not exist yet; frames wait.");
            }
            LinkState::Down(Errno::NXIO | Errno::PIPE) => {
                warn!(%path, "Nobody reads the FIFO; frames wait.");
            }
            LinkState::Down(Errno::SPIPE | Errno::LOOP) => {
                warn!(%path, "What stands there is no FIFO; frames wait.");
            }
            LinkState::Down(error) => {
                warn!(%path, %error, "The FIFO cannot be written; frames wait.");
            }
        }
    }
}

/// Opens the FIFO of a worker for reading. It is opened for writing too, so that it never ends when the worker does.
pub(crate) fn open_fifo(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let end = open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&end)?.st_mode) != FileType::Fifo {
        return Err(Errno::SPIPE);
    }
    Ok(end)
}

/// Whether the path still names the FIFO that is open.
pub(crate) fn is_same_file(end: &OwnedFd, path: &Path) -> bool {
    fstat(end).is_ok_and(|have| {
        stat(path).is_ok_and(|there| (there.st_dev, there.st_ino) == (have.st_dev, have.st_ino))
    })
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("path", &self.path)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
