//! Starting the roles, starting again what dies, and stopping in order.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use glasshouse_core::worker::Worker;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::accounts::Accounts;
use super::configs::worker_role;
use super::devices;
use super::log_lines;
use super::ports::Ports;
use super::state::State;
use crate::exit::Failure;
use crate::privileges::Account;

/// The wait before a role that died is started again. It doubles with each death that comes soon …
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// … up to this, which an operator who mended something can wait for …
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// … and is the first again after a run of this: a role that crashes at its start is left alone more and more, one that
/// is killed now and then is back at once.
const RECOVERED_AFTER: Duration = Duration::from_secs(1);
/// How long a role may take to stop before it is killed: the node seals its head, the face ends its requests.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// Deaths that nobody has looked at yet; only the first counts.
const DEATHS: usize = 8;

/// How a role is started.
#[derive(Debug)]
pub(crate) struct RoleCommand {
    name: &'static str,
    arguments: Vec<OsString>,
    listener: Option<TcpListener>,
    /// Of the face's metrics.
    metrics: Option<TcpListener>,
    /// It may end whenever a device hangs, and is no reason to give up.
    is_worker: bool,
}

/// The commands of the roles, in the order in which they are stopped: first who is asked, then who reads, then who
/// writes.
pub(crate) fn commands(
    state: &State,
    ports: &Ports,
    accounts: Option<&Accounts>,
    workers: &[Worker],
    log: &str,
) -> Result<Vec<RoleCommand>, Failure> {
    let duplicate = |listener: &TcpListener| listener.try_clone().map_err(Failure::environment);
    let command = |name: &'static str, account: Option<Account>, listener: Option<TcpListener>| {
        let config = state.path(&format!("run/{name}.toml"));
        let mut arguments: Vec<OsString> = vec![
            name.into(),
            "--config".into(),
            config.into(),
            "--log".into(),
            log.into(),
            "--supervised-by".into(),
            std::process::id().to_string().into(),
        ];
        if let Some(account) = account {
            let account = format!("{}:{}", account.uid, account.gid);
            arguments.extend(["--run-as".into(), account.into()]);
        }
        if listener.is_some() {
            arguments.push("--listener-on-stdin".into());
        }
        RoleCommand {
            name,
            arguments,
            listener,
            metrics: None,
            is_worker: false,
        }
    };
    let mut probe = command("probe", accounts.map(|all| all.probe), None);
    if accounts.is_some() {
        probe.arguments.extend(group_arguments());
    }
    let mut serve = command(
        "serve",
        accounts.map(|all| all.serve),
        Some(duplicate(&ports.serve)?),
    );
    serve.arguments.push("--metrics-on-stdout".into());
    serve.metrics = Some(duplicate(&ports.metrics)?);
    let mut commands = vec![
        serve,
        command(
            "authd",
            accounts.map(|all| all.authd),
            Some(duplicate(&ports.authd)?),
        ),
    ];
    commands.extend(workers.iter().map(|worker| {
        let account = accounts.map(|all| all.worker(*worker));
        let mut command = command(worker_role(*worker), account, None);
        command.be_worker(*worker);
        command
    }));
    commands.push(probe);
    commands.push(command("node", accounts.map(|all| all.node), None));
    Ok(commands)
}

impl RoleCommand {
    /// Makes the command that of a worker, whose role is the probe's.
    fn be_worker(&mut self, worker: Worker) {
        self.is_worker = true;
        self.arguments
            .splice(..1, ["probe".into(), worker.word().into()]);
    }
}

/// The groups of devices that the probe's children ask.
fn group_arguments() -> Vec<OsString> {
    let groups = devices::groups(Path::new("/dev"));
    if groups.is_empty() {
        return Vec::new();
    }
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    vec!["--groups".into(), groups.join(",").into()]
}

/// What the keeper of a role is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    /// Read the config again; the number makes each wish differ from the one before.
    Reload(u64),
    Stop,
}

/// A role that ended although nobody asked it to.
#[derive(Debug)]
struct Death {
    role: &'static str,
    status: ExitStatus,
}

/// The roles that run.
#[derive(Debug)]
pub(crate) struct Supervisor {
    keepers: Vec<(watch::Sender<Wish>, JoinHandle<()>)>,
    deaths: mpsc::Receiver<Death>,
    reloads: u64,
}

impl Supervisor {
    /// Starts the roles.
    pub(crate) fn start(roles: Vec<RoleCommand>) -> Self {
        let (tell, deaths) = mpsc::channel(DEATHS);
        let keepers = roles
            .into_iter()
            .map(|role| {
                let (wishes, wish) = watch::channel(Wish::Run);
                (wishes, tokio::spawn(keep(role, wish, tell.clone())))
            })
            .collect();
        Self {
            keepers,
            deaths,
            reloads: 0,
        }
    }

    /// Waits for a role that cannot run: it ended because of its config or its surroundings.
    pub(crate) async fn fatal(&mut self) -> Failure {
        loop {
            let Some(death) = self.deaths.recv().await else {
                return std::future::pending().await;
            };
            let error = anyhow::anyhow!(
                "`{}` could not start; its last log line says why",
                death.role
            );
            match death.status.code() {
                Some(2) => return Failure::usage(error),
                Some(3) => return Failure::environment(error),
                _ => {}
            }
        }
    }

    /// From now on deaths are for the keepers alone.
    pub(crate) fn settle(&mut self) {
        self.deaths.close();
    }

    /// Passes SIGHUP on.
    pub(crate) fn reload(&mut self) {
        self.reloads = self.reloads.wrapping_add(1);
        for (wishes, _) in &self.keepers {
            wishes.send_replace(Wish::Reload(self.reloads));
        }
    }

    /// Stops the roles one after the other, each within its deadline.
    pub(crate) async fn stop(self) {
        for (wishes, keeper) in self.keepers {
            wishes.send_replace(Wish::Stop);
            if let Err(error) = keeper.await {
                tracing::error!(%error, "A keeper broke.");
            }
        }
    }
}

/// Keeps one role running until it is to stop.
async fn keep(role: RoleCommand, mut wish: watch::Receiver<Wish>, deaths: mpsc::Sender<Death>) {
    let mut wait = FIRST_WAIT;
    while *wish.borrow_and_update() != Wish::Stop {
        let started = Instant::now();
        match start(&role) {
            Ok(child) => match watch_over(role.name, child, &mut wish).await {
                None => return,
                Some(status) => {
                    if started.elapsed() >= RECOVERED_AFTER {
                        wait = FIRST_WAIT;
                    }
                    tracing::warn!(role = role.name, %status, again_in = ?wait, "A role died.");
                    if !role.is_worker {
                        // a full channel holds an earlier death, which says as much
                        drop(deaths.try_send(Death {
                            role: role.name,
                            status,
                        }));
                    }
                }
            },
            Err(error) => {
                tracing::error!(role = role.name, error = format!("{error:#}"), again_in = ?wait, "A role could not be started.");
            }
        }
        let stopping =
            async { while wish.changed().await.is_ok() && *wish.borrow() != Wish::Stop {} };
        if timeout(wait, stopping).await.is_ok() {
            return;
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

/// Waits until the role ends by itself (its status) or was stopped (`None`).
async fn watch_over(
    role: &'static str,
    mut child: Child,
    wish: &mut watch::Receiver<Wish>,
) -> Option<ExitStatus> {
    loop {
        tokio::select! {
            ended = child.wait() => return ended.ok().or_else(|| Some(ExitStatus::default())),
            changed = wish.changed() => {
                let now = if changed.is_ok() { *wish.borrow_and_update() } else { Wish::Stop };
                match now {
                    Wish::Run => {}
                    Wish::Reload(_) => signal(&child, Signal::HUP),
                    Wish::Stop => {
                        stop(role, child).await;
                        return None;
                    }
                }
            }
        }
    }
}

async fn stop(role: &'static str, mut child: Child) {
    signal(&child, Signal::TERM);
    match timeout(STOP_DEADLINE, child.wait()).await {
        Ok(Ok(status)) if status.success() => tracing::info!(role, "A role stopped."),
        Ok(Ok(status)) => tracing::warn!(role, %status, "A role stopped with an error."),
        Ok(Err(error)) => tracing::error!(role, %error, "A role was lost."),
        Err(_) => {
            tracing::error!(role, deadline = ?STOP_DEADLINE, "A role did not stop in time and is killed.");
            if let Err(error) = child.kill().await {
                tracing::error!(role, %error, "A role could not be killed.");
            }
        }
    }
    // what it logged last is still on its way
    sleep(Duration::from_millis(20)).await;
}

fn signal(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = id.and_then(Pid::from_raw)
        && let Err(error) = kill_process(pid, signal)
    {
        tracing::warn!(%error, "A role could not be signalled.");
    }
}

/// Starts a role from this very executable, without this process's environment. The role takes a session of its own
/// (see `roles::enter`), so that Ctrl-C comes to the supervisor alone.
fn start(role: &RoleCommand) -> anyhow::Result<Child> {
    let stream = |listener: &Option<TcpListener>| -> anyhow::Result<Stdio> {
        Ok(match listener {
            Some(listener) => Stdio::from(OwnedFd::from(listener.try_clone()?)),
            None => Stdio::null(),
        })
    };
    let mut child = Command::new("/proc/self/exe")
        .arg0("glasshouse")
        .args(&role.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(stream(&role.listener)?)
        .stdout(stream(&role.metrics)?)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start `/proc/self/exe`")?;
    if let Some(log) = child.stderr.take() {
        tokio::spawn(log_lines::forward(role.name, log));
    }
    tracing::debug!(role = role.name, pid = child.id(), "A role was started.");
    Ok(child)
}
