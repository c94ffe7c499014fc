//! The accept loop.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::connection::{self, Shared, Signals};
use crate::error::ServeError;
use crate::limits::ServeLimits;
use crate::listener::{ServeSettings, refuse_plain_off_loopback};
use crate::pages::{PageSite, Pages};
use crate::routes::{BoxError, Routes, Site};
use crate::tls::TlsKeeper;

/// Serves until `shutdown` is ready, then lets requests end within [`crate::ServeLimits::shutdown_time`].
///
/// Each permit of `reload` reads the certificate files again: what was accepted before keeps the old configuration, what
/// comes after gets the new one. Where clients are asked for certificates, the connections of before end with the requests
/// that they have, so that authorities that are taken away count no longer. A broken file keeps the old configuration and is logged with its reason.
///
/// The address in `settings` is not looked at; that of `listener` is.
///
/// # Errors
/// [`ServeError`] where the listener is off loopback without TLS, or the certificate cannot be used at the start.
pub async fn run<S, B>(
    settings: ServeSettings,
    listener: TcpListener,
    routes: Routes<S>,
    shutdown: impl Future<Output = ()> + Send,
    reload: Arc<Notify>,
) -> Result<(), ServeError>
where
    S: tower::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    serve_site(settings, listener, routes, shutdown, reload).await
}

/// Serves `/metrics` and `/healthz` as [`run`] serves `/mcp`: with the same limits, and until `shutdown` is ready.
///
/// Off loopback only who has a token of [`crate::PageSource::admit`], or a certificate where they are
/// [`crate::ClientCertificates::Welcome`], sees the page; on loopback everybody on this machine does.
///
/// # Errors
/// As [`run`].
pub async fn run_pages(
    settings: ServeSettings,
    listener: TcpListener,
    pages: Pages,
    shutdown: impl Future<Output = ()> + Send,
    reload: Arc<Notify>,
) -> Result<(), ServeError> {
    let broken = |source| ServeError::Listener { source };
    let address = listener.local_addr().map_err(broken)?;
    let site = PageSite::new(pages, address.ip());
    serve_site(settings, listener, site, shutdown, reload).await
}

/// Serves a site until `shutdown` is ready.
pub(crate) async fn serve_site<S, B>(
    settings: ServeSettings,
    listener: TcpListener,
    site: S,
    shutdown: impl Future<Output = ()> + Send,
    reload: Arc<Notify>,
) -> Result<(), ServeError>
where
    S: Site<B>,
    B: 'static,
{
    let broken = |source| ServeError::Listener { source };
    let address = listener.local_addr().map_err(broken)?;
    refuse_plain_off_loopback(address, settings.tls.as_ref())?;
    listener.set_nonblocking(true).map_err(broken)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
    let shared = Arc::new(Shared {
        tls: settings.tls.map(TlsKeeper::load).transpose()?,
        requests: Arc::new(Semaphore::new(
            settings.limits.requests.min(Semaphore::MAX_PERMITS),
        )),
        limits: settings.limits,
        counters: settings.counters,
    });
    let mut door = Door::new(shared, site);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = reload.notified() => door.reload(),
            Some(_) = door.connections.join_next(), if !door.connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => door.admit(stream, peer.ip()),
                Err(error) => door.rest_after(&error).await,
            },
        }
    }
    drop(listener);
    door.close().await;
    Ok(())
}

/// Lets connections in, or not.
struct Door<S> {
    shared: Arc<Shared>,
    site: S,
    connections: JoinSet<()>,
    peers: Peers,
    stopping: watch::Sender<bool>,
    renewed: watch::Sender<()>,
    last_warning: Option<Instant>,
}

/// At most one warning about refused connections in this time: a flood must not fill the log.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// How long to rest where the system has no descriptor for another connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);

impl<S> Door<S> {
    fn new(shared: Arc<Shared>, site: S) -> Self {
        Self {
            shared,
            site,
            connections: JoinSet::new(),
            peers: Arc::default(),
            stopping: watch::Sender::new(false),
            renewed: watch::Sender::new(()),
            last_warning: None,
        }
    }

    fn admit<B>(&mut self, stream: TcpStream, peer: IpAddr)
    where
        S: Site<B>,
        B: 'static,
    {
        // what has ended counts no more, even if the loop has not seen it yet
        while self.connections.try_join_next().is_some() {}
        if self.connections.len() >= self.shared.limits.connections {
            return self.refuse("limit", self.shared.limits.connections);
        }
        let Some(place) = PeerPlace::take(&self.peers, peer, &self.shared.limits) else {
            return self.refuse("limit_per_peer", self.shared.limits.connections_per_peer);
        };
        self.shared.counters.accept_connection();
        let serving = connection::serve(
            Arc::clone(&self.shared),
            Arc::clone(&place.requests),
            self.site.clone(),
            stream,
            Signals {
                stopping: self.stopping.subscribe(),
                renewed: self.renewed.subscribe(),
            },
        );
        self.connections.spawn(async move {
            let _place = place;
            serving.await;
        });
    }

    /// The stream is dropped by the caller, which closes it.
    fn refuse(&mut self, which: &'static str, limit: usize) {
        let refused = self.shared.counters.refuse_connection();
        if self
            .last_warning
            .is_none_or(|last| last.elapsed() >= WARNING_INTERVAL)
        {
            self.last_warning = Some(Instant::now());
            tracing::warn!(
                which,
                limit,
                refused_total = refused,
                "Too many connections; new ones are closed."
            );
        }
    }

    fn reload(&self) {
        let Some(tls) = &self.shared.tls else { return };
        match tls.reload() {
            Ok(()) => {
                if tls.asks_for_certificates() {
                    self.renewed.send_replace(());
                }
                tracing::info!("The certificate was reloaded.");
            }
            Err(error) => tracing::error!(
                error = %Chain(&error),
                "The certificate was not reloaded; the old one stays in use."
            ),
        }
    }

    async fn rest_after(&self, error: &std::io::Error) {
        tracing::warn!(%error, "A connection could not be accepted.");
        tokio::time::sleep(ACCEPT_REST).await;
    }

    async fn close(mut self) {
        self.stopping.send_replace(true);
        // connections cut themselves at the same time; the margin is for the last of them to be scheduled
        let deadline = self.shared.limits.shutdown_time + Duration::from_secs(1);
        let all = async { while self.connections.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                "Connections were cut at shutdown."
            );
            self.connections.shutdown().await;
        }
    }
}

type Peers = Arc<Mutex<HashMap<IpAddr, Peer>>>;

/// What one address has taken.
struct Peer {
    connections: usize,
    /// One permit a request that is being answered, on any of its connections.
    requests: Arc<Semaphore>,
}

/// One of the connections that a peer may have.
struct PeerPlace {
    peers: Peers,
    peer: IpAddr,
    requests: Arc<Semaphore>,
}

impl PeerPlace {
    fn take(peers: &Peers, peer: IpAddr, limits: &ServeLimits) -> Option<Self> {
        let mut held = peers.lock();
        let taken = held.entry(peer).or_insert_with(|| Peer {
            connections: 0,
            requests: Arc::new(Semaphore::new(limits.requests_per_peer)),
        });
        if taken.connections >= limits.connections_per_peer {
            return None;
        }
        taken.connections += 1;
        Some(Self {
            peers: Arc::clone(peers),
            peer,
            requests: Arc::clone(&taken.requests),
        })
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut held = self.peers.lock();
        if let Some(taken) = held.get_mut(&self.peer) {
            taken.connections -= 1;
            if taken.connections == 0 {
                held.remove(&self.peer);
            }
        }
    }
}

/// An error with everything behind it, for a log line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
