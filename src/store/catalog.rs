//! The writer's list of segments, and what is due to be merged or forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use glasshouse_core::reader::Resolution;
use glasshouse_core::time::Timestamp;

use crate::files::SegmentName;
use crate::index::MOST_INDEXED;
use crate::pack::MOST_ROWS;
use crate::record::interval_nanos;
use crate::segment::Footer;
use crate::settings::{Retention, StoreSettings};

/// Files that one merge reads at most: each keeps a descriptor and an index in memory.
const MOST_INPUTS: usize = 64;

/// One merge takes at most this part of what the store may hold: what it writes needs room beside what it reads.
const MOST_SHARE: u64 = 8;

/// The segments that count.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    segments: BTreeMap<SegmentName, Footer>,
    /// How often they changed.
    changes: u64,
    /// Under these circumstances nothing was due.
    settled: Option<Circumstances>,
}

/// All that decides what is due; to find that out takes a look at every pair of segments.
#[derive(Debug, PartialEq, Eq)]
struct Circumstances {
    changes: u64,
    skipped: Vec<SegmentName>,
    unsealed: Vec<u64>,
    /// The stretches and shards of now and of the head.
    stretches: [Option<i64>; 4],
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Samples become one file and get rollups.
    Samples(DueMerge),
    /// Rollups of a tier become one file.
    Rollups(Resolution, DueMerge),
}

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
            self.segments.remove(name);
        }
        self.segments.insert(new, footer);
        self.changes += 1;
        replaced
    }

    pub(crate) fn remove(&mut self, name: SegmentName) -> Option<Footer> {
        self.changes += 1;
        self.segments.remove(&name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<SegmentName> {
        self.segments
            .keys()
            .find(|known| known.to_string() == name)
            .copied()
    }

    pub(crate) fn tier(&self, tier: Resolution) -> impl Iterator<Item = &Footer> {
        self.segments
            .values()
            .filter(move |footer| footer.name.tier == tier)
    }

    /// The newest sample.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        let newest = self.segments.values().map(|footer| footer.newest).max();
        newest.map(Timestamp::from_nanos)
    }

    /// The next merge, but for those that are skipped. `opened` is when the head began: its stretch is not over.
    /// Nothing is merged across a head that is not sealed: it would be taken for part of what the merge gives.
    pub(crate) fn due(
        &mut self,
        settings: &StoreSettings,
        now: Timestamp,
        opened: Option<Timestamp>,
        skipped: Vec<SegmentName>,
        unsealed: &[u64],
    ) -> Option<Due> {
        let of = |length, time: Option<Timestamp>| Some(Stretch::new(length).of(time?.nanos()));
        let circumstances = Circumstances {
            changes: self.changes,
            stretches: [
                of(settings.merge, Some(now)),
                of(settings.shard, Some(now)),
                of(settings.merge, opened),
                of(settings.shard, opened),
            ],
            skipped,
            unsealed: unsealed.to_vec(),
        };
        if self.settled.as_ref() == Some(&circumstances) {
            return None;
        }
        let samples = self.due_merge(settings, now, opened, &circumstances);
        let due = samples.map(Due::Samples).or_else(|| {
            let (tier, merge) = self.due_shard(settings, now, opened, &circumstances)?;
            Some(Due::Rollups(tier, merge))
        });
        self.settled = due.is_none().then_some(circumstances);
        due
    }

    /// The next stretch of raw segments that is over and not rolled up yet.
    fn due_merge(
        &self,
        settings: &StoreSettings,
        now: Timestamp,
        opened: Option<Timestamp>,
        circumstances: &Circumstances,
    ) -> Option<DueMerge> {
        let stretch = Stretch::new(settings.merge);
        let skipped = &circumstances.skipped;
        let waiting = |footer: &Footer| {
            let name = footer.name;
            let is_skipped = |skipped: &SegmentName| {
                skipped.tier == name.tier && skipped.covers(name.first, name.last)
            };
            !self.missing_rollups(name).is_empty()
                && !skipped.iter().any(is_skipped)
                && !stretch.is_current(footer, now, opened)
        };
        let raw: Vec<&Footer> = self.tier(Resolution::Raw).collect();
        let start = raw.iter().position(|footer| waiting(footer))?;
        let together = raw.get(start..)?;
        let fits = Fits::new(settings, circumstances);
        let together = together.iter().copied();
        let inputs = stretch.run(together.take_while(|footer| waiting(footer)), &fits);
        let whole = whole(&inputs)?;
        let tiers = self.missing_rollups(whole);
        Some(DueMerge { inputs, tiers })
    }

    /// The next rollups of a day that is over and whose samples are all rolled up.
    fn due_shard(
        &self,
        settings: &StoreSettings,
        now: Timestamp,
        opened: Option<Timestamp>,
        circumstances: &Circumstances,
    ) -> Option<(Resolution, DueMerge)> {
        let stretch = Stretch::new(settings.shard);
        let skipped = &circumstances.skipped;
        let fits = Fits::new(settings, circumstances);
        let unfinished: Vec<i64> = self
            .tier(Resolution::Raw)
            .filter(|footer| !self.missing_rollups(footer.name).is_empty())
            .map(|footer| stretch.of(footer.opened))
            .collect();
        for tier in [Resolution::Minute, Resolution::Hour] {
            let over: Vec<&Footer> = self.tier(tier).collect();
            let mut rest = over.as_slice();
            while let Some((first, _)) = rest.split_first() {
                let inputs = stretch.run(rest.iter().copied(), &fits);
                let done = !stretch.is_current(first, now, opened)
                    && !unfinished.contains(&stretch.of(first.opened));
                let is_skipped = whole(&inputs).is_some_and(|whole| skipped.contains(&whole));
                if done && !is_skipped && inputs.len() > 1 {
                    let tiers = Vec::new();
                    return Some((tier, DueMerge { inputs, tiers }));
                }
                rest = rest.get(inputs.len().max(1)..).unwrap_or_default();
            }
        }
        None
    }

    /// What is too old.
    ///
    /// What is too old goes shard by shard: a rollup file holds a shard, and a reader that finds only part of its
    /// samples left has to take the rollup for all of them.
    pub(crate) fn too_old(&self, settings: &StoreSettings, now: Timestamp) -> Vec<SegmentName> {
        let retention = &settings.retention;
        let shard = Stretch::new(settings.shard);
        let mut kept = Duration::ZERO;
        let mut expired = Vec::new();
        let ages = [retention.raw, retention.minute, retention.hour];
        for (tier, age) in Resolution::ALL.iter().zip(ages) {
            // Rollups stay at least as long as what they were made from: what is not rolled up looks as if it still
            // had to be.
            kept = kept.max(age);
            let oldest = now.before(kept).nanos();
            for footer in self.tier(*tier) {
                if footer.newest < oldest && shard.of(footer.opened) < shard.of(oldest) {
                    expired.push(footer.name);
                }
            }
        }
        expired
    }

    /// What has to go so that no tier takes more than it may. Rollups outlive what they were made from, so that goes
    /// with them: samples without rollups look as if they still had to be rolled up.
    pub(crate) fn too_much(&self, retention: &Retention) -> BTreeSet<SegmentName> {
        let mut expired = BTreeSet::new();
        for tier in Resolution::ALL {
            let most = retention.most_bytes(*tier);
            let kept = self.tier(*tier);
            let kept = kept.filter(|footer| !expired.contains(&footer.name));
            let mut bytes = kept.fold(0, |bytes, footer| footer.bytes.saturating_add(bytes));
            for footer in self.tier(*tier) {
                if bytes <= most {
                    break;
                }
                if expired.contains(&footer.name) {
                    continue;
                }
                bytes = bytes.saturating_sub(footer.bytes);
                let finer = self.segments.keys().filter(|name| name.tier < *tier);
                let made_from = finer.filter(|name| name.last <= footer.name.last);
                expired.extend(made_from.copied());
                expired.insert(footer.name);
            }
        }
        expired
    }

    /// What goes first where there is no room: the oldest samples, then the oldest rollups, finest first.
    pub(crate) fn oldest(&self) -> Option<SegmentName> {
        self.segments.keys().next().copied()
    }

    /// Whether all of these are still there.
    pub(crate) fn has_all(&self, footers: &[Footer]) -> bool {
        let is_here = |footer: &Footer| self.segments.contains_key(&footer.name);
        footers.iter().all(is_here)
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

/// The name of what these become.
pub(crate) fn whole(inputs: &[Footer]) -> Option<SegmentName> {
    let (first, last) = (inputs.first()?, inputs.last()?);
    Some(SegmentName {
        last: last.name.last,
        ..first.name
    })
}

/// What besides its stretch decides whether a segment goes into one file with those before it.
struct Fits<'a> {
    bytes: u64,
    unsealed: &'a [u64],
}

impl<'a> Fits<'a> {
    fn new(settings: &StoreSettings, circumstances: &'a Circumstances) -> Self {
        Self {
            bytes: settings.retention.bytes / MOST_SHARE,
            unsealed: &circumstances.unsealed,
        }
    }

    /// Whether no head between the two waits to be sealed.
    fn follows(&self, before: SegmentName, name: SegmentName) -> bool {
        let between = |head: &u64| before.last < *head && *head < name.first;
        !self.unsealed.iter().any(between)
    }
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
    fn run<'a>(&self, footers: impl Iterator<Item = &'a Footer>, fits: &Fits<'_>) -> Vec<Footer> {
        let mut run: Vec<Footer> = Vec::new();
        let (mut rows, mut series, mut bytes) = (0, 0, 0_u64);
        for footer in footers {
            rows += crate::bytes::narrow(u64::from(footer.rows));
            series += crate::bytes::narrow(u64::from(footer.series));
            bytes = bytes.saturating_add(footer.bytes);
            let joins = |first: &Footer, before: &Footer| {
                self.of(first.opened) == self.of(footer.opened)
                    && rows <= MOST_ROWS
                    && series <= MOST_INDEXED
                    && bytes <= fits.bytes
                    && run.len() < MOST_INPUTS
                    && fits.follows(before.name, footer.name)
            };
            let ends = run.first().zip(run.last());
            if ends.is_some_and(|(first, before)| !joins(first, before)) {
                break;
            }
            run.push(*footer);
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Place;

    fn footer(tier: Resolution, number: u64, opened: i64) -> Footer {
        Footer {
            name: SegmentName {
                tier,
                first: number,
                last: number,
            },
            rows: 1,
            opened,
            oldest: opened,
            newest: opened,
            samples: 1,
            series: 1,
            index: Place {
                offset: 8,
                length: 0,
            },
            index_crc: 0,
            bytes: 100,
        }
    }

    #[test]
    fn nothing_due_is_remembered_until_something_changes() {
        let settings = StoreSettings::default();
        let hour = i64::try_from(settings.merge.as_nanos()).unwrap();
        let now = Timestamp::from_nanos(10 * hour);
        let mut catalog = Catalog::default();
        assert_eq!(catalog.due(&settings, now, None, Vec::new(), &[]), None);
        // Behind its back, to see whether it looks.
        let due = footer(Resolution::Raw, 1, 0);
        catalog.segments.insert(due.name, due);
        assert_eq!(catalog.due(&settings, now, None, Vec::new(), &[]), None);
        let later = now.after(settings.merge);
        let Some(Due::Samples(merge)) = catalog.due(&settings, later, None, Vec::new(), &[]) else {
            panic!("a new stretch has begun");
        };
        assert_eq!(merge.inputs, [due]);
        assert_eq!(
            catalog.due(&settings, later, None, vec![due.name], &[]),
            None
        );
        assert!(
            catalog
                .due(&settings, later, None, Vec::new(), &[])
                .is_some()
        );
        for tier in [Resolution::Minute, Resolution::Hour] {
            catalog.insert(footer(tier, 1, 0));
        }
        assert_eq!(catalog.due(&settings, later, None, Vec::new(), &[]), None);
        catalog.insert(footer(Resolution::Raw, 2, hour));
        assert!(
            catalog
                .due(&settings, later, None, Vec::new(), &[])
                .is_some()
        );
    }
}
