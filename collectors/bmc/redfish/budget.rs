//! The request budget: never more than so many requests in any minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most requests a minute that may be configured: ten a second is more than any BMC is made for.
pub(crate) const MOST_A_MINUTE: u32 = 600;

/// Remembers when requests were sent.
#[derive(Debug)]
pub(crate) struct Budget {
    a_minute: usize,
    sent: VecDeque<Instant>,
    window: Duration,
}

impl Budget {
    /// So many requests in any minute; at least one.
    pub(crate) fn new(a_minute: u32, minute: Duration) -> Self {
        let a_minute = a_minute.clamp(1, MOST_A_MINUTE);
        Self {
            a_minute: usize::try_from(a_minute).unwrap_or(1),
            sent: VecDeque::new(),
            window: minute,
        }
    }

    /// How many may be sent in any minute.
    pub(crate) const fn a_minute(&self) -> usize {
        self.a_minute
    }

    /// How many may be sent now.
    pub(crate) fn left(&mut self, now: Instant) -> usize {
        while let Some(first) = self.sent.front()
            && now.saturating_duration_since(*first) >= self.window
        {
            self.sent.pop_front();
        }
        self.a_minute.saturating_sub(self.sent.len())
    }

    /// Counts one request; false where none may be sent.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let allowed = self.left(now) > 0;
        if allowed {
            self.sent.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_than_its_budget() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(60, Duration::from_mins(1));
        let mut sent = Vec::new();
        for second in 0..600 {
            for _ in 0..3 {
                if budget.take(at(second)) {
                    sent.push(second);
                }
            }
        }
        for from in 0..540 {
            let within = sent.iter().filter(|at| (from..from + 60).contains(*at));
            assert!(within.count() <= 60, "minute from second {from}");
        }
        assert!(sent.len() >= 590, "{}", sent.len());
        assert_eq!(Budget::new(0, Duration::from_mins(1)).left(start), 1);
    }
}
