//! Refusals before authentication: counted, and summed up at most once a minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use glasshouse_core::time::Timestamp;

/// How often a summary is written: strangers can make one record a minute, whatever they send.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// The most reasons that are told apart; there are about thirty words.
const MOST_REASONS: usize = 64;

/// Refusals since the last summary.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: BTreeMap<&'static str, u64>,
    newest: Timestamp,
    summed: Option<Instant>,
}

impl Refusals {
    /// Counts one.
    pub(crate) fn count(&mut self, at: Timestamp, reason: &'static str) {
        let reason = if self.counts.len() < MOST_REASONS || self.counts.contains_key(reason) {
            reason
        } else {
            "other"
        };
        let count = self.counts.entry(reason).or_default();
        *count = count.saturating_add(1);
        self.newest = self.newest.max(at);
    }

    /// What is to be written now: the first refusals after a quiet minute at once, the others together after it.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Timestamp, BTreeMap<String, u64>)> {
        let early = self
            .summed
            .is_some_and(|summed| now.duration_since(summed) < SUMMARY_EVERY);
        if early {
            return None;
        }
        let summary = self.rest()?;
        self.summed = Some(now);
        Some(summary)
    }

    /// What has not been written, however early.
    pub(crate) fn rest(&mut self) -> Option<(Timestamp, BTreeMap<String, u64>)> {
        if self.counts.is_empty() {
            return None;
        }
        let counts = std::mem::take(&mut self.counts);
        let counts = counts
            .into_iter()
            .map(|(reason, count)| (reason.to_owned(), count));
        Some((self.newest, counts.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_summary_a_minute() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        let mut written = Vec::new();
        for second in 0..180 {
            for _ in 0..1_000 {
                refusals.count(Timestamp::from_seconds(second), "expired");
            }
            let now = start + Duration::from_secs(u64::try_from(second).unwrap());
            written.extend(refusals.due(now).map(|(_, counts)| counts["expired"]));
        }
        assert_eq!(written, [1_000, 60_000, 60_000]);
        assert_eq!(refusals.rest().unwrap().1["expired"], 59_000);
    }
}
