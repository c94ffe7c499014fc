//! What a start finds, and how it is mended.

use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::definitions::Definition;
use crate::disk::{self, File};
use crate::error::{Malformed, OTHER_VERSION, StoreError};
use crate::files::{DAMAGED, Listing, SegmentName, head_name};
use crate::frame::{self, Frames};
use crate::index::Index;
use crate::record::Record;
use crate::registry::Registry;
use crate::segment::{Footer, SegmentFile, sync_folder};

/// What [`crate::Store::open`] found and mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Heads whose torn end was cut, and how many bytes that took.
    pub cut: Vec<(String, u64)>,
    /// Files with blocks that could not be read, and how many blocks.
    pub lost: Vec<(String, u64)>,
    /// Leftovers that were removed: temporaries, and files that a newer one replaces.
    pub removed: Vec<String>,
    /// Files that make no sense or cannot be read, and were set aside under this name with `.damaged` behind it.
    pub set_aside: Vec<String>,
    /// Definitions beyond the most that a store holds; the probe repeats those that it still uses.
    pub forgotten: u64,
}

impl Recovery {
    /// Whether nothing had to be mended.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.cut.is_empty()
            && self.lost.is_empty()
            && self.removed.is_empty()
            && self.set_aside.is_empty()
            && self.forgotten == 0
    }
}

/// What a start begins with.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) catalog: Catalog,
    pub(crate) registry: Registry,
    /// Heads that are to be sealed, oldest first.
    pub(crate) heads: Vec<u64>,
    /// The largest number that a file has.
    pub(crate) newest: u64,
    pub(crate) recovery: Recovery,
}

/// The writer before may be ending at this moment, or a program that it has just started may not have let go yet: a lock
/// that is held for longer than a fifth of a second belongs to a writer.
const LOCK_TRIES: u32 = 20;

/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Makes sure that nobody else writes. The lock ends with the file, also when the process is killed.
pub(crate) fn lock(dir: &Path) -> Result<File, StoreError> {
    disk::create_dir_all(dir).map_err(|source| StoreError::io("create", dir, source))?;
    let path = dir.join("lock");
    let file =
        File::open_or_create(&path).map_err(|source| StoreError::io("open", &path, source))?;
    let mut locked = file.lock();
    for _ in 1..LOCK_TRIES {
        match &locked {
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOCK_PAUSE),
            _ => break,
        }
        locked = file.lock();
    }
    match locked {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(StoreError::Busy {
            path: dir.to_owned(),
        }),
        Err(error) => Err(StoreError::io("lock", &path, error)),
    }
}

/// Mends what a crash left, and reads what the store needs to go on.
pub(crate) fn recover(dir: &Path) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let mut listing = Listing::read(dir).map_err(|source| StoreError::io("list", dir, source))?;
    found.newest = listing.newest();
    let temporaries = std::mem::take(&mut listing.temporaries);
    // A segment must make sense before it may replace anything.
    let mut footers = Vec::new();
    for (name, _) in std::mem::take(&mut listing.segments) {
        match persevere(|| check(dir, name)) {
            Ok(footer) => {
                listing.segments.push((name, 0));
                footers.push(footer);
            }
            Err(error) => give_up(dir, &name.to_string(), error, &mut found.recovery)?,
        }
    }
    for name in temporaries.into_iter().chain(listing.drop_replaced()) {
        let path = dir.join(&name);
        disk::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source))?;
        found.recovery.removed.push(name);
    }
    for footer in footers {
        if listing
            .segments
            .iter()
            .any(|(name, _)| *name == footer.name)
        {
            found.catalog.insert(footer);
        }
    }
    for head in listing.heads {
        match persevere(|| mend_head(dir, head.sequence, &mut found)) {
            Ok(()) => found.heads.push(head.sequence),
            Err(error) => give_up(dir, &head.to_string(), error, &mut found.recovery)?,
        }
    }
    if !found.recovery.is_clean() {
        sync_folder(dir)?;
    }
    Ok(found)
}

/// A disk that does not give something back is asked this often before a start goes on without it: a node that does not
/// start because of one bad sector records nothing at all.
const TRIES: u32 = 3;

/// Reads until the disk gives it back, or has been asked often enough.
pub(crate) fn persevere<T>(
    mut read: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 1..TRIES {
        match read() {
            Err(error) if error.is_unreadable() => {}
            outcome => return outcome,
        }
    }
    read()
}

/// Sets aside what is damaged or cannot be read; every other error stops the start.
fn give_up(
    dir: &Path,
    name: &str,
    error: StoreError,
    recovery: &mut Recovery,
) -> Result<(), StoreError> {
    if !error.is_unreadable() && !matches!(error, StoreError::Damaged { .. }) {
        return Err(error);
    }
    set_aside(dir, name)?;
    recovery.set_aside.push(name.to_owned());
    Ok(())
}

/// Renames a file so that nobody reads it again, but somebody may look at it.
pub(crate) fn set_aside(dir: &Path, name: &str) -> Result<(), StoreError> {
    let path = dir.join(name);
    disk::rename(&path, &dir.join(format!("{name}{DAMAGED}")))
        .map_err(|source| StoreError::io("rename", &path, source))
}

fn check(dir: &Path, name: SegmentName) -> Result<Footer, StoreError> {
    let file = SegmentFile::open(dir, name)?;
    let bytes = file.index()?;
    let index = Index::parse(
        &bytes,
        SegmentFile::blocks_start(),
        file.footer.index.offset,
    );
    // To put the names of all series together would take most of a start; its checksum vouches for them.
    let checked = index.and_then(|index| index.each(|_| false, |_| Ok(())));
    checked.map_err(|error| error.inside(&file.path))?;
    Ok(file.footer)
}

/// Cuts the torn end of a head and learns its definitions.
fn mend_head(dir: &Path, sequence: u64, found: &mut Found) -> Result<(), StoreError> {
    let name = head_name(sequence);
    let path = dir.join(&name);
    let io = |action| {
        let path = &path;
        move |source| StoreError::io(action, path, source)
    };
    let file = File::open_to_mend(&path).map_err(io("open"))?;
    let mut frames = Frames::new(&file, 0, u64::MAX);
    let mut lost = 0;
    while let Some(payload) = frames.next().map_err(io("read"))? {
        match Record::decode(payload) {
            Ok(Record::Define(definitions)) => {
                let read = definitions.each(
                    |Definition {
                         run, number, info, ..
                     }| {
                        let known = found.registry.find(&info).map(Ok);
                        match known.unwrap_or_else(|| found.registry.insert(&info)) {
                            Ok(series) => found.registry.name(run, number, series),
                            Err(_) => found.recovery.forgotten += 1,
                        }
                        Ok(())
                    },
                );
                lost += u64::from(read.is_err());
            }
            // It begins with all that counted then; what only older ones know was forgotten.
            Ok(Record::Open) => found.registry = Registry::default(),
            Ok(Record::Batch(_)) => {}
            Err(OTHER_VERSION) => return Err(OTHER_VERSION.inside(&path)),
            Err(Malformed(_)) => lost += 1,
        }
    }
    // One flipped byte is no other version: then there are frames behind it.
    if frames.good() == 0 && frame::is_of_other_version(&file).map_err(io("read"))? {
        return Err(OTHER_VERSION.inside(&path));
    }
    lost += frames.lost();
    if lost > 0 {
        found.recovery.lost.push((name.clone(), lost));
    }
    let good = frames.good();
    let bytes = file.metadata().map_err(io("read"))?.bytes;
    if bytes > good {
        file.set_len(good)
            .and_then(|()| file.sync_data())
            .map_err(io("cut"))?;
        found.recovery.cut.push((name, bytes.saturating_sub(good)));
    }
    Ok(())
}

/// The segments that count, as the folder says, and the names of those that they replace.
///
/// A head that is still to be sealed is not counted, although its segment may stand: its name could not be synced, and it
/// is written again. It must not be part of another one by then.
pub(crate) fn reload(dir: &Path, pending: &[u64]) -> Result<(Catalog, Vec<String>), StoreError> {
    let mut listing = Listing::read(dir).map_err(|source| StoreError::io("list", dir, source))?;
    // Heads wait to be sealed; that is known.
    listing.heads.clear();
    let is_pending = |name: SegmentName| name.first == name.last && pending.contains(&name.first);
    listing.segments.retain(|(name, _)| !is_pending(*name));
    let mut footers = Vec::new();
    for (name, inode) in std::mem::take(&mut listing.segments) {
        match SegmentFile::open(dir, name) {
            // It replaces nothing. The next start sets it aside.
            Err(StoreError::Damaged { .. }) => {}
            file => {
                footers.push(file?.footer);
                listing.segments.push((name, inode));
            }
        }
    }
    let replaced = listing.drop_replaced();
    let mut catalog = Catalog::default();
    for footer in footers {
        if listing
            .segments
            .iter()
            .any(|(name, _)| *name == footer.name)
        {
            catalog.insert(footer);
        }
    }
    Ok((catalog, replaced))
}
