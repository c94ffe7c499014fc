//! The header of a frame, written and read.

use crate::error::WireError;

/// How a frame begins.
pub(crate) const MAGIC: [u8; 4] = [0xf5, b'G', b'H', 0xfa];

/// The version of the header.
pub const VERSION: u16 = 1;

/// The length of the header.
pub const HEADER_BYTES: usize = 36;

/// The longest payload: 8192 samples (the most that a collector may have) of 21 bytes each, with room to grow. It
/// also bounds what a reader allocates.
pub const MOST_PAYLOAD: usize = 256 * 1024;

/// Where the checksum of the header stands, and what it covers: all before it.
const HEADER_CHECKED: usize = 32;

/// Numbers the frames of one run and writes their headers.
#[derive(Debug)]
pub struct FrameWriter {
    run: u64,
    sequence: u64,
}

impl FrameWriter {
    /// For a run of the probe; the first frame has sequence 0.
    #[must_use]
    pub const fn new(run: u64) -> Self {
        Self { run, sequence: 0 }
    }

    /// The run that it writes for.
    #[must_use]
    pub const fn run(&self) -> u64 {
        self.run
    }

    /// Puts the payload's frame into `out`, in place of what was there.
    ///
    /// # Errors
    /// [`WireError::TooLong`] where it does not fit a frame; [`WireError::OutOfBounds`] where it is empty.
    pub fn frame(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let length = length_of(payload)?;
        out.clear();
        self.put(length, payload, out);
        Ok(())
    }

    /// Puts the payload's frame behind what is in `out`, so that several frames go with one write.
    ///
    /// # Errors
    /// As [`Self::frame`]; `out` is then as it was.
    pub fn append(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let length = length_of(payload)?;
        self.put(length, payload, out);
        Ok(())
    }

    fn put(&mut self, length: u32, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        out.extend_from_slice(&self.run.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        let checksum = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// The length of a payload that fits a frame.
fn length_of(payload: &[u8]) -> Result<u32, WireError> {
    if payload.is_empty() {
        return Err(WireError::OutOfBounds { field: "payload" });
    }
    u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MOST_PAYLOAD)
        .ok_or(WireError::TooLong {
            bytes: payload.len(),
            most: MOST_PAYLOAD,
        })
}

/// A header whose checksum fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u16,
    pub(crate) length: usize,
    pub(crate) checksum: u32,
    pub(crate) run: u64,
    pub(crate) sequence: u64,
}

impl Header {
    /// Reads a header; `None` where magic or checksum do not fit, or the length is out of bounds.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (checked, checksum) = bytes.split_at(HEADER_CHECKED);
        if !checked.starts_with(&MAGIC) || checksum != crc32c::crc32c(checked).to_le_bytes() {
            return None;
        }
        let length = usize::try_from(u32::from_le_bytes(array(bytes, 8)?)).ok()?;
        if length == 0 || length > MOST_PAYLOAD {
            return None;
        }
        Some(Self {
            version: u16::from_le_bytes(array(bytes, 4)?),
            length,
            checksum: u32::from_le_bytes(array(bytes, 12)?),
            run: u64::from_le_bytes(array(bytes, 16)?),
            sequence: u64::from_le_bytes(array(bytes, 24)?),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        FrameWriter::new(7).frame(payload, &mut out).unwrap();
        out
    }

    #[test]
    fn the_header_stands_where_the_format_says() {
        let frame = framed(b"abc");
        assert_eq!(frame.len(), HEADER_BYTES + 3);
        assert_eq!(
            frame[..12],
            [0xf5, b'G', b'H', 0xfa, 1, 0, 0, 0, 3, 0, 0, 0]
        );
        assert_eq!(
            frame[16..32],
            [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        // the check value of CRC-32C
        assert_eq!(framed(b"123456789")[12..16], 0xe306_9283_u32.to_le_bytes());
    }

    #[test]
    fn no_flipped_bit_of_a_header_is_believed() {
        let frame = framed(b"abc");
        for bit in 0..HEADER_BYTES * 8 {
            let mut header: [u8; HEADER_BYTES] = *frame.first_chunk().unwrap();
            header[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&header), None, "bit {bit}");
        }
    }

    #[test]
    fn frames_that_are_appended_are_the_same_frames() {
        let (mut one, mut all) = (FrameWriter::new(7), FrameWriter::new(7));
        let (mut frame, mut apart, mut together) = (Vec::new(), Vec::new(), Vec::new());
        for payload in [&b"abc"[..], b"de", b"f"] {
            one.frame(payload, &mut frame).unwrap();
            apart.extend_from_slice(&frame);
            all.append(payload, &mut together).unwrap();
        }
        assert_eq!(together, apart);
        assert!(all.append(&[], &mut together).is_err());
        assert_eq!(together, apart, "what is refused leaves no trace");
    }

    #[test]
    fn what_does_not_fit_a_frame_is_refused_and_takes_no_number() {
        let mut writer = FrameWriter::new(1);
        let mut out = Vec::new();
        assert!(writer.frame(&[], &mut out).is_err());
        assert!(writer.frame(&vec![0; MOST_PAYLOAD + 1], &mut out).is_err());
        writer.frame(&vec![0; MOST_PAYLOAD], &mut out).unwrap();
        assert_eq!(out[24..32], 0u64.to_le_bytes());
    }
}
