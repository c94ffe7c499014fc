//! What waits to be read, and what is gone before it was.

use std::collections::BTreeMap;
use std::path::Path;

use glasshouse_core::reader::Resolution;

use crate::error::StoreError;
use crate::files::{DAMAGED, Listing, SegmentName};
use crate::segment::SegmentFile;

use super::raw;

/// What waits to be read behind a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Sealed files that were not read, or not to their end.
    pub files: usize,
    /// Values in them, at most: those of a file that was read in part count.
    pub samples: u64,
    /// What vanished unread since the last look.
    pub vanished: Vec<Vanished>,
}

/// A sealed file that is gone before it was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// Its name.
    pub file: String,
    /// Values in it, at most: those of a file that was read in part count. One where nobody can tell.
    pub samples: u64,
    /// It was set aside because it made no sense. Else retention took it.
    pub is_damaged: bool,
}

/// The unread files of the last look, and how many values each has.
#[derive(Debug, Default)]
pub(super) struct Watch {
    waiting: BTreeMap<SegmentName, u64>,
    /// There was a look before.
    has_looked: bool,
    /// What vanished and was not told yet.
    vanished: Vec<Vanished>,
}

impl Watch {
    /// What waits, and what vanished since this was asked the last time.
    pub(super) fn tell(&mut self) -> Backlog {
        let samples = self.waiting.values();
        Backlog {
            files: self.waiting.len(),
            samples: samples.fold(0, |sum, one| sum.saturating_add(*one)),
            vanished: std::mem::take(&mut self.vanished),
        }
    }

    /// What was set aside before anybody looked, as when the store was opened. How much was in it nobody can tell.
    fn set_aside_before(&mut self, listing: &Listing, from: u64) {
        let names = listing.damaged.iter().filter_map(|aside| {
            let name = SegmentName::parse(aside.strip_suffix(DAMAGED)?)?;
            Some(name)
        });
        for name in names.filter(|name| name.tier == Resolution::Raw && name.last >= from) {
            if !raw(listing).any(|known| known.covers(name.first, name.last)) {
                self.vanished.push(Vanished {
                    file: name.to_string(),
                    samples: 1,
                    is_damaged: true,
                });
            }
        }
    }

    /// Takes note of a list of the folder. It has to be one from before the position went on past what is missing in it.
    pub(super) fn look(
        &mut self,
        dir: &Path,
        listing: &Listing,
        from: u64,
        reading: Option<SegmentName>,
    ) -> Result<(), StoreError> {
        if !std::mem::replace(&mut self.has_looked, true) {
            self.set_aside_before(listing, from);
        }
        let mut waiting = BTreeMap::new();
        for name in raw(listing).filter(|name| name.last >= from) {
            let samples = match self.waiting.get(&name) {
                Some(samples) => *samples,
                None => match SegmentFile::open(dir, name) {
                    // replaced since it was listed: the next look sees what by
                    Err(error) if error.is_missing() => continue,
                    Err(error) if error.is_damage() => 0,
                    file => file?.footer.samples,
                },
            };
            waiting.insert(name, samples);
        }
        for (name, samples) in &self.waiting {
            let is_kept = raw(listing).any(|new| new.covers(name.first, name.last));
            let was_read = name.last < from || reading == Some(*name);
            if !is_kept && !was_read {
                let aside = format!("{name}{DAMAGED}");
                self.vanished.push(Vanished {
                    file: name.to_string(),
                    samples: *samples,
                    is_damaged: listing.damaged.contains(&aside),
                });
            }
        }
        self.waiting = waiting;
        Ok(())
    }
}
