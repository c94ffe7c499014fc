//! Whether a BMC answers, and how often it should be asked.

use std::time::Duration;

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::BootTime;

use super::place::Place;

/// Runs in a row that failed before a BMC counts as unresponsive.
const MOST_FAILED_RUNS: u32 = 3;

/// How long a BMC may be silent. With a run every 30 s this or the runs above raise the condition within 90 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The cause code of a BMC that does not answer.
pub(crate) const UNRESPONSIVE: &str = "bmc.unresponsive";

/// When a BMC last answered.
#[derive(Debug, Default)]
pub(crate) struct Health {
    since: Option<BootTime>,
    failed_runs: u32,
}

impl Health {
    /// A run in which the BMC answered all that it was asked.
    pub(crate) const fn answered(&mut self, now: BootTime) {
        self.since = Some(now);
        self.failed_runs = 0;
    }

    /// A run that ended in silence, though something may have been answered before.
    pub(crate) fn fell_silent(&mut self, begun: BootTime, now: BootTime, has_answered: bool) {
        self.failed_runs = self.failed_runs.saturating_add(1);
        if has_answered {
            self.since = Some(now);
        }
        self.since.get_or_insert(begun);
    }

    /// What is wrong, where it has lasted.
    pub(crate) fn condition(&self, place: &Place, now: BootTime) -> Option<Condition> {
        let silent = self.since.map_or(Duration::ZERO, |since| now.since(since));
        let is_lasting = self.failed_runs >= MOST_FAILED_RUNS || silent > LONGEST_SILENCE;
        (self.failed_runs > 0 && is_lasting).then(|| Condition {
            cause: UNRESPONSIVE.to_owned(),
            severity: Severity::Warning,
            component: Untrusted::new(&place.component),
            detail: Untrusted::new(&format!(
                "the BMC has not answered by IPMI for {} s; {} runs in a row failed",
                silent.as_secs(),
                self.failed_runs
            )),
        })
    }

    /// Whether the last run ended in silence.
    pub(crate) const fn is_silent(&self) -> bool {
        self.failed_runs > 0
    }
}

/// The most that a period is stretched: a BMC that takes minutes for a round is asked every eight minutes at 30 s.
const MOST_STRETCH: u32 = 16;

/// A period is not taken for shorter than this: tests and `--once` run without a pause.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reads everything.
    Everything,
    /// Shows that the BMC answers: the time for everything has not come.
    Sign,
}

/// How often everything is read: each run, or every second, fourth, eighth or sixteenth of a slow BMC.
#[derive(Debug)]
pub(crate) struct Pace {
    stretch: u32,
    waited: u32,
    last: Option<BootTime>,
    interval: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            stretch: 1,
            waited: 0,
            last: None,
            interval: None,
        }
    }
}

impl Pace {
    /// A run begins.
    pub(crate) fn begin(&mut self, now: BootTime) -> Work {
        if let Some(last) = self.last.replace(now) {
            // the shortest time between two runs is the interval: late runs make others only longer
            let gap = now.since(last).max(SHORTEST_INTERVAL);
            self.interval = Some(self.interval.map_or(gap, |known| known.min(gap)));
        }
        self.waited = self.waited.saturating_add(1);
        if self.waited < self.stretch {
            return Work::Sign;
        }
        self.waited = 0;
        Work::Everything
    }

    /// A run that read everything, and nothing that is read once, took so long: doubles the period until a run takes
    /// less than half of it, and halves it again where it would take less than an eighth.
    pub(crate) fn took(&mut self, took: Duration) {
        let Some(period) = self.period() else {
            return;
        };
        if took > period / 2 {
            self.stretch = (self.stretch * 2).min(MOST_STRETCH);
        } else if took < period / 8 {
            self.stretch = (self.stretch / 2).max(1);
        }
    }

    /// How often everything is read now; `None` before the second run.
    pub(crate) fn period(&self) -> Option<Duration> {
        Some(self.interval? * self.stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    /// Whenever in its last good run the BMC answered last, and however long a failing run takes.
    #[test]
    fn silence_is_told_within_ninety_seconds_at_the_default_interval() {
        for last_answer in 0..30 {
            for takes in 1..=10 {
                let mut health = Health::default();
                health.answered(at(last_answer));
                let raised = (1..10).map(|run| run * 30).find_map(|begun| {
                    let ended = at(begun + takes);
                    health.fell_silent(at(begun), ended, false);
                    health
                        .condition(&Place::own(), ended)
                        .map(|_| begun + takes)
                });
                let after = raised.unwrap() - last_answer;
                assert!(after > 30, "a short pause is no silence: {after} s");
                assert!(after <= 90, "told after {after} s ({last_answer}, {takes})");
            }
        }
    }

    #[test]
    fn one_answered_run_ends_it() {
        let mut health = Health::default();
        for run in 1..5 {
            health.fell_silent(at(run * 30), at(run * 30 + 5), false);
        }
        let condition = health.condition(&Place::named("a"), at(126)).unwrap();
        assert_eq!(condition.cause, UNRESPONSIVE);
        assert_eq!(condition.component.raw(), "bmc/a");
        health.answered(at(150));
        assert_eq!(health.condition(&Place::own(), at(150)), None);
    }

    #[test]
    fn a_slow_bmc_is_asked_less_often_and_a_quick_one_again_more_often() {
        let mut pace = Pace::default();
        let mut now = 0;
        let mut next = |takes: u64, pace: &mut Pace| {
            now += 30;
            let work = pace.begin(at(now));
            if work == Work::Everything {
                pace.took(Duration::from_secs(takes));
            }
            work
        };
        assert_eq!(next(20, &mut pace), Work::Everything);
        // 20 s of 30 s are too much, 20 s of 60 s are not
        assert_eq!(next(20, &mut pace), Work::Everything);
        assert_eq!(pace.period(), Some(Duration::from_secs(60)));
        assert_eq!(next(20, &mut pace), Work::Sign);
        assert_eq!(next(20, &mut pace), Work::Everything);
        assert_eq!(pace.period(), Some(Duration::from_secs(60)));
        assert_eq!(next(2, &mut pace), Work::Sign);
        assert_eq!(next(2, &mut pace), Work::Everything);
        assert_eq!(pace.period(), Some(Duration::from_secs(30)));
        for _ in 0..100 {
            next(100_000, &mut pace);
        }
        assert_eq!(pace.period(), Some(Duration::from_secs(480)));
    }
}
