//! Secrets that `up` makes: each a file of its own that one user can read.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::OFlags;

use super::state::open_flags;
use crate::config::secret::{self, SecretError};
use crate::exit::Failure;
use crate::privileges::Account;

/// Random bytes of a secret: 160 bits, out of reach of guessing.
const RANDOM_BYTES: usize = 20;
/// Letters and digits that are not mistaken for each other when they are typed.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A new secret of letters and digits.
pub(crate) fn make() -> Result<String, Failure> {
    let mut random = [0; RANDOM_BYTES * 8 / 5];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("failed to read `/dev/urandom`")
        .map_err(Failure::environment)?;
    // five bits of each byte choose a letter, all equally likely
    let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).copied();
    Ok(random.iter().filter_map(letter).map(char::from).collect())
}

/// Writes a secret to a file that is the supervisor's and that only this role can read: the supervisor believes no file
/// that a role can write when it is started again.
pub(crate) fn write(path: &Path, secret: &str, reader: Option<Account>) -> Result<(), Failure> {
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(open_flags(OFlags::NOFOLLOW))
            .open(path)?;
        // an older file may have been opened up
        file.set_permissions(Permissions::from_mode(0o600))?;
        if let Some(reader) = reader {
            fchown(&file, Some(0), Some(reader.gid))?;
            file.set_permissions(Permissions::from_mode(0o640))?;
        }
        writeln!(file, "{secret}")
    };
    written()
        .with_context(|| format!("failed to write `{}`", path.display()))
        .map_err(Failure::environment)
}

/// The secret in a file, made there where it is missing.
pub(crate) fn keep(path: &Path, reader: Option<Account>) -> Result<String, Failure> {
    use secrecy::ExposeSecret as _;

    if path.exists() {
        match secret::read(path) {
            Ok(kept) => return Ok(kept.expose_secret().to_owned()),
            // one that a role can write is no secret of the supervisor's; there will be another
            Err(SecretError::Foreign { .. }) if reader.is_some() => {
                std::fs::remove_file(path)
                    .with_context(|| format!("failed to remove `{}`", path.display()))
                    .map_err(Failure::environment)?;
            }
            Err(error) => return Err(Failure::environment(error)),
        }
    }
    let secret = make()?;
    write(path, &secret, reader)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = keep(&path, None).unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(keep(&path, None).unwrap(), secret);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(make().unwrap(), secret);
    }

    #[test]
    fn a_secret_for_a_role_outlives_the_supervisor_and_is_not_the_roles_to_write() {
        use std::os::unix::fs::{MetadataExt as _, chown};

        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give files away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let reader = Some(Account {
            uid: 64805,
            gid: 64805,
        });
        let secret = keep(&path, reader).unwrap();
        assert_eq!(keep(&path, reader).unwrap(), secret);
        let metadata = path.metadata().unwrap();
        let owners = (metadata.uid(), metadata.gid(), metadata.mode() & 0o777);
        assert_eq!(owners, (0, 64805, 0o640));
        chown(&path, Some(64805), None).unwrap();
        assert_ne!(keep(&path, reader).unwrap(), secret);
    }
}
