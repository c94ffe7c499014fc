//! Floor 1: the append-only log of decisions.
//!
//! # The log
//!
//! `STATE/audit/` belongs to the face, which appends; the node and people may read. It holds segments
//! `audit-NNNNNNNNNNNNNNNNNNNN.jsonl`, named by the number of their first record, and begun anew past 64 MiB. Each line is
//! one record, JSON, readable as it is:
//!
//! ```text
//! {"seq":7,"at":"2026-01-01T00:00:00Z","decision":{…},"link":"0123456789abcdef0123456789abcdef"}
//! ```
//!
//! `seq` counts from 0 without a gap over all segments. `at` is the time, to the nanosecond. One of `decision`, `outcome`,
//! `refusals` (a summary of what was refused before authentication), `opened` (a start, with what was cut then) or `full`
//! follows. `link` is the first half of SHA-256 over the link of the line before (nothing before the first) and all of
//! this line up to `,"link"`, so that damage is found where it is. A line counts once its newline is written.
//!
//! Beside the segments stand `lock` (one writer) and `reserve` (blocks kept back for the record that says that the disk
//! is full). What a recovery cuts is kept in `cut-NNNNNNNNNNNNNNNNNNNN`.
//!
//! # The checkpoints
//!
//! `STATE/checkpoints/` belongs to the node, which the face cannot write to. The lines, without their newlines, are the
//! leaves of a Merkle tree (RFC 6962, SHA-256). [`Checkpointer`] signs its size and root with a key of the node, into
//! `checkpoints-NNNNNNNNNNNNNNNNNNNN.jsonl`; each checkpoint names the digest of the one before. [`verify`] reads both.
//! What the log loses or changes below a checkpoint cannot be hidden by the face; the newest seconds are not yet covered.
//!
//! Nothing here deletes anything: whoever archives the log moves both folders away together, while nothing runs.

mod checkpoint;
mod checkpointer;
mod error;
mod key;
mod log;
mod record;
mod recover;
mod refusals;
mod segments;
mod sync;
mod text;
mod tree;
mod usage;
mod verify;
mod writer;

pub use checkpointer::{Checkpointed, Checkpointer};
pub use error::AuditError;
pub use log::{AuditLog, AuditSettings};
pub use verify::{BadRecord, VerifyReport, verify};

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
