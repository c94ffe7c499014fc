//! What goes wrong in a call, in words that let the caller do better.

use glasshouse_core::reader::ReadError;

/// Why a call gave no answer. Every message names what would have been valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("unknown argument `{name}`; valid arguments are {valid}")]
    UnknownArgument { name: String, valid: String },
    #[error("argument `{name}` must be {expected}")]
    WrongType {
        name: &'static str,
        expected: String,
    },
    #[error("argument `{name}` is missing: {help}")]
    MissingArgument {
        name: &'static str,
        help: &'static str,
    },
    #[error("`{scope}` is not a node here; candidates are {candidates}, or leave `scope` out")]
    NoSuchNode { scope: String, candidates: String },
    #[error("the node has not said who it is; it may just have started, try again in a minute")]
    NodeUnknown,
    #[error(
        "`{name}` is `{text}`, which is no time; write RFC 3339 such as `2026-01-31T12:00:00Z`, or a span back from now such as `-1h`, or `now`"
    )]
    BadTime { name: &'static str, text: String },
    #[error("`from` must be before `to` and not in the future")]
    EmptyWindow,
    #[error("`{text}` is no step; write it like `10s`, `5m` or `1h`")]
    BadStep { text: String },
    #[error(
        "step `{text}` is too small: this window would have {points} values a series; the smallest step for it is `{smallest}`"
    )]
    StepTooSmall {
        text: String,
        points: u128,
        smallest: String,
    },
    #[error("`{text}` is no label; write `key=value`")]
    BadLabel { text: String },
    #[error("nothing is held for this window; held is {held}")]
    OutsideRetention { held: String },
    #[error("no metric `{metric}` in this window; {near}")]
    UnknownMetric { metric: String, near: String },
    #[error("no series of `{metric}` has these labels; it has {have}")]
    UnknownLabels { metric: String, have: String },
    #[error(
        "aggregation `rate` needs a counter and `{metric}` is a {kind}; use mean, min, max, sum, last or a quantile"
    )]
    NoRate { metric: String, kind: &'static str },
    #[error("no component `{component}`; there are {have}")]
    UnknownComponent { component: String, have: String },
    #[error(
        "this cursor was not given for this call, or has expired; repeat the call without `cursor`"
    )]
    Cursor,
    #[error(
        "`max_tokens` is too small for the next row of this answer; raise it to at most {most}"
    )]
    TooFewTokens { most: usize },
    #[error("{}", read_error(source))]
    Read {
        #[source]
        source: ReadError,
    },
    #[error("the answer could not be made; this is a fault of the server and has been logged")]
    Malformed { problem: String },
}

impl PartialEq for ToolError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl ToolError {
    /// From a reader's error.
    pub(crate) const fn read(source: ReadError) -> Self {
        Self::Read { source }
    }

    /// The class of the error in the audit log.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::UnknownArgument { .. }
            | Self::WrongType { .. }
            | Self::MissingArgument { .. }
            | Self::BadTime { .. }
            | Self::EmptyWindow
            | Self::BadStep { .. }
            | Self::StepTooSmall { .. }
            | Self::BadLabel { .. }
            | Self::Cursor
            | Self::NoRate { .. }
            | Self::TooFewTokens { .. } => "bad_argument",
            Self::NoSuchNode { .. } | Self::NodeUnknown => "unknown_node",
            Self::OutsideRetention { .. } => "outside_retention",
            Self::UnknownMetric { .. } => "unknown_metric",
            Self::UnknownLabels { .. } => "unknown_labels",
            Self::UnknownComponent { .. } => "unknown_component",
            Self::Read { .. } => "read_error",
            Self::Malformed { .. } => "malformed_answer",
        }
    }

    /// Tells the operator what the caller need not know.
    pub(crate) fn log(&self, decision: &str) {
        match self {
            Self::Read { source } if !matches!(source, ReadError::Empty { .. }) => {
                let chain = chain(source);
                tracing::error!(decision, error = chain, "Stored telemetry cannot be read.");
            }
            Self::Malformed { problem } => {
                tracing::error!(
                    decision,
                    problem,
                    "A tool's answer does not fit its schema."
                );
            }
            _ => {}
        }
    }
}

/// A path on the machine is no business of a caller.
const fn read_error(error: &ReadError) -> &'static str {
    match error {
        ReadError::Empty { .. } => {
            "nothing has been stored yet; the node may just have started, try again in a minute"
        }
        ReadError::Io { .. } | ReadError::Damaged { .. } => {
            "the stored telemetry cannot be read; the operator's log says why"
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
