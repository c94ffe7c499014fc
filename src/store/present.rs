//! Answers what there is: which series a window has, what their newest samples are, what the tiers hold.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::{
    Found, LATEST_LOOKBACK, Latest, Resolution, Selector, SeriesInfo, TierCoverage, quality_as_of,
};
use glasshouse_core::sample::Sample;
use glasshouse_core::time::{Timestamp, Window};

use crate::column::Column;
use crate::error::{Malformed, StoreError};
use crate::head_view::{HeadSeries, newest_until};
use crate::index::{Index, Place, SeriesEntry};
use crate::segment::{Footer, SegmentFile};
use crate::times::Times;
use crate::view::{OpenHead, Snapshot, View, cover};

type ByKey<T> = BTreeMap<(String, Labels), T>;

fn key(info: &SeriesInfo) -> (String, Labels) {
    (info.metric.clone(), info.labels.clone())
}

/// The series of a window, sorted by metric and labels, as the newest file describes them.
pub(crate) fn series(
    view: &View,
    snapshot: &Snapshot,
    selector: &Selector,
    window: Window,
) -> Result<Found<Arc<SeriesInfo>>, StoreError> {
    let (from, to) = (window.from.nanos(), window.to.nanos());
    let overlaps = |(oldest, newest): (i64, i64)| from < to && from <= newest && oldest < to;
    let certain = |(oldest, newest): (i64, i64)| {
        (from <= oldest && oldest < to) || (from <= newest && newest < to)
    };
    let mut found: ByKey<Arc<SeriesInfo>> = BTreeMap::new();
    let damage = Damage::of(snapshot);
    for head in snapshot.heads.iter().rev() {
        for (reference, series) in head.view.defined() {
            let info = &series.info;
            let Some(bounds) = series.bounds.filter(|bounds| overlaps(*bounds)) else {
                continue;
            };
            if selector.matches(&info.metric, &info.labels)
                && !found.contains_key(&key(info))
                && (certain(bounds) || head_has(head, reference, from, to)?)
            {
                found.insert(key(info), Arc::clone(info));
            }
        }
    }
    let mut files = cover(&snapshot.segments, Resolution::Raw);
    files.retain(|footer| overlaps((footer.oldest, footer.newest)));
    for file in open_all(view, files.iter().rev())? {
        for (entry, times) in damage.entries(view, &file, selector)? {
            let read = || -> Result<bool, StoreError> {
                let has = segment_has(&file, &entry, times, from, to);
                // A series whose samples nobody can read is not said to have any.
                Ok(damage
                    .noting(view.readable(&file.footer, has)?)
                    .unwrap_or(false))
            };
            let bounds = (entry.oldest, entry.newest);
            let raw = file.footer.name.tier == Resolution::Raw;
            if overlaps(bounds)
                && !found.contains_key(&key(&entry.info))
                && (certain(bounds) || !raw || read()?)
            {
                found.insert(key(&entry.info), entry.info);
            }
        }
    }
    Ok(damage.beside(found))
}

/// Whether something could not be read, so that more may have been there.
struct Damage(Cell<bool>);

impl Damage {
    /// What is known before anything is read: segments that nobody can look into, and heads with holes.
    fn of(snapshot: &Snapshot) -> Self {
        let has_holes = snapshot.heads.iter().any(|head| head.view.lost > 0);
        Self(Cell::new(has_holes || !snapshot.unreadable.is_empty()))
    }

    fn noting<T>(&self, read: Option<T>) -> Option<T> {
        self.0.set(self.0.get() || read.is_none());
        read
    }

    /// The series of a segment that are asked for, with the place of their times; none where its index is damaged.
    fn entries(
        &self,
        view: &View,
        file: &SegmentFile,
        selector: &Selector,
    ) -> Result<Vec<(SeriesEntry, Place)>, StoreError> {
        let found = view.readable(&file.footer, find_entries(view, file, selector))?;
        Ok(self.noting(found).unwrap_or_default())
    }

    fn beside<T>(&self, found: ByKey<T>) -> Found<T> {
        Found {
            entries: found.into_values().collect(),
            damaged: self.0.get(),
        }
    }
}

fn head_has(head: &OpenHead, reference: u32, from: i64, to: i64) -> Result<bool, StoreError> {
    let mut has = false;
    let read = head.view.each(&head.file, |batch| {
        let wall = batch.at.wall.nanos();
        if from <= wall && wall < to {
            batch.each_readable(|(number, _, _)| has |= number == reference);
        }
    });
    read.map_err(|source| StoreError::io("read", &head.path, source))?;
    Ok(has)
}

fn segment_has(
    file: &SegmentFile,
    entry: &SeriesEntry,
    times: Place,
    from: i64,
    to: i64,
) -> Result<bool, StoreError> {
    let times = file.times(times)?;
    let mut column = Column::default();
    file.column(entry.block, &times, &mut column)?;
    let inside = |(wall, sampled): &(i64, bool)| *sampled && from <= *wall && *wall < to;
    let sampled = column.rows().map(|row| row.is_some());
    Ok(times
        .wall
        .iter()
        .copied()
        .zip(sampled)
        .any(|row| inside(&row)))
}

fn open_all<'a>(
    view: &View,
    footers: impl Iterator<Item = &'a Footer>,
) -> Result<Vec<SegmentFile>, StoreError> {
    footers
        .map(|footer| SegmentFile::open_known(&view.dir, *footer))
        .collect()
}

fn find_entries(
    view: &View,
    file: &SegmentFile,
    selector: &Selector,
) -> Result<Vec<(SeriesEntry, Place)>, StoreError> {
    let inside = |error: Malformed| error.inside(&file.path);
    let bytes = view.index(file)?;
    let index = Index::parse(
        &bytes,
        SegmentFile::blocks_start(),
        file.footer.index.offset,
    )
    .map_err(inside)?;
    let wanted = |metric: &str| {
        selector.metrics.is_empty() || selector.metrics.iter().any(|name| name == metric)
    };
    let mut found = Vec::new();
    let take = |entry: SeriesEntry| {
        let times = index
            .collectors
            .get(entry.collector)
            .map(|collector| collector.times);
        if let Some(times) =
            times.filter(|_| selector.matches(&entry.info.metric, &entry.info.labels))
        {
            found.push((entry, times));
        }
        Ok(())
    };
    index.each(wanted, take).map_err(inside)?;
    Ok(found)
}

/// The sample of each series that came last, among those of the last quarter of an hour before `now`.
pub(crate) fn latest(
    view: &View,
    snapshot: &Snapshot,
    selector: &Selector,
    now: Timestamp,
) -> Result<Found<Latest>, StoreError> {
    let after = now.before(LATEST_LOOKBACK);
    let recent = |at: Timestamp| after < at && at <= now;
    let mut found: ByKey<Latest> = BTreeMap::new();
    let damage = Damage::of(snapshot);
    for head in snapshot.heads.iter().rev() {
        for (info, sample) in head_latest(head, selector, now)?.into_values() {
            if recent(sample.at) {
                let entry = found.entry(key(&info));
                entry.or_insert_with(|| as_of(info, sample, now));
            }
        }
    }
    let mut files = cover(&snapshot.segments, Resolution::Raw);
    files.retain(|footer| {
        footer.name.tier == Resolution::Raw
            && after.nanos() < footer.newest
            && footer.oldest <= now.nanos()
    });
    let mut known: HashSet<(String, Labels)> = found.keys().cloned().collect();
    for file in open_all(view, files.iter().rev())? {
        let mut newest = Newest::of_file(&file);
        for (entry, times) in damage.entries(view, &file, selector)? {
            if entry.newest <= after.nanos() || known.contains(&key(&entry.info)) {
                continue;
            }
            let newest = newest.of(&entry, times, recent);
            let newest = damage.noting(view.readable(&file.footer, newest)?);
            let newest = newest.flatten();
            if let Some(sample) = newest {
                known.insert(key(&entry.info));
                found.insert(key(&entry.info), as_of(entry.info, sample, now));
            }
        }
    }
    Ok(damage.beside(found))
}

/// Finds the newest samples of a segment. Times that series share, and blocks that stand for several, are decoded once.
struct Newest<'a> {
    file: &'a SegmentFile,
    /// The times that were read last, and where they stand.
    times: Option<(u64, Times)>,
    /// What was found in the blocks, by where times and values stand.
    known: HashMap<(u64, u64), Option<Sample>>,
}

impl<'a> Newest<'a> {
    fn of_file(file: &'a SegmentFile) -> Self {
        Self {
            file,
            times: None,
            known: HashMap::new(),
        }
    }

    /// The sample of a series that came last among those of a time that is `wanted`.
    fn of(
        &mut self,
        entry: &SeriesEntry,
        times: Place,
        wanted: impl Fn(Timestamp) -> bool,
    ) -> Result<Option<Sample>, StoreError> {
        let place = (times.offset, entry.block.offset);
        if let Some(known) = self.known.get(&place) {
            return Ok(*known);
        }
        let times = match self.times.take() {
            Some((offset, known)) if offset == times.offset => known,
            _ => self.file.times(times)?,
        };
        let (_, times) = self.times.insert((place.0, times));
        let mut column = Column::default();
        self.file.column(entry.block, times, &mut column)?;
        let rows = column
            .rows()
            .zip(times.wall.iter().map(|wall| Timestamp::from_nanos(*wall)));
        let newest = rows.rev().find_map(|(row, at)| {
            let (value, quality) = row.filter(|_| wanted(at))?;
            Some(Sample { at, value, quality })
        });
        self.known.insert(place, newest);
        Ok(newest)
    }
}

fn as_of(series: Arc<SeriesInfo>, sample: Sample, now: Timestamp) -> Latest {
    let quality = quality_as_of(&sample, series.interval, now);
    let sample = Sample { quality, ..sample };
    Latest { series, sample }
}

/// The sample of each series of a head that came last, not later than `now`.
fn head_latest(
    head: &OpenHead,
    selector: &Selector,
    now: Timestamp,
) -> Result<ByKey<(Arc<SeriesInfo>, Sample)>, StoreError> {
    let mut found: ByKey<(Arc<SeriesInfo>, Sample)> = BTreeMap::new();
    // Where the clock was set back, or the question is about the past, what came last is too new.
    let ahead = |series: &HeadSeries| series.newest.is_some_and(|sample| sample.at > now);
    let earlier = if head.view.defined().any(|(_, series)| ahead(series)) {
        newest_until(&head.view, &head.file, now)
            .map_err(|source| StoreError::io("read", &head.path, source))?
    } else {
        Vec::new()
    };
    for (reference, series) in head.view.defined() {
        let info = &series.info;
        if !selector.matches(&info.metric, &info.labels) {
            continue;
        }
        let place = usize::try_from(reference).unwrap_or(usize::MAX);
        let newest = if ahead(series) {
            earlier.get(place).copied().flatten()
        } else {
            series.newest
        };
        let Some(sample) = newest else {
            continue;
        };
        // A series whose description changed while the head was open stands in it twice.
        let known = found.get(&key(info));
        if known.is_none_or(|(_, known)| known.at <= sample.at) {
            found.insert(key(info), (Arc::clone(info), sample));
        }
    }
    Ok(found)
}

/// What the tiers hold; heads count as raw.
pub(crate) fn coverage(snapshot: &Snapshot) -> Vec<TierCoverage> {
    Resolution::ALL
        .iter()
        .map(|tier| tier_coverage(snapshot, *tier))
        .collect()
}

fn tier_coverage(snapshot: &Snapshot, tier: Resolution) -> TierCoverage {
    let segments = snapshot
        .segments
        .iter()
        .filter(|footer| footer.name.tier == tier);
    let heads = snapshot.heads.iter().filter(|_| tier == Resolution::Raw);
    let segments = segments.map(|footer| {
        let bounds = (footer.samples > 0).then_some((footer.oldest, footer.newest));
        (bounds, footer.bytes, footer.samples)
    });
    let heads = heads.map(|head| (head.view.bounds, head.view.bytes, head.view.samples));
    let mut coverage = TierCoverage {
        resolution: tier,
        window: None,
        files: 0,
        bytes: 0,
        samples: 0,
    };
    for (bounds, bytes, samples) in segments.chain(heads) {
        coverage.files += 1;
        coverage.bytes = coverage.bytes.saturating_add(bytes);
        coverage.samples = coverage.samples.saturating_add(samples);
        if let Some((oldest, newest)) = bounds {
            let window = coverage.window.get_or_insert(Window {
                from: Timestamp::from_nanos(oldest),
                to: Timestamp::from_nanos(newest),
            });
            window.from = window.from.min(Timestamp::from_nanos(oldest));
            // The newest sample is inside, the end of a window is not.
            window.to = window
                .to
                .max(Timestamp::from_nanos(newest.saturating_add(1)));
        }
    }
    coverage
}
