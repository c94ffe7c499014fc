//! The way to a BMC: one request, one reply, within a time, and never another request's reply.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::failure::{CollectError, FailureReason};

use super::request::Request;

/// A way to a BMC.
pub trait IpmiTransport: Send + fmt::Debug {
    /// Asks, and waits for the reply at most about `deadline`.
    ///
    /// The reply is this request's or there is none: after a timeout, or an answer that belongs to another request,
    /// the connection is given up, so that what arrives late arrives nowhere.
    ///
    /// # Errors
    /// [`TransportError`] where no reply came.
    fn exchange(&mut self, request: &Request, deadline: Duration) -> Result<Reply, TransportError>;

    /// A run is over: a session over the network is closed, so that none outlives a run.
    fn finish(&mut self) {}

    /// What is asked, for errors: `/dev/ipmi0`, `ipmi://192.0.2.7:623`.
    fn place(&self) -> PathBuf;
}

/// What a BMC answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 00h, or why there is no answer.
    pub completion: u8,
    /// What follows the completion code.
    pub data: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No such device.
    #[error("there is no such device")]
    Missing,
    /// The device may not be opened.
    #[error(
        "permission denied: let the group of the probe open it, by a udev rule such as `KERNEL==\"ipmi*\", GROUP=\"glasshouse\", MODE=\"0660\"`"
    )]
    Denied,
    /// Somebody else has it.
    #[error("the device is busy: somebody else holds it, or its driver is being reset")]
    Busy,
    /// It did not answer in time.
    #[error("no answer to {request} within {} ms", after.as_millis())]
    Timeout {
        /// What was asked.
        request: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// It answered with something that is not the reply.
    #[error("{request} was answered with something else: {detail}")]
    Confused {
        /// What was asked.
        request: &'static str,
        /// What came.
        detail: String,
    },
    /// A session could not be opened.
    #[error("failed to open a session: {detail}")]
    Login {
        /// Why.
        detail: String,
    },
    /// This way does not lead to the one who would answer.
    #[error("this way leads to no controller but the BMC itself")]
    Unreachable,
    /// Sending or receiving failed otherwise.
    #[error("failed to ask for {request}")]
    Io {
        /// What was asked.
        request: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl TransportError {
    /// The reason of the closed set.
    #[must_use]
    pub const fn reason(&self) -> FailureReason {
        match self {
            Self::Missing => FailureReason::Missing,
            Self::Denied | Self::Login { .. } => FailureReason::Denied,
            Self::Timeout { .. } => FailureReason::Timeout,
            Self::Confused { .. } => FailureReason::Malformed,
            Self::Unreachable => FailureReason::Unsupported,
            Self::Busy | Self::Io { .. } => FailureReason::Io,
        }
    }

    /// Whether it is the BMC that does not answer, rather than the way to it that is not there.
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Confused { .. } | Self::Io { .. }
        )
    }

    /// As the error of a collector.
    #[must_use]
    pub fn at(&self, place: PathBuf) -> CollectError {
        let mut detail = self.to_string();
        if let Self::Io { source, .. } = self {
            detail = format!("{detail}: {source}");
        }
        CollectError {
            path: place,
            line: None,
            reason: self.reason(),
            detail,
        }
    }
}
