//! `[remote_write]`: where samples are sent on to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_exposition::remote_write::is_label;
use glasshouse_node::{Choice, Credentials, RemoteSettings, SecretSource};

use super::problem::ConfigError;
use super::schema::{Key, Keys, Kind, Meaning, Section};
use super::secret;
use super::table::Table;

/// `[remote_write]`.
#[derive(Clone, Debug)]
pub(crate) struct RemoteWriteConfig {
    /// Where to.
    pub(crate) url: String,
    /// How often.
    pub(crate) interval: Duration,
    /// Samples in a request at most.
    pub(crate) batch_samples: usize,
    /// Patterns of metrics that are sent; all where there are none.
    pub(crate) metrics: Vec<String>,
    /// Patterns of those that are not.
    pub(crate) without_metrics: Vec<String>,
    /// Labels of every series.
    pub(crate) labels: BTreeMap<String, String>,
    /// A name and the file with its password.
    pub(crate) basic: Option<(String, PathBuf)>,
    /// The file with a token.
    pub(crate) bearer: Option<PathBuf>,
    /// Who signs the receiver's certificate.
    pub(crate) ca: Option<PathBuf>,
    /// The node's own certificate and its key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
}

impl RemoteWriteConfig {
    /// What the node is told. Secrets are read when they are used, by the node's own user.
    pub(crate) fn settings(self) -> RemoteSettings {
        let secret = |path: PathBuf| SecretSource::new(move || Ok(secret::read(&path)?));
        let basic = self.basic.map(|(user, path)| Credentials::Basic {
            user,
            password: secret(path),
        });
        let bearer = self.bearer.map(|path| Credentials::Bearer(secret(path)));
        RemoteSettings {
            url: self.url,
            interval: self.interval,
            batch_samples: self.batch_samples,
            choice: Choice {
                only: self.metrics,
                without: self.without_metrics,
            },
            labels: self.labels,
            credentials: basic.or(bearer),
            ca: self.ca,
            certificate: self.certificate,
        }
    }
}

static URL: Key = Key::required(
    "url",
    Kind::Url,
    "\"https://prometheus.example/api/v1/write\"",
    "Where to: the receiver's URL for remote write 1.0. Plain http goes to this machine alone, or see `allow_plain`.",
);
static INTERVAL: Key = Key::with_default(
    "interval",
    Kind::Span("1s", "5m"),
    "\"10s\"",
    "How often what came in is sent. Longer costs less of both sides, and the receiver is that much later.",
);
static BATCH_SAMPLES: Key = Key::with_default(
    "batch_samples",
    Kind::Integer(100, 100_000),
    "10000",
    "Samples in one request at most.",
);
static METRICS: Key = Key::with_default(
    "metrics",
    Kind::TextList,
    "[]",
    "Patterns of the metrics that are sent, by their own names or by those that arrive; `*` stands for any text. Empty: all.",
);
static WITHOUT_METRICS: Key = Key::with_default(
    "without_metrics",
    Kind::TextList,
    "[]",
    "Patterns of the metrics that are not sent.",
);
static USERNAME: Key = Key::optional(
    "username",
    Kind::Text,
    "\"node1\"",
    "Who sends, for receivers that ask for a name and a password.",
);
static PASSWORD_FILE: Key = Key::optional(
    "password_file",
    Kind::Path,
    "\"/etc/glasshouse/remote-write.password\"",
    "The file with the password, read for each request. The node's user has to be able to read it.",
);
static BEARER_TOKEN_FILE: Key = Key::optional(
    "bearer_token_file",
    Kind::Path,
    "\"/etc/glasshouse/remote-write.token\"",
    "The file with a token, in place of name and password. Read for each request.",
);
static CA_FILE: Key = Key::optional(
    "ca_file",
    Kind::Path,
    "\"/etc/glasshouse/tls/receiver-ca.pem\"",
    "Who signs the receiver's certificate, PEM. Left out: whom the system trusts.",
);
static CERTIFICATE_FILE: Key = Key::optional(
    "certificate_file",
    Kind::Path,
    "\"/etc/glasshouse/tls/node.pem\"",
    "The node's own certificate chain, PEM, for receivers that ask for one. Read anew after a request that failed.",
);
static KEY_FILE: Key = Key::optional(
    "key_file",
    Kind::Path,
    "\"/etc/glasshouse/tls/node.key\"",
    "Its key, PEM.",
);
static ALLOW_PLAIN: Key = Key::with_default(
    "allow_plain",
    Kind::Switch,
    "false",
    "Whether samples may leave this machine over plain http, where everybody on the way can read and change them. Passwords and tokens never do.",
);

/// What may stand in `[remote_write]`.
pub(crate) fn sections() -> Vec<Section> {
    vec![
        Section::new(
            &["remote_write"],
            "Sends every sample on to a Prometheus or whoever else takes remote write 1.0. The store is the queue: a receiver that is away gets everything when it is back. Left out: nothing is sent.",
            &[
                &URL,
                &INTERVAL,
                &BATCH_SAMPLES,
                &METRICS,
                &WITHOUT_METRICS,
                &USERNAME,
                &PASSWORD_FILE,
                &BEARER_TOKEN_FILE,
                &CA_FILE,
                &CERTIFICATE_FILE,
                &KEY_FILE,
                &ALLOW_PLAIN,
            ],
        ),
        Section {
            path: vec!["remote_write", "labels"],
            help: Cow::Borrowed(
                "Labels of every series that is sent, beside those of [labels], and beside or in place of `job` (glasshouse), `instance` (the name of the host) and `node_id`.",
            ),
            keys: Keys::Free(Kind::Text, "cluster = \"berlin\""),
        },
    ]
}

/// Reads `[remote_write]`; `place` is what stands in `[labels]`.
///
/// # Errors
/// [`ConfigError::Wrong`] where keys do not fit together, or secrets or samples would go where everybody can read them.
pub(crate) fn build(
    table: Table<'_>,
    place: BTreeMap<String, String>,
) -> Result<Option<RemoteWriteConfig>, ConfigError> {
    let Some(url) = table.text(&URL) else {
        return Ok(None);
    };
    let basic = pair(table, &USERNAME, &PASSWORD_FILE)?;
    let basic = basic.and_then(|()| table.text(&USERNAME).zip(table.path(&PASSWORD_FILE)));
    let certificate = pair(table, &CERTIFICATE_FILE, &KEY_FILE)?;
    let certificate =
        certificate.and_then(|()| table.path(&CERTIFICATE_FILE).zip(table.path(&KEY_FILE)));
    let bearer = table.path(&BEARER_TOKEN_FILE);
    if basic.is_some() && bearer.is_some() {
        let message = "a receiver takes either a token or a name with a password".to_owned();
        refuse(table, &BEARER_TOKEN_FILE, message, "leave out one of them")?;
    }
    check_url(table, &url, basic.is_some() || bearer.is_some())?;
    // what is no label to Prometheus is told where the operator meant it for Prometheus; places have names of their own
    let mut labels: BTreeMap<String, String> = place
        .into_iter()
        .filter(|(name, _)| is_label(name))
        .collect();
    for (name, value) in table.table("labels").texts() {
        if !is_label(&name) {
            let message = format!("`{name}` in [remote_write.labels] is no name of a label");
            let help = "write letters, digits and `_`, a letter first, not `__`";
            refuse(table, &URL, message, help)?;
        }
        labels.insert(name, value);
    }
    Ok(Some(RemoteWriteConfig {
        url,
        interval: table.span(&INTERVAL).unwrap_or_default(),
        batch_samples: match table.meaning(&BATCH_SAMPLES) {
            Some(Meaning::Integer(samples)) => usize::try_from(samples).unwrap_or(1),
            _ => 1,
        },
        metrics: table.text_list(&METRICS),
        without_metrics: table.text_list(&WITHOUT_METRICS),
        labels,
        basic,
        bearer,
        ca: table.path(&CA_FILE),
        certificate,
    }))
}

/// Two keys of which either both are written or none.
fn pair(table: Table<'_>, one: &Key, other: &Key) -> Result<Option<()>, ConfigError> {
    let is_written = |key: &Key| table.meaning(key).is_some();
    for (key, missing) in [(one, other), (other, one)] {
        if is_written(key) && !is_written(missing) {
            let message = format!("`{}` is written without `{}`", key.name, missing.name);
            refuse(table, key, message, "write both, or none")?;
        }
    }
    Ok(is_written(one).then_some(()))
}

fn check_url(table: Table<'_>, url: &str, has_secret: bool) -> Result<(), ConfigError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok(());
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        let message = "`url` holds a name or a password, which everybody can read here".to_owned();
        let help = "write `username` and `password_file`";
        return refuse(table, &URL, message, help);
    }
    if scheme == "https" || is_loopback(authority) {
        return Ok(());
    }
    if has_secret {
        let message = "a password or a token would go over plain http, for everybody to read";
        let help = "write an https:// URL; `allow_plain` holds for samples alone";
        return refuse(table, &URL, message.to_owned(), help);
    }
    if !table.is_on(&ALLOW_PLAIN) {
        let message = "samples would leave this machine over plain http".to_owned();
        let help = "write an https:// URL, or `allow_plain = true` where the network is yours";
        return refuse(table, &URL, message, help);
    }
    Ok(())
}

/// Whether `HOST[:PORT]` is this machine, whatever a resolver says.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_address = |address: IpAddr| address.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_address)
}

fn refuse(table: Table<'_>, key: &Key, message: String, help: &str) -> Result<(), ConfigError> {
    Err(table
        .problem(key, message, help)
        .unwrap_or(ConfigError::Wrong {
            problems: Vec::new(),
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        for here in [
            "localhost",
            "localhost:9090",
            "127.0.0.1:1",
            "127.8.0.1",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for away in [
            "10.0.0.1",
            "localhost.example",
            "127.0.0.1.example:80",
            "[::2]:80",
            "",
        ] {
            assert!(!is_loopback(away), "{away}");
        }
    }
}
