//! One line of the checkpoints, and reading them all.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::AuditError;
use crate::key::{Key, verify};
use crate::segments::{CHECKPOINTS, Lines, Next, Segment, list};
use crate::text::{hex, sha256};

/// How a signature stands at the end of a line: `,"signature":"` 128 digits `"}`.
const SIGNATURE_PREFIX: &str = ",\"signature\":\"";
const SIGNATURE_DIGITS: usize = 128;
const SIGNATURE_SUFFIX: &str = "\"}";

/// What the node vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Counts from 0 without a gap.
    pub(crate) number: u64,
    pub(crate) at: String,
    /// So many records have this root.
    pub(crate) tree_size: u64,
    pub(crate) root: String,
    /// What the node found wrong; then size and root are those of the last checkpoint that was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finding: Option<String>,
    /// Digest of the line before, or of nothing.
    pub(crate) before: String,
    /// Who signed.
    pub(crate) key: String,
}

impl Checkpoint {
    /// The signed line with its newline, and its digest for the next.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub(crate) fn sign(&self, key: &Key) -> Result<(Vec<u8>, String), String> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        bytes.pop();
        let signature = key.sign(&bytes);
        bytes.extend_from_slice(SIGNATURE_PREFIX.as_bytes());
        bytes.extend_from_slice(signature.as_bytes());
        bytes.extend_from_slice(SIGNATURE_SUFFIX.as_bytes());
        let digest = digest(&bytes);
        bytes.push(b'\n');
        Ok((bytes, digest))
    }

    /// Checks a line without its newline.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(bytes: &[u8], number: u64, before: &str) -> Result<Self, String> {
        let tail = SIGNATURE_PREFIX.len() + SIGNATURE_DIGITS + SIGNATURE_SUFFIX.len();
        let (body, end) = bytes
            .len()
            .checked_sub(tail)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or("it is too short for a checkpoint")?;
        let signature = end
            .strip_prefix(SIGNATURE_PREFIX.as_bytes())
            .and_then(|end| end.strip_suffix(SIGNATURE_SUFFIX.as_bytes()))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .ok_or("it ends with no signature")?;
        let checkpoint: Self = serde_json::from_slice(&[body, b"}"].concat())
            .map_err(|error| format!("it is no checkpoint: {error}"))?;
        if !verify(&checkpoint.key, body, signature) {
            return Err("its signature does not fit".to_owned());
        }
        if checkpoint.number != number || checkpoint.before != before {
            return Err("it does not follow the checkpoint before".to_owned());
        }
        Ok(checkpoint)
    }
}

/// What `before` says of a line.
pub(crate) fn digest(line: &[u8]) -> String {
    hex(&sha256(&[line]))
}

/// What the first checkpoint says of the one before it.
pub(crate) fn digest_of_nothing() -> String {
    digest(&[])
}

/// Reads all checkpoints in their order, one at a time.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    segments: VecDeque<Segment>,
    open: Option<(PathBuf, Lines)>,
    /// The number of the next, and the digest of the last.
    pub(crate) number: u64,
    pub(crate) before: String,
    /// The line in the open file.
    line: u64,
    /// The newest file and how much of it is whole: where the next checkpoint is appended.
    pub(crate) end: Option<(PathBuf, u64)>,
}

/// What stands next among the checkpoints.
#[derive(Debug)]
pub(crate) enum NextCheckpoint {
    /// A good one.
    Good(Checkpoint),
    /// There is no more. A torn line, which a crash of the node leaves, is none.
    End,
    /// One that is wrong: file, line, and what it is.
    Bad(PathBuf, u64, String),
}

impl Checkpoints {
    /// All of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, AuditError> {
        Ok(Self {
            segments: list(folder, CHECKPOINTS)?.into(),
            open: None,
            number: 0,
            before: digest_of_nothing(),
            line: 0,
            end: None,
        })
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Result<NextCheckpoint, AuditError> {
        loop {
            let Some((path, lines)) = &mut self.open else {
                let Some(segment) = self.segments.pop_front() else {
                    return Ok(NextCheckpoint::End);
                };
                let lines = Lines::open(&segment.path, 0)?;
                self.line = 0;
                if segment.first != self.number {
                    let wrong = format!("checkpoint {} is missing", self.number);
                    return Ok(NextCheckpoint::Bad(segment.path, 1, wrong));
                }
                self.end = Some((segment.path.clone(), 0));
                self.open = Some((segment.path, lines));
                continue;
            };
            self.line = self.line.saturating_add(1);
            let decoded = match lines.next()? {
                Next::End(0) => {
                    self.open = None;
                    continue;
                }
                Next::End(_) if self.segments.is_empty() => return Ok(NextCheckpoint::End),
                Next::End(_) => Err("it is torn".to_owned()),
                Next::TooLong => Err("it is longer than any checkpoint".to_owned()),
                Next::Line(bytes) => Checkpoint::decode(&bytes, self.number, &self.before)
                    .map(|checkpoint| (checkpoint, digest(&bytes))),
            };
            return Ok(match decoded {
                Ok((checkpoint, digest)) => {
                    self.number = self.number.saturating_add(1);
                    self.before = digest;
                    self.end = Some((path.clone(), lines.offset()));
                    NextCheckpoint::Good(checkpoint)
                }
                Err(wrong) => NextCheckpoint::Bad(path.clone(), self.line, wrong),
            });
        }
    }
}
