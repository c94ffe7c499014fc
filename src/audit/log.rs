//! The log as the face writes it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use glasshouse_core::access::{Usage, UsageKey};
use glasshouse_core::audit::{AuditSink, AuditUnavailable, DecisionRecord, OutcomeRecord};
use glasshouse_core::time::{Clock, SystemClock, Timestamp};

use crate::error::AuditError;
use crate::record::{Line, OpenedLine};
use crate::recover::recover;
use crate::refusals::Refusals;
use crate::sync::{Shared, Signal, lock};
use crate::usage::usage;
use crate::writer::Writer;

/// Where nobody says otherwise: about a million calls, and half of what the store takes.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;

/// The writer alone: whoever can open a lock can also hold it, and so keep the face from starting.
const LOCK_MODE: u32 = 0o600;

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Past so many bytes a new segment is begun.
    pub segment_bytes: u64,
    /// The most bytes of all segments together; then every call is refused, and the disk stays usable for the rest.
    pub most_bytes: u64,
    /// Dates the records that are about the log itself.
    pub clock: Arc<dyn Clock>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            // read whole at each start: a fraction of a second
            segment_bytes: 64 * 1024 * 1024,
            most_bytes: MOST_BYTES,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The open log. Shared between threads; dropping it syncs what was written.
#[derive(Debug)]
pub struct AuditLog {
    folder: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Held until the log is dropped.
    _lock: File,
}

impl AuditLog {
    /// Opens the log in a folder that exists, cuts a torn tail and records that it was opened.
    ///
    /// # Errors
    /// [`AuditError`] where the folder is missing, another process writes there, a record in the middle is damaged, or
    /// there is no room for the first record.
    pub fn open(folder: &Path, settings: AuditSettings) -> Result<Self, AuditError> {
        let held = hold(folder)?;
        let recovered = recover(folder)?;
        let mut writer = Writer::new(folder, settings, &recovered)?;
        let opened = Some(OpenedLine {
            cut_bytes: recovered.cut_bytes,
        });
        let line = Line {
            opened,
            ..Line::at(writer.now())
        };
        writer
            .append(line)
            .map_err(|detail| AuditError::io("write to", folder)(std::io::Error::other(detail)))?;
        let shared = Arc::new(Shared {
            writer: Mutex::new(writer),
            refusals: Mutex::new(Refusals::default()),
            signal: Mutex::new(Signal::default()),
            wake: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("audit-sync".to_owned())
            .spawn(move || of_thread.run())
            .map_err(AuditError::io("start the thread that syncs", folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            shared,
            thread: Some(thread),
            _lock: held,
        })
    }

    /// Calls and rows that policies allowed since then, by who is charged for them: counted again from the log, whose
    /// torn end is cut by now, and which nobody else writes. Methods that need no policy (a list, a ping) are no calls.
    ///
    /// # Errors
    /// [`AuditError`] where the log cannot be read or a record is damaged: a budget that cannot be counted is no budget.
    pub fn usage(&self, since: Timestamp) -> Result<BTreeMap<UsageKey, Usage>, AuditError> {
        usage(&self.folder, since)
    }

    fn append(&self, line: Line) -> Result<(), AuditUnavailable> {
        self.shared
            .append(line)
            .map_err(|detail| AuditUnavailable { detail })
    }
}

impl AuditSink for AuditLog {
    fn decided(&self, record: &DecisionRecord) -> Result<(), AuditUnavailable> {
        self.append(Line::decided(record).map_err(|detail| AuditUnavailable { detail })?)
    }

    fn ended(&self, record: &OutcomeRecord) -> Result<(), AuditUnavailable> {
        self.append(Line::ended(record))
    }

    fn refused(&self, at: Timestamp, reason: &'static str) {
        lock(&self.shared.refusals).count(at, reason);
        self.shared.sum_up(Instant::now());
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The thread that syncs the audit log had died.");
        }
    }
}

/// Takes the lock of the one writer.
fn hold(folder: &Path) -> Result<File, AuditError> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(LOCK_MODE)
        .open(&path)
        .map_err(AuditError::io("open", &path))?;
    // an earlier release may have made it readable for the group
    file.set_permissions(Permissions::from_mode(LOCK_MODE))
        .map_err(AuditError::io("close to others", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuditError::Locked {
            path: folder.display().to_string(),
        }),
        Err(TryLockError::Error(source)) => Err(AuditError::io("lock", &path)(source)),
    }
}
