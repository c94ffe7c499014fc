//! What the store refused, by reason and by collector, and how full it is: as series of the node, and as what it states to
//! be wrong.

use std::time::Duration;

use glasshouse_core::condition::Severity;
use glasshouse_core::finding::Evidence;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::BootTime;
use glasshouse_store::{StoreError, Usage};
use tracing::warn;

use crate::life::Stated;
use crate::own::OWN_COLLECTOR;

/// Collectors that are told apart; names come from the probe, and those beyond count as `other`.
const MOST_COLLECTORS: usize = 64;

/// The name that those beyond go by.
const OTHER: &str = "other";

/// What was refused counts as wrong for this long: the probe repeats what it defines about each minute.
const HOLDS: Duration = Duration::from_secs(300);

/// The first number of these series; the node's others lie below and above.
const FIRST_NUMBER: u32 = 501;

/// What the node says of its store, which no entry of a collector list declares.
pub static STORE_METRICS: [MetricDefinition; 6] = [
    gauge(
        "glasshouse.store.size",
        "By",
        "Bytes in the folder of the store.",
        "Not blocks of a disk, and not logs, findings and the inventory, which have folders of their own.",
    ),
    gauge(
        "glasshouse.store.size.limit",
        "By",
        "Bytes that the folder of the store may hold.",
        "Not what the disk has room for.",
    ),
    gauge(
        "glasshouse.store.series",
        "{series}",
        "Series that are defined: those with a sample in the last two hours.",
        "Not all that the store can answer for, which has those that are gone too.",
    ),
    counter(
        "glasshouse.store.samples_refused",
        "{sample}",
        "Samples of series that the store refused because there are as many as there may be.",
        "Not samples of series that go on.",
        &[],
    ),
    counter(
        "glasshouse.store.refusals",
        "{refusal}",
        "Batches and definitions that the store refused, by the reason.",
        "Not samples: a batch is all that one run of a collector read.",
        &[LabelDefinition {
            key: "glasshouse.reason",
            help: "Why: `full`, `head_full`, `too_many_series`, `too_large`, `unknown_series`, `misplaced`, `io` and a few more.",
        }],
    ),
    counter(
        "glasshouse.store.series_refused",
        "{refusal}",
        "Times that a series was refused because its collector, or the store, has as many as it may have.",
        "Not how many series that were: each is defined again about once a minute, and refused again.",
        &[LabelDefinition {
            key: "glasshouse.collector",
            help: "Whose series it is; `other` beyond the first 64.",
        }],
    ),
];

const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..counter(name, unit, help, is_not, &[])
    }
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help,
        is_not,
        labels,
        source: "the node",
        audience: Audience::Glasshouse,
    }
}

/// What was refused since the start.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// The series, in the order of their numbers: those of the store, the reasons, then collectors as they come.
    infos: Vec<SeriesInfo>,
    interval: Duration,
    /// Samples of series that were refused.
    pub(crate) samples: u64,
    /// In the order of [`StoreError::WORDS`].
    reasons: Vec<u64>,
    collectors: Vec<OfCollector>,
    /// When there was last no room.
    full_at: Option<BootTime>,
}

#[derive(Debug)]
struct OfCollector {
    name: String,
    refused: u64,
    at: BootTime,
    /// What the store said of the last one.
    why: String,
}

impl Refusals {
    pub(crate) fn new(interval: Duration) -> Self {
        let mut refusals = Self {
            infos: Vec::new(),
            interval,
            samples: 0,
            reasons: vec![0; StoreError::WORDS.len()],
            collectors: Vec::new(),
            full_at: None,
        };
        let [size, limit, series, samples, reasons, _] = &STORE_METRICS;
        for metric in [size, limit, series, samples] {
            refusals.add(metric, None);
        }
        for word in StoreError::WORDS {
            refusals.add(reasons, Some(("glasshouse.reason", word)));
        }
        refusals
    }

    /// Counts what the store refused.
    pub(crate) fn note(&mut self, error: &StoreError, now: BootTime) {
        let place = StoreError::WORDS
            .iter()
            .position(|word| *word == error.word());
        if let Some(count) = place.and_then(|place| self.reasons.get_mut(place)) {
            *count = count.saturating_add(1);
        }
        match error {
            StoreError::Full { .. } | StoreError::HeadFull => self.full_at = Some(now),
            StoreError::TooManySeries { collector, .. } => self.of_collector(collector, error, now),
            _ => {}
        }
    }

    fn of_collector(&mut self, name: &str, error: &StoreError, now: BootTime) {
        let known = self.collectors.iter().position(|known| known.name == name);
        let is_beyond = known.is_none() && self.collectors.len() >= MOST_COLLECTORS;
        let name = if is_beyond { OTHER } else { name };
        let known = self.collectors.iter_mut().find(|known| known.name == name);
        match known {
            Some(known) => {
                known.refused = known.refused.saturating_add(1);
                if now.since(known.at) > Duration::ZERO {
                    known.why = error.to_string();
                }
                known.at = now;
            }
            None => {
                warn!(%error, "The store refused a series; more of this collector's are only counted.");
                self.collectors.push(OfCollector {
                    name: name.to_owned(),
                    refused: 1,
                    at: now,
                    why: error.to_string(),
                });
                let [.., metric] = &STORE_METRICS;
                self.add(metric, Some(("glasshouse.collector", name)));
            }
        }
    }

    fn add(&mut self, metric: &MetricDefinition, label: Option<(&str, &str)>) {
        self.infos.push(SeriesInfo {
            metric: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            kind: metric.kind,
            states: Vec::new(),
            help: metric.help.to_owned(),
            labels: Labels::new(label),
            collector: OWN_COLLECTOR.to_owned(),
            interval: self.interval,
            audience: metric.audience,
        });
    }

    /// The series with their numbers and values.
    pub(crate) fn series(&self, usage: Usage) -> impl Iterator<Item = (u32, &SeriesInfo, Value)> {
        let series = u64::try_from(usage.series).unwrap_or(u64::MAX);
        let values = [usage.bytes, usage.most_bytes, series, self.samples];
        let reasons = self.reasons.iter().copied();
        let collectors = self.collectors.iter().map(|collector| collector.refused);
        let values = values.into_iter().chain(reasons).chain(collectors);
        (FIRST_NUMBER..)
            .zip(&self.infos)
            .zip(values)
            .map(|((number, info), value)| (number, info, Value::U64(value)))
    }

    /// What is wrong now.
    pub(crate) fn stated(&self, usage: Usage, now: BootTime) -> Vec<Stated> {
        let holds = |at: BootTime| now.since(at) < HOLDS;
        let full = self.full_at.filter(|at| holds(*at)).map(|_| Stated {
            cause: "store.full".to_owned(),
            severity: Severity::Critical,
            component: Untrusted::new("store"),
            detail: Untrusted::new("the store has no room for what comes, and samples are lost"),
            evidence: vec![
                evidence("size", usage.bytes, "By"),
                evidence("limit", usage.most_bytes, "By"),
            ],
        });
        let collectors = self.collectors.iter().filter(|known| holds(known.at));
        let collectors = collectors.map(|known| Stated {
            cause: "store.series_refused".to_owned(),
            severity: Severity::Warning,
            component: Untrusted::new(&known.name),
            detail: Untrusted::new(&known.why),
            evidence: vec![evidence("refused", known.refused, "{refusal}")],
        });
        full.into_iter().chain(collectors).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn evidence(name: &str, value: u64, unit: &str) -> Evidence {
    Evidence {
        name: name.to_owned(),
        value: value as f64,
        unit: unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glasshouse_store::SeriesLimit;

    const USAGE: Usage = Usage {
        bytes: 90,
        most_bytes: 100,
        series: 7,
        most_series: 9,
    };

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    fn too_many(collector: &str) -> StoreError {
        StoreError::TooManySeries {
            collector: collector.to_owned(),
            limit: SeriesLimit::OfCollector,
            most: 5,
        }
    }

    fn values(refusals: &Refusals) -> Vec<(String, String, u64)> {
        let series = refusals.series(USAGE);
        let row = |(_, info, value): (u32, &SeriesInfo, Value)| {
            let label = info
                .labels
                .iter()
                .next()
                .map(|(_, value)| value.raw().to_owned());
            let Value::U64(value) = value else {
                panic!("{value:?}");
            };
            (info.metric.clone(), label.unwrap_or_default(), value)
        };
        series.map(row).filter(|(_, _, value)| *value > 0).collect()
    }

    #[test]
    fn what_is_refused_is_counted_by_reason_and_by_few_collectors() {
        let mut refusals = Refusals::new(Duration::from_secs(10));
        assert_eq!(refusals.stated(USAGE, at(1)).len(), 0);
        refusals.note(&StoreError::Full { most: 100 }, at(1));
        for number in 0..100 {
            refusals.note(&too_many(&format!("c{number}")), at(1));
        }
        refusals.note(&too_many("c3"), at(2));
        let values = values(&refusals);
        let of = |metric: &str, label: &str| {
            let metric = format!("glasshouse.store.{metric}");
            let found = values
                .iter()
                .find(|(name, value, _)| *name == metric && value == label);
            found.map(|(_, _, value)| *value)
        };
        assert_eq!((of("size", ""), of("series", "")), (Some(90), Some(7)));
        assert_eq!(of("refusals", "full"), Some(1));
        assert_eq!(of("refusals", "too_many_series"), Some(101));
        assert_eq!(of("series_refused", "c3"), Some(2));
        assert_eq!(of("series_refused", OTHER), Some(36));
        assert_eq!(
            refusals.series(USAGE).count(),
            4 + StoreError::WORDS.len() + 65
        );
        let stated = refusals.stated(USAGE, at(300));
        assert_eq!(stated.len(), 1 + 65);
        assert!(
            stated[4].detail.raw().contains("most_series_a_collector"),
            "{stated:?}"
        );
        let later: Vec<String> = refusals
            .stated(USAGE, at(301))
            .into_iter()
            .map(|stated| stated.component.raw().to_owned())
            .collect();
        assert_eq!(later, ["c3"]);
    }
}
