//! The series as they arrive, by number: their labels packed, and which families they belong to.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use glasshouse_core::time::BootTime;
use glasshouse_exposition::Family;
use glasshouse_exposition::remote_write::Line;

/// What a family is, is said again this often: Mimir forgets it after a quarter of an hour.
const SAID_EVERY: Duration = Duration::from_secs(600);

/// Families of which it is said what they are. There are some hundreds.
const MOST_FAMILIES: usize = 4096;

/// Lines of all series.
#[derive(Debug, Default)]
pub(super) struct Lines {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    /// By the hash of the labels.
    taken: HashMap<u64, u32>,
    hasher: RandomState,
    families: Vec<Known>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Slot {
    line: Line,
    hash: u64,
    family: Option<usize>,
}

/// A family, and when it was last said what it is.
#[derive(Debug)]
struct Known {
    family: Family,
    said: Option<BootTime>,
}

impl Lines {
    /// Numbers for the lines of one series; nothing where another series has one of them already: names and labels can
    /// fall together once they are translated.
    pub(super) fn add(&mut self, family: &Family, lines: Vec<Line>) -> Option<Vec<u32>> {
        let hashes: Vec<u64> = lines
            .iter()
            .map(|line| self.hasher.hash_one(line))
            .collect();
        let mut distinct = hashes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let is_taken = hashes.iter().any(|hash| self.taken.contains_key(hash));
        if is_taken || distinct.len() < hashes.len() {
            return None;
        }
        let family = self.family(family);
        let mut numbers = Vec::with_capacity(lines.len());
        for (line, hash) in lines.into_iter().zip(hashes) {
            let slot = Some(Slot { line, hash, family });
            let number = match self.free.pop() {
                Some(number) => number,
                None => {
                    self.slots.push(None);
                    u32::try_from(self.slots.len() - 1).ok()?
                }
            };
            if let Some(free) = self.slots.get_mut(place(number)) {
                *free = slot;
            }
            self.taken.insert(hash, number);
            numbers.push(number);
        }
        Some(numbers)
    }

    /// The series is gone.
    pub(super) fn remove(&mut self, numbers: &[u32]) {
        for number in numbers {
            let slot = self.slots.get_mut(place(*number)).and_then(Option::take);
            if let Some(slot) = slot {
                self.taken.remove(&slot.hash);
                self.free.push(*number);
            }
        }
    }

    pub(super) fn line(&self, number: u32) -> Option<&Line> {
        let slot = self.slots.get(place(number))?.as_ref()?;
        Some(&slot.line)
    }

    /// The family of a line, where it is time to say what that is; it counts as said then.
    pub(super) fn say(&mut self, number: u32, now: BootTime) -> Option<&Family> {
        let family = self.slots.get(place(number))?.as_ref()?.family?;
        let known = self.families.get_mut(family)?;
        let is_fresh = |said: BootTime| said <= now && now.since(said) < SAID_EVERY;
        if known.said.is_some_and(is_fresh) {
            return None;
        }
        known.said = Some(now);
        Some(&known.family)
    }

    fn family(&mut self, family: &Family) -> Option<usize> {
        let name = family.sample_name();
        if let Some(known) = self.by_name.get(&*name) {
            return Some(*known);
        }
        if self.families.len() >= MOST_FAMILIES {
            return None;
        }
        let next = self.families.len();
        self.by_name.insert(name.into_owned(), next);
        self.families.push(Known {
            family: family.clone(),
            said: None,
        });
        Some(next)
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
