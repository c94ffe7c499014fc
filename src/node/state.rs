//! The state folder.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, access};

use crate::settings::NodeError;

/// New files are the group's to read and nobody else's: the face is in it.
const UMASK: u32 = 0o027;

/// The folders that the node writes.
const OWN: &[&str] = &["store", "findings", "inventory", "logs", "checkpoints"];

/// Where what is.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) dir: PathBuf,
    pub(crate) store: PathBuf,
    pub(crate) findings: PathBuf,
    pub(crate) inventory: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) checkpoints: PathBuf,
    /// Written by the face.
    pub(crate) audit: PathBuf,
}

impl State {
    /// Makes the node's folders in a state folder that exists, and sees that they can be written.
    pub(crate) fn prepare(dir: &Path) -> Result<Self, NodeError> {
        rustix::process::umask(Mode::from_raw_mode(UMASK));
        let failed = |path: &Path, source| NodeError::State {
            path: path.to_owned(),
            source,
        };
        for name in OWN {
            let path = dir.join(name);
            // group and set-group-id come from the state folder
            match DirBuilder::new().mode(0o750).create(&path) {
                Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                    return Err(failed(&path, source));
                }
                _ => {}
            }
            let wanted = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
            access(&path, wanted).map_err(|error| failed(&path, error.into()))?;
            if !path.is_dir() {
                return Err(failed(&path, ErrorKind::NotADirectory.into()));
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            store: dir.join("store"),
            findings: dir.join("findings"),
            inventory: dir.join("inventory"),
            logs: dir.join("logs"),
            checkpoints: dir.join("checkpoints"),
            audit: dir.join("audit"),
        })
    }
}
