//! Events: what is open in one JSON file, replaced as a whole, and what became of them in day files of frames.
//!
//! `current.json` holds the open events, `version` 1, the number of the last change that it knows, and its checksum. Each frame of the
//! day files is one change: a JSON object, `version` 1, with its number, what happened (`opened`, `updated`, `resolved`)
//! and the event after it. A change is appended first and then stands in `current.json`; a start applies what a kill left
//! between the two, so no event is lost and none has two lives. Texts are as the machine gave them; whoever shows them
//! cleans them.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glasshouse_core::finding::{Event, EventId, FindingReader, OpenEvents, ResolvedEvents};
use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::ReadError;
use glasshouse_core::time::{Moment, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::checksum;
use crate::days::{DayWriter, Keep, Reach, Taken, each, look_back};
use crate::disk::{self, File, Metadata};
use crate::error::StoreError;
use crate::event::EventV1;
use crate::files::TEMPORARY;
use crate::segment::sync_folder;

/// The file inside the folder.
const NAME: &str = "current.json";

/// The most events that are open at once: every part of a large machine, several times.
pub const MOST_OPEN: usize = 1024;

/// So many events with the longest texts stay below; anything larger was not written by us.
const MOST_BYTES: u64 = 16 << 20;

/// What is read of the history for one question.
const MOST_HISTORY_BYTES: u64 = 32 << 20;

/// What is kept of the history: as long as rollups of an hour, and some ten thousand changes.
pub const HISTORY: Keep = Keep {
    age: Duration::from_secs(400 * 86_400),
    bytes: 16 << 20,
};

/// What happened to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It began.
    Opened,
    /// It matters more or less than before.
    Updated,
    /// It is over.
    Resolved,
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Resolved => "resolved",
        }
    }
}

/// The writer of the events. There is one at a time.
#[derive(Debug)]
pub struct FindingWriter {
    dir: PathBuf,
    days: DayWriter,
    /// The number of the last change that was appended.
    last: u64,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct FoundEvents {
    /// What was open.
    pub open: Vec<Event>,
    /// Why `current.json` could not be used, where it could not: what is open is then known from the history alone.
    pub trouble: Option<ReadError>,
}

impl FindingWriter {
    /// Opens the folder, which is made where it is missing, and tells what was open of this node.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file or the folder that cannot be used.
    pub fn open(dir: &Path, node: NodeId) -> Result<(Self, FoundEvents), StoreError> {
        let days = DayWriter::new(dir, HISTORY)?;
        let (current, mut trouble) = match read(&dir.join(NAME)) {
            Ok(current) => (current, None),
            Err(ReadError::Empty { .. }) => (Current::default(), None),
            Err(error) => (Current::default(), Some(error)),
        };
        let mut last = current.last;
        let mut open: BTreeMap<EventId, Event> = current
            .open
            .events
            .iter()
            .map(|event| (event.id, event.clone()))
            .collect();
        // the clock may have been set since: the day says nothing about what `current.json` knows
        let unread = each(dir, Timestamp::default(), |payload| {
            let Some(change) = decode(payload) else {
                return;
            };
            if change.number <= current.last {
                return;
            }
            last = last.max(change.number);
            match change.event.resolved {
                Some(_) => drop(open.remove(&change.event.id)),
                None => drop(open.insert(change.event.id, change.event)),
            }
        })?;
        trouble = trouble.or(unread.map(ReadError::from));
        let mut open: Vec<Event> = open.into_values().collect();
        open.retain(|event| event.node == node && event.resolved.is_none());
        sort(&mut open);
        open.truncate(MOST_OPEN);
        let dir = dir.to_owned();
        Ok((Self { dir, days, last }, FoundEvents { open, trouble }))
    }

    /// Appends changes with one write, and waits for the disk: an event that was seen is not unsaid by power loss.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file. Where it could not be written none of the changes is kept.
    pub fn append(
        &mut self,
        changes: &[(Change, Event)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let numbered = (self.last.saturating_add(1)..).zip(changes);
        let payloads: Vec<Vec<u8>> = numbered
            .map(|(number, (change, event))| encode(number, *change, event))
            .collect();
        self.days.append(now, payloads.iter().map(Vec::as_slice))?;
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        self.last = self.last.saturating_add(count);
        // what was written counts, whether or not the disk has it: it must not be written twice
        drop(self.days.sync());
        Ok(())
    }

    /// Replaces what is open. Readers see the old list or the new one, never a part. `synced` waits for the disk.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file; the old list stands.
    pub fn replace(
        &self,
        mut open: Vec<Event>,
        now: Timestamp,
        durability: Durability,
    ) -> Result<(), StoreError> {
        sort(&mut open);
        let path = self.dir.join(NAME);
        let temporary = self.dir.join(format!("{NAME}{TEMPORARY}"));
        let current = CurrentV1 {
            version: 1,
            last: self.last,
            written_ns: now.nanos(),
            events: open.iter().map(EventV1::from_core).collect(),
        };
        let json = serde_json::to_vec(&current)
            .map_err(|source| StoreError::io("encode", &path, io::Error::from(source)))?;
        let json = checksum::sign(json);
        let failed = |source| StoreError::io("write", &temporary, source);
        let mut file = File::create(&temporary).map_err(failed)?;
        file.write_all(&json).map_err(failed)?;
        if durability == Durability::Synced {
            file.sync_all().map_err(failed)?;
        }
        disk::rename(&temporary, &path)
            .map_err(|source| StoreError::io("rename", &temporary, source))?;
        match durability {
            Durability::Synced => sync_folder(&self.dir),
            Durability::Written => Ok(()),
        }
    }

    /// Removes history that is too old or too much; the names of those files.
    ///
    /// # Errors
    /// [`StoreError::Io`] names the file; it is tried again later.
    pub fn maintain(&mut self, now: Moment) -> Result<Vec<String>, StoreError> {
        self.days.forget(now)
    }
}

/// Whether a write waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It does.
    Synced,
    /// It does not: what is written is soon written again, and the history has what matters of it.
    Written,
}

/// The worst first, of one severity the newest first.
fn sort(open: &mut [Event]) {
    open.sort_by(|a, b| {
        let key = |event: &Event| (event.finding.severity, event.finding.first_seen);
        key(b).cmp(&key(a)).then(a.id.cmp(&b.id))
    });
}

/// Reads the events that [`FindingWriter`] writes, also from another process, also meanwhile.
#[derive(Debug)]
pub struct FindingFiles {
    dir: PathBuf,
    cached: Mutex<Option<(Metadata, Arc<OpenEvents>)>>,
}

impl FindingFiles {
    /// A reader of the events in `dir`. Nothing is opened yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            cached: Mutex::new(None),
        }
    }
}

impl FindingReader for FindingFiles {
    fn open(&self) -> Result<Arc<OpenEvents>, ReadError> {
        let path = self.dir.join(NAME);
        let file = File::open(&path).map_err(|source| io_error(&path, source))?;
        let stamp = file.metadata().map_err(|source| io_error(&path, source))?;
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, open)) = &*cached
            && *known == stamp
        {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(parse(&path, file)?.open);
        *cached = Some((stamp, Arc::clone(&open)));
        Ok(open)
    }

    fn resolved(&self, window: Window, most: usize) -> Result<ResolvedEvents, ReadError> {
        let reach = Reach {
            since: window.from,
            most,
            bytes: MOST_HISTORY_BYTES,
        };
        let back = look_back(&self.dir, reach, |payload| match decode(payload) {
            Some(change) => match change.event.resolved {
                Some(at) if window.contains(at) => Taken::Match(change.event),
                _ => Taken::Other,
            },
            None => Taken::Malformed,
        })?;
        Ok(ResolvedEvents {
            events: back.found,
            more: back.more,
            damaged: back.damaged,
        })
    }
}

/// What `current.json` says.
#[derive(Debug)]
struct Current {
    last: u64,
    open: OpenEvents,
}

impl Default for Current {
    fn default() -> Self {
        Self {
            last: 0,
            open: OpenEvents {
                written: Timestamp::default(),
                events: Vec::new(),
            },
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct CurrentV1<'a> {
    version: u32,
    last: u64,
    written_ns: i64,
    #[serde(borrow)]
    events: Vec<EventV1<'a>>,
}

fn io_error(path: &Path, source: io::Error) -> ReadError {
    let path = path.display().to_string();
    if source.kind() == io::ErrorKind::NotFound {
        return ReadError::Empty { path };
    }
    ReadError::Io { path, source }
}

fn read(path: &Path) -> Result<Current, ReadError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    parse(path, file)
}

fn parse(path: &Path, file: File) -> Result<Current, ReadError> {
    let damaged = |detail: String| ReadError::Damaged {
        path: path.display().to_string(),
        detail,
    };
    let mut json = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut json)
        .map_err(|source| io_error(path, source))?;
    if u64::try_from(json.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(damaged(format!("it is larger than {MOST_BYTES} bytes")));
    }
    let current: CurrentV1<'_> =
        serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    if current.version != 1 {
        return Err(damaged(
            "it was written by another version of glasshouse".to_owned(),
        ));
    }
    if !checksum::is_whole(&json) {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    let events = current.events.into_iter().map(EventV1::into_core);
    let events: Option<Vec<Event>> = events.collect();
    Ok(Current {
        last: current.last,
        open: OpenEvents {
            written: Timestamp::from_nanos(current.written_ns),
            events: events.ok_or_else(|| damaged("an event makes no sense".to_owned()))?,
        },
    })
}

#[derive(Debug, Serialize, Deserialize)]
struct ChangeV1<'a> {
    version: u32,
    number: u64,
    change: &'a str,
    #[serde(borrow)]
    event: EventV1<'a>,
}

struct Changed {
    number: u64,
    event: Event,
}

fn encode(number: u64, change: Change, event: &Event) -> Vec<u8> {
    let change = ChangeV1 {
        version: 1,
        number,
        change: change.word(),
        event: EventV1::from_core(event),
    };
    // texts and finite numbers always have a JSON
    serde_json::to_vec(&change).unwrap_or_default()
}

fn decode(payload: &[u8]) -> Option<Changed> {
    let change: ChangeV1<'_> = serde_json::from_slice(payload).ok()?;
    (change.version == 1).then_some(())?;
    Some(Changed {
        number: change.number,
        event: change.event.into_core()?,
    })
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
