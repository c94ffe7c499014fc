//! Proof that a request was let in, and the record of a call that then is never judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use glasshouse_core::access::Principal;
use glasshouse_core::audit::AuditSink;
use glasshouse_core::time::Clock;

use super::record::Draft;
use crate::callers::Caller;
use crate::world::FaceWorld;

/// Proof that [`super::Gate::admit`] let a request in. Nothing else can make one.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(super) principal: Principal,
    pub(super) method: String,
    pub(super) tool: Option<String>,
    /// Of a tool call, whose record is written once it is judged.
    pub(super) open: Option<Arc<Unjudged>>,
}

impl Admitted {
    /// The method that was let in.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// Who was let in.
    pub(crate) fn caller(&self) -> Caller {
        Caller::of(&self.principal)
    }

    /// The call has its record.
    pub(super) fn was_judged(&self) {
        if let Some(open) = &self.open {
            open.judged.store(true, Ordering::Release);
        }
    }
}

/// A tool call that was let in and has no record yet. Where the protocol library cannot read it, or the caller leaves
/// before its turn, this writes one: everything that was authenticated is in the log.
#[derive(Debug)]
pub(super) struct Unjudged {
    audit: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    draft: Draft,
    judged: AtomicBool,
}

impl Unjudged {
    pub(super) fn new(world: &FaceWorld, draft: Draft) -> Arc<Self> {
        Arc::new(Self {
            audit: Arc::clone(&world.audit),
            clock: Arc::clone(&world.clock),
            draft,
            judged: AtomicBool::new(false),
        })
    }
}

impl Drop for Unjudged {
    fn drop(&mut self) {
        if self.judged.load(Ordering::Acquire) {
            return;
        }
        let mut record = self.draft.refused("not_called");
        record.at = self.clock.now();
        let audit = Arc::clone(&self.audit);
        let write = move || {
            if audit.decided(&record).is_err() {
                tracing::error!(
                    decision = record.decision,
                    "A call that was not made has no record: the audit log cannot take it."
                );
            }
        };
        // writing may wait for a disk, and this may be a thread that must not
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }
}
