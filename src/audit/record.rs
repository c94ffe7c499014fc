//! One line of the log.

use std::collections::BTreeMap;

use glasshouse_core::audit::{DecisionRecord, OutcomeRecord};
use glasshouse_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::{cut, hex, parse_time, sha256, time, unhex};

/// The longest line that is written or read. Every part of a record is cut far below it.
pub(crate) const MOST_LINE_BYTES: usize = 64 * 1024;

/// The most bytes of a name in a record. Names of people, clients, issuers, tokens and tasks are never cut, because they
/// say whose budget a call counts against: a record with a longer one is refused, and with it the call.
const MOST_NAME_BYTES: usize = 1024;

/// The most bytes of the arguments; the rest tells nobody more.
const MOST_ARGUMENT_BYTES: usize = 2048;

/// The most policies that are named.
const MOST_POLICIES: usize = 16;

/// How a link stands at the end of a line: `,"link":"` 32 digits `"}`.
const LINK_PREFIX: &str = ",\"link\":\"";
const LINK_DIGITS: usize = 32;
const LINK_SUFFIX: &str = "\"}";

/// What a line continues from: half a SHA-256 over everything before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link([u8; LINK_DIGITS / 2]);

/// A line, taken apart. Exactly one of the optional parts is there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    pub(crate) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<DecisionLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<OutcomeLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusals: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) opened: Option<OpenedLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) full: Option<FullLine>,
}

/// A decision.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DecisionLine {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) client: String,
    pub(crate) issuer: String,
    pub(crate) token: String,
    pub(crate) task: String,
    pub(crate) action: String,
    pub(crate) node: String,
    pub(crate) arguments: String,
    pub(crate) allowed: bool,
    pub(crate) reason: String,
    pub(crate) policies: Vec<String>,
    pub(crate) rows: u64,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutcomeLine {
    pub(crate) id: String,
    pub(crate) outcome: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) truncated: bool,
}

/// The log was opened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenedLine {
    /// Bytes of a torn tail that were cut.
    pub(crate) cut_bytes: u64,
}

/// The log took nothing more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FullLine {
    pub(crate) detail: String,
}

impl Line {
    /// A line for a decision.
    ///
    /// # Errors
    /// What is too long to be recorded whole.
    pub(crate) fn decided(record: &DecisionRecord) -> Result<Self, String> {
        let name = |what: &str, text: &str| {
            if text.len() > MOST_NAME_BYTES {
                return Err(format!("the {what} is longer than {MOST_NAME_BYTES} bytes"));
            }
            Ok(text.to_owned())
        };
        let policies = record.policies.iter().take(MOST_POLICIES);
        Ok(Self {
            at: time(record.at),
            decision: Some(DecisionLine {
                id: name("decision id", &record.decision)?,
                subject: name("subject", &record.subject)?,
                client: name("client", &record.client)?,
                issuer: name("issuer", &record.issuer)?,
                token: name("token id", &record.token_id)?,
                task: name("task", &record.task)?,
                action: cut(&record.action, MOST_NAME_BYTES),
                node: cut(&record.node, MOST_NAME_BYTES),
                arguments: cut(&record.arguments, MOST_ARGUMENT_BYTES),
                allowed: record.allowed,
                reason: cut(&record.reason, MOST_NAME_BYTES),
                policies: policies
                    .map(|policy| cut(policy, MOST_NAME_BYTES / 8))
                    .collect(),
                rows: record.rows,
            }),
            ..Self::default()
        })
    }

    /// A line for an outcome.
    pub(crate) fn ended(record: &OutcomeRecord) -> Self {
        Self {
            at: time(record.at),
            outcome: Some(OutcomeLine {
                id: cut(&record.decision, MOST_NAME_BYTES),
                outcome: cut(&record.outcome, MOST_NAME_BYTES),
                rows: record.rows,
                bytes: record.bytes,
                truncated: record.truncated,
            }),
            ..Self::default()
        }
    }

    /// A line that is about the log itself.
    pub(crate) fn at(at: Timestamp) -> Self {
        Self {
            at: time(at),
            ..Self::default()
        }
    }

    /// The bytes of the line with its newline, and the link for the next.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub(crate) fn encode(&self, before: Link) -> Result<(Vec<u8>, Link), String> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        // the closing brace comes back behind the link
        bytes.pop();
        let link = before.then(&bytes);
        bytes.extend_from_slice(LINK_PREFIX.as_bytes());
        bytes.extend_from_slice(hex(&link.0).as_bytes());
        bytes.extend_from_slice(LINK_SUFFIX.as_bytes());
        if bytes.len() > MOST_LINE_BYTES {
            return Err(format!("the record is longer than {MOST_LINE_BYTES} bytes"));
        }
        bytes.push(b'\n');
        Ok((bytes, link))
    }

    /// Takes a line without its newline apart; `seq` and the link must be those that follow.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(bytes: &[u8], seq: u64, before: Link) -> Result<(Self, Link), String> {
        let link = check_link(bytes, before)?;
        let line: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if line.seq != seq {
            return Err(format!("it has the number {} where {seq} is due", line.seq));
        }
        if parse_time(&line.at).is_none() {
            return Err("its time is no time".to_owned());
        }
        Ok((line, link))
    }
}

/// Whether a line continues the one before; costs a digest, no parse.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_link(bytes: &[u8], before: Link) -> Result<Link, String> {
    let tail = LINK_PREFIX.len() + LINK_DIGITS + LINK_SUFFIX.len();
    let (body, end) = bytes
        .len()
        .checked_sub(tail)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or("it is too short for a record")?;
    let link = before.then(body);
    let expected = format!("{LINK_PREFIX}{}{LINK_SUFFIX}", hex(&link.0));
    if end != expected.as_bytes() {
        return Err("it does not continue the line before: one of both was changed".to_owned());
    }
    Ok(link)
}

impl Link {
    /// The link that a line ends with, unchecked.
    pub(crate) fn at_the_end_of(line: &[u8]) -> Option<Self> {
        let digits = line.strip_suffix(LINK_SUFFIX.as_bytes())?;
        let (rest, digits) = digits.split_at_checked(digits.len().checked_sub(LINK_DIGITS)?)?;
        rest.strip_suffix(LINK_PREFIX.as_bytes())?;
        let bytes = unhex(std::str::from_utf8(digits).ok()?)?;
        Some(Self(bytes.try_into().ok()?))
    }

    fn then(self, body: &[u8]) -> Self {
        let whole = sha256(&[&self.0, body]);
        let mut half = [0; LINK_DIGITS / 2];
        for (byte, from) in half.iter_mut().zip(whole) {
            *byte = from;
        }
        Self(half)
    }
}
