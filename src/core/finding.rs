//! Findings and events: what is wrong, and since when.
//!
//! A collector's condition, a rule of the node and a detector all say what they found with the same type. The node alone
//! makes events of findings: it gives each an id, keeps it while the finding is stated, and resolves it.

use std::fmt;
use std::sync::Arc;

use crate::condition::Severity;
use crate::identity::NodeId;
use crate::reader::ReadError;
use crate::text::Untrusted;
use crate::time::{Timestamp, Window};

/// The longest cause code.
pub const MOST_CAUSE_BYTES: usize = 64;

/// The most numbers of evidence in one finding: what a person reads at a glance, and some.
pub const MOST_EVIDENCE: usize = 32;

/// What somebody found to be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The cause code, see [`is_cause`].
    pub cause: String,
    /// How much it matters.
    pub severity: Severity,
    /// Which component, as facts name it: `bmc`, `gpu/0`, `disk/nvme0n1`.
    pub component: Untrusted,
    /// Who says so: a collector, the node, a detector.
    pub source: String,
    /// What was seen, one sentence with numbers.
    pub detail: Untrusted,
    /// When it was first stated: the onset.
    pub first_seen: Timestamp,
    /// When it was last stated.
    pub last_seen: Timestamp,
    /// The numbers behind it, at most [`MOST_EVIDENCE`].
    pub evidence: Vec<Evidence>,
    /// What a person does next; empty where nobody knows.
    pub next_step: String,
}

/// One number behind a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What it is, lower case: `silent_for`, `expected`, `observed`.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its UCUM unit.
    pub unit: String,
}

/// Whether a text is a cause code: `subject.fault`, two or more words of lower-case letters, digits and `_`, joined by
/// dots, at most [`MOST_CAUSE_BYTES`].
#[must_use]
pub fn is_cause(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.len() <= MOST_CAUSE_BYTES && text.contains('.') && text.split('.').all(is_word)
}

/// Subjects whose every fault is one of the collection itself.
const COLLECTION_SUBJECTS: &[&str] = &["collector", "probe", "store"];

/// Faults of devices that cost telemetry.
const COLLECTION_CAUSES: &[&str] = &["bmc.unresponsive", "gpu.driver_wedged", "gpu.lost"];

/// Whether a cause is about the collection itself: what explains that telemetry is missing.
#[must_use]
pub fn is_about_collection(cause: &str) -> bool {
    let subject = cause.split('.').next().unwrap_or_default();
    COLLECTION_SUBJECTS.contains(&subject) || COLLECTION_CAUSES.contains(&cause)
}

/// The id of an event: the same for the same source, cause, node, component and onset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// From the bytes of the UUID that the node made.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses the usual hyphenated form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        NodeId::parse(text).map(|id| Self(id.bytes()))
    }
}

/// The hyphenated form of the UUID, lower case.
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NodeId::from_bytes(self.0).fmt(f)
    }
}

/// A finding with an id and a life. What comes again after it was resolved is another event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The node that it is about.
    pub node: NodeId,
    /// What was found, as it was last stated.
    pub finding: Finding,
    /// When it was over; `None` while it is open.
    pub resolved: Option<Timestamp>,
}

/// What is open now.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenEvents {
    /// When the node wrote this.
    pub written: Timestamp,
    /// The worst first, of one severity the newest first.
    pub events: Vec<Event>,
}

/// What was resolved in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResolvedEvents {
    /// The newest first.
    pub events: Vec<Event>,
    /// There are more, or may be: older ones were not looked at.
    pub more: bool,
    /// Something of the history is damaged; this is made from the rest.
    pub damaged: bool,
}

/// Reads events. Implementations are shared between threads and never lock the writer out.
pub trait FindingReader: Send + Sync + fmt::Debug {
    /// What is open now.
    ///
    /// # Errors
    /// [`ReadError`] where the node has not written anything yet or it cannot be read.
    fn open(&self) -> Result<Arc<OpenEvents>, ReadError>;

    /// What was resolved in the window, at most `most`.
    ///
    /// # Errors
    /// [`ReadError`] where the history cannot be read.
    fn resolved(&self, window: Window, most: usize) -> Result<ResolvedEvents, ReadError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_a_subject_and_a_fault() {
        for good in ["bmc.unresponsive", "gpu.driver_wedged", "a.b2.c"] {
            assert!(is_cause(good), "{good}");
        }
        let long = format!("a.{}", "b".repeat(MOST_CAUSE_BYTES));
        for bad in [
            "", "bmc", "bmc.", ".lost", "Bmc.lost", "a b.c", "a..b", "a.1", "a.\u{1b}", &long,
        ] {
            assert!(!is_cause(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_costs_telemetry_is_about_collection() {
        for cause in [
            "collector.stalled",
            "probe.silent",
            "bmc.unresponsive",
            "gpu.lost",
        ] {
            assert!(is_about_collection(cause), "{cause}");
        }
        for cause in [
            "gpu.thermal",
            "bmc.clock_wrong",
            "collectors.x",
            "probe_x.y",
            "psu.lost",
        ] {
            assert!(!is_about_collection(cause), "{cause}");
        }
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = EventId::from_bytes([0xab; 16]);
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        assert_eq!(EventId::parse("ab"), None);
    }
}
