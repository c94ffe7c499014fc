//! Log entries: what the kernel and management controllers wrote down themselves.

use crate::condition::Severity;
use crate::text::Untrusted;
use crate::time::Timestamp;

/// The most raw bytes of one entry: a SEL record has 16.
pub const MOST_RAW_BYTES: usize = 64;

/// Who wrote a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogSource {
    /// The system event log of a BMC, by IPMI.
    Sel,
    /// A log service of a BMC, by Redfish.
    Redfish,
    /// The kernel, `/dev/kmsg`.
    Kernel,
    /// The driver of a GPU.
    Gpu,
}

impl LogSource {
    /// Every source, in the order of their stored numbers.
    pub const ALL: &[Self] = &[Self::Sel, Self::Redfish, Self::Kernel, Self::Gpu];

    /// The word for it in answers and files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sel => "sel",
            Self::Redfish => "redfish",
            Self::Kernel => "kernel",
            Self::Gpu => "gpu",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|source| source.word() == word)
    }
}

/// One entry of a log. A collector may say an entry again after a restart; who keeps entries knows it by source,
/// origin, id and raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Who wrote it.
    pub source: LogSource,
    /// Which log of that source: `bmc`, `bmc/rack7-3/Sel`, `kmsg`.
    pub origin: Untrusted,
    /// Its id in that log: SEL record id, Redfish `Id`, boot id and sequence of a kernel message.
    pub id: Untrusted,
    /// When the writer says that it happened, by its own clock; `None` where it does not know.
    pub at: Option<Timestamp>,
    /// How much the writer, or the decoder, says that it matters.
    pub severity: Severity,
    /// What it means, from a closed set: `08h/03` (sensor type / offset), a Redfish `MessageId`, `xid.79`, `hung_task`.
    pub code: Untrusted,
    /// Which component: sensor, drive, GPU; empty where the entry does not say.
    pub component: Untrusted,
    /// What it says, decoded.
    pub text: Untrusted,
    /// The record as it was read, at most [`MOST_RAW_BYTES`]; empty where the text is all there is.
    pub raw: Vec<u8>,
}
