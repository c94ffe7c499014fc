//! Log entries: what the kernel and management controllers wrote down themselves.

use std::fmt;

use crate::condition::Severity;
use crate::reader::ReadError;
use crate::text::Untrusted;
use crate::time::{Timestamp, Window};

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

/// Which log each collector reads; one that is not here has none. What a worker or the probe says is held to it, so that
/// nobody who takes over the reader of one log writes entries of another.
pub const READ_BY: &[(&str, LogSource)] = &[
    ("ipmi", LogSource::Sel),
    ("ipmi_lan", LogSource::Sel),
    ("kernel_messages", LogSource::Kernel),
    ("nvidia_gpu", LogSource::Gpu),
    ("redfish", LogSource::Redfish),
];

/// The log that a collector reads, see [`READ_BY`].
#[must_use]
pub fn source_of(collector: &str) -> Option<LogSource> {
    let known = READ_BY.iter().find(|(name, _)| *name == collector);
    known.map(|(_, source)| *source)
}

/// One entry of a log. A collector may say an entry again after a restart; who keeps entries knows it by the
/// collector, source, origin, id, time and raw bytes, and by code and text where there are no bytes.
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

/// An entry as the node keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardEntry {
    /// When the node heard of it, by the node's clock: months after it happened, where a log is read for the first time.
    pub heard: Timestamp,
    /// What it says.
    pub entry: LogEntry,
}

impl HeardEntry {
    /// When it happened, as far as anybody knows: what its writer says, else when it was heard.
    #[must_use]
    pub fn happened(&self) -> Timestamp {
        self.entry.at.unwrap_or(self.heard)
    }
}

/// Which entries are asked for, and what the answer may cost. Everything given must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Of any of these; empty means all.
    pub sources: Vec<LogSource>,
    /// At least this severe.
    pub least: Severity,
    /// Entries that happened or were heard in this time: the clock of a BMC may stand in another year.
    pub window: Window,
    /// Entries in the answer.
    pub most: usize,
    /// Bytes read from files.
    pub bytes: u64,
}

impl LogQuery {
    /// Whether an entry is asked for.
    #[must_use]
    pub fn matches(&self, heard: &HeardEntry) -> bool {
        let entry = &heard.entry;
        (self.sources.is_empty() || self.sources.contains(&entry.source))
            && entry.severity >= self.least
            && (self.window.contains(heard.heard) || self.window.contains(heard.happened()))
    }
}

/// The answer to a [`LogQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogAnswer {
    /// The one that was heard last comes first.
    pub entries: Vec<HeardEntry>,
    /// There are more, or may be: older ones were not looked at.
    pub more: bool,
    /// Something of the files is damaged; this is made from the rest.
    pub damaged: bool,
}

/// Reads log entries. Implementations are shared between threads and never lock the writer out.
pub trait LogReader: Send + Sync + fmt::Debug {
    /// The entries that match.
    ///
    /// # Errors
    /// [`ReadError`] where the files cannot be read.
    fn entries(&self, query: &LogQuery) -> Result<LogAnswer, ReadError>;
}
