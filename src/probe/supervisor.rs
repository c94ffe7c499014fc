//! Starts the threads, watches over them, reports them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use glasshouse_core::collector::Presence;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::CollectorState;
use glasshouse_core::time::{Clock, SystemClock};
use glasshouse_wire::{Heartbeat, MOST_COLLECTORS, Message};
use tracing::{info, warn};

use crate::board::Slot;
use crate::own::{OWN_COLLECTOR, OWN_METRICS, write_own};
use crate::queue::{Outgoing, Queue};
use crate::recorder::{Ending, Recorder, Repeat};
use crate::runner::Runner;
use crate::sender::send;
use crate::series::{Numbers, Owner};
use crate::settings::{Planned, ProbeError, ProbeSettings};
use crate::stop::Stop;

/// A collector parses small files and the writer copies bytes; only what is touched of a stack costs memory.
const STACK_BYTES: usize = 256 * 1024;

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
    let mut probe = Probe::new(&settings);
    let started = probe.start(&settings);
    let ended = started.and_then(|()| probe.watch(&settings, &stop));
    probe.stop();
    ended
}

/// A running probe.
struct Probe {
    run: u64,
    stop: Arc<Stop>,
    queue: Arc<Queue>,
    numbers: Numbers,
    slots: Vec<Arc<Slot>>,
    /// With the place of its collector.
    threads: Vec<(usize, JoinHandle<()>)>,
    writer: Option<JoinHandle<()>>,
    own: Recorder,
    own_slot: Slot,
    /// How many dropped batches have been reported.
    dropped: u64,
}

impl Probe {
    fn new(settings: &ProbeSettings) -> Self {
        let numbers = Numbers::new();
        let owner = Owner {
            collector: OWN_COLLECTOR,
            metrics: OWN_METRICS,
            interval: settings.tempo.status,
        };
        Self {
            run: new_run(),
            stop: Arc::default(),
            queue: Arc::new(Queue::new(queue_batches(settings))),
            own: Recorder::new(owner, &[], numbers.clone()),
            own_slot: Slot::new(
                OWN_COLLECTOR,
                owner.interval,
                settings.tempo.deadline(owner.interval),
                CollectorState::Absent,
            ),
            dropped: 0,
            numbers,
            slots: Vec::new(),
            threads: Vec::new(),
            writer: None,
        }
    }

    fn start(&mut self, settings: &ProbeSettings) -> Result<(), ProbeError> {
        let (run, frames) = (self.run, settings.frames.clone());
        let (queue, stop) = (Arc::clone(&self.queue), Arc::clone(&self.stop));
        self.writer = Some(spawn("frames".to_owned(), move || {
            send(run, &frames, &queue, &stop);
        })?);
        for planned in settings.collectors.iter().take(MOST_PLANNED) {
            self.start_collector(settings, planned)?;
        }
        info!(collectors = self.threads.len(), "The probe runs.");
        Ok(())
    }

    fn start_collector(
        &mut self,
        settings: &ProbeSettings,
        planned: &Planned,
    ) -> Result<(), ProbeError> {
        let spec = planned.spec;
        let interval = settings.tempo.interval(planned);
        let deadline = settings.tempo.deadline(interval);
        // until its first run a collector has said nothing, and silence is what `Absent` stands for
        let state = if planned.enabled {
            CollectorState::Absent
        } else {
            CollectorState::Disabled
        };
        let slot = Arc::new(Slot::new(spec.name(), interval, deadline, state));
        self.slots.push(Arc::clone(&slot));
        if !planned.enabled {
            return Ok(());
        }
        let owner = Owner {
            collector: spec.name(),
            metrics: spec.metrics(),
            interval,
        };
        let runner = Runner {
            planned: planned.clone(),
            root: settings.root.clone(),
            interval,
            recorder: Recorder::new(owner, spec.facts(), self.numbers.clone()),
            slot,
            queue: Arc::clone(&self.queue),
            stop: Arc::clone(&self.stop),
        };
        let thread = spawn(spec.name().to_owned(), move || runner.run())?;
        self.threads
            .push((self.slots.len().saturating_sub(1), thread));
        Ok(())
    }

    fn watch(&mut self, settings: &ProbeSettings, stop: &AtomicBool) -> Result<(), ProbeError> {
        let mut report_at = Instant::now() + settings.tempo.tick;
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(settings.tempo.tick);
            if self.writer.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(ProbeError::WriterEnded);
            }
            self.watch_collectors();
            let now = Instant::now();
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

    fn watch_collectors(&mut self) {
        for slot in &self.slots {
            if slot.watch() {
                warn!(
                    collector = slot.name,
                    "The collector hangs; it costs its own series only."
                );
            }
        }
        let slots = &self.slots;
        keep_running(&mut self.threads, JoinHandle::is_finished, |at| {
            if let Some(slot) = slots.get(at) {
                slot.ended();
            }
        });
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
        let slots: Vec<&Slot> = self.slots.iter().map(|slot| &**slot).collect();
        self.own_slot.begin();
        self.own.begin();
        write_own(&slots, counts, &mut self.own);
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
        self.push_other(&Message::Heartbeat(Heartbeat {
            at,
            batches_dropped: counts.dropped,
            queued_batches: u64::try_from(counts.batches).unwrap_or(u64::MAX),
            queued_bytes: u64::try_from(counts.bytes).unwrap_or(u64::MAX),
        }));
    }

    fn push_other(&self, message: &Message) {
        self.queue.push(Outgoing {
            others: vec![message.encode()],
            ..Outgoing::default()
        });
    }

    fn stop(self) {
        self.stop.set();
        let until = Instant::now() + FAREWELL;
        let collectors: Vec<JoinHandle<()>> =
            self.threads.into_iter().map(|(_, thread)| thread).collect();
        wait_for(&collectors, until);
        self.queue.close();
        wait_for(self.writer.as_slice(), until);
        let counts = self.queue.counts();
        info!(
            dropped = counts.dropped,
            unsent = counts.batches,
            "The probe has stopped."
        );
    }
}

/// Keeps the threads that go on, and says of which collectors the others were. Each is asked once: one that ended
/// between two questions would be let go and nobody told.
fn keep_running<T>(
    threads: &mut Vec<(usize, T)>,
    is_finished: impl Fn(&T) -> bool,
    mut ended: impl FnMut(usize),
) {
    threads.retain(|(at, thread)| {
        let is_finished = is_finished(thread);
        if is_finished {
            ended(*at);
        }
        !is_finished
    });
}

/// Waits until the threads have ended, or until then.
fn wait_for(threads: &[JoinHandle<()>], until: Instant) {
    while Instant::now() < until && !threads.iter().all(JoinHandle::is_finished) {
        std::thread::sleep(FAREWELL_STEP);
    }
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ProbeError> {
    Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES)
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
