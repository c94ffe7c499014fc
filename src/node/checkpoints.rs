//! Checkpoints of the audit log, on a thread of their own: reading the log and syncing a checkpoint may wait for a disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use glasshouse_audit::{AuditError, Checkpointer};
use glasshouse_core::time::{Clock, SystemClock};

use crate::health::Health;
use crate::settings::{NodeError, NodeSettings};
use crate::state::State;

/// Hashing lines of the log needs little; only what is touched of a stack costs memory.
const STACK_BYTES: usize = 256 * 1024;

/// The thread gets this long to end; one that hangs in a disk is left to the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often its end is looked for while the node stops.
const FAREWELL_STEP: Duration = Duration::from_millis(10);

/// The thread that makes checkpoints.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the thread works with.
struct Work {
    audit: PathBuf,
    checkpoints: PathBuf,
    key: PathBuf,
    opened: Option<Checkpointer>,
}

impl Checkpoints {
    pub(crate) fn start(settings: &NodeSettings, state: &State) -> Result<Self, NodeError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            audit: state.audit.clone(),
            checkpoints: state.checkpoints.clone(),
            key: settings.checkpoint_key.clone(),
            opened: None,
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
        Ok(Self { stop, thread })
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

impl Work {
    fn go_on(&mut self, every: Duration, stop: &AtomicBool) {
        let mut health = Health::new("The audit log gets checkpoints");
        loop {
            let is_last = stop.load(Ordering::Relaxed);
            // without a face on this node there is no log
            if self.audit.is_dir() {
                health.told(self.once());
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
