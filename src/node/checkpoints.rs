//! Checkpoints of the audit log, on a thread of their own: reading the log and syncing a checkpoint may wait for a disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use glasshouse_audit::{AuditError, Checkpointer};
use glasshouse_core::time::{Clock, SystemClock};
use tracing::error;

use crate::health::Health;
use crate::settings::{NodeError, NodeSettings};
use crate::state::State;

/// Hashing lines of the log needs little; only what is touched of a stack costs memory.
const STACK_BYTES: usize = 256 * 1024;

/// The log goes without a checkpoint this long before that is said: six are missing by then.
const SILENCE_MOST: Duration = Duration::from_secs(60);

/// The thread gets this long to end; one that hangs in a disk is left to the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often its end is looked for while the node stops.
const FAREWELL_STEP: Duration = Duration::from_millis(10);

/// The thread that makes checkpoints.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    /// When the thread last found everything in order, or wrote down what was not.
    done: Arc<Mutex<Instant>>,
    silence: Silence,
}

/// Tells when a silence is to be spoken of.
#[derive(Debug, Default)]
struct Silence {
    said: Option<Instant>,
}

/// What the thread works with.
struct Work {
    audit: PathBuf,
    checkpoints: PathBuf,
    key: PathBuf,
    opened: Option<Checkpointer>,
    done: Arc<Mutex<Instant>>,
}

impl Checkpoints {
    pub(crate) fn start(settings: &NodeSettings, state: &State) -> Result<Self, NodeError> {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Mutex::new(Instant::now()));
        let mut work = Work {
            audit: state.audit.clone(),
            checkpoints: state.checkpoints.clone(),
            key: settings.checkpoint_key.clone(),
            opened: None,
            done: Arc::clone(&done),
        };
        let every = settings.tempo.checkpoint;
        let wanted = Arc::clone(&stop);
        let thread = Builder::new()
            .name("checkpoints".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work.go_on(every, &wanted))
            .map_err(|source| NodeError::Thread {
                name: "checkpoints",
                source,
            })?;
        Ok(Self {
            stop,
            thread,
            done,
            silence: Silence::default(),
        })
    }

    /// Says so where the thread has got nothing done for long, whether it fails or hangs.
    pub(crate) fn watch(&mut self, now: Instant) {
        let done = *self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(silent) = self.silence.due(done, now) {
            error!(
                since_seconds = silent.as_secs(),
                "The audit log gets no checkpoints: what is written to it now can be changed unseen."
            );
        }
    }

    /// Makes a last checkpoint and ends the thread.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let until = Instant::now() + FAREWELL;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(FAREWELL_STEP);
        }
    }
}

impl Silence {
    /// How long it has lasted, once each [`SILENCE_MOST`].
    fn due(&mut self, done: Instant, now: Instant) -> Option<Duration> {
        let since = self.said.map_or(done, |said| said.max(done));
        if now.saturating_duration_since(since) < SILENCE_MOST {
            return None;
        }
        self.said = Some(now);
        Some(now.saturating_duration_since(done))
    }
}

impl Work {
    fn go_on(&mut self, every: Duration, stop: &AtomicBool) {
        let mut health = Health::new("The audit log gets checkpoints");
        loop {
            let is_last = stop.load(Ordering::Relaxed);
            // without a face on this node there is no log
            let is_done = !self.audit.is_dir() || health.told(self.once()).is_some();
            if is_done {
                *self.done.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            if is_last {
                return;
            }
            std::thread::park_timeout(every);
        }
    }

    fn once(&mut self) -> Result<(), AuditError> {
        if self.opened.is_none() {
            let opened = Checkpointer::open(&self.audit, &self.checkpoints, &self.key)?;
            self.opened = Some(opened);
        }
        if let Some(checkpointer) = &mut self.opened {
            checkpointer.run_once(SystemClock.now())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_said_once_a_minute_and_ends() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::default();
        let said: Vec<u64> = (0..200)
            .filter(|second| silence.due(at(0), at(*second)).is_some())
            .collect();
        assert_eq!(said, [60, 120, 180]);
        assert_eq!(silence.due(at(200), at(250)), None);
        let again = silence.due(at(200), at(260));
        assert_eq!(again, Some(Duration::from_secs(60)));
    }
}
