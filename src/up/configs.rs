//! The configs of the roles, one file each, so that no role reads what is another's.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use anyhow::Context as _;
use glasshouse_core::worker::Worker;
use glasshouse_serve::METRICS_PATH;
use rustix::fs::OFlags;
use serde_json::{Map, Value, json};

use super::accounts::Accounts;
use super::ports::Ports;
use super::secrets;
use super::state::{APART, State, open_flags, worker_frames};
use crate::config::layers;
use crate::config::probe_file::{self, ProbeConfig};
use crate::exit::Failure;
use crate::places::config_failure;
use crate::privileges::Account;
use crate::registry;

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
    /// The metrics for Prometheus.
    pub(crate) metrics: String,
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
        metrics: format!("http://{}{METRICS_PATH}", ports.metrics_address),
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
    let workers = APART.iter().map(|worker| {
        let frames = state.path(&worker_frames(*worker));
        (worker.word().to_owned(), json!(frames))
    });
    let workers: Map<String, Value> = workers.collect();
    json!({ "frames": state.path("run/frames"), "workers": workers })
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
            "metrics": { "listen": ports.metrics_address },
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

/// The name under which what the caller of `up` says about the probe stands among the drop-ins. It comes last.
const GIVEN: &str = "zz-given-to-up.toml";

/// Layers what the caller says about the probe over its config.
pub(crate) fn give_to_probe(
    state: &State,
    given: Option<&Path>,
    accounts: Option<&Accounts>,
) -> Result<(), Failure> {
    let reader = accounts.map(|all| all.probe);
    let drop_ins = state.path("run/probe.d");
    let place = drop_ins.join(GIVEN);
    let Some(given) = given else {
        return remove(&place);
    };
    // said with the caller's own path, before a copy of it is what is wrong
    probe_file::load(given, &registry::collectors()).map_err(config_failure)?;
    let text = read(given)?;
    make_folder(&drop_ins)?;
    write_file(&place, &text, reader)
}

/// What the probe reads, for a worker that has a user of its own: a copy of the config and of its drop-ins.
pub(crate) fn copy_for_worker(
    state: &State,
    worker: Worker,
    accounts: Option<&Accounts>,
) -> Result<(), Failure> {
    let reader = accounts.map(|all| all.worker(worker));
    let probe = state.path("run/probe.toml");
    let copy = state.path(&format!("run/{}.toml", worker_role(worker)));
    write_file(&copy, &read(&probe)?, reader)?;
    let folder = copy.with_extension("d");
    let wanted = layers::drop_ins(&probe).map_err(config_failure)?;
    for stale in layers::drop_ins(&copy).map_err(config_failure)? {
        remove(&stale)?;
    }
    for drop_in in wanted {
        make_folder(&folder)?;
        if let Some(name) = drop_in.file_name() {
            write_file(&folder.join(name), &read(&drop_in)?, reader)?;
        }
    }
    Ok(())
}

/// What the probe will read.
pub(crate) fn load_probe(state: &State) -> Result<ProbeConfig, Failure> {
    let path = state.path("run/probe.toml");
    probe_file::load(&path, &registry::collectors()).map_err(config_failure)
}

/// The name of a worker that the supervisor starts, in its log and its config.
pub(crate) const fn worker_role(worker: Worker) -> &'static str {
    match worker {
        Worker::Gpu => "probe-gpu",
        Worker::Ipmi => "probe-ipmi",
        Worker::Bmc => "probe-bmc",
        Worker::Privileged => "probe-privileged",
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .with_context(|| format!("failed to read `{}`", path.display()))
        .map_err(Failure::environment)
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("failed to remove `{}`", path.display()))
            .map_err(Failure::environment),
        _ => Ok(()),
    }
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error)
            .with_context(|| format!("failed to make `{}`", path.display()))
            .map_err(Failure::environment),
        _ => Ok(()),
    }
}

/// Writes a config that root owns and one role can read.
fn write_config(path: &Path, config: &Value, reader: Option<Account>) -> Result<(), Failure> {
    let text = toml::to_string(config)
        .with_context(|| format!("failed to write `{}`", path.display()))
        .map_err(Failure::environment)?;
    let text = format!(
        "# Written by `glasshouse up` at each start; put changes into {}/*.toml.\n{text}",
        path.with_extension("d").display()
    );
    write_file(path, &text, reader)
}

/// Writes a file that root owns and one role can read.
fn write_file(path: &Path, text: &str, reader: Option<Account>) -> Result<(), Failure> {
    let written = || -> anyhow::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(open_flags(OFlags::NOFOLLOW))
            .open(path)?;
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
