//! The signing key: P-256, made at the first start, readable by its owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use oauth_as::EcdsaP256Key;

use crate::random;
use crate::settings::AuthdError;

/// PKCS#8 in DER.
const FILE_NAME: &str = "signing-key.der";

/// A P-256 key in PKCS#8 has 138 bytes; what is much larger is something else.
const FILE_MOST_BYTES: u64 = 1024;

/// How often a key is drawn before the randomness is called broken; one draw in 2^32 is no key.
const DRAWS_MOST: usize = 16;

/// Loads the key, or makes one.
///
/// # Errors
/// [`AuthdError::Key`] and [`AuthdError::BadKey`], the latter also where others may read the file.
pub(crate) fn load_or_create(folder: &Path) -> Result<EcdsaP256Key, AuthdError> {
    let path = folder.join(FILE_NAME);
    let failed = |action: &'static str| {
        let path = path.clone();
        move |source: io::Error| AuthdError::Key {
            action,
            path,
            source,
        }
    };
    match read(&path) {
        Ok(Some(der)) => named(&path, &der),
        Ok(None) => Err(AuthdError::BadKey {
            path,
            problem: "can be read by others, or is no plain file",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = draw().map_err(|source| AuthdError::Random { source })?;
            let der = key.to_pkcs8_der().map_err(|_| AuthdError::BadKey {
                path: path.clone(),
                problem: "cannot be encoded",
            })?;
            write(folder, &path, &der).map_err(failed("write"))?;
            tracing::info!(path = %path.display(), "A new signing key was made.");
            named(&path, &der)
        }
        Err(error) => Err(failed("read")(error)),
    }
}

/// The key under the id that is its RFC 7638 thumbprint, so that another key never has the same name.
fn named(path: &Path, der: &[u8]) -> Result<EcdsaP256Key, AuthdError> {
    let parsed = |id: String| {
        EcdsaP256Key::from_pkcs8_der(id, der).map_err(|_| AuthdError::BadKey {
            path: path.to_owned(),
            problem: "is no P-256 key in PKCS#8",
        })
    };
    let thumbprint = parsed(String::new())?.public_jwk().thumbprint();
    parsed(thumbprint)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(no_follow)
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.mode() & 0o077 != 0 {
        return Ok(None);
    }
    let mut der = Vec::new();
    file.take(FILE_MOST_BYTES).read_to_end(&mut der)?;
    Ok(Some(der))
}

/// Written beside and linked into place, so that a half-written key is never found, and never replaces one.
fn write(folder: &Path, path: &Path, der: &[u8]) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let beside = folder.join(format!("{FILE_NAME}.new"));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(der)?;
    file.sync_all()?;
    fs::hard_link(&beside, path)?;
    fs::remove_file(&beside)?;
    File::open(folder)?.sync_all()
}

fn draw() -> io::Result<EcdsaP256Key> {
    for _ in 0..DRAWS_MOST {
        if let Ok(key) = EcdsaP256Key::from_scalar_bytes("", &random::bytes()?) {
            return Ok(key);
        }
    }
    Err(io::Error::other("the kernel's random bytes make no key"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("authd");
        let first = load_or_create(&keys).unwrap();
        let path = keys.join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&keys).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 1);
        assert_eq!(load_or_create(&keys).unwrap().kid(), first.kid());
        assert_eq!(first.kid().len(), 43);
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        load_or_create(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            load_or_create(folder.path()),
            Err(AuthdError::BadKey { .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"rubbish").unwrap();
        assert!(matches!(
            load_or_create(folder.path()),
            Err(AuthdError::BadKey { .. })
        ));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(matches!(
            load_or_create(folder.path()),
            Err(AuthdError::Key { .. })
        ));
    }
}
