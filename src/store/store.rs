//! The one writer.

use std::path::{Path, PathBuf};

use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::{Resolution, SeriesInfo};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use crate::catalog::{Catalog, Due, DueMerge, whole};
use crate::disk::{self, File};
use crate::error::StoreError;
use crate::failing::Failing;
use crate::files::{SegmentName, head_name};
use crate::frame;
use crate::head::{Head, MOST_BATCHES};
use crate::merge::{Merged, merge_raw, merge_rollups};
use crate::record::{put_batch, put_define};
use crate::recovery::{Found, Recovery, lock, recover, reload, set_aside};
use crate::registry::Registry;
use crate::retain::{Aside, ClockWatch, asides};
use crate::seal::seal;
use crate::settings::StoreSettings;

/// A defined series, as [`Store::append`] takes it. Valid for the store that gave it, until that is dropped or the
/// series is forgotten because two newer runs of the probe did without it, or it had no sample for hours
/// ([`Store::knows`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef {
    pub(crate) number: u32,
    pub(crate) generation: u32,
}

/// The samples of one run of one collector: they share their time.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The collector, the same that the series were defined with.
    pub collector: &'a str,
    /// When it read.
    pub at: Moment,
    /// What it read. A value that is not finite, or whose quality says that it is absent, is kept as absent.
    pub samples: &'a [(SeriesRef, Option<Value>, Quality)],
}

/// The writer of a store. There is one at a time; readers come and go as they like.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    settings: StoreSettings,
    registry: Registry,
    head: Head,
    /// Heads that are to be sealed, oldest first.
    pending: Vec<u64>,
    catalog: Catalog,
    failing: Failing,
    /// Files whose place a newer one has taken and that still stand.
    replaced: Vec<String>,
    /// Files that were set aside, oldest first.
    asides: Vec<Aside>,
    clock: ClockWatch,
    last_sync: Option<BootTime>,
    /// After a failure, not before this.
    retry_at: Option<BootTime>,
    /// Held as long as the store is open.
    _lock: File,
}

/// What [`Store::maintain`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// The head was synced.
    pub synced: bool,
    /// A new head was begun.
    pub rotated: bool,
    /// Segments that were written: sealed, merged, rolled up.
    pub written: Vec<String>,
    /// Files that retention removed.
    pub expired: Vec<String>,
    /// Files with blocks that could not be read and are lost, and how many blocks.
    pub lost: Vec<(String, u64)>,
    /// Files that make no sense or cannot be read, and were set aside under this name with `.damaged` behind it.
    pub set_aside: Vec<String>,
    /// More may be due; a call soon will go on with it.
    pub more: bool,
}

impl Store {
    /// Opens or creates the store in `dir` and mends what a crash left.
    ///
    /// Heads that are found are sealed by the next calls of [`Self::maintain`]; a new one is begun, with their
    /// definitions.
    ///
    /// # Errors
    /// [`StoreError::OtherVersion`] where a file of another version stands in it,
    /// [`StoreError::Busy`] where another process writes it, [`StoreError::Io`] where the folder cannot be used.
    pub fn open(dir: &Path, settings: StoreSettings) -> Result<(Self, Recovery), StoreError> {
        let lock = lock(dir)?;
        let Found {
            catalog,
            mut registry,
            heads,
            newest,
            recovery,
        } = recover(dir)?;
        registry.prune();
        let head = Head::create(dir, newest.saturating_add(1), &registry)?;
        let store = Self {
            dir: dir.to_owned(),
            settings,
            registry,
            head,
            pending: heads,
            catalog,
            failing: Failing::default(),
            replaced: Vec::new(),
            asides: asides(dir)?,
            clock: ClockWatch::default(),
            last_sync: None,
            retry_at: None,
            _lock: lock,
        };
        Ok((store, recovery))
    }

    /// Defines the series that the probe's run calls `number`, and logs that in the head. Nothing is written where it
    /// is known already.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the head cannot take it, [`StoreError::TooLarge`] where it, or all of them, are.
    pub fn define(
        &mut self,
        run: u64,
        number: u32,
        info: &SeriesInfo,
    ) -> Result<SeriesRef, StoreError> {
        let known = self.registry.find(info);
        if let Some(series) = known
            && self.registry.number(run, number) == known
        {
            return Ok(series);
        }
        let slot = known.map_or_else(|| self.registry.next_slot(), |series| Ok(series.number))?;
        let put = put_define(&mut self.head.buffer, run, number, slot, info);
        put.map_err(|size| too_large("a definition", size))?;
        self.head.commit()?;
        let series = match known {
            Some(series) => series,
            None => self.registry.insert(info)?,
        };
        self.registry.name(run, number, series);
        Ok(series)
    }

    /// The series that were defined in a run, also before a restart, sorted by number. The last two runs are kept.
    #[must_use]
    pub fn definitions(&self, run: u64) -> Vec<(u32, SeriesRef)> {
        self.registry.run(run)
    }

    /// Whether the series is still defined: one without a sample for hours is forgotten, and has to be defined again.
    #[must_use]
    pub fn knows(&self, series: SeriesRef) -> bool {
        self.registry.knows(series)
    }

    /// Appends a batch with one write. When this returns, readers see it and a crash of the process does not lose it.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the head; nothing of the batch is kept, and the next append may succeed.
    /// [`StoreError::UnknownSeries`], [`StoreError::Misplaced`], [`StoreError::TooLarge`] say what is wrong with it.
    pub fn append(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.registry.begin_batch();
        for (series, _, _) in batch.samples {
            self.registry.check(batch.collector, *series)?;
        }
        if self.head.batches >= MOST_BATCHES {
            self.rotate()?;
        }
        let samples = batch.samples.iter().map(|(series, value, quality)| {
            let (value, quality) = vouched(*value, *quality);
            (series.number, value, quality)
        });
        let put = put_batch(&mut self.head.buffer, batch.collector, batch.at, samples);
        put.map_err(|size| too_large("a batch", size))?;
        self.head.commit()?;
        self.head.batches += 1;
        self.head.opened = self.head.opened.or(Some(batch.at));
        Ok(())
    }

    /// Does what is due: sync, rotate, then one piece of work (seal a head, merge a stretch), then forget what is too
    /// old. Call it every second.
    ///
    /// # Errors
    /// The first [`StoreError`]; what is due otherwise is still done, and what failed is tried again after
    /// [`StoreSettings::retry`].
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
        let removed = self.remove_replaced();
        let forgotten = self.forget(now, &mut done);
        outcome.and(removed).and(forgotten).map(|()| done)
    }

    /// Seals the head and keeps the definitions for the next start.
    ///
    /// # Errors
    /// [`StoreError`] where the head could not be sealed; it is then sealed after the next start.
    pub fn close(mut self, now: Moment) -> Result<(), StoreError> {
        if self.head.opened.is_some() {
            self.rotate()?;
        }
        let mut done = Maintenance::default();
        while !self.pending.is_empty() {
            self.work(now, &mut done)?;
        }
        self.remove_replaced()?;
        self.head.sync()
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
            || self.head.appended() >= self.settings.head_bytes
            || self.head.batches >= MOST_BATCHES
    }

    fn rotate(&mut self) -> Result<(), StoreError> {
        self.head.sync()?;
        let sequence = self.head.sequence.saturating_add(1);
        let head = Head::create(&self.dir, sequence, &self.registry)?;
        let full = std::mem::replace(&mut self.head, head);
        self.pending.push(full.sequence);
        // Only now: in the head before, the numbers of those that are forgotten still stand for them.
        self.registry.prune();
        Ok(())
    }

    /// Does one piece of work.
    fn work(&mut self, now: Moment, done: &mut Maintenance) -> Result<(), StoreError> {
        if let Some(sequence) = self.pending.first().copied() {
            self.seal_or_set_aside(sequence, now.boot, done)?;
            self.pending.remove(0);
            done.more = true;
            return Ok(());
        }
        let opened = self.head.opened.map(|opened| opened.wall);
        let skipped = self.failing.skipped(now.boot);
        let due = self.catalog.due(&self.settings, now.wall, opened, skipped);
        let (name, merged) = match due {
            Some(Due::Samples(DueMerge { inputs, tiers })) => {
                (whole(&inputs), merge_raw(&self.dir, &inputs, &tiers))
            }
            Some(Due::Rollups(tier, DueMerge { inputs, .. })) => {
                (whole(&inputs), merge_rollups(&self.dir, &inputs, tier))
            }
            None => return Ok(()),
        };
        done.more = true;
        match merged {
            Ok(merged) => {
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
                let (catalog, replaced) = reload(&self.dir)?;
                self.catalog = catalog;
                self.replaced.extend(replaced);
                Err(error)
            }
        }
    }

    /// A head that the disk does not give back, however often it is asked, does not hold up those behind it.
    fn seal_or_set_aside(
        &mut self,
        sequence: u64,
        now: BootTime,
        done: &mut Maintenance,
    ) -> Result<(), StoreError> {
        let sealed = SegmentName {
            tier: Resolution::Raw,
            first: sequence,
            last: sequence,
        };
        let name = head_name(sequence);
        match self.seal(sequence, done) {
            Err(error) if error.is_unreadable() && error.is_of(&self.dir.join(&name)) => {
                self.failing.note(sealed, now);
                if !self.failing.skipped(now).contains(&sealed) {
                    return Err(error);
                }
                self.failing.forget(sealed);
                self.put_aside(name, done)
            }
            outcome => {
                self.failing.forget(sealed);
                outcome
            }
        }
    }

    fn seal(&mut self, sequence: u64, done: &mut Maintenance) -> Result<(), StoreError> {
        let name = head_name(sequence);
        let sealed = seal(&self.dir, sequence)?;
        if sealed.lost > 0 {
            done.lost.push((name.clone(), sealed.lost));
        }
        if let Some(footer) = sealed.footer {
            done.written.push(footer.name.to_string());
            self.catalog.insert(footer);
        }
        self.replaced.push(name);
        Ok(())
    }

    fn take(&mut self, merged: Merged, done: &mut Maintenance) {
        done.lost.extend(merged.lost);
        for footer in merged.footers {
            done.written.push(footer.name.to_string());
            let replaced = self.catalog.insert(footer).into_iter();
            self.replaced.extend(replaced.map(|name| name.to_string()));
        }
    }

    /// Removes what a newer file replaces; what cannot be removed now is tried again.
    fn remove_replaced(&mut self) -> Result<(), StoreError> {
        while let Some(name) = self.replaced.last() {
            self.remove(name)?;
            self.replaced.pop();
        }
        Ok(())
    }

    /// The segment that the error says is damaged; it may also be about a file that was just being written.
    fn damaged_input(&self, error: &StoreError) -> Option<SegmentName> {
        match error {
            StoreError::Damaged { path, .. } => {
                self.catalog.find(&path.file_name()?.to_string_lossy())
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
        self.catalog.remove(segment);
        Ok(())
    }

    fn put_aside(&mut self, name: String, done: &mut Maintenance) -> Result<(), StoreError> {
        set_aside(&self.dir, &name)?;
        done.set_aside.push(name);
        self.asides = asides(&self.dir)?;
        Ok(())
    }

    /// Removes what is too old, where the clock can be believed, and then what is too much; what was set aside goes
    /// first.
    fn forget(&mut self, now: Moment, done: &mut Maintenance) -> Result<(), StoreError> {
        let retention = self.settings.retention;
        if self.clock.trusts(now, self.catalog.newest()) {
            let oldest = now.wall.before(retention.raw);
            while let Some(aside) = self.asides.first()
                && aside.modified < oldest
            {
                self.expire_aside(done)?;
            }
            let too_old = self.catalog.too_old(&self.settings, now.wall);
            self.expire(too_old, done)?;
        }
        let aside = |asides: &[Aside]| asides.iter().map(|aside| aside.bytes).sum::<u64>();
        while !self.asides.is_empty()
            && self.catalog.bytes().saturating_add(aside(&self.asides)) > retention.bytes
        {
            self.expire_aside(done)?;
        }
        let too_much = self.catalog.too_much(retention.bytes);
        self.expire(too_much, done)
    }

    fn expire_aside(&mut self, done: &mut Maintenance) -> Result<(), StoreError> {
        if let Some(aside) = self.asides.first() {
            self.remove(&aside.name)?;
            done.expired.push(self.asides.remove(0).name);
        }
        Ok(())
    }

    fn expire(
        &mut self,
        names: Vec<SegmentName>,
        done: &mut Maintenance,
    ) -> Result<(), StoreError> {
        for name in names {
            self.remove(&name.to_string())?;
            self.catalog.remove(name);
            done.expired.push(name.to_string());
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        match disk::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source)) {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }
}

/// A value with a quality that vouches for it, or the reason why there is none.
fn vouched(value: Option<Value>, quality: Quality) -> (Option<Value>, Quality) {
    match (value, quality) {
        (_, Quality::Absent(_)) => (None, quality),
        (None, _) => (None, Quality::Absent(FailureReason::Missing)),
        (Some(value), _) if !value.is_finite() => (None, Quality::Absent(FailureReason::Malformed)),
        _ => (value, quality),
    }
}

const fn too_large(what: &'static str, size: usize) -> StoreError {
    StoreError::TooLarge {
        what,
        size,
        most: frame::MOST_PAYLOAD,
    }
}
