//! Files that hold a secret: read only where nobody else could have read them.

use std::os::fd::AsFd;

use glasshouse_core::failure::{CollectError, FailureReason};
use rustix::fs::{Stat, fstat};
use rustix::process::{getegid, geteuid, getgroups};

use crate::SysRoot;
use crate::root::{machine_path, os_error};

/// The longest secret that is read.
const MOST_BYTES: usize = 4096;

/// What nobody but the owner may: everything to others, writing to the group.
const TOO_MUCH: u32 = 0o027;

/// Reading by the group.
const GROUP_READS: u32 = 0o040;

/// Why a file is no place for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// It belongs to somebody who could have written anything into it.
    Foreign,
    /// Others can read it, or its group can write it.
    Open,
    /// A group can read it that its reader is not in.
    ForeignGroup,
}

impl Exposure {
    /// What is wrong, and the way out.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Foreign => {
                "it belongs neither to root nor to the user that reads it; give it to one of them"
            }
            Self::Open => {
                "others can read it or its group can write it; close it with `chmod g-w,o=`"
            }
            Self::ForeignGroup => {
                "a group can read it that its reader is not in; close it with `chmod g=`"
            }
        }
    }
}

/// What is wrong with a file as a place for a secret, by its owner, group and mode; `None` where it is good.
#[must_use]
pub fn exposure(owner: u32, group: u32, mode: u32) -> Option<Exposure> {
    let user = geteuid().as_raw();
    let is_own_group = || {
        // root is in no group of those that it reads for
        user == 0
            || group == getegid().as_raw()
            || getgroups().is_ok_and(|all| all.iter().any(|one| one.as_raw() == group))
    };
    if owner != 0 && owner != user {
        Some(Exposure::Foreign)
    } else if mode & TOO_MUCH != 0 {
        Some(Exposure::Open)
    } else if mode & GROUP_READS != 0 && !is_own_group() {
        Some(Exposure::ForeignGroup)
    } else {
        None
    }
}

impl SysRoot {
    /// A file that holds a secret and nothing else, without white space around it. Errors never quote it.
    ///
    /// # Errors
    /// [`CollectError`] where it is missing or not readable; denied where [`exposure`] has something against it;
    /// malformed where it is empty, longer than 4 KiB or no UTF-8.
    pub fn read_secret(&self, path: &str) -> Result<String, CollectError> {
        let refused = |reason, detail: &str| CollectError {
            path: machine_path(path),
            line: None,
            reason,
            detail: detail.to_owned(),
        };
        let file = self.open(path)?;
        let stat: Stat = fstat(file.as_fd()).map_err(|errno| os_error(path, errno))?;
        if let Some(why) = exposure(stat.st_uid, stat.st_gid, stat.st_mode) {
            return Err(refused(FailureReason::Denied, why.text()));
        }
        let mut bytes = vec![0; MOST_BYTES + 1];
        let mut length = 0;
        while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
            let read = rustix::io::read(&file, room).map_err(|errno| os_error(path, errno))?;
            if read == 0 {
                break;
            }
            length += read;
        }
        let text = bytes
            .get(..length)
            .and_then(|text| str::from_utf8(text).ok());
        let secret = text.map(str::trim).filter(|text| !text.is_empty());
        match secret {
            Some(secret) if length <= MOST_BYTES => Ok(secret.to_owned()),
            _ => Err(refused(
                FailureReason::Malformed,
                "it is empty, longer than 4 KiB or no text",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_that_others_could_read_is_refused_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let root = SysRoot::new(folder.path());
        write(&path, " hush\n").unwrap();
        for (mode, is_good) in [
            (0o600, true),
            (0o400, true),
            (0o640, true),
            (0o644, false),
            (0o604, false),
            (0o660, false),
            (0o602, false),
        ] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match root.read_secret("secret") {
                Ok(secret) => assert!(is_good && secret == "hush", "{mode:o}"),
                Err(error) => {
                    assert!(!is_good, "{mode:o}: {error}");
                    assert_eq!(error.reason, FailureReason::Denied);
                    assert!(!error.to_string().contains("hush"));
                }
            }
        }
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for text in [Vec::new(), b" \n".to_vec(), vec![b'x'; 4097], vec![0xff]] {
            write(&path, text).unwrap();
            let error = root.read_secret("secret").unwrap_err();
            assert_eq!(error.reason, FailureReason::Malformed);
        }
        let missing = root.read_secret("missing").unwrap_err();
        assert_eq!(missing.reason, FailureReason::Missing);
    }

    #[test]
    fn a_file_of_somebody_else_is_no_secret() {
        let user = geteuid().as_raw();
        assert_eq!(exposure(user + 1, 0, 0o600), Some(Exposure::Foreign));
        assert_eq!(exposure(user, getegid().as_raw(), 0o440), None);
        assert_eq!(exposure(0, 0, 0o100_400), None);
    }
}
