use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::frame::FrameWriter;

/// Hands out bytes in pieces of the given lengths, `WouldBlock` between them, and then ends.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: Vec<usize>,
    next: usize,
    blocked: bool,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], lengths: &[usize]) -> Self {
        Self {
            bytes,
            lengths: lengths.to_vec(),
            next: 0,
            blocked: false,
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.lengths.is_empty() {
            return self.bytes.read(into);
        }
        if !self.blocked {
            self.blocked = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.blocked = false;
        let length = self.lengths[self.next % self.lengths.len()].min(into.len());
        self.next += 1;
        self.bytes.read(&mut into[..length])
    }
}

fn drain(reader: &mut FrameReader, mut source: impl Read) -> Vec<(u64, Vec<u8>)> {
    let mut seen = Vec::new();
    loop {
        match reader.next_frame(&mut source).unwrap() {
            Step::Frame(frame) => seen.push((frame.sequence, frame.payload.to_vec())),
            Step::Pending => {}
            Step::End => return seen,
        }
    }
}

fn stream(payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut writer = FrameWriter::new(42);
    payloads
        .iter()
        .map(|payload| {
            let mut out = Vec::new();
            writer.frame(payload, &mut out).unwrap();
            out
        })
        .collect()
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // bytes of the magic are over-represented, so that it stands inside payloads too
    let byte = prop_oneof![4 => any::<u8>(), 1 => prop::sample::select(MAGIC.to_vec())];
    vec(vec(byte, 1..200), 1..8)
}

fn numbered(payloads: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    (0..).zip(payloads.iter().cloned()).collect()
}

proptest! {
    #[test]
    fn frames_come_through_whatever_the_pieces(
        payloads in payloads(),
        lengths in vec(1..300usize, 0..8),
    ) {
        let bytes = stream(&payloads).concat();
        let mut reader = FrameReader::new();
        let seen = drain(&mut reader, Pieces::new(&bytes, &lengths));
        prop_assert_eq!(seen, numbered(&payloads));
        prop_assert_eq!(reader.counts().resyncs, 0);
    }

    #[test]
    fn garbage_between_frames_costs_no_frame(
        payloads in payloads(),
        garbage in vec(vec(any::<u8>(), 1..100), 8),
    ) {
        let mut bytes = Vec::new();
        for (frame, garbage) in stream(&payloads).iter().zip(&garbage) {
            bytes.extend_from_slice(garbage);
            bytes.extend_from_slice(frame);
        }
        let mut reader = FrameReader::new();
        let seen = drain(&mut reader, &bytes[..]);
        prop_assert_eq!(seen, numbered(&payloads));
        prop_assert!(reader.counts().resyncs >= 1);
        let skipped: usize = garbage.iter().take(payloads.len()).map(Vec::len).sum();
        prop_assert_eq!(reader.counts().skipped, u64::try_from(skipped).unwrap());
    }

    #[test]
    fn a_stream_that_begins_anywhere_loses_one_frame_at_most(
        payloads in payloads(),
        cut in any::<prop::sample::Index>(),
    ) {
        let frames = stream(&payloads);
        let bytes = frames.concat();
        let cut = cut.index(bytes.len());
        let mut end = 0;
        let whole = frames.iter().take_while(|frame| {
            let begins = end;
            end += frame.len();
            begins < cut
        }).count();
        let seen = drain(&mut FrameReader::new(), &bytes[cut..]);
        prop_assert_eq!(seen, numbered(&payloads)[whole..].to_vec());
    }

    #[test]
    fn a_flipped_bit_costs_its_frame_alone(
        payloads in payloads(),
        bit in any::<prop::sample::Index>(),
    ) {
        let frames = stream(&payloads);
        let mut bytes = frames.concat();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut end = 0;
        let hit = frames.iter().position(|frame| {
            end += frame.len();
            bit / 8 < end
        }).unwrap();
        let mut want = numbered(&payloads);
        want.remove(hit);
        let mut reader = FrameReader::new();
        prop_assert_eq!(drain(&mut reader, &bytes[..]), want);
    }

    #[test]
    fn no_bytes_panic_or_grow_the_buffer(bytes in vec(any::<u8>(), 0..2000)) {
        let mut reader = FrameReader::new();
        prop_assert!(drain(&mut reader, &bytes[..]).is_empty());
        prop_assert!(reader.buffer.len() <= HEADER_BYTES);
    }
}

#[test]
fn nothing_is_read_past_a_frame() {
    let frames = stream(&[b"first".to_vec(), b"second".to_vec()]);
    let bytes = frames.concat();
    let mut source = &bytes[..];
    let mut reader = FrameReader::new();
    assert!(matches!(
        reader.next_frame(&mut source).unwrap(),
        Step::Frame(_)
    ));
    assert_eq!(source.len(), frames[1].len());
}

#[test]
fn a_frame_whose_writer_died_is_given_up_and_the_next_run_is_found() {
    let torn = stream(&[vec![1; 1000]]).concat();
    let after = stream(&[b"next run".to_vec()]).concat();
    let bytes = [&torn[..500], &after[..]].concat();
    let mut reader = FrameReader::new();
    assert!(drain(&mut reader, &bytes[..]).is_empty());
    assert!(reader.is_partial());
    reader.abandon();
    assert_eq!(drain(&mut reader, &[][..]), [(0, b"next run".to_vec())]);
    assert_eq!(reader.counts().resyncs, 1);
    assert!(matches!(
        reader.next_frame(&mut &[][..]).unwrap(),
        Step::End
    ));
    assert!(!reader.is_partial());
}

#[test]
fn a_frame_of_another_version_is_stepped_over() {
    let mut frame = stream(&[b"future".to_vec()]).concat();
    frame[4] = 9;
    let checksum = crc32c::crc32c(&frame[..32]).to_le_bytes();
    frame[32..36].copy_from_slice(&checksum);
    let bytes = [frame, stream(&[b"now".to_vec()]).concat()].concat();
    let mut reader = FrameReader::new();
    assert_eq!(drain(&mut reader, &bytes[..]), [(0, b"now".to_vec())]);
    assert_eq!(
        (reader.counts().unsupported, reader.counts().resyncs),
        (1, 0)
    );
}
