//! What is wrong by the word of one collector, and that it does not answer by the word of the probe.

use std::time::Instant;

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::failure::FailureReason;
use glasshouse_core::text::Untrusted;
use glasshouse_core::worker::Worker;
use glasshouse_wire::MOST_CONDITIONS;

use crate::board::Place;
use crate::settings::REPEAT_PERIOD;

/// The cause code of a hang of which nobody knows whose fault it is.
pub(crate) const STALLED: &str = "collector.stalled";

/// What is wrong, and what of that was said.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    said: Vec<Condition>,
    stall: Option<Condition>,
    /// A run has said what is wrong, so what a probe before this one said is over.
    is_known: bool,
    /// Something was wrong once: the end of it is repeated too, because the link can lose it.
    was_wrong: bool,
    is_new: bool,
    sent: Option<Instant>,
}

impl Notices {
    /// This is all that is wrong.
    pub(crate) fn only(&mut self, conditions: Vec<Condition>) {
        if !self.is_known || self.said != conditions {
            self.said = conditions;
            self.is_new = true;
        }
        self.is_known = true;
    }

    /// This is wrong too, and what was wrong before still is.
    pub(crate) fn also(&mut self, conditions: Vec<Condition>) {
        for condition in conditions {
            let has_room = self.said.len() < MOST_CONDITIONS;
            let same = self.said.iter_mut().find(|said| {
                said.cause == condition.cause && said.component == condition.component
            });
            match same {
                Some(said) if *said == condition => {}
                Some(said) => {
                    *said = condition;
                    self.is_new = true;
                }
                None if has_room => {
                    self.said.push(condition);
                    self.is_new = true;
                }
                None => {}
            }
        }
    }

    /// All that is wrong, where that is new or due to be said again. A collector that names the cause of its silence
    /// itself knows better than the probe.
    pub(crate) fn take(
        &mut self,
        stall: Option<Condition>,
        now: Instant,
    ) -> Option<Vec<Condition>> {
        let stall = stall.filter(|stall| !self.said.iter().any(|said| said.cause == stall.cause));
        let cause = |stall: &Option<Condition>| stall.as_ref().map(|stall| stall.cause.clone());
        if cause(&self.stall) != cause(&stall) {
            self.stall = stall;
            self.is_new = true;
        }
        self.was_wrong |= self.stall.is_some() || !self.said.is_empty();
        let age = self.sent.map(|sent| now.duration_since(sent));
        let is_due = self.was_wrong && age.is_some_and(|age| age >= REPEAT_PERIOD);
        if !(self.is_new || is_due) {
            return None;
        }
        self.is_new = false;
        self.sent = Some(now);
        let room = MOST_CONDITIONS.saturating_sub(usize::from(self.stall.is_some()));
        let said = self.said.iter().take(room);
        Some(said.chain(&self.stall).cloned().collect())
    }
}

/// A collector that does not answer.
#[derive(Debug)]
pub(crate) struct Stall<'a> {
    pub(crate) place: &'a Place,
    pub(crate) reason: FailureReason,
    pub(crate) misses: u32,
    /// What its status says.
    pub(crate) detail: &'a str,
}

impl Stall<'_> {
    /// The condition. It is made once for each silence, so its numbers are those of the beginning.
    pub(crate) fn condition(&self) -> Condition {
        // a worker that ends by itself says nothing about the device behind it
        let cause = if self.reason == FailureReason::Timeout {
            self.place.cause
        } else {
            STALLED
        };
        let severity = match self.place.worker {
            Some(Worker::Gpu) => Severity::Critical,
            _ => Severity::Warning,
        };
        let component = match self.place.worker {
            Some(Worker::Gpu) if cause != STALLED => "gpu".to_owned(),
            Some(Worker::Ipmi | Worker::Bmc) if cause != STALLED => "bmc".to_owned(),
            _ => format!("collector/{}", self.place.name),
        };
        let detail = format!(
            "the collector `{}` gives no answer ({} missed in a row): {}",
            self.place.name, self.misses, self.detail
        );
        Condition {
            cause: cause.to_owned(),
            severity,
            component: Untrusted::new(&component),
            detail: Untrusted::new(&detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wrong(cause: &str, detail: &str) -> Condition {
        Condition {
            cause: cause.to_owned(),
            severity: Severity::Warning,
            component: Untrusted::new("test"),
            detail: Untrusted::new(detail),
        }
    }

    #[test]
    fn what_is_wrong_is_said_on_change_and_once_in_a_period_and_so_is_its_end() {
        let mut notices = Notices::default();
        let start = Instant::now();
        assert_eq!(notices.take(None, start), None, "nothing was said yet");
        let mut said = Vec::new();
        for second in 0..200 {
            let wrong = if (10..30).contains(&second) {
                vec![wrong("a.b", "x")]
            } else {
                Vec::new()
            };
            notices.only(wrong);
            let now = start + Duration::from_secs(second);
            if let Some(conditions) = notices.take(None, now) {
                said.push((second, conditions.len()));
            }
        }
        assert_eq!(said, [(0, 0), (10, 1), (30, 0), (90, 0), (150, 0)]);
    }

    #[test]
    fn a_failed_run_ends_nothing() {
        let mut notices = Notices::default();
        let now = Instant::now();
        notices.only(vec![wrong("a.b", "x")]);
        notices.also(vec![wrong("a.b", "y"), wrong("c.d", "z")]);
        let said = notices.take(None, now).unwrap();
        assert_eq!(said, [wrong("a.b", "y"), wrong("c.d", "z")]);
        notices.also(Vec::new());
        assert_eq!(notices.take(None, now), None);
    }

    #[test]
    fn the_collector_names_its_silence_before_the_probe_does() {
        let mut notices = Notices::default();
        let now = Instant::now();
        let stall = || Some(wrong("bmc.unresponsive", "by the probe"));
        assert_eq!(notices.take(stall(), now).unwrap().len(), 1);
        assert_eq!(notices.take(stall(), now), None);
        notices.also(vec![wrong("bmc.unresponsive", "by itself")]);
        let said = notices.take(stall(), now).unwrap();
        assert_eq!(said, [wrong("bmc.unresponsive", "by itself")]);
        notices.only(Vec::new());
        assert_eq!(notices.take(None, now).unwrap(), []);
    }
}
