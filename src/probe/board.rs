//! What each collector last said of itself: written by its thread, read by the supervisor.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::{CollectorState, CollectorStatus};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;

use crate::recorder::Verdict;

/// The place of one collector.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    interval: Duration,
    deadline: Duration,
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
    /// Since when a run goes on.
    running: Option<Instant>,
    /// The run that goes on has missed its deadline.
    hangs: bool,
    /// State or detail differ from what was reported.
    changed: bool,
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
    pub(crate) fn new(
        name: &'static str,
        interval: Duration,
        deadline: Duration,
        state: CollectorState,
    ) -> Self {
        let detail = match state {
            CollectorState::Disabled => "switched off in the config",
            _ => "has not run yet",
        };
        Self {
            name,
            interval,
            deadline,
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
            }),
        }
    }

    /// A run begins.
    pub(crate) fn begin(&self) {
        let mut inner = self.lock();
        inner.running = Some(Instant::now());
        inner.hangs = false;
    }

    /// The run has ended. Says whether it did so in time; what a late one read must not be used.
    pub(crate) fn end(&self, started: Timestamp, verdict: &Verdict) -> bool {
        let mut inner = self.lock();
        let duration = inner
            .running
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        let is_late = inner.hangs || duration >= self.deadline;
        inner.last_run = started;
        inner.duration = duration;
        inner.refused = inner.refused.saturating_add(verdict.refused);
        if is_late {
            if !inner.hangs {
                inner.failures = inner.failures.saturating_add(1);
            }
            inner.hangs = false;
            inner.series = 0;
            let detail = format!(
                "the run took {} ms, too long to be used",
                duration.as_millis()
            );
            inner.set(CollectorState::Failed(FailureReason::Timeout), &detail);
            return false;
        }
        inner.series = verdict.series;
        if matches!(
            verdict.state,
            CollectorState::Partial(_) | CollectorState::Failed(_)
        ) {
            inner.failures = inner.failures.saturating_add(1);
        }
        inner.set(verdict.state, &verdict.detail);
        true
    }

    /// Finds a run that has missed its deadline; `true` the first time.
    pub(crate) fn watch(&self) -> bool {
        let mut inner = self.lock();
        let hangs = inner
            .running
            .is_some_and(|since| since.elapsed() >= self.deadline);
        if !hangs || inner.hangs {
            return false;
        }
        inner.hangs = true;
        inner.failures = inner.failures.saturating_add(1);
        inner.series = 0;
        let detail = format!("has not answered for {} s", self.deadline.as_secs_f64());
        inner.set(CollectorState::Failed(FailureReason::Timeout), &detail);
        true
    }

    /// Its thread is gone.
    pub(crate) fn ended(&self) {
        let mut inner = self.lock();
        inner.running = None;
        inner.set(
            CollectorState::Failed(FailureReason::Io),
            "its thread has ended, a bug",
        );
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
            interval: self.interval,
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

impl Inner {
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
