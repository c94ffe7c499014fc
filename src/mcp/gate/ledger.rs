//! What each grant has used in the last 24 hours.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use glasshouse_core::access::{Usage, UsageKey};
use glasshouse_core::time::Timestamp;

/// How long use counts.
const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// Use is kept by the minute: at most 1,441 entries a grant.
const GRAIN_SECONDS: i64 = 60;
/// The most grants that are counted at a time, those from before the start aside, of which there are as many as the
/// audit log of a day holds. One more is refused, because what is not counted has no budget.
const MOST_GRANTS: usize = 4096;

/// Rolling sums by grant.
#[derive(Debug)]
pub(crate) struct Ledger {
    grants: BTreeMap<UsageKey, Grant>,
}

#[derive(Debug, Default)]
struct Grant {
    /// Minutes with use, oldest first.
    minutes: VecDeque<(Timestamp, Usage)>,
    sum: Usage,
}

impl Ledger {
    /// Starts with what was used before; it counts from `now` on for a day, because its times are not known.
    /// All of it is kept, however much: what is left out would begin anew.
    pub(crate) fn new(before: BTreeMap<UsageKey, Usage>, now: Timestamp) -> Self {
        let grants = before
            .into_iter()
            .map(|(key, used)| {
                let mut grant = Grant::default();
                grant.add(used, now);
                (key, grant)
            })
            .collect();
        Self { grants }
    }

    /// What a grant has used by now; `None` where there is no room to count one more.
    pub(crate) fn used(&mut self, key: &UsageKey, now: Timestamp) -> Option<Usage> {
        if let Some(grant) = self.grants.get_mut(key) {
            grant.forget(now);
            return Some(grant.sum);
        }
        if self.grants.len() >= MOST_GRANTS {
            self.grants.retain(|_, grant| {
                grant.forget(now);
                !grant.minutes.is_empty()
            });
        }
        (self.grants.len() < MOST_GRANTS).then(Usage::default)
    }

    /// Counts one allowed call.
    pub(crate) fn add(&mut self, key: UsageKey, rows: u64, now: Timestamp) {
        self.grants
            .entry(key)
            .or_default()
            .add(Usage { calls: 1, rows }, now);
    }
}

impl Grant {
    fn add(&mut self, used: Usage, now: Timestamp) {
        let minute =
            Timestamp::from_seconds(now.seconds() - now.seconds().rem_euclid(GRAIN_SECONDS));
        match self.minutes.back_mut() {
            // a clock that was set back must not put an older minute behind a newer one
            Some((last, sum)) if *last >= minute => sum_up(sum, used),
            _ => self.minutes.push_back((minute, used)),
        }
        sum_up(&mut self.sum, used);
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((minute, used)) = self.minutes.front().copied() {
            // the minute's last second must have aged out
            if now.since(minute)
                < MEMORY.saturating_add(Duration::from_secs(GRAIN_SECONDS.unsigned_abs()))
            {
                return;
            }
            self.minutes.pop_front();
            self.sum.calls = self.sum.calls.saturating_sub(used.calls);
            self.sum.rows = self.sum.rows.saturating_sub(used.rows);
        }
    }
}

const fn sum_up(sum: &mut Usage, used: Usage) {
    sum.calls = sum.calls.saturating_add(used.calls);
    sum.rows = sum.rows.saturating_add(used.rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(subject: &str) -> UsageKey {
        UsageKey {
            issuer: "https://issuer.example".to_owned(),
            subject: subject.to_owned(),
            task: "task".to_owned(),
        }
    }

    #[test]
    fn use_counts_for_a_day_and_each_grant_alone() {
        let start = Timestamp::from_seconds(1_000_000);
        let before = BTreeMap::from([(key("ann"), Usage { calls: 7, rows: 70 })]);
        let mut ledger = Ledger::new(before, start);
        ledger.add(key("ann"), 5, start.after(Duration::from_secs(3600)));
        let at = |hours: u64| start.after(Duration::from_secs(hours * 3600));
        assert_eq!(
            ledger.used(&key("ann"), at(23)),
            Some(Usage { calls: 8, rows: 75 })
        );
        assert_eq!(ledger.used(&key("bob"), at(23)), Some(Usage::default()));
        assert_eq!(
            ledger.used(
                &key("ann"),
                start.after(Duration::from_secs(24 * 3600 + 61))
            ),
            Some(Usage { calls: 1, rows: 5 })
        );
        assert_eq!(ledger.used(&key("ann"), at(26)), Some(Usage::default()));
    }

    #[test]
    fn no_use_of_before_the_start_is_forgotten() {
        let now = Timestamp::from_seconds(1_000_000);
        let used = Usage { calls: 9, rows: 9 };
        let before = (0..2 * MOST_GRANTS).map(|n| (key(&n.to_string()), used));
        let mut ledger = Ledger::new(before.collect(), now);
        for n in 0..2 * MOST_GRANTS {
            assert_eq!(ledger.used(&key(&n.to_string()), now), Some(used), "{n}");
        }
        assert_eq!(ledger.used(&key("new"), now), None);
    }

    #[test]
    fn one_grant_too_many_is_not_counted_as_free() {
        let now = Timestamp::from_seconds(1_000_000);
        let mut ledger = Ledger::new(BTreeMap::new(), now);
        for n in 0..MOST_GRANTS {
            ledger.add(key(&n.to_string()), 1, now);
        }
        assert_eq!(ledger.used(&key("new"), now), None);
        let later = now.after(Duration::from_secs(2 * 24 * 3600));
        assert_eq!(ledger.used(&key("new"), later), Some(Usage::default()));
    }
}
