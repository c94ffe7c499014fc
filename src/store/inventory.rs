//! The inventory of the node: one JSON file, replaced as a whole, read by anyone who may read the folder.
//!
//! `current.json` is what [`glasshouse_core::reader::Inventory`] says, under `version` 1, and its checksum. The words that enumerations
//! have in answers stand in it too. Texts are as the machine gave them; whoever shows them cleans them.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glasshouse_core::fact::Fact;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::{
    CollectorState, CollectorStatus, Inventory, InventoryReader, LinkStatus, ReadError,
};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checksum;
use crate::disk::{self, File, Metadata};
use crate::error::StoreError;
use crate::segment::sync_folder;

/// The file inside the folder.
const NAME: &str = "current.json";

/// A machine with 10,000 facts of 300 bytes stays below; anything larger was not written by us.
const MOST_BYTES: u64 = 4 << 20;

/// Replaces the inventory in `dir`. Readers see the old one or the new one, never a part, also after power loss.
///
/// # Errors
/// [`StoreError::Io`] names the file; the old inventory stands. [`StoreError::TooLarge`] where nobody would read it.
pub fn write(dir: &Path, inventory: &Inventory) -> Result<(), StoreError> {
    replace(dir, inventory, File::sync_all)?;
    sync_folder(dir)
}

/// As [`write()`], without waiting for the disk: for what is soon written again. Power loss may cost the file, which
/// the node's next start writes anew.
///
/// # Errors
/// As [`write()`].
pub fn write_without_sync(dir: &Path, inventory: &Inventory) -> Result<(), StoreError> {
    replace(dir, inventory, |_| Ok(()))
}

fn replace(
    dir: &Path,
    inventory: &Inventory,
    sync: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), StoreError> {
    let path = dir.join(NAME);
    let temporary = dir.join("current.json.tmp");
    let json = serde_json::to_vec(&InventoryV1::from_core(inventory))
        .map_err(|source| StoreError::io("encode", &path, io::Error::from(source)))?;
    let json = checksum::sign(json);
    if u64::try_from(json.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(StoreError::TooLarge {
            what: "the inventory",
            size: json.len(),
            most: usize::try_from(MOST_BYTES).unwrap_or(usize::MAX),
        });
    }
    disk::create_dir_all(dir).map_err(|source| StoreError::io("create", dir, source))?;
    let mut file =
        File::create(&temporary).map_err(|source| StoreError::io("create", &temporary, source))?;
    file.write_all(&json)
        .and_then(|()| sync(&file))
        .map_err(|source| StoreError::io("write", &temporary, source))?;
    disk::rename(&temporary, &path).map_err(|source| StoreError::io("rename", &temporary, source))
}

/// Reads the inventory that [`write()`] writes; parses it again only when the file was replaced.
#[derive(Debug)]
pub struct InventoryFile {
    path: PathBuf,
    cached: Mutex<Option<(Metadata, Arc<Inventory>)>>,
}

impl InventoryFile {
    /// A reader of the inventory in `dir`. Nothing is opened yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            path: dir.join(NAME),
            cached: Mutex::new(None),
        }
    }

    fn io(&self, source: io::Error) -> ReadError {
        let path = self.path.display().to_string();
        if source.kind() == io::ErrorKind::NotFound {
            return ReadError::Empty { path };
        }
        ReadError::Io { path, source }
    }

    fn damaged(&self, detail: String) -> ReadError {
        ReadError::Damaged {
            path: self.path.display().to_string(),
            detail,
        }
    }
}

impl InventoryReader for InventoryFile {
    fn inventory(&self) -> Result<Arc<Inventory>, ReadError> {
        let file = File::open(&self.path).map_err(|source| self.io(source))?;
        let stamp = file.metadata().map_err(|source| self.io(source))?;
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, inventory)) = &*cached
            && *known == stamp
        {
            return Ok(Arc::clone(inventory));
        }
        let mut json = Vec::new();
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut json)
            .map_err(|source| self.io(source))?;
        if u64::try_from(json.len()).is_ok_and(|length| length > MOST_BYTES) {
            return Err(self.damaged(format!("it is larger than {MOST_BYTES} bytes")));
        }
        let parsed: InventoryV1<'_> =
            serde_json::from_slice(&json).map_err(|error| self.damaged(error.to_string()))?;
        let inventory = Arc::new(
            parsed
                .into_core()
                .map_err(|detail| self.damaged(detail.to_owned()))?,
        );
        if !checksum::is_whole(&json) {
            return Err(self.damaged("its checksum is wrong".to_owned()));
        }
        *cached = Some((stamp, Arc::clone(&inventory)));
        Ok(inventory)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct InventoryV1<'a> {
    version: u32,
    node: String,
    host_name: Cow<'a, str>,
    written_ns: i64,
    facts: Vec<FactV1<'a>>,
    collectors: Vec<CollectorV1<'a>>,
    link: LinkV1,
}

#[derive(Debug, Serialize, Deserialize)]
struct FactV1<'a> {
    component: Cow<'a, str>,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CollectorV1<'a> {
    name: Cow<'a, str>,
    interval_ns: u64,
    state: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    detail: Cow<'a, str>,
    last_run_ns: i64,
    duration_ns: u64,
    series: u32,
    failures: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct LinkV1 {
    run: u64,
    last_frame_ns: i64,
    frames: u64,
    lost: u64,
    resyncs: u64,
    dropped: u64,
}

impl<'a> InventoryV1<'a> {
    fn from_core(inventory: &'a Inventory) -> Self {
        let fact = |fact: &'a Fact| FactV1 {
            component: fact.component.raw().into(),
            key: fact.key.as_str().into(),
            value: fact.value.raw().into(),
        };
        Self {
            version: 1,
            node: inventory.node.to_string(),
            host_name: inventory.host_name.raw().into(),
            written_ns: inventory.written.nanos(),
            facts: inventory.facts.iter().map(fact).collect(),
            collectors: inventory
                .collectors
                .iter()
                .map(CollectorV1::from_core)
                .collect(),
            link: LinkV1 {
                run: inventory.link.run,
                last_frame_ns: inventory.link.last_frame.nanos(),
                frames: inventory.link.frames,
                lost: inventory.link.lost,
                resyncs: inventory.link.resyncs,
                dropped: inventory.link.dropped,
            },
        }
    }

    fn into_core(self) -> Result<Inventory, &'static str> {
        if self.version != 1 {
            return Err("it was written by another version of glasshouse");
        }
        let fact = |fact: FactV1<'_>| Fact {
            component: Untrusted::new(&fact.component),
            key: fact.key.into_owned(),
            value: Untrusted::new(&fact.value),
        };
        Ok(Inventory {
            node: NodeId::parse(&self.node).ok_or("`node` is not an id")?,
            host_name: Untrusted::new(&self.host_name),
            written: Timestamp::from_nanos(self.written_ns),
            facts: self.facts.into_iter().map(fact).collect(),
            collectors: self
                .collectors
                .into_iter()
                .map(CollectorV1::into_core)
                .collect::<Result<_, _>>()?,
            link: LinkStatus {
                run: self.link.run,
                last_frame: Timestamp::from_nanos(self.link.last_frame_ns),
                frames: self.link.frames,
                lost: self.link.lost,
                resyncs: self.link.resyncs,
                dropped: self.link.dropped,
            },
        })
    }
}

impl<'a> CollectorV1<'a> {
    fn from_core(status: &'a CollectorStatus) -> Self {
        let reason = match status.state {
            CollectorState::Partial(reason) | CollectorState::Failed(reason) => Some(reason),
            CollectorState::Good | CollectorState::Absent | CollectorState::Disabled => None,
        };
        Self {
            name: status.name.as_str().into(),
            interval_ns: nanos(status.interval),
            state: status.state.word().into(),
            reason: reason.map(|reason| reason.word().into()),
            detail: status.detail.raw().into(),
            last_run_ns: status.last_run.nanos(),
            duration_ns: nanos(status.duration),
            series: status.series,
            failures: status.failures,
        }
    }

    fn into_core(self) -> Result<CollectorStatus, &'static str> {
        let reason = || {
            let word = self.reason.as_deref();
            let known = FailureReason::ALL
                .iter()
                .find(|reason| Some(reason.word()) == word);
            known.copied().ok_or("`reason` is not known")
        };
        let state = match &*self.state {
            "good" => CollectorState::Good,
            "partial" => CollectorState::Partial(reason()?),
            "failed" => CollectorState::Failed(reason()?),
            "absent" => CollectorState::Absent,
            "disabled" => CollectorState::Disabled,
            _ => return Err("`state` is not known"),
        };
        Ok(CollectorStatus {
            name: self.name.into_owned(),
            interval: Duration::from_nanos(self.interval_ns),
            state,
            detail: Untrusted::new(&self.detail),
            last_run: Timestamp::from_nanos(self.last_run_ns),
            duration: Duration::from_nanos(self.duration_ns),
            series: self.series,
            failures: self.failures,
        })
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn example() -> Inventory {
        let status = |name: &str, state| CollectorStatus {
            name: name.to_owned(),
            interval: Duration::from_secs(10),
            state,
            detail: Untrusted::new("no \u{1b}[31m such file"),
            last_run: Timestamp::from_seconds(5),
            duration: Duration::from_micros(17),
            series: 3,
            failures: 4,
        };
        Inventory {
            node: NodeId::from_bytes([7; 16]),
            host_name: Untrusted::new("höst\n"),
            written: Timestamp::from_nanos(-1),
            facts: vec![Fact {
                component: Untrusted::new("disk/nvme0n1"),
                key: "hw.model".to_owned(),
                value: Untrusted::new("\"quoted\""),
            }],
            collectors: vec![
                status("a", CollectorState::Good),
                status("b", CollectorState::Partial(FailureReason::Denied)),
                status("c", CollectorState::Failed(FailureReason::Timeout)),
                status("d", CollectorState::Absent),
                status("e", CollectorState::Disabled),
            ],
            link: LinkStatus {
                run: u64::MAX,
                last_frame: Timestamp::from_seconds(9),
                frames: 1,
                lost: 2,
                resyncs: 3,
                dropped: 4,
            },
        }
    }

    #[test]
    fn an_inventory_survives_its_file_and_a_new_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let reader = InventoryFile::new(dir.path());
        assert!(matches!(reader.inventory(), Err(ReadError::Empty { .. })));
        let mut inventory = example();
        write(dir.path(), &inventory).unwrap();
        assert_eq!(*reader.inventory().unwrap(), inventory);
        assert!(Arc::ptr_eq(
            &reader.inventory().unwrap(),
            &reader.inventory().unwrap()
        ));
        for (frames, write) in [
            (99, write as fn(&Path, &Inventory) -> _),
            (100, write_without_sync),
        ] {
            inventory.link.frames = frames;
            write(dir.path(), &inventory).unwrap();
            assert_eq!(*reader.inventory().unwrap(), inventory);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &example()).unwrap();
        let path = dir.path().join(NAME);
        let whole = fs::read_to_string(&path).unwrap();
        for bad in [
            whole.replace("\"version\":1", "\"version\":2"),
            whole.replace("\"denied\"", "\"whatever\""),
            whole.replace("\"good\"", "\"great\""),
            whole.replace("07070707", "zz"),
            whole.chars().take(whole.len() / 2).collect(),
            String::new(),
        ] {
            fs::write(&path, bad).unwrap();
            let error = InventoryFile::new(dir.path()).inventory().unwrap_err();
            assert!(error.to_string().contains("current.json"), "{error}");
        }
        let huge = vec![b' '; usize::try_from(MOST_BYTES).unwrap() + 1];
        fs::write(&path, huge).unwrap();
        let error = InventoryFile::new(dir.path()).inventory().unwrap_err();
        assert!(error.to_string().contains("larger"), "{error}");
    }
}
