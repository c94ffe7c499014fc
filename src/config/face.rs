//! `[serve]`: the face.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::problem::ConfigError;
use super::schema::{ANY, Key, Keys, Kind, Section};
use super::table::Table;

/// `[serve]`.
#[derive(Clone, Debug)]
pub(crate) struct FaceConfig {
    /// Where it listens.
    pub(crate) listen: Option<SocketAddr>,
    /// The exact URL of `/mcp`.
    pub(crate) resource: String,
    /// The folder of the policies; without one those built in hold.
    pub(crate) policies: Option<PathBuf>,
    /// The task that a challenge proposes.
    pub(crate) default_task: String,
    /// `Host` values that are served.
    pub(crate) allowed_hosts: Vec<String>,
    /// `Origin` values that are served.
    pub(crate) allowed_origins: Vec<String>,
    /// What the audit log may take on disk.
    pub(crate) audit_most_bytes: u64,
    /// The listener of `/metrics` and `/healthz`.
    pub(crate) metrics: Option<MetricsConfig>,
    /// Certificate and key.
    pub(crate) tls: Option<TlsConfig>,
    /// Whose tokens are taken.
    pub(crate) issuers: Vec<IssuerConfig>,
    /// Groups and who is in them.
    pub(crate) groups: BTreeMap<String, Vec<String>>,
}

/// `[serve.metrics]`.
#[derive(Clone, Debug)]
pub(crate) struct MetricsConfig {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Who signs the certificates of those who may read without a token, PEM.
    pub(crate) client_ca: Option<PathBuf>,
}

/// `[serve.tls]`.
#[derive(Clone, Debug)]
pub(crate) struct TlsConfig {
    /// The certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
    /// Who signs clients' certificates, PEM.
    pub(crate) client_ca: Option<PathBuf>,
}

/// `[serve.issuers.NAME]`.
#[derive(Clone, Debug)]
pub(crate) struct IssuerConfig {
    /// Its identifier, to the letter.
    pub(crate) issuer: String,
    /// Where its keys are.
    pub(crate) jwks_uri: Option<String>,
    /// The claim that names groups.
    pub(crate) groups_claim: Option<String>,
    /// How to ask whether a token still holds.
    pub(crate) introspection: Option<IntrospectionConfig>,
}

/// `[serve.issuers.NAME.introspection]`.
#[derive(Clone, Debug)]
pub(crate) struct IntrospectionConfig {
    /// Where.
    pub(crate) endpoint: Option<String>,
    /// Who asks.
    pub(crate) client_id: String,
    /// The file with its secret.
    pub(crate) client_secret_file: PathBuf,
}

static LISTEN: Key = Key::with_default(
    "listen",
    Kind::Address,
    "\"127.0.0.1:8765\"",
    "Where MCP clients connect. Off loopback only with [serve.tls].",
);
static RESOURCE: Key = Key::optional(
    "resource",
    Kind::Url,
    "\"https://node1.example/mcp\"",
    "The exact URL of /mcp as clients reach it: the audience of every token. Left out: made from `listen`.",
);
static POLICIES: Key = Key::optional(
    "policies",
    Kind::Path,
    "\"/etc/glasshouse/policies\"",
    "The folder of the policies. Left out: those that are built in.",
);
static DEFAULT_TASK: Key = Key::with_default(
    "default_task",
    Kind::Text,
    "\"node-health\"",
    "The task that is proposed to a client that comes without one.",
);
static ALLOWED_HOSTS: Key = Key::with_default(
    "allowed_hosts",
    Kind::TextList,
    "[]",
    "Values of the Host header that are served, NAME or NAME:PORT. Empty: that of `resource` alone.",
);
static ALLOWED_ORIGINS: Key = Key::with_default(
    "allowed_origins",
    Kind::TextList,
    "[]",
    "Web pages (values of the Origin header) that are served. Empty: none.",
);
static AUDIT_MOST_BYTES: Key = Key::with_default(
    "audit_most_bytes",
    Kind::Size,
    "\"1GiB\"",
    "What the audit log may take on disk. Once it is full every call is refused: archive it before, or raise this.",
);
static METRICS_LISTEN: Key = Key::required(
    "listen",
    Kind::Address,
    "\"127.0.0.1:8767\"",
    "Where they are. On loopback everybody on this machine may read. Off loopback [serve.tls] is needed, and /metrics wants a token with the scope metrics:read, or a certificate of `client_ca`; /healthz is open.",
);
static METRICS_CLIENT_CA: Key = Key::optional(
    "client_ca",
    Kind::Path,
    "\"/etc/glasshouse/tls/prometheus.pem\"",
    "Who signs the certificates of those who may read without a token, PEM. Left out: only a token opens /metrics, and clients' certificates are demanded as in [serve.tls].",
);
static CERTIFICATE: Key = Key::required(
    "certificate",
    Kind::Path,
    "\"/etc/glasshouse/tls/certificate.pem\"",
    "The certificate chain, PEM. Read again at SIGHUP.",
);
static KEY: Key = Key::required(
    "key",
    Kind::Path,
    "\"/etc/glasshouse/tls/key.pem\"",
    "Its key, PEM.",
);
static CLIENT_CA: Key = Key::optional(
    "client_ca",
    Kind::Path,
    "\"/etc/glasshouse/tls/clients.pem\"",
    "Who signs clients' certificates, PEM. Left out: clients need none.",
);
static ISSUER: Key = Key::required(
    "issuer",
    Kind::Url,
    "\"https://id.example/realms/operations\"",
    "Its identifier, to the letter.",
);
static JWKS_URI: Key = Key::optional(
    "jwks_uri",
    Kind::Url,
    "\"https://id.example/keys\"",
    "Where its keys are. Left out: its metadata says so.",
);
static GROUPS_CLAIM: Key = Key::optional(
    "groups_claim",
    Kind::Text,
    "\"groups\"",
    "The claim of its tokens that names a person's groups.",
);
static ENDPOINT: Key = Key::optional(
    "endpoint",
    Kind::Url,
    "\"https://id.example/introspect\"",
    "Where to ask. Left out: its metadata says so.",
);
static CLIENT_ID: Key = Key::required(
    "client_id",
    Kind::Text,
    "\"glasshouse-serve\"",
    "As whom to ask.",
);
static CLIENT_SECRET_FILE: Key = Key::required(
    "client_secret_file",
    Kind::Path,
    "\"/etc/glasshouse/introspection.secret\"",
    "The file with the secret for it.",
);

/// What may stand in `[serve]`.
pub(crate) fn sections() -> Vec<Section> {
    vec![
        Section::new(
            &["serve"],
            "The face: the one process that clients talk to.",
            &[
                &LISTEN,
                &RESOURCE,
                &POLICIES,
                &DEFAULT_TASK,
                &ALLOWED_HOSTS,
                &ALLOWED_ORIGINS,
                &AUDIT_MOST_BYTES,
            ],
        ),
        Section::new(
            &["serve", "metrics"],
            "/metrics for Prometheus and /healthz for load balancers, on a listener of their own. Without this table there is none.",
            &[&METRICS_LISTEN, &METRICS_CLIENT_CA],
        ),
        Section::new(
            &["serve", "tls"],
            "Certificate and key of the face.",
            &[&CERTIFICATE, &KEY, &CLIENT_CA],
        ),
        Section::new(
            &["serve", "issuers", ANY],
            "Whose tokens are taken; a table for each issuer, named as you like. Without any, everything is refused.",
            &[&ISSUER, &JWKS_URI, &GROUPS_CLAIM],
        ),
        Section::new(
            &["serve", "issuers", ANY, "introspection"],
            "How to ask this issuer whether a token still holds. Without it tokens may live five minutes at most.",
            &[&ENDPOINT, &CLIENT_ID, &CLIENT_SECRET_FILE],
        ),
        Section {
            path: vec!["serve", "groups"],
            help: Cow::Borrowed(
                "Groups and who is in them, by `sub`. Where several issuers are trusted write \"ISSUER SUBJECT\".",
            ),
            keys: Keys::Free(Kind::TextList, "sre = [\"alice\", \"bob\"]"),
        },
    ]
}

/// Reads `[serve]`.
///
/// # Errors
/// [`ConfigError::Wrong`] where a URL has no path `/mcp`.
pub(crate) fn build(serve: Table<'_>) -> Result<FaceConfig, ConfigError> {
    let tls = serve.table("tls");
    let listen = serve.address(&LISTEN);
    let written = serve.text(&RESOURCE);
    if let Some(url) = &written
        && !url.ends_with("/mcp")
    {
        let message = format!("`resource` is `{url}`, which does not end in /mcp");
        let help = "write the exact URL of /mcp as clients reach it";
        return serve
            .problem(&RESOURCE, message, help)
            .map_or_else(|| build_with(serve, listen, url.clone()), Err);
    }
    let scheme = if tls.is_written() { "https" } else { "http" };
    let made = || listen.map_or_else(String::new, |listen| format!("{scheme}://{listen}/mcp"));
    build_with(serve, listen, written.unwrap_or_else(made))
}

fn build_with(
    serve: Table<'_>,
    listen: Option<SocketAddr>,
    resource: String,
) -> Result<FaceConfig, ConfigError> {
    Ok(FaceConfig {
        listen,
        resource,
        policies: serve.path(&POLICIES),
        default_task: serve.text(&DEFAULT_TASK).unwrap_or_default(),
        allowed_hosts: serve.text_list(&ALLOWED_HOSTS),
        allowed_origins: serve.text_list(&ALLOWED_ORIGINS),
        audit_most_bytes: serve.size(&AUDIT_MOST_BYTES).unwrap_or_default(),
        metrics: build_metrics(serve)?,
        tls: build_tls(serve.table("tls")),
        issuers: serve
            .table("issuers")
            .tables()
            .filter_map(|(_, table)| build_issuer(table))
            .collect(),
        groups: serve.table("groups").lists(),
    })
}

/// A certificate that nobody can show is a mistake worth telling.
fn build_metrics(serve: Table<'_>) -> Result<Option<MetricsConfig>, ConfigError> {
    let metrics = serve.table("metrics");
    let Some(listen) = metrics.address(&METRICS_LISTEN) else {
        return Ok(None);
    };
    let client_ca = metrics.path(&METRICS_CLIENT_CA);
    if client_ca.is_some() && !serve.table("tls").is_written() {
        let message = "`client_ca` is of no use without TLS".to_owned();
        let help = "add [serve.tls] with `certificate` and `key`, or leave it out";
        if let Some(error) = metrics.problem(&METRICS_CLIENT_CA, message, help) {
            return Err(error);
        }
    }
    Ok(Some(MetricsConfig { listen, client_ca }))
}

fn build_tls(tls: Table<'_>) -> Option<TlsConfig> {
    Some(TlsConfig {
        certificate: tls.path(&CERTIFICATE)?,
        key: tls.path(&KEY)?,
        client_ca: tls.path(&CLIENT_CA),
    })
}

fn build_issuer(table: Table<'_>) -> Option<IssuerConfig> {
    let asked = table.table("introspection");
    Some(IssuerConfig {
        issuer: table.text(&ISSUER)?,
        jwks_uri: table.text(&JWKS_URI),
        groups_claim: table.text(&GROUPS_CLAIM),
        introspection: asked
            .text(&CLIENT_ID)
            .zip(asked.path(&CLIENT_SECRET_FILE))
            .map(|(client_id, client_secret_file)| IntrospectionConfig {
                endpoint: asked.text(&ENDPOINT),
                client_id,
                client_secret_file,
            }),
    })
}
