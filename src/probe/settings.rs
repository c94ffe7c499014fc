//! What a probe is told at its start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::options::Options;
use glasshouse_core::time::Interval;
use glasshouse_core::worker::Worker;

use crate::board::Limits;

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
    /// What to run. Collectors that run in a worker are reported, and run in theirs.
    pub collectors: Vec<Planned>,
    /// How to reach the workers. The collectors of one that is not among them do not run.
    pub workers: Vec<WorkerPlan>,
    /// How fast everything goes.
    pub tempo: Tempo,
}

/// A worker, and how to reach it.
#[derive(Clone, Debug)]
pub struct WorkerPlan {
    /// Which one.
    pub worker: Worker,
    /// How to reach it.
    pub reach: Reach,
}

/// How to reach a worker.
#[derive(Clone, Debug)]
pub enum Reach {
    /// The probe starts it so, as its child, and reads what it writes to its standard output.
    Start {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Somebody else starts it; it writes to this FIFO.
    Fifo(PathBuf),
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
    /// The longest run, however many calls it makes, each within the deadline.
    pub run: Duration,
    /// A collector that has not answered for this long is a condition.
    pub stall: Duration,
    /// A worker that has written nothing for this long is not waited for; it writes every [`Self::status`].
    pub silence: Duration,
    /// How often hardware that was not there is looked for again.
    pub look: Duration,
    /// The shortest and the longest wait before a worker that ended is started again.
    pub restart: (Duration, Duration),
    /// A worker that was killed gets this long to be gone before it is said that it does not go.
    pub reap: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            interval: None,
            deadline: (Duration::from_secs(5), Duration::from_secs(60)),
            status: Duration::from_secs(10),
            tick: Duration::from_millis(500),
            queue: Duration::from_secs(60),
            // a management controller is asked hundreds of short questions at the first run
            run: Duration::from_secs(15 * 60),
            stall: Duration::from_secs(90),
            silence: Duration::from_secs(30),
            look: Duration::from_secs(60),
            restart: (Duration::from_secs(1), Duration::from_secs(60)),
            reap: Duration::from_secs(1),
        }
    }
}

impl Tempo {
    /// How often a collector runs.
    pub(crate) fn interval(&self, planned: &Planned) -> Duration {
        self.interval.unwrap_or_else(|| planned.interval.duration())
    }

    /// How long what may take in a collector with this interval.
    pub(crate) fn limits(&self, interval: Duration) -> Limits {
        let deadline = interval.min(self.deadline.1).max(self.deadline.0);
        Limits {
            deadline,
            run: self.run.max(deadline),
            stall: self.stall,
        }
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
    /// A collector of this worker missed its deadline: the worker ends, so that nothing stays behind in the device.
    #[error("the collector `{collector}` hangs: {detail}")]
    Hung {
        /// Which collector.
        collector: &'static str,
        /// What is known of it.
        detail: String,
    },
    /// Standard output cannot be written without blocking.
    #[error("failed to make standard output not block")]
    Output {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
