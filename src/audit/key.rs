//! The key that the node signs checkpoints with (Ed25519, PKCS#8).

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustix::fs::OFlags;

use crate::error::AuditError;
use crate::text::{hex, unhex};

/// The largest key file: a PKCS#8 of this kind has 83 bytes.
const MOST_KEY_BYTES: u64 = 1024;

/// What is signed is nothing but this.
const PURPOSE: &[u8] = b"glasshouse audit checkpoint 1\n";

/// The signing key.
pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    /// Reads the key, or makes one where there is none.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, AuditError> {
        match Self::load(path) {
            Err(AuditError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Self::create(path)
            }
            loaded => loaded,
        }
    }

    fn load(path: &Path) -> Result<Self, AuditError> {
        let failed = AuditError::io("read the checkpoint key", path);
        let file = std::fs::File::open(path).map_err(&failed)?;
        if file.metadata().map_err(&failed)?.mode() & 0o077 != 0 {
            return Err(wrong(
                path,
                "can be read by others; run chmod 0600 on it, and replace it if anybody did",
            ));
        }
        let mut bytes = Vec::new();
        file.take(MOST_KEY_BYTES)
            .read_to_end(&mut bytes)
            .map_err(&failed)?;
        Ed25519KeyPair::from_pkcs8(&bytes).map(Self).map_err(|_| {
            wrong(
                path,
                "is no Ed25519 key in PKCS#8; move it away to get a new one",
            )
        })
    }

    fn create(path: &Path) -> Result<Self, AuditError> {
        let made = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
            .map_err(|_| wrong(path, "cannot be made: the system has no randomness"))?;
        // a half-written key must not be taken for one
        let partial = path.with_extension("new");
        let left_over = match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let written = left_over
            .and_then(|()| {
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .custom_flags(no_follow)
                    .open(&partial)
            })
            .and_then(|mut file| {
                file.write_all(made.as_ref())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&partial, path));
        written.map_err(AuditError::io("write the checkpoint key", path))?;
        Self::load(path)
    }

    /// The public half, in digits.
    pub(crate) fn public(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    /// Signs, in digits.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        hex(self.0.sign(&[PURPOSE, body].concat()).as_ref())
    }
}

/// Whether this key signed that.
pub(crate) fn verify(public: &str, body: &[u8], signature: &str) -> bool {
    let (Some(public), Some(signature)) = (unhex(public), unhex(signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, public)
        .verify(&[PURPOSE, body].concat(), &signature)
        .is_ok()
}

fn wrong(path: &Path, detail: &str) -> AuditError {
    AuditError::Key {
        path: path.display().to_string(),
        detail: detail.to_owned(),
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.public())
    }
}
