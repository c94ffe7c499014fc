//! Records and folders for the tests of this room.

use std::path::{Path, PathBuf};

use glasshouse_core::audit::{DecisionRecord, OutcomeRecord};
use glasshouse_core::time::Timestamp;

use crate::{AuditLog, AuditSettings, Checkpointer};

/// A state folder with its two folders.
pub(crate) struct State(pub(crate) tempfile::TempDir);

impl State {
    pub(crate) fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("audit")).unwrap();
        std::fs::create_dir(state.path().join("checkpoints")).unwrap();
        Self(state)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.path().join("audit")
    }

    pub(crate) fn open(&self, settings: AuditSettings) -> AuditLog {
        AuditLog::open(&self.audit(), settings).unwrap()
    }

    pub(crate) fn checkpointer(&self) -> Checkpointer {
        let key = self.path().join("checkpoint.key");
        Checkpointer::open(&self.audit(), &self.path().join("checkpoints"), &key).unwrap()
    }

    /// The files of the log in their order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let listed = crate::segments::list(&self.audit(), "audit").unwrap();
        listed.into_iter().map(|segment| segment.path).collect()
    }
}

/// Settings with small segments.
pub(crate) fn small_segments(segment_bytes: u64) -> AuditSettings {
    AuditSettings {
        segment_bytes,
        ..AuditSettings::default()
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_767_225_600 + second)
}

/// An allowed call.
pub(crate) fn decision(n: u64) -> DecisionRecord {
    DecisionRecord {
        decision: format!("d-{n:016x}"),
        at: at(i64::try_from(n).unwrap()),
        subject: "ada".to_owned(),
        client: "client".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        token_id: "token".to_owned(),
        task: "capacity-review".to_owned(),
        action: "query_series".to_owned(),
        node: "node".to_owned(),
        arguments: "{\"metric\":\"a\\nb\"}".to_owned(),
        allowed: true,
        reason: String::new(),
        policies: vec!["tasks/capacity-review:capacity-review".to_owned()],
        rows: 10,
    }
}

pub(crate) fn outcome(n: u64) -> OutcomeRecord {
    OutcomeRecord {
        decision: format!("d-{n:016x}"),
        at: at(i64::try_from(n).unwrap()),
        outcome: "answered".to_owned(),
        rows: 9,
        bytes: 1234,
        truncated: false,
    }
}
