//! What the node says of itself: series like any other, of a collector that is the node.

use std::time::{Duration, Instant};

use glasshouse_core::failure::FailureReason;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::process::{self, ProcessUse};
use glasshouse_core::reader::{CollectorState, CollectorStatus, SeriesInfo};
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;

use crate::remote::RemoteOwn;

/// The name under which the node reports itself. The probe has its own: samples of one collector share their times.
pub const OWN_COLLECTOR: &str = "glasshouse_node";

/// The run under which the store knows the node's own series; no run of the probe is zero.
pub(crate) const OWN_RUN: u64 = 0;

/// The node's own metrics, which no entry of a collector list declares.
pub static OWN_METRICS: &[MetricDefinition] = &OWN;

/// In the order of [`Totals::values`].
static OWN: [MetricDefinition; 12] = [
    counter(
        "glasshouse.node.frames",
        "{frame}",
        "Frames from the probe that the node took since it started.",
        "Not batches of samples alone: definitions, facts and statuses come in frames too.",
    ),
    counter(
        "glasshouse.node.frames_lost",
        "{frame}",
        "Frames that the probe wrote and the node never saw, as their numbers say.",
        "Not batches that the probe dropped before it wrote them.",
    ),
    counter(
        "glasshouse.node.resyncs",
        "{resync}",
        "Times that the node found bytes on the link that are no frame, and searched for the next one.",
        "Not frames: a torn one may cost more than one search, or less than itself.",
    ),
    counter(
        "glasshouse.node.batches_refused",
        "{batch}",
        "Batches that came in whole and the store did not take, because of the disk or of what stood in them.",
        "Not samples: a batch is all that one run of a collector read.",
    ),
    counter(
        "glasshouse.node.samples_unknown",
        "{sample}",
        "Samples whose series this node was never told of, and which are lost.",
        "Not the samples that the probe refused.",
    ),
    counter(
        "glasshouse.node.definitions_refused",
        "{definition}",
        "Definitions of series that the store did not take, that were too many, or that are not the probe's to make.",
        "Not series that are lost for good: the probe defines them again within a minute.",
    ),
    counter(
        "glasshouse.node.messages_unknown",
        "{message}",
        "Messages from the probe that make no sense, or that only a newer version understands.",
        "Not bytes that are no frame.",
    ),
    counter(
        "glasshouse.node.maintenance_failures",
        "{attempt}",
        "Times that the store could not be synced, sealed, merged or cleaned up; it is tried again.",
        "Not lost samples: what waits to be sealed stays in its head.",
    ),
    counter(
        "glasshouse.store.blocks_lost",
        "{block}",
        "Blocks of the store that were found damaged since the node started, and are lost.",
        "Not all damage that there is: only what was read is known.",
    ),
    counter(
        "glasshouse.store.files_set_aside",
        "{file}",
        "Files of the store that made no sense since the node started, and were renamed so that nobody reads them.",
        "Not removed: they stand beside the others, with `.damaged` behind their name.",
    ),
    counter(
        "glasshouse.node.conditions_refused",
        "{condition}",
        "Conditions that became no event, because they made no sense or too many were open, and changes of events that no disk took.",
        "Not conditions that are over.",
    ),
    counter(
        "glasshouse.node.log_entries_refused",
        "{entry}",
        "Log entries that came in whole and could not be kept.",
        "Not entries that came again and were known.",
    ),
];

const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help,
        is_not,
        labels: &[],
        source: "the node",
        audience: Audience::Glasshouse,
    }
}

/// What the node says of its process, behind what it has counted; the probe says the same of its own.
static PROCESS: [MetricDefinition; 3] = [process::CPU_TIME, process::MEMORY, process::THREADS];

/// The node among the roles.
const ROLE: &str = "node";

/// What this process uses; nothing where the kernel does not say.
fn used() -> Option<ProcessUse> {
    let stat = std::fs::read("/proc/self/stat").ok()?;
    let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
    ProcessUse::parse(&String::from_utf8_lossy(&stat), page_bytes)
}

/// What the node has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) frames: u64,
    pub(crate) frames_lost: u64,
    pub(crate) resyncs: u64,
    pub(crate) batches_refused: u64,
    pub(crate) samples_unknown: u64,
    pub(crate) definitions_refused: u64,
    pub(crate) messages_unknown: u64,
    pub(crate) maintenance_failures: u64,
    pub(crate) blocks_lost: u64,
    pub(crate) files_set_aside: u64,
    pub(crate) conditions_refused: u64,
    pub(crate) log_entries_refused: u64,
}

impl Totals {
    /// In the order of [`OWN`].
    const fn values(&self) -> [u64; OWN.len()] {
        [
            self.frames,
            self.frames_lost,
            self.resyncs,
            self.batches_refused,
            self.samples_unknown,
            self.definitions_refused,
            self.messages_unknown,
            self.maintenance_failures,
            self.blocks_lost,
            self.files_set_aside,
            self.conditions_refused,
            self.log_entries_refused,
        ]
    }

    /// Trouble with the disk, or what is on it.
    const fn troubles(&self) -> [(u64, &'static str); 6] {
        [
            (self.batches_refused, "batches that the store refused"),
            (self.definitions_refused, "definitions that were refused"),
            (
                self.maintenance_failures,
                "failures to look after the store",
            ),
            (self.blocks_lost, "damaged blocks"),
            (self.files_set_aside, "damaged files"),
            (self.log_entries_refused, "log entries that were not kept"),
        ]
    }

    /// Trouble with what comes in.
    const fn misfits(&self) -> [(u64, &'static str); 4] {
        [
            (self.frames_lost, "frames that never came"),
            (self.samples_unknown, "samples of unknown series"),
            (self.messages_unknown, "messages that make no sense"),
            (self.conditions_refused, "conditions that were not taken"),
        ]
    }
}

/// The node as its own collector.
#[derive(Debug)]
pub(crate) struct Own {
    infos: Vec<SeriesInfo>,
    interval: Duration,
    next: Instant,
    /// What was reported before.
    before: Totals,
    /// Reports with something new in them that was lost.
    failures: u64,
    /// What is sent on, where it is.
    remote: Option<RemoteOwn>,
}

impl Own {
    /// Reports for the first time at once.
    pub(crate) fn new(interval: Duration, remote: Option<RemoteOwn>) -> Self {
        let role = |metric: &MetricDefinition| {
            let keys = metric.labels.iter().map(|label| label.key);
            Labels::new(keys.map(|key| (key, ROLE)))
        };
        let info = |metric: &MetricDefinition| SeriesInfo {
            metric: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            kind: metric.kind,
            states: Vec::new(),
            help: metric.help.to_owned(),
            labels: role(metric),
            collector: OWN_COLLECTOR.to_owned(),
            interval,
            audience: metric.audience,
        };
        Self {
            infos: OWN.iter().chain(&PROCESS).map(info).collect(),
            remote,
            interval,
            next: Instant::now(),
            before: Totals::default(),
            failures: 0,
        }
    }

    /// Whether a report is due; the next one is then an interval later.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            // no drift, and nothing to catch up with
            self.next = (self.next + self.interval).max(now);
        }
        is_due
    }

    /// The series with their numbers and values.
    pub(crate) fn series(
        &self,
        totals: &Totals,
    ) -> impl Iterator<Item = (u32, &SeriesInfo, Value)> {
        let process = used().map(|used| {
            [
                Value::F64(used.cpu_seconds),
                Value::U64(used.resident_bytes),
                Value::U64(used.threads),
            ]
        });
        let values = totals.values().into_iter().map(Value::U64);
        let values = values.chain(process.into_iter().flatten());
        (1..)
            .zip(&self.infos)
            .zip(values)
            .map(|((number, info), value)| (number, info, value))
            .chain(self.remote.iter().flat_map(RemoteOwn::series))
    }

    /// What the node says of this report.
    pub(crate) fn status(
        &mut self,
        totals: &Totals,
        at: Timestamp,
        took: Duration,
    ) -> CollectorStatus {
        let state = if grew(totals.troubles(), self.before.troubles()) {
            CollectorState::Partial(FailureReason::Io)
        } else if grew(totals.misfits(), self.before.misfits()) {
            CollectorState::Partial(FailureReason::Malformed)
        } else {
            CollectorState::Good
        };
        self.before = *totals;
        self.failures = self
            .failures
            .saturating_add(u64::from(state != CollectorState::Good));
        CollectorStatus {
            name: OWN_COLLECTOR.to_owned(),
            interval: self.interval,
            state,
            detail: Untrusted::new(&detail(totals)),
            last_run: at,
            duration: took,
            series: u32::try_from(
                self.infos.len() + self.remote.as_ref().map_or(0, RemoteOwn::len),
            )
            .unwrap_or(u32::MAX),
            failures: self.failures,
        }
    }
}

fn grew<const N: usize>(now: [(u64, &str); N], before: [(u64, &str); N]) -> bool {
    now.iter()
        .zip(before)
        .any(|((now, _), (before, _))| *now > before)
}

/// What was lost since the start, in words; empty where nothing was.
fn detail(totals: &Totals) -> String {
    let all = totals.troubles().into_iter().chain(totals.misfits());
    let parts: Vec<String> = all
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("since the start: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1);

    #[test]
    fn each_value_stands_at_its_own_metric() {
        let totals = Totals {
            frames: 1,
            frames_lost: 2,
            resyncs: 3,
            batches_refused: 4,
            samples_unknown: 5,
            definitions_refused: 6,
            messages_unknown: 7,
            maintenance_failures: 8,
            blocks_lost: 9,
            files_set_aside: 10,
            conditions_refused: 11,
            log_entries_refused: 12,
        };
        let own = Own::new(Duration::from_secs(10), None);
        let all: Vec<(u32, &SeriesInfo, Value)> = own.series(&totals).collect();
        let labels = |(_, info, _): &(u32, &SeriesInfo, Value)| info.labels.clone();
        assert_eq!(all.len(), OWN.len() + PROCESS.len());
        assert!(
            all.iter()
                .skip(OWN.len())
                .all(|one| labels(one).get("glasshouse.role").is_some())
        );
        let series: Vec<(u32, &str, u64)> = all
            .into_iter()
            .take(OWN.len())
            .map(|(number, info, value)| {
                let Value::U64(value) = value else {
                    panic!("counters are whole");
                };
                (number, info.metric.rsplit('.').next().unwrap(), value)
            })
            .collect();
        let text = format!("{totals:?}");
        for (number, name, value) in series {
            assert!(text.contains(&format!("{name}: {value}")), "{name}");
            assert_eq!(u64::from(number), value);
        }
    }

    #[test]
    fn what_was_lost_is_told_until_nothing_new_is() {
        let mut own = Own::new(Duration::from_secs(10), None);
        let mut totals = Totals {
            frames: 5,
            resyncs: 1,
            ..Totals::default()
        };
        let mut told = |totals: &Totals| {
            let status = own.status(totals, NOW, Duration::ZERO);
            (
                status.state,
                status.failures,
                status.detail.raw().to_owned(),
            )
        };
        assert_eq!(told(&totals), (CollectorState::Good, 0, String::new()));
        totals.samples_unknown = 3;
        let text = "since the start: 3 samples of unknown series".to_owned();
        let malformed = CollectorState::Partial(FailureReason::Malformed);
        assert_eq!(told(&totals), (malformed, 1, text.clone()));
        assert_eq!(told(&totals), (CollectorState::Good, 1, text));
        totals.samples_unknown = 4;
        totals.batches_refused = 2;
        let (state, failures, text) = told(&totals);
        assert_eq!(
            (state, failures),
            (CollectorState::Partial(FailureReason::Io), 2)
        );
        assert!(
            text.contains("2 batches that the store refused, 4 samples"),
            "{text}"
        );
    }

    #[test]
    fn reports_keep_their_pace() {
        let mut own = Own::new(Duration::from_secs(10), None);
        let start = own.next;
        let due: Vec<u64> = (0..40)
            .filter(|second| own.take_due(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(due, [0, 10, 20, 30]);
        assert!(own.take_due(start + Duration::from_secs(1000)));
    }
}
