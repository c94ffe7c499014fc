//! Floor 1: the messages from probe to node and their frames.
//!
//! The link is one-way: the probe writes, the node reads, nobody answers. So every frame says by itself where it
//! begins, how long it is, whether it is whole, and whose it is.
//!
//! # A frame
//!
//! All numbers are little endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | magic `f5 47 48 fa`; its first and last byte occur in no UTF-8, so no text from a machine can forge it |
//! | 4..6 | version, [`VERSION`] |
//! | 6..8 | reserved, zero |
//! | 8..12 | length of the payload, 1 to [`MOST_PAYLOAD`] |
//! | 12..16 | CRC32C of the payload |
//! | 16..24 | run id of the probe, new at each start of it |
//! | 24..32 | sequence, one more with each frame of a run |
//! | 32..36 | CRC32C of bytes 0..32 |
//! | 36.. | payload: one protobuf message, see [`Message`] |
//!
//! The header has a checksum of its own, so that a reader never believes a damaged length and waits for a payload that
//! will not come. What is no frame is skipped up to the next magic and counted: a reader that was killed in the middle
//! of a frame costs its successor that frame and nothing after it.
//!
//! # Growth
//!
//! Fields are added with new numbers and unknown ones are ignored. A message of an unknown kind is an error of that
//! message alone. [`VERSION`] changes only with the header.

mod batch;
mod bounds;
mod error;
mod frame;
mod message;
mod notice;
mod proto;
mod reader;
mod scan;

pub use batch::{BatchDecoder, BatchEncoder, BatchView};
pub use error::WireError;
pub use frame::{FrameWriter, HEADER_BYTES, MOST_PAYLOAD, VERSION};
pub use message::{
    Batch, Heartbeat, MOST_COLLECTORS, MOST_DEFINITIONS, MOST_FACTS, MOST_SAMPLES, Message,
    SampleRow, SeriesDefinition,
};
pub use notice::{MOST_CONDITIONS, MOST_LOG_ENTRIES};
pub use reader::{Frame, FrameReader, ReaderCounts, Step};
