//! What can be asked of stored telemetry. The store implements these; the gate wraps them in a view.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crate::aggregation::Aggregation;
use crate::fact::Fact;
use crate::failure::FailureReason;
use crate::identity::NodeId;
use crate::labels::Labels;
use crate::metric::{Audience, MetricKind};
use crate::sample::{Quality, Sample};
use crate::text::Untrusted;
use crate::time::{Timestamp, Window};
pub use crate::truncation::{Truncation, Truncations};

/// What a stored series is. It stands in the store beside the samples, so a reader needs no registry.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// OpenTelemetry name of the metric.
    pub metric: String,
    /// UCUM unit.
    pub unit: String,
    /// How its values relate.
    pub kind: MetricKind,
    /// The states, where values are states; else empty.
    pub states: Vec<String>,
    /// What the number says.
    pub help: String,
    /// What tells it from the other series of the metric.
    pub labels: Labels,
    /// Who reads it.
    pub collector: String,
    /// How often it is read.
    pub interval: Duration,
    /// Whom it serves.
    pub audience: Audience,
}

/// Which series are asked for. Everything given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Exact metric names, any of them; empty means all.
    pub metrics: Vec<String>,
    /// Exact label values, all of them.
    pub labels: Vec<(String, String)>,
}

impl Selector {
    /// All series of one metric.
    #[must_use]
    pub fn metric(name: &str) -> Self {
        Self {
            metrics: vec![name.to_owned()],
            labels: Vec::new(),
        }
    }

    /// Whether a series is asked for.
    #[must_use]
    pub fn matches(&self, metric: &str, labels: &Labels) -> bool {
        (self.metrics.is_empty() || self.metrics.iter().any(|name| name == metric))
            && self
                .labels
                .iter()
                .all(|(key, value)| labels.get(key).is_some_and(|have| have.raw() == value))
    }
}

/// A question over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// Which series.
    pub selector: Selector,
    /// Over which time.
    pub window: Window,
    /// One value for each of these; the answer may take a longer one to stay inside its budget, and says so.
    pub step: Duration,
    /// How a step becomes one value.
    pub aggregation: Aggregation,
    /// So many series, in the order of the answer, are left out before the first one: those of the pages before.
    pub offset: usize,
    /// What the answer may cost.
    pub budget: Budget,
}

/// What an answer may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Series in the answer.
    pub series: usize,
    /// Values in the answer, all series together.
    pub points: usize,
    /// Bytes read from the store's files.
    pub bytes: u64,
}

/// From which tier an answer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// The samples themselves.
    Raw,
    /// Rollups of one minute.
    Minute,
    /// Rollups of one hour.
    Hour,
}

impl Resolution {
    /// Every tier, finest first.
    pub const ALL: &[Self] = &[Self::Raw, Self::Minute, Self::Hour];

    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "1m",
            Self::Hour => "1h",
        }
    }
}

/// The answer to a [`RangeQuery`].
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAnswer {
    /// The tier that was read.
    pub resolution: Resolution,
    /// The start of the first step.
    pub start: Timestamp,
    /// The step that was used.
    pub step: Duration,
    /// One entry a series, sorted by metric and labels.
    pub series: Vec<SeriesValues>,
    /// How many series matched, shown or not, [`RangeQuery::offset`] included.
    pub matched: usize,
    /// Why the answer is not whole, where it is not.
    pub truncated: Truncations,
    /// What was read from the store's files for it; what the reader remembered from before does not count.
    pub bytes_read: u64,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesValues {
    /// Which series.
    pub series: Arc<SeriesInfo>,
    /// One value a step from the start of the answer on; `None` where there was no sample.
    pub values: Vec<Option<f64>>,
    /// How many samples went into them.
    pub samples: u64,
    /// The time of the newest sample in the window.
    pub newest: Option<Timestamp>,
}

/// What was found, and whether all could be looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// What was found.
    pub entries: Vec<T>,
    /// Something of the window, or of an unknown time, is damaged: there may have been more.
    pub damaged: bool,
}

/// The newest sample of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// Which series.
    pub series: Arc<SeriesInfo>,
    /// Its newest sample, with the quality as of the asking: `stale` after three periods without a fresh one.
    pub sample: Sample,
}

/// What one tier of the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierCoverage {
    /// Which tier.
    pub resolution: Resolution,
    /// From the oldest to the newest sample, or `None` where the tier is empty.
    pub window: Option<Window>,
    /// Files of the tier.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Samples in them (rollup rows for the rollup tiers).
    pub samples: u64,
}

/// Reads stored samples. Implementations are shared between threads and never lock the writer out.
pub trait SampleReader: Send + Sync + fmt::Debug {
    /// The series that match and have a sample in the window, sorted by metric and labels.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn series(
        &self,
        selector: &Selector,
        window: Window,
    ) -> Result<Found<Arc<SeriesInfo>>, ReadError>;

    /// The newest sample of each matching series, looked for in the last [`LATEST_LOOKBACK`] before `now`.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn latest(&self, selector: &Selector, now: Timestamp) -> Result<Found<Latest>, ReadError>;

    /// Values over time.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn range(&self, query: &RangeQuery) -> Result<RangeAnswer, ReadError>;

    /// What the store holds, tier by tier, finest first.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn coverage(&self) -> Result<Vec<TierCoverage>, ReadError>;

    /// The names of files that are known to be damaged, as a whole or in part; answers are made without what is.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn damaged(&self) -> Result<Vec<String>, ReadError> {
        Ok(Vec::new())
    }
}

/// How far back [`SampleReader::latest`] looks: what is older is not how a node *is*.
pub const LATEST_LOOKBACK: Duration = Duration::from_secs(15 * 60);

/// Reads what a node is and what its collectors say of themselves.
pub trait InventoryReader: Send + Sync + fmt::Debug {
    /// The newest inventory that the node wrote.
    ///
    /// # Errors
    /// [`ReadError`] where there is none yet or it cannot be read.
    fn inventory(&self) -> Result<Arc<Inventory>, ReadError>;
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The id of the node.
    pub node: NodeId,
    /// The name that the host gives itself.
    pub host_name: Untrusted,
    /// When this was written.
    pub written: Timestamp,
    /// Parts, firmware, drivers, kernel; sorted.
    pub facts: Vec<Fact>,
    /// What each collector says of itself, sorted by name.
    pub collectors: Vec<CollectorStatus>,
    /// The link from probe to node.
    pub link: LinkStatus,
}

/// What one collector says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorStatus {
    /// Its name.
    pub name: String,
    /// How often it runs.
    pub interval: Duration,
    /// How its last run ended.
    pub state: CollectorState,
    /// What it said where it did not just succeed: what is absent, or the last error. Cleaned before it is shown.
    pub detail: Untrusted,
    /// When it last ran.
    pub last_run: Timestamp,
    /// How long that took.
    pub duration: Duration,
    /// Series that its last run wrote.
    pub series: u32,
    /// Runs with a failure since the probe started.
    pub failures: u64,
}

/// How the last run of a collector ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectorState {
    /// It read everything.
    Good,
    /// It read something; part of the source failed.
    Partial(FailureReason),
    /// It read nothing although the source exists.
    Failed(FailureReason),
    /// The source does not exist on this machine.
    Absent,
    /// Switched off in the config.
    Disabled,
}

impl CollectorState {
    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Partial(_) => "partial",
            Self::Failed(_) => "failed",
            Self::Absent => "absent",
            Self::Disabled => "disabled",
        }
    }
}

/// The link from probe to node, as the node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// The run of the probe, new at each start of it.
    pub run: u64,
    /// When the node took the last frame.
    pub last_frame: Timestamp,
    /// Frames taken since the node started.
    pub frames: u64,
    /// Frames that the sequence numbers say were lost.
    pub lost: u64,
    /// Times that the reader had to search for the next frame.
    pub resyncs: u64,
    /// Batches that the probe dropped because nobody read.
    pub dropped: u64,
}

/// Why stored telemetry could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is nothing there yet.
    #[error("nothing has been stored yet in `{path}`")]
    Empty {
        /// Where it was looked for.
        path: String,
    },
    /// The file system said no.
    #[error("failed to read `{path}`")]
    Io {
        /// Which file or folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file makes no sense.
    #[error("`{path}` is damaged: {detail}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// How many periods without a fresh sample make the last one stale.
pub const STALE_AFTER_PERIODS: u32 = 3;

/// The quality of the newest sample as of `now`: good becomes stale after [`STALE_AFTER_PERIODS`].
#[must_use]
pub fn quality_as_of(sample: &Sample, interval: Duration, now: Timestamp) -> Quality {
    match sample.quality {
        Quality::Good | Quality::Estimated
            if now.since(sample.at) > interval.saturating_mul(STALE_AFTER_PERIODS) =>
        {
            Quality::Stale
        }
        quality => quality,
    }
}
