//! What became of the questions to the face, counted on their way to the audit log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use std::sync::Arc;

use glasshouse_audit::AuditLog;
use glasshouse_core::audit::{AuditSink, AuditUnavailable, DecisionRecord, OutcomeRecord};
use glasshouse_core::time::Timestamp;

/// Reasons are words of closed lists, some fifty in all; should a list ever not be closed, the rest counts as one.
const MOST_REASONS: usize = 128;
/// What the rest is called.
const OTHER: &str = "other";

/// Sums since the start.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    allowed: AtomicU64,
    denied: Mutex<BTreeMap<String, u64>>,
    refused: Mutex<BTreeMap<String, u64>>,
    failures: AtomicU64,
}

impl Decisions {
    /// Calls and methods that were allowed.
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Those that were denied to somebody who was known, by reason.
    pub(crate) fn denied(&self) -> BTreeMap<String, u64> {
        copy(&self.denied)
    }

    /// Requests that were refused before anybody was known, or that came too often, by reason.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        copy(&self.refused)
    }

    /// Records that the audit log did not take.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

fn copy(sums: &Mutex<BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    sums.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn add(sums: &Mutex<BTreeMap<String, u64>>, reason: &str) {
    let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sum) = sums.get_mut(reason) {
        *sum = sum.saturating_add(1);
        return;
    }
    let reason = if sums.len() < MOST_REASONS {
        reason
    } else {
        OTHER
    };
    let sum = sums.entry(reason.to_owned()).or_default();
    *sum = sum.saturating_add(1);
}

/// The audit log, with what passes counted.
#[derive(Debug)]
pub(crate) struct CountedAudit {
    log: AuditLog,
    decisions: Arc<Decisions>,
}

impl CountedAudit {
    /// Counts what goes to this log.
    pub(crate) const fn new(log: AuditLog, decisions: Arc<Decisions>) -> Self {
        Self { log, decisions }
    }

    fn counted(&self, written: Result<(), AuditUnavailable>) -> Result<(), AuditUnavailable> {
        if written.is_err() {
            self.decisions.failures.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

impl AuditSink for CountedAudit {
    fn decided(&self, record: &DecisionRecord) -> Result<(), AuditUnavailable> {
        self.counted(self.log.decided(record))?;
        // what could not be written is a deny, and counts as what it is: a failure
        if record.allowed {
            self.decisions.allowed.fetch_add(1, Ordering::Relaxed);
        } else {
            add(&self.decisions.denied, &record.reason);
        }
        Ok(())
    }

    fn ended(&self, record: &OutcomeRecord) -> Result<(), AuditUnavailable> {
        self.counted(self.log.ended(record))
    }

    fn refused(&self, at: Timestamp, reason: &'static str) {
        add(&self.decisions.refused, reason);
        self.log.refused(at, reason);
    }
}
