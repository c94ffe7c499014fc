//! The listener: loopback alone, a bounded number of connections, each with deadlines, and an orderly end.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::time::{Clock, SystemClock};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::endpoints::router;
use crate::flow::Authd;
use crate::settings::{AuthdError, AuthdSettings};
use crate::wall_clock::WallClock;

/// The most connections at a time; one more waits.
const CONNECTIONS_MOST: usize = 256;

/// The longest that a request's head may take to arrive, and a connection may lie idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(15);

/// The most bytes of a request's head.
const HEAD_MOST_BYTES: usize = 32 * 1024;

/// How long requests may still take once the server is to stop.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// How often expired grants are dropped: well inside the minute that a code lives.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// The rest after a failed `accept`, so that a full table of descriptors does not make a busy loop.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is done.
///
/// # Errors
/// [`AuthdError`] for settings, the key and the listener; nothing that a client does ends the server.
pub async fn run(
    settings: AuthdSettings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), AuthdError> {
    run_with(settings, listener, shutdown, Arc::new(SystemClock)).await
}

/// The same with a clock of the caller's.
pub(crate) async fn run_with(
    settings: AuthdSettings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
    clock: Arc<dyn Clock>,
) -> Result<(), AuthdError> {
    let failed = |source| AuthdError::Listen { source };
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        return Err(AuthdError::NotLoopback { address });
    }
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let issuer = settings.issuer.clone();
    let authd = Arc::new(Authd::new(settings, WallClock(clock)).await?);
    tracing::warn!(issuer, %address, "The built-in authorization server keeps grants in memory: this start has revoked all earlier ones.");
    let (stop, stopping) = watch::channel(());
    let mut tasks = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &authd, &mut tasks, &stopping) => {}
        () = sweep(&authd) => {}
        () = shutdown => {}
    }
    drop(listener);
    drop(stop);
    let ended = tokio::time::timeout(END_DEADLINE, async {
        while tasks.join_next().await.is_some() {}
    })
    .await;
    if ended.is_err() {
        tracing::warn!("Some requests were cut off at the end.");
    }
    Ok(())
}

async fn sweep(authd: &Authd) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tick.tick().await;
        authd.sweep().await;
    }
}

async fn accept(
    listener: &tokio::net::TcpListener,
    authd: &Arc<Authd>,
    tasks: &mut JoinSet<()>,
    stopping: &watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let service = TowerToHyperService::new(router(Arc::clone(authd)));
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tasks.spawn(serve(stream, service.clone(), stopping.clone(), place));
            }
            Err(error) => {
                tracing::debug!(%error, "A connection could not be taken.");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    mut stopping: watch::Receiver<()>,
    place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_MOST_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection broke.");
    }
    drop(place);
}
