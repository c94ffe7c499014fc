//! `[authd]`: the built-in authorization server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::schema::{ANY, Key, Kind, Section};
use super::table::Table;

/// `[authd]`.
#[derive(Clone, Debug)]
pub(crate) struct AuthdConfig {
    /// Where it listens.
    pub(crate) listen: Option<SocketAddr>,
    /// Its identifier.
    pub(crate) issuer: String,
    /// The exact URL of `/mcp` for which it issues tokens.
    pub(crate) resource: String,
    /// Where its signing key is.
    pub(crate) key_dir: PathBuf,
    /// The task that the consent page proposes.
    pub(crate) default_task: String,
    /// How long an access token lives.
    pub(crate) access_token_lifetime: Duration,
    /// How long a sign-in lasts.
    pub(crate) sign_in_lifetime: Duration,
    /// Whether client metadata documents may be fetched from loopback addresses.
    pub(crate) loopback_client_metadata: bool,
    /// Who can sign in: name and the file with the password.
    pub(crate) users: Vec<(String, PathBuf)>,
    /// Clients that are known beforehand.
    pub(crate) clients: Vec<ClientConfig>,
    /// Who may ask whether a token still holds: id and the file with the secret.
    pub(crate) resource_servers: Vec<(String, PathBuf)>,
}

/// `[authd.clients.ID]`.
#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    /// Its id.
    pub(crate) client_id: String,
    /// What the consent page calls it.
    pub(crate) name: Option<String>,
    /// Where a code may be sent.
    pub(crate) redirect_uris: Vec<String>,
}

static LISTEN: Key = Key::with_default(
    "listen",
    Kind::Address,
    "\"127.0.0.1:8766\"",
    "Where it listens; loopback only.",
);
static ISSUER: Key = Key::optional(
    "issuer",
    Kind::Url,
    "\"http://127.0.0.1:8766\"",
    "Its identifier. Left out: made from `listen`.",
);
static RESOURCE: Key = Key::required(
    "resource",
    Kind::Url,
    "\"http://127.0.0.1:8765/mcp\"",
    "The exact URL of /mcp for which it issues tokens.",
);
static KEY_DIR: Key = Key::with_default(
    "key_dir",
    Kind::Path,
    "\"/var/lib/glasshouse/authd\"",
    "Where its signing key is; made where it is missing.",
);
static DEFAULT_TASK: Key = Key::with_default(
    "default_task",
    Kind::Text,
    "\"node-health\"",
    "The task that the consent page proposes.",
);
static ACCESS_TOKEN_LIFETIME: Key = Key::with_default(
    "access_token_lifetime",
    Kind::Span("10s", "5m"),
    "\"5m\"",
    "How long an access token lives.",
);
static SIGN_IN_LIFETIME: Key = Key::with_default(
    "sign_in_lifetime",
    Kind::Span("5m", "30d"),
    "\"12h\"",
    "How long a sign-in lasts for a client that refreshes its tokens.",
);
static LOOPBACK_CLIENT_METADATA: Key = Key::with_default(
    "loopback_client_metadata",
    Kind::Switch,
    "false",
    "Whether client metadata documents may be fetched from loopback addresses: only where nothing else listens there.",
);
static PASSWORD_FILE: Key = Key::required(
    "password_file",
    Kind::Path,
    "\"/etc/glasshouse/alice.password\"",
    "The file with the password.",
);
static NAME: Key = Key::optional(
    "name",
    Kind::Text,
    "\"Operations notebook\"",
    "What the consent page calls it.",
);
static REDIRECT_URIS: Key = Key::required(
    "redirect_uris",
    Kind::TextList,
    "[\"http://127.0.0.1/callback\"]",
    "Where a code may be sent. The port of 127.0.0.1 and [::1] may vary.",
);
static SECRET_FILE: Key = Key::required(
    "secret_file",
    Kind::Path,
    "\"/etc/glasshouse/introspection.secret\"",
    "The file with its secret.",
);

/// What may stand in `[authd]`.
pub(crate) fn sections() -> Vec<Section> {
    vec![
        Section::new(
            &["authd"],
            "The built-in authorization server: for a lab or one machine. Without this table it does not start.",
            &[
                &LISTEN,
                &ISSUER,
                &RESOURCE,
                &KEY_DIR,
                &DEFAULT_TASK,
                &ACCESS_TOKEN_LIFETIME,
                &SIGN_IN_LIFETIME,
                &LOOPBACK_CLIENT_METADATA,
            ],
        ),
        Section::new(
            &["authd", "users", ANY],
            "Who can sign in; a table for each person.",
            &[&PASSWORD_FILE],
        ),
        Section::new(
            &["authd", "clients", ANY],
            "Clients that are known beforehand; a table for each client id.",
            &[&NAME, &REDIRECT_URIS],
        ),
        Section::new(
            &["authd", "resource_servers", ANY],
            "Who may ask whether a token still holds; a table for each id.",
            &[&SECRET_FILE],
        ),
    ]
}

/// Reads `[authd]`.
pub(crate) fn build(authd: Table<'_>) -> Option<AuthdConfig> {
    if !authd.is_written() {
        return None;
    }
    let listen = authd.address(&LISTEN);
    let issuer = || listen.map_or_else(String::new, |listen| format!("http://{listen}"));
    Some(AuthdConfig {
        listen,
        issuer: authd.text(&ISSUER).unwrap_or_else(issuer),
        resource: authd.text(&RESOURCE)?,
        key_dir: authd.path(&KEY_DIR)?,
        default_task: authd.text(&DEFAULT_TASK)?,
        access_token_lifetime: authd.span(&ACCESS_TOKEN_LIFETIME)?,
        sign_in_lifetime: authd.span(&SIGN_IN_LIFETIME)?,
        loopback_client_metadata: authd.is_on(&LOOPBACK_CLIENT_METADATA),
        users: files(authd.table("users"), &PASSWORD_FILE),
        clients: authd
            .table("clients")
            .tables()
            .map(|(id, client)| ClientConfig {
                client_id: id.to_owned(),
                name: client.text(&NAME),
                redirect_uris: client.text_list(&REDIRECT_URIS),
            })
            .collect(),
        resource_servers: files(authd.table("resource_servers"), &SECRET_FILE),
    })
}

fn files(tables: Table<'_>, key: &'static Key) -> Vec<(String, PathBuf)> {
    tables
        .tables()
        .filter_map(|(name, table)| Some((name.to_owned(), table.path(key)?)))
        .collect()
}
