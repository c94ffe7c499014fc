//! Floor 1: the embedded time series store. One process writes, any number read the files meanwhile; nobody waits.
//!
//! # Files
//!
//! ```text
//! store/head-000000000042.log                       what comes in now
//! store/raw-000000000030-000000000041.seg           samples that came in through heads 30 to 41
//! store/1m-000000000030-000000000041.seg            their rollups of a minute
//! store/1h-000000000018-000000000041.seg            rollups of an hour, of heads 18 to 41
//! store/lock                                        held by the writer
//! store/*.tmp                                       being written, or left by a crash
//! store/*.damaged                                   made no sense and was set aside
//! ```
//!
//! Heads are numbered; a segment is named by the heads it was made from. That is all there is to consistency: a
//! segment beats the heads in its range and the segments of its tier inside its range. A new file is complete and
//! synced before it gets its name, and what it beats is unlinked after that, so at every instant every sample is in
//! exactly one file of a tier that counts. Ranges, not times, say what belongs together, because clocks step and
//! samples come late: no file has to be looked into to know whether another one repeats it.
//!
//! # Head
//!
//! Frames, one after the other: magic `GHf1`, length of the payload (`u32`), CRC-32 of the payload (`u32`), CRC-32 of
//! these twelve bytes (`u32`), payload. All numbers are little-endian. A payload begins with its kind:
//!
//! * 1, the head begins: varint version (1), varint number of the head;
//! * 2, a definition: varint run of the probe, varint its number there, varint its reference in this head, then text
//!   metric, text unit, byte kind, byte audience, text help, text collector, varint interval in ns, varint states (each
//!   a text), varint labels (each two texts);
//! * 3, a batch: text collector, `i64` wall time (whole milliseconds) and `u64` boot time in ns, then to the end of the
//!   payload for each sample: zigzag reference (difference to the one before), byte tag, value. The tag's low two bits
//!   say what the value is (0 none, 1 varint whole number, 2 `f64`, 3 varint state), the others are the code of the
//!   quality;
//! * 4, many definitions: what stands behind the kind of each, one after the other, packed with zstd.
//!
//! A text is a varint length and UTF-8. Every head begins with the definitions of the last two runs, so it can be read
//! by itself, and a restarted node finds out what the probe's numbers mean. A batch is one `write`. A head is synced
//! every [`StoreSettings::sync`]; after [`StoreSettings::rotate`] the next one begins and it is sealed.
//!
//! Where a frame is damaged, the next good one counts again; where no good one follows, the end was torn, or is being
//! written at this moment: a reader waits for more, the writer cuts it off when it opens the store.
//!
//! # Segment
//!
//! `GHseg\0\0\x01`; for each collector its times and then its series, each block once and followed by its CRC-32; the index,
//! packed with zstd; the footer of 88 bytes: `GHend\0\0\x01`, `u32` tier (0 raw, 1 minute, 2 hour), `u32` rows of the
//! longest collector, `u64` first and last head, `i64` wall time of the first batch, `i64` oldest and newest sample,
//! `u64` values, `u32` series, `u32` length of the index, `u32` its CRC-32, `u64` its offset, `u32` CRC-32 of the
//! footer. The blocks and the index are explained where they are written: `times.rs`, `column.rs`,
//! `rollup_block.rs`, `pack.rs` and `index.rs`. Rows stand in the order in which batches came, not sorted by time:
//! where the clock was set back only that order says how a counter grew.
//!
//! Segments of one [`StoreSettings::merge`] become one and get their rollups; rollups of one [`StoreSettings::shard`]
//! become one. [`Retention`] unlinks.
//!
//! # Damage
//!
//! Whatever is read has a checksum and every count in it a bound. What is damaged costs its block, or its file where the
//! footer or the index is. A reader answers from the rest and says so; the writer gives up what is damaged and says so,
//! in [`Recovery`] and in [`Maintenance`]. A file of another version is no damage: the writer does not start beside it
//! ([`StoreError::OtherVersion`]).
//!
//! What the disk does not give back when it is asked three times is like what is damaged. What it refuses to take is an error
//! that names the file; whatever was acknowledged before is there, nothing is there twice, and the next try may succeed.
//!
//! # Beside the samples
//!
//! The state folder has more that the node writes and others read: [`inventory`], what the node is; [`findings`], what is
//! wrong and was; [`logs`], what kernel and management controllers wrote down. [`export`] is the folder that samples are
//! written to for others.

mod accumulate;
mod blocks;
mod bytes;
mod catalog;
mod checksum;
mod column;
mod days;
mod definitions;
mod disk;
mod error;
mod event;
pub mod export;
mod failing;
mod files;
pub mod findings;
mod folder;
mod frame;
mod head;
mod head_view;
mod index;
pub mod inventory;
pub mod logs;
mod merge;
mod pack;
mod plan;
mod present;
mod quantile;
mod range;
mod reader;
mod record;
mod recovery;
mod registry;
mod retain;
mod rollup;
mod rollup_block;
mod rollup_guess;
mod room;
mod scan;
mod seal;
mod segment;
mod settings;
mod stat;
mod store;
mod tail;
mod times;
mod upkeep;
mod view;

pub use days::Keep;
#[cfg(feature = "faults")]
pub use disk::faults;
pub use error::{SeriesLimit, StoreError};
pub use reader::StoreReader;
pub use recovery::Recovery;
pub use scan::{Samples, Scan};
pub use settings::{Retention, SeriesLimits, StoreSettings};
pub use stat::{StoreStat, TierStat, stat};
pub use store::{Batch, Maintenance, SeriesRef, Store, Usage};
pub use tail::{Backlog, CursorError, Tail, TailChunk, TailCursor, Vanished};
