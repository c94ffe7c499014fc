//! What each collector last said of itself: written by its thread, or by the relay of its worker, and read by the
//! supervisor.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::condition::Condition;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::{CollectorState, CollectorStatus};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use glasshouse_core::worker::Worker;
use glasshouse_wire::SampleRow;

use crate::notices::{Notices, Stall};
use crate::recorder::Verdict;
use crate::settings::Tempo;
use crate::silence::Silence;

/// What never changes about the place of a collector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) interval: Duration,
    pub(crate) worker: Option<Worker>,
    /// The cause code while it hangs.
    pub(crate) cause: &'static str,
    pub(crate) limits: Limits,
}

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One call, or a run without calls.
    pub(crate) deadline: Duration,
    /// A whole run, however many calls it makes.
    pub(crate) run: Duration,
    /// Without an answer for this long, a condition is raised.
    pub(crate) stall: Duration,
}

impl Place {
    pub(crate) fn new(spec: &dyn CollectorSpec, interval: Duration, tempo: &Tempo) -> Self {
        Self {
            name: spec.name(),
            interval,
            worker: spec.worker(),
            cause: spec.hang_cause(),
            limits: tempo.limits(interval),
        }
    }
}

/// The place of one collector.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    place: Place,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: CollectorState,
    detail: Untrusted,
    last_run: Timestamp,
    duration: Duration,
    series: u32,
    failures: u64,
    refused: u64,
    running: Option<Running>,
    /// The run that goes on has missed its deadline.
    hangs: bool,
    /// State or detail differ from what was reported.
    changed: bool,
    /// Failures as the worker counts them, since it started.
    worker_failures: u64,
    /// The worker that runs now has missed a deadline of it, or ended.
    worker_missed: bool,
    notices: Notices,
    silence: Silence,
}

/// A run that goes on.
#[derive(Clone, Copy, Debug)]
struct Running {
    since: Instant,
    /// When the call began that it makes now.
    called: Instant,
    /// Its name; empty where none was named.
    call: &'static str,
    /// An earlier call took too long, although it came back.
    was_late: bool,
}

/// Counters of one collector for the probe's own metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotCounts {
    pub(crate) duration: Duration,
    pub(crate) failures: u64,
    pub(crate) refused: u64,
}

impl Slot {
    /// A collector that has not run yet.
    pub(crate) fn new(place: Place, state: CollectorState) -> Self {
        let detail = match state {
            CollectorState::Disabled => "switched off in the config",
            _ => "has not run yet",
        };
        Self {
            name: place.name,
            place,
            inner: Mutex::new(Inner {
                state,
                detail: Untrusted::new(detail),
                last_run: Timestamp::default(),
                duration: Duration::ZERO,
                series: 0,
                failures: 0,
                refused: 0,
                running: None,
                hangs: false,
                changed: true,
                worker_failures: 0,
                worker_missed: false,
                notices: Notices::default(),
                silence: Silence::new(Instant::now()),
            }),
        }
    }

    /// A run begins.
    pub(crate) fn begin(&self) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.running = Some(Running {
            since: now,
            called: now,
            call: "",
            was_late: false,
        });
        inner.hangs = false;
    }

    /// A call begins in the run: the deadline counts from here.
    pub(crate) fn calling(&self, call: &'static str) {
        let deadline = self.place.limits.deadline;
        if let Some(running) = &mut self.lock().running {
            let now = Instant::now();
            running.was_late |= now.duration_since(running.called) >= deadline;
            running.called = now;
            running.call = call;
        }
    }

    /// The run has ended. Says whether it did so in time; what a late one read must not be used.
    pub(crate) fn end(&self, started: Timestamp, verdict: &Verdict) -> bool {
        let limits = self.place.limits;
        let mut inner = self.lock();
        let running = inner.running.take();
        let is_late = inner.hangs || running.is_some_and(|running| running.is_late(limits));
        inner.last_run = started;
        inner.duration = running.map_or(Duration::ZERO, |running| running.since.elapsed());
        inner.refused = inner.refused.saturating_add(verdict.refused);
        if is_late {
            if !inner.hangs {
                inner.missed();
            }
            inner.hangs = false;
            inner.series = 0;
            let detail = format!(
                "the run took {} ms, too long to be used",
                inner.duration.as_millis()
            );
            inner.set(CollectorState::Failed(FailureReason::Timeout), &detail);
            return false;
        }
        inner.series = verdict.series;
        inner.judge(verdict.state);
        inner.set(verdict.state, &verdict.detail);
        true
    }

    /// Finds a run that has missed its deadline; the first time, what is known of it.
    pub(crate) fn watch(&self) -> Option<String> {
        let mut inner = self.lock();
        let running = inner
            .running
            .filter(|running| running.is_late(self.place.limits))?;
        if inner.hangs {
            return None;
        }
        inner.hangs = true;
        inner.missed();
        inner.series = 0;
        let detail = running.describe();
        inner.set(CollectorState::Failed(FailureReason::Timeout), &detail);
        Some(detail)
    }

    /// What ran it is gone.
    pub(crate) fn ended(&self) {
        let mut inner = self.lock();
        inner.running = None;
        inner.set(
            CollectorState::Failed(FailureReason::Io),
            "what runs it has ended, a bug",
        );
    }

    /// Its worker starts again, and counts from zero.
    pub(crate) fn restarted(&self) {
        let mut inner = self.lock();
        inner.worker_failures = 0;
        inner.worker_missed = false;
    }

    /// Its worker says this of it.
    pub(crate) fn heard(&self, status: &CollectorStatus) {
        let has_run = status.last_run != Timestamp::default();
        let timed_out = status.state == CollectorState::Failed(FailureReason::Timeout);
        if !has_run && !timed_out {
            // it has not run yet, which says nothing
            return;
        }
        let mut inner = self.lock();
        let is_new = inner.state != status.state || (has_run && inner.last_run != status.last_run);
        let more = status.failures.saturating_sub(inner.worker_failures);
        inner.worker_failures = status.failures;
        inner.failures = inner.failures.saturating_add(more);
        inner.duration = status.duration;
        inner.series = status.series;
        if timed_out && (is_new || !inner.worker_missed) {
            inner.silence.missed(FailureReason::Timeout);
            inner.worker_missed = true;
        } else if !timed_out {
            inner.silence.judge(status.state);
            inner.worker_missed = false;
        }
        if has_run {
            inner.last_run = status.last_run;
        }
        inner.set(status.state, status.detail.raw());
    }

    /// Its worker has sent samples, so what it last said of the collector still holds.
    pub(crate) fn heard_samples(&self, refused: u64) {
        let mut inner = self.lock();
        inner.refused = inner.refused.saturating_add(refused);
        let state = inner.state;
        if !matches!(state, CollectorState::Failed(_)) {
            inner.silence.judge(state);
        }
    }

    /// Some of what its worker says was not taken.
    pub(crate) fn refuse(&self, count: u64) {
        let mut inner = self.lock();
        inner.refused = inner.refused.saturating_add(count);
    }

    /// Its worker ended or cannot be heard. What the worker said of a hang before says more.
    pub(crate) fn unheard(&self, reason: FailureReason, detail: &str) {
        let mut inner = self.lock();
        if inner.worker_missed {
            return;
        }
        inner.worker_missed = true;
        inner.failures = inner.failures.saturating_add(1);
        inner.series = 0;
        inner.silence.missed(reason);
        inner.set(CollectorState::Failed(reason), detail);
    }

    /// Nothing will come before somebody does something: this is why.
    pub(crate) fn stuck(&self, reason: FailureReason, detail: &str) {
        let mut inner = self.lock();
        inner.series = 0;
        inner.silence.unanswered(reason);
        inner.set(CollectorState::Failed(reason), detail);
    }

    /// There is nothing here for it to read.
    pub(crate) fn absent(&self, detail: &str) {
        let mut inner = self.lock();
        inner.series = 0;
        inner.silence.judge(CollectorState::Absent);
        inner.set(CollectorState::Absent, detail);
    }

    /// The series that its runs write.
    pub(crate) fn knows(&self, numbers: impl Iterator<Item = u32>) {
        self.lock().silence.knows(numbers);
    }

    /// What it knows to be wrong; a failed run cannot say that something is over.
    pub(crate) fn conditions(&self, conditions: Vec<Condition>, state: CollectorState) {
        let mut inner = self.lock();
        if matches!(state, CollectorState::Failed(_)) {
            inner.notices.also(conditions);
        } else {
            inner.notices.only(conditions);
        }
    }

    /// What is wrong, where that changed or is due to be said again.
    pub(crate) fn take_conditions(&self, now: Instant) -> Option<Vec<Condition>> {
        let mut inner = self.lock();
        let stall = inner.silence.stall(self.place.limits.stall, now);
        let stall = stall.map(|(reason, misses)| Stall {
            place: &self.place,
            reason,
            misses,
            detail: inner.detail.raw(),
        });
        let stall = stall.map(|stall| stall.condition());
        inner.notices.take(stall, now)
    }

    /// Every known series without its value, where the collector has been silent for so long that nobody may take an
    /// old one for new, and has not been said to be so in the last while.
    pub(crate) fn take_blanks(&self, now: Instant) -> Option<Vec<SampleRow>> {
        let mut inner = self.lock();
        let CollectorState::Failed(reason) = inner.state else {
            return None;
        };
        inner.silence.blanks(self.place.interval, reason, now)
    }

    /// Whether a run goes on.
    pub(crate) fn is_running(&self) -> bool {
        self.lock().running.is_some()
    }

    /// Whether there is something to report, asked once.
    pub(crate) fn take_changed(&self) -> bool {
        std::mem::take(&mut self.lock().changed)
    }

    /// What to report.
    pub(crate) fn status(&self) -> CollectorStatus {
        let inner = self.lock();
        CollectorStatus {
            name: self.name.to_owned(),
            interval: self.place.interval,
            state: inner.state,
            detail: inner.detail.clone(),
            last_run: inner.last_run,
            duration: inner.duration,
            series: inner.series,
            failures: inner.failures,
        }
    }

    /// `None` for one that is switched off.
    pub(crate) fn counts(&self) -> Option<SlotCounts> {
        let inner = self.lock();
        (inner.state != CollectorState::Disabled).then_some(SlotCounts {
            duration: inner.duration,
            failures: inner.failures,
            refused: inner.refused,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn is_late(&self, limits: Limits) -> bool {
        self.was_late
            || self.called.elapsed() >= limits.deadline
            || self.since.elapsed() >= limits.run
    }

    fn describe(&self) -> String {
        let seconds = self.called.elapsed().as_secs_f64();
        if self.call.is_empty() {
            format!("has not answered for {seconds:.1} s")
        } else {
            format!("`{}` has not answered for {seconds:.1} s", self.call)
        }
    }
}

impl Inner {
    /// Counts a run by its state.
    fn judge(&mut self, state: CollectorState) {
        match state {
            // the device was asked and its own deadline passed
            CollectorState::Failed(FailureReason::Timeout) => return self.missed(),
            CollectorState::Partial(_) | CollectorState::Failed(_) => {
                self.failures = self.failures.saturating_add(1);
            }
            CollectorState::Good | CollectorState::Absent | CollectorState::Disabled => {}
        }
        self.silence.judge(state);
    }

    fn missed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.silence.missed(FailureReason::Timeout);
    }

    fn set(&mut self, state: CollectorState, detail: &str) {
        if self.state != state {
            self.changed = true;
            self.state = state;
        }
        // a detail that differs alone waits for the next regular report
        if self.detail.raw() != detail {
            self.detail = Untrusted::new(detail);
        }
    }
}
