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
    /// What the thread waits for.
    pub(crate) signal: Mutex<Signal>,
    pub(crate) wake: Condvar,
}

/// Why the thread wakes up.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Something was written since the last sync.
    dirty: bool,
    /// The log is being closed.
    stop: bool,
}

/// Locks; a poisoned lock holds no half-written state here, because every append is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Writes a line and has it synced soon.
    pub(crate) fn append(&self, line: Line) -> Result<(), String> {
        let written = lock(&self.writer).append(line);
        // a log that has just become full wrote its last record
        lock(&self.signal).dirty = true;
        self.wake.notify_one();
        written
    }

    /// Writes the summary of refusals, where one is due.
    pub(crate) fn sum_up(&self, now: Instant) {
        let due = lock(&self.refusals).due(now);
        self.write_summary(due);
    }

    /// Has the thread sync what is left and end.
    pub(crate) fn stop(&self) {
        lock(&self.signal).stop = true;
        self.wake.notify_all();
    }

    /// Syncs until it is told to stop, then once more.
    pub(crate) fn run(&self) {
        while !self.wait(IDLE, |signal| signal.dirty) {
            self.sum_up(Instant::now());
            if lock(&self.signal).dirty {
                self.wait(GATHER, |_| false);
                self.sync();
            }
        }
        let rest = lock(&self.refusals).rest();
        self.write_summary(rest);
        self.sync();
    }

    /// Waits for a reason, the end, or the longest time; says whether it is the end.
    fn wait(&self, longest: Duration, enough: impl Fn(&Signal) -> bool) -> bool {
        let idle = |signal: &mut Signal| !signal.stop && !enough(signal);
        let waited = self
            .wake
            .wait_timeout_while(lock(&self.signal), longest, idle)
            .unwrap_or_else(PoisonError::into_inner);
        waited.0.stop
    }

    fn sync(&self) {
        // first this, so that what is written from here on is noticed
        lock(&self.signal).dirty = false;
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
        if let Err(detail) = self.append(line) {
            tracing::warn!(
                detail,
                ?counts,
                "A summary of refusals could not be recorded."
            );
        }
    }
}
