//! Between the poller of a BMC and the collector's runs: what was read, and whether it is still of this moment.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::LogEntry;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;

use super::harvest::{Reading, Twin};
use super::path::ResourcePath;

/// The most series of one BMC; the largest trees have about three thousand.
const MOST_SERIES: usize = 16_384;

/// Log entries that wait for the next run; more are dropped, oldest first, and counted as a failure.
const MOST_ENTRIES: usize = 8192;

/// Failures that wait for the next run; one that holds comes again.
const MOST_FAILURES: usize = 32;

/// Periods without a new value after which a series is absent.
const PERIODS_UNTIL_ABSENT: u32 = 3;

/// How long an absent series is still told of.
const TOLD_ABSENT: Duration = Duration::from_hours(1);

/// How often facts, and limits that did not change, are said again.
const SAID_AGAIN: Duration = Duration::from_mins(5);

/// Rounds in a row without any answer that make a BMC unresponsive.
const SILENT_ROUNDS: u32 = 3;

type SeriesKey = (&'static str, Box<[Box<str>]>);

/// One series.
#[derive(Debug)]
struct Series {
    metric: &'static MetricDefinition,
    value: Result<Value, FailureReason>,
    /// Not written by a run yet.
    is_new: bool,
    /// From then on the last value is too old to stand for now.
    old_at: Instant,
    /// When it was last written, for what is said seldom.
    said_at: Option<Instant>,
    /// Its resource is gone, or says it no more.
    gone: bool,
}

/// Everything that one BMC said.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Series by the resource that says them.
    series: BTreeMap<ResourcePath, BTreeMap<SeriesKey, Series>>,
    /// Who says a series, by its hash: two resources must not say the same.
    owners: BTreeMap<u64, ResourcePath>,
    facts: BTreeMap<(String, &'static str), (&'static FactDefinition, String, ResourcePath)>,
    facts_said_at: Option<Instant>,
    facts_changed: bool,
    entries: VecDeque<LogEntry>,
    entries_lost: u64,
    failures: VecDeque<CollectError>,
    conditions: BTreeMap<ResourcePath, Vec<Condition>>,
    replaced_by: BTreeMap<ResourcePath, BTreeSet<Arc<str>>>,
    health: Health,
}

/// How the BMC itself does.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// When the request that is under way was sent.
    pub(crate) asking_since: Option<Instant>,
    /// When the first of the requests was sent that have had no answer since.
    pub(crate) silent_since: Option<Instant>,
    /// Rounds in a row without any answer.
    pub(crate) silent_rounds: u32,
    /// The login was refused.
    pub(crate) denied: bool,
    /// Whether any certificate is believed.
    pub(crate) insecure: bool,
    /// How often sensors are read, once that is known.
    pub(crate) period: Option<Duration>,
    /// Whether it has ever answered.
    pub(crate) answered: bool,
}

impl Health {
    /// Why it counts as unresponsive at this moment.
    fn unresponsive(&self, now: Instant, patience: Duration) -> Option<String> {
        let since = self.silent_since.or(self.asking_since)?;
        let silent = now.saturating_duration_since(since);
        if self.silent_rounds >= SILENT_ROUNDS || silent > patience {
            return Some(format!(
                "no answer for {} s, {} rounds of requests in a row",
                silent.as_secs(),
                self.silent_rounds
            ));
        }
        None
    }
}

impl Series {
    /// Writes what there is to say; says whether there will be more.
    fn write(
        &mut self,
        labels: &[Box<str>],
        out: &mut dyn SampleWriter,
        now: Instant,
        unresponsive: bool,
    ) -> bool {
        let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
        if self.gone {
            out.absent(self.metric, &labels, FailureReason::Missing);
            return false;
        }
        if std::mem::take(&mut self.is_new) {
            self.said_at = Some(now);
            match self.value {
                Ok(value) => out.sample(self.metric, &labels, value),
                Err(reason) => out.absent(self.metric, &labels, reason),
            }
            return true;
        }
        if unresponsive || now >= self.old_at {
            out.absent(self.metric, &labels, FailureReason::Timeout);
        }
        now < self.old_at + TOLD_ABSENT
    }
}

fn hash_of(key: &SeriesKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Published {
    /// How the BMC does, to be changed.
    pub(crate) const fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    /// Takes the readings of one resource; series that it no longer says are gone. `settled` says whether all that may
    /// replace older schemas was read.
    pub(crate) fn take(
        &mut self,
        from: &ResourcePath,
        readings: Vec<Reading>,
        period: Duration,
        settled: bool,
        now: Instant,
    ) {
        let mut said: BTreeSet<SeriesKey> = BTreeSet::new();
        for reading in readings {
            if !self.is_wanted(&reading.twin, settled) {
                continue;
            }
            let key = (reading.metric.name, reading.labels);
            if said.contains(&key) {
                // two entries of one resource with one id: the first counts
                continue;
            }
            self.take_one(
                key.clone(),
                reading.metric,
                reading.value,
                from,
                period,
                now,
            );
            said.insert(key);
        }
        for (key, series) in self.series.entry(from.clone()).or_default() {
            series.gone |= !said.contains(key);
        }
    }

    /// Takes readings of one resource beside those that it said before.
    pub(crate) fn take_part(
        &mut self,
        from: &ResourcePath,
        readings: Vec<Reading>,
        period: Duration,
        now: Instant,
    ) {
        for reading in readings {
            let key = (reading.metric.name, reading.labels);
            self.take_one(key, reading.metric, reading.value, from, period, now);
        }
    }

    fn take_one(
        &mut self,
        key: SeriesKey,
        metric: &'static MetricDefinition,
        value: Result<Value, FailureReason>,
        from: &ResourcePath,
        period: Duration,
        now: Instant,
    ) {
        let hash = hash_of(&key);
        match self.owners.get(&hash) {
            Some(owner) if owner == from => {}
            Some(owner) => {
                let said = self.series.get(owner).and_then(|all| all.get(&key));
                if said.is_some_and(|series| !series.gone && now < series.old_at) {
                    // another resource says it, and is still there
                    return;
                }
                if let Some(all) = self.series.get_mut(&owner.clone()) {
                    all.remove(&key);
                }
            }
            None if self.owners.len() >= MOST_SERIES => return,
            None => {}
        }
        self.owners.insert(hash, from.clone());
        let old_at = now + period * PERIODS_UNTIL_ABSENT;
        let all = self.series.entry(from.clone()).or_default();
        let Some(series) = all.get_mut(&key) else {
            let series = Series {
                metric,
                value,
                is_new: true,
                old_at,
                said_at: None,
                gone: false,
            };
            all.insert(key, series);
            return;
        };
        let seldom = series.metric.name.contains(".limit")
            && series.value == value
            && now < series.old_at
            && series.said_at.is_some_and(|at| now < at + SAID_AGAIN);
        series.is_new |= !seldom;
        series.value = value;
        series.old_at = old_at;
        series.gone = false;
    }

    fn is_wanted(&self, twin: &Twin, settled: bool) -> bool {
        match twin {
            Twin::None => true,
            Twin::Second(keys) => {
                let replaced =
                    |key: &Arc<str>| self.replaced_by.values().any(|all| all.contains(key));
                settled && !keys.iter().any(replaced)
            }
        }
    }

    /// This resource replaces what older schemas say under these keys.
    pub(crate) fn replaces(&mut self, from: &ResourcePath, keys: Vec<Arc<str>>) {
        if keys.is_empty() {
            self.replaced_by.remove(from);
        } else {
            self.replaced_by
                .insert(from.clone(), keys.into_iter().collect());
        }
    }

    /// Takes the facts of one resource.
    pub(crate) fn take_facts(
        &mut self,
        from: &ResourcePath,
        facts: Vec<(&'static FactDefinition, String, String)>,
    ) {
        for (definition, component, value) in facts {
            let key = (component, definition.key);
            let changed = self
                .facts
                .get(&key)
                .is_none_or(|(_, known, _)| *known != value);
            if changed && (self.facts.len() < MOST_SERIES || self.facts.contains_key(&key)) {
                self.facts.insert(key, (definition, value, from.clone()));
                self.facts_changed = true;
            }
        }
    }

    /// Takes what a resource says is wrong.
    pub(crate) fn take_conditions(&mut self, from: &ResourcePath, conditions: Vec<Condition>) {
        if conditions.is_empty() {
            self.conditions.remove(from);
        } else {
            self.conditions.insert(from.clone(), conditions);
        }
    }

    /// Takes an entry of a log.
    pub(crate) fn take_entry(&mut self, entry: LogEntry) {
        if self.entries.len() >= MOST_ENTRIES {
            self.entries.pop_front();
            self.entries_lost += 1;
        }
        self.entries.push_back(entry);
    }

    /// Takes a failure of one resource.
    pub(crate) fn take_failure(&mut self, error: CollectError) {
        if self.failures.len() < MOST_FAILURES {
            self.failures.push_back(error);
        }
    }

    /// A resource exists no more.
    pub(crate) fn lose(&mut self, from: &ResourcePath) {
        for series in self.series.entry(from.clone()).or_default().values_mut() {
            series.gone = true;
        }
        self.facts.retain(|_, (_, _, said_by)| said_by != from);
        self.conditions.remove(from);
        self.replaced_by.remove(from);
    }

    /// Writes what is new, what has become old, and what is wrong.
    pub(crate) fn write(
        &mut self,
        bmc: &str,
        out: &mut dyn SampleWriter,
        now: Instant,
        patience: Duration,
    ) {
        let unresponsive = self.health.unresponsive(now, patience);
        self.write_series(out, now, unresponsive.is_some());
        let again = self.facts_said_at.is_none_or(|at| now >= at + SAID_AGAIN);
        if std::mem::take(&mut self.facts_changed) || again {
            self.facts_said_at = Some(now);
            for ((component, _), (definition, value, _)) in &self.facts {
                out.fact(definition, component, value);
            }
        }
        for entry in self.entries.drain(..) {
            out.log(entry);
        }
        if self.entries_lost > 0 {
            let detail = format!(
                "{} log entries came faster than they were taken",
                self.entries_lost
            );
            self.entries_lost = 0;
            out.failure(CollectError {
                path: format!("/bmc/{bmc}/LogServices").into(),
                line: None,
                reason: FailureReason::Io,
                detail,
            });
        }
        for error in self.failures.drain(..) {
            out.failure(error);
        }
        for condition in self.conditions.values().flatten() {
            out.condition(condition.clone());
        }
        self.write_conditions(bmc, out, unresponsive);
    }

    fn write_series(&mut self, out: &mut dyn SampleWriter, now: Instant, unresponsive: bool) {
        let owners = &mut self.owners;
        self.series.retain(|_, all| {
            all.retain(|key, series| {
                let kept = series.write(&key.1, out, now, unresponsive);
                if !kept {
                    owners.remove(&hash_of(key));
                }
                kept
            });
            !all.is_empty()
        });
    }

    fn write_conditions(
        &self,
        bmc: &str,
        out: &mut dyn SampleWriter,
        unresponsive: Option<String>,
    ) {
        let mut say = |cause: &str, severity, detail: &str| {
            out.condition(Condition {
                cause: cause.to_owned(),
                severity,
                component: Untrusted::new(&format!("bmc/{bmc}")),
                detail: Untrusted::new(detail),
            });
        };
        if let Some(detail) = unresponsive {
            say("bmc.unresponsive", Severity::Critical, &detail);
        }
        if self.health.denied {
            let detail = "the BMC refuses the login, or the password cannot be read; see username and password_file";
            say("bmc.login_refused", Severity::Warning, detail);
        }
        if self.health.insecure {
            let detail = "insecure_tls is on: any certificate is believed";
            say("bmc.tls_unverified", Severity::Warning, detail);
        }
    }
}
