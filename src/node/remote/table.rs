//! What is known of each series that is sent, and what its samples become.
//!
//! A series that ends gets an end: a sample that says so ([`STALE`]), at the time at which the sample was due that makes it
//! stale everywhere in Glasshouse, three periods after its last one. Where that time is only known from the samples that came
//! later, the end is still sent before them: receivers want each series in order. A series of which nothing comes at all,
//! its collector being silent too, is ended once nothing older than that can come any more.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::reader::{STALE_AFTER_PERIODS, SeriesInfo};
use glasshouse_core::sample::{Quality, Sample};
use glasshouse_core::time::Timestamp;
use glasshouse_exposition::remote_write::{Line, STALE, Sender, millis, values};
use glasshouse_exposition::{Family, FamilyKind};
use glasshouse_store::TailChunk;
use tracing::warn;

use super::choice::Choice;
use super::lines::Lines;

/// The probe keeps what nobody takes for 60 s, and a frame takes a moment: what is older than this never comes.
const LATEST_ARRIVAL: Duration = Duration::from_secs(90);

/// A series that ended this long ago is forgotten; if it comes again it is a new one.
const FORGET_AFTER: Duration = Duration::from_secs(900);

/// Series that are known at once; what the store holds at most. Where more come one that has ended is forgotten, else any one,
/// whose end is not sent then.
const MOST_SERIES: usize = 1 << 16;

/// A value of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) line: u32,
    pub(super) millis: i64,
    pub(super) value: f64,
}

/// Every series that is sent.
#[derive(Debug)]
pub(super) struct Table {
    sender: Sender,
    choice: Choice,
    entries: HashMap<Key, Entry>,
    pub(super) lines: Lines,
    /// The newest time of the rows of heads, since the clock was last set back.
    newest: Timestamp,
    /// A series was left out, and that was said.
    is_left_out: bool,
    /// Samples that were left out with their series, and not counted yet.
    left_out: u64,
}

/// Who a series is, whatever it says.
#[derive(Clone, Debug)]
struct Key(Arc<SeriesInfo>);

/// What is known of a series.
#[derive(Debug)]
struct Entry {
    kind: FamilyKind,
    /// None where it is not sent.
    lines: Vec<u32>,
    /// It is not sent because another one has its name and labels.
    is_ambiguous: bool,
    interval: Duration,
    last: Timestamp,
    /// It was sent, and has not ended since.
    is_open: bool,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0.metric, &self.0.labels, &self.0.collector).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let of = |key: &Self| Arc::clone(&key.0);
        let (one, other) = (of(self), of(other));
        Arc::ptr_eq(&one, &other)
            || (&one.metric, &one.labels, &one.collector)
                == (&other.metric, &other.labels, &other.collector)
    }
}

impl Eq for Key {}

impl Table {
    pub(super) fn new(sender: Sender, choice: Choice) -> Self {
        Self {
            sender,
            choice,
            entries: HashMap::new(),
            lines: Lines::default(),
            newest: Timestamp::from_nanos(i64::MIN),
            is_left_out: false,
            left_out: 0,
        }
    }

    /// What is to be sent of a piece of the store, each line's values in the order in which they came.
    pub(super) fn take(&mut self, chunk: &TailChunk) -> Vec<Point> {
        self.forget();
        let keys: Vec<Key> = chunk
            .series
            .iter()
            .map(|info| Key(Arc::clone(info)))
            .collect();
        for key in &keys {
            self.know(key);
        }
        let mut points = Vec::with_capacity(chunk.samples.len());
        for (place, sample) in &chunk.samples {
            let key = keys.get(*place);
            if let Some(entry) = key.and_then(|key| self.entries.get_mut(key)) {
                let is_lost = entry.is_ambiguous && sample.value.is_some();
                self.left_out = self.left_out.saturating_add(u64::from(is_lost));
                entry.take(sample, &mut points);
            }
        }
        self.end(chunk, &mut points);
        points
    }

    /// Samples that were left out since this was asked the last time, because of two series that would be one.
    pub(super) const fn take_left_out(&mut self) -> u64 {
        std::mem::replace(&mut self.left_out, 0)
    }

    /// Makes sure that the series is known as it is now.
    fn know(&mut self, key: &Key) {
        let known = self.entries.get_key_value(key);
        if known.is_some_and(|(known, _)| means_the_same(&known.0, &key.0)) {
            return;
        }
        if let Some((_, old)) = self.entries.remove_entry(key) {
            self.lines.remove(&old.lines);
        }
        if self.entries.len() >= MOST_SERIES {
            let ended = self.entries.iter().find(|(_, entry)| !entry.is_open);
            let any = ended.or_else(|| self.entries.iter().next());
            let gone = any.map(|(key, _)| key.clone());
            if let Some(entry) = gone.and_then(|gone| self.entries.remove(&gone)) {
                self.lines.remove(&entry.lines);
            }
        }
        let info = &key.0;
        let family = Family::of(info);
        let mut is_ambiguous = false;
        let lines = if self.choice.takes([&info.metric, &family.sample_name()]) {
            let lines = Line::of(&self.sender, &family, info);
            self.lines.add(&family, lines).unwrap_or_else(|| {
                is_ambiguous = true;
                self.leave_out(info);
                Vec::new()
            })
        } else {
            Vec::new()
        };
        let entry = Entry {
            kind: family.kind,
            lines,
            is_ambiguous,
            interval: info.interval,
            last: Timestamp::from_nanos(i64::MIN),
            is_open: false,
        };
        self.entries.insert(key.clone(), entry);
    }

    fn leave_out(&mut self, series: &SeriesInfo) {
        if !self.is_left_out {
            warn!(
                metric = series.metric,
                labels = %series.labels,
                "A series is not sent because it has name and labels of another one, as Prometheus writes them; nor are others like it."
            );
            self.is_left_out = true;
        }
    }

    /// Ends the series of which no sample came although their collector went on, and, as far as that can be known, those
    /// whose collector is silent.
    fn end(&mut self, chunk: &TailChunk, points: &mut Vec<Point>) {
        let mut silent_until = Timestamp::from_nanos(i64::MIN);
        if chunk.is_live {
            self.advance(chunk);
            silent_until = self.newest.before(LATEST_ARRIVAL);
        }
        let reached: HashMap<&str, Timestamp> = chunk
            .reached
            .iter()
            .map(|(collector, at)| (collector.as_str(), *at))
            .collect();
        for (key, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.is_open) {
            let of_collector = reached.get(key.0.collector.as_str());
            let until = of_collector.map_or(silent_until, |at| silent_until.max(*at));
            if until > entry.due() {
                entry.end_at(entry.due(), points);
            }
        }
    }

    /// Takes note of the newest time. What comes in is never older than [`LATEST_ARRIVAL`]: where it is, the clock was set
    /// back, and times count from there.
    fn advance(&mut self, chunk: &TailChunk) {
        let mut is_set_back = false;
        let mut newest = self.newest;
        for (_, sample) in &chunk.samples {
            if sample.at < newest.before(LATEST_ARRIVAL) {
                is_set_back = true;
                newest = sample.at;
            } else {
                newest = newest.max(sample.at);
            }
        }
        // rows without samples count too; of those before the clock was set nobody wants to know
        let reached = chunk.reached.iter().map(|(_, at)| *at).max();
        if let Some(reached) = reached.filter(|_| !is_set_back) {
            let is_older = reached < newest.before(LATEST_ARRIVAL);
            newest = if is_older {
                reached
            } else {
                newest.max(reached)
            };
        }
        self.newest = newest;
    }

    fn forget(&mut self) {
        let until = self.newest.before(FORGET_AFTER);
        let lines = &mut self.lines;
        self.entries.retain(|_, entry| {
            let is_kept = entry.is_open || entry.last >= until;
            if !is_kept {
                lines.remove(&entry.lines);
            }
            is_kept
        });
    }
}

impl Entry {
    fn take(&mut self, sample: &Sample, points: &mut Vec<Point>) {
        if self.is_open && sample.at > self.due() {
            self.end_at(self.due(), points);
        }
        let is_known = matches!(sample.quality, Quality::Good | Quality::Estimated);
        let value = sample.value.filter(|_| is_known);
        let values = value.and_then(|value| values(self.kind, self.lines.len(), value));
        match values {
            Some(values) if !self.lines.is_empty() => {
                let millis = millis(sample.at);
                for (line, value) in self.lines.iter().zip(values) {
                    points.push(Point {
                        line: *line,
                        millis,
                        value,
                    });
                }
                self.is_open = true;
            }
            _ if self.is_open => self.end_at(sample.at, points),
            _ => {}
        }
        self.last = sample.at;
    }

    /// When it is stale without another sample.
    fn due(&self) -> Timestamp {
        self.last
            .after(self.interval.saturating_mul(STALE_AFTER_PERIODS))
    }

    fn end_at(&mut self, at: Timestamp, points: &mut Vec<Point>) {
        let millis = millis(at);
        for line in &self.lines {
            points.push(Point {
                line: *line,
                millis,
                value: STALE,
            });
        }
        self.is_open = false;
    }
}

/// Whether both become the same lines.
fn means_the_same(one: &SeriesInfo, other: &SeriesInfo) -> bool {
    (one.kind, &one.unit, &one.states, one.interval)
        == (other.kind, &other.unit, &other.states, other.interval)
}
