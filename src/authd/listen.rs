//! The listener: loopback alone, a bounded number of connections, each with deadlines, and an orderly end.

use std::future::{Future, IntoFuture as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::time::{Clock, SystemClock};
use tokio::sync::oneshot;

use crate::connection::BoundedListener;
use crate::endpoints::router;
use crate::flow::Authd;
use crate::settings::{AuthdError, AuthdSettings};
use crate::wall_clock::WallClock;

/// How long requests may still take once the server is to stop.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// How often expired grants are dropped: well inside the minute that a code lives.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

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
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(BoundedListener::new(listener), router(Arc::clone(&authd)))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        ended = serving.as_mut() => return ended.map_err(failed),
        () = sweep(&authd) => {}
        () = shutdown => {}
    }
    drop(stop);
    match tokio::time::timeout(END_DEADLINE, serving).await {
        Ok(ended) => ended.map_err(failed),
        Err(_) => {
            tracing::warn!("Some requests were cut off at the end.");
            Ok(())
        }
    }
}

async fn sweep(authd: &Authd) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tick.tick().await;
        authd.sweep().await;
    }
}
