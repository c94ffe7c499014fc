//! What a probe is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::options::Options;
use glasshouse_core::time::Interval;

/// In this time every definition and every fact is sent again: what a node that lost its store misses at most. At 600
/// series that is ten definitions, 2 KiB, a second.
pub const REPEAT_PERIOD: Duration = Duration::from_secs(60);

/// A collector and how it is to run.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The collector.
    pub spec: &'static dyn CollectorSpec,
    /// Its settings.
    pub options: Options,
    /// How often it runs.
    pub interval: Interval,
    /// Whether it runs at all; one that does not is still reported.
    pub enabled: bool,
}

/// What a probe is told at its start.
#[derive(Clone, Debug)]
pub struct ProbeSettings {
    /// The machine: `/`, or a captured tree.
    pub root: PathBuf,
    /// The FIFO to the node. It need not exist yet.
    pub frames: PathBuf,
    /// What to run.
    pub collectors: Vec<Planned>,
    /// How fast everything goes.
    pub tempo: Tempo,
}

/// How fast everything goes. The default is for machines; tests hurry.
#[derive(Clone, Debug)]
pub struct Tempo {
    /// Runs every collector this often, whatever was planned.
    pub interval: Option<Duration>,
    /// A run may take its collector's interval, but at least the first and at most the second of these.
    pub deadline: (Duration, Duration),
    /// How often the probe reports its collectors and itself.
    pub status: Duration,
    /// How often the supervisor looks after the threads: it finds a hanging run, a change to report and the wish to
    /// stop this late.
    pub tick: Duration,
    /// How much the queue holds when nobody reads.
    pub queue: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            interval: None,
            deadline: (Duration::from_secs(5), Duration::from_secs(60)),
            status: Duration::from_secs(10),
            tick: Duration::from_millis(500),
            queue: Duration::from_secs(60),
        }
    }
}

impl Tempo {
    /// How often a collector runs.
    pub(crate) fn interval(&self, planned: &Planned) -> Duration {
        self.interval.unwrap_or_else(|| planned.interval.duration())
    }

    /// How long a run may take before it counts as hanging.
    pub(crate) fn deadline(&self, interval: Duration) -> Duration {
        interval.min(self.deadline.1).max(self.deadline.0)
    }
}

/// Why a probe could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The system gives no thread.
    #[error("failed to start the thread `{name}` (raise the limit on tasks of this service)")]
    Thread {
        /// Which one.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The thread that writes to the link ended although nobody wanted it to.
    #[error("the thread that writes frames ended by itself")]
    WriterEnded,
}
