//! Log entries of kernel and management controllers, as they were heard: day files of frames, read by anyone who may
//! read the folder. Each source has a folder of its own, named by its word, and its share of the bytes: whoever floods
//! one log pushes nothing out of another.
//!
//! A frame is one JSON object, `version` 1, with what [`glasshouse_core::log::HeardEntry`] says: times in nanoseconds,
//! raw bytes in hexadecimal, and the words that enumerations have in answers. Texts are as the machine gave them; whoever
//! shows them cleans them.
//!
//! Collectors say entries again after a restart, and the node may have been restarted itself. So the writer knows the
//! entries of each source that it heard last, by collector, source, origin, id and all that they say, and drops what it
//! knows. A log that was cleared begins with its first id again: time and text tell.

use std::borrow::Cow;
use std::cmp::Reverse;
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

/// What a source may keep of all bytes: the kernel a half, for it alone tells what this machine itself does, and the
/// others the same share of the rest.
const fn share(keep: Keep, source: LogSource) -> Keep {
    let bytes = match source {
        LogSource::Kernel => keep.bytes / 2,
        LogSource::Sel | LogSource::Redfish | LogSource::Gpu => keep.bytes / 6,
    };
    Keep { bytes, ..keep }
}

/// The writer of the log entries. There is one at a time.
#[derive(Debug)]
pub struct LogWriter {
    /// In the order of all sources.
    pools: Vec<Pool>,
    hasher: RandomState,
    unsynced_since: Option<BootTime>,
}

/// The entries of one source.
#[derive(Debug)]
struct Pool {
    source: LogSource,
    days: DayWriter,
    known: Known,
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
        let hasher = RandomState::new();
        let pools = LogSource::ALL
            .iter()
            .map(|source| Pool::open(dir, keep, *source, &hasher));
        Ok(Self {
            pools: pools.collect::<Result<_, _>>()?,
            hasher,
            unsynced_since: None,
        })
    }

    /// Appends the entries of one collector that are new, with one write for each source; how many there were.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file; none of the entries of that source is kept, and all are new the next time.
    pub fn append(
        &mut self,
        collector: &str,
        entries: &[LogEntry],
        heard: Moment,
    ) -> Result<usize, StoreError> {
        let mut count = 0usize;
        for pool in &mut self.pools {
            let taken = pool.append(collector, entries, heard, &self.hasher)?;
            if taken > 0 {
                self.unsynced_since.get_or_insert(heard.boot);
            }
            count = count.saturating_add(taken);
        }
        Ok(count)
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
        let mut gone = Vec::new();
        for pool in &mut self.pools {
            let word = pool.source.word();
            let names = pool.days.forget(now)?.into_iter();
            gone.extend(names.map(|name| format!("{word}/{name}")));
        }
        Ok(gone)
    }

    /// From now on power loss does not lose what was appended until now.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        for pool in &mut self.pools {
            pool.days.sync()?;
        }
        self.unsynced_since = None;
        Ok(())
    }
}

impl Pool {
    fn open(
        dir: &Path,
        keep: Keep,
        source: LogSource,
        hasher: &RandomState,
    ) -> Result<Self, StoreError> {
        let dir = dir.join(source.word());
        let days = DayWriter::new(&dir, share(keep, source))?;
        let mut known = Known::default();
        // the oldest entry first, as they came
        // what cannot be read now is told by whoever asks for it
        let _unread = each(&dir, Timestamp::default(), |payload| {
            // what makes no sense is told by whoever reads it
            if let Some((collector, heard)) = decode(payload) {
                known.take(hash(hasher, &collector, &heard.entry));
            }
        })?;
        Ok(Self {
            source,
            days,
            known,
        })
    }

    /// Appends those that are of this source and new.
    fn append(
        &mut self,
        collector: &str,
        entries: &[LogEntry],
        heard: Moment,
        hasher: &RandomState,
    ) -> Result<usize, StoreError> {
        let mut taken = Vec::new();
        let mut payloads = Vec::new();
        for entry in entries.iter().filter(|entry| entry.source == self.source) {
            let hash = hash(hasher, collector, entry);
            if self.known.take(hash) {
                taken.push(hash);
                payloads.push(encode(collector, entry, heard.wall));
            }
        }
        if payloads.is_empty() {
            return Ok(0);
        }
        let payloads = payloads.iter().map(Vec::as_slice);
        if let Err(error) = self.days.append(heard.wall, payloads) {
            for hash in taken {
                self.known.take_back(hash);
            }
            return Err(error);
        }
        Ok(taken.len())
    }
}

/// Keyed anew in each process: nobody can write an entry that looks like another one.
fn hash(hasher: &RandomState, collector: &str, entry: &LogEntry) -> u64 {
    // the time of a kernel message is computed anew from the start of the machine, which may be a second off; its id
    // names the boot and never comes again
    let at = entry.at.filter(|_| entry.source != LogSource::Kernel);
    let raw = entry.raw.get(..MOST_RAW_BYTES).unwrap_or(&entry.raw);
    let place = (entry.source, entry.origin.raw(), entry.id.raw());
    // the record says it all; its text is decoded with what is known at that time of the names of sensors
    let words = raw.is_empty().then(|| (entry.code.raw(), entry.text.raw()));
    let content = (raw, words);
    hasher.hash_one((collector, place, at, content))
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
        let asked =
            |source: &&LogSource| query.sources.is_empty() || query.sources.contains(*source);
        let count = LogSource::ALL.iter().filter(asked).count();
        let reach = Reach {
            // nothing was heard before it happened
            since: query.window.from,
            most: query.most,
            // a flood of one source is not to use up what the others may read
            bytes: query.bytes / u64::try_from(count).unwrap_or(1).max(1),
        };
        let mut answer = LogAnswer::default();
        for source in LogSource::ALL.iter().rev().filter(asked) {
            let dir = self.dir.join(source.word());
            let back = look_back(&dir, reach, |payload| match decode(payload) {
                Some((_, heard)) if query.matches(&heard) => Taken::Match(heard),
                Some(_) => Taken::Other,
                None => Taken::Malformed,
            })?;
            answer.entries.extend(back.found);
            answer.more |= back.more;
            answer.damaged |= back.damaged;
        }
        answer.entries.sort_by_key(|heard| Reverse(heard.heard));
        answer.more |= answer.entries.len() > query.most;
        answer.entries.truncate(query.most);
        Ok(answer)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct EntryV1<'a> {
    version: u32,
    heard_ns: i64,
    /// Who read it.
    collector: Cow<'a, str>,
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

fn encode(collector: &str, entry: &LogEntry, heard: Timestamp) -> Vec<u8> {
    let entry = EntryV1 {
        version: 1,
        heard_ns: heard.nanos(),
        collector: collector.into(),
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

/// The collector and what it heard.
fn decode(payload: &[u8]) -> Option<(String, HeardEntry)> {
    let entry: EntryV1<'_> = serde_json::from_slice(payload).ok()?;
    (entry.version == 1).then_some(())?;
    let heard = HeardEntry {
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
    };
    Some((entry.collector.into_owned(), heard))
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
