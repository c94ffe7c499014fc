//! When the store is looked after: about once in a while, and where that can be, when frames woke the node anyway.

use std::time::{Duration, Instant};

/// A tempo may be off by this part of it, so that looking after the store costs no wake of its own.
const SLACK: u32 = 8;

/// When the next time is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Not before this.
    from: Instant,
    /// Not after this.
    until: Instant,
}

impl Pace {
    /// At once.
    pub(crate) fn now() -> Self {
        let now = Instant::now();
        Self {
            from: now,
            until: now,
        }
    }

    /// The next time is this much later, if frames wake the node about then.
    pub(crate) fn next(&mut self, now: Instant, span: Duration) {
        let slack = span / SLACK;
        self.from = now + span.saturating_sub(slack);
        self.until = now + span + slack;
    }

    /// The next time is exactly this much later.
    pub(crate) fn soon(&mut self, now: Instant, span: Duration) {
        self.from = now + span;
        self.until = self.from;
    }

    /// Whether it is time, for somebody who is awake.
    pub(crate) fn may(self, now: Instant) -> bool {
        now >= self.from
    }

    /// Whether it must not wait.
    pub(crate) fn must(self, now: Instant) -> bool {
        now >= self.until
    }

    /// How long one may sleep.
    pub(crate) fn left(self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a node wakes in a minute in which frames come each second, so many milliseconds late.
    fn wakes(late: impl Fn(u64) -> u64) -> u64 {
        let mut pace = Pace::now();
        let start = pace.from;
        let mut wakes = 0;
        for second in 1..=60 {
            let frames = start + Duration::from_millis(second * 1000 + late(second));
            while pace.until < frames {
                wakes += 1;
                pace.next(pace.until, Duration::from_secs(1));
            }
            wakes += 1;
            if pace.may(frames) {
                pace.next(frames, Duration::from_secs(1));
            }
        }
        wakes
    }

    #[test]
    fn a_steady_stream_of_frames_is_all_that_wakes_the_node() {
        for offset in [0, 300, 999] {
            // a few more until they fall together
            assert!(wakes(|_| offset) <= 70, "{offset}");
            assert!(wakes(|second| offset + second * 7 % 50) <= 70, "{offset}");
        }
    }

    #[test]
    fn without_frames_it_is_a_little_later() {
        let mut pace = Pace::now();
        let now = Instant::now();
        assert!(pace.must(now) && pace.left(now).is_zero());
        pace.next(now, Duration::from_secs(8));
        let at = |seconds| now + Duration::from_secs(seconds);
        assert!(!pace.may(at(6)) && pace.may(at(7)) && !pace.must(at(8)) && pace.must(at(9)));
        pace.soon(now, Duration::from_secs(8));
        assert!(!pace.may(at(7)) && pace.must(at(8)));
    }
}
