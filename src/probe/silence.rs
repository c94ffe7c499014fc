//! How long a collector has not answered, and what has to be said because of that.

use std::time::{Duration, Instant};

use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::{CollectorState, STALE_AFTER_PERIODS};
use glasshouse_core::sample::Quality;
use glasshouse_wire::SampleRow;

use crate::settings::REPEAT_PERIOD;

/// Deadlines that are missed in a row until it is a condition: one may be a device that was busy.
const MISSES: u32 = 3;

/// What is known of the answers of a collector.
#[derive(Debug)]
pub(crate) struct Silence {
    /// When a run last succeeded.
    answered: Instant,
    /// Deadlines that were missed since.
    misses: u32,
    /// Why there is no answer, where there is none.
    unanswered: Option<FailureReason>,
    /// The last run failed, answered or not.
    failed: bool,
    /// The series that the last runs wrote.
    known: Vec<u32>,
    /// When they were last said to be absent.
    blanked: Option<Instant>,
}

impl Silence {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            answered: now,
            misses: 0,
            unanswered: None,
            failed: false,
            known: Vec::new(),
            blanked: None,
        }
    }

    /// A run ended so, in time.
    pub(crate) fn judge(&mut self, state: CollectorState) {
        self.failed = matches!(state, CollectorState::Failed(_));
        if !self.failed {
            self.answered = Instant::now();
            self.misses = 0;
            self.unanswered = None;
            self.blanked = None;
        }
    }

    /// A deadline was missed, or the worker ended.
    pub(crate) fn missed(&mut self, reason: FailureReason) {
        self.misses = self.misses.saturating_add(1);
        self.unanswered(reason);
    }

    /// There is no answer, and nothing new about that.
    pub(crate) const fn unanswered(&mut self, reason: FailureReason) {
        self.unanswered = Some(reason);
        self.failed = true;
    }

    /// The series that the last runs wrote. Allocates only where they differ from the runs before.
    pub(crate) fn knows(&mut self, numbers: impl Iterator<Item = u32>) {
        let mut same = 0usize;
        let mut numbers = numbers.peekable();
        while let Some(number) = numbers.peek()
            && self.known.get(same) == Some(number)
        {
            same = same.saturating_add(1);
            numbers.next();
        }
        self.known.truncate(same);
        self.known.extend(numbers);
    }

    /// Why and after how many missed deadlines it is a condition that nothing answers.
    pub(crate) fn stall(&self, stall: Duration, now: Instant) -> Option<(FailureReason, u32)> {
        let reason = self.unanswered?;
        let is_long = now.duration_since(self.answered) >= stall;
        (self.misses >= MISSES || is_long).then_some((reason, self.misses))
    }

    /// The known series without values, once after three periods and then once in a while: the store keeps the last
    /// word of a series for a limited time.
    pub(crate) fn blanks(
        &mut self,
        interval: Duration,
        reason: FailureReason,
        now: Instant,
    ) -> Option<Vec<SampleRow>> {
        let is_silent = now.duration_since(self.answered)
            >= interval.saturating_mul(STALE_AFTER_PERIODS)
            && self.failed;
        let again = interval.max(REPEAT_PERIOD);
        let is_due = self
            .blanked
            .is_none_or(|blanked| now.duration_since(blanked) >= again);
        if !is_silent || !is_due || self.known.is_empty() {
            return None;
        }
        self.blanked = Some(now);
        let known = self.known.iter();
        Some(
            known
                .map(|number| (*number, None, Quality::Absent(reason)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn known_series_are_absent_after_three_periods_and_once_in_a_while_then() {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        silence.knows([1, 2].into_iter());
        silence.missed(FailureReason::Timeout);
        let mut said = Vec::new();
        for second in 0..200 {
            let now = start + SECOND * second;
            if let Some(rows) = silence.blanks(SECOND, FailureReason::Timeout, now) {
                assert_eq!(rows.len(), 2);
                assert!(rows.iter().all(|(_, value, _)| value.is_none()));
                said.push(second);
            }
        }
        assert_eq!(said, [3, 63, 123, 183]);
    }

    #[test]
    fn who_answers_is_not_blanked_however_slow() {
        let mut silence = Silence::new(Instant::now());
        silence.knows([1].into_iter());
        silence.missed(FailureReason::Timeout);
        silence.judge(CollectorState::Good);
        let later = Instant::now() + SECOND * 1000;
        assert_eq!(silence.blanks(SECOND, FailureReason::Timeout, later), None);
        assert_eq!(silence.stall(SECOND, later), None);
    }

    #[test]
    fn three_missed_deadlines_or_a_long_silence_are_a_condition() {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        let long = SECOND * 90;
        for misses in 1..=3 {
            silence.missed(FailureReason::Timeout);
            assert_eq!(silence.stall(long, start).is_some(), misses == 3);
        }
        let mut silence = Silence::new(start);
        silence.missed(FailureReason::Io);
        assert_eq!(silence.stall(long, start + SECOND * 89), None);
        let stall = silence.stall(long, start + long);
        assert_eq!(stall, Some((FailureReason::Io, 1)));
        // refused is an answer
        let mut silence = Silence::new(start);
        silence.judge(CollectorState::Failed(FailureReason::Denied));
        assert_eq!(silence.stall(long, start + long), None);
    }

    #[test]
    fn known_series_follow_what_is_written() {
        let mut silence = Silence::new(Instant::now());
        for numbers in [&[1, 2, 3][..], &[1, 2, 3], &[1, 3], &[], &[7, 8]] {
            silence.knows(numbers.iter().copied());
            assert_eq!(silence.known, numbers);
        }
    }
}
