//! What retention may take: files that were set aside, and whether the clock can be believed.

use std::path::Path;
use std::time::Duration;

use glasshouse_core::time::{BootTime, Moment, Timestamp};

use crate::disk;
use crate::error::StoreError;
use crate::files::Listing;

/// A clock that is this far off takes samples an hour too early; NTP does not step farther once it runs.
const MOST_STEP: u64 = 3_600_000_000_000;

/// After a larger step the clock has to go on for this long before anything is called old by it: time for somebody, or
/// for NTP, to put it right.
const PROBATION: Duration = Duration::from_secs(24 * 3600);

/// A start this long after the newest sample is as odd as a step.
const MOST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// Tells a clock that goes from one that was set, by wall time less boot time.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    trusted: Option<i64>,
    /// What it is now, and since when.
    on_probation: Option<(i64, BootTime)>,
}

impl ClockWatch {
    /// Whether what is old by this clock is old. `newest` is the newest sample that is stored.
    pub(crate) fn trusts(&mut self, now: Moment, newest: Option<Timestamp>) -> bool {
        let boot = i64::try_from(now.boot.nanos()).unwrap_or(i64::MAX);
        let offset = now.wall.nanos().saturating_sub(boot);
        let is_near = |other: i64| offset.abs_diff(other) <= MOST_STEP;
        let is_first = self.trusted.is_none() && self.on_probation.is_none();
        if is_first && newest.is_none_or(|newest| now.wall.since(newest) <= MOST_PAUSE) {
            self.trusted = Some(offset);
        }
        if self.trusted.is_some_and(is_near) {
            self.on_probation = None;
            return true;
        }
        match self.on_probation {
            Some((other, since)) if is_near(other) => {
                let has_passed = now.boot.since(since) >= PROBATION;
                if has_passed {
                    self.trusted = Some(other);
                }
                has_passed
            }
            _ => {
                self.on_probation = Some((offset, now.boot));
                false
            }
        }
    }
}

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    pub(crate) modified: Timestamp,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// The files that were set aside, oldest first.
pub(crate) fn asides(dir: &Path) -> Result<Vec<Aside>, StoreError> {
    let listing = Listing::read(dir).map_err(|source| StoreError::io("list", dir, source))?;
    let mut asides = Vec::new();
    for name in listing.damaged {
        let path = dir.join(&name);
        // Whoever looked at it may have removed it.
        let Ok(metadata) = disk::metadata(&path) else {
            continue;
        };
        let seconds = metadata.modified_seconds.saturating_mul(1_000_000_000);
        let modified = seconds.saturating_add(metadata.modified_nanos);
        asides.push(Aside {
            modified: Timestamp::from_nanos(modified),
            name,
            bytes: metadata.bytes,
        });
    }
    asides.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    Ok(asides)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn at(wall: i64, boot: i64) -> Moment {
        Moment {
            wall: Timestamp::from_nanos(wall * HOUR),
            boot: BootTime::from_nanos((boot * HOUR).unsigned_abs()),
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_after_a_day() {
        let mut watch = ClockWatch::default();
        // wall, boot, believed
        let story = [
            (1000, 5, true),
            (1001, 5, true),
            (1010, 15, true),
            (9010, 15, false),
            (9033, 38, false),
            (1033, 38, true),
            (9034, 39, false),
            (9057, 62, false),
            (9058, 63, true),
            (9059, 64, true),
            (1064, 69, false),
        ];
        for (wall, boot, believed) in story {
            assert_eq!(
                watch.trusts(at(wall, boot), None),
                believed,
                "{wall} {boot}"
            );
        }
    }

    #[test]
    fn a_start_long_after_the_newest_sample_is_not_believed_at_once() {
        let newest = Some(Timestamp::from_nanos(1000 * HOUR));
        assert!(ClockWatch::default().trusts(at(1024, 1), newest));
        let mut watch = ClockWatch::default();
        assert!(!watch.trusts(at(1025, 1), newest));
        assert!(!watch.trusts(at(1026, 2), Some(Timestamp::from_nanos(1026 * HOUR))));
        assert!(watch.trusts(at(1049, 25), newest));
    }
}
