//! What collectors say beside samples, and where it is kept: events and log entries.

use std::time::{Duration, Instant};

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::finding::Evidence;
use glasshouse_core::identity::NodeId;
use glasshouse_core::log::{LogEntry, source_of};
use glasshouse_core::reader::CollectorStatus;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Moment;
use glasshouse_store::findings::{Durability, FindingWriter};
use glasshouse_store::logs::LogWriter;
use glasshouse_store::{Keep, StoreError};
use tracing::warn;

use crate::chain::Chain;
use crate::health::Health;
use crate::life::{Life, Stated};
use crate::logs::log_expired;
use crate::settings::NodeError;
use crate::state::State;

/// Keeps events and log entries.
#[derive(Debug)]
pub(crate) struct Notices {
    life: Life,
    events: FindingWriter,
    entries: LogWriter,
    history_writes: Health,
    list_writes: Health,
    entry_writes: Health,
    upkeep: Health,
    listed: Option<Instant>,
    entries_refused: u64,
    /// What is wrong with the store.
    of_store: Vec<Stated>,
}

impl Notices {
    /// Opens what is kept in the state folder.
    pub(crate) fn open(
        state: &State,
        node: NodeId,
        grace: Duration,
        keep: Keep,
    ) -> Result<Self, NodeError> {
        let failed = |path: &std::path::Path| {
            let path = path.to_owned();
            |source: StoreError| NodeError::Store { path, source }
        };
        let opened = FindingWriter::open(&state.findings, node);
        let (events, found) = opened.map_err(failed(&state.findings))?;
        if let Some(trouble) = found.trouble {
            warn!(
                error = %Chain(&trouble),
                "The list of open events cannot be used; it is made anew from the history."
            );
        }
        let entries = LogWriter::open(&state.logs, keep).map_err(failed(&state.logs))?;
        Ok(Self {
            life: Life::new(node, grace, found.open),
            events,
            entries,
            history_writes: Health::new("The history of events can be written"),
            list_writes: Health::new("The list of open events can be written"),
            entry_writes: Health::new("Log entries can be written"),
            upkeep: Health::new("Events and log entries can be looked after"),
            listed: None,
            entries_refused: 0,
            of_store: Vec::new(),
        })
    }

    /// Conditions that were not taken since the start.
    pub(crate) const fn conditions_refused(&self) -> u64 {
        self.life.refused()
    }

    /// Log entries that were not kept since the start.
    pub(crate) const fn entries_refused(&self) -> u64 {
        self.entries_refused
    }

    /// A run of the probe came in.
    pub(crate) const fn enter(&mut self, run: u64, now: Moment) {
        self.life.enter(run, now);
    }

    /// All that one collector says to be wrong.
    pub(crate) fn conditions(
        &mut self,
        collector: &str,
        conditions: &[Condition],
        statuses: &[CollectorStatus],
        now: Moment,
    ) {
        self.life.conditions(collector, conditions, statuses, now);
    }

    /// Entries that a collector read; those that are known are dropped, and so are those of a log that it does not read.
    pub(crate) fn log(&mut self, collector: &str, entries: &[LogEntry], now: Moment) {
        let source = source_of(collector);
        let is_own = entries.iter().all(|entry| source == Some(entry.source));
        let taken = is_own && {
            let appended = self.entries.append(collector, entries, now);
            self.entry_writes.told(appended).is_some()
        };
        if !taken {
            let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            self.entries_refused = self.entries_refused.saturating_add(count);
        }
    }

    /// What the node itself finds wrong: nothing came from the probe for this long, and what its own parts say.
    pub(crate) fn own(&mut self, silent_for: Option<Duration>, stated: Vec<Stated>, now: Moment) {
        let is_well = silent_for.is_none() && stated.is_empty() && self.of_store.is_empty();
        if is_well && self.life.is_calm() {
            return;
        }
        let silent = silent_for.map(|silent_for| Stated {
            cause: "probe.silent".to_owned(),
            severity: Severity::Critical,
            component: Untrusted::new("probe"),
            detail: Untrusted::new("nothing came from the probe; no series is fresh"),
            evidence: vec![Evidence {
                name: "silent_for".to_owned(),
                value: silent_for.as_secs_f64().floor(),
                unit: "s".to_owned(),
            }],
        });
        let of_store = self.of_store.iter().cloned();
        let stated = silent.into_iter().chain(stated).chain(of_store);
        self.life.own(stated, now);
    }

    /// What is wrong with the store, in place of what was before; [`Self::own`] states it.
    pub(crate) fn store_says(&mut self, stated: Vec<Stated>) {
        self.of_store = stated;
    }

    /// Writes what has changed, and looks after the files. Call it every second.
    pub(crate) fn maintain(
        &mut self,
        statuses: &[CollectorStatus],
        now: Moment,
        at_least: Duration,
    ) {
        self.life.settle(statuses, now);
        self.write(now, at_least);
        for expired in [self.events.maintain(now), self.entries.maintain(now)] {
            if let Some(files) = self.upkeep.told(expired) {
                log_expired(&files);
            }
        }
    }

    /// History first: a start that finds more in it than in the list applies the rest.
    fn write(&mut self, now: Moment, at_least: Duration) {
        let changes = self.life.changes();
        if !changes.is_empty() {
            let appended = self.events.append(changes, now.wall);
            if self.history_writes.told(appended).is_some() {
                self.life.noted();
            }
        }
        let is_old = self.listed.is_none_or(|at| at.elapsed() >= at_least);
        let durability = if self.life.take_changed() || self.listed.is_none() {
            Durability::Synced
        } else if is_old && !self.life.is_calm() {
            // when it was last seen
            Durability::Written
        } else {
            return;
        };
        let listed = self.events.replace(self.life.open(), now.wall, durability);
        // where it could not be written it has still changed
        self.listed = self.list_writes.told(listed).map(|()| Instant::now());
    }

    /// Writes what is left.
    pub(crate) fn close(&mut self, now: Moment) {
        self.write(now, Duration::ZERO);
        let synced = self.entries.sync();
        self.upkeep.told(synced);
    }
}
