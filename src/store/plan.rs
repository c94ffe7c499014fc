//! Finds out what a question over time has to read, and what that costs, before any of it is read.

use std::collections::{BTreeMap, HashMap};
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
    /// The times block of a collector.
    pub(crate) fn times(&self, collector: usize) -> Result<Vec<u8>, StoreError> {
        let place = self.times.get(collector).copied();
        let nowhere = || Malformed("the index points nowhere").inside(&self.file.path);
        self.file.block(place.ok_or_else(nowhere)?)
    }
}

impl<'a> Plan<'a> {
    /// Finds what matches, newest file first, until the budget is spent.
    pub(crate) fn find(
        &mut self,
        view: &View,
        snapshot: &'a Snapshot,
        query: &RangeQuery,
        asked: &Asked,
    ) -> Result<(), StoreError> {
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
        let overlaps = |bounds: Option<(i64, i64)>| {
            bounds.is_some_and(|(oldest, newest)| asked.overlaps(oldest, newest))
        };
        if !overlaps(head.view.bounds) || !self.afford(head.view.cost(), query) {
            return;
        }
        self.damaged |= head.view.lost > 0;
        let mut wanted = BTreeMap::new();
        for (reference, series) in head.view.defined() {
            let info = &series.info;
            if overlaps(series.bounds) && query.selector.matches(&info.metric, &info.labels) {
                wanted.insert(reference, self.key(info));
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
        let bytes = view.index(&file)?;
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
        let cost = wide(bytes.len()).saturating_add(cost(&times, &found));
        if !self.afford(cost, query) {
            return Ok(None);
        }
        let blocks = found.iter().map(|entry| PlannedBlock {
            key: self.key(&entry.info),
            collector: entry.collector,
            block: entry.block,
            counter: is_counter(&entry.info),
        });
        let blocks = blocks.collect();
        Ok(Some(PlannedSegment {
            file,
            times,
            blocks,
        }))
    }

    fn afford(&mut self, cost: u64, query: &RangeQuery) -> bool {
        self.bytes = self.bytes.saturating_add(cost);
        self.too_large |= self.bytes > query.budget.bytes;
        !self.too_large
    }

    fn key(&mut self, info: &Arc<SeriesInfo>) -> usize {
        let next = self.infos.len();
        let key = (info.metric.clone(), info.labels.clone());
        let key = *self.keys.entry(key).or_insert(next);
        if key == next {
            self.infos.push(Arc::clone(info));
        }
        key
    }
}

/// The bytes of some series' blocks and of the times that they need.
fn cost(times: &[Place], found: &[SeriesEntry]) -> u64 {
    let needed = |place: &usize| found.iter().any(|entry| entry.collector == *place);
    let times = times.iter().enumerate().filter(|(place, _)| needed(place));
    let times: u64 = times.map(|(_, times)| wide(times.length)).sum();
    let blocks: u64 = found.iter().map(|entry| wide(entry.block.length)).sum();
    times.saturating_add(blocks)
}
