//! `glasshouse up`: every role on this machine's loopback interface, each as a process of its own.
//!
//! The supervisor makes the state folder, binds the ports, writes the configs, starts the roles from its own
//! executable and starts again what dies. Under root every role gets a user of its own; the supervisor stays root, and
//! therefore reads nothing that a role or a client sends it.

mod accounts;
mod configs;
mod devices;
mod holder;
mod log_lines;
mod ports;
mod ready;
mod report;
mod secrets;
mod state;
mod supervise;

use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::collector::Presence;
use glasshouse_core::worker::Worker;
use rustix::process::geteuid;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::accounts::Accounts;
use self::ports::Ports;
use self::ready::Readiness;
use self::state::{APART, State};
use self::supervise::Supervisor;
use crate::cli::{Global, Up};
use crate::exit::{Exit, Failure};

/// Where root keeps the state: the roles' users must be able to get there, and they cannot get into root's home.
const ROOT_STATE: &str = "/var/lib/glasshouse";
/// How long the roles may take to answer at the start.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Runs until it is told to stop.
pub(crate) fn run(global: &Global, arguments: &Up) -> Result<Exit, Failure> {
    if global.config.is_some() {
        let error =
            anyhow::anyhow!("`up` writes the config of its roles itself and takes no `--config`");
        return Err(Failure::usage(error).help(
            "run the roles one by one with `--config`, name a file for the probe with `--probe-config`, or put drop-ins into the folders run/*.d of the state folder",
        ));
    }
    let accounts = if geteuid().is_root() {
        Some(Accounts::look_up()?)
    } else {
        tracing::warn!(
            "Started by an ordinary user: all roles share this one user, and the kernel does not keep them apart. Start as root to give each its own."
        );
        None
    };
    let ports = Ports::bind(arguments.listen)?;
    let state = State::prepare(&state_folder(global)?, accounts.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::environment)?;
    runtime.block_on(supervise(global, arguments, accounts, ports, state))
}

async fn supervise(
    global: &Global,
    arguments: &Up,
    accounts: Option<Accounts>,
    ports: Ports,
    state: State,
) -> Result<Exit, Failure> {
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let mut hang_up = listen_for(SignalKind::hangup())?;
    let setup = configs::write(&state, &ports, accounts.as_ref())?;
    configs::give_to_probe(&state, arguments.probe_config.as_deref(), accounts.as_ref())?;
    let workers = wanted_workers(&state, accounts.as_ref())?;
    let roles = supervise::commands(&state, &ports, accounts.as_ref(), &workers, &global.log)?;
    let readiness = Readiness::new(&state, &ports);
    let mut supervisor = Supervisor::start(roles);
    let outcome = tokio::select! {
        ready = readiness.wait(READY_DEADLINE) => ready,
        failed = supervisor.fatal() => Err(failed),
        _ = terminate.recv() => Ok(ready::Outcome::Stopped),
        _ = interrupt.recv() => Ok(ready::Outcome::Stopped),
    };
    let ended = match outcome {
        Ok(ready::Outcome::Ready) => {
            report::ready(&setup, &state, arguments.json).map(|()| Exit::Done)
        }
        Ok(ready::Outcome::Stopped) => {
            supervisor.stop().await;
            return Ok(Exit::Done);
        }
        Err(failure) => Err(failure),
    };
    if ended.is_ok() {
        supervisor.settle();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => supervisor.reload(),
            }
        }
        tracing::info!("Stopping.");
    }
    supervisor.stop().await;
    ended
}

/// The workers that have something to read and have to be started here, with their configs.
fn wanted_workers(state: &State, accounts: Option<&Accounts>) -> Result<Vec<Worker>, Failure> {
    let config = configs::load_probe(state)?;
    let mut wanted = Vec::new();
    for worker in APART {
        let is_wanted = config.collectors.iter().any(|collector| {
            let spec = collector.spec;
            collector.enabled
                && spec.worker() == Some(*worker)
                && spec.look(&config.root, &collector.options) == Presence::Present
        });
        if is_wanted {
            configs::copy_for_worker(state, *worker, accounts)?;
            wanted.push(*worker);
        }
    }
    Ok(wanted)
}

fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(Failure::environment)
}

/// The state folder: what was asked for, else one that suits the user.
fn state_folder(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(folder) = &global.state_dir {
        return std::path::absolute(folder).map_err(Failure::environment);
    }
    if geteuid().is_root() {
        tracing::info!(
            state = ROOT_STATE,
            "The state folder is the one for all users, because the roles' users cannot get into root's home."
        );
        return Ok(PathBuf::from(ROOT_STATE));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME")
        .or_else(home)
        .map(|states| states.join("glasshouse"))
        .ok_or_else(|| {
            Failure::usage(anyhow::anyhow!(
                "neither XDG_STATE_HOME nor HOME says where state is kept"
            ))
            .help("name a folder with `--state-dir`")
        })
}
