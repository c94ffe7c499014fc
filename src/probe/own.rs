//! What the probe says of itself: series like any other, of a collector that is the supervisor.

use std::time::Duration;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::process;
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;

use crate::board::{Place, Slot};
use crate::queue::QueueCounts;
use crate::relay::WorkerCounts;
use crate::settings::Tempo;
use crate::used::uses;

/// The name under which the probe reports itself.
pub const OWN_COLLECTOR: &str = "glasshouse";

/// The probe's own metrics, which no entry of a collector list declares.
pub static OWN_METRICS: &[MetricDefinition] = &OWN;

static OWN: [MetricDefinition; 10] = [
    DURATION,
    FAILURES,
    REFUSED,
    BATCHES_DROPPED,
    BATCHES_QUEUED,
    LOG_DROPPED,
    WORKER_STARTS,
    process::CPU_TIME,
    process::MEMORY,
    process::THREADS,
];

const COLLECTOR: &[LabelDefinition] = &[LabelDefinition {
    key: "glasshouse.collector",
    help: "The collector.",
}];

const DURATION: MetricDefinition = MetricDefinition {
    name: "glasshouse.collector.duration",
    unit: "s",
    kind: MetricKind::Gauge,
    value: ValueType::F64,
    help: "How long the last run of the collector took, waiting for devices included.",
    is_not: "Not CPU time: a collector that waits for a slow device costs none.",
    labels: COLLECTOR,
    source: "the probe",
    audience: Audience::Glasshouse,
};

const FAILURES: MetricDefinition = MetricDefinition {
    name: "glasshouse.collector.failures",
    unit: "{run}",
    kind: MetricKind::Counter,
    value: ValueType::U64,
    help: "Runs of the collector since the probe started in which something could not be read.",
    is_not: "Not absent hardware, which is no failure.",
    labels: COLLECTOR,
    source: "the probe",
    audience: Audience::Glasshouse,
};

const REFUSED: MetricDefinition = MetricDefinition {
    name: "glasshouse.collector.refused",
    unit: "{sample}",
    kind: MetricKind::Counter,
    value: ValueType::U64,
    help: "Values of the collector that the probe did not take: not finite, undeclared, or beyond the most series.",
    is_not: "Not values that the machine did not give.",
    labels: COLLECTOR,
    source: "the probe",
    audience: Audience::Glasshouse,
};

const BATCHES_DROPPED: MetricDefinition = MetricDefinition {
    name: "glasshouse.probe.batches_dropped",
    unit: "{batch}",
    kind: MetricKind::Counter,
    value: ValueType::U64,
    help: "Batches that the probe dropped since it started, because the node did not read for longer than its queue lasts.",
    is_not: "Not samples: a batch is all that one run of a collector read.",
    labels: &[],
    source: "the probe",
    audience: Audience::Glasshouse,
};

const BATCHES_QUEUED: MetricDefinition = MetricDefinition {
    name: "glasshouse.probe.batches_queued",
    unit: "{batch}",
    kind: MetricKind::UpDownCounter,
    value: ValueType::U64,
    help: "Batches that wait in the probe for the node to read them.",
    is_not: "Not what waits in the pipe between them, 64 KiB more.",
    labels: &[],
    source: "the probe",
    audience: Audience::Glasshouse,
};

const LOG_DROPPED: MetricDefinition = MetricDefinition {
    name: "glasshouse.probe.log_entries_dropped",
    unit: "{entry}",
    kind: MetricKind::Counter,
    value: ValueType::U64,
    help: "Log entries that the probe dropped since it started, because the node did not read or a worker wrote too many.",
    is_not: "Not entries that a device overwrote before they were read.",
    labels: &[],
    source: "the probe",
    audience: Audience::Glasshouse,
};

const WORKER_STARTS: MetricDefinition = MetricDefinition {
    name: "glasshouse.worker.starts",
    unit: "{start}",
    kind: MetricKind::Counter,
    value: ValueType::U64,
    help: "Times that the worker has started since the probe did: one, and one more for each time that it hung or ended.",
    is_not: "Not restarts of the probe itself, which start the count again.",
    labels: &[LabelDefinition {
        key: "glasshouse.worker",
        help: "The worker: gpu, ipmi, bmc or privileged.",
    }],
    source: "the probe",
    audience: Audience::Glasshouse,
};

/// The place of the supervisor among the collectors.
pub(crate) fn own_place(interval: Duration, tempo: &Tempo) -> Place {
    Place {
        name: OWN_COLLECTOR,
        interval,
        worker: None,
        cause: "collector.stalled",
        limits: tempo.limits(interval),
    }
}

/// Writes the probe's own metrics.
pub(crate) fn write_own(
    slots: &[&Slot],
    workers: &[(Worker, WorkerCounts)],
    queue: QueueCounts,
    out: &mut dyn SampleWriter,
) {
    let [
        duration,
        failures,
        refused,
        dropped,
        queued,
        log_dropped,
        starts,
        cpu_time,
        memory,
        threads,
    ] = &OWN;
    for slot in slots {
        let Some(counts) = slot.counts() else {
            continue;
        };
        let labels = [slot.name];
        out.sample(duration, &labels, seconds(counts.duration));
        out.sample(failures, &labels, Value::U64(counts.failures));
        out.sample(refused, &labels, Value::U64(counts.refused));
    }
    out.sample(dropped, &[], Value::U64(queue.dropped));
    let batches = u64::try_from(queue.batches).unwrap_or(u64::MAX);
    out.sample(queued, &[], Value::U64(batches));
    for (role, used) in uses(workers) {
        let labels = [role];
        out.sample(cpu_time, &labels, Value::F64(used.cpu_seconds));
        out.sample(memory, &labels, Value::U64(used.resident_bytes));
        out.sample(threads, &labels, Value::U64(used.threads));
    }
    let mut log = queue.log_dropped;
    for (worker, counts) in workers {
        log = log.saturating_add(counts.log_dropped);
        if counts.starts > 0 {
            out.sample(starts, &[worker.word()], Value::U64(counts.starts));
        }
    }
    out.sample(log_dropped, &[], Value::U64(log));
}

fn seconds(span: Duration) -> Value {
    Value::F64(span.as_secs_f64())
}
