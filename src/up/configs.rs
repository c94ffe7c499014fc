//! The configs of the roles, one file each, so that no role reads what is another's.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::OFlags;
use serde_json::{Value, json};

use super::accounts::Accounts;
use super::ports::Ports;
use super::secrets;
use super::state::{State, open_flags};
use crate::exit::Failure;
use crate::privileges::Account;

/// Who can sign in.
pub(crate) const USER: &str = "operator";
/// The client that need not register.
pub(crate) const CLIENT_ID: &str = "glasshouse-local";
/// Where its codes may be sent; the port may be any. The paths are those that clients commonly use.
pub(crate) const REDIRECT_URIS: &[&str] = &[
    "http://127.0.0.1/callback",
    "http://[::1]/callback",
    "http://127.0.0.1/oauth/callback",
];
/// As whom the face asks whether a token still holds.
const FACE_ID: &str = "glasshouse-serve";

/// What somebody who wants to connect has to know.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The URL of `/mcp`.
    pub(crate) mcp: String,
    /// The authorization server.
    pub(crate) issuer: String,
    /// The password of [`USER`].
    pub(crate) password: String,
}

/// Writes the configs and the secrets that they name.
pub(crate) fn write(
    state: &State,
    ports: &Ports,
    accounts: Option<&Accounts>,
) -> Result<Setup, Failure> {
    let serve = accounts.map(|all| all.serve);
    let authd = accounts.map(|all| all.authd);
    let setup = Setup {
        mcp: format!("http://{}/mcp", ports.serve_address),
        issuer: format!("http://{}", ports.authd_address),
        password: secrets::keep(&state.path("secrets/password"), authd)?,
    };
    // both ends are started here, so a new one each time is as good as an old one
    let introspection = secrets::make()?;
    secrets::write(
        &state.path("secrets/introspection-serve"),
        &introspection,
        serve,
    )?;
    secrets::write(
        &state.path("secrets/introspection-authd"),
        &introspection,
        authd,
    )?;
    let configs = [
        ("probe", probe(state), accounts.map(|all| all.probe)),
        ("node", node(state), accounts.map(|all| all.node)),
        ("serve", face(state, ports, &setup), serve),
        ("authd", authorization(state, ports, &setup), authd),
    ];
    for (role, config, account) in configs {
        write_config(&state.path(&format!("run/{role}.toml")), &config, account)?;
    }
    Ok(setup)
}

fn probe(state: &State) -> Value {
    json!({ "frames": state.path("run/frames") })
}

fn node(state: &State) -> Value {
    json!({
        "state_dir": state.folder(),
        "node": {
            "frames": state.path("run/frames"),
            "checkpoint_key": state.path("node/checkpoint.key"),
        },
    })
}

fn face(state: &State, ports: &Ports, setup: &Setup) -> Value {
    json!({
        "state_dir": state.folder(),
        "serve": {
            "listen": ports.serve_address,
            "resource": setup.mcp,
            "allowed_hosts": [
                ports.serve_address.to_string(),
                format!("localhost:{}", ports.serve_address.port()),
            ],
            "issuers": { "local": {
                "issuer": setup.issuer,
                "introspection": {
                    "client_id": FACE_ID,
                    "client_secret_file": state.path("secrets/introspection-serve"),
                },
            } },
        },
    })
}

fn authorization(state: &State, ports: &Ports, setup: &Setup) -> Value {
    json!({
        "state_dir": state.folder(),
        "authd": {
            "listen": ports.authd_address,
            "issuer": setup.issuer,
            "resource": setup.mcp,
            "key_dir": state.path("authd"),
            "loopback_client_metadata": true,
            "users": { USER: { "password_file": state.path("secrets/password") } },
            "clients": { CLIENT_ID: {
                "name": "A client on this machine",
                "redirect_uris": REDIRECT_URIS,
            } },
            "resource_servers": { FACE_ID: {
                "secret_file": state.path("secrets/introspection-authd"),
            } },
        },
    })
}

/// Writes a config that root owns and one role can read.
fn write_config(path: &Path, config: &Value, reader: Option<Account>) -> Result<(), Failure> {
    let written = || -> anyhow::Result<()> {
        let text = toml::to_string(config)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(open_flags(OFlags::NOFOLLOW))
            .open(path)?;
        writeln!(
            file,
            "# Written by `glasshouse up` at each start; put changes into {}/*.toml.",
            path.with_extension("d").display()
        )?;
        file.write_all(text.as_bytes())?;
        if let Some(reader) = reader {
            fchown(&file, None, Some(reader.gid))?;
            file.set_permissions(Permissions::from_mode(0o640))?;
        }
        Ok(())
    };
    written()
        .with_context(|| format!("failed to write `{}`", path.display()))
        .map_err(Failure::environment)
}
