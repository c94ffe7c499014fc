//! What the face says of itself. It cannot write the store, so these series are on the page alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, counter, gauge};
use glasshouse_core::process::{self, ProcessUse};
use glasshouse_core::reader::{SeriesInfo, TierCoverage};
use glasshouse_core::sample::Value;
use glasshouse_exposition::{Family, Tally};
use glasshouse_serve::{CLASSES, ListenerCounters};

use super::decisions::Decisions;

/// The name under which the face reports itself.
pub(crate) const OWN_COLLECTOR: &str = "glasshouse_serve";

/// The face's own metrics, which no entry of a collector list declares.
pub(crate) static OWN_METRICS: &[MetricDefinition] = &[
    ANSWERS,
    CONNECTIONS,
    CONNECTIONS_REFUSED,
    HANDSHAKES_FAILED,
    ALLOWED,
    DENIED,
    REFUSED,
    AUDIT_FAILURES,
    SERIES,
    SAMPLE_AGE,
    PAGE_TIME,
    STORE_USAGE,
    STORE_SAMPLES,
    STORE_FILES,
];

/// What every role says of its own process, the face too. The others write theirs into the store, so these families are not
/// the face's alone.
const PROCESS_METRICS: [MetricDefinition; 3] =
    [process::CPU_TIME, process::MEMORY, process::THREADS];

const SOURCE: &str = "the face";

const LISTENER: LabelDefinition = LabelDefinition {
    key: "glasshouse.listener",
    help: "The listener: `mcp` or `metrics`.",
};

const REASON: &[LabelDefinition] = &[LabelDefinition {
    key: "glasshouse.reason",
    help: "Why, a word of a closed list.",
}];

const ANSWERS: MetricDefinition = counter(
    "glasshouse.serve.answers",
    "{answer}",
    "Answers that the face gave since it started, by the first digit of their status.",
    "Not decisions: a denied call of a tool is an answer like any other.",
    &[
        LISTENER,
        LabelDefinition {
            key: "glasshouse.status",
            help: "The class of the status: `2xx`, `4xx`, `5xx`.",
        },
    ],
    SOURCE,
)
.for_glasshouse();

const CONNECTIONS: MetricDefinition = counter(
    "glasshouse.serve.connections",
    "{connection}",
    "Connections that the face let in since it started.",
    "Not clients: each may have many, one after the other.",
    &[LISTENER],
    SOURCE,
)
.for_glasshouse();

const CONNECTIONS_REFUSED: MetricDefinition = counter(
    "glasshouse.serve.connections_refused",
    "{connection}",
    "Connections that the face closed at once since it started, because there were too many, in all or from one address.",
    "Not requests that were refused: those had a connection.",
    &[LISTENER],
    SOURCE,
)
.for_glasshouse();

const HANDSHAKES_FAILED: MetricDefinition = counter(
    "glasshouse.serve.handshakes_failed",
    "{handshake}",
    "TLS handshakes that failed or took too long since the face started.",
    "Not refused tokens, which come after a handshake.",
    &[LISTENER],
    SOURCE,
)
.for_glasshouse();

const ALLOWED: MetricDefinition = counter(
    "glasshouse.serve.decisions_allowed",
    "{decision}",
    "Requests of known callers that were allowed since the face started; each has its record in the audit log.",
    "Not answers with data: an allowed call may still find nothing.",
    &[],
    SOURCE,
)
.for_glasshouse();

const DENIED: MetricDefinition = counter(
    "glasshouse.serve.decisions_denied",
    "{decision}",
    "Requests of known callers that were denied since the face started; each has its record in the audit log.",
    "Not requests of strangers, which are refused.",
    REASON,
    SOURCE,
)
.for_glasshouse();

const REFUSED: MetricDefinition = counter(
    "glasshouse.serve.requests_refused",
    "{request}",
    "Requests that the face refused since it started before anybody was known, or because they came too often.",
    "Not denials of the policies.",
    REASON,
    SOURCE,
)
.for_glasshouse();

const AUDIT_FAILURES: MetricDefinition = counter(
    "glasshouse.serve.audit_failures",
    "{record}",
    "Records that the audit log did not take since the face started; each was a refusal to somebody.",
    "Not lost decisions: what has no record was not allowed.",
    &[],
    SOURCE,
)
.for_glasshouse();

const SERIES: MetricDefinition = gauge(
    "glasshouse.metrics.series",
    "{series}",
    "Series that were considered for this page, by what became of them.",
    "Not the store's series: only those with a sample in the last 15 minutes.",
    &[LabelDefinition {
        key: "glasshouse.page",
        help: "`shown`, or why not: `stale`, `absent`, `same_name` or `same_labels` (another is shown under it), `unfit`.",
    }],
    SOURCE,
)
.amount()
.for_glasshouse();

const SAMPLE_AGE: MetricDefinition = gauge(
    "glasshouse.metrics.sample_age",
    "s",
    "The age of the oldest sample that the collector has on this page, when the page was made.",
    "Not the age of what is missing: after three periods without a sample a series is shown no more.",
    &[LabelDefinition {
        key: "glasshouse.collector",
        help: "The collector.",
    }],
    SOURCE,
)
.for_glasshouse();

const PAGE_TIME: MetricDefinition = gauge(
    "glasshouse.metrics.page_time",
    "s",
    "How long the page before this one took to make.",
    "Not how long a scrape took: whoever asks in the same second gets a page that is ready.",
    &[],
    SOURCE,
)
.for_glasshouse();

const TIER: &[LabelDefinition] = &[LabelDefinition {
    key: "glasshouse.store.tier",
    help: "The tier: `raw`, or the rollups of `1m` and `1h`.",
}];

const STORE_USAGE: MetricDefinition = gauge(
    "glasshouse.store.usage",
    "By",
    "Bytes of the files of the store, indexes and everything else that is in them counted.",
    "Not what the file system has set aside for them.",
    TIER,
    SOURCE,
)
.amount()
.for_glasshouse();

const STORE_SAMPLES: MetricDefinition = gauge(
    "glasshouse.store.samples",
    "{sample}",
    "Samples in the store; of rollups, rows.",
    "Not series.",
    TIER,
    SOURCE,
)
.amount()
.for_glasshouse();

const STORE_FILES: MetricDefinition = gauge(
    "glasshouse.store.files",
    "{file}",
    "Files of the store.",
    "Not files that are open.",
    TIER,
    SOURCE,
)
.amount()
.for_glasshouse();

/// What one page says of itself.
#[derive(Debug)]
pub(super) struct Counts<'a> {
    pub(super) tally: Tally,
    pub(super) stale: u64,
    pub(super) absent: u64,
    pub(super) ages: BTreeMap<&'a str, Duration>,
    pub(super) tiers: Vec<TierCoverage>,
}

/// Where the numbers come from.
#[derive(Debug)]
pub(super) struct Own {
    listeners: [(&'static str, Arc<ListenerCounters>); 2],
    decisions: Arc<Decisions>,
    families: Vec<Family>,
    /// Of the last page, in nanoseconds; none was made yet where it is zero.
    page_time: AtomicU64,
}

impl Own {
    pub(super) fn new(
        listeners: [(&'static str, Arc<ListenerCounters>); 2],
        decisions: Arc<Decisions>,
    ) -> Self {
        Self {
            listeners,
            decisions,
            families: OWN_METRICS.iter().map(Family::of_definition).collect(),
            page_time: AtomicU64::new(0),
        }
    }

    /// The families that [`Self::series`] can have: no other series may have their names.
    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }

    /// A page took this long.
    pub(super) fn rendered(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.page_time.store(nanos, Ordering::Relaxed);
    }

    /// Everything, as series like any other.
    pub(super) fn series(&self, counts: &Counts<'_>) -> Vec<(SeriesInfo, Value)> {
        let mut all = Vec::new();
        self.of_listeners(&mut all);
        self.of_decisions(&mut all);
        let tally = counts.tally;
        let pages = [
            ("shown", tally.shown),
            ("stale", counts.stale),
            ("absent", counts.absent),
            ("same_name", tally.same_name),
            ("same_labels", tally.same_labels),
            ("unfit", tally.unfit),
        ];
        for (page, number) in pages {
            all.push(series(&SERIES, &[page], Value::U64(number)));
        }
        for (collector, age) in &counts.ages {
            all.push(series(&SAMPLE_AGE, &[collector], seconds(*age)));
        }
        for tier in &counts.tiers {
            let word = tier.resolution.word();
            let files = u64::try_from(tier.files).unwrap_or(u64::MAX);
            for (metric, number) in [
                (&STORE_USAGE, tier.bytes),
                (&STORE_SAMPLES, tier.samples),
                (&STORE_FILES, files),
            ] {
                all.push(series(metric, &[word], Value::U64(number)));
            }
        }
        let page_time = self.page_time.load(Ordering::Relaxed);
        if page_time > 0 {
            let page_time = Duration::from_nanos(page_time);
            all.push(series(&PAGE_TIME, &[], seconds(page_time)));
        }
        all
    }

    fn of_listeners(&self, all: &mut Vec<(SeriesInfo, Value)>) {
        for (name, counters) in &self.listeners {
            for (class, number) in CLASSES.iter().zip(counters.answers()) {
                all.push(series(&ANSWERS, &[name, class], Value::U64(number)));
            }
            for (metric, number) in [
                (&CONNECTIONS, counters.connections_accepted()),
                (&CONNECTIONS_REFUSED, counters.connections_refused()),
                (&HANDSHAKES_FAILED, counters.handshakes_failed()),
            ] {
                all.push(series(metric, &[name], Value::U64(number)));
            }
        }
    }

    fn of_decisions(&self, all: &mut Vec<(SeriesInfo, Value)>) {
        let decisions = &self.decisions;
        all.push(series(&ALLOWED, &[], Value::U64(decisions.allowed())));
        let failures = Value::U64(decisions.failures());
        all.push(series(&AUDIT_FAILURES, &[], failures));
        for (metric, sums) in [
            (&DENIED, decisions.denied()),
            (&REFUSED, decisions.refused()),
        ] {
            for (reason, number) in sums {
                all.push(series(metric, &[&reason], Value::U64(number)));
            }
        }
    }
}

/// What this process uses of the machine; nothing where the kernel does not say.
pub(super) fn process() -> Vec<(SeriesInfo, Value)> {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some(used) = ProcessUse::parse(&stat, page) else {
        return Vec::new();
    };
    let values = [
        Value::F64(used.cpu_seconds),
        Value::U64(used.resident_bytes),
        Value::U64(used.threads),
    ];
    PROCESS_METRICS
        .iter()
        .zip(values)
        .map(|(metric, value)| series(metric, &["serve"], value))
        .collect()
}

/// A series of one of these metrics; `values` are those of its labels, in their order.
fn series(metric: &MetricDefinition, values: &[&str], value: Value) -> (SeriesInfo, Value) {
    let keys = metric.labels.iter().map(|label| label.key);
    let info = SeriesInfo {
        metric: metric.name.to_owned(),
        unit: metric.unit.to_owned(),
        kind: metric.kind,
        states: Vec::new(),
        help: metric.help.to_owned(),
        labels: Labels::new(keys.zip(values)),
        collector: OWN_COLLECTOR.to_owned(),
        interval: Duration::ZERO,
        audience: metric.audience,
    };
    (info, value)
}

fn seconds(span: Duration) -> Value {
    Value::F64(span.as_secs_f64())
}
