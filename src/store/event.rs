//! An event as JSON, in the file of what is open and in the history.

use std::borrow::Cow;

use glasshouse_core::condition::Severity;
use glasshouse_core::finding::{Event, EventId, Evidence, Finding, MOST_EVIDENCE, is_cause};
use glasshouse_core::identity::NodeId;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventV1<'a> {
    id: String,
    node: String,
    cause: Cow<'a, str>,
    severity: Cow<'a, str>,
    component: Cow<'a, str>,
    source: Cow<'a, str>,
    detail: Cow<'a, str>,
    first_seen_ns: i64,
    last_seen_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_ns: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<EvidenceV1<'a>>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    next_step: Cow<'a, str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EvidenceV1<'a> {
    name: Cow<'a, str>,
    value: f64,
    unit: Cow<'a, str>,
}

impl<'a> EventV1<'a> {
    pub(crate) fn from_core(event: &'a Event) -> Self {
        let finding = &event.finding;
        // JSON has no infinities
        let evidence = finding
            .evidence
            .iter()
            .filter(|evidence| evidence.value.is_finite());
        Self {
            id: event.id.to_string(),
            node: event.node.to_string(),
            cause: finding.cause.as_str().into(),
            severity: finding.severity.word().into(),
            component: finding.component.raw().into(),
            source: finding.source.as_str().into(),
            detail: finding.detail.raw().into(),
            first_seen_ns: finding.first_seen.nanos(),
            last_seen_ns: finding.last_seen.nanos(),
            resolved_ns: event.resolved.map(Timestamp::nanos),
            evidence: evidence
                .take(MOST_EVIDENCE)
                .map(|evidence| EvidenceV1 {
                    name: evidence.name.as_str().into(),
                    value: evidence.value,
                    unit: evidence.unit.as_str().into(),
                })
                .collect(),
            next_step: finding.next_step.as_str().into(),
        }
    }

    /// `None` where it makes no sense.
    pub(crate) fn into_core(self) -> Option<Event> {
        let evidence = self.evidence.into_iter().map(|evidence| Evidence {
            name: evidence.name.into_owned(),
            value: evidence.value,
            unit: evidence.unit.into_owned(),
        });
        Some(Event {
            id: EventId::parse(&self.id)?,
            node: NodeId::parse(&self.node)?,
            finding: Finding {
                cause: is_cause(&self.cause).then(|| self.cause.into_owned())?,
                severity: Severity::parse(&self.severity)?,
                component: Untrusted::new(&self.component),
                source: self.source.into_owned(),
                detail: Untrusted::new(&self.detail),
                first_seen: Timestamp::from_nanos(self.first_seen_ns),
                last_seen: Timestamp::from_nanos(self.last_seen_ns),
                evidence: evidence.take(MOST_EVIDENCE).collect(),
                next_step: self.next_step.into_owned(),
            },
            resolved: self.resolved_ns.map(Timestamp::from_nanos),
        })
    }
}
