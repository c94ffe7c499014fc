//! A sample writer that remembers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::condition::Condition;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::LogEntry;
use glasshouse_core::metric::{MetricDefinition, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;

/// Everything that one run of a collector said.
#[derive(Debug)]
pub struct Recording {
    /// How the run ended.
    pub outcome: Result<Presence, CollectError>,
    /// Samples, in the order of writing.
    pub samples: Vec<RecordedSample>,
    /// Facts: definition, component, value.
    pub facts: Vec<(&'static FactDefinition, String, String)>,
    /// Failures of parts.
    pub failures: Vec<CollectError>,
    /// What is wrong.
    pub conditions: Vec<Condition>,
    /// Entries of logs.
    pub entries: Vec<LogEntry>,
}

/// One sample as written.
#[derive(Clone, Debug)]
pub struct RecordedSample {
    /// Its definition.
    pub metric: &'static MetricDefinition,
    /// Values of the labels, in the declared order.
    pub labels: Vec<String>,
    /// The value, or why there is none.
    pub value: Result<Value, FailureReason>,
}

/// One run with default options over a root.
#[must_use]
pub fn record(spec: &dyn CollectorSpec, root: &Path) -> Recording {
    let mut collector = spec.build(root, &Options::defaults(spec.options()));
    Recording::of(collector.as_mut())
}

impl Recording {
    /// Nothing yet: for a part of a collector that writes without reading.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            outcome: Ok(Presence::Present),
            samples: Vec::new(),
            facts: Vec::new(),
            failures: Vec::new(),
            conditions: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// One run of a collector.
    pub fn of(collector: &mut dyn Collector) -> Self {
        let mut recording = Self::empty();
        recording.outcome = collector.collect(&mut recording);
        recording
    }

    /// The value of one series, `None` where it is absent or was not written.
    #[must_use]
    pub fn value(&self, metric: &str, labels: &[&str]) -> Option<f64> {
        self.samples
            .iter()
            .find(|sample| sample.metric.name == metric && sample.labels == labels)
            .and_then(|sample| sample.value.ok())
            .map(Value::as_f64)
    }

    /// Every message of what failed, the run itself included.
    pub fn errors(&self) -> impl Iterator<Item = &CollectError> {
        self.failures.iter().chain(self.outcome.as_ref().err())
    }

    /// The series and facts that have a value.
    #[must_use]
    pub fn series(&self) -> BTreeSet<String> {
        let samples = self.samples.iter().filter(|sample| sample.value.is_ok());
        let facts = self.facts.iter();
        samples
            .map(RecordedSample::name)
            .chain(facts.map(|(fact, component, _)| format!("{component} {}", fact.key)))
            .collect()
    }

    /// All of it as sorted lines, for golden files: the run, failures, facts, samples.
    #[must_use]
    pub fn text(&self) -> String {
        let mut samples: Vec<String> = self.samples.iter().map(RecordedSample::line).collect();
        samples.sort();
        let mut facts: Vec<String> = self
            .facts
            .iter()
            .map(|(fact, component, value)| format!("{component} {} = {value:?}", fact.key))
            .collect();
        facts.sort();
        let mut text = match &self.outcome {
            Ok(presence) => format!("{presence:?}\n"),
            Err(error) => format!("{error}\n"),
        };
        for error in &self.failures {
            // writing to a String cannot fail
            writeln!(text, "failure: {error}").ok();
        }
        for line in facts.iter().chain(&samples) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// What was said that was not declared, or that no store could hold.
    pub(crate) fn violations(&self, spec: &dyn CollectorSpec) -> Vec<String> {
        let mut found: Vec<String> = self
            .samples
            .iter()
            .filter_map(|sample| {
                let wrong = sample.violation(spec)?;
                Some(format!("{}: {wrong}", sample.line()))
            })
            .collect();
        for (fact, component, value) in &self.facts {
            if !spec.facts().iter().any(|known| std::ptr::eq(known, *fact)) {
                found.push(format!("fact `{}` is not declared", fact.key));
            }
            if component.is_empty() || value.is_empty() {
                found.push(format!("fact `{}` has no component or value", fact.key));
            }
        }
        for condition in &self.conditions {
            if !spec.causes().contains(&&*condition.cause) {
                found.push(format!(
                    "the cause `{}` does not stand beside its name in `core::condition::STATED_BY`",
                    condition.cause
                ));
            }
        }
        for entry in &self.entries {
            if spec.log_source() != Some(entry.source) {
                found.push(format!(
                    "the log `{}` does not stand beside its name in `core::log::READ_BY`",
                    entry.source.word()
                ));
            }
        }
        for error in self.errors() {
            if !error.path.is_absolute() || error.path == Path::new("/") || error.detail.is_empty()
            {
                found.push(format!("an error names no file: {error}"));
            }
        }
        found
    }

    pub(crate) fn duplicates(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        self.samples
            .iter()
            .map(RecordedSample::name)
            .chain(
                self.facts
                    .iter()
                    .map(|(fact, component, _)| format!("{component} {}", fact.key)),
            )
            .filter(|name| !seen.insert(name.clone()))
            .map(|name| format!("{name} was written twice"))
            .collect()
    }
}

impl RecordedSample {
    /// `system.cpu.time{cpu.logical_number="0",cpu.mode="user"}`.
    #[must_use]
    pub fn name(&self) -> String {
        let labels: Vec<String> = self
            .metric
            .labels
            .iter()
            .zip(&self.labels)
            .map(|(label, value)| format!("{}={value:?}", label.key))
            .collect();
        format!("{}{{{}}}", self.metric.name, labels.join(","))
    }

    fn line(&self) -> String {
        let name = self.name();
        match self.value {
            Ok(Value::U64(whole)) => format!("{name} {whole} {}", self.metric.unit),
            Ok(Value::F64(float)) => format!("{name} {float:?} {}", self.metric.unit),
            Ok(Value::State(index)) => format!("{name} state {index}"),
            Err(reason) => format!("{name} absent: {reason}"),
        }
    }

    fn violation(&self, spec: &dyn CollectorSpec) -> Option<&'static str> {
        let declared = spec
            .metrics()
            .iter()
            .any(|known| std::ptr::eq(known, self.metric));
        if !declared {
            return Some("is not an entry of the declared list");
        }
        if self.labels.len() > self.metric.labels.len() {
            return Some("has more labels than declared");
        }
        if self.labels.iter().any(String::is_empty) {
            return Some("has an empty label");
        }
        match (self.metric.value, self.value) {
            (_, Err(_)) | (ValueType::U64, Ok(Value::U64(_))) => None,
            (ValueType::F64, Ok(Value::F64(float))) if float.is_finite() => None,
            (ValueType::State(states), Ok(Value::State(index)))
                if usize::from(index) < states.len() =>
            {
                None
            }
            _ => Some("is not a value of the declared type"),
        }
    }
}

impl SampleWriter for Recording {
    fn sample(&mut self, metric: &'static MetricDefinition, labels: &[&str], value: Value) {
        self.samples.push(RecordedSample {
            metric,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            value: Ok(value),
        });
    }

    fn absent(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        reason: FailureReason,
    ) {
        self.samples.push(RecordedSample {
            metric,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            value: Err(reason),
        });
    }

    fn fact(&mut self, fact: &'static FactDefinition, component: &str, value: &str) {
        self.facts
            .push((fact, component.to_owned(), value.to_owned()));
    }

    fn failure(&mut self, error: CollectError) {
        self.failures.push(error);
    }

    fn condition(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    fn log(&mut self, entry: LogEntry) {
        self.entries.push(entry);
    }
}
