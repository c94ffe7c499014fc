//! The messages, in the words of `core`, and their way into a payload and out of it.
//!
//! A payload is read by a process with more rights over the store than its writer has, so nothing in it is taken as it
//! comes: every text has a longest length, every number a range, every list a longest length, and lists that belong
//! together must agree.

use std::time::Duration;

use glasshouse_core::condition::Condition;
use glasshouse_core::fact::Fact;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::labels::Labels;
use glasshouse_core::log::LogEntry;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::{CollectorState, CollectorStatus, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Moment;
use prost::Message as _;

use crate::batch::{BatchEncoder, batch_in};
use crate::bounds::{
    MOST_NAME, at_most, interval, moment, name, nanos, out_of_bounds, pick, position,
    series_number, text,
};
use crate::error::WireError;
use crate::notice::{conditions_in, conditions_out, log_in, log_out};
use crate::proto::{self, Kind};
use crate::scan::lists_are_short;

/// The most samples of one batch: what one collector may have series.
pub const MOST_SAMPLES: usize = 8192;
/// The most definitions of one message; more come in further messages.
pub const MOST_DEFINITIONS: usize = 256;
/// The most facts of one message: a machine of 256 cores and 100 disks has about a thousand.
pub const MOST_FACTS: usize = 2048;
/// The most collectors of one message.
pub const MOST_COLLECTORS: usize = 256;

/// Longest sentence of help.
const MOST_HELP: usize = 1024;
/// Most states of one metric.
pub(crate) const MOST_STATES: usize = 256;

/// One sample of a batch: number of the series, value (`None` exactly where absent), quality.
pub type SampleRow = (u32, Option<Value>, Quality);

/// What a payload says.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Numbers for series, valid for the rest of the run. Sent before their first use, and again now and then.
    Define(Vec<SeriesDefinition>),
    /// What one run of one collector read.
    Batch(Batch),
    /// All facts of one collector, in place of what it said before.
    Facts {
        /// The collector.
        collector: String,
        /// Its facts.
        facts: Vec<Fact>,
    },
    /// What all collectors say of themselves, in place of what they said before.
    Status(Vec<CollectorStatus>),
    /// The probe is alive.
    Heartbeat(Heartbeat),
    /// All that one collector knows to be wrong right now, in place of what it said before; none where all is over.
    /// Sent on change, and again once in a while.
    Conditions {
        /// The collector.
        collector: String,
        /// At most [`MOST_CONDITIONS`](crate::MOST_CONDITIONS).
        conditions: Vec<Condition>,
    },
    /// New entries of logs that one collector follows. After a restart some may come again.
    Log {
        /// The collector.
        collector: String,
        /// At most [`MOST_LOG_ENTRIES`](crate::MOST_LOG_ENTRIES).
        entries: Vec<LogEntry>,
    },
}

/// The number by which batches of this run call a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDefinition {
    /// From 1 on; never another series in the same run.
    pub number: u32,
    /// What it stands for.
    pub info: SeriesInfo,
}

/// The samples of one run of one collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The collector.
    pub collector: String,
    /// When all of the samples were read.
    pub at: Moment,
    /// At most [`MOST_SAMPLES`].
    pub samples: Vec<SampleRow>,
}

/// What the probe says of its end of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// When it said so.
    pub at: Moment,
    /// Batches that it dropped since it started, because nobody read.
    pub batches_dropped: u64,
    /// Batches that wait.
    pub queued_batches: u64,
    /// Bytes that wait.
    pub queued_bytes: u64,
}

impl Message {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Define(series) => Kind::Define(proto::Define {
                series: series.iter().map(series_out).collect(),
            }),
            Self::Batch(batch) => {
                return BatchEncoder::default().encode(&batch.collector, batch.at, &batch.samples);
            }
            Self::Facts { collector, facts } => Kind::Facts(proto::Facts {
                collector: collector.clone(),
                facts: facts.iter().map(fact_out).collect(),
            }),
            Self::Status(collectors) => Kind::Status(proto::Status {
                collectors: collectors.iter().map(status_out).collect(),
            }),
            Self::Heartbeat(heartbeat) => Kind::Heartbeat(proto::Heartbeat {
                wall_nanos: heartbeat.at.wall.nanos(),
                boot_nanos: heartbeat.at.boot.nanos(),
                batches_dropped: heartbeat.batches_dropped,
                queued_batches: heartbeat.queued_batches,
                queued_bytes: heartbeat.queued_bytes,
            }),
            Self::Conditions {
                collector,
                conditions,
            } => Kind::Conditions(conditions_out(collector, conditions)),
            Self::Log { collector, entries } => Kind::Log(log_out(collector, entries)),
        };
        proto::Envelope { kind: Some(kind) }.encode_to_vec()
    }

    /// The message of a payload.
    ///
    /// # Errors
    /// [`WireError`] where it is none that this version understands, or out of bounds.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        lists_are_short(payload)?;
        let envelope =
            proto::Envelope::decode(payload).map_err(|source| WireError::Protobuf { source })?;
        match envelope.kind.ok_or(WireError::UnknownMessage)? {
            Kind::Define(define) => {
                at_most(define.series.len(), MOST_DEFINITIONS, "define.series")?;
                let series: Result<_, _> = define.series.into_iter().map(series_in).collect();
                Ok(Self::Define(series?))
            }
            Kind::Batch(batch) => Ok(Self::Batch(batch_in(batch)?)),
            Kind::Facts(facts) => {
                at_most(facts.facts.len(), MOST_FACTS, "facts.facts")?;
                let list: Result<_, _> = facts.facts.iter().map(fact_in).collect();
                Ok(Self::Facts {
                    collector: name(facts.collector, "facts.collector")?,
                    facts: list?,
                })
            }
            Kind::Status(status) => {
                at_most(
                    status.collectors.len(),
                    MOST_COLLECTORS,
                    "status.collectors",
                )?;
                let list: Result<_, _> = status.collectors.into_iter().map(status_in).collect();
                Ok(Self::Status(list?))
            }
            Kind::Heartbeat(heartbeat) => Ok(Self::Heartbeat(Heartbeat {
                at: moment(heartbeat.wall_nanos, heartbeat.boot_nanos, "heartbeat.wall")?,
                batches_dropped: heartbeat.batches_dropped,
                queued_batches: heartbeat.queued_batches,
                queued_bytes: heartbeat.queued_bytes,
            })),
            Kind::Conditions(message) => {
                let (collector, conditions) = conditions_in(message)?;
                Ok(Self::Conditions {
                    collector,
                    conditions,
                })
            }
            Kind::Log(message) => {
                let (collector, entries) = log_in(message)?;
                Ok(Self::Log { collector, entries })
            }
        }
    }
}

fn series_out(definition: &SeriesDefinition) -> proto::Series {
    let info = &definition.info;
    let labels = info.labels.iter();
    proto::Series {
        number: definition.number,
        metric: info.metric.clone(),
        unit: info.unit.clone(),
        kind: position(MetricKind::ALL, &info.kind),
        states: info.states.clone(),
        help: info.help.clone(),
        labels: labels
            .flat_map(|(key, value)| [key.to_owned(), value.raw().to_owned()])
            .collect(),
        collector: info.collector.clone(),
        interval_nanos: nanos(info.interval),
        audience: position(Audience::ALL, &info.audience),
    }
}

fn series_in(series: proto::Series) -> Result<SeriesDefinition, WireError> {
    at_most(series.states.len(), MOST_STATES, "series.states")?;
    at_most(series.labels.len(), Labels::MOST * 2, "series.labels")?;
    for state in &series.states {
        at_most(state.len(), MOST_NAME, "series.states")?;
    }
    let mut pairs = Vec::with_capacity(series.labels.len() / 2);
    for pair in series.labels.chunks(2) {
        let [key, value] = pair else {
            return Err(out_of_bounds("series.labels"));
        };
        at_most(value.len(), Untrusted::MOST_BYTES, "series.labels")?;
        pairs.push((name(key.clone(), "series.labels")?, value));
    }
    at_most(series.unit.len(), MOST_NAME, "series.unit")?;
    at_most(series.help.len(), MOST_HELP, "series.help")?;
    Ok(SeriesDefinition {
        number: series_number(series.number, "series.number")?,
        info: SeriesInfo {
            metric: name(series.metric, "series.metric")?,
            unit: series.unit,
            kind: pick(MetricKind::ALL, series.kind, "series.kind")?,
            states: series.states,
            help: series.help,
            labels: Labels::new(pairs),
            collector: name(series.collector, "series.collector")?,
            interval: interval(series.interval_nanos, "series.interval")?,
            audience: pick(Audience::ALL, series.audience, "series.audience")?,
        },
    })
}

fn fact_out(fact: &Fact) -> proto::Fact {
    proto::Fact {
        component: fact.component.raw().to_owned(),
        key: fact.key.clone(),
        value: fact.value.raw().to_owned(),
    }
}

fn fact_in(fact: &proto::Fact) -> Result<Fact, WireError> {
    Ok(Fact {
        component: text(&fact.component, "fact.component")?,
        key: name(fact.key.clone(), "fact.key")?,
        value: text(&fact.value, "fact.value")?,
    })
}

fn status_out(status: &CollectorStatus) -> proto::Collector {
    let (state, reason) = match status.state {
        CollectorState::Good => (0, 0),
        CollectorState::Partial(reason) => (1, reason.code()),
        CollectorState::Failed(reason) => (2, reason.code()),
        CollectorState::Absent => (3, 0),
        CollectorState::Disabled => (4, 0),
    };
    proto::Collector {
        name: status.name.clone(),
        interval_nanos: nanos(status.interval),
        state,
        reason: u32::from(reason),
        detail: status.detail.raw().to_owned(),
        last_run_nanos: status.last_run.nanos(),
        duration_nanos: nanos(status.duration),
        series: status.series,
        failures: status.failures,
    }
}

fn status_in(status: proto::Collector) -> Result<CollectorStatus, WireError> {
    let reason = u8::try_from(status.reason).map_err(|_| out_of_bounds("collector.reason"))?;
    let reason = FailureReason::from_code(reason);
    Ok(CollectorStatus {
        name: name(status.name, "collector.name")?,
        interval: interval(status.interval_nanos, "collector.interval")?,
        state: match status.state {
            0 => CollectorState::Good,
            1 => CollectorState::Partial(reason),
            2 => CollectorState::Failed(reason),
            3 => CollectorState::Absent,
            4 => CollectorState::Disabled,
            _ => return Err(out_of_bounds("collector.state")),
        },
        detail: text(&status.detail, "collector.detail")?,
        last_run: moment(status.last_run_nanos, 0, "collector.last_run")?.wall,
        duration: Duration::from_nanos(status.duration_nanos),
        series: status.series,
        failures: status.failures,
    })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
