//! Starts the threads, watches over them, reports them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use glasshouse_core::collector::Presence;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::CollectorState;
use glasshouse_core::time::{Clock, Moment, SystemClock};
use glasshouse_wire::{Batch, Heartbeat, MOST_COLLECTORS, Message};
use rustix::io::ioctl_fionbio;
use tracing::{info, warn};

use crate::board::{Place, Slot};
use crate::crew::Crew;
use crate::link::Output;
use crate::own::{OWN_COLLECTOR, OWN_METRICS, own_place, write_own};
use crate::queue::{Outgoing, Queue, QueueCounts};
use crate::recorder::{Ending, Recorder, Repeat, Voice};
use crate::runner::Runner;
use crate::sender::send;
use crate::series::{Numbers, Owner};
use crate::settings::{Planned, ProbeError, ProbeSettings};
use crate::stop::Stop;
use crate::workers::Kept;

/// A collector parses small files and the writer copies bytes; only what is touched of a stack costs memory.
pub(crate) const STACK_BYTES: usize = 256 * 1024;

/// What a collector in a worker calls is not all ours: libraries of drivers and of networks take what the system gives
/// by default. Only what is touched costs memory.
pub(crate) const WORKER_STACK_BYTES: usize = 2 << 20;

/// The threads get this long to end; one that hangs in a device is left to the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often the end of a thread is looked for while the probe stops.
const FAREWELL_STEP: Duration = Duration::from_millis(10);

/// The collectors of one message, and room in it for the probe itself.
const MOST_PLANNED: usize = MOST_COLLECTORS - 1;

/// The fewest batches that the queue holds, where nothing or only slow collectors run.
const FEWEST_BATCHES: usize = 16;

/// Runs the collectors and writes what they read to the FIFO until `stop` is set; then says what waits, for at most a
/// second, and returns. It blocks. `SIGPIPE` must be ignored, as Rust's runtime does before `main`.
///
/// # Errors
/// [`ProbeError`] where a thread could not be started or the writer ended by itself. A FIFO that is missing, or that
/// nobody reads, is no error: it is waited for.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a role owns its settings and its wish to stop; whoever starts it hands them over to a thread"
)]
pub fn run(settings: ProbeSettings, stop: Arc<AtomicBool>) -> Result<(), ProbeError> {
    let output = Output::Fifo(settings.frames.clone());
    supervise(&settings, Part::Probe, output, &stop)
}

/// Runs the collectors of a worker as [`run`] runs those of the probe, and writes what they read to `output`. It ends
/// when one of them hangs: nothing else gets it out of a device.
///
/// # Errors
/// As [`run`], and [`ProbeError::Hung`] behind a status that says which call did not come back.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a role owns its settings and its wish to stop; whoever starts it hands them over to a thread"
)]
pub fn run_worker(
    settings: ProbeSettings,
    output: Output,
    stop: Arc<AtomicBool>,
) -> Result<(), ProbeError> {
    if let Output::Pipe(pipe) = &output {
        ioctl_fionbio(pipe, true).map_err(|error| ProbeError::Output {
            source: error.into(),
        })?;
    }
    supervise(&settings, Part::Worker, output, &stop)
}

/// Which part of the probe a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The probe itself.
    Probe,
    /// One of its workers.
    Worker,
}

fn supervise(
    settings: &ProbeSettings,
    part: Part,
    output: Output,
    stop: &AtomicBool,
) -> Result<(), ProbeError> {
    let mut probe = Probe::new(settings, part);
    let started = probe.start(settings, output);
    let ended = started.and_then(|()| probe.watch(settings, stop));
    // what hangs will not end, however long one waits
    let patience = match ended {
        Err(ProbeError::Hung { .. }) => Duration::ZERO,
        _ => FAREWELL,
    };
    probe.stop(patience);
    ended
}

/// A running probe.
struct Probe {
    part: Part,
    run: u64,
    stop: Arc<Stop>,
    queue: Arc<Queue>,
    numbers: Numbers,
    slots: Vec<Arc<Slot>>,
    workers: Vec<Kept>,
    crew: Arc<Crew>,
    writer: Option<JoinHandle<()>>,
    own: Recorder,
    own_slot: Slot,
    /// How many dropped batches have been reported.
    dropped: u64,
}

impl Probe {
    fn new(settings: &ProbeSettings, part: Part) -> Self {
        let numbers = Numbers::new();
        let queue = Queue::new(queue_batches(settings)).for_collectors(settings.collectors.len());
        let queue = Arc::new(queue);
        let stack_bytes = match part {
            Part::Probe => STACK_BYTES,
            Part::Worker => WORKER_STACK_BYTES,
        };
        let owner = Owner {
            collector: OWN_COLLECTOR,
            metrics: OWN_METRICS,
            interval: settings.tempo.status,
        };
        Self {
            part,
            run: new_run(),
            stop: Arc::default(),
            crew: Crew::new(&queue, stack_bytes),
            queue,
            own: Recorder::new(owner, &[], numbers.clone()),
            own_slot: Slot::new(
                own_place(owner.interval, &settings.tempo),
                CollectorState::Absent,
            ),
            dropped: 0,
            numbers,
            slots: Vec::new(),
            workers: Vec::new(),
            writer: None,
        }
    }

    fn start(&mut self, settings: &ProbeSettings, output: Output) -> Result<(), ProbeError> {
        let run = self.run;
        let (queue, stop) = (Arc::clone(&self.queue), Arc::clone(&self.stop));
        self.writer = Some(spawn("frames".to_owned(), STACK_BYTES, move || {
            send(run, output, &queue, &stop);
        })?);
        let mut runners = Vec::new();
        for planned in settings.collectors.iter().take(MOST_PLANNED) {
            let is_elsewhere = self.part == Part::Probe && planned.spec.worker().is_some();
            let slot = self.make_slot(settings, planned);
            if planned.enabled && !is_elsewhere {
                runners.push(self.runner(settings, planned, slot));
            } else if planned.enabled {
                self.hand_over(settings, planned, slot);
            }
        }
        let collectors = runners.len();
        self.crew.take_on(runners)?;
        for kept in &mut self.workers {
            kept.start(settings, &self.stop)?;
        }
        let workers = self.workers.len();
        match self.part {
            Part::Probe => info!(collectors, workers, "The probe runs."),
            Part::Worker => info!(collectors, "The worker runs."),
        }
        Ok(())
    }

    fn make_slot(&mut self, settings: &ProbeSettings, planned: &Planned) -> Arc<Slot> {
        // until its first run a collector has said nothing, and silence is what `Absent` stands for
        let state = if planned.enabled {
            CollectorState::Absent
        } else {
            CollectorState::Disabled
        };
        let interval = settings.tempo.interval(planned);
        let place = Place::new(planned.spec, interval, &settings.tempo);
        let slot = Arc::new(Slot::new(place, state));
        self.slots.push(Arc::clone(&slot));
        slot
    }

    /// Leaves a collector to its worker.
    fn hand_over(&mut self, settings: &ProbeSettings, planned: &Planned, slot: Arc<Slot>) {
        let mut plans = settings.workers.iter();
        let plan = plans.find(|plan| Some(plan.worker) == planned.spec.worker());
        let Some(plan) = plan else {
            slot.absent("its worker is not planned");
            return;
        };
        let interval = settings.tempo.interval(planned);
        let at = self
            .workers
            .iter()
            .position(|kept| kept.worker == plan.worker);
        let at = at.unwrap_or_else(|| {
            self.workers.push(Kept::new(plan, &self.queue));
            self.workers.len().saturating_sub(1)
        });
        if let Some(kept) = self.workers.get_mut(at) {
            kept.add(planned.clone(), interval, slot, self.numbers.clone());
        }
    }

    fn runner(&self, settings: &ProbeSettings, planned: &Planned, slot: Arc<Slot>) -> Runner {
        let spec = planned.spec;
        let interval = settings.tempo.interval(planned);
        let owner = Owner {
            collector: spec.name(),
            metrics: spec.metrics(),
            interval,
        };
        Runner {
            planned: planned.clone(),
            root: settings.root.clone(),
            interval,
            recorder: Recorder::new(owner, spec.facts(), self.numbers.clone())
                .with_voice(Voice::of(spec))
                .watched_by(&slot),
            slot,
            queue: Arc::clone(&self.queue),
            collector: None,
        }
    }

    fn watch(&mut self, settings: &ProbeSettings, stop: &AtomicBool) -> Result<(), ProbeError> {
        let mut report_at = Instant::now() + settings.tempo.tick;
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(settings.tempo.tick);
            if self.writer.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(ProbeError::WriterEnded);
            }
            let hung = self.watch_collectors();
            let now = Instant::now();
            self.report_silence(now);
            if let (Part::Worker, Some(hung)) = (self.part, hung) {
                self.report_collectors();
                return Err(hung);
            }
            if now >= report_at {
                report_at = now + settings.tempo.status;
                self.report_own();
                self.report_collectors();
            } else if self.slots.iter().any(|slot| slot.take_changed()) {
                self.report_collectors();
            }
        }
        Ok(())
    }

    /// Finds what hangs, and gives one of those that did not before.
    fn watch_collectors(&self) -> Option<ProbeError> {
        let mut hung = None;
        for slot in &self.slots {
            if let Some(detail) = slot.watch() {
                warn!(
                    collector = slot.name,
                    detail, "The collector hangs; it costs its own series only."
                );
                let collector = slot.name;
                hung = Some(ProbeError::Hung { collector, detail });
            }
        }
        hung
    }

    /// Says what is wrong, and that the series of a silent collector have no value.
    fn report_silence(&self, now: Instant) {
        for slot in &self.slots {
            if let Some(conditions) = slot.take_conditions(now) {
                self.push_other(&Message::Conditions {
                    collector: slot.name.to_owned(),
                    conditions,
                });
            }
            // of a worker's collectors the probe says so, which outlives the worker
            if self.part == Part::Worker {
                continue;
            }
            if let Some(samples) = slot.take_blanks(now) {
                let batch = Batch {
                    collector: slot.name.to_owned(),
                    at: SystemClock.moment(),
                    samples,
                };
                self.queue.push(Outgoing {
                    batch: Some(Message::Batch(batch).encode()),
                    ..Outgoing::default()
                });
            }
        }
    }

    fn report_collectors(&self) {
        let mut statuses = Vec::with_capacity(self.slots.len().saturating_add(1));
        for slot in self
            .slots
            .iter()
            .map(|slot| &**slot)
            .chain([&self.own_slot])
        {
            slot.take_changed();
            statuses.push(slot.status());
        }
        self.push_other(&Message::Status(statuses));
    }

    fn report_own(&mut self) {
        let at = SystemClock.moment();
        let counts = self.queue.counts();
        if self.part == Part::Probe {
            self.report_own_metrics(at, counts);
        }
        self.push_other(&Message::Heartbeat(Heartbeat {
            at,
            batches_dropped: counts.dropped,
            queued_batches: u64::try_from(counts.batches).unwrap_or(u64::MAX),
            queued_bytes: u64::try_from(counts.bytes).unwrap_or(u64::MAX),
        }));
    }

    fn report_own_metrics(&mut self, at: Moment, counts: QueueCounts) {
        let slots: Vec<&Slot> = self.slots.iter().map(|slot| &**slot).collect();
        self.own_slot.begin();
        self.own.begin();
        let workers: Vec<_> = self
            .workers
            .iter()
            .map(|kept| (kept.worker, kept.counts()))
            .collect();
        write_own(&slots, &workers, counts, &mut self.own);
        let mut verdict = self.own.verdict(Ending::Returned(Ok(Presence::Present)));
        if counts.dropped > self.dropped {
            self.dropped = counts.dropped;
            verdict.state = CollectorState::Partial(FailureReason::Timeout);
            verdict.detail = format!(
                "{} batches were dropped since the start because the node did not read in time",
                counts.dropped
            );
        }
        self.own_slot.end(at.wall, &verdict);
        let outgoing = self.own.payloads(at, verdict.state, Repeat::Due);
        if self.queue.push(outgoing) {
            self.own.sent();
        }
    }

    fn push_other(&self, message: &Message) {
        self.queue.push(Outgoing {
            others: vec![message.encode()],
            ..Outgoing::default()
        });
    }

    /// Ends the collectors, which get this long, and the writer.
    fn stop(self, patience: Duration) {
        self.stop.set();
        self.crew.close();
        let kept = self.workers.into_iter().filter_map(|kept| kept.thread);
        let kept: Vec<JoinHandle<()>> = kept.collect();
        let until = Instant::now() + patience;
        wait_for(|| self.crew.has_ended() && have_ended(&kept), until);
        self.queue.close();
        let writer = self.writer.as_slice();
        wait_for(|| have_ended(writer), Instant::now() + FAREWELL);
        let counts = self.queue.counts();
        info!(
            dropped = counts.dropped,
            unsent = counts.batches,
            "The probe has stopped."
        );
    }
}

/// Waits until they have ended, or until then.
fn wait_for(have_ended: impl Fn() -> bool, until: Instant) {
    while Instant::now() < until && !have_ended() {
        std::thread::sleep(FAREWELL_STEP);
    }
}

fn have_ended(threads: &[JoinHandle<()>]) -> bool {
    threads.iter().all(JoinHandle::is_finished)
}

pub(crate) fn spawn(
    name: String,
    stack_bytes: usize,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, ProbeError> {
    Builder::new()
        .name(name.clone())
        .stack_size(stack_bytes)
        .spawn(body)
        .map_err(|source| ProbeError::Thread { name, source })
}

/// As many batches as all collectors make in the time that the queue is to last.
fn queue_batches(settings: &ProbeSettings) -> usize {
    let batches = settings.collectors.iter().map(|planned| {
        let interval = settings.tempo.interval(planned).as_nanos().max(1);
        usize::try_from(settings.tempo.queue.as_nanos().div_ceil(interval)).unwrap_or(usize::MAX)
    });
    batches.fold(FEWEST_BATCHES, usize::saturating_add)
}

/// A run id that no run had before: random, and never zero.
fn new_run() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    let now = SystemClock.moment();
    hasher.write_i64(now.wall.nanos());
    hasher.write_u64(now.boot.nanos());
    hasher.write_u32(std::process::id());
    hasher.finish().max(1)
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
