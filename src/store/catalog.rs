//! The writer's list of segments, and what is due to be merged or forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use glasshouse_core::reader::Resolution;
use glasshouse_core::time::Timestamp;

use crate::files::SegmentName;
use crate::pack::MOST_ROWS;
use crate::record::interval_nanos;
use crate::segment::Footer;
use crate::settings::StoreSettings;

/// Files that one merge reads at most: each keeps a descriptor and an index in memory.
const MOST_INPUTS: usize = 64;

/// The segments that count.
#[derive(Debug, Default)]
pub(crate) struct Catalog(BTreeMap<SegmentName, Footer>);

/// A merge that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DueMerge {
    pub(crate) inputs: Vec<Footer>,
    /// What to write beside the merged samples; empty where rollups themselves are merged.
    pub(crate) tiers: Vec<Resolution>,
}

impl Catalog {
    /// Adds a segment and returns those that it replaces.
    pub(crate) fn insert(&mut self, footer: Footer) -> Vec<SegmentName> {
        let new = footer.name;
        let replaced: Vec<SegmentName> = self
            .tier(new.tier)
            .map(|old| old.name)
            .filter(|old| *old != new && new.covers(old.first, old.last))
            .collect();
        for name in &replaced {
            self.0.remove(name);
        }
        self.0.insert(new, footer);
        replaced
    }

    pub(crate) fn remove(&mut self, name: SegmentName) -> Option<Footer> {
        self.0.remove(&name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<SegmentName> {
        self.0
            .keys()
            .find(|known| known.to_string() == name)
            .copied()
    }

    pub(crate) fn tier(&self, tier: Resolution) -> impl Iterator<Item = &Footer> {
        self.0
            .values()
            .filter(move |footer| footer.name.tier == tier)
    }

    /// The next stretch of raw segments that is over and not rolled up yet. `opened` is when the head began: its
    /// stretch is not over.
    pub(crate) fn due_merge(
        &self,
        settings: &StoreSettings,
        now: Timestamp,
        opened: Option<Timestamp>,
    ) -> Option<DueMerge> {
        let stretch = Stretch::new(settings.merge);
        let waiting = |footer: &Footer| {
            !self.missing_rollups(footer.name).is_empty()
                && !stretch.is_current(footer, now, opened)
        };
        let raw: Vec<&Footer> = self.tier(Resolution::Raw).collect();
        let start = raw.iter().position(|footer| waiting(footer))?;
        let together = raw.get(start..)?;
        let inputs = stretch.run(
            together
                .iter()
                .copied()
                .take_while(|footer| waiting(footer)),
        );
        let whole = whole(&inputs)?;
        let tiers = self.missing_rollups(whole);
        Some(DueMerge { inputs, tiers })
    }

    /// The next rollups of a day that is over and whose samples are all rolled up.
    pub(crate) fn due_shard(
        &self,
        settings: &StoreSettings,
        now: Timestamp,
        opened: Option<Timestamp>,
    ) -> Option<(Resolution, DueMerge)> {
        let stretch = Stretch::new(settings.shard);
        let unfinished: Vec<i64> = self
            .tier(Resolution::Raw)
            .filter(|footer| !self.missing_rollups(footer.name).is_empty())
            .map(|footer| stretch.of(footer.opened))
            .collect();
        for tier in [Resolution::Minute, Resolution::Hour] {
            let over: Vec<&Footer> = self.tier(tier).collect();
            let mut rest = over.as_slice();
            while let Some((first, _)) = rest.split_first() {
                let inputs = stretch.run(rest.iter().copied());
                let done = !stretch.is_current(first, now, opened)
                    && !unfinished.contains(&stretch.of(first.opened));
                if done && inputs.len() > 1 {
                    let tiers = Vec::new();
                    return Some((tier, DueMerge { inputs, tiers }));
                }
                rest = rest.get(inputs.len().max(1)..).unwrap_or_default();
            }
        }
        None
    }

    /// What retention no longer keeps.
    ///
    /// What is too old goes shard by shard: a rollup file holds a shard, and a reader that finds only part of its
    /// samples left has to take the rollup for all of them.
    pub(crate) fn expired(&self, settings: &StoreSettings, now: Timestamp) -> Vec<SegmentName> {
        let retention = &settings.retention;
        let shard = Stretch::new(settings.shard);
        let mut kept = Duration::ZERO;
        let mut expired = Vec::new();
        let mut bytes: u64 = 0;
        let ages = [retention.raw, retention.minute, retention.hour];
        for (tier, age) in Resolution::ALL.iter().zip(ages) {
            // Rollups stay at least as long as what they were made from: what is not rolled up looks as if it still
            // had to be.
            kept = kept.max(age);
            let oldest = now.before(kept).nanos();
            for footer in self.tier(*tier) {
                if footer.newest < oldest && shard.of(footer.opened) < shard.of(oldest) {
                    expired.push(footer.name);
                } else {
                    bytes = bytes.saturating_add(footer.bytes);
                }
            }
        }
        // Sorted by tier, finest first, then by age.
        for footer in self
            .0
            .values()
            .filter(|footer| !expired.contains(&footer.name))
            .collect::<Vec<_>>()
        {
            if bytes <= retention.bytes {
                break;
            }
            bytes = bytes.saturating_sub(footer.bytes);
            expired.push(footer.name);
        }
        expired
    }

    /// The rollup tiers in which these heads are missing, coarsest first.
    fn missing_rollups(&self, name: SegmentName) -> Vec<Resolution> {
        [Resolution::Hour, Resolution::Minute]
            .into_iter()
            .filter(|tier| {
                !self
                    .tier(*tier)
                    .any(|rollup| rollup.name.covers(name.first, name.last))
            })
            .collect()
    }
}

fn whole(inputs: &[Footer]) -> Option<SegmentName> {
    let (first, last) = (inputs.first()?, inputs.last()?);
    Some(SegmentName {
        last: last.name.last,
        ..first.name
    })
}

/// Stretches of wall time of one length.
struct Stretch(i64);

impl Stretch {
    fn new(length: Duration) -> Self {
        Self(
            i64::try_from(interval_nanos(length))
                .unwrap_or(i64::MAX)
                .max(1),
        )
    }

    const fn of(&self, time: i64) -> i64 {
        time.div_euclid(self.0)
    }

    /// Whether more may still come that belongs into one file with this.
    fn is_current(&self, footer: &Footer, now: Timestamp, opened: Option<Timestamp>) -> bool {
        let own = self.of(footer.opened);
        own == self.of(now.nanos()) || opened.is_some_and(|opened| own == self.of(opened.nanos()))
    }

    /// As many from the front as are of one stretch and fit one file.
    fn run<'a>(&self, footers: impl Iterator<Item = &'a Footer>) -> Vec<Footer> {
        let mut run: Vec<Footer> = Vec::new();
        let mut rows = 0;
        for footer in footers {
            rows += crate::bytes::narrow(u64::from(footer.rows));
            let fits = run.first().is_none_or(|first| {
                self.of(first.opened) == self.of(footer.opened)
                    && rows <= MOST_ROWS
                    && run.len() < MOST_INPUTS
            });
            if !fits {
                break;
            }
            run.push(*footer);
        }
        run
    }
}
