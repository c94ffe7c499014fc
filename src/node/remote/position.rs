//! Where the position is written down: one small file, replaced as a whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use glasshouse_core::time::Timestamp;
use glasshouse_store::TailCursor;
use tracing::{error, info};

use crate::chain::Chain;
use crate::settings::NodeError;

/// The folder, below the state folder.
const FOLDER: &str = "remote-write";

/// The file.
const NAME: &str = "position";

/// How it is called until it is whole.
const TEMPORARY: &str = "position.tmp";

/// A thousand collectors with long names; a longer file is damage.
const MOST_BYTES: u64 = 256 << 10;

/// The position is this old at most when it is written down, and where it is lost the file still tells when that was.
pub(super) const WRITTEN_EVERY: Duration = Duration::from_secs(2);

/// Where the position is written down.
#[derive(Debug)]
pub(super) struct Position {
    folder: PathBuf,
}

impl Position {
    /// Reads the position; where there is none, that of now, and where it is damaged, of when it was written.
    pub(super) fn open(
        state: &Path,
        store: &Path,
        now: Timestamp,
    ) -> Result<(Self, TailCursor), NodeError> {
        let folder = state.join(FOLDER);
        let failed = |source| NodeError::State {
            path: folder.clone(),
            source,
        };
        // nobody else has to know it
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => return Err(failed(source)),
            _ => {}
        }
        let position = Self {
            folder: folder.clone(),
        };
        let path = folder.join(NAME);
        let since = match read(&path) {
            Ok(text) => match TailCursor::decode(&text) {
                Ok(cursor) => return Ok((position, cursor)),
                Err(error) => {
                    error!(
                        path = %path.display(),
                        error = %Chain(&error),
                        "Samples are sent anew from the time at which this file was written."
                    );
                    modified(&path).unwrap_or(now)
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                info!("Nothing was sent from this state folder before; sending begins now.");
                now
            }
            Err(source) => return Err(failed(source)),
        };
        let since = since.before(WRITTEN_EVERY);
        let cursor = TailCursor::since(store, since).map_err(|source| NodeError::Store {
            path: store.to_owned(),
            source,
        })?;
        Ok((position, cursor))
    }

    /// Writes the position so that power loss leaves this one or the one before.
    pub(super) fn write(&self, cursor: &TailCursor) -> io::Result<()> {
        let temporary = self.folder.join(TEMPORARY);
        let mut file = File::create(&temporary)?;
        file.write_all(cursor.encode().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(NAME))?;
        File::open(&self.folder)?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    // what is no text is damaged, and its check says so
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

fn modified(path: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    let age = modified.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_nanos(0).after(age))
}
