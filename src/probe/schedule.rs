//! When a collector runs: at whole multiples of its interval on the wall clock, so that the samples of many nodes
//! meet, and so that no run moves the next.

use std::time::Duration;

use glasshouse_core::time::Timestamp;

/// A thread that wakes this part of an interval too early has been woken for the coming tick, not for the one before.
const EARLY: i64 = 8;

/// How long to wait from `now` for the next tick. Ticks that have passed are left out, not caught up with; a clock
/// that steps cannot make the wait longer than a little over one interval.
pub(crate) fn until_next(now: Timestamp, interval: Duration) -> Duration {
    let step = i64::try_from(interval.as_nanos())
        .unwrap_or(i64::MAX)
        .max(1);
    let slack = step / EARLY;
    let since_tick = now.nanos().saturating_add(slack).rem_euclid(step);
    let wait = step.saturating_sub(since_tick).saturating_add(slack);
    Duration::from_nanos(u64::try_from(wait).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_multiples_of_the_interval_and_do_not_drift() {
        let second = Duration::from_secs(1);
        let wait =
            |millis: i64| until_next(Timestamp::from_nanos(millis * 1_000_000), second).as_millis();
        assert_eq!(wait(5_000), 1000, "on the tick");
        assert_eq!(wait(5_003), 997, "woken late");
        assert_eq!(wait(4_990), 1010, "woken early, that was the tick at 5 s");
        assert_eq!(wait(5_700), 300, "a long run");
        assert_eq!(wait(6_300), 700, "a run that missed a tick");
        assert_eq!(wait(-300), 300, "before 1970");
    }

    #[test]
    fn the_wait_is_bounded_for_any_clock() {
        for interval in [1u64, 999, 1_000_000_000, 3_600_000_000_000] {
            let interval = Duration::from_nanos(interval);
            for now in [i64::MIN, -1, 0, 1, i64::MAX] {
                let wait = until_next(Timestamp::from_nanos(now), interval);
                assert!(wait > Duration::ZERO && wait <= interval + interval / 8);
            }
        }
    }
}
