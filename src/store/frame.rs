//! Frames of the head log: how one is written, and how they are found again in a file that grows or was damaged.

use std::io;

use crate::bytes::{narrow, wide};
use crate::disk::File;
use crate::error::Malformed;

/// The first bytes of every frame.
const MAGIC: [u8; 4] = *b"GHf1";

/// Magic, length, CRC of the payload, CRC of these first three.
const HEADER: usize = 16;

/// A batch of 50,000 samples; a larger length in a file is damage.
pub(crate) const MOST_PAYLOAD: usize = 1 << 20;

/// How much is read at first: what came since the last look is a few frames.
const LEAST_READ_AHEAD: usize = 4 << 10;

/// How much is read at once after that: a few hundred frames.
const READ_AHEAD: usize = 64 << 10;

/// How many places that merely look like a frame are tried in one file before the rest counts as lost.
const MOST_CANDIDATES: u32 = 4096;

/// Whether the file begins with a frame of another version.
pub(crate) fn is_of_other_version(file: &File) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    match file.read_exact_at(&mut start, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let (version, name) = start.split_last().unwrap_or((&0, &[]));
    let is_other = version.is_ascii_digit() && !MAGIC.ends_with(&[*version]);
    Ok(is_other && MAGIC.starts_with(name))
}

/// Begins a frame at the end of `out`; the payload is appended behind it, then [`end`] is called with what this returns.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    start
}

/// Completes the frame that began at `start`.
///
/// # Errors
/// The size of the payload, where it is more than [`MOST_PAYLOAD`]; the frame is taken back.
pub(crate) fn end(out: &mut Vec<u8>, start: usize) -> Result<(), usize> {
    let payload = out.get(start + HEADER..).unwrap_or_default();
    let size = payload.len();
    let crc = crc32fast::hash(payload);
    let Some(length) = u32::try_from(size).ok().filter(|_| size <= MOST_PAYLOAD) else {
        out.truncate(start);
        return Err(size);
    };
    let mut header = [0; HEADER];
    let (fields, own) = header.split_at_mut(HEADER - 4);
    for (slot, bytes) in
        fields
            .chunks_exact_mut(4)
            .zip([MAGIC, length.to_le_bytes(), crc.to_le_bytes()])
    {
        slot.copy_from_slice(&bytes);
    }
    own.copy_from_slice(&crc32fast::hash(fields).to_le_bytes());
    if let Some(slot) = out.get_mut(start..start + HEADER) {
        slot.copy_from_slice(&header);
    }
    Ok(())
}

/// Walks over the frames of a file from an offset on.
///
/// A frame whose payload is damaged is skipped and counted, and so is anything up to the next frame where a header is
/// damaged; but only once a good frame behind shows that this is not just the torn or growing end of the file.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    file: &'a File,
    buffer: Vec<u8>,
    /// Where in the buffer the unread begins, and where that lies in the file.
    position: usize,
    offset: u64,
    /// Not beyond this.
    limit: u64,
    good: u64,
    lost: u64,
    suspect: u64,
    in_damage: bool,
    read_again: Option<u64>,
    candidates: u32,
    read_ahead: usize,
}

/// What stands at the read position.
enum Found {
    Frame(usize),
    BadPayload(usize),
    BadHeader,
    End,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(file: &'a File, from: u64, limit: u64) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            position: 0,
            offset: from,
            limit,
            good: from,
            lost: 0,
            suspect: 0,
            in_damage: false,
            read_again: None,
            candidates: 0,
            read_ahead: LEAST_READ_AHEAD,
        }
    }

    /// The offset behind the last good frame.
    pub(crate) const fn good(&self) -> u64 {
        self.good
    }

    /// Blocks that were damaged, with good frames behind them.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// The payload of the next good frame, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match self.look()? {
                Found::End => return Ok(None),
                Found::Frame(length) => {
                    self.lost += self.suspect;
                    self.suspect = 0;
                    self.in_damage = false;
                    let start = self.position + HEADER;
                    self.skip(HEADER + length);
                    self.good = self.offset;
                    return Ok(self.buffer.get(start..start + length));
                }
                // A writer may have been in the middle of this frame when it was read, and done by now.
                _ if self.read_again != Some(self.offset) => {
                    self.read_again = Some(self.offset);
                    self.buffer.truncate(self.position);
                }
                Found::BadPayload(length) => {
                    self.suspect += 1;
                    self.in_damage = false;
                    self.skip(HEADER + length);
                }
                Found::BadHeader => {
                    self.suspect += u64::from(!self.in_damage);
                    self.in_damage = true;
                    self.candidates += 1;
                    if self.candidates > MOST_CANDIDATES || !self.seek()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn look(&mut self) -> io::Result<Found> {
        if self.fill(HEADER)? < HEADER {
            return Ok(Found::End);
        }
        let Ok((length, crc)) = self.header() else {
            return Ok(Found::BadHeader);
        };
        if self.fill(HEADER + length)? < HEADER + length {
            return Ok(Found::End);
        }
        let start = self.position + HEADER;
        let payload = self.buffer.get(start..start + length).unwrap_or_default();
        Ok(if crc32fast::hash(payload) == crc {
            Found::Frame(length)
        } else {
            Found::BadPayload(length)
        })
    }

    fn header(&self) -> Result<(usize, u32), Malformed> {
        let unread = self.buffer.get(self.position..).unwrap_or_default();
        let mut cursor = crate::bytes::Cursor::new(unread);
        let fields = cursor.take(HEADER - 4)?;
        let own = cursor.u32()?;
        let mut cursor = crate::bytes::Cursor::new(fields);
        let magic = cursor.take(4)?;
        let length = narrow(u64::from(cursor.u32()?));
        if magic != MAGIC || own != crc32fast::hash(fields) || length > MOST_PAYLOAD {
            return Err(Malformed("not a frame"));
        }
        Ok((length, cursor.u32()?))
    }

    /// Goes to the next place behind the current one where a frame may begin.
    fn seek(&mut self) -> io::Result<bool> {
        self.skip(1);
        loop {
            let available = self.fill(READ_AHEAD)?;
            if available < HEADER {
                return Ok(false);
            }
            let unread = self.buffer.get(self.position..).unwrap_or_default();
            if let Some(at) = unread.windows(MAGIC.len()).position(|four| four == MAGIC) {
                self.skip(at);
                return Ok(true);
            }
            self.skip(available + 1 - MAGIC.len());
        }
    }

    fn skip(&mut self, length: usize) {
        self.position += length;
        self.offset += wide(length);
    }

    /// Makes `wanted` unread bytes available where the file has them; returns how many there are.
    fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        let mut available = self.buffer.len().saturating_sub(self.position);
        if available >= wanted {
            return Ok(available);
        }
        self.buffer.drain(..self.position.min(self.buffer.len()));
        self.position = 0;
        while available < wanted {
            let at = self.offset + wide(available);
            let more = wanted.max(self.read_ahead) - available;
            let more = more.min(narrow(self.limit.saturating_sub(at)));
            self.buffer.resize(available + more, 0);
            let free = self.buffer.get_mut(available..).unwrap_or_default();
            let read = match self.file.read_at(free, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            self.read_ahead = (2 * self.read_ahead).min(READ_AHEAD);
            available += read;
            self.buffer.truncate(available);
            if read == 0 {
                break;
            }
        }
        Ok(available)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn log(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for payload in payloads {
            let start = begin(&mut out);
            out.extend_from_slice(payload);
            end(&mut out, start).unwrap();
        }
        out
    }

    fn walk(bytes: &[u8]) -> (Vec<Vec<u8>>, u64, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let file = File::from(file);
        let mut frames = Frames::new(&file, 0, u64::MAX);
        let mut found = Vec::new();
        while let Some(payload) = frames.next().unwrap() {
            found.push(payload.to_vec());
        }
        (found, frames.good(), frames.lost())
    }

    #[test]
    fn a_log_torn_anywhere_gives_what_stood_before() {
        let parts: [&[u8]; 4] = [b"one", b"", b"GHf1GHf1GHf1GHf1GHf1", b"four"];
        let whole = log(&parts);
        let ends: Vec<usize> = (0..=4).map(|n| log(&parts[..n]).len()).collect();
        for cut in 0..=whole.len() {
            let (found, good, lost) = walk(&whole[..cut]);
            let complete = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(found, parts[..complete], "cut at {cut}");
            assert_eq!((narrow(good), lost), (ends[complete], 0), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_byte_costs_one_frame_and_is_counted() {
        let parts: [&[u8]; 3] = [b"one", b"two GHf1 and more of it", b"three"];
        let whole = log(&parts);
        let second = log(&parts[..1]).len()..log(&parts[..2]).len();
        for at in second {
            let mut bad = whole.clone();
            bad[at] ^= 0x41;
            let (found, good, lost) = walk(&bad);
            assert_eq!(found, [b"one".to_vec(), b"three".to_vec()], "flipped {at}");
            assert_eq!((narrow(good), lost), (whole.len(), 1), "flipped {at}");
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_taken_back() {
        let mut out = b"before".to_vec();
        let start = begin(&mut out);
        out.resize(out.len() + MOST_PAYLOAD + 1, 7);
        assert_eq!(end(&mut out, start), Err(MOST_PAYLOAD + 1));
        assert_eq!(out, b"before");
    }
}
