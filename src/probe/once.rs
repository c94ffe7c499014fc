//! A single run of each collector, for `glasshouse collect --once`.

use std::path::Path;
use std::time::{Duration, Instant};

use glasshouse_core::fact::Fact;
use glasshouse_core::reader::{CollectorState, CollectorStatus, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, Moment, SystemClock, Timestamp};

use crate::recorder::{Ending, Recorder};
use crate::series::{Numbers, Owner};
use crate::settings::Planned;

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

/// Runs each collector once, one after the other, on this thread and without a deadline. Those that are switched off
/// are reported and not run.
#[must_use]
pub fn collect_once(root: &Path, planned: &[Planned]) -> Vec<CollectedOnce> {
    let numbers = Numbers::new();
    planned
        .iter()
        .map(|planned| collect(root, planned, numbers.clone()))
        .collect()
}

fn collect(root: &Path, planned: &Planned, numbers: Numbers) -> CollectedOnce {
    let spec = planned.spec;
    let interval = planned.interval.duration();
    let mut status = CollectorStatus {
        name: spec.name().to_owned(),
        interval,
        state: CollectorState::Disabled,
        detail: Untrusted::new("switched off in the config"),
        last_run: Timestamp::default(),
        duration: Duration::ZERO,
        series: 0,
        failures: 0,
    };
    let owner = Owner {
        collector: spec.name(),
        metrics: spec.metrics(),
        interval,
    };
    let mut recorder = Recorder::new(owner, spec.facts(), numbers);
    let at = SystemClock.moment();
    if planned.enabled {
        recorder.begin();
        let started = Instant::now();
        let ending = spec.build(root, &planned.options).collect(&mut recorder);
        status.duration = started.elapsed();
        status.last_run = at.wall;
        let verdict = recorder.verdict(Ending::Returned(ending));
        let failed = matches!(
            verdict.state,
            CollectorState::Partial(_) | CollectorState::Failed(_)
        );
        status.state = verdict.state;
        status.detail = Untrusted::new(&verdict.detail);
        status.series = verdict.series;
        status.failures = u64::from(failed);
    }
    let readings = recorder.readings().into_iter();
    CollectedOnce {
        collector: spec.name(),
        at,
        samples: readings
            .map(|(series, value, quality)| CollectedSample {
                series,
                value,
                quality,
            })
            .collect(),
        facts: recorder.facts(),
        status,
    }
}
