//! Appends lines to segments, and knows what to do where there is no room.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use glasshouse_core::time::Timestamp;

use crate::error::AuditError;
use crate::log::AuditSettings;
use crate::record::{FullLine, Line, Link};
use crate::recover::Recovered;
use crate::segments::{AUDIT, path};

/// Blocks kept back on the disk: room for the last record and for the file system's own needs to write it.
pub(crate) const RESERVE_BYTES: u64 = 1024 * 1024;

/// How often a full log looks for room again.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_secs(1);

/// The group reads: the node tails the log.
const MODE: u32 = 0o640;

/// The end of the log.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: PathBuf,
    settings: AuditSettings,
    file: Arc<File>,
    path: PathBuf,
    /// Bytes of this segment, and of all.
    length: u64,
    total: u64,
    seq: u64,
    link: Link,
    state: State,
    /// Whether somebody was told that it will be full.
    warned: bool,
    /// Written but not yet synced; at most this segment and those that were just filled.
    unsynced: Vec<Arc<File>>,
}

#[derive(Debug)]
enum State {
    Open,
    /// No room; asked again at times.
    Full {
        looked: Instant,
    },
    /// What is on the disk is no longer known: nothing is taken until the log is opened anew.
    Broken(String),
}

impl Writer {
    /// Goes on where the recovery ended.
    pub(crate) fn new(
        folder: &Path,
        settings: AuditSettings,
        recovered: &Recovered,
    ) -> Result<Self, AuditError> {
        let path = path(folder, AUDIT, recovered.segment);
        let file = open_segment(&path).map_err(AuditError::io("open", &path))?;
        sync_folder(folder).map_err(AuditError::io("sync", folder))?;
        reserve(folder).map_err(AuditError::io("reserve room in", folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            file: Arc::new(file),
            path,
            length: recovered.length,
            total: recovered.total,
            seq: recovered.seq,
            link: recovered.link,
            state: State::Open,
            warned: false,
            unsynced: Vec::new(),
        })
    }

    /// Writes one line, whole or not at all.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(crate) fn append(&mut self, line: Line) -> Result<(), String> {
        self.ready()?;
        let (bytes, link) = self.encode(line)?;
        let size = length_of(&bytes);
        let most = self.settings.most_bytes;
        if self.total.saturating_add(size) > most {
            return self.run_full(format!("the log has reached its {most} bytes"));
        }
        if self.length > 0
            && self.length.saturating_add(size) > self.settings.segment_bytes
            && let Err(error) = self.rotate()
        {
            return self.refuse(&error);
        }
        match (&*self.file).write_all(&bytes) {
            Ok(()) => {
                self.written(size, link);
                Ok(())
            }
            Err(error) => {
                self.take_back();
                self.refuse(&error)
            }
        }
    }

    /// The files that hold unsynced lines, once.
    pub(crate) fn take_unsynced(&mut self) -> Vec<Arc<File>> {
        std::mem::take(&mut self.unsynced)
    }

    /// Takes nothing more: a failed sync says nothing about which lines are on the disk.
    pub(crate) fn give_up(&mut self, detail: String) {
        tracing::error!(
            detail,
            "The audit log takes nothing more; every call is refused."
        );
        self.state = State::Broken(detail);
    }

    /// The time, for records about the log itself.
    pub(crate) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    fn encode(&self, mut line: Line) -> Result<(Vec<u8>, Link), String> {
        line.seq = self.seq;
        line.encode(self.link)
    }

    fn written(&mut self, size: u64, link: Link) {
        self.length = self.length.saturating_add(size);
        self.total = self.total.saturating_add(size);
        self.seq = self.seq.saturating_add(1);
        self.link = link;
        self.warn_in_time();
        if !self
            .unsynced
            .iter()
            .any(|file| Arc::ptr_eq(file, &self.file))
        {
            self.unsynced.push(Arc::clone(&self.file));
        }
    }

    /// A log that is nearly full must be archived by somebody, who needs to hear of it while calls are still answered.
    fn warn_in_time(&mut self) {
        let most_bytes = self.settings.most_bytes;
        if !self.warned && self.total >= most_bytes / 4 * 3 {
            self.warned = true;
            tracing::warn!(
                bytes = self.total,
                most_bytes,
                "The audit log has taken three quarters of its room; once it is full every call is refused."
            );
        }
    }

    fn ready(&mut self) -> Result<(), String> {
        match &self.state {
            State::Open => Ok(()),
            State::Broken(detail) => Err(detail.clone()),
            State::Full { looked } if looked.elapsed() < LOOK_FOR_ROOM_EVERY => Err(full()),
            State::Full { .. } => {
                self.state = State::Full {
                    looked: Instant::now(),
                };
                let most = self.settings.most_bytes;
                if self.total.saturating_add(RESERVE_BYTES) > most {
                    return Err(full());
                }
                reserve(&self.folder).map_err(|_| full())?;
                tracing::info!("The audit log has room again.");
                self.state = State::Open;
                Ok(())
            }
        }
    }

    /// A segment is begun before the first line that would no longer fit into the old one.
    fn rotate(&mut self) -> Result<(), std::io::Error> {
        let path = path(&self.folder, AUDIT, self.seq);
        self.file = Arc::new(open_segment(&path)?);
        self.path = path;
        self.length = 0;
        sync_folder(&self.folder)
    }

    /// Cuts what a failed write left.
    fn take_back(&mut self) {
        if let Err(error) = self.file.set_len(self.length) {
            self.give_up(format!("failed to take a torn record back: {error}"));
        }
    }

    fn refuse(&mut self, error: &std::io::Error) -> Result<(), String> {
        let no_room = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        );
        if no_room && matches!(self.state, State::Open) {
            return self.run_full(error.to_string());
        }
        tracing::error!(path = %self.path.display(), %error, "Failed to write to the audit log.");
        Err(format!("failed to write: {error}"))
    }

    /// Gives the reserve back to the disk, spends it on one last record, and refuses.
    fn run_full(&mut self, detail: String) -> Result<(), String> {
        tracing::error!(detail, "The audit log is full; every call is refused.");
        self.state = State::Full {
            looked: Instant::now(),
        };
        if let Err(error) = std::fs::remove_file(reserve_path(&self.folder)) {
            tracing::warn!(%error, "There was no reserve to give back.");
        }
        let now = self.now();
        let last = Line {
            full: Some(FullLine { detail }),
            ..Line::at(now)
        };
        let (bytes, link) = self.encode(last)?;
        match (&*self.file).write_all(&bytes) {
            Ok(()) => self.written(length_of(&bytes), link),
            Err(_) => self.take_back(),
        }
        Err(full())
    }
}

fn full() -> String {
    "there is no room left for it; free some on its disk, or archive the log".to_owned()
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn open_segment(path: &Path) -> Result<File, std::io::Error> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
}

/// New names must survive a power loss too.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), std::io::Error> {
    File::open(folder)?.sync_all()
}

fn reserve_path(folder: &Path) -> PathBuf {
    folder.join("reserve")
}

/// Takes the blocks of the reserve; a file system that cannot promise blocks gets zeros.
fn reserve(folder: &Path) -> Result<(), std::io::Error> {
    let path = reserve_path(folder);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(&path)?;
    let flags = rustix::fs::FallocateFlags::empty();
    let taken = match rustix::fs::fallocate(&file, flags, 0, RESERVE_BYTES) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            let zeros = vec![0; usize::try_from(RESERVE_BYTES).unwrap_or_default()];
            file.write_all(&zeros)
        }
        taken => taken.map_err(Into::into),
    };
    if taken.is_err() {
        std::fs::remove_file(&path)?;
    }
    taken
}
