//! Finds what a scan has to read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::{Resolution, Selector, SeriesInfo};
use glasshouse_core::time::{Day, Timestamp, Window};

use super::{Block, Head, Loaded, Scan, Segment, readable};
use crate::disk::File;
use crate::error::{Malformed, StoreError};
use crate::files::head_name;
use crate::index::{Index, SeriesEntry};
use crate::segment::{Footer, SegmentFile};
use crate::view::{OpenHead, Snapshot, View};

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Found {
    segments: Vec<Segment>,
    heads: Vec<Head>,
    series: Vec<Arc<SeriesInfo>>,
    blocks: Vec<Vec<Block>>,
    /// Places of series; several where the meaning of one changed.
    known: HashMap<(String, Labels), Vec<usize>>,
    damaged: BTreeSet<String>,
}

/// Opens the files of a window, oldest first, and finds the series that match.
pub(super) fn find(
    view: &View,
    snapshot: &Snapshot,
    selector: &Selector,
    window: Window,
) -> Result<Found, StoreError> {
    // All are opened before any is read, so that what a merge replaces meanwhile can still be read.
    let files = open(view, snapshot, window)?;
    let mut found = Found::default();
    // Nobody knows what is in them.
    let lost = snapshot.unreadable.iter().chain(&snapshot.set_aside);
    found.damaged.extend(lost.cloned());
    for file in files {
        let name = file.footer.name;
        let segment = found.segment(file, selector, window);
        readable(&mut found.damaged, name, segment)?;
    }
    for head in &snapshot.heads {
        found.head(head, selector, window)?;
    }
    Ok(found)
}

fn open(view: &View, snapshot: &Snapshot, window: Window) -> Result<Vec<SegmentFile>, StoreError> {
    let mut chosen: Vec<&Footer> = inside(snapshot, window).collect();
    chosen.sort_unstable_by_key(|footer| footer.name.first);
    chosen
        .into_iter()
        .map(|footer| SegmentFile::open_known(&view.dir, *footer))
        .collect()
}

/// The raw segments that may have samples of the window.
fn inside(snapshot: &Snapshot, window: Window) -> impl Iterator<Item = &Footer> {
    snapshot
        .segments
        .iter()
        .filter(|footer| footer.name.tier == Resolution::Raw)
        .filter(move |footer| overlaps(window, footer.oldest, footer.newest))
}

const fn overlaps(window: Window, oldest: i64, newest: i64) -> bool {
    window.from.nanos() <= newest && oldest < window.to.nanos()
}

impl Found {
    pub(super) fn into_scan(self, window: Window) -> Scan {
        let mut order: Vec<usize> = (0..self.series.len()).collect();
        let key = |place: &usize| self.series.get(*place).map(|info| order_of(info));
        order.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut new_places = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            if let Some(place) = new_places.get_mut(*old) {
                *place = new;
            }
        }
        let mut blocks = self.blocks;
        let sorted = order.iter().map(|old| {
            let series = self.series.get(*old).map(Arc::clone);
            let blocks = blocks.get_mut(*old).map(std::mem::take);
            (series, blocks.unwrap_or_default())
        });
        let (series, blocks): (Vec<_>, Vec<_>) = sorted
            .filter_map(|(series, blocks)| Some((series?, blocks)))
            .unzip();
        let mut heads = self.heads;
        for head in &mut heads {
            for place in head.wanted.values_mut() {
                *place = new_places.get(*place).copied().unwrap_or(usize::MAX);
            }
        }
        Scan {
            window,
            segments: self.segments,
            heads,
            series,
            blocks,
            loaded: Loaded::default(),
            damaged: self.damaged,
        }
    }

    fn segment(
        &mut self,
        file: SegmentFile,
        selector: &Selector,
        window: Window,
    ) -> Result<(), StoreError> {
        // Not the reader's memory of indexes: this one is read once.
        let bytes = file.index()?;
        let inside = |error: Malformed| error.inside(&file.path);
        let index = parse(&bytes, &file)?;
        let wanted = |metric: &str| {
            selector.metrics.is_empty() || selector.metrics.iter().any(|name| name == metric)
        };
        let number = self.segments.len();
        let take = |entry: SeriesEntry| {
            let info = &entry.info;
            if overlaps(window, entry.oldest, entry.newest)
                && selector.matches(&info.metric, &info.labels)
            {
                let place = self.place(info);
                let block = Block {
                    segment: number,
                    collector: entry.collector,
                    place: entry.block,
                };
                if let Some(blocks) = self.blocks.get_mut(place) {
                    blocks.push(block);
                }
            }
            Ok(())
        };
        index.each(wanted, take).map_err(inside)?;
        let collectors = index.collectors.iter();
        let times = collectors.map(|collector| collector.times).collect();
        self.segments.push(Segment { file, times });
        Ok(())
    }

    fn head(
        &mut self,
        head: &OpenHead,
        selector: &Selector,
        window: Window,
    ) -> Result<(), StoreError> {
        let overlaps = |bounds: Option<(i64, i64)>| {
            bounds.is_some_and(|(oldest, newest)| overlaps(window, oldest, newest))
        };
        if !overlaps(head.view.bounds) {
            return Ok(());
        }
        if head.view.lost > 0 {
            self.damaged.insert(head_name(head.sequence));
        }
        let mut wanted = BTreeMap::new();
        for (reference, series) in head.view.defined() {
            let info = &series.info;
            if overlaps(series.bounds) && selector.matches(&info.metric, &info.labels) {
                wanted.insert(reference, self.place(info));
            }
        }
        let path = head.path.clone();
        let file = File::open(&path).map_err(|source| StoreError::io("open", &path, source))?;
        let head = OpenHead {
            sequence: head.sequence,
            path,
            file,
            view: Arc::clone(&head.view),
        };
        self.heads.push(Head { head, wanted });
        Ok(())
    }

    /// The place of a series; the newest description of it stays.
    fn place(&mut self, info: &Arc<SeriesInfo>) -> usize {
        let next = self.series.len();
        let key = (info.metric.clone(), info.labels.clone());
        let places = self.known.entry(key).or_default();
        for place in places.iter() {
            if let Some(known) = self.series.get_mut(*place)
                && means_the_same(known, info)
            {
                if **known != **info {
                    *known = Arc::clone(info);
                }
                return *place;
            }
        }
        places.push(next);
        self.series.push(Arc::clone(info));
        self.blocks.push(Vec::new());
        next
    }
}

/// Whether values of one can stand among those of the other.
fn means_the_same(a: &SeriesInfo, b: &SeriesInfo) -> bool {
    (&a.collector, &a.unit, a.kind, &a.states) == (&b.collector, &b.unit, b.kind, &b.states)
}

fn order_of(info: &SeriesInfo) -> (&str, &str, &Labels, &str, &str, &[String]) {
    (
        &info.collector,
        &info.metric,
        &info.labels,
        &info.unit,
        info.kind.word(),
        &info.states,
    )
}

fn parse<'a>(bytes: &'a [u8], file: &SegmentFile) -> Result<Index<'a>, StoreError> {
    Index::parse(bytes, SegmentFile::blocks_start(), file.footer.index.offset)
        .map_err(|error| error.inside(&file.path))
}

/// The days of the batches in a window.
pub(super) fn days(
    view: &View,
    snapshot: &Snapshot,
    window: Window,
) -> Result<BTreeSet<Day>, StoreError> {
    let mut days = BTreeSet::new();
    let mut add = |wall: i64| {
        let at = Timestamp::from_nanos(wall);
        if window.contains(at) {
            days.insert(Day::of(at));
        }
    };
    for footer in inside(snapshot, window) {
        let ends = [footer.oldest, footer.newest].map(Timestamp::from_nanos);
        if ends.iter().all(|at| window.contains(*at)) && follow_each_other(ends) {
            ends.iter().for_each(|at| add(at.nanos()));
        } else {
            // One after the other: a long time has more files than a process may open.
            let file = SegmentFile::open_known(&view.dir, *footer)?;
            // What is damaged is noted where it is scanned.
            let read = each_time(&file, &mut add);
            readable(&mut BTreeSet::new(), footer.name, read)?;
        }
    }
    for head in &snapshot.heads {
        let io = |source| StoreError::io("read", &head.path, source);
        head.view
            .each(&head.file, |batch| add(batch.at.wall.nanos()))
            .map_err(io)?;
    }
    Ok(days)
}

/// Whether no day lies between two times.
fn follow_each_other(ends: [Timestamp; 2]) -> bool {
    let [first, last] = ends.map(|at| Day::of(at).number());
    last.saturating_sub(first) <= 1
}

fn each_time(file: &SegmentFile, mut take: impl FnMut(i64)) -> Result<(), StoreError> {
    let bytes = file.index()?;
    for collector in &parse(&bytes, file)?.collectors {
        let times = file.times(collector.times)?;
        times.wall.iter().copied().for_each(&mut take);
    }
    Ok(())
}
