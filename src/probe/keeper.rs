//! The thread that keeps one worker: looks whether it is wanted, starts it, reads it, ends it when it is silent, and
//! starts it again.
//!
//! There is one thread, at most one process and at most one pipe for each worker, however often it hangs: a process
//! that the kernel does not let go is waited for and not replaced.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use glasshouse_core::collector::Presence;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::worker::Worker;
use glasshouse_wire::{FrameReader, Step};
use rustix::io::Errno;
use tracing::{debug, info, warn};

use crate::end::End;
use crate::link::{is_same_file, open_fifo};
use crate::process::{Mortal, Process};
use crate::relay::{Relay, WorkerCounts};
use crate::settings::{Reach, Tempo};
use crate::stop::Stop;

/// A wait for frames ends after this, so that the wish to stop and the silence of the worker are seen.
const STEP: Duration = Duration::from_millis(500);

/// The end of a process that was killed is first looked for after this.
const BURIAL_STEP: Duration = Duration::from_millis(10);

/// Frames of one worker that are read in [`PACE`]: many times what one sends. More wait in its pipe, where they cost
/// the worker alone.
const MOST_FRAMES: u32 = 512;

/// Bytes of one worker that are read in [`PACE`].
const MOST_BYTES: u64 = 2 << 20;

/// See [`MOST_FRAMES`].
const PACE: Duration = Duration::from_secs(1);

/// Bytes that are no frame, in one life of a worker, until it is taken for broken.
const MOST_GARBAGE: u64 = 64 * 1024;

/// Messages that the worker may not send, in one life, until it is taken for broken.
const MOST_FORBIDDEN: u32 = 64;

/// The rest of a frame is waited for this long: a writer that died in the middle of it will not write it.
const PARTIAL: Duration = Duration::from_secs(5);

/// Everything that the thread of a worker has.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) worker: Worker,
    pub(crate) reach: Reach,
    pub(crate) root: PathBuf,
    pub(crate) tempo: Tempo,
    pub(crate) relay: Relay,
    pub(crate) stop: Arc<Stop>,
    pub(crate) counts: Arc<Mutex<WorkerCounts>>,
}

/// Why a worker is not read any more.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// The probe stops.
    Stopped,
    /// It has closed its end.
    Closed,
    /// It has written nothing for too long.
    Silent,
    /// What it writes are not the frames of this worker.
    Garbage,
    /// There is another FIFO by this name.
    Replaced,
}

impl Keeper {
    /// Keeps the worker until the probe stops.
    pub(crate) fn run(mut self) {
        let mut wait = self.tempo.restart.0;
        loop {
            let next = if self.is_wanted() {
                let started = Instant::now();
                self.live(wait);
                if started.elapsed() >= self.tempo.restart.1 {
                    wait = self.tempo.restart.0;
                }
                let now = wait;
                wait = wait.saturating_mul(2).min(self.tempo.restart.1);
                now
            } else {
                self.tempo.look
            };
            if self.stop.wait(next) {
                return;
            }
        }
    }

    /// Whether there is anything for it to read. Names are looked at, and no device.
    fn is_wanted(&self) -> bool {
        let mut is_wanted = false;
        for (planned, slot) in self.relay.planned() {
            match planned.spec.look(&self.root, &planned.options) {
                Presence::Present => is_wanted = true,
                Presence::Absent(what) => slot.absent(&what),
            }
        }
        is_wanted
    }

    /// One life of the worker.
    fn live(&mut self, again: Duration) {
        match self.reach.clone() {
            Reach::Start { program, arguments } => self.live_child(&program, &arguments, again),
            Reach::Fifo(path) => self.live_apart(&path),
        }
    }

    fn live_child(&mut self, program: &Path, arguments: &[OsString], again: Duration) {
        let (mut process, output) = match Process::start(program, arguments) {
            Ok(started) => started,
            Err(error) => {
                warn!(worker = self.worker.word(), %error, "A worker could not be started.");
                let detail = format!("its worker could not be started: {error}");
                let reason = FailureReason::from_io(&error);
                self.for_all(|slot| slot.unheard(reason, &detail));
                return;
            }
        };
        debug!(
            worker = self.worker.word(),
            pid = process.id(),
            "A worker was started."
        );
        self.relay.restart();
        self.count();
        self.lives(Some(process.id()));
        let over = self.read(End::new(output), None);
        // once it is waited for, its number may be another's
        self.lives(None);
        let killed = (over != Over::Closed).then(|| {
            process.kill();
            Instant::now()
        });
        let how = self.bury(&mut process, killed);
        if over == Over::Stopped {
            return;
        }
        let how = how.unwrap_or_else(|| "ended".to_owned());
        self.say_over(&over, &how, again);
    }

    /// Waits until the process is gone. As long as the kernel does not let it go there is no other.
    fn bury(&self, process: &mut impl Mortal, mut killed: Option<Instant>) -> Option<String> {
        let closed = Instant::now();
        let mut step = BURIAL_STEP;
        let mut is_told = false;
        loop {
            if let Some(how) = process.ended() {
                return Some(how);
            }
            match killed {
                None if closed.elapsed() >= self.tempo.reap => {
                    process.kill();
                    killed = Some(Instant::now());
                }
                Some(since) if since.elapsed() >= self.tempo.reap && !is_told => {
                    is_told = true;
                    let detail = format!(
                        "its worker (process {}) was killed and does not end: the driver does not let it go; \
                         it is replaced when it is gone",
                        process.id()
                    );
                    warn!(worker = self.worker.word(), "A worker hangs: {detail}.");
                    self.for_all(|slot| slot.stuck(FailureReason::Timeout, &detail));
                }
                _ => {}
            }
            if self.stop.wait(step) {
                process.kill();
                return self.last_look(process);
            }
            step = step.saturating_mul(2).min(STEP);
        }
    }

    /// The probe stops: a process that was killed has a moment to go, and is left to the kernel then.
    fn last_look(&self, process: &mut impl Mortal) -> Option<String> {
        let since = Instant::now();
        while since.elapsed() < self.tempo.reap {
            if let Some(how) = process.ended() {
                return Some(how);
            }
            std::thread::sleep(BURIAL_STEP);
        }
        None
    }

    fn live_apart(&mut self, path: &Path) {
        let service = format!("glasshouse probe {}", self.worker.word());
        let end = match open_fifo(path) {
            Ok(end) => end,
            Err(error) => {
                let reason = FailureReason::from_io(&error.into());
                let detail = match error {
                    Errno::NOENT => format!(
                        "its worker is not there: `{service}` has to run and to write to `{}`",
                        path.display()
                    ),
                    error => format!("failed to open `{}`: {error}", path.display()),
                };
                self.for_all(|slot| slot.stuck(reason, &detail));
                return;
            }
        };
        self.relay.restart();
        let over = self.read(End::new(end), Some(path));
        if over == Over::Silent {
            let detail = format!(
                "`{service}` has written nothing to `{}` for {} s: it hangs or does not run",
                path.display(),
                self.tempo.silence.as_secs_f64()
            );
            self.for_all(|slot| slot.unheard(FailureReason::Timeout, &detail));
        } else if over == Over::Garbage {
            warn!(
                worker = self.worker.word(),
                "A worker does not write frames of its own."
            );
            let detail = format!("`{service}` does not write frames of its collectors");
            self.for_all(|slot| slot.unheard(FailureReason::Malformed, &detail));
        }
    }

    /// Takes frames until something is over.
    fn read(&mut self, mut end: End, path: Option<&Path>) -> Over {
        let mut frames = FrameReader::new();
        let mut pace = Pace::new();
        let mut forbidden = 0u32;
        let mut heard = Instant::now();
        let mut run = None;
        loop {
            end.wait(STEP);
            if self.stop.wait(Duration::ZERO) {
                return Over::Stopped;
            }
            let bytes = end.bytes();
            let step = loop {
                match frames.next_frame(&mut end) {
                    Ok(Step::Frame(frame)) => {
                        heard = Instant::now();
                        pace.frames = pace.frames.saturating_add(1);
                        let is_known = path.is_none() || self.knows(&mut run, frame.run);
                        let taken = is_known
                            && frame
                                .message()
                                .is_ok_and(|message| self.relay.take(message));
                        forbidden = forbidden.saturating_add(u32::from(!taken));
                    }
                    Ok(Step::Pending) => break None,
                    Ok(Step::End) | Err(_) => break Some(Over::Closed),
                }
                if pace.frames >= MOST_FRAMES {
                    break None;
                }
            };
            if let Some(over) = step {
                return over;
            }
            self.count_log();
            if frames.counts().skipped > MOST_GARBAGE || forbidden > MOST_FORBIDDEN {
                return Over::Garbage;
            }
            let quiet = heard.elapsed();
            if quiet >= PARTIAL && frames.is_partial() && end.bytes() == bytes {
                frames.abandon();
            }
            if quiet >= self.tempo.silence {
                return Over::Silent;
            }
            if path.is_some_and(|path| !is_same_file(end.descriptor(), path)) {
                return Over::Replaced;
            }
            pace.bytes = pace.bytes.saturating_add(end.bytes().saturating_sub(bytes));
            if pace.is_used_up() && self.stop.wait(pace.rest()) {
                return Over::Stopped;
            }
        }
    }

    /// Whether a frame of a worker apart is of its run, or of a new one: whoever starts it has started it (again).
    fn knows(&mut self, run: &mut Option<u64>, said: u64) -> bool {
        if *run == Some(said) {
            return true;
        }
        if run.is_some() && !self.relay.may_restart() {
            return false;
        }
        self.relay.restart();
        self.count();
        *run = Some(said);
        true
    }

    fn say_over(&self, over: &Over, how: &str, again: Duration) {
        let worker = self.worker.word();
        let (reason, what) = match over {
            Over::Silent => (
                FailureReason::Timeout,
                format!(
                    "its worker `{worker}` has not answered for {} s and was ended",
                    self.tempo.silence.as_secs_f64()
                ),
            ),
            Over::Garbage => (
                FailureReason::Malformed,
                format!(
                    "its worker `{worker}` did not write frames of its collectors and was ended"
                ),
            ),
            _ => (
                FailureReason::Io,
                format!("its worker `{worker}` ended ({how})"),
            ),
        };
        warn!(worker, how, again_in = ?again, "A worker ended: {what}.");
        let detail = format!(
            "{what}; it is started again in {:.1} s",
            again.as_secs_f64()
        );
        self.for_all(|slot| slot.unheard(reason, &detail));
    }

    fn for_all(&self, mut act: impl FnMut(&crate::board::Slot)) {
        for (_, slot) in self.relay.planned() {
            act(slot);
        }
    }

    fn count(&self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.starts = counts.starts.saturating_add(1);
        if counts.starts > 1 {
            info!(
                worker = self.worker.word(),
                starts = counts.starts,
                "A worker starts again."
            );
        }
    }

    fn lives(&self, process: Option<u32>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.process = process;
    }

    fn count_log(&self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.log_dropped = self.relay.log_dropped;
    }
}

/// How much was read in the last while.
#[derive(Debug)]
struct Pace {
    since: Instant,
    frames: u32,
    bytes: u64,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            frames: 0,
            bytes: 0,
        }
    }

    /// Whether enough was read for now. After a while the count begins again.
    fn is_used_up(&mut self) -> bool {
        if self.since.elapsed() >= PACE {
            *self = Self::new();
        }
        self.frames >= MOST_FRAMES || self.bytes >= MOST_BYTES
    }

    fn rest(&self) -> Duration {
        PACE.saturating_sub(self.since.elapsed())
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
