//! Facts: what a machine is, rather than how it does. Parts, firmware, drivers, kernel.

use crate::text::Untrusted;

/// What one fact means. Collectors declare their facts beside their metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct FactDefinition {
    /// OpenTelemetry resource attribute where one exists (`host.cpu.model.name`), else in its style.
    pub key: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Where it is read.
    pub source: &'static str,
}

/// One fact about one component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// The kind of part and its name: `host`, `cpu/0`, `disk/nvme0n1`, `network/eth0`, `kernel`.
    pub component: Untrusted,
    /// The key of the definition.
    pub key: String,
    /// What the machine says.
    pub value: Untrusted,
}
