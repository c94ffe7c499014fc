//! What becomes of a frame.

use std::time::{Duration, Instant};

use glasshouse_core::condition::Condition;
use glasshouse_core::reader::LinkStatus;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment};
use glasshouse_store::{SeriesRef, Store, StoreError};
use glasshouse_wire::{BatchDecoder, BatchView, Frame, Message, ReaderCounts, SeriesDefinition};
use tracing::{info, warn};

use crate::chain::Chain;
use crate::health::Health;
use crate::inventory::Sheet;
use crate::notices::Notices;
use crate::own::{OWN_COLLECTOR, OWN_RUN, Own, Totals};
use crate::refusals::Refusals;
use crate::runs::{Run, Runs};

/// How often the node reports itself, as its series say.
const REPORT: Duration = Duration::from_secs(10);

/// Puts what frames say where it belongs.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) store: Store,
    pub(crate) sheet: Sheet,
    pub(crate) notices: Notices,
    pub(crate) link: LinkStatus,
    pub(crate) losses: Losses,
    pub(crate) runs: Runs,
    pub(crate) refusals: Refusals,
    appends: Writes,
    defines: Writes,
    /// Kept between batches, as the rows are.
    decoder: BatchDecoder,
    samples: Vec<(SeriesRef, Option<Value>, Quality)>,
}

/// What came and could not be kept, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Batches that the store did not take.
    pub(crate) batches: u64,
    /// Samples of series that were never defined here.
    pub(crate) unknown: u64,
    /// Definitions that the store did not take, beyond the most series, or not the probe's to make.
    pub(crate) definitions: u64,
    /// Messages that make no sense, or that only a newer version understands.
    pub(crate) messages: u64,
    /// Whole frames of another version.
    pub(crate) unsupported: u64,
    /// Blocks of the store that were found damaged.
    pub(crate) blocks: u64,
    /// Files of the store that were set aside.
    pub(crate) files: u64,
}

impl Losses {
    /// Damage that was found in the store: blocks by file, and files that were set aside.
    pub(crate) fn damage(&mut self, blocks: &[(String, u64)], files: &[String]) {
        for (_, blocks) in blocks {
            self.blocks = self.blocks.saturating_add(*blocks);
        }
        let files = u64::try_from(files.len()).unwrap_or(u64::MAX);
        self.files = self.files.saturating_add(files);
    }

    fn message(&mut self, why: &dyn std::fmt::Display) {
        if self.messages == 0 {
            warn!(error = %why, "A message was not understood; more of them are only counted.");
        }
        self.messages = self.messages.saturating_add(1);
    }
}

/// How writing to the store goes: the disk may come back, what the store refuses it will always refuse.
#[derive(Debug)]
struct Writes {
    disk: Health,
    /// Reasons of refusals that have been logged.
    logged: Vec<&'static str>,
}

impl Writes {
    const fn new(what: &'static str) -> Self {
        Self {
            disk: Health::new(what),
            logged: Vec::new(),
        }
    }

    /// What was given, where the store took it. A refusal says nothing about the disk, and only the first for each
    /// reason is logged.
    fn take<T>(
        &mut self,
        result: Result<T, StoreError>,
        refusals: &mut Refusals,
        now: BootTime,
    ) -> Option<T> {
        if let Err(error) = &result {
            refusals.note(error, now);
        }
        match result {
            Ok(_) | Err(StoreError::Io { .. }) => self.disk.told(result),
            // each collector's first one is logged
            Err(StoreError::TooManySeries { .. }) => None,
            Err(error) => {
                if !self.logged.contains(&error.word()) {
                    self.logged.push(error.word());
                    warn!(error = %Chain(&error), "The store refused something; more refusals for this reason are only counted.");
                }
                None
            }
        }
    }
}

impl Ingest {
    pub(crate) fn new(store: Store, sheet: Sheet, notices: Notices) -> Self {
        Self {
            store,
            sheet,
            notices,
            link: LinkStatus::default(),
            losses: Losses::default(),
            runs: Runs::default(),
            refusals: Refusals::new(REPORT),
            appends: Writes::new("The store takes batches"),
            defines: Writes::new("The store takes definitions"),
            decoder: BatchDecoder::default(),
            samples: Vec::new(),
        }
    }

    /// Takes a frame; when this returns, what it says is stored, or counted as lost.
    pub(crate) fn take(&mut self, frame: &Frame<'_>, now: Moment) {
        self.link.frames = self.link.frames.saturating_add(1);
        self.link.last_frame = now.wall;
        if frame.run == OWN_RUN {
            self.losses
                .message(&"it says that it is of the node's own run");
            return;
        }
        let Some((run, is_new)) = self.runs.enter(frame.run, &self.store, now.boot) else {
            return;
        };
        if is_new {
            info!(
                run = format_args!("{:016x}", frame.run),
                known_series = run.len(),
                "A run of the probe came in."
            );
        }
        if self.link.run != frame.run {
            self.link.run = frame.run;
            self.sheet.touch();
            self.notices.enter(frame.run, now);
        }
        let lost = run
            .expected
            .map_or(0, |expected| frame.sequence.saturating_sub(expected));
        if lost > 0 {
            self.link.lost = self.link.lost.saturating_add(lost);
            self.sheet.touch();
        }
        run.expected = Some(frame.sequence.saturating_add(1));
        if self.take_batch(frame, now) {
            return;
        }
        match frame.message() {
            Ok(Message::Define(definitions)) => self.define(&definitions, now),
            Ok(Message::Batch(batch)) => {
                let view = BatchView {
                    collector: &batch.collector,
                    at: batch.at,
                    samples: &batch.samples,
                };
                self.append(&view, now);
            }
            Ok(Message::Facts { collector, facts }) => self.sheet.facts(collector, facts),
            Ok(Message::Status(statuses)) => self.sheet.statuses(statuses),
            Ok(Message::Heartbeat(heartbeat)) => {
                if self.link.dropped != heartbeat.batches_dropped {
                    self.link.dropped = heartbeat.batches_dropped;
                    self.sheet.touch();
                }
            }
            Ok(Message::Conditions {
                collector,
                conditions,
            }) => self.conditions(&collector, &conditions, now),
            Ok(Message::Log { collector, entries }) => self.notices.log(&collector, &entries, now),
            Err(error) => self.losses.message(&Chain(&error)),
        }
    }

    /// Takes a frame that is one batch, as nearly all are; `false` where it is something else.
    fn take_batch(&mut self, frame: &Frame<'_>, now: Moment) -> bool {
        let mut decoder = std::mem::take(&mut self.decoder);
        let is_taken = match decoder.decode(frame.payload) {
            Ok(Some(batch)) => {
                self.append(&batch, now);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.losses.message(&Chain(&error));
                true
            }
        };
        self.decoder = decoder;
        is_taken
    }

    fn conditions(&mut self, collector: &str, conditions: &[Condition], now: Moment) {
        if collector == OWN_COLLECTOR {
            self.losses
                .message(&"it says what the node alone can know to be wrong");
            return;
        }
        let statuses = self.sheet.of_the_probe();
        self.notices
            .conditions(collector, conditions, statuses, now);
    }

    /// Writes events that have changed, and looks after them and the log entries.
    pub(crate) fn maintain_notices(&mut self, now: Moment, at_least: Duration) {
        let statuses = self.sheet.of_the_probe();
        self.notices.maintain(statuses, now, at_least);
    }

    /// Stores what the node has counted, and says so in the inventory.
    pub(crate) fn report(&mut self, own: &mut Own, maintenance_failures: u64, at: Moment) {
        let started = Instant::now();
        let totals = self.totals(maintenance_failures);
        self.samples.clear();
        // a copy, because what is refused here is counted in it
        let of_store: Vec<_> = self
            .refusals
            .series(self.store.usage())
            .map(|(number, info, value)| (number, info.clone(), value))
            .collect();
        let of_store = of_store
            .iter()
            .map(|(number, info, value)| (*number, info, *value));
        for (number, info, value) in own.series(&totals).chain(of_store) {
            // known already, but for the first time and after two new runs of the probe
            let defined = self.store.define(OWN_RUN, number, info);
            match self.defines.take(defined, &mut self.refusals, at.boot) {
                Some(series) => {
                    let sample = (series, Some(value), Quality::Good);
                    self.samples.push(sample);
                }
                None => self.losses.definitions = self.losses.definitions.saturating_add(1),
            }
        }
        if !self.samples.is_empty() {
            let result = self.store.append(&glasshouse_store::Batch {
                collector: OWN_COLLECTOR,
                at,
                samples: &self.samples,
            });
            if self
                .appends
                .take(result, &mut self.refusals, at.boot)
                .is_none()
            {
                self.losses.batches = self.losses.batches.saturating_add(1);
            }
        }
        let stated = self.refusals.stated(self.store.usage(), at.boot);
        self.notices.store_says(stated);
        let totals = self.totals(maintenance_failures);
        self.sheet
            .own(own.status(&totals, at.wall, started.elapsed()));
    }

    const fn totals(&self, maintenance_failures: u64) -> Totals {
        let (link, losses, notices) = (&self.link, &self.losses, &self.notices);
        Totals {
            frames: link.frames,
            frames_lost: link.lost,
            resyncs: link.resyncs,
            batches_refused: losses.batches,
            samples_unknown: losses.unknown,
            definitions_refused: losses.definitions,
            messages_unknown: losses.messages.saturating_add(losses.unsupported),
            maintenance_failures,
            blocks_lost: losses.blocks,
            files_set_aside: losses.files,
            conditions_refused: notices.conditions_refused(),
            log_entries_refused: notices.entries_refused(),
        }
    }

    /// Takes over what the reader of the frames has counted.
    pub(crate) fn count(&mut self, counts: ReaderCounts) {
        self.losses.unsupported = counts.unsupported;
        if self.link.resyncs != counts.resyncs {
            let skipped_bytes = counts.skipped;
            warn!(
                resyncs = counts.resyncs,
                skipped_bytes, "The link had bytes that are no frame."
            );
            self.link.resyncs = counts.resyncs;
            self.sheet.touch();
        }
    }

    fn define(&mut self, definitions: &[SeriesDefinition], now: Moment) {
        let id = self.link.run;
        let Some((run, _)) = self.runs.enter(id, &self.store, now.boot) else {
            return;
        };
        for definition in definitions {
            let number = definition.number;
            let known = run.find(number, now.boot);
            // the store forgets what had no samples for hours
            if known.is_some_and(|series| self.store.knows(series)) {
                continue;
            }
            let may = run.has_room() && definition.info.collector != OWN_COLLECTOR;
            let result = may.then(|| self.store.define(id, number, &definition.info));
            if matches!(result, Some(Err(StoreError::TooManySeries { .. }))) {
                run.refuse(number);
            }
            let refusals = &mut self.refusals;
            match result.and_then(|result| self.defines.take(result, refusals, now.boot)) {
                Some(series) => run.insert(number, series, now.boot),
                None => self.losses.definitions = self.losses.definitions.saturating_add(1),
            }
        }
    }

    fn append(&mut self, batch: &BatchView<'_>, now: Moment) {
        let id = self.link.run;
        let Some((run, _)) = self.runs.enter(id, &self.store, now.boot) else {
            return;
        };
        self.samples.clear();
        let mut refused = 0;
        for (number, value, quality) in batch.samples {
            let known = run.find(*number, now.boot);
            if let Some(series) = known.filter(|series| self.store.knows(*series)) {
                self.samples.push((series, *value, *quality));
            } else if run.is_refused(*number) {
                refused += 1;
            }
        }
        let more = u64::try_from(refused).unwrap_or(u64::MAX);
        self.refusals.samples = self.refusals.samples.saturating_add(more);
        let unknown = batch
            .samples
            .len()
            .saturating_sub(self.samples.len() + refused);
        if unknown > 0 {
            note_unknown(run, batch.collector, unknown);
            let unknown = u64::try_from(unknown).unwrap_or(u64::MAX);
            self.losses.unknown = self.losses.unknown.saturating_add(unknown);
        }
        if self.samples.is_empty() {
            return;
        }
        let result = self.store.append(&glasshouse_store::Batch {
            collector: batch.collector,
            at: batch.at,
            samples: &self.samples,
        });
        if matches!(result, Err(StoreError::UnknownSeries { .. })) {
            // the store has forgotten them; the probe will define them again
            for (number, ..) in batch.samples {
                run.remove(*number);
            }
        }
        if self
            .appends
            .take(result, &mut self.refusals, now.boot)
            .is_none()
        {
            self.losses.batches = self.losses.batches.saturating_add(1);
        }
    }
}

/// Logs the first of a run.
fn note_unknown(run: &mut Run, collector: &str, samples: usize) {
    if !run.unknown_logged {
        run.unknown_logged = true;
        warn!(
            collector,
            samples,
            "Samples of series that this node does not know are lost; the probe defines them again within a minute."
        );
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
