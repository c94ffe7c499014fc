//! Finds out what a question over time has to read, and what that costs, before any of it is read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::{RangeQuery, SeriesInfo};

use crate::bytes::wide;
use crate::error::{Malformed, StoreError};
use crate::index::{Index, Place, SeriesEntry};
use crate::merge::is_counter;
use crate::range::Asked;
use crate::segment::{Footer, SegmentFile};
use crate::view::{OpenHead, Snapshot, View};

/// What is to be read.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    pub(crate) keys: HashMap<(String, Labels), usize>,
    /// As the newest file describes them.
    pub(crate) infos: Vec<Arc<SeriesInfo>>,
    /// Newest first.
    pub(crate) heads: Vec<(&'a OpenHead, BTreeMap<u32, usize>)>,
    /// Newest first.
    pub(crate) segments: Vec<PlannedSegment>,
    pub(crate) edges: Vec<PlannedSegment>,
    /// What is read in all.
    pub(crate) bytes: u64,
    pub(crate) too_large: bool,
    /// Something of it is damaged and left out.
    pub(crate) damaged: bool,
}

pub(crate) struct PlannedSegment {
    pub(crate) file: SegmentFile,
    /// Places of times, by collector.
    pub(crate) times: Vec<Place>,
    pub(crate) blocks: Vec<PlannedBlock>,
}

pub(crate) struct PlannedBlock {
    pub(crate) key: usize,
    pub(crate) collector: usize,
    pub(crate) block: Place,
    pub(crate) counter: bool,
}

impl PlannedSegment {
    /// The bytes of the blocks, and of the times that they need.
    fn cost(&self) -> u64 {
        let mut needed: BTreeSet<usize> = BTreeSet::new();
        needed.extend(self.blocks.iter().map(|block| block.collector));
        let times = needed.iter().filter_map(|place| self.times.get(*place));
        let times: u64 = times.map(|times| wide(times.length)).sum();
        let blocks: u64 = self.blocks.iter().map(|one| wide(one.block.length)).sum();
        times.saturating_add(blocks)
    }

    /// The times block of a collector.
    pub(crate) fn times(&self, collector: usize) -> Result<Vec<u8>, StoreError> {
        let place = self.times.get(collector).copied();
        let nowhere = || Malformed("the index points nowhere").inside(&self.file.path);
        self.file.block(place.ok_or_else(nowhere)?)
    }
}

impl<'a> Plan<'a> {
    /// Finds what matches, newest file first, until the budget is spent on the indexes alone.
    pub(crate) fn find(
        &mut self,
        view: &View,
        snapshot: &'a Snapshot,
        query: &RangeQuery,
        asked: &Asked,
    ) -> Result<(), StoreError> {
        self.bytes = snapshot.bytes_read;
        for head in snapshot.heads.iter().rev() {
            self.find_head(head, query, asked);
        }
        // All are opened before any is read, so that what a merge replaces meanwhile can still be read.
        let open = |footer: &Footer| SegmentFile::open_known(&view.dir, *footer);
        let chosen: Vec<_> = asked
            .chosen
            .iter()
            .rev()
            .map(open)
            .collect::<Result<_, _>>()?;
        let edges: Vec<_> = asked
            .edges
            .iter()
            .rev()
            .map(open)
            .collect::<Result<_, _>>()?;
        self.damaged |= !snapshot.unreadable.is_empty();
        for file in chosen {
            let planned = self.find_readable(view, file, query, asked)?;
            self.segments.extend(planned);
        }
        for file in edges {
            let planned = self.find_readable(view, file, query, asked)?;
            self.edges.extend(planned);
        }
        Ok(())
    }

    fn find_readable(
        &mut self,
        view: &View,
        file: SegmentFile,
        query: &RangeQuery,
        asked: &Asked,
    ) -> Result<Option<PlannedSegment>, StoreError> {
        let footer = file.footer;
        let planned = self.find_segment(view, file, query, asked);
        let planned = view.readable(&footer, planned)?;
        self.damaged |= planned.is_none();
        Ok(planned.flatten())
    }

    fn find_head(&mut self, head: &'a OpenHead, query: &RangeQuery, asked: &Asked) {
        let reaches = |bounds: Option<(i64, i64)>| {
            bounds.filter(|(oldest, newest)| asked.overlaps(*oldest, *newest))
        };
        if reaches(head.view.bounds).is_none() {
            return;
        }
        self.damaged |= head.view.lost > 0;
        let mut wanted = BTreeMap::new();
        for (reference, series) in head.view.defined() {
            let info = &series.info;
            if let Some(bounds) = reaches(series.bounds)
                && query.selector.matches(&info.metric, &info.labels)
                && let Some(key) = self.key(info, asked.shows(bounds.0, bounds.1))
            {
                wanted.insert(reference, key);
            }
        }
        self.heads.push((head, wanted));
    }

    fn find_segment(
        &mut self,
        view: &View,
        file: SegmentFile,
        query: &RangeQuery,
        asked: &Asked,
    ) -> Result<Option<PlannedSegment>, StoreError> {
        if self.too_large {
            return Ok(None);
        }
        let (bytes, cost) = view.index_and_cost(&file)?;
        if !self.afford(cost, query) {
            return Ok(None);
        }
        let inside = |error: Malformed| error.inside(&file.path);
        let index = Index::parse(
            &bytes,
            SegmentFile::blocks_start(),
            file.footer.index.offset,
        )
        .map_err(inside)?;
        let mut found: Vec<SeriesEntry> = Vec::new();
        let wanted = |metric: &str| {
            query.selector.metrics.is_empty()
                || query.selector.metrics.iter().any(|name| name == metric)
        };
        let take = |entry: SeriesEntry| {
            if asked.overlaps(entry.oldest, entry.newest)
                && query
                    .selector
                    .matches(&entry.info.metric, &entry.info.labels)
            {
                found.push(entry);
            }
            Ok(())
        };
        index.each(wanted, take).map_err(inside)?;
        let times: Vec<Place> = index
            .collectors
            .iter()
            .map(|collector| collector.times)
            .collect();
        let mut blocks = Vec::new();
        for entry in &found {
            let shows = asked.shows(entry.oldest, entry.newest);
            if let Some(key) = self.key(&entry.info, shows) {
                blocks.push(PlannedBlock {
                    key,
                    collector: entry.collector,
                    block: entry.block,
                    counter: is_counter(&entry.info),
                });
            }
        }
        Ok(Some(PlannedSegment {
            file,
            times,
            blocks,
        }))
    }

    /// Leaves out what nobody is shown, and then the oldest that the budget is too small for.
    pub(crate) fn keep(&mut self, is_shown: impl Fn(usize) -> bool, query: &RangeQuery) {
        for (_, wanted) in &mut self.heads {
            wanted.retain(|_, key| is_shown(*key));
        }
        let mut heads = std::mem::take(&mut self.heads);
        heads.retain(|(head, wanted)| !wanted.is_empty() && self.afford(head.view.cost(), query));
        self.heads = heads;
        let mut segments = std::mem::take(&mut self.segments);
        let mut edges = std::mem::take(&mut self.edges);
        for parts in [&mut segments, &mut edges] {
            for segment in parts.iter_mut() {
                segment.blocks.retain(|block| is_shown(block.key));
            }
            parts
                .retain(|segment| !segment.blocks.is_empty() && self.afford(segment.cost(), query));
        }
        self.segments = segments;
        self.edges = edges;
    }

    /// Whether the budget has room for this too. What does not fit is not read, and nothing that is older either.
    fn afford(&mut self, cost: u64, query: &RangeQuery) -> bool {
        let bytes = self.bytes.saturating_add(cost);
        self.too_large |= bytes > query.budget.bytes;
        if !self.too_large {
            self.bytes = bytes;
        }
        !self.too_large
    }

    /// The place of a series, a new one where it has something to show. What lies before the window is asked for alone
    /// where newer files had the series already.
    fn key(&mut self, info: &Arc<SeriesInfo>, shows: bool) -> Option<usize> {
        let next = self.infos.len();
        match self.keys.entry((info.metric.clone(), info.labels.clone())) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(slot) => shows.then(|| {
                slot.insert(next);
                self.infos.push(Arc::clone(info));
                next
            }),
        }
    }
}
