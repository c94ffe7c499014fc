//! Whether something works: counted each time, logged when that changes.

use std::error::Error;

use tracing::{error, info};

use crate::chain::Chain;

/// Whether one thing that is done again and again works.
#[derive(Debug)]
pub(crate) struct Health {
    /// What it is, a sentence: `The store takes batches`.
    what: &'static str,
    /// In a row.
    failures: u64,
    failures_in_all: u64,
}

impl Health {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            failures: 0,
            failures_in_all: 0,
        }
    }

    /// How often it did not work since the start.
    pub(crate) const fn failures_in_all(&self) -> u64 {
        self.failures_in_all
    }

    /// It worked or did not; gives what it gave.
    pub(crate) fn told<T, E: Error>(&mut self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(given) => {
                if self.failures > 0 {
                    info!(after_failures = self.failures, "{} again.", self.what);
                    self.failures = 0;
                }
                Some(given)
            }
            Err(error) => {
                if self.failures == 0 {
                    error!(error = %Chain(&error), "{} no longer; it is tried again.", self.what);
                }
                self.failures = self.failures.saturating_add(1);
                self.failures_in_all = self.failures_in_all.saturating_add(1);
                None
            }
        }
    }
}
