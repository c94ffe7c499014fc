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
use super::shares::Quota;

/// Conditions of one BMC that are kept; the worst of them are stated where not all can be.
const MOST_CONDITIONS: usize = 1024;

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
    /// Bytes of the labels of all series.
    label_bytes: usize,
    facts: BTreeMap<(String, &'static str), (&'static FactDefinition, String, ResourcePath)>,
    /// Bytes of all facts, as they are sent.
    fact_bytes: usize,
    facts_said_at: Option<Instant>,
    facts_changed: bool,
    entries: VecDeque<LogEntry>,
    entries_lost: u64,
    failures: VecDeque<CollectError>,
    conditions: BTreeMap<ResourcePath, Vec<Condition>>,
    replaced_by: BTreeMap<ResourcePath, BTreeSet<Arc<str>>>,
    health: Health,
    quota: Quota,
    refused: Refused,
}

/// What the BMC said beyond its share since that was told last.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    /// The first of it: what, and by which resource.
    first: Option<(&'static str, ResourcePath)>,
}

impl Refused {
    fn take(&mut self, what: &'static str, from: &ResourcePath) {
        self.count += 1;
        self.first.get_or_insert_with(|| (what, from.clone()));
    }
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

fn bytes_of(key: &SeriesKey) -> usize {
    let labels = key.1.iter().map(|label| label.len() + 2);
    key.0.len() + labels.sum::<usize>()
}

/// As the recorder counts: three texts, each with two bytes of length.
fn fact_bytes(component: &str, key: &str, value: &str) -> usize {
    component.len() + key.len() + value.len() + 6
}

fn hash_of(key: &SeriesKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Published {
    /// Of a BMC that may say so much.
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            quota,
            ..Self::default()
        }
    }

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
            None => {
                let bytes = self.label_bytes + bytes_of(&key);
                if self.owners.len() >= self.quota.series || bytes > self.quota.label_bytes {
                    self.refused.take(metric.name, from);
                    return;
                }
                self.label_bytes = bytes;
            }
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
            let bytes = fact_bytes(&component, definition.key, &value);
            let key = (component, definition.key);
            let known = self.facts.get(&key).map(|(_, known, _)| known);
            if known.is_some_and(|known| *known == value) {
                continue;
            }
            let freed = known.map_or(0, |known| fact_bytes(&key.0, key.1, known));
            let all = self.fact_bytes - freed + bytes;
            let too_many = known.is_none() && self.facts.len() >= self.quota.facts;
            if too_many || all > self.quota.fact_bytes {
                self.refused.take(definition.key, from);
                continue;
            }
            self.fact_bytes = all;
            self.facts.insert(key, (definition, value, from.clone()));
            self.facts_changed = true;
        }
    }

    /// Takes what a resource says is wrong.
    pub(crate) fn take_conditions(&mut self, from: &ResourcePath, conditions: Vec<Condition>) {
        self.conditions.remove(from);
        if conditions.is_empty() {
            return;
        }
        let room = MOST_CONDITIONS.saturating_sub(self.stated());
        if conditions.len() > room {
            self.refused.take("condition", from);
        }
        let kept = conditions.into_iter().take(room).collect();
        self.conditions.insert(from.clone(), kept);
    }

    /// Takes an entry of a log.
    pub(crate) fn take_entry(&mut self, entry: LogEntry) {
        if self.entries.len() >= self.quota.waiting {
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
        let freed = &mut self.fact_bytes;
        self.facts.retain(|(component, key), (_, value, said_by)| {
            let kept = said_by != from;
            if !kept {
                *freed -= fact_bytes(component, key, value);
            }
            kept
        });
        self.conditions.remove(from);
        self.replaced_by.remove(from);
    }

    /// Log entries that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// Writes the oldest entries that wait; the others wait for the next run.
    pub(crate) fn write_entries(&mut self, most: usize, out: &mut dyn SampleWriter) {
        for entry in self.entries.drain(..most.min(self.entries.len())) {
            out.log(entry);
        }
    }

    /// Conditions of its parts.
    pub(crate) fn stated(&self) -> usize {
        self.conditions.values().map(Vec::len).sum()
    }

    /// Writes the conditions of its parts, the worst first.
    pub(crate) fn write_conditions(&mut self, most: usize, out: &mut dyn SampleWriter) {
        let mut all: Vec<(&ResourcePath, &Condition)> = self
            .conditions
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |condition| (from, condition)))
            .collect();
        all.sort_by_key(|(_, condition)| std::cmp::Reverse(condition.severity));
        for (place, (from, condition)) in all.into_iter().enumerate() {
            if place < most {
                out.condition(condition.clone());
            } else {
                self.refused.take("condition", from);
            }
        }
    }

    /// Writes what is new, and what has become old.
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
        self.write_refused(bmc, out);
        for error in self.failures.drain(..) {
            out.failure(error);
        }
    }

    /// What had no room.
    fn write_refused(&mut self, bmc: &str, out: &mut dyn SampleWriter) {
        let refused = std::mem::take(&mut self.refused);
        let Some((what, from)) = refused.first else {
            return;
        };
        out.failure(CollectError {
            path: format!("/bmc/{bmc}/{}", from.as_str().trim_start_matches('/')).into(),
            line: None,
            reason: FailureReason::Unsupported,
            detail: format!(
                "the BMC says more than its share: {} refused, `{what}` of this resource first",
                refused.count
            ),
        });
    }

    fn write_series(&mut self, out: &mut dyn SampleWriter, now: Instant, unresponsive: bool) {
        let owners = &mut self.owners;
        let bytes = &mut self.label_bytes;
        self.series.retain(|_, all| {
            all.retain(|key, series| {
                let kept = series.write(&key.1, out, now, unresponsive);
                if !kept {
                    owners.remove(&hash_of(key));
                    *bytes = bytes.saturating_sub(bytes_of(key));
                }
                kept
            });
            !all.is_empty()
        });
    }

    /// States how the BMC itself does; says how many conditions that were.
    pub(crate) fn write_health(
        &self,
        bmc: &str,
        out: &mut dyn SampleWriter,
        now: Instant,
        patience: Duration,
    ) -> usize {
        let mut stated = 0;
        let mut say = |cause: &str, severity, detail: &str| {
            stated += 1;
            out.condition(Condition {
                cause: cause.to_owned(),
                severity,
                component: Untrusted::new(&format!("bmc/{bmc}")),
                detail: Untrusted::new(detail),
            });
        };
        if let Some(detail) = self.health.unresponsive(now, patience) {
            say("bmc.unresponsive", Severity::Critical, &detail);
        }
        if self.health.denied {
            let detail = "the BMC refuses the login, or does not end the last session, or the password cannot be read; see username and password_file";
            say("bmc.login_refused", Severity::Warning, detail);
        }
        if self.health.insecure {
            let detail = "insecure_tls is on: any certificate is believed";
            say("bmc.tls_unverified", Severity::Warning, detail);
        }
        stated
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_core::log::LogSource;
    use glasshouse_sysfs::compliance::Recording;

    use super::super::definitions as is;
    use super::*;

    fn path(text: &str) -> ResourcePath {
        ResourcePath::parse(&format!("/redfish/v1/Chassis/{text}")).unwrap()
    }

    fn readings(count: usize) -> Vec<Reading> {
        let reading = |n: usize| Reading {
            metric: is::TELEMETRY,
            labels: Box::new(["r1".into(), n.to_string().into(), "".into()]),
            value: Ok(Value::F64(1.0)),
            twin: Twin::None,
        };
        (0..count).map(reading).collect()
    }

    fn condition(n: usize, severity: Severity) -> Condition {
        Condition {
            cause: "cooling.leak".to_owned(),
            severity,
            component: Untrusted::new(&n.to_string()),
            detail: Untrusted::new("wet"),
        }
    }

    fn entry(n: usize) -> LogEntry {
        LogEntry {
            source: LogSource::Redfish,
            origin: Untrusted::new("bmc/r1"),
            id: Untrusted::new(&n.to_string()),
            at: None,
            severity: Severity::Info,
            code: Untrusted::default(),
            component: Untrusted::default(),
            text: Untrusted::default(),
            raw: Vec::new(),
        }
    }

    #[test]
    fn one_of_many_has_its_share_of_series_and_facts_and_what_is_refused_is_told() {
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let quota = Quota::one_of(8);
        let mut published = Published::new(quota);
        published.take(&path("1"), readings(9000), minute, true, now);
        let facts = (0..3000).map(|n| (is::MODEL, format!("bmc/r1/{n}"), "x".repeat(512)));
        published.take_facts(&path("2"), facts.collect());
        let mut out = Recording::empty();
        published.write("r1", &mut out, now, minute);
        assert_eq!(out.samples.len(), quota.series);
        let bytes = |out: &Recording| -> usize {
            let all = out.facts.iter();
            all.map(|(fact, component, value)| fact_bytes(component, fact.key, value))
                .sum()
        };
        assert!(bytes(&out) <= quota.fact_bytes && bytes(&out) > quota.fact_bytes / 2);
        assert_eq!(out.failures.len(), 1);
        let said = out.failures[0].to_string();
        assert!(
            said.contains("Chassis/1") && said.contains("hw.telemetry.value"),
            "{said}"
        );
        // what is gone makes room again
        published.lose(&path("1"));
        published.lose(&path("2"));
        published.write("r1", &mut Recording::empty(), now, minute);
        assert_eq!((published.label_bytes, published.fact_bytes), (0, 0));
        published.take(&path("3"), readings(10), minute, true, now);
        let mut out = Recording::empty();
        published.write("r1", &mut out, now, minute);
        assert_eq!((out.samples.len(), out.failures.len()), (10, 0));
    }

    #[test]
    fn the_worst_conditions_are_stated_and_the_rest_is_counted() {
        let mut published = Published::default();
        let warnings = (0..50).map(|n| condition(n, Severity::Warning)).collect();
        published.take_conditions(&path("1"), warnings);
        published.take_conditions(&path("2"), vec![condition(99, Severity::Critical)]);
        let mut out = Recording::empty();
        published.write_conditions(5, &mut out);
        assert_eq!(out.conditions.len(), 5);
        assert_eq!(out.conditions[0].component.raw(), "99");
        assert_eq!(published.refused.count, 46);
        let all = (0..5000).map(|n| condition(n, Severity::Info)).collect();
        published.take_conditions(&path("1"), all);
        assert_eq!(published.stated(), MOST_CONDITIONS);
    }

    #[test]
    fn entries_that_are_not_taken_wait_for_the_next_run() {
        let mut published = Published::default();
        (0..5000).for_each(|n| published.take_entry(entry(n)));
        let mut said = Vec::new();
        for most in [4096, 500, 4096] {
            let mut out = Recording::empty();
            published.write_entries(most, &mut out);
            said.extend(out.entries.iter().map(|entry| entry.id.raw().to_owned()));
        }
        let wanted: Vec<String> = (0..5000).map(|n: usize| n.to_string()).collect();
        assert_eq!(said, wanted);
        assert_eq!((published.waiting(), published.entries_lost), (0, 0));
    }
}
