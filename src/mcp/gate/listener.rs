//! Whether somebody still waits for an answer: what the audit log says of it must be what the caller was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const ANSWERED: u8 = 1;
const GONE: u8 = 2;

/// Shared between the thread that makes a call and whoever waits for it. One of the two is first: either the answer is
/// taken, or nobody takes it any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener(Arc<AtomicU8>);

/// The side that waits; no longer when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Listener);

impl Listener {
    /// Somebody who waits until the guard is dropped.
    pub(crate) fn new() -> (Self, Waiting) {
        let listener = Self::default();
        (listener.clone(), Waiting(listener))
    }

    /// Takes the answer; `false` where nobody waits for it any more.
    pub(crate) fn takes_the_answer(&self) -> bool {
        self.settle(ANSWERED)
    }

    fn settle(&self, how: u8) -> bool {
        self.0
            .compare_exchange(WAITING, how, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Waiting {
    /// Waits no longer; `false` where the answer came first.
    pub(crate) fn give_up(&self) -> bool {
        self.0.settle(GONE)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_up();
    }
}
