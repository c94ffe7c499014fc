//! Several BMCs at once, each on a thread of its own for one run: what they say goes through one queue to the one who
//! writes, so that a BMC that does not answer costs nobody but itself.

use std::fmt;
use std::sync::mpsc::{SyncSender, sync_channel};

use glasshouse_core::collector::{Presence, SampleWriter};
use glasshouse_core::condition::Condition;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::LogEntry;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;

use super::bmc::Bmc;

/// Words under way; a BMC that says more waits until they are written.
const MOST_UNDER_WAY: usize = 256;

/// What a BMC says.
#[derive(Debug)]
enum Said {
    Sample(&'static MetricDefinition, Vec<String>, Value),
    Absent(&'static MetricDefinition, Vec<String>, FailureReason),
    Fact(&'static FactDefinition, String, String),
    Failure(CollectError),
    Calling(&'static str),
    Condition(Condition),
    Log(LogEntry),
}

/// Runs all of them, and returns when each has ended.
pub(crate) fn run_all(
    bmcs: &mut [Bmc],
    out: &mut dyn SampleWriter,
) -> Vec<Result<Presence, CollectError>> {
    if let [bmc] = bmcs {
        return vec![bmc.run(out)];
    }
    let (sender, receiver) = sync_channel(MOST_UNDER_WAY);
    std::thread::scope(|scope| {
        let runs: Vec<_> = bmcs
            .iter_mut()
            .map(|bmc| {
                let mut relay = Relay { to: sender.clone() };
                scope.spawn(move || bmc.run(&mut relay))
            })
            .collect();
        drop(sender);
        for said in receiver {
            said.write(out);
        }
        // a thread that panicked says nothing, which is a bug in it
        runs.into_iter().filter_map(|run| run.join().ok()).collect()
    })
}

impl Said {
    fn write(self, out: &mut dyn SampleWriter) {
        let borrowed = |labels: &[String], write: &mut dyn FnMut(&[&str])| {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            write(&labels);
        };
        match self {
            Self::Sample(metric, labels, value) => {
                borrowed(&labels, &mut |labels| out.sample(metric, labels, value));
            }
            Self::Absent(metric, labels, reason) => {
                borrowed(&labels, &mut |labels| out.absent(metric, labels, reason));
            }
            Self::Fact(fact, component, value) => out.fact(fact, &component, &value),
            Self::Failure(error) => out.failure(error),
            Self::Calling(call) => out.calling(call),
            Self::Condition(condition) => out.condition(condition),
            Self::Log(entry) => out.log(entry),
        }
    }
}

/// The end of the queue at which one BMC speaks.
struct Relay {
    to: SyncSender<Said>,
}

impl Relay {
    fn say(&self, said: Said) {
        // who listens waits for all who speak
        self.to.send(said).ok();
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

impl SampleWriter for Relay {
    fn sample(&mut self, metric: &'static MetricDefinition, labels: &[&str], value: Value) {
        self.say(Said::Sample(metric, owned(labels), value));
    }

    fn absent(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        reason: FailureReason,
    ) {
        self.say(Said::Absent(metric, owned(labels), reason));
    }

    fn fact(&mut self, fact: &'static FactDefinition, component: &str, value: &str) {
        self.say(Said::Fact(fact, component.to_owned(), value.to_owned()));
    }

    fn failure(&mut self, error: CollectError) {
        self.say(Said::Failure(error));
    }

    fn calling(&mut self, call: &'static str) {
        self.say(Said::Calling(call));
    }

    fn condition(&mut self, condition: Condition) {
        self.say(Said::Condition(condition));
    }

    fn log(&mut self, entry: LogEntry) {
        self.say(Said::Log(entry));
    }
}
