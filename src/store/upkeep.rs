//! What the writer does beside writing: it syncs, begins heads, seals and merges, and removes what is too old or too much.

use glasshouse_core::reader::Resolution;
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use crate::catalog::{Due, DueMerge, whole};
use crate::error::StoreError;
use crate::files::{SegmentName, head_name};
use crate::head::{Head, MOST_BATCHES};
use crate::merge::{Merged, merge_raw, merge_rollups};
use crate::recovery::{reload, set_aside};
use crate::retain::asides;
use crate::seal::seal;
use crate::segment::Footer;
use crate::store::{Maintenance, Store};

impl Store {
    /// Does what is due: sync, rotate, then one piece of work (seal a head, merge a stretch), then forget what is too
    /// old. Call it every second.
    ///
    /// # Errors
    /// The first [`StoreError`]; what is due otherwise is still done, and what failed is tried again after
    /// [`StoreSettings::retry`](crate::StoreSettings::retry).
    pub fn maintain(&mut self, now: Moment) -> Result<Maintenance, StoreError> {
        let mut done = Maintenance::default();
        let mut outcome = self.sync_if_due(now, &mut done);
        let waits = self
            .retry_at
            .is_some_and(|at| now.boot < at && at.since(now.boot) <= self.settings.retry);
        if !waits {
            self.retry_at = None;
            let rotated = self.rotate_if_due(now, &mut done);
            let worked = rotated.and(self.work(now, &mut done));
            if worked.is_err() {
                let pause = u64::try_from(self.settings.retry.as_nanos()).unwrap_or(u64::MAX);
                self.retry_at = Some(BootTime::from_nanos(now.boot.nanos().saturating_add(pause)));
            }
            outcome = outcome.and(worked);
        }
        let removed = self.folder.remove_replaced();
        let forgotten = self.forget(now);
        outcome.and(removed).and(forgotten)?;
        done.expired = std::mem::take(&mut self.folder.expired);
        if done.rotated || done.more || !done.expired.is_empty() {
            self.folder.room.measure(&self.folder.dir)?;
        }
        Ok(done)
    }

    /// Seals the head and keeps the definitions for the next start.
    ///
    /// # Errors
    /// [`StoreError`] where a head could not be sealed; it is then sealed after the next start.
    pub fn close(mut self, now: Moment) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        if self.head.opened.is_some() {
            outcome = self.rotate();
        }
        let mut done = Maintenance::default();
        for sequence in std::mem::take(&mut self.pending) {
            let sealed = self.seal_or_give_up(sequence, now.boot, &mut done);
            outcome = outcome.and(sealed);
        }
        let removed = self.folder.remove_replaced();
        outcome.and(removed).and(self.head.sync())
    }

    fn sync_if_due(&mut self, now: Moment, done: &mut Maintenance) -> Result<(), StoreError> {
        let last = *self.last_sync.get_or_insert(now.boot);
        let elapsed = now.boot.since(last);
        if !self.head.unsynced || (elapsed < self.settings.sync && last <= now.boot) {
            return Ok(());
        }
        self.last_sync = Some(now.boot);
        self.head.sync()?;
        done.synced = true;
        Ok(())
    }

    fn rotate_if_due(&mut self, now: Moment, done: &mut Maintenance) -> Result<(), StoreError> {
        if self.rotation_is_due(now) {
            self.registry.forget_idle(now.boot);
            self.rotate()?;
            done.rotated = true;
        }
        Ok(())
    }

    fn rotation_is_due(&self, now: Moment) -> bool {
        if self.head.appended() >= self.settings.head_bytes {
            return true;
        }
        let Some(opened) = self.head.opened else {
            return false;
        };
        let merge = i64::try_from(self.settings.merge.as_nanos())
            .unwrap_or(i64::MAX)
            .max(1);
        let stretch = |time: Timestamp| time.nanos().div_euclid(merge);
        // What a failed sync left may be gone from memory too before long: a segment is written and synced anew.
        self.head.sync_failed
            || now.boot < opened.boot
            || now.boot.since(opened.boot) >= self.settings.rotate
            || stretch(now.wall) != stretch(opened.wall)
            || self.head.batches >= MOST_BATCHES
            || self.head_is_full
    }

    /// Begins the next head. Where that fails, a head that is full takes no more until it is tried again.
    pub(crate) fn rotate(&mut self) -> Result<(), StoreError> {
        let rotated = self.begin_next();
        self.head_is_full = rotated.is_err() && self.head.batches >= MOST_BATCHES;
        rotated
    }

    fn begin_next(&mut self) -> Result<(), StoreError> {
        self.head.sync()?;
        let sequence = self.head.sequence.saturating_add(1);
        let (dir, registry) = (self.folder.dir.clone(), &self.registry);
        // All its definitions stand in the head that is full.
        let begin = |room: &_| Head::create(&dir, sequence, registry, room);
        let head = self.folder.write(self.head.bytes(), begin)?;
        let full = std::mem::replace(&mut self.head, head);
        self.pending.push(full.sequence);
        // Only now: in the head before, the numbers of those that are forgotten still stand for them.
        self.registry.prune();
        Ok(())
    }

    /// Does one piece of work.
    fn work(&mut self, now: Moment, done: &mut Maintenance) -> Result<(), StoreError> {
        let waits = |sequence: &u64| self.failing.waits(sealed_name(*sequence), now.boot);
        if let Some(place) = self.pending.iter().position(|sequence| !waits(sequence)) {
            let sequence = self.pending.get(place).copied().unwrap_or_default();
            self.seal_or_give_up(sequence, now.boot, done)?;
            self.pending.remove(place);
            done.more = true;
            return Ok(());
        }
        let opened = self.head.opened.map(|opened| opened.wall);
        let skipped = self.failing.skipped(now.boot);
        let catalog = &mut self.folder.catalog;
        let due = catalog.due(&self.settings, now.wall, opened, skipped, &self.pending);
        let Some(due) = due else {
            return Ok(());
        };
        done.more = true;
        let inputs = due.inputs();
        let name = whole(inputs);
        // Samples are written once more, and as rollups; neither takes more than they do.
        let copies = if inputs.len() > 1 && matches!(due, Due::Samples(_)) {
            2
        } else {
            1
        };
        let bytes = inputs
            .iter()
            .fold(0, |bytes, input| input.bytes.saturating_add(bytes));
        let merged = self.merge(&due, bytes.saturating_mul(copies));
        match merged {
            Ok(None) => Ok(()),
            Ok(Some(merged)) => {
                name.into_iter().for_each(|name| self.failing.forget(name));
                self.take(merged, done);
                Ok(())
            }
            Err(error) => {
                if let Some(segment) = self.damaged_input(&error) {
                    return self.set_aside(segment, done);
                }
                let failing = &mut self.failing;
                name.into_iter()
                    .for_each(|name| failing.note(name, now.boot));
                // Part of it may stand already.
                let (catalog, replaced) = reload(&self.folder.dir, &self.pending)?;
                self.folder.catalog = catalog;
                self.folder.replaced.extend(replaced);
                Err(error)
            }
        }
    }

    /// Merges; `None` where one of the inputs had to go to make room, so that something else may be due now.
    fn merge(&mut self, due: &Due, estimate: u64) -> Result<Option<Merged>, StoreError> {
        let dir = self.folder.dir.clone();
        match self.folder.make_room(estimate) {
            // It may need less than that.
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
        loop {
            if !self.folder.catalog.has_all(due.inputs()) {
                return Ok(None);
            }
            let room = &self.folder.room;
            let merged = match due {
                Due::Samples(DueMerge { inputs, tiers }) => merge_raw(&dir, inputs, tiers, room),
                Due::Rollups(tier, DueMerge { inputs, .. }) => {
                    merge_rollups(&dir, inputs, *tier, room)
                }
            };
            match merged {
                Err(StoreError::Full { .. }) if self.folder.expire_oldest()? => {
                    self.folder.room.measure(&dir)?;
                }
                merged => return merged.map(Some),
            }
        }
    }

    /// Seals a head. One that the disk does not give back, however often it is asked, is set aside; one for which there
    /// is no room although nothing else is left is the oldest that there is, and goes. Where anything else fails it is
    /// tried again later, and those behind it come first.
    fn seal_or_give_up(
        &mut self,
        sequence: u64,
        now: BootTime,
        done: &mut Maintenance,
    ) -> Result<(), StoreError> {
        let sealed = sealed_name(sequence);
        let name = head_name(sequence);
        let Err(error) = self.seal(sequence, done) else {
            self.failing.forget(sealed);
            return Ok(());
        };
        if matches!(error, StoreError::Full { .. }) {
            self.failing.forget(sealed);
            self.folder.remove(&name)?;
            self.folder.expired.push(name);
            return Ok(());
        }
        self.failing.note(sealed, now);
        // What is too large for a segment today will be tomorrow, and all behind it would wait for ever.
        let is_lost = error.is_unreadable() && error.is_of(&self.folder.dir.join(&name))
            || matches!(error, StoreError::TooLarge { .. });
        if is_lost && self.failing.skipped(now).contains(&sealed) {
            self.failing.forget(sealed);
            return self.put_aside(name, done);
        }
        Err(error)
    }

    fn seal(&mut self, sequence: u64, done: &mut Maintenance) -> Result<(), StoreError> {
        let name = head_name(sequence);
        let dir = self.folder.dir.clone();
        let bytes = crate::disk::metadata(&dir.join(&name)).map_or(0, |head| head.bytes);
        // Hardly ever is a segment larger than the head that it is made from.
        let sealed = self
            .folder
            .write(bytes, |room| seal(&dir, sequence, room))?;
        if sealed.lost > 0 {
            done.lost.push((name.clone(), sealed.lost));
        }
        if let Some(footer) = sealed.footer {
            done.written.push(footer.name.to_string());
            self.folder.catalog.insert(footer);
        }
        self.folder.replaced.push(name);
        Ok(())
    }

    fn take(&mut self, merged: Merged, done: &mut Maintenance) {
        done.lost.extend(merged.lost);
        for footer in merged.footers {
            done.written.push(footer.name.to_string());
            let replaced = self.folder.catalog.insert(footer).into_iter();
            let replaced = replaced.map(|name| name.to_string());
            self.folder.replaced.extend(replaced);
        }
    }

    /// The segment that the error says is damaged; it may also be about a file that was just being written.
    fn damaged_input(&self, error: &StoreError) -> Option<SegmentName> {
        match error {
            StoreError::Damaged { path, .. } => {
                let name = path.file_name()?.to_string_lossy();
                self.folder.catalog.find(&name)
            }
            _ => None,
        }
    }

    fn set_aside(
        &mut self,
        segment: SegmentName,
        done: &mut Maintenance,
    ) -> Result<(), StoreError> {
        let name = segment.to_string();
        self.put_aside(name, done)?;
        self.folder.catalog.remove(segment);
        Ok(())
    }

    fn put_aside(&mut self, name: String, done: &mut Maintenance) -> Result<(), StoreError> {
        set_aside(&self.folder.dir, &name)?;
        done.set_aside.push(name);
        self.folder.asides = asides(&self.folder.dir)?;
        Ok(())
    }

    /// Removes what is too old, where the clock can be believed, and then what is too much for its tier. The room that
    /// the whole store has was made before anything was written.
    fn forget(&mut self, now: Moment) -> Result<(), StoreError> {
        let retention = self.settings.retention;
        let folder = &mut self.folder;
        if self.clock.trusts(now, folder.catalog.newest()) {
            folder.expire_asides(now.wall.before(retention.raw))?;
            let too_old = folder.catalog.too_old(&self.settings, now.wall);
            folder.expire(too_old)?;
        }
        let too_much = folder.catalog.too_much(&retention);
        folder.expire(too_much)
    }
}

impl Due {
    fn inputs(&self) -> &[Footer] {
        match self {
            Self::Samples(merge) | Self::Rollups(_, merge) => &merge.inputs,
        }
    }
}

/// What a head becomes.
const fn sealed_name(sequence: u64) -> SegmentName {
    SegmentName {
        tier: Resolution::Raw,
        first: sequence,
        last: sequence,
    }
}

#[cfg(test)]
#[path = "churn_tests.rs"]
mod churn_tests;
