//! What can go wrong between a request and its document.

use std::time::Duration;

use glasshouse_core::failure::{CollectError, FailureReason};
use nv_redfish_core::{ActionError, BmcError, BmcErrorClass};

use super::path::ResourcePath;

/// A request without a document as its answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// No connection, or it broke.
    #[error("no answer from the BMC")]
    Silent(#[source] reqwest::Error),
    /// Nothing within the deadline.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// An error as answer.
    #[error("the BMC answered {0}")]
    Status(u16),
    /// The BMC asks for patience.
    #[error("the BMC is busy and asks to be left alone for {} s", .0.as_secs())]
    Busy(Duration),
    /// The BMC, or this resource, is busy and does not say for how long.
    #[error("the BMC answered 503")]
    Unavailable,
    /// User or password are wrong, or the account may not read this.
    #[error("the BMC refused the login; check username, password_file and the account's role")]
    Denied,
    /// The last session could not be ended.
    #[error(
        "the BMC does not end the last session, and a second one is not made; end it there, or wait until it runs out"
    )]
    SessionStands,
    /// The password cannot be read.
    #[error(
        "password_file cannot be read, is empty, or is open to others (close it with `chmod go=`)"
    )]
    NoPassword,
    /// The answer is larger than any real one.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer is not what it should be.
    #[error("the answer is no JSON of this kind")]
    Json(#[source] serde_json::Error),
    /// The answer sends elsewhere.
    #[error("the BMC sends elsewhere, which is not followed")]
    Redirect,
    /// The budget of this minute is spent.
    #[error("the requests of this minute are spent")]
    Budget,
    /// A request that only reading rules out.
    #[error("only reading is possible")]
    ReadOnly,
}

impl RequestError {
    /// Whether the BMC did not answer at all.
    pub(crate) const fn is_silence(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Timeout(_))
    }

    /// Whether nothing more should be asked now.
    pub(crate) const fn ends_round(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Budget | Self::NoPassword | Self::Denied | Self::SessionStands
        )
    }

    /// The closed-set reason.
    pub(crate) const fn reason(&self) -> FailureReason {
        match self {
            Self::Silent(_)
            | Self::Timeout(_)
            | Self::Busy(_)
            | Self::Unavailable
            | Self::Budget => FailureReason::Timeout,
            Self::Status(404 | 410) => FailureReason::Missing,
            Self::Status(401 | 403) | Self::Denied | Self::SessionStands | Self::NoPassword => {
                FailureReason::Denied
            }
            Self::Status(405 | 501) | Self::ReadOnly | Self::Redirect => FailureReason::Unsupported,
            Self::Status(_) => FailureReason::Io,
            Self::TooLong(_) | Self::Json(_) => FailureReason::Malformed,
        }
    }

    /// With the name of the resource, sources included.
    pub(crate) fn at(&self, bmc: &str, path: &ResourcePath) -> CollectError {
        let mut detail = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            detail.push_str(": ");
            detail.push_str(&error.to_string());
            source = error.source();
        }
        CollectError {
            path: format!("/bmc/{bmc}/{}", path.as_str().trim_start_matches('/')).into(),
            line: None,
            reason: self.reason(),
            detail,
        }
    }
}

impl BmcError for RequestError {
    fn error_class(&self) -> BmcErrorClass {
        match self {
            Self::Silent(_) | Self::Timeout(_) => BmcErrorClass::Transport,
            Self::Status(status) => BmcErrorClass::HttpResponse { status: *status },
            Self::Json(_) => BmcErrorClass::ResponseParse,
            _ => BmcErrorClass::Other,
        }
    }
}

impl ActionError for RequestError {
    fn not_supported() -> Self {
        Self::ReadOnly
    }
}
