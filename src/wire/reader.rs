//! Finds frames in a stream of bytes.

use std::io::{self, ErrorKind, Read};

use crate::error::WireError;
use crate::frame::{HEADER_BYTES, Header, MAGIC, VERSION};
use crate::message::Message;

/// One whole frame.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The run of the probe that wrote it.
    pub run: u64,
    /// Its number in that run.
    pub sequence: u64,
    /// Its payload; the checksum fits.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The message in it.
    ///
    /// # Errors
    /// [`WireError`] where the payload is none that this version understands, or out of bounds.
    pub fn message(&self) -> Result<Message, WireError> {
        Message::decode(self.payload)
    }
}

/// What a call of [`FrameReader::next_frame`] found.
#[derive(Debug)]
pub enum Step<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// The source has no more bytes now (it does not block).
    Pending,
    /// The source has ended.
    End,
}

/// What a reader has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Whole frames.
    pub frames: u64,
    /// Times that it had to search for the next frame.
    pub resyncs: u64,
    /// Bytes that it skipped while searching.
    pub skipped: u64,
    /// Whole frames of a version that it does not know, skipped.
    pub unsupported: u64,
}

/// Reads frames from a stream that may begin in the middle of one.
///
/// It reads the header, then the payload, and never a byte past the frame: what it has not read stays in the pipe for
/// its successor, should it be killed. It holds at most one frame of the longest length.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that were handed out and can go.
    taken: usize,
    searching: bool,
    counts: ReaderCounts,
}

impl FrameReader {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was seen so far.
    #[must_use]
    pub const fn counts(&self) -> ReaderCounts {
        self.counts
    }

    /// Whether a frame has begun that is not whole yet.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.buffer.len() > self.taken
    }

    /// Gives up waiting for the rest of a frame and looks for another in what was read. For when a writer died in the
    /// middle of a frame: otherwise the next one's frames would be taken for the missing part.
    pub fn abandon(&mut self) {
        if self.is_partial() {
            self.skip(self.taken.saturating_add(1));
        }
    }

    /// Reads on until there is a frame or nothing more to read.
    ///
    /// # Errors
    /// What the source says, `WouldBlock` and `Interrupted` aside. The reader can be asked again.
    pub fn next_frame(&mut self, source: &mut impl Read) -> io::Result<Step<'_>> {
        loop {
            self.buffer.drain(..self.taken.min(self.buffer.len()));
            self.taken = 0;
            match examine(&self.buffer) {
                Examined::Need(bytes) => match self.fill(bytes, source) {
                    Ok(0) => return Ok(Step::End),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return Ok(Step::Pending);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                },
                Examined::Skip(bytes) => self.skip(bytes),
                Examined::Unsupported(end) => {
                    self.taken = end;
                    self.counts.unsupported = self.counts.unsupported.saturating_add(1);
                }
                Examined::Frame(header) => return Ok(self.hand_out(header)),
            }
        }
    }

    fn hand_out(&mut self, header: Header) -> Step<'_> {
        self.taken = HEADER_BYTES.saturating_add(header.length);
        self.searching = false;
        self.counts.frames = self.counts.frames.saturating_add(1);
        Step::Frame(Frame {
            run: header.run,
            sequence: header.sequence,
            payload: self
                .buffer
                .get(HEADER_BYTES..self.taken)
                .unwrap_or_default(),
        })
    }

    /// Reads so that the buffer holds at most `bytes`.
    fn fill(&mut self, bytes: usize, source: &mut impl Read) -> io::Result<usize> {
        let have = self.buffer.len();
        self.buffer.resize(bytes, 0);
        let read = source.read(self.buffer.get_mut(have..).unwrap_or_default());
        let got = read.as_ref().map_or(0, |got| *got);
        self.buffer.truncate(have.saturating_add(got));
        read
    }

    fn skip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffer.len());
        let skipped = bytes.saturating_sub(self.taken);
        self.buffer.drain(..bytes);
        self.taken = 0;
        self.counts.skipped = self
            .counts
            .skipped
            .saturating_add(u64::try_from(skipped).unwrap_or(u64::MAX));
        if !self.searching {
            self.searching = true;
            self.counts.resyncs = self.counts.resyncs.saturating_add(1);
        }
    }
}

/// What the start of the buffer is.
enum Examined {
    /// Good so far; the buffer must hold this many bytes to say more.
    Need(usize),
    /// No frame begins in this many bytes.
    Skip(usize),
    /// A whole frame of another version ends here.
    Unsupported(usize),
    /// A whole frame.
    Frame(Header),
}

fn examine(buffer: &[u8]) -> Examined {
    let begins = (0..buffer.len())
        .find(|at| may_begin(buffer.get(*at..).unwrap_or_default()))
        .unwrap_or(buffer.len());
    if begins > 0 {
        return Examined::Skip(begins);
    }
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else {
        return Examined::Need(HEADER_BYTES);
    };
    let Some(header) = Header::parse(header) else {
        return Examined::Skip(1);
    };
    let end = HEADER_BYTES.saturating_add(header.length);
    let Some(payload) = buffer.get(HEADER_BYTES..end) else {
        return Examined::Need(end);
    };
    if crc32c::crc32c(payload) != header.checksum {
        return Examined::Skip(1);
    }
    if header.version != VERSION {
        return Examined::Unsupported(end);
    }
    Examined::Frame(header)
}

/// Whether a frame may begin here: the magic, or the start of it where the bytes end.
fn may_begin(bytes: &[u8]) -> bool {
    bytes.iter().zip(MAGIC).all(|(have, want)| *have == want)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
