//! The series of one collector: from metric and labels to a number, without allocating for one that is known.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{MetricDefinition, ValueType};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::text::Untrusted;
use glasshouse_wire::{MOST_SAMPLES, SeriesDefinition};

use crate::settings::REPEAT_PERIOD;

/// The most series that one collector may have; those beyond are refused and counted. As many as a batch holds:
/// 256 cores with ten states each take a third of it.
pub const MOST_SERIES: usize = MOST_SAMPLES;

/// The most bytes of labels that one collector's series may have: 8192 series with long labels, and no more.
const MOST_KEY_BYTES: usize = 2 << 20;

/// A series that was not written for this long is forgotten, so that containers that come and go do not fill the
/// table. Should it come back, it gets another number.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// A series is never forgotten in fewer runs than this, however long the interval.
const FORGET_RUNS: u64 = 3;

/// Gives numbers to series; one for all collectors of a run.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(Arc<AtomicU32>);

impl Numbers {
    /// Numbers from 1 on.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }

    /// The next number; `None` where four billion are used up.
    fn next(&self) -> Option<u32> {
        self.0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
                number.checked_add(1)
            })
            .ok()
    }
}

/// Who the series belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) collector: &'static str,
    pub(crate) metrics: &'static [MetricDefinition],
    pub(crate) interval: Duration,
}

/// Why a series got no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The collector does not declare the metric.
    Undeclared,
    /// The collector has as many series as it may have.
    TooMany,
    /// It was written before in the same run.
    Twice,
}

/// How far the node can be expected to know a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Never,
    Once,
    Again,
}

#[derive(Debug)]
struct Entry {
    number: u32,
    metric: &'static MetricDefinition,
    /// Name of the metric, then each label's length (2 bytes) and text.
    key: Box<[u8]>,
    run: u64,
    told: Told,
}

/// The series of one collector.
#[derive(Debug)]
pub(crate) struct SeriesTable {
    owner: Owner,
    numbers: Numbers,
    entries: Vec<Entry>,
    /// Hash of a key to its entry; the next hash is tried where another key has it.
    index: HashMap<u64, usize>,
    hasher: RandomState,
    /// Where the next series stands if the collector writes in the order of the run before.
    cursor: usize,
    scratch: Vec<u8>,
    key_bytes: usize,
    run: u64,
    /// Whose turn it is to be repeated.
    repeat_from: usize,
    /// What of the next repetition has come together, in parts of a period's runs.
    owed: u64,
}

impl SeriesTable {
    pub(crate) fn new(owner: Owner, numbers: Numbers) -> Self {
        Self {
            owner,
            numbers,
            entries: Vec::new(),
            index: HashMap::new(),
            hasher: RandomState::new(),
            cursor: 0,
            scratch: Vec::new(),
            key_bytes: 0,
            run: 0,
            repeat_from: 0,
            // collectors that started together do not repeat together
            owed: owner.collector.bytes().map(u64::from).sum(),
        }
    }

    /// Begins another run.
    pub(crate) fn begin(&mut self) {
        self.run = self.run.saturating_add(1);
        self.cursor = 0;
        let forget = self.runs_in(FORGET_AFTER).max(FORGET_RUNS);
        if self.run.is_multiple_of(forget) {
            self.forget(self.run.saturating_sub(forget));
        }
    }

    /// The number of a series, which is made where it is new.
    pub(crate) fn number(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
    ) -> Result<u32, Refusal> {
        write_key(&mut self.scratch, metric, labels);
        let at = match self.find() {
            Some(at) => at,
            None => self.add(metric)?,
        };
        self.cursor = at.saturating_add(1);
        let run = self.run;
        let entry = self.entries.get_mut(at).ok_or(Refusal::TooMany)?;
        if entry.run == run {
            return Err(Refusal::Twice);
        }
        entry.run = run;
        Ok(entry.number)
    }

    /// The definitions of series that this run wrote first.
    pub(crate) fn new_definitions(&self) -> Vec<SeriesDefinition> {
        let never = self
            .entries
            .iter()
            .filter(|entry| entry.told == Told::Never);
        never.map(|entry| self.definition(entry)).collect()
    }

    /// Definitions to send again: those told once, and this run's share of all.
    pub(crate) fn repeated_definitions(&mut self) -> Vec<SeriesDefinition> {
        let count = self.entries.len();
        let turn = self.turn(count);
        let is_due = |at: usize| turn.contains(&at) || turn.contains(&at.saturating_add(count));
        let due = self.entries.iter().enumerate().filter(|(at, entry)| {
            entry.told == Told::Once || (entry.told == Told::Again && is_due(*at))
        });
        let due = due.map(|(_, entry)| self.definition(entry)).collect();
        for entry in &mut self.entries {
            if entry.told == Told::Once {
                entry.told = Told::Again;
            }
        }
        due
    }

    /// The entries whose turn it is in this run, those behind the last counted on from the first. Each has one in
    /// [`REPEAT_PERIOD`], however few there are, or a collector with one series sent its definition with every sample.
    fn turn(&mut self, count: usize) -> Range<usize> {
        let runs = self.runs_in(REPEAT_PERIOD);
        let owed = u64::try_from(count).unwrap_or(u64::MAX);
        self.owed = (self.owed % runs).saturating_add(owed);
        let share = usize::try_from(self.owed / runs).unwrap_or(usize::MAX);
        let from = self.repeat_from;
        let to = from.saturating_add(share.min(count));
        self.repeat_from = to.checked_rem(count).unwrap_or(0);
        from..to
    }

    /// The new definitions are on their way.
    pub(crate) fn told(&mut self) {
        for entry in &mut self.entries {
            if entry.told == Told::Never {
                entry.told = Told::Once;
            }
        }
    }

    /// What stands behind a number of this table.
    pub(crate) fn info(&self, number: u32) -> Option<SeriesInfo> {
        let entry = self.entries.iter().find(|entry| entry.number == number)?;
        Some(self.definition(entry).info)
    }

    fn runs_in(&self, span: Duration) -> u64 {
        let runs = span.as_nanos() / self.owner.interval.as_nanos().max(1);
        u64::try_from(runs).unwrap_or(u64::MAX).max(1)
    }

    /// Where the series of the scratch key stands.
    fn find(&self) -> Option<usize> {
        let expected = self.entries.get(self.cursor);
        if expected.is_some_and(|entry| *entry.key == *self.scratch) {
            return Some(self.cursor);
        }
        let mut hash = self.hasher.hash_one(&*self.scratch);
        loop {
            let at = *self.index.get(&hash)?;
            if self
                .entries
                .get(at)
                .is_some_and(|entry| *entry.key == *self.scratch)
            {
                return Some(at);
            }
            hash = hash.wrapping_add(1);
        }
    }

    fn add(&mut self, metric: &'static MetricDefinition) -> Result<usize, Refusal> {
        if !self
            .owner
            .metrics
            .iter()
            .any(|known| known.name == metric.name)
        {
            return Err(Refusal::Undeclared);
        }
        let key_bytes = self.key_bytes.saturating_add(self.scratch.len());
        if self.entries.len() >= MOST_SERIES || key_bytes > MOST_KEY_BYTES {
            return Err(Refusal::TooMany);
        }
        let number = self.numbers.next().ok_or(Refusal::TooMany)?;
        let at = self.entries.len();
        self.key_bytes = key_bytes;
        self.entries.push(Entry {
            number,
            metric,
            key: self.scratch.as_slice().into(),
            run: 0,
            told: Told::Never,
        });
        self.index_entry(at);
        Ok(at)
    }

    fn index_entry(&mut self, at: usize) {
        let Some(entry) = self.entries.get(at) else {
            return;
        };
        let mut hash = self.hasher.hash_one(&*entry.key);
        while self.index.contains_key(&hash) {
            hash = hash.wrapping_add(1);
        }
        self.index.insert(hash, at);
    }

    /// Forgets what was last written before this run.
    fn forget(&mut self, before: u64) {
        let count = self.entries.len();
        self.entries.retain(|entry| entry.run >= before);
        if self.entries.len() == count {
            return;
        }
        self.key_bytes = self.entries.iter().map(|entry| entry.key.len()).sum();
        self.index.clear();
        for at in 0..self.entries.len() {
            self.index_entry(at);
        }
    }

    fn definition(&self, entry: &Entry) -> SeriesDefinition {
        let metric = entry.metric;
        let keys = metric.labels.iter().map(|label| label.key);
        SeriesDefinition {
            number: entry.number,
            info: SeriesInfo {
                metric: metric.name.to_owned(),
                unit: metric.unit.to_owned(),
                kind: metric.kind,
                states: match metric.value {
                    ValueType::State(states) => {
                        states.iter().map(|state| (*state).to_owned()).collect()
                    }
                    ValueType::U64 | ValueType::F64 => Vec::new(),
                },
                help: metric.help.to_owned(),
                labels: Labels::new(keys.zip(KeyLabels::of(entry))),
                collector: self.owner.collector.to_owned(),
                interval: self.owner.interval,
                audience: metric.audience,
            },
        }
    }
}

fn write_key(key: &mut Vec<u8>, metric: &MetricDefinition, labels: &[&str]) {
    key.clear();
    key.extend_from_slice(metric.name.as_bytes());
    for label in labels.iter().take(metric.labels.len()) {
        // cut where `Untrusted` would cut: what reads the same must be the same series
        let end = label.floor_char_boundary(Untrusted::MOST_BYTES);
        let length = u16::try_from(end).unwrap_or(0);
        key.extend_from_slice(&length.to_le_bytes());
        key.extend_from_slice(label.as_bytes().get(..end).unwrap_or_default());
    }
}

/// The labels in a key.
struct KeyLabels<'a>(&'a [u8]);

impl<'a> KeyLabels<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self(entry.key.get(entry.metric.name.len()..).unwrap_or_default())
    }
}

impl<'a> Iterator for KeyLabels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (label, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.0 = rest;
        std::str::from_utf8(label).ok()
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
