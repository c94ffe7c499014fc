//! What the sender is told.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::Choice;

/// What the sender is told.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Where to, `http` or `https`.
    pub url: String,
    /// How often what came in is sent.
    pub interval: Duration,
    /// Samples in one request at most.
    pub batch_samples: usize,
    /// Which metrics.
    pub choice: Choice,
    /// Labels of every series, beside or in place of `job`, `instance` and `node_id`.
    pub labels: BTreeMap<String, String>,
    /// How the sender says who it is.
    pub credentials: Option<Credentials>,
    /// Who signs the receiver's certificate, PEM; `None` asks the system.
    pub ca: Option<PathBuf>,
    /// The sender's own certificate chain and its key, PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// How the sender says who it is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A token.
    Bearer(SecretSource),
}

/// Where a secret comes from. It is asked before each request, because tokens in files are replaced.
#[derive(Clone)]
pub struct SecretSource(Arc<Ask>);

type Ask = dyn Fn() -> Result<SecretString, Box<dyn Error + Send + Sync>> + Send + Sync;

impl SecretSource {
    /// A secret that this reads.
    pub fn new<F>(ask: F) -> Self
    where
        F: Fn() -> Result<SecretString, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    {
        Self(Arc::new(ask))
    }

    pub(super) fn ask(&self) -> Result<SecretString, Box<dyn Error + Send + Sync>> {
        (self.0)()
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSource")
    }
}
