//! What the authorization server is told, and why it may refuse to start.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::access::{TASK_SCOPE_PREFIX, TaskDescription};
use secrecy::SecretString;

/// The longest life of an access token: what a revocation takes at a resource that does not ask.
pub(crate) const ACCESS_TOKEN_LIFE_MOST: Duration = Duration::from_secs(300);

/// What the authorization server is told.
#[derive(Clone)]
pub struct AuthdSettings {
    /// Its identifier and base URL, without a slash at the end: `http://127.0.0.1:8766`.
    pub issuer: String,
    /// Where its signing key is, or is made at the first start; nobody else may read there.
    pub key_dir: PathBuf,
    /// Who may sign in.
    pub users: Vec<User>,
    /// The one resource that tokens are for: the exact URL of `/mcp`.
    pub resource: String,
    /// The tasks that the consent page offers.
    pub tasks: Vec<TaskDescription>,
    /// The task that is chosen beforehand where the client names none.
    pub default_task: String,
    /// The scopes, tasks not among them.
    pub scopes: Vec<String>,
    /// Clients that need not register.
    pub clients: Vec<ClientSettings>,
    /// Resource servers that may introspect: id and secret.
    pub resource_servers: Vec<(String, SecretString)>,
    /// Whether a client's metadata document may lie on this machine; for tests and `up` alone.
    pub allow_loopback_cimd: bool,
    /// Certificates (DER) to trust beside the system's when a client's metadata document is fetched: a lab's own CA.
    pub cimd_roots: Vec<Vec<u8>>,
    /// How long access tokens live; more than 300 s is cut to that.
    pub access_token_ttl: Duration,
    /// How long a sign-in lasts for a client that refreshes its tokens, counted from consent.
    pub refresh_token_ttl: Duration,
}

/// A person who may sign in.
#[derive(Clone)]
pub struct User {
    /// The name, which becomes `sub`.
    pub name: String,
    /// The password.
    pub password: SecretString,
}

/// A client that need not register.
#[derive(Clone)]
pub struct ClientSettings {
    /// Its id.
    pub id: String,
    /// What the consent page calls it.
    pub name: String,
    /// Where it may be sent back to. On `127.0.0.1` and `[::1]` the port of a public client may differ.
    pub redirect_uris: Vec<String>,
    /// Its secret; `None` for a public client.
    pub secret: Option<SecretString>,
}

/// Without anybody's secret.
impl fmt::Debug for AuthdSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthdSettings")
            .field("issuer", &self.issuer)
            .field("resource", &self.resource)
            .field("default_task", &self.default_task)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Without the password.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Without the secret.
impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why the authorization server does not run.
#[derive(Debug, thiserror::Error)]
pub enum AuthdError {
    /// The issuer is not one that clients could trust.
    #[error(
        "the issuer `{issuer}` must be https, or http on 127.0.0.1, [::1] or localhost, without path or slash at the end"
    )]
    Issuer {
        /// What was written.
        issuer: String,
    },
    /// The listener is reachable from elsewhere.
    #[error(
        "the authorization server speaks plain http and listens on loopback alone, not on `{address}` (put a TLS proxy in front, or use an external identity provider)"
    )]
    NotLoopback {
        /// Where it would have listened.
        address: SocketAddr,
    },
    /// The default task is none of the tasks.
    #[error("the default task `{task}` is not among the tasks")]
    DefaultTask {
        /// Which.
        task: String,
    },
    /// Text that cannot be a scope, a task or a client.
    #[error("`{text}` cannot be used as {what}")]
    Word {
        /// What was written.
        text: String,
        /// What it should have been.
        what: &'static str,
    },
    /// Two of the same name.
    #[error("`{name}` is listed twice")]
    Twice {
        /// Which name.
        name: String,
    },
    /// The key cannot be read or made.
    #[error("failed to {action} the signing key `{path}`")]
    Key {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key is not to be used.
    #[error("the signing key `{path}` {problem} (remove it, and a new one is made)")]
    BadKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The machine gives no randomness.
    #[error("failed to read random bytes")]
    Random {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The client that fetches metadata documents cannot be made.
    #[error("failed to set up the HTTP client for client metadata documents")]
    Fetcher {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The protocol library does not take the settings.
    #[error("the authorization server's settings do not fit together: {problem}")]
    Protocol {
        /// What it says.
        problem: String,
    },
    /// The listener is broken.
    #[error("failed to listen")]
    Listen {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl AuthdSettings {
    /// Looks through the settings; what comes out of [`crate::run`] later rests on these.
    pub(crate) fn check(&self) -> Result<(), AuthdError> {
        if !is_issuer(&self.issuer) {
            return Err(AuthdError::Issuer {
                issuer: self.issuer.clone(),
            });
        }
        if !self.tasks.iter().any(|task| task.name == self.default_task) {
            return Err(AuthdError::DefaultTask {
                task: self.default_task.clone(),
            });
        }
        let tasks = self.tasks.iter().map(|task| task.name.as_str());
        let tasks_and_scopes = tasks.chain(self.scopes.iter().map(String::as_str));
        if let Some(text) = tasks_and_scopes.clone().find(|text| !is_word(text)) {
            return Err(AuthdError::Word {
                text: text.to_owned(),
                what: "a scope or task",
            });
        }
        let clients = self.clients.iter().map(|client| client.id.as_str());
        let servers = self.resource_servers.iter().map(|(id, _)| id.as_str());
        twice(tasks_and_scopes)?;
        twice(clients.chain(servers))?;
        twice(self.users.iter().map(|user| user.name.as_str()))
    }

    /// Every scope with the tasks: what any client may ask for at most.
    pub(crate) fn catalogue(&self) -> impl Iterator<Item = String> {
        let tasks = self
            .tasks
            .iter()
            .map(|task| format!("{TASK_SCOPE_PREFIX}{}", task.name));
        self.scopes.iter().cloned().chain(tasks)
    }
}

/// Whether the host of a URL is this machine. `localhost` is, by RFC 6761.
pub(crate) fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_issuer(issuer: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(issuer) else {
        return false;
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    safe && url.origin().ascii_serialization() == issuer
}

fn is_word(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}

fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), AuthdError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(AuthdError::Twice {
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}
