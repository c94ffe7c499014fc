//! Which series are defined, and what the runs of the probe call them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::time::BootTime;

use crate::error::{SeriesLimit, StoreError};
use crate::record::MOST_SERIES;
use crate::settings::SeriesLimits;
use crate::store::SeriesRef;

/// Frames of the run before may still be on their way when a new run begins; those of older ones are not.
const MOST_RUNS: usize = 2;

/// A series without a sample for this long is forgotten. Collectors read each hour at least, and the probe repeats what
/// it still knows each minute, so what comes back is defined again.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 3600);

/// Numbers that one series has at once: one in each run, and one more where the probe forgot it and met it again.
const MOST_NAMES: usize = 2 * MOST_RUNS;

/// Slots that are kept although no series needs them: an ordinary node has some 600.
const KEPT_SLOTS: usize = 4096;

/// The defined series.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The generation that a new slot begins with.
    first_generation: u32,
    by_hash: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
    /// How many series each collector has; a series whose description changed counts once.
    counts: BTreeMap<String, usize>,
    /// Oldest first.
    runs: Vec<(u64, BTreeMap<u32, SeriesRef>)>,
    /// The number of the batch that is being checked.
    batch: u64,
}

#[derive(Debug, Default)]
struct Slot {
    info: Option<Arc<SeriesInfo>>,
    /// Changes when the slot is used for another series, so that old references are known as such.
    generation: u32,
    /// The last batch that the series stood in.
    batch: u64,
    /// Since when it stood in no batch, where that was noticed.
    idle_since: Option<BootTime>,
    /// What the runs call it: run and number, oldest first.
    names: Vec<(u64, u32)>,
}

impl Registry {
    /// The series with exactly this description, where it is defined.
    pub(crate) fn find(&self, info: &SeriesInfo) -> Option<SeriesRef> {
        let known = self.by_hash.get(&self.hash(info))?;
        let same = |number: &&u32| {
            self.slot(**number)
                .is_some_and(|slot| slot.info.as_deref() == Some(info))
        };
        known
            .iter()
            .find(same)
            .and_then(|number| self.reference(*number))
    }

    /// What the run calls `number`.
    pub(crate) fn number(&self, run: u64, number: u32) -> Option<SeriesRef> {
        let (_, numbers) = self.runs.iter().find(|(known, _)| *known == run)?;
        numbers.get(&number).copied()
    }

    /// Whether there may be one more series, which [`Self::find`] did not find.
    pub(crate) fn admit(&self, info: &SeriesInfo, limits: SeriesLimits) -> Result<(), StoreError> {
        let more = added(self.namesakes(info));
        let refused = |limit, most| {
            let collector = info.collector.clone();
            Err(StoreError::TooManySeries {
                collector,
                limit,
                most,
            })
        };
        if self.of_collector(&info.collector) + more > limits.a_collector {
            return refused(SeriesLimit::OfCollector, limits.a_collector);
        }
        let most = limits.all.min(MOST_SERIES);
        if self.len() + more > most || self.next_slot().is_err() {
            return refused(SeriesLimit::OfAll, most);
        }
        Ok(())
    }

    /// How many series a collector has.
    pub(crate) fn of_collector(&self, collector: &str) -> usize {
        self.counts.get(collector).copied().unwrap_or(0)
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.counts.values().sum()
    }

    /// Defined series with the same metric, labels and collector: another description of the same, as after an upgrade.
    fn namesakes(&self, info: &SeriesInfo) -> usize {
        let known = self.by_hash.get(&self.hash(info)).into_iter().flatten();
        let known = known.filter_map(|number| self.slot(*number)?.info.as_deref());
        known.filter(|known| is_namesake(known, info)).count()
    }

    /// The slot that [`Self::insert`] would give a new series.
    pub(crate) fn next_slot(&self) -> Result<u32, StoreError> {
        let fresh = u32::try_from(self.slots.len()).ok();
        let fresh = fresh.filter(|_| self.slots.len() < MOST_SERIES);
        self.free
            .last()
            .copied()
            .or(fresh)
            .ok_or(StoreError::TooLarge {
                what: "the number of series",
                size: self.slots.len() + 1,
                most: MOST_SERIES,
            })
    }

    /// Adds a series that [`Self::find`] did not find.
    pub(crate) fn insert(&mut self, info: &SeriesInfo) -> Result<SeriesRef, StoreError> {
        let number = self.next_slot()?;
        if self.free.pop().is_none() {
            self.slots.push(Slot {
                generation: self.first_generation,
                ..Slot::default()
            });
        }
        let hash = self.hash(info);
        let more = added(self.namesakes(info));
        *self.counts.entry(info.collector.clone()).or_default() += more;
        self.by_hash.entry(hash).or_default().push(number);
        if let Some(slot) = self.slot_mut(number) {
            slot.info = Some(Arc::new(info.clone()));
        }
        Ok(self.reference(number).unwrap_or(SeriesRef {
            number,
            generation: 0,
        }))
    }

    /// From now on the run calls the series `number`.
    pub(crate) fn name(&mut self, run: u64, number: u32, series: SeriesRef) {
        if !self.runs.iter().any(|(known, _)| *known == run) {
            self.runs.push((run, BTreeMap::new()));
            if self.runs.len() > MOST_RUNS {
                self.runs.remove(0);
            }
        }
        let Some(slot) = self.slot_mut(series.number) else {
            return;
        };
        slot.idle_since = None;
        slot.names.retain(|name| *name != (run, number));
        slot.names.push((run, number));
        let forgotten = (slot.names.len() > MOST_NAMES).then(|| slot.names.remove(0));
        if let Some(numbers) = self.numbers(run) {
            numbers.insert(number, series);
        }
        if let Some(name) = forgotten {
            self.unname(name, series);
        }
    }

    /// Forgets the names of series that had no sample for [`FORGET_AFTER`]; [`Self::prune`] then forgets the series.
    /// Called when a head is about to be full: what stood in none of its batches is idle since then.
    pub(crate) fn forget_idle(&mut self, now: BootTime) {
        let mut forgotten = Vec::new();
        for (number, slot) in (0..).zip(&mut self.slots) {
            let since = *slot.idle_since.get_or_insert(now);
            if now.since(since) >= FORGET_AFTER {
                let generation = slot.generation;
                let series = SeriesRef { number, generation };
                forgotten.extend(slot.names.drain(..).map(|name| (name, series)));
            }
        }
        for (name, series) in forgotten {
            self.unname(name, series);
        }
    }

    /// Whether the series is still defined.
    pub(crate) fn knows(&self, series: SeriesRef) -> bool {
        self.info(series).is_some()
    }

    fn unname(&mut self, (run, number): (u64, u32), series: SeriesRef) {
        if let Some(numbers) = self.numbers(run)
            && numbers.get(&number) == Some(&series)
        {
            numbers.remove(&number);
        }
    }

    fn numbers(&mut self, run: u64) -> Option<&mut BTreeMap<u32, SeriesRef>> {
        let runs = &mut self.runs;
        let known = runs.iter_mut().find(|(known, _)| *known == run);
        known.map(|(_, numbers)| numbers)
    }

    /// Forgets the series that no run names any more.
    pub(crate) fn prune(&mut self) {
        let mut named = vec![false; self.slots.len()];
        for series in self.runs.iter().flat_map(|(_, numbers)| numbers.values()) {
            if let Some(named) = named.get_mut(place(series.number)) {
                *named = true;
            }
        }
        for (number, (slot, named)) in (0..).zip(self.slots.iter_mut().zip(&named)) {
            if !named && slot.info.take().is_some() {
                slot.generation = slot.generation.wrapping_add(1);
                slot.idle_since = None;
                slot.names.clear();
                self.free.push(number);
            }
        }
        self.by_hash.retain(|_, numbers| {
            numbers.retain(|number| named.get(place(*number)).is_some_and(|named| *named));
            !numbers.is_empty()
        });
        self.count();
        self.shrink();
    }

    /// Counts the series of each collector.
    fn count(&mut self) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for numbers in self.by_hash.values() {
            let mut seen: Vec<&SeriesInfo> = Vec::with_capacity(numbers.len());
            for number in numbers {
                let Some(info) = self.slot(*number).and_then(|slot| slot.info.as_deref()) else {
                    continue;
                };
                let namesakes = seen.iter().filter(|known| is_namesake(known, info)).count();
                let more = added(namesakes);
                match counts.get_mut(&info.collector) {
                    Some(count) => *count += more,
                    None => drop(counts.insert(info.collector.clone(), more)),
                }
                seen.push(info);
            }
        }
        self.counts = counts;
    }

    /// Gives back the memory of a crowd that is gone.
    fn shrink(&mut self) {
        let used = self.slots.iter().rposition(|slot| slot.info.is_some());
        let used = used.map_or(0, |last| last + 1);
        if self.slots.len() > KEPT_SLOTS.max(used.saturating_mul(4)) {
            // The generation of a slot that is gone must not come again.
            let dropped = self.slots.drain(used..);
            let newest = dropped.map(|slot| slot.generation).max();
            self.first_generation = self.first_generation.max(newest.unwrap_or(0));
            self.free.retain(|number| place(*number) < used);
            self.slots.shrink_to_fit();
            self.free.shrink_to_fit();
            self.by_hash.shrink_to_fit();
        }
    }

    pub(crate) fn run(&self, run: u64) -> Vec<(u32, SeriesRef)> {
        let numbers = self.runs.iter().find(|(known, _)| *known == run);
        numbers.map_or_else(Vec::new, |(_, numbers)| {
            numbers
                .iter()
                .map(|(number, series)| (*number, *series))
                .collect()
        })
    }

    /// Every definition, oldest run first: what a head begins with.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = (u64, u32, SeriesRef, &SeriesInfo)> {
        self.runs.iter().flat_map(move |(run, numbers)| {
            numbers.iter().filter_map(move |(number, series)| {
                Some((*run, *number, *series, self.info(*series)?))
            })
        })
    }

    pub(crate) fn info(&self, series: SeriesRef) -> Option<&SeriesInfo> {
        let slot = self.slot(series.number)?;
        slot.info
            .as_deref()
            .filter(|_| slot.generation == series.generation)
    }

    /// Begins to check a batch; [`Self::check`] then sees a series that stands in it twice.
    pub(crate) const fn begin_batch(&mut self) {
        self.batch += 1;
    }

    /// Whether a series may stand in a batch of the collector that is being checked.
    pub(crate) fn check(&mut self, collector: &str, series: SeriesRef) -> Result<(), StoreError> {
        let number = series.number;
        let batch = self.batch;
        let slot = self
            .slot_mut(number)
            .filter(|slot| slot.generation == series.generation);
        let Some((slot, info)) = slot.and_then(|slot| {
            let info = Arc::clone(slot.info.as_ref()?);
            Some((slot, info))
        }) else {
            return Err(StoreError::UnknownSeries { number });
        };
        let detail = if info.collector != collector {
            "it was defined for another collector"
        } else if slot.batch == batch {
            "it stands in it twice"
        } else {
            slot.batch = batch;
            slot.idle_since = None;
            return Ok(());
        };
        Err(StoreError::Misplaced {
            metric: info.metric.clone(),
            collector: collector.to_owned(),
            detail,
        })
    }

    fn hash(&self, info: &SeriesInfo) -> u64 {
        self.hasher
            .hash_one((&info.metric, &info.labels, &info.collector))
    }

    fn reference(&self, number: u32) -> Option<SeriesRef> {
        let generation = self.slot(number)?.generation;
        Some(SeriesRef { number, generation })
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(place(number))
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(place(number))
    }
}

#[cfg(test)]
impl Registry {
    /// What it holds: slots, hashes, and names in all runs.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        let names = self.runs.iter().map(|(_, names)| names.len()).sum();
        [self.slots.len(), self.by_hash.len(), names]
    }
}

fn is_namesake(one: &SeriesInfo, other: &SeriesInfo) -> bool {
    one.metric == other.metric && one.labels == other.labels && one.collector == other.collector
}

/// What one more description counts for: an upgrade may change that of every series, and for a while both are known.
/// Whoever describes a series ever anew has each time a new series.
const fn added(namesakes: usize) -> usize {
    if namesakes == 1 { 0 } else { 1 }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
