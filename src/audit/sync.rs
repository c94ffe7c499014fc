//! The thread that makes written lines durable, in groups.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::record::Line;
use crate::refusals::Refusals;
use crate::writer::Writer;

/// How long lines gather before they are synced together; with the sync itself less than 100 ms on a working disk.
const GATHER: Duration = Duration::from_millis(50);

/// How long the thread sleeps where nothing happens; then it looks whether refusals are due.
const IDLE: Duration = Duration::from_secs(1);

/// What the log and its thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) writer: Mutex<Writer>,
    pub(crate) refusals: Mutex<Refusals>,
    /// Set once, and watched by the thread.
    pub(crate) stop: Mutex<bool>,
    pub(crate) wake: Condvar,
}

/// Locks; a poisoned lock holds no half-written state here, because every append is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Writes the summary of refusals, where one is due.
    pub(crate) fn sum_up(&self, now: Instant) {
        let due = lock(&self.refusals).due(now);
        self.write_summary(due);
    }

    /// Syncs until it is told to stop, then once more.
    pub(crate) fn run(&self) {
        while !self.wait(IDLE) {
            self.sum_up(Instant::now());
            if lock(&self.writer).is_dirty() {
                self.wait(GATHER);
                self.sync();
            }
        }
        let rest = lock(&self.refusals).rest();
        self.write_summary(rest);
        self.sync();
    }

    /// Waits until woken, or told to stop.
    fn wait(&self, longest: Duration) -> bool {
        let stop = lock(&self.stop);
        if *stop {
            return true;
        }
        let (stop, _) = self
            .wake
            .wait_timeout(stop, longest)
            .unwrap_or_else(PoisonError::into_inner);
        *stop
    }

    fn sync(&self) {
        let files = lock(&self.writer).take_unsynced();
        for file in files {
            if let Err(error) = file.sync_data() {
                lock(&self.writer).give_up(format!("failed to sync: {error}"));
            }
        }
    }

    fn write_summary(
        &self,
        summary: Option<(
            glasshouse_core::time::Timestamp,
            std::collections::BTreeMap<String, u64>,
        )>,
    ) {
        let Some((at, counts)) = summary else { return };
        let line = Line {
            refusals: Some(counts.clone()),
            ..Line::at(at)
        };
        if let Err(detail) = lock(&self.writer).append(line) {
            tracing::warn!(
                detail,
                ?counts,
                "A summary of refusals could not be recorded."
            );
        }
    }
}
