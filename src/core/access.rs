//! Who asks, what may be asked, and what the answer to that was.
//!
//! A request passes an [`Authenticator`] (who is it?), then an [`Authorizer`] (may this call be made?). Both fail closed:
//! an authenticator that cannot reach its issuer refuses, and an authorizer has no error, only [`Decision::Deny`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::identity::NodeId;
use crate::time::{Timestamp, Window};

/// A future that an object-safe trait can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The prefix of the scope that names the task of a token: `task:node-health`.
pub const TASK_SCOPE_PREFIX: &str = "task:";

/// The scopes that tools ask for. Tasks are not among them: they are never advertised, see `docs/policy.md`.
pub const SCOPES: &[&str] = &["telemetry:read", "inventory:read"];

/// The scope that opens `/metrics` off loopback. It is not among [`SCOPES`]: clients ask for all that is advertised, and
/// an agent has no use for a page of everything.
pub const METRICS_SCOPE: &str = "metrics:read";

/// Who asks, as a validated token says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `sub`: the person, or the client itself where it acts for nobody.
    pub subject: String,
    /// `client_id`: the MCP client.
    pub client: String,
    /// `iss`: who says so.
    pub issuer: String,
    /// `jti`, or a digest of the token where it has none: what a grant's use is counted by.
    pub token_id: String,
    /// Scopes, tasks not among them.
    pub scopes: BTreeSet<String>,
    /// The one task of the token, without its prefix. `None`: whatever is asked is refused.
    pub task: Option<String>,
    /// Groups of the person, from config or the issuer's claim.
    pub groups: BTreeSet<String>,
    /// When the token ends.
    pub expires: Timestamp,
}

/// Turns a bearer token into a principal.
pub trait Authenticator: Send + Sync + fmt::Debug {
    /// Validates signature, issuer, audience, times, type and revocation.
    fn authenticate<'a>(&'a self, token: &'a str)
    -> BoxFuture<'a, Result<Principal, TokenRefusal>>;
}

/// Why a token was refused. All of these are a 401 with a challenge; none tells a stranger more than the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenRefusal {
    /// Not three dot-separated parts of base64url JSON, or over the size limit.
    #[error("the token is malformed")]
    Malformed,
    /// An algorithm that is not allowed for the key, `none` and HS* among them.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// No key of the issuer has this id.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is invalid")]
    Signature,
    /// Not an access token (`typ` is not `at+jwt`), an ID token for example.
    #[error("the token is not an access token")]
    Type,
    /// From somebody else.
    #[error("the token's issuer is not trusted here")]
    Issuer,
    /// For somebody else.
    #[error("the token was issued for another audience")]
    Audience,
    /// Past `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before `nbf`, or issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim that must be there is not, or makes no sense.
    #[error("the token lacks a required claim")]
    Claims,
    /// More than one task.
    #[error("the token names more than one task")]
    SeveralTasks,
    /// The issuer says that it is no longer active.
    #[error("the token was revoked")]
    Revoked,
    /// Bound to a key (`cnf`) whose proof did not come along.
    #[error("the token is bound to a key and was sent without proof")]
    Unproven,
    /// The issuer cannot be asked, and what was cached is too old to trust.
    #[error("the token cannot be checked because its issuer does not answer")]
    IssuerUnavailable,
    /// No issuer is configured: everything is refused.
    #[error("no issuer is configured")]
    NoIssuer,
}

impl TokenRefusal {
    /// The word for it in counters and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Claims => "claims",
            Self::SeveralTasks => "several_tasks",
            Self::Revoked => "revoked",
            Self::Unproven => "unproven",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::NoIssuer => "no_issuer",
        }
    }
}

/// A typed argument of a call, as the policies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
    /// A list; policies see it as a set.
    List(Vec<Self>),
    /// Named arguments.
    Record(BTreeMap<String, Self>),
}

/// What is asked of the policies: may this principal make this call now?
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// The tool.
    pub tool: &'a str,
    /// The node that the call is about.
    pub node: NodeId,
    /// The arguments of the call as the tool's input schema types them; those left out are left out here.
    pub input: &'a BTreeMap<String, Argument>,
    /// What the call would touch at most; made from the arguments, and what the tool is then held to.
    pub bounds: &'a Bounds,
    /// What this grant has used so far.
    pub used: Usage,
    /// Now.
    pub now: Timestamp,
}

/// What one call may touch at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The metrics that it reads; `None` means all.
    pub metrics: Option<BTreeSet<String>>,
    /// The time that it reads.
    pub window: Window,
    /// Rows or values in the answer.
    pub rows: u64,
}

/// Whose use is counted together: a person, as one issuer knows them, for one task, over however many tokens and clients.
/// The client is not part of it: whoever registers one more would begin anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// `iss` of the token: `alice` at one issuer is not `alice` at another.
    pub issuer: String,
    /// `sub` of the token.
    pub subject: String,
    /// The task, without its prefix; empty where there is none.
    pub task: String,
}

/// What a grant has used: counted over its issuer, subject and task in the last 24 h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls that were allowed.
    pub calls: u64,
    /// Rows that they were allowed.
    pub rows: u64,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed by these policies.
    Allow {
        /// Ids of the policies that allowed it.
        policies: Vec<String>,
    },
    /// Refused.
    Deny {
        /// Why.
        reason: DenyReason,
        /// Ids of the policies that forbade it; empty where simply none allowed it.
        policies: Vec<String>,
    },
}

/// Why a question was answered with no. The caller is told none of this, the audit log all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// No policy allows it.
    NoPolicy,
    /// A policy forbids it.
    Forbidden,
    /// The token has no task, or one that no policy file describes.
    UnknownTask,
    /// There is no such tool.
    UnknownTool,
    /// There is no such node here.
    UnknownNode,
    /// The policies could not be evaluated; the text says why.
    Trouble(String),
    /// The audit log cannot take the record.
    AuditUnavailable,
}

impl DenyReason {
    /// The word for it in counters and the audit log.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoPolicy => "no_policy",
            Self::Forbidden => "forbidden",
            Self::UnknownTask => "unknown_task",
            Self::UnknownTool => "unknown_tool",
            Self::UnknownNode => "unknown_node",
            Self::Trouble(_) => "trouble",
            Self::AuditUnavailable => "audit_unavailable",
        }
    }
}

/// Decides. Trouble inside is a deny with its reason.
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// May this call be made?
    fn decide(&self, question: &Question<'_>) -> Decision;

    /// Could the policies allow *some* call of this tool to this principal (scopes aside)? Decides what is listed.
    fn could_allow(&self, principal: &Principal, tool: &str, node: NodeId, now: Timestamp) -> bool;

    /// The tasks that the policies describe, sorted by name: what a consent page can offer.
    fn tasks(&self) -> Vec<TaskDescription>;
}

/// A task in plain words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskDescription {
    /// `node-health`.
    pub name: String,
    /// One sentence for the person who consents.
    pub summary: String,
}
