//! Asking a BMC within one run: times each exchange, counts it, and tells what is fatal for the run from what is one
//! sensor's trouble.

use std::time::Duration;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::time::Clock;

use super::decode::DecodeError;
use super::request::Request;
use super::transport::{IpmiTransport, TransportError};

/// Processing of the command took too long; the kernel says so where a BMC does not answer, too.
const TIMED_OUT: u8 = 0xc3;

/// Why an answer is none.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The BMC does not answer, or cannot be asked: the run is over.
    Lost(TransportError),
    /// It answered that it will not.
    Refused {
        request: &'static str,
        completion: u8,
    },
    /// Its answer makes no sense.
    Malformed(DecodeError),
}

impl AskError {
    pub(crate) const fn reason(&self) -> FailureReason {
        match self {
            Self::Lost(error) => error.reason(),
            Self::Malformed(_) => FailureReason::Malformed,
            Self::Refused { completion, .. } => refusal(*completion).0,
        }
    }

    pub(crate) fn at(&self, asking: &Asking<'_>) -> CollectError {
        let detail = match self {
            Self::Lost(error) => return error.at(asking.transport.place()),
            Self::Malformed(error) => error.to_string(),
            Self::Refused {
                request,
                completion,
            } => format!(
                "{request} was refused: {} ({completion:02X}h)",
                refusal(*completion).1
            ),
        };
        CollectError {
            path: asking.transport.place(),
            line: None,
            reason: self.reason(),
            detail,
        }
    }
}

impl From<DecodeError> for AskError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// What a completion code means (table 5-2): the reason of the closed set, and words.
const fn refusal(completion: u8) -> (FailureReason, &'static str) {
    match completion {
        0xc0 => (FailureReason::Io, "the BMC is busy"),
        0xc1 | 0xc2 | 0xd6 => (FailureReason::Unsupported, "it does not know this command"),
        TIMED_OUT => (FailureReason::Timeout, "it took too long"),
        0xc5 => (FailureReason::Io, "the reservation was cancelled"),
        0xcb => (FailureReason::Missing, "there is no such sensor or record"),
        0xcd => (FailureReason::Unsupported, "not for this sensor or record"),
        0xd0 => (FailureReason::Io, "its SDRs are being updated"),
        0xd1 => (FailureReason::Io, "its firmware is being updated"),
        0xd2 => (FailureReason::Io, "it is starting"),
        0xd4 => (
            FailureReason::Denied,
            "the privilege level of the session is too low",
        ),
        0xd5 => (FailureReason::Missing, "not in the present state"),
        _ => (FailureReason::Io, "no reason that all BMCs share"),
    }
}

/// What exchanges of one run, and of all, have cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Requests since the collector was built that were answered.
    pub(crate) answered: u64,
    /// Those that were answered by an error.
    pub(crate) refused: u64,
    /// Those that were not answered in time, or not at all.
    pub(crate) silent: u64,
    /// The longest answer of this run.
    pub(crate) slowest: Duration,
    /// Whether anything was answered in this run.
    pub(crate) has_answered: bool,
}

/// A BMC that can be asked.
#[derive(Debug)]
pub(crate) struct Asking<'r> {
    pub(crate) transport: &'r mut dyn IpmiTransport,
    pub(crate) clock: &'r dyn Clock,
    pub(crate) deadline: Duration,
    pub(crate) tally: &'r mut Tally,
}

impl Asking<'_> {
    /// The data of the answer.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        out: &mut dyn SampleWriter,
    ) -> Result<Vec<u8>, AskError> {
        let name = request.allowed().name;
        out.calling(name);
        let begun = self.clock.moment().boot;
        let outcome = self.transport.exchange(request, self.deadline);
        let took = self.clock.moment().boot.since(begun);
        match outcome {
            Ok(reply) if reply.completion == TIMED_OUT => {
                self.tally.silent = self.tally.silent.saturating_add(1);
                Err(AskError::Lost(TransportError::Timeout {
                    request: name,
                    after: took,
                }))
            }
            Ok(reply) => {
                self.tally.has_answered = true;
                self.tally.slowest = self.tally.slowest.max(took);
                if reply.completion == 0 {
                    self.tally.answered = self.tally.answered.saturating_add(1);
                    return Ok(reply.data);
                }
                self.tally.refused = self.tally.refused.saturating_add(1);
                Err(AskError::Refused {
                    request: name,
                    completion: reply.completion,
                })
            }
            // a sensor that this way does not reach is no trouble of the BMC
            Err(TransportError::Unreachable) => Err(AskError::Refused {
                request: name,
                completion: 0xc2,
            }),
            Err(error) => {
                self.tally.silent = self.tally.silent.saturating_add(1);
                Err(AskError::Lost(error))
            }
        }
    }
}

/// Unless the run is over: the error as the failure of a part.
pub(crate) fn part<T>(
    outcome: Result<T, AskError>,
    asking: &Asking<'_>,
    out: &mut dyn SampleWriter,
) -> Result<Option<T>, AskError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error @ AskError::Lost(_)) => Err(error),
        // what a BMC does not have is silence
        Err(error) if error.reason() == FailureReason::Unsupported => Ok(None),
        Err(error) => {
            out.failure(error.at(asking));
            Ok(None)
        }
    }
}
