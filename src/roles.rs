//! A role from its start to its end: give up rights, read the config, run, stop when told to.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use glasshouse_core::worker::{Station, Worker};
use glasshouse_probe::Output;
use glasshouse_serve::ServeSettings;
use rustix::fs::{FileType, fstat};
use rustix::process::{Signal, geteuid};
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin, stdout};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::cli::{Global, RoleArguments};
use crate::config::main_file::MainConfig;
use crate::exit::{Exit, Failure};
use crate::places::{ConfigFiles, config_failure};
use crate::privileges::{
    Account, Keep, become_account, end_with, keep_only, leave_session, lock_down,
};
use crate::wiring;

/// Threads of the face that answer; reading the store has threads of its own.
const FACE_THREADS: usize = 2;
/// Threads that read the store at the same time, so that a burst of questions does not become a burst of memory.
const FACE_READERS: usize = 16;
/// A thread without work ends after this.
const IDLE_THREAD: Duration = Duration::from_secs(10);

/// Gives up rights. Comes first in `main`, while there is one thread.
///
/// `end` is what ends a supervised role when its supervisor is gone. It leaves the supervisor's session first: a role
/// that shares a terminal with root could type into it.
pub(crate) fn enter(arguments: &RoleArguments, keep: Keep, end: Signal) -> Result<(), Failure> {
    if arguments.supervised_by.is_some() {
        leave_session().map_err(Failure::environment)?;
    }
    if let Some(text) = &arguments.run_as {
        let account = Account::parse(text)
            .with_context(|| format!("`--run-as {text}` names no user that a role may have"))
            .map_err(Failure::usage)?;
        become_account(account, &usable_groups(&arguments.groups)?, keep)
            .map_err(Failure::environment)?;
    } else {
        keep_only(keep).map_err(Failure::environment)?;
    }
    lock_down().map_err(Failure::environment)?;
    if let Some(parent) = arguments.supervised_by {
        end_with(parent, end).map_err(Failure::environment)?;
    }
    Ok(())
}

/// The supplementary groups that a role may have: never root's.
fn usable_groups(groups: &[u32]) -> Result<Vec<u32>, Failure> {
    if groups.contains(&0) {
        let error = anyhow::anyhow!("`--groups` names the group of root");
        return Err(Failure::usage(error));
    }
    Ok(groups.to_vec())
}

/// The probe.
pub(crate) fn probe(global: &Global) -> Result<Exit, Failure> {
    let files = ConfigFiles::find(global.config.as_deref());
    let config = files.load_probe().map_err(config_failure)?;
    let settings = wiring::probe_settings(config, files.probe.as_deref(), &global.log);
    until_told(move |stop| glasshouse_probe::run(settings, stop))
}

/// A worker of the probe.
pub(crate) fn worker(global: &Global, worker: Worker) -> Result<Exit, Failure> {
    let files = ConfigFiles::find(global.config.as_deref());
    let config = files.load_probe().map_err(config_failure)?;
    if worker == Worker::Bmc {
        refuse_root("probe bmc")?;
    }
    let output = match worker.station() {
        Station::Child => Output::Pipe(pipe_on_stdout(worker)?),
        Station::Apart => Output::Fifo(wiring::worker_frames(&config, worker)),
    };
    let settings = wiring::worker_settings(config, worker);
    until_told(move |stop| glasshouse_probe::run_worker(settings, output, stop))
}

/// The pipe that the probe reads. On a terminal or in a file frames would be of no use to anybody.
fn pipe_on_stdout(worker: Worker) -> Result<OwnedFd, Failure> {
    let output = stdout()
        .try_clone_to_owned()
        .map_err(Failure::environment)?;
    let mode = fstat(&output)
        .map_err(|error| Failure::environment(std::io::Error::from(error)))?
        .st_mode;
    if FileType::from_raw_mode(mode) == FileType::Fifo {
        return Ok(output);
    }
    let word = worker.word();
    let error = anyhow::anyhow!("`glasshouse probe {word}` writes frames to the probe's pipe");
    Err(Failure::usage(error).help(
        "the probe starts it by itself where its hardware is; `glasshouse collect --once` prints what it reads",
    ))
}

/// The node.
pub(crate) fn node(global: &Global) -> Result<Exit, Failure> {
    let settings = wiring::node_settings(load(global)?);
    until_told(move |stop| glasshouse_node::run(settings, stop))
}

/// The face.
pub(crate) fn serve(global: &Global, arguments: &RoleArguments) -> Result<Exit, Failure> {
    let config = load(global)?;
    let settings = wiring::serve_settings(&config.serve)?;
    let listener = if arguments.listener_on_stdin {
        listener_on(Stream::Input)?
    } else {
        glasshouse_serve::bind(&settings).map_err(wiring::serve_failure)?
    };
    let metrics = match wiring::metrics_settings(&config.serve) {
        None => None,
        Some(settings) if arguments.metrics_on_stdout => {
            Some((settings, listener_on(Stream::Output)?))
        }
        Some(settings) => {
            let listener = glasshouse_serve::bind(&settings).map_err(wiring::serve_failure)?;
            Some((settings, listener))
        }
    };
    let face = wiring::Face::build(config)?;
    refuse_root("serve")?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(FACE_THREADS)
        .max_blocking_threads(FACE_READERS)
        .thread_keep_alive(IDLE_THREAD)
        .enable_all()
        .build()
        .map_err(Failure::environment)?;
    let served = runtime.block_on(listen(&face, (settings, listener), metrics));
    // a page that a disk holds up is not waited for
    runtime.shutdown_timeout(IDLE_THREAD);
    served
}

/// A listener and how it listens.
type Bound = (ServeSettings, TcpListener);

/// Both listeners, until the process is told to stop.
async fn listen(
    face: &wiring::Face,
    (settings, listener): Bound,
    metrics: Option<Bound>,
) -> Result<Exit, Failure> {
    let stop = Stop::listen()?;
    let (tell, told) = watch::channel(false);
    let stopped = || {
        let mut told = told.clone();
        // an error says that nobody is left to tell
        async move { drop(told.wait_for(|stop| *stop).await) }
    };
    let reload = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let swap = face.reload_on(hang_ups()?, &reload);
    let [reload_mcp, reload_metrics] = reload.each_ref().map(Arc::clone);
    let counters = Arc::clone(&settings.counters);
    tracing::info!(resource = face.resource(), "The face answers.");
    let mcp = glasshouse_serve::run(settings, listener, face.routes(), stopped(), reload_mcp);
    let pages = async {
        let Some((settings, listener)) = metrics else {
            return Ok(());
        };
        let listeners = [
            ("mcp", counters),
            ("metrics", Arc::clone(&settings.counters)),
        ];
        let pages = face.pages(listeners);
        glasshouse_serve::run_pages(settings, listener, pages, stopped(), reload_metrics).await
    };
    let stopping = async {
        stop.told().await;
        tell.send_replace(true);
        std::future::pending().await
    };
    tokio::select! {
        () = swap => Ok(Exit::Done),
        () = stopping => Ok(Exit::Done),
        served = async { tokio::try_join!(mcp, pages) } => {
            served.map(|_| Exit::Done).map_err(wiring::serve_failure)
        }
    }
}

/// The built-in authorization server.
pub(crate) fn authd(global: &Global, arguments: &RoleArguments) -> Result<Exit, Failure> {
    let config = load(global)?;
    let (listen, settings) = wiring::authd_settings(&config)?;
    let listener = if arguments.listener_on_stdin {
        listener_on(Stream::Input)?
    } else {
        TcpListener::bind(listen)
            .with_context(|| format!("failed to listen on `{listen}`"))
            .map_err(Failure::environment)?
    };
    refuse_root("authd")?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(IDLE_THREAD)
        .build()
        .map_err(Failure::environment)?;
    runtime.block_on(async {
        let stop = Stop::listen()?;
        let _ignored = hang_ups()?;
        glasshouse_authd::run(settings, listener, stop.told())
            .await
            .map(|()| Exit::Done)
            .map_err(Failure::environment)
    })
}

/// What strangers talk to, or what talks to them, never runs as root.
fn refuse_root(role: &str) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let error = anyhow::anyhow!("`{role}` talks to the network and does not run as root");
    Err(Failure::environment(error).help(format!(
        "start it as a user of its own, such as glasshouse-{}, or add `--run-as UID:GID`",
        role.trim_start_matches("probe ")
    )))
}

fn load(global: &Global) -> Result<MainConfig, Failure> {
    let files = ConfigFiles::find(global.config.as_deref());
    let mut config = files.load_main().map_err(config_failure)?;
    if let Some(folder) = &global.state_dir {
        config.state_dir.clone_from(folder);
    }
    Ok(config)
}

/// Runs a blocking role until it ends or is told to. Signals set a flag: no runtime and no socket comes to these roles.
fn until_told<E>(run: impl FnOnce(Arc<AtomicBool>) -> Result<(), E>) -> Result<Exit, Failure>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    // caught so that it does not end the role; these roles read their config at their start only
    let hung_up = Arc::new(AtomicBool::new(false));
    for (signal, flag) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &hung_up)] {
        flag::register(signal, Arc::clone(flag)).map_err(Failure::environment)?;
    }
    run(stop).map(|()| Exit::Done).map_err(Failure::environment)
}

/// Where the supervisor put a listening socket.
#[derive(Clone, Copy)]
enum Stream {
    Input,
    Output,
}

/// The listening socket that the supervisor gave; the stream is `/dev/null` afterwards.
fn listener_on(stream: Stream) -> Result<TcpListener, Failure> {
    let take = || -> std::io::Result<TcpListener> {
        let owned = match stream {
            Stream::Input => stdin().try_clone_to_owned()?,
            Stream::Output => stdout().try_clone_to_owned()?,
        };
        let listener = TcpListener::from(owned);
        listener.local_addr()?;
        listener.set_nonblocking(true)?;
        match stream {
            Stream::Input => dup2_stdin(File::open("/dev/null")?)?,
            Stream::Output => dup2_stdout(File::options().write(true).open("/dev/null")?)?,
        }
        Ok(listener)
    };
    let name = match stream {
        Stream::Input => "standard input",
        Stream::Output => "standard output",
    };
    take()
        .with_context(|| format!("failed to take a listener from {name}"))
        .map_err(Failure::environment)
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::environment);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn hang_ups() -> Result<tokio::signal::unix::Signal, Failure> {
    signal(SignalKind::hangup()).map_err(Failure::environment)
}
