//! What a collector is: a static description and a reader built from it.
//!
//! To add one, see `docs/adding-a-collector.md`.

use std::fmt;
use std::path::Path;

use crate::condition::{Condition, causes_of};
use crate::fact::FactDefinition;
use crate::failure::{CollectError, FailureReason};
use crate::log::{LogEntry, LogSource, source_of};
use crate::metric::MetricDefinition;
use crate::options::{OptionDefinition, Options};
use crate::sample::Value;
use crate::time::Interval;
use crate::worker::Worker;

/// The static description of a collector, an entry of its family's list.
pub trait CollectorSpec: Sync + fmt::Debug {
    /// Its name in config, labels and answers: lower case, words joined by `_`.
    fn name(&self) -> &'static str;

    /// What it reads, one sentence.
    fn summary(&self) -> &'static str;

    /// Every metric that it may write.
    fn metrics(&self) -> &'static [MetricDefinition];

    /// Every fact that it may write.
    fn facts(&self) -> &'static [FactDefinition] {
        &[]
    }

    /// Its settings in `[collectors.<name>]`, beside `enabled` and `interval` that all have.
    fn options(&self) -> &'static [OptionDefinition] {
        &[]
    }

    /// How often it runs where nothing is configured.
    fn default_interval(&self) -> Interval;

    /// What it needs beyond world-readable files, e.g. `CAP_DAC_READ_SEARCH`; empty where nothing.
    fn needs(&self) -> &'static str {
        ""
    }

    /// The process that it runs in, where its source may hang or comes from a network; `None` is the probe itself.
    fn worker(&self) -> Option<Worker> {
        None
    }

    /// The cause code of the condition that the probe raises while the collector hangs: it says whose fault a call is
    /// that does not come back.
    fn hang_cause(&self) -> &'static str {
        match self.worker() {
            Some(Worker::Gpu) => "gpu.driver_wedged",
            Some(Worker::Ipmi | Worker::Bmc) => "bmc.unresponsive",
            Some(Worker::Privileged) | None => "collector.stalled",
        }
    }

    /// The causes that it states; others are refused and counted.
    fn causes(&self) -> &'static [&'static str] {
        causes_of(self.name())
    }

    /// The log that it reads; entries of another one are refused and counted.
    fn log_source(&self) -> Option<LogSource> {
        source_of(self.name())
    }

    /// Whether it is worth a worker: a look that cannot hang, at names below `root` and at the settings, never at a
    /// device. A worker is started only where one of its collectors says [`Presence::Present`].
    fn look(&self, root: &Path, options: &Options) -> Presence {
        let _ = (root, options);
        Presence::Present
    }

    /// Builds the reader over the machine below `root` (`/`, or a captured tree). Touches nothing yet.
    fn build(&self, root: &Path, options: &Options) -> Box<dyn Collector>;
}

/// A reader of one source. It runs on one thread at a time, not always the same, may keep state between runs, and never panics.
pub trait Collector: Send + fmt::Debug {
    /// Reads the source once and writes what it says.
    ///
    /// What is broken in part is told to [`SampleWriter::failure`] and the rest is still written.
    ///
    /// # Errors
    /// [`CollectError`] where nothing could be read although the source exists.
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError>;
}

/// Whether the source of a collector exists on this machine. Absent hardware is silence, never zero and no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It exists and was read.
    Present,
    /// It does not exist here; the text says what was looked for.
    Absent(String),
}

/// Where a collector puts what it read. All values of one [`Collector::collect`] share one time.
pub trait SampleWriter {
    /// One reading. `labels` are the declared ones, in the declared order; trailing ones may be left out.
    /// A value that is not finite is dropped and counted.
    fn sample(&mut self, metric: &'static MetricDefinition, labels: &[&str], value: Value);

    /// A series that exists but gave no value this time, and why.
    fn absent(&mut self, metric: &'static MetricDefinition, labels: &[&str], reason: FailureReason);

    /// One fact about one component (`cpu/0`, `disk/nvme0n1`, `kernel`).
    fn fact(&mut self, fact: &'static FactDefinition, component: &str, value: &str);

    /// A part of the source that could not be read; the rest goes on.
    fn failure(&mut self, error: CollectError);

    /// A call that may hang begins: the deadline of a run counts from here, and if it passes, this call is named.
    fn calling(&mut self, call: &'static str) {
        let _ = call;
    }

    /// Something that is wrong right now. A run states all that hold; what the next run does not state is over.
    fn condition(&mut self, condition: Condition);

    /// An entry of a log that has not been said since the collector was built.
    fn log(&mut self, entry: LogEntry);
}
