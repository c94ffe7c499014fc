use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// Classes of answers: the first digit of the status.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What one listener has counted since the start. Nothing in it tells one client from another.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    accepted: AtomicU64,
    refused: AtomicU64,
    handshakes: AtomicU64,
    answers: [AtomicU64; CLASSES.len()],
}

impl ListenerCounters {
    /// Connections that were let in.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once, because there were too many.
    #[must_use]
    pub fn connections_refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Answers by class, in the order of [`CLASSES`].
    #[must_use]
    pub fn answers(&self) -> [u64; CLASSES.len()] {
        self.answers.each_ref().map(|n| n.load(Ordering::Relaxed))
    }

    pub(crate) fn accept_connection(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives how many were refused by now.
    pub(crate) fn refuse_connection(&self) -> u64 {
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        before.saturating_add(1)
    }

    pub(crate) fn fail_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answer(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(answers) = self.answers.get(class) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}
