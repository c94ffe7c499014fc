//! Frames that are written together.

use glasshouse_wire::{FrameWriter, WireError};

use crate::queue::{Next, Queue};

/// As much as a pipe takes at once (pipe(7)); more would wait in the parcel anyway.
const FULL: usize = 64 * 1024;

/// Frames that are written together: one write, where the pipe has room.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Parcel {
    /// Fills an empty parcel with what waits. Gives the messages that fit no frame, and whether more can come.
    pub(crate) fn fill(&mut self, queue: &Queue, writer: &mut FrameWriter) -> Filled {
        self.bytes.clear();
        self.bytes.shrink_to(FULL);
        self.ends.clear();
        let mut filled = Filled::default();
        while self.bytes.len() < FULL {
            match queue.next() {
                Next::Payload(payload) => {
                    if let Err(error) = self.add(writer, &payload) {
                        filled.lost.push(error);
                    }
                }
                Next::Idle => break,
                Next::Closed => {
                    filled.is_last = true;
                    break;
                }
            }
        }
        filled
    }

    /// Adds the frame of a payload.
    pub(crate) fn add(
        &mut self,
        writer: &mut FrameWriter,
        payload: &[u8],
    ) -> Result<(), WireError> {
        writer.append(payload, &mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// All frames, one behind the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the frame begins that holds the byte at `place`.
    pub(crate) fn frame_at(&self, place: usize) -> usize {
        let before = self.ends.iter().rev().find(|end| **end <= place);
        before.copied().unwrap_or(0)
    }
}

/// What came of filling a parcel.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// Why messages fit no frame; they are lost.
    pub(crate) lost: Vec<WireError>,
    /// Nothing will come after it.
    pub(crate) is_last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Outgoing;

    fn push(queue: &Queue, payload: Vec<u8>) {
        queue.push(Outgoing {
            batch: Some(payload),
            ..Outgoing::default()
        });
    }

    #[test]
    fn all_that_waits_goes_together_as_long_as_a_pipe_takes_it() {
        let queue = Queue::new(100);
        for tag in 1..=17 {
            push(&queue, vec![tag; 100]);
        }
        let mut writer = FrameWriter::new(1);
        let mut parcel = Parcel::default();
        assert!(!parcel.fill(&queue, &mut writer).is_last);
        assert_eq!(parcel.ends.len(), 17);
        assert_eq!(
            parcel.bytes().len(),
            17 * (100 + glasshouse_wire::HEADER_BYTES)
        );
        push(&queue, vec![1; FULL]);
        push(&queue, vec![2; 10]);
        parcel.fill(&queue, &mut writer);
        assert_eq!(
            parcel.ends.len(),
            1,
            "the second waits where the oldest can go"
        );
        queue.close();
        assert!(parcel.fill(&queue, &mut writer).is_last);
        assert_eq!(parcel.ends.len(), 1);
    }

    #[test]
    fn a_message_that_fits_no_frame_costs_itself_only() {
        let queue = Queue::new(100);
        push(&queue, vec![0; glasshouse_wire::MOST_PAYLOAD + 1]);
        push(&queue, vec![1; 10]);
        let mut parcel = Parcel::default();
        let filled = parcel.fill(&queue, &mut FrameWriter::new(1));
        assert_eq!((filled.lost.len(), parcel.ends.len()), (1, 1));
    }

    #[test]
    fn a_place_belongs_to_the_frame_that_is_under_way() {
        let parcel = Parcel {
            bytes: vec![0; 30],
            ends: vec![10, 20, 30],
        };
        for (place, begins) in [(0, 0), (9, 0), (10, 10), (19, 10), (29, 20), (30, 30)] {
            assert_eq!(parcel.frame_at(place), begins, "{place}");
        }
    }
}
