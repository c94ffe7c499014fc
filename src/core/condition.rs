//! Conditions: what a collector knows to be wrong right now, not with a number but with its source.

use crate::text::Untrusted;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look at it within days.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// Every severity, in the order of their stored numbers.
    pub const ALL: &[Self] = &[Self::Info, Self::Warning, Self::Critical];

    /// The word for it in answers and files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|severity| severity.word() == word)
    }
}

/// Something that is wrong as long as a collector says so: each run states all that hold, and one that is not stated
/// any more is over. `node` makes events of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The cause code: lower case, `subject.fault`, e.g. `bmc.unresponsive`, `gpu.driver_wedged`.
    pub cause: String,
    /// How much it matters.
    pub severity: Severity,
    /// Which component, as facts name it: `bmc`, `gpu/0`, `disk/nvme0n1`.
    pub component: Untrusted,
    /// What was seen, one sentence with numbers.
    pub detail: Untrusted,
}

/// Every cause code that a collector, the probe or the node states, in order. Whoever reads events can meet these and no
/// others; the node has a next step for each, and the checks of the collectors refuse a code that is not here.
pub const CAUSES: &[&str] = &[
    "bmc.login_refused",
    "bmc.tls_unverified",
    "bmc.unresponsive",
    "collector.stalled",
    "cooling.leak",
    "gpu.driver_mismatch",
    "gpu.driver_wedged",
    "gpu.lost",
    "gpu.reset_required",
    "kernel.tasks_stuck",
    "probe.silent",
    "remote_write.behind",
    "remote_write.refused",
    "remote_write.stopped",
    "store.full",
    "store.series_refused",
];

/// What the driver of a GPU says of it.
const OF_GPUS: &[&str] = &[
    "gpu.driver_mismatch",
    "gpu.driver_wedged",
    "gpu.lost",
    "gpu.reset_required",
];

/// The causes of [`CAUSES`] that each collector states of its source. Beside them, whoever watches a collector states that
/// it gives no answer: [`hang_cause`](crate::collector::CollectorSpec::hang_cause) or `collector.stalled`.
pub const STATED_BY: &[(&str, &[&str])] = &[
    ("ipmi", &["bmc.unresponsive"]),
    ("ipmi_lan", &["bmc.unresponsive"]),
    ("nvidia_gpu", OF_GPUS),
    ("nvidia_gpu_health", OF_GPUS),
    ("processes", &["kernel.tasks_stuck"]),
    (
        "redfish",
        &[
            "bmc.login_refused",
            "bmc.tls_unverified",
            "bmc.unresponsive",
            "cooling.leak",
        ],
    ),
];

/// The causes that a collector states, see [`STATED_BY`].
#[must_use]
pub fn causes_of(collector: &str) -> &'static [&'static str] {
    let known = STATED_BY.iter().find(|(name, _)| *name == collector);
    known.map_or(&[], |(_, causes)| causes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::is_cause;

    #[test]
    fn every_cause_is_stated_by_somebody_and_nothing_else_is() {
        let mut stated: Vec<&str> = STATED_BY
            .iter()
            .flat_map(|(_, causes)| causes.iter().copied())
            .chain(["collector.stalled", "probe.silent", "remote_write.behind"])
            .chain(["remote_write.refused", "remote_write.stopped"])
            .chain(["store.full", "store.series_refused"])
            .collect();
        stated.sort_unstable();
        stated.dedup();
        assert_eq!(stated, CAUSES);
    }

    #[test]
    fn every_cause_is_a_code_and_stands_once_in_order() {
        assert!(CAUSES.is_sorted_by(|one, next| one < next));
        for cause in CAUSES {
            assert!(is_cause(cause), "{cause}");
        }
    }
}
