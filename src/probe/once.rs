//! A single run of each collector, for `glasshouse collect --once`.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use glasshouse_core::fact::Fact;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::{CollectorState, CollectorStatus, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, Moment, SystemClock};

use crate::board::{Place, Slot};
use crate::recorder::{Ending, Recorder, Voice};
use crate::series::{Numbers, Owner};
use crate::settings::{Planned, Tempo};
use crate::supervisor::{WORKER_STACK_BYTES, spawn};

/// How often a run is looked after.
const STEP: Duration = Duration::from_millis(100);

/// The longest time that a person in front of a terminal waits for one call …
const CALL: Duration = Duration::from_secs(10);

/// … and for one collector.
const RUN: Duration = Duration::from_secs(60);

/// What one collector said when it was asked once.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedOnce {
    /// The collector.
    pub collector: &'static str,
    /// When it read.
    pub at: Moment,
    /// What it read, in the order in which it did.
    pub samples: Vec<CollectedSample>,
    /// What it says the machine is.
    pub facts: Vec<Fact>,
    /// How the run ended.
    pub status: CollectorStatus,
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedSample {
    /// The series.
    pub series: SeriesInfo,
    /// The value; `None` exactly where the quality is absent.
    pub value: Option<Value>,
    /// How far it can be trusted.
    pub quality: Quality,
}

/// Runs each collector once, each on a thread of its own: those of workers, which may take long, together, the others one
/// after the other. One that does not answer in time is reported and left behind. Those that are switched off are
/// reported and not run.
#[must_use]
pub fn collect_once(root: &Path, planned: &[Planned]) -> Vec<CollectedOnce> {
    let tempo = Tempo {
        deadline: (Tempo::default().deadline.0, CALL),
        run: RUN,
        ..Tempo::default()
    };
    collect_within(root, planned, &tempo)
}

/// The same with other deadlines.
pub(crate) fn collect_within(
    root: &Path,
    planned: &[Planned],
    tempo: &Tempo,
) -> Vec<CollectedOnce> {
    let numbers = Numbers::new();
    let start = |planned: &Planned| Run::start(root, planned, tempo, numbers.clone());
    let elsewhere: Vec<Option<Run>> = planned
        .iter()
        .map(|planned| planned.spec.worker().map(|_| start(planned)))
        .collect();
    let all = planned.iter().zip(elsewhere);
    all.map(|(planned, run)| run.unwrap_or_else(|| start(planned)).wait())
        .collect()
}

/// A run under way.
struct Run {
    collector: &'static str,
    at: Moment,
    slot: Arc<Slot>,
    /// Nothing where it is not run.
    result: Option<Receiver<Readings>>,
}

type Readings = (Vec<CollectedSample>, Vec<Fact>);

impl Run {
    fn start(root: &Path, planned: &Planned, tempo: &Tempo, numbers: Numbers) -> Self {
        let spec = planned.spec;
        let interval = planned.interval.duration();
        let state = if planned.enabled {
            CollectorState::Absent
        } else {
            CollectorState::Disabled
        };
        let place = Place::new(spec, interval, tempo);
        let mut run = Self {
            collector: spec.name(),
            at: SystemClock.moment(),
            slot: Arc::new(Slot::new(place, state)),
            result: None,
        };
        if !planned.enabled {
            return run;
        }
        let owner = Owner {
            collector: spec.name(),
            metrics: spec.metrics(),
            interval,
        };
        let mut recorder = Recorder::new(owner, spec.facts(), numbers)
            .with_voice(Voice::of(spec))
            .watched_by(&run.slot);
        let (root, options) = (root.to_owned(), planned.options.clone());
        let (slot, at) = (Arc::clone(&run.slot), run.at);
        let (tell, result) = sync_channel(1);
        run.slot.begin();
        let started = spawn(spec.name().to_owned(), WORKER_STACK_BYTES, move || {
            recorder.begin();
            let ending = spec.build(&root, &options).collect(&mut recorder);
            let verdict = recorder.verdict(Ending::Returned(ending));
            if slot.end(at.wall, &verdict) {
                // who waited has given up
                drop(tell.send((samples(&recorder), recorder.facts())));
            }
        });
        match started {
            Ok(_) => run.result = Some(result),
            Err(error) => run.slot.stuck(FailureReason::Io, &error.to_string()),
        }
        run
    }

    /// Waits until it ends or misses its deadline.
    fn wait(self) -> CollectedOnce {
        let mut readings = Readings::default();
        while let Some(result) = &self.result {
            match result.recv_timeout(STEP) {
                Ok(read) => {
                    readings = read;
                    break;
                }
                Err(RecvTimeoutError::Timeout) if self.slot.watch().is_none() => {}
                Err(_) => break,
            }
        }
        let (samples, facts) = readings;
        CollectedOnce {
            collector: self.collector,
            at: self.at,
            samples,
            facts,
            status: self.status(),
        }
    }

    fn status(&self) -> CollectorStatus {
        let status = self.slot.status();
        // a thread that panicked has said nothing
        if self.slot.is_running() && !matches!(status.state, CollectorState::Failed(_)) {
            return CollectorStatus {
                state: CollectorState::Failed(FailureReason::Io),
                detail: Untrusted::new("the collector panicked, which is a bug in it"),
                failures: 1,
                ..status
            };
        }
        status
    }
}

fn samples(recorder: &Recorder) -> Vec<CollectedSample> {
    let readings = recorder.readings().into_iter();
    readings
        .map(|(series, value, quality)| CollectedSample {
            series,
            value,
            quality,
        })
        .collect()
}
