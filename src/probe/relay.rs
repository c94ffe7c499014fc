//! What a worker says, taken as if its collectors ran here: their declarations hold for it, and nothing that it writes
//! is passed on as it came.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glasshouse_core::collector::SampleWriter as _;
use glasshouse_core::condition::Condition;
use glasshouse_core::fact::Fact;
use glasshouse_core::labels::Labels;
use glasshouse_core::log::LogEntry;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::reader::{CollectorState, CollectorStatus};
use glasshouse_core::sample::Quality;
use glasshouse_core::time::{Clock, Moment, SystemClock};
use glasshouse_wire::{Batch, Message, SeriesDefinition};

use crate::board::Slot;
use crate::notices::STALLED;
use crate::queue::{Outgoing, Queue};
use crate::recorder::{Recorder, Repeat, Voice, log_payloads};
use crate::series::{MOST_SERIES, Numbers, Owner};
use crate::settings::Planned;

/// A series that was not written for this many batches may make room for others.
const KEPT_BATCHES: u64 = 3;

/// A batch is taken at most this much older than now: what waited in the worker while the probe did not read.
const OLDEST: Duration = Duration::from_secs(60);

/// Clocks are the same on both sides; a batch from the future is a lie.
const NEWEST: Duration = Duration::from_secs(1);

/// So many batches may come at once, after a pause.
const BURST: f64 = 4.0;

/// So many batches may come in one interval; a collector makes one.
const BATCHES_AN_INTERVAL: f64 = 2.0;

/// So many log entries may come at once: the event logs of a few BMCs, read for the first time …
const LOG_BURST: f64 = 8192.0;

/// … and so many a second from then on.
const LOG_ENTRIES_A_SECOND: f64 = 16.0;

/// So many lists of conditions that differ may come at once …
const CONDITION_BURST: f64 = 8.0;

/// … and so many a second from then on. One that comes too soon waits, and the next one takes its place.
const CONDITION_CHANGES_A_SECOND: f64 = 0.2;

/// A worker that is started by somebody else may begin anew so often at once …
const RUN_BURST: f64 = 4.0;

/// … and so often a second from then on: a service manager waits longer.
const RUNS_A_SECOND: f64 = 4.0 / 60.0;

/// What is counted of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerCounts {
    pub(crate) starts: u64,
    pub(crate) log_dropped: u64,
    /// The process that the probe started, while it lives.
    pub(crate) process: Option<u32>,
}

/// Takes the messages of one worker.
#[derive(Debug)]
pub(crate) struct Relay {
    collectors: Vec<Relayed>,
    queue: Arc<Queue>,
    log_allowance: Allowance,
    run_allowance: Allowance,
    /// Log entries that were too many, or not of the log that the collector reads.
    pub(crate) log_dropped: u64,
}

/// One collector of the worker.
#[derive(Debug)]
struct Relayed {
    planned: Planned,
    slot: Arc<Slot>,
    recorder: Recorder,
    /// By the numbers of the worker's run.
    series: HashMap<u32, Known>,
    batches: u64,
    batch_allowance: Allowance,
    fact_allowance: Allowance,
    voice: Voice,
    condition_allowance: Allowance,
    /// The conditions that were passed on last.
    stated: Option<Vec<Condition>>,
    /// The conditions that wait until there may be a change.
    waiting: Option<Vec<Condition>>,
}

/// A series by the worker's number.
#[derive(Debug)]
struct Known {
    metric: &'static MetricDefinition,
    /// In the order in which the metric declares them.
    labels: Box<[Box<str>]>,
    /// The batch that used it last.
    used: u64,
}

impl Relay {
    pub(crate) fn new(queue: &Arc<Queue>) -> Self {
        Self {
            collectors: Vec::new(),
            queue: Arc::clone(queue),
            log_allowance: Allowance::new(LOG_BURST, LOG_ENTRIES_A_SECOND),
            run_allowance: Allowance::new(RUN_BURST, RUNS_A_SECOND),
            log_dropped: 0,
        }
    }

    /// Adds a collector of the worker.
    pub(crate) fn add(
        &mut self,
        planned: Planned,
        interval: Duration,
        slot: Arc<Slot>,
        numbers: Numbers,
    ) {
        let owner = Owner {
            collector: planned.spec.name(),
            metrics: planned.spec.metrics(),
            interval,
        };
        let pace = BATCHES_AN_INTERVAL / interval.as_secs_f64().max(0.001);
        self.collectors.push(Relayed {
            recorder: Recorder::new(owner, planned.spec.facts(), numbers),
            voice: Voice::of(planned.spec),
            planned,
            slot,
            series: HashMap::new(),
            batches: 0,
            batch_allowance: Allowance::new(BURST, pace),
            fact_allowance: Allowance::new(BURST, pace),
            condition_allowance: Allowance::new(CONDITION_BURST, CONDITION_CHANGES_A_SECOND),
            stated: None,
            waiting: None,
        });
    }

    /// The collectors with what they were planned to do.
    pub(crate) fn planned(&self) -> impl Iterator<Item = (&Planned, &Slot)> {
        let all = self.collectors.iter();
        all.map(|one| (&one.planned, &*one.slot))
    }

    /// The worker starts: its numbers begin anew.
    pub(crate) fn restart(&mut self) {
        for one in &mut self.collectors {
            one.series.clear();
            one.slot.restarted();
        }
    }

    /// Whether the worker may be taken to have been started again by somebody else.
    pub(crate) fn may_restart(&mut self) -> bool {
        self.run_allowance.take(1.0)
    }

    /// Takes a message. `false` where it is none that this worker may send.
    pub(crate) fn take(&mut self, message: Message) -> bool {
        for one in &mut self.collectors {
            one.pass_on();
        }
        match message {
            // one that is refused costs no other
            Message::Define(definitions) => {
                let all = definitions.iter();
                all.filter(|one| !self.define(one)).count() == 0
            }
            Message::Batch(batch) => self.batch(&batch),
            Message::Facts { collector, facts } => self.facts(&collector, facts),
            Message::Status(statuses) => {
                let all = statuses.iter();
                all.filter(|status| !self.status(status)).count() == 0
            }
            Message::Heartbeat(_) => true,
            Message::Conditions {
                collector,
                conditions,
            } => self.conditions(&collector, conditions),
            Message::Log { collector, entries } => self.log(&collector, &entries),
        }
    }

    fn find(&mut self, collector: &str) -> Option<&mut Relayed> {
        let mut all = self.collectors.iter_mut();
        all.find(|one| one.slot.name == collector)
    }

    fn define(&mut self, definition: &SeriesDefinition) -> bool {
        self.find(&definition.info.collector)
            .is_some_and(|one| one.define(definition))
    }

    fn batch(&mut self, batch: &Batch) -> bool {
        let queue = Arc::clone(&self.queue);
        self.find(&batch.collector)
            .is_some_and(|one| one.batch(batch, &queue))
    }

    fn facts(&mut self, collector: &str, mut facts: Vec<Fact>) -> bool {
        let queue = Arc::clone(&self.queue);
        let Some(one) = self.find(collector) else {
            return false;
        };
        if !one.fact_allowance.take(1.0) {
            return true;
        }
        let declared = one.planned.spec.facts();
        let count = facts.len();
        facts.retain(|fact| declared.iter().any(|known| known.key == fact.key));
        let all = facts.len() == count;
        let message = Message::Facts {
            collector: one.slot.name.to_owned(),
            facts,
        };
        queue.push(Outgoing {
            others: vec![message.encode()],
            ..Outgoing::default()
        });
        all
    }

    fn status(&mut self, status: &CollectorStatus) -> bool {
        match self.find(&status.name) {
            // whether a collector is switched off is the probe's to say
            Some(_) if status.state == CollectorState::Disabled => true,
            Some(one) => {
                one.slot.heard(status);
                true
            }
            // the worker's supervisor
            None => status.name == crate::own::OWN_COLLECTOR,
        }
    }

    fn conditions(&mut self, collector: &str, conditions: Vec<Condition>) -> bool {
        self.find(collector)
            .is_some_and(|one| one.conditions(conditions))
    }

    fn log(&mut self, collector: &str, entries: &[LogEntry]) -> bool {
        let Some((name, voice)) = self.find(collector).map(|one| (one.slot.name, one.voice)) else {
            return false;
        };
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        if !entries.iter().all(|entry| voice.may_log(entry)) {
            self.log_dropped = self.log_dropped.saturating_add(u64::from(count));
            return false;
        }
        if self.log_allowance.take(f64::from(count)) {
            self.queue.push(Outgoing {
                log: log_payloads(name, entries),
                ..Outgoing::default()
            });
        } else {
            self.log_dropped = self.log_dropped.saturating_add(u64::from(count));
        }
        true
    }
}

impl Relayed {
    /// Learns a number. Only the name of the metric and the labels are believed: what they mean is declared here.
    fn define(&mut self, definition: &SeriesDefinition) -> bool {
        let info = &definition.info;
        let mut declared = self.planned.spec.metrics().iter();
        let Some(metric) = declared.find(|metric| metric.name == info.metric) else {
            return false;
        };
        let Some(labels) = labels_of(metric, &info.labels) else {
            return false;
        };
        if self.series.len() >= MOST_SERIES && !self.series.contains_key(&definition.number) {
            let before = self.batches.saturating_sub(KEPT_BATCHES);
            self.series.retain(|_, known| known.used >= before);
            if self.series.len() >= MOST_SERIES {
                return false;
            }
        }
        let known = Known {
            metric,
            labels,
            used: self.batches,
        };
        match self.series.get_mut(&definition.number) {
            Some(same) if same.metric.name == metric.name && same.labels == known.labels => {}
            Some(other) => *other = known,
            None => {
                self.series.insert(definition.number, known);
            }
        }
        true
    }

    /// Takes all that is wrong. `false` where some of it is not this collector's to say.
    fn conditions(&mut self, mut conditions: Vec<Condition>) -> bool {
        let count = conditions.len();
        // that it gives no answer is said by the worker's supervisor in its name
        conditions.retain(|one| one.cause == STALLED || self.voice.may_state(&one.cause));
        let refused = count.saturating_sub(conditions.len());
        if self.waiting.replace(conditions).is_some() {
            self.slot.refuse(1);
        }
        self.slot.refuse(u64::try_from(refused).unwrap_or(u64::MAX));
        self.pass_on();
        refused == 0
    }

    /// Passes on the conditions that wait, where that is no change or there may be one.
    fn pass_on(&mut self) {
        if self.waiting.is_none() {
            return;
        }
        if self.stated == self.waiting || self.condition_allowance.take(1.0) {
            self.stated = self.waiting.take();
            // the worker has kept what a failed run could not say to be over
            let stated = self.stated.clone().unwrap_or_default();
            self.slot.conditions(stated, CollectorState::Good);
        }
    }

    /// Writes a batch as if it had been read here.
    fn batch(&mut self, batch: &Batch, queue: &Queue) -> bool {
        let is_timely = is_timely(batch.at, SystemClock.moment());
        if !is_timely || !self.batch_allowance.take(1.0) {
            self.slot.heard_samples(1);
            return is_timely;
        }
        self.batches = self.batches.saturating_add(1);
        self.recorder.begin();
        let mut unknown = 0u64;
        for (number, value, quality) in &batch.samples {
            let Some(known) = self.series.get_mut(number) else {
                unknown = unknown.saturating_add(1);
                continue;
            };
            known.used = self.batches;
            let mut labels = [""; Labels::MOST];
            for (label, text) in labels.iter_mut().zip(&known.labels) {
                *label = text;
            }
            let labels = labels.get(..known.labels.len()).unwrap_or_default();
            match (value, quality) {
                (_, Quality::Absent(reason)) => {
                    self.recorder.absent(known.metric, labels, *reason);
                }
                (Some(value), _) => self.recorder.sample(known.metric, labels, *value),
                (None, _) => {}
            }
        }
        let refused = unknown.saturating_add(self.recorder.refused());
        self.slot.heard_samples(refused);
        let repeat = if queue.keeps_up() {
            Repeat::Due
        } else {
            Repeat::Later
        };
        let outgoing = self.recorder.sample_payloads(batch.at, repeat);
        if queue.push(outgoing) {
            self.recorder.sent();
        }
        self.slot.knows(self.recorder.numbers());
        refused == 0
    }
}

/// Whether both clocks say that it was just now.
fn is_timely(at: Moment, now: Moment) -> bool {
    let by_wall = at.wall >= now.wall.before(OLDEST) && at.wall <= now.wall.after(NEWEST);
    // `since` is zero where the other is later
    by_wall && now.boot.since(at.boot) <= OLDEST && at.boot.since(now.boot) <= NEWEST
}

/// The labels in the order of the metric; `None` where one is not declared, or one is left out before another.
fn labels_of(metric: &MetricDefinition, labels: &Labels) -> Option<Box<[Box<str>]>> {
    let values = metric.labels.iter().map(|label| labels.get(label.key));
    let values: Vec<Box<str>> = values
        .map_while(|value| value.map(|value| value.raw().into()))
        .collect();
    (values.len() == labels.len()).then(|| values.into_boxed_slice())
}

/// So much at once, and so much a second from then on.
#[derive(Debug)]
struct Allowance {
    most: f64,
    a_second: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(most: f64, a_second: f64) -> Self {
        Self {
            most,
            a_second,
            left: most,
            at: Instant::now(),
        }
    }

    /// Takes some, where there is as much.
    fn take(&mut self, amount: f64) -> bool {
        let now = Instant::now();
        let gained = now.duration_since(self.at).as_secs_f64() * self.a_second;
        self.at = now;
        self.left = (self.left + gained).min(self.most);
        if self.left < amount {
            return false;
        }
        self.left -= amount;
        true
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
