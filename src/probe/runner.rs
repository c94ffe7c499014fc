//! The runs of one collector.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::collector::Collector;
use glasshouse_core::reader::CollectorState;
use glasshouse_core::time::{Clock, SystemClock};
use tracing::error;

use crate::board::Slot;
use crate::queue::{Outgoing, Queue};
use crate::recorder::{Ending, Recorder, Repeat};
use crate::schedule::until_next;
use crate::settings::Planned;

/// Everything that the runs of one collector take.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) planned: Planned,
    pub(crate) root: PathBuf,
    pub(crate) interval: Duration,
    pub(crate) recorder: Recorder,
    pub(crate) slot: Arc<Slot>,
    pub(crate) queue: Arc<Queue>,
    /// Built at the first run, on the thread that makes it.
    pub(crate) collector: Option<Box<dyn Collector>>,
}

impl Runner {
    /// One run; how long to wait for the next.
    pub(crate) fn run(&mut self) -> Duration {
        let mut collector = self.collector.take().unwrap_or_else(|| self.build());
        if self.run_once(&mut *collector) {
            self.collector = Some(collector);
        }
        until_next(SystemClock.now(), self.interval)
    }

    /// One run; `false` where it panicked and the collector cannot be trusted any more.
    fn run_once(&mut self, collector: &mut dyn Collector) -> bool {
        let at = SystemClock.moment();
        self.slot.begin();
        self.recorder.begin();
        let recorder = &mut self.recorder;
        let ending = catch_unwind(AssertUnwindSafe(|| collector.collect(recorder)))
            .map_or(Ending::Panicked, Ending::Returned);
        let is_usable = !matches!(ending, Ending::Panicked);
        if !is_usable {
            error!(
                collector = self.slot.name,
                "The collector panicked; it is built anew."
            );
        }
        let verdict = self.recorder.verdict(ending);
        let in_time = self.slot.end(at.wall, &verdict);
        let log = self.recorder.take_log();
        if in_time {
            let repeat = if self.queue.keeps_up() {
                Repeat::Due
            } else {
                Repeat::Later
            };
            let outgoing = Outgoing {
                log,
                ..self.recorder.payloads(at, verdict.state, repeat)
            };
            if self.queue.put(outgoing) {
                self.recorder.sent();
            }
            if !matches!(verdict.state, CollectorState::Failed(_)) {
                self.slot.knows(self.recorder.numbers());
            }
            let conditions = self.recorder.take_conditions();
            self.slot.conditions(conditions, verdict.state);
        } else if !log.is_empty() {
            self.queue.put(Outgoing {
                log,
                ..Outgoing::default()
            });
        }
        is_usable
    }

    fn build(&self) -> Box<dyn Collector> {
        self.planned.spec.build(&self.root, &self.planned.options)
    }
}
