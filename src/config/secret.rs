//! Secrets are read from files of their own, never from the config.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use glasshouse_sysfs::{Exposure, exposure};
use secrecy::SecretString;

/// The longest secret that is read.
const MOST_BYTES: u64 = 4096;

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The file cannot be read.
    #[error("failed to read the secret file `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others can read it, or the group can write it.
    #[error(
        "the secret file `{}` is open to everybody, writable by its group, or readable by a group that its reader is not in (mode {mode:04o}); close it with `chmod go= {}`",
        path.display(), path.display()
    )]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody who could have written anything into it.
    #[error(
        "the secret file `{}` belongs to uid {owner}, neither root nor the user that reads it; give it to one of them",
        path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// There is nothing in it, or too much.
    #[error("the secret file `{}` is empty or longer than {MOST_BYTES} bytes", path.display())]
    Length {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads a secret; white space around it does not count.
///
/// # Errors
/// [`SecretError`] where it cannot be read, is open to everybody, is empty or too long.
pub(crate) fn read(path: &Path) -> Result<SecretString, SecretError> {
    let failed = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let path_of = || path.to_owned();
    match exposure(metadata.uid(), metadata.gid(), metadata.mode()) {
        None => {}
        Some(Exposure::Foreign) => {
            return Err(SecretError::Foreign {
                path: path_of(),
                owner: metadata.uid(),
            });
        }
        Some(Exposure::Open | Exposure::ForeignGroup) => {
            return Err(SecretError::Open {
                path: path_of(),
                mode: metadata.mode() & 0o7777,
            });
        }
    }
    let mut text = String::new();
    file.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let secret = text.trim();
    if secret.is_empty() || text.len() > 4096 {
        return Err(SecretError::Length {
            path: path.to_owned(),
        });
    }
    Ok(SecretString::from(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_secret_that_everybody_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write(&path, " hush\n").unwrap();
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), "hush");
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(SecretError::Open { .. })));
        set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert!(matches!(read(&path), Err(SecretError::Open { .. })));
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write(&path, "\n").unwrap();
        assert!(matches!(read(&path), Err(SecretError::Length { .. })));
    }
}
