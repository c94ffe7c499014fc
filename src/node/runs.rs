//! What the numbers of a probe's run stand for.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use glasshouse_core::time::BootTime;
use glasshouse_store::{SeriesRef, Store};

/// The probe that runs, and the one before it: with two at once, which is a mistake, neither drives out the other.
const MOST_RUNS: usize = 2;

/// The most series of one run: sixteen collectors at their most.
const MOST_SERIES: usize = 128 * 1024;

/// Refused numbers that are remembered, so that their samples are told from those of unknown series.
const MOST_REFUSED: usize = 16 * 1024;

/// A number that was neither used nor defined for this long will not be used again: the probe forgets its series after
/// an hour, and repeats those that it knows each minute.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 3600);

/// The series of the newest runs, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Runs(Vec<Run>);

/// The series of one run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: u64,
    /// The sequence that its next frame should have.
    pub(crate) expected: Option<u64>,
    /// Samples whose series are not known have been logged.
    pub(crate) unknown_logged: bool,
    series: HashMap<u32, Known>,
    /// Numbers of series that there may not be.
    refused: HashSet<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    series: SeriesRef,
    used: BootTime,
}

impl Runs {
    /// The run with this id; where it is not known, it begins with what the store logged of it. Says whether it did.
    pub(crate) fn enter(
        &mut self,
        id: u64,
        store: &Store,
        now: BootTime,
    ) -> Option<(&mut Run, bool)> {
        let known = self.0.iter().position(|run| run.id == id);
        match known {
            Some(0) => {}
            Some(at) => {
                let run = self.0.remove(at);
                self.0.insert(0, run);
            }
            None => {
                self.0.truncate(MOST_RUNS.saturating_sub(1));
                self.0.insert(0, Run::load(id, store, now));
            }
        }
        self.0.first_mut().map(|run| (run, known.is_none()))
    }

    /// Forgets numbers that will not be used again.
    pub(crate) fn forget(&mut self, now: BootTime) {
        for run in &mut self.0 {
            run.series
                .retain(|_, known| now.since(known.used) < FORGET_AFTER);
            // Those that are still wanted are defined again, and refused again.
            run.refused.clear();
        }
    }
}

impl Run {
    fn load(id: u64, store: &Store, now: BootTime) -> Self {
        let logged = store.definitions(id).into_iter();
        Self {
            id,
            expected: None,
            unknown_logged: false,
            refused: HashSet::new(),
            series: logged
                .map(|(number, series)| (number, Known { series, used: now }))
                .collect(),
        }
    }

    /// How many series it has.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether one more series can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.series.len() < MOST_SERIES
    }

    /// What a number stands for, which is in use.
    pub(crate) fn find(&mut self, number: u32, now: BootTime) -> Option<SeriesRef> {
        let known = self.series.get_mut(&number)?;
        known.used = now;
        Some(known.series)
    }

    /// The series of this number may not be, for now; what comes of it is known to be refused.
    pub(crate) fn refuse(&mut self, number: u32) {
        if self.refused.len() < MOST_REFUSED {
            self.refused.insert(number);
        }
    }

    /// Whether the series of this number was refused.
    pub(crate) fn is_refused(&self, number: u32) -> bool {
        self.refused.contains(&number)
    }

    pub(crate) fn insert(&mut self, number: u32, series: SeriesRef, now: BootTime) {
        self.refused.remove(&number);
        self.series.insert(number, Known { series, used: now });
    }

    pub(crate) fn remove(&mut self, number: u32) {
        self.series.remove(&number);
    }
}
