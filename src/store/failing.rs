//! Merges and seals that failed: one that fails again and again must not hold up those behind it.

use std::time::Duration;

use glasshouse_core::time::BootTime;

use crate::files::SegmentName;

/// So often a merge is tried before others come first: a disk may be full for a moment.
const MOST_FAILURES: u32 = 3;

/// Then it waits this long: what is still wrong then costs one try an hour.
const PAUSE: Duration = Duration::from_secs(3600);

/// A head that could not be sealed waits twice this …
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// … then twice as long each time, and no longer than this: what is not sealed is read slowly.
const HEAD_PAUSE: Duration = Duration::from_secs(900);

/// What failed, by what it would have become.
#[derive(Debug, Default)]
pub(crate) struct Failing(Vec<(SegmentName, u32, BootTime)>);

impl Failing {
    pub(crate) fn note(&mut self, name: SegmentName, now: BootTime) {
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, failures, last)) => {
                *failures = failures.saturating_add(1);
                *last = now;
            }
            None => self.0.push((name, 1, now)),
        }
    }

    pub(crate) fn forget(&mut self, name: SegmentName) {
        self.0.retain(|(known, ..)| *known != name);
    }

    /// Whether a head that could not be sealed is left alone for now: the longer the more often that failed, so that
    /// others come between two tries.
    pub(crate) fn waits(&self, name: SegmentName, now: BootTime) -> bool {
        let failed = self.0.iter().find(|(known, ..)| *known == name);
        failed.is_some_and(|(_, failures, last)| {
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(*failures));
            *last <= now && now.since(*last) < pause.min(HEAD_PAUSE)
        })
    }

    /// What is not to be tried now.
    pub(crate) fn skipped(&self, now: BootTime) -> Vec<SegmentName> {
        let waits = |failures: u32, last: BootTime| {
            failures >= MOST_FAILURES && last <= now && now.since(last) < PAUSE
        };
        let skipped = self
            .0
            .iter()
            .filter(|(_, failures, last)| waits(*failures, *last));
        skipped.map(|(name, ..)| *name).collect()
    }
}
