//! Records for the audit log.

use glasshouse_core::access::Principal;
use glasshouse_core::audit::DecisionRecord;
use glasshouse_core::text::clean;
use glasshouse_core::time::Timestamp;
use serde_json::{Map, Value};

use super::node::ThisNode;

/// The most bytes of arguments in a record; every tool's arguments together stay below it.
const MOST_ARGUMENT_BYTES: usize = 2048;

/// A record before it is known how it ends.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) decision: String,
    pub(crate) rows: u64,
    pub(crate) policies: Vec<String>,
    record: DecisionRecord,
}

impl Draft {
    /// For a method of the protocol.
    pub(crate) fn method(
        principal: &Principal,
        action: &str,
        decision: &str,
        at: Timestamp,
    ) -> Self {
        Self {
            decision: decision.to_owned(),
            rows: 0,
            policies: Vec::new(),
            record: DecisionRecord {
                decision: decision.to_owned(),
                at,
                subject: principal.subject.clone(),
                client: principal.client.clone(),
                issuer: principal.issuer.clone(),
                token_id: principal.token_id.clone(),
                task: principal.task.clone().unwrap_or_default(),
                action: clean(action),
                node: String::new(),
                arguments: String::new(),
                allowed: false,
                reason: String::new(),
                policies: Vec::new(),
                rows: 0,
            },
        }
    }

    /// For a tool call.
    pub(crate) fn call(
        principal: &Principal,
        tool: &str,
        arguments: Option<&Map<String, Value>>,
        node: Option<&ThisNode>,
        decision: &str,
        at: Timestamp,
    ) -> Self {
        let mut draft = Self::method(principal, tool, decision, at);
        draft.record.node = node.map(|node| node.id.to_string()).unwrap_or_default();
        draft.record.arguments = arguments.map(bounded).unwrap_or_default();
        draft
    }

    /// It was allowed.
    pub(crate) fn allowed(&self) -> DecisionRecord {
        DecisionRecord {
            allowed: true,
            rows: self.rows,
            policies: self.policies.clone(),
            ..self.record.clone()
        }
    }

    /// It was not, and this word says why.
    pub(crate) fn refused(&self, reason: &str) -> DecisionRecord {
        DecisionRecord {
            reason: reason.to_owned(),
            ..self.record.clone()
        }
    }
}

/// JSON with its keys in order, cut at a character.
fn bounded(arguments: &Map<String, Value>) -> String {
    let sorted: std::collections::BTreeMap<&String, &Value> = arguments.iter().collect();
    let mut text = serde_json::to_string(&sorted).unwrap_or_default();
    text.truncate(text.floor_char_boundary(MOST_ARGUMENT_BYTES));
    text
}
