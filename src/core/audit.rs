//! The record of a decision, and where it goes.

use std::fmt;

use crate::time::Timestamp;

/// One decision about one call of an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// The id that the caller is told, e.g. `d-000000000000002a`.
    pub decision: String,
    /// When it was made.
    pub at: Timestamp,
    /// `sub` of the token.
    pub subject: String,
    /// `client_id` of the token.
    pub client: String,
    /// `iss` of the token.
    pub issuer: String,
    /// `jti` of the token.
    pub token_id: String,
    /// The task of the token, empty where it has none.
    pub task: String,
    /// What was asked: an MCP method or a tool.
    pub action: String,
    /// About which node.
    pub node: String,
    /// The arguments as canonical JSON, cut to a bounded length.
    pub arguments: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Why not, one word; empty where allowed.
    pub reason: String,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// Rows that the call was allowed at most.
    pub rows: u64,
}

/// What became of an allowed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The decision that allowed it.
    pub decision: String,
    /// When the answer was ready.
    pub at: Timestamp,
    /// `answered`, or the class of the error.
    pub outcome: String,
    /// Rows in the answer.
    pub rows: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Whether the answer was cut short.
    pub truncated: bool,
}

/// Takes records before the answer leaves. A sink that cannot take one makes the call a deny.
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Appends a decision; returns when the record is written (not yet synced).
    ///
    /// # Errors
    /// [`AuditUnavailable`] where it could not be written; the caller must refuse.
    fn decided(&self, record: &DecisionRecord) -> Result<(), AuditUnavailable>;

    /// Appends an outcome.
    ///
    /// # Errors
    /// [`AuditUnavailable`] where it could not be written; the answer must be withheld.
    fn ended(&self, record: &OutcomeRecord) -> Result<(), AuditUnavailable>;

    /// Counts a refusal before authentication: strangers must not be able to fill the disk, so these are sampled.
    fn refused(&self, at: Timestamp, reason: &'static str);
}

/// The audit log could not take a record.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot take a record: {detail}")]
pub struct AuditUnavailable {
    /// What went wrong.
    pub detail: String,
}
