//! Log entries of kernel and management controllers, as they were heard: day files of frames, read by anyone who may
//! read the folder.
//!
//! A frame is one JSON object, `version` 1, with what [`glasshouse_core::log::HeardEntry`] says: times in nanoseconds,
//! raw bytes in hexadecimal, and the words that enumerations have in answers. Texts are as the machine gave them; whoever
//! shows them cleans them.
//!
//! Collectors say entries again after a restart, and the node may have been restarted itself. So the writer knows the
//! entries of each source that it heard last, by source, origin, id and raw bytes, and drops what it knows.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use glasshouse_core::condition::Severity;
use glasshouse_core::log::{
    HeardEntry, LogAnswer, LogEntry, LogQuery, LogReader, LogSource, MOST_RAW_BYTES,
};
use glasshouse_core::reader::ReadError;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Moment, Timestamp};
use serde::{Deserialize, Serialize};

use crate::days::{DayWriter, Keep, Reach, Taken, each, look_back};
use crate::error::StoreError;

/// Entries of one source that are known again. A BMC's log has some thousands, the kernel's ring fewer; so the index
/// takes 2 MiB at most, and no flood of one source makes another one's entries look new.
const MOST_KNOWN: usize = 16 * 1024;

/// Power loss costs at most this much, and the collectors say most of it again.
const SYNC_EVERY: Duration = Duration::from_secs(30);

/// What is kept where nobody says: as long as rollups of an hour, and little.
impl Default for Keep {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(400 * 86_400),
            bytes: 64 << 20,
        }
    }
}

/// The writer of the log entries. There is one at a time.
#[derive(Debug)]
pub struct LogWriter {
    days: DayWriter,
    known: Vec<Known>,
    hasher: RandomState,
    unsynced_since: Option<BootTime>,
}

/// The newest entries of one source, by their hashes.
#[derive(Debug, Default)]
struct Known {
    order: VecDeque<u64>,
    hashes: HashSet<u64>,
}

impl Known {
    /// Whether it is new; it is known from now on.
    fn take(&mut self, hash: u64) -> bool {
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }

    /// It could not be kept after all.
    fn take_back(&mut self, hash: u64) {
        if self.hashes.remove(&hash) {
            self.order.retain(|known| *known != hash);
        }
    }
}

impl LogWriter {
    /// Opens the folder, which is made where it is missing, and learns what stands in it.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file or the folder that cannot be used.
    pub fn open(dir: &Path, keep: Keep) -> Result<Self, StoreError> {
        let days = DayWriter::new(dir, keep)?;
        let mut writer = Self {
            days,
            known: LogSource::ALL.iter().map(|_| Known::default()).collect(),
            hasher: RandomState::new(),
            unsynced_since: None,
        };
        writer.learn(dir)?;
        Ok(writer)
    }

    /// Fills the index from the files, the oldest entry first, as they came.
    fn learn(&mut self, dir: &Path) -> Result<(), StoreError> {
        each(dir, Timestamp::default(), |payload| {
            // what makes no sense is told by whoever reads it
            if let Some(HeardEntry { entry, .. }) = decode(payload) {
                let hash = self.hash(&entry);
                if let Some(known) = self.known.get_mut(place(entry.source)) {
                    known.take(hash);
                }
            }
        })
    }

    /// Appends the entries that are new with one write; how many there were.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file; none of the entries is kept, and all are new the next time.
    pub fn append(&mut self, entries: &[LogEntry], heard: Moment) -> Result<usize, StoreError> {
        let mut taken = Vec::new();
        let mut payloads = Vec::new();
        for entry in entries {
            let (place, hash) = (place(entry.source), self.hash(entry));
            let known = self.known.get_mut(place);
            if known.is_some_and(|known| known.take(hash)) {
                taken.push((place, hash));
                payloads.push(encode(entry, heard.wall));
            }
        }
        if payloads.is_empty() {
            return Ok(0);
        }
        let appended = self
            .days
            .append(heard.wall, payloads.iter().map(Vec::as_slice));
        match appended {
            Ok(()) => {
                self.unsynced_since.get_or_insert(heard.boot);
                Ok(taken.len())
            }
            Err(error) => {
                for (place, hash) in taken {
                    if let Some(known) = self.known.get_mut(place) {
                        known.take_back(hash);
                    }
                }
                Err(error)
            }
        }
    }

    /// Syncs what was appended half a minute ago, and removes what is too old or too much; the names of those files.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file; it is tried again by the next call.
    pub fn maintain(&mut self, now: Moment) -> Result<Vec<String>, StoreError> {
        let is_due = self
            .unsynced_since
            .is_some_and(|since| now.boot < since || now.boot.since(since) >= SYNC_EVERY);
        if is_due {
            self.sync()?;
        }
        self.days.forget(now)
    }

    /// From now on power loss does not lose what was appended until now.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.days.sync()?;
        self.unsynced_since = None;
        Ok(())
    }

    /// Keyed anew in each process: nobody can write an entry that looks like another one.
    fn hash(&self, entry: &LogEntry) -> u64 {
        let (origin, id) = (entry.origin.raw(), entry.id.raw());
        self.hasher
            .hash_one((entry.source, origin, id, &*entry.raw))
    }
}

/// The place of a source in the list of all.
fn place(source: LogSource) -> usize {
    let all = LogSource::ALL.iter();
    all.take_while(|known| **known != source).count()
}

/// Reads the entries that [`LogWriter`] writes, also from another process, also meanwhile.
#[derive(Debug)]
pub struct LogFiles {
    dir: PathBuf,
}

impl LogFiles {
    /// A reader of the entries in `dir`. Nothing is opened yet; a folder that is missing has none.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }
}

impl LogReader for LogFiles {
    fn entries(&self, query: &LogQuery) -> Result<LogAnswer, ReadError> {
        let reach = Reach {
            // nothing was heard before it happened
            since: query.window.from,
            most: query.most,
            bytes: query.bytes,
        };
        let back = look_back(&self.dir, reach, |payload| match decode(payload) {
            Some(heard) if query.matches(&heard) => Taken::Match(heard),
            Some(_) => Taken::Other,
            None => Taken::Malformed,
        })?;
        Ok(LogAnswer {
            entries: back.found,
            more: back.more,
            damaged: back.damaged,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct EntryV1<'a> {
    version: u32,
    heard_ns: i64,
    source: Cow<'a, str>,
    origin: Cow<'a, str>,
    id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ns: Option<i64>,
    severity: Cow<'a, str>,
    code: Cow<'a, str>,
    component: Cow<'a, str>,
    text: Cow<'a, str>,
    raw: String,
}

fn encode(entry: &LogEntry, heard: Timestamp) -> Vec<u8> {
    let entry = EntryV1 {
        version: 1,
        heard_ns: heard.nanos(),
        source: entry.source.word().into(),
        origin: entry.origin.raw().into(),
        id: entry.id.raw().into(),
        at_ns: entry.at.map(Timestamp::nanos),
        severity: entry.severity.word().into(),
        code: entry.code.raw().into(),
        component: entry.component.raw().into(),
        text: entry.text.raw().into(),
        raw: hexadecimal(entry.raw.get(..MOST_RAW_BYTES).unwrap_or(&entry.raw)),
    };
    // texts and numbers always have a JSON
    serde_json::to_vec(&entry).unwrap_or_default()
}

fn decode(payload: &[u8]) -> Option<HeardEntry> {
    let entry: EntryV1<'_> = serde_json::from_slice(payload).ok()?;
    (entry.version == 1).then_some(())?;
    Some(HeardEntry {
        heard: Timestamp::from_nanos(entry.heard_ns),
        entry: LogEntry {
            source: LogSource::parse(&entry.source)?,
            origin: Untrusted::new(&entry.origin),
            id: Untrusted::new(&entry.id),
            at: entry.at_ns.map(Timestamp::from_nanos),
            severity: Severity::parse(&entry.severity)?,
            code: Untrusted::new(&entry.code),
            component: Untrusted::new(&entry.component),
            text: Untrusted::new(&entry.text),
            raw: bytes(&entry.raw)?,
        },
    })
}

/// Two lower-case digits a byte.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let fits = hexadecimal.len() <= 2 * MOST_RAW_BYTES && hexadecimal.len().is_multiple_of(2);
    let pairs = hexadecimal.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    fits.then(|| pairs.map(byte).collect()).flatten()
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
