//! Takes what a collector says in one run and makes payloads of it.

use std::sync::Arc;

use glasshouse_core::collector::{CollectorSpec, Presence, SampleWriter};
use glasshouse_core::condition::Condition;
use glasshouse_core::fact::{Fact, FactDefinition};
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::metric::{MetricDefinition, ValueType};
use glasshouse_core::reader::{CollectorState, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Moment;
use glasshouse_wire::{
    BatchEncoder, MOST_CONDITIONS, MOST_DEFINITIONS, MOST_LOG_ENTRIES, Message, SampleRow,
    SeriesDefinition,
};

use crate::board::Slot;
use crate::facts::FactSheet;
use crate::queue::{LogPayload, Outgoing};
use crate::series::{Numbers, Owner, Refusal, SeriesTable};
use crate::settings::REPEAT_PERIOD;

/// The most bytes of definitions in one message; one definition has at most 50 KiB, and a frame takes 256.
const MOST_DEFINITION_BYTES: usize = 64 * 1024;

/// The most log entries of one run: the whole event log of a BMC, read for the first time.
const MOST_LOG: usize = 4096;

/// How a run of a collector ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It returned.
    Returned(Result<Presence, CollectError>),
    /// It panicked, which no collector may.
    Panicked,
}

/// What one run says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How it ended.
    pub(crate) state: CollectorState,
    /// Why, where it did not just succeed.
    pub(crate) detail: String,
    /// Series that it wrote.
    pub(crate) series: u32,
    /// Samples and facts that were not taken.
    pub(crate) refused: u64,
}

/// What a collector may say beside values and facts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Voice {
    causes: &'static [&'static str],
    hang_cause: &'static str,
    log_source: Option<LogSource>,
}

impl Voice {
    pub(crate) fn of(spec: &dyn CollectorSpec) -> Self {
        Self {
            causes: spec.causes(),
            hang_cause: spec.hang_cause(),
            log_source: spec.log_source(),
        }
    }

    /// Whether it may say that this is wrong.
    pub(crate) fn may_state(&self, cause: &str) -> bool {
        cause == self.hang_cause || self.causes.contains(&cause)
    }

    /// Whether it may say that this stands in a log.
    pub(crate) fn may_log(&self, entry: &LogEntry) -> bool {
        self.log_source == Some(entry.source)
    }
}

/// Takes what a collector says in one run.
#[derive(Debug)]
pub(crate) struct Recorder {
    owner: Owner,
    voice: Voice,
    facts_declared: &'static [FactDefinition],
    table: SeriesTable,
    encoder: BatchEncoder,
    samples: Vec<SampleRow>,
    facts: FactSheet,
    facts_age: u64,
    failure: Option<(FailureReason, String)>,
    refused: u64,
    refusal: &'static str,
    conditions: Vec<Condition>,
    log: Vec<LogEntry>,
    /// Who watches the calls.
    watched: Option<Arc<Slot>>,
}

impl Recorder {
    pub(crate) fn new(
        owner: Owner,
        facts_declared: &'static [FactDefinition],
        numbers: Numbers,
    ) -> Self {
        Self {
            owner,
            voice: Voice::default(),
            facts_declared,
            table: SeriesTable::new(owner, numbers),
            encoder: BatchEncoder::default(),
            samples: Vec::new(),
            facts: FactSheet::default(),
            facts_age: 0,
            failure: None,
            refused: 0,
            refusal: "",
            conditions: Vec::new(),
            log: Vec::new(),
            watched: None,
        }
    }

    /// The same, which takes conditions and log entries too.
    pub(crate) const fn with_voice(mut self, voice: Voice) -> Self {
        self.voice = voice;
        self
    }

    /// The same, telling the slot which calls begin.
    pub(crate) fn watched_by(mut self, slot: &Arc<Slot>) -> Self {
        self.watched = Some(Arc::clone(slot));
        self
    }

    /// Begins another run.
    pub(crate) fn begin(&mut self) {
        self.table.begin();
        self.samples.clear();
        self.facts.begin();
        self.conditions.clear();
        self.log.clear();
        self.failure = None;
        self.refused = 0;
        self.refusal = "";
    }

    /// What the run says of itself.
    pub(crate) fn verdict(&mut self, ending: Ending) -> Verdict {
        let nothing = self.samples.is_empty() && self.facts.is_empty() && self.log.is_empty();
        let (state, detail) = match ending {
            Ending::Panicked => (
                CollectorState::Failed(FailureReason::Io),
                "the collector panicked, which is a bug in it".to_owned(),
            ),
            Ending::Returned(Err(error)) => {
                (CollectorState::Failed(error.reason), error.to_string())
            }
            Ending::Returned(Ok(Presence::Absent(what))) if nothing => {
                (CollectorState::Absent, what)
            }
            Ending::Returned(Ok(_)) => match self.failure.take() {
                Some((reason, detail)) if nothing => (CollectorState::Failed(reason), detail),
                Some((reason, detail)) => (CollectorState::Partial(reason), detail),
                None if self.refused > 0 => (
                    CollectorState::Partial(FailureReason::Malformed),
                    format!("{} values were not taken: {}", self.refused, self.refusal),
                ),
                None => (CollectorState::Good, String::new()),
            },
        };
        Verdict {
            state,
            detail,
            series: u32::try_from(self.samples.len()).unwrap_or(u32::MAX),
            refused: self.refused,
        }
    }

    /// Samples and facts of the run that were not taken.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// The payloads of the run. `repeat` says whether the link has room for what was said before.
    pub(crate) fn payloads(
        &mut self,
        at: Moment,
        state: CollectorState,
        repeat: Repeat,
    ) -> Outgoing {
        let mut outgoing = self.sample_payloads(at, repeat);
        outgoing.others.extend(self.fact_payload(state));
        outgoing
    }

    /// The payloads of the run but for its facts.
    pub(crate) fn sample_payloads(&mut self, at: Moment, repeat: Repeat) -> Outgoing {
        let mut outgoing = Outgoing {
            definitions: definition_payloads(self.table.new_definitions()),
            ..Outgoing::default()
        };
        if repeat == Repeat::Due {
            outgoing.others = definition_payloads(self.table.repeated_definitions());
        }
        if !self.samples.is_empty() {
            outgoing.batch = Some(self.encoder.encode(self.owner.collector, at, &self.samples));
        }
        outgoing
    }

    /// The payloads are on their way: the definitions need not be sent first again.
    pub(crate) fn sent(&mut self) {
        self.table.told();
    }

    /// The numbers of the series that the run wrote.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.samples.iter().map(|(number, ..)| *number)
    }

    /// What the run says to be wrong.
    pub(crate) fn take_conditions(&mut self) -> Vec<Condition> {
        std::mem::take(&mut self.conditions)
    }

    /// The log entries of the run. They hold however late it came, for they have times of their own and are said once.
    pub(crate) fn take_log(&mut self) -> Vec<LogPayload> {
        let entries = std::mem::take(&mut self.log);
        log_payloads(self.owner.collector, &entries)
    }

    /// The samples of the run with what their series are; for a single run.
    pub(crate) fn readings(&self) -> Vec<(SeriesInfo, Option<Value>, Quality)> {
        let rows = self.samples.iter();
        rows.filter_map(|(number, value, quality)| {
            Some((self.table.info(*number)?, *value, *quality))
        })
        .collect()
    }

    /// The facts of the run.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.facts.facts()
    }

    /// The facts, where they changed or are due again. A failed run says nothing about facts.
    fn fact_payload(&mut self, state: CollectorState) -> Option<Vec<u8>> {
        let age = REPEAT_PERIOD.as_nanos() / self.owner.interval.as_nanos().max(1);
        self.facts_age = self.facts_age.saturating_add(1);
        let is_due = u128::from(self.facts_age) >= age && !self.facts.is_empty();
        let failed = matches!(state, CollectorState::Failed(_));
        if failed || !(is_due || self.facts.has_changed()) {
            return None;
        }
        self.facts_age = 0;
        self.facts.sent();
        let message = Message::Facts {
            collector: self.owner.collector.to_owned(),
            facts: self.facts.facts(),
        };
        Some(message.encode())
    }

    fn take(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        value: Option<Value>,
        quality: Quality,
    ) {
        match self.table.number(metric, labels) {
            Ok(number) => self.samples.push((number, value, quality)),
            Err(Refusal::Undeclared) => self.refuse("the metric is not declared"),
            Err(Refusal::TooMany) => self.refuse("the collector has too many series"),
            Err(Refusal::Twice) => self.refuse("the series was written twice in one run"),
        }
    }

    fn refuse(&mut self, why: &'static str) {
        self.refused = self.refused.saturating_add(1);
        self.refusal = why;
    }
}

/// Whether what was sent before may be sent again now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The link keeps up.
    Due,
    /// It does not; repeating would push out what is new.
    Later,
}

impl SampleWriter for Recorder {
    fn sample(&mut self, metric: &'static MetricDefinition, labels: &[&str], value: Value) {
        let fits = match (metric.value, value) {
            (ValueType::U64, Value::U64(_)) | (ValueType::F64, Value::F64(_)) => true,
            (ValueType::State(states), Value::State(index)) => usize::from(index) < states.len(),
            _ => false,
        };
        if !value.is_finite() {
            self.refuse("the value is not finite");
        } else if !fits {
            self.refuse("the value is not of the metric's type");
        } else {
            self.take(metric, labels, Some(value), Quality::Good);
        }
    }

    fn absent(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        reason: FailureReason,
    ) {
        self.take(metric, labels, None, Quality::Absent(reason));
    }

    fn fact(&mut self, fact: &'static FactDefinition, component: &str, value: &str) {
        if !self
            .facts_declared
            .iter()
            .any(|known| known.key == fact.key)
        {
            self.refuse("the fact is not declared");
        } else if !self.facts.push(component, fact.key, value) {
            self.refuse("the collector has too many facts");
        }
    }

    fn failure(&mut self, error: CollectError) {
        if self.failure.is_none() {
            self.failure = Some((error.reason, error.to_string()));
        }
    }

    fn calling(&mut self, call: &'static str) {
        if let Some(slot) = &self.watched {
            slot.calling(call);
        }
    }

    fn condition(&mut self, condition: Condition) {
        if !self.voice.may_state(&condition.cause) {
            self.refuse("the cause of the condition is not one of the collector's");
        } else if self.conditions.len() >= MOST_CONDITIONS {
            self.refuse("the collector has too many conditions");
        } else {
            self.conditions.push(condition);
        }
    }

    fn log(&mut self, entry: LogEntry) {
        if !self.voice.may_log(&entry) {
            self.refuse("the log entry is not of the log that the collector reads");
        } else if self.log.len() >= MOST_LOG {
            self.refuse("the collector has too many log entries in one run");
        } else {
            self.log.push(entry);
        }
    }
}

/// The messages of log entries.
pub(crate) fn log_payloads(collector: &str, entries: &[LogEntry]) -> Vec<LogPayload> {
    let messages = entries.chunks(MOST_LOG_ENTRIES).map(|entries| LogPayload {
        entries: u64::try_from(entries.len()).unwrap_or(u64::MAX),
        payload: Message::Log {
            collector: collector.to_owned(),
            entries: entries.to_vec(),
        }
        .encode(),
    });
    messages.collect()
}

fn definition_payloads(definitions: Vec<SeriesDefinition>) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut chunk = Vec::new();
    let mut bytes = 0usize;
    for definition in definitions {
        bytes = bytes.saturating_add(definition_bytes(&definition));
        chunk.push(definition);
        if bytes > MOST_DEFINITION_BYTES || chunk.len() >= MOST_DEFINITIONS {
            payloads.push(Message::Define(std::mem::take(&mut chunk)).encode());
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        payloads.push(Message::Define(chunk).encode());
    }
    payloads
}

/// About how long a definition is in a payload.
fn definition_bytes(definition: &SeriesDefinition) -> usize {
    let info = &definition.info;
    let labels = info.labels.iter();
    let labels: usize = labels
        .map(|(key, value)| key.len() + value.raw().len())
        .sum();
    let states: usize = info.states.iter().map(String::len).sum();
    info.metric.len() + info.help.len() + labels + states
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
