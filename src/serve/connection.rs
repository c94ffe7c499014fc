//! One connection: what it has in flight, and when it has taken too long.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::limits::ServeLimits;
use crate::linger::Lingering;
use crate::routes::{BoxError, McpService, Routes, answer};
use crate::tls::TlsKeeper;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: ServeLimits,
    pub(crate) tls: Option<TlsKeeper>,
    /// One permit a request that is being answered.
    pub(crate) requests: Arc<Semaphore>,
}

/// How long an answer may still be written, and a closing connection linger, before it is cut.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Serves one connection to its end.
pub(crate) async fn serve<S, B>(
    shared: Arc<Shared>,
    routes: Routes<S>,
    stream: TcpStream,
    stopping: watch::Receiver<bool>,
) where
    S: McpService<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    // answers are one write; without this the last packet of each may wait 40 ms
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "The connection ended before it began.");
        return;
    }
    let Some(tls) = &shared.tls else {
        return drive(shared, routes, stream, stopping).await;
    };
    let handshake = tls.acceptor().accept(stream);
    match tokio::time::timeout(shared.limits.handshake_time, handshake).await {
        Ok(Ok(stream)) => drive(shared, routes, stream, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed."),
        Err(_) => tracing::debug!("A TLS handshake took too long."),
    }
}

async fn drive<S, B, I>(
    shared: Arc<Shared>,
    routes: Routes<S>,
    stream: I,
    mut stopping: watch::Receiver<bool>,
) where
    S: McpService<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::begin(Instant::now()));
    let builder = http_builder(&shared.limits);
    let service = {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        service_fn(move |request: hyper::Request<Incoming>| {
            let guard = RequestGuard::enter(&activity, &shared.requests);
            let (routes, time) = (routes.clone(), shared.limits.request_time);
            async move { Ok::<_, Infallible>(answer(routes, request, guard, time).await) }
        })
    };
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(Lingering::new(stream)), service));
    let mut cut_at: Option<Instant> = None;
    loop {
        let wake = cut_at.unwrap_or_else(|| activity.deadline(&shared.limits));
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "A connection ended badly.");
                }
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if cut_at.is_none() => {
                connection.as_mut().graceful_shutdown();
                cut_at = Some(Instant::now() + shared.limits.shutdown_time);
            }
            () = tokio::time::sleep_until(wake) => {
                if cut_at.is_some() || activity.is_busy() && activity.is_late(&shared.limits) {
                    tracing::debug!("A connection was cut: it took too long.");
                    return;
                }
                if activity.is_late(&shared.limits) {
                    connection.as_mut().graceful_shutdown();
                    cut_at = Some(Instant::now() + DRAIN_TIME);
                }
            }
        }
    }
}

fn http_builder(limits: &ServeLimits) -> auto::Builder<TokioExecutor> {
    let header_bytes = limits.header_bytes.max(ServeLimits::SMALLEST_HEADER_BYTES);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_time)
        .max_headers(limits.header_fields)
        .max_buf_size(header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle_time)
        .keep_alive_timeout(limits.header_read_time);
    builder
}

/// What a connection has in flight and since when that has not changed.
#[derive(Debug)]
struct Activity(Mutex<ActivityState>);

#[derive(Clone, Copy, Debug)]
struct ActivityState {
    in_flight: u32,
    asked_once: bool,
    changed: Instant,
}

impl Activity {
    const fn begin(now: Instant) -> Self {
        Self(Mutex::new(ActivityState {
            in_flight: 0,
            asked_once: false,
            changed: now,
        }))
    }

    /// When the connection has taken too long, if nothing changes until then.
    fn deadline(&self, limits: &ServeLimits) -> Instant {
        let state = *self.0.lock();
        state.changed
            + match state {
                ActivityState { in_flight: 1.., .. } => limits.request_time + DRAIN_TIME,
                ActivityState {
                    asked_once: false, ..
                } => limits.header_read_time,
                ActivityState { .. } => limits.idle_time,
            }
    }

    fn is_late(&self, limits: &ServeLimits) -> bool {
        Instant::now() >= self.deadline(limits)
    }

    fn is_busy(&self) -> bool {
        self.0.lock().in_flight > 0
    }
}

/// Counts one request while it lives.
#[derive(Debug)]
pub(crate) struct RequestGuard {
    activity: Arc<Activity>,
    permit: Option<OwnedSemaphorePermit>,
}

impl RequestGuard {
    fn enter(activity: &Arc<Activity>, requests: &Arc<Semaphore>) -> Self {
        {
            let mut state = activity.0.lock();
            state.in_flight = state.in_flight.saturating_add(1);
            state.asked_once = true;
            state.changed = Instant::now();
        }
        Self {
            activity: Arc::clone(activity),
            permit: Arc::clone(requests).try_acquire_owned().ok(),
        }
    }

    /// Whether the request is within the limit of requests at one time.
    pub(crate) const fn is_admitted(&self) -> bool {
        self.permit.is_some()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.changed = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_follows_what_the_connection_does() {
        let limits = ServeLimits::default();
        let start = Instant::now();
        let activity = Arc::new(Activity::begin(start));
        assert_eq!(
            activity.deadline(&limits),
            start + limits.header_read_time,
            "a connection that never asked has the time of one head"
        );
        let requests = Arc::new(Semaphore::new(1));
        let first = RequestGuard::enter(&activity, &requests);
        let second = RequestGuard::enter(&activity, &requests);
        assert!(first.is_admitted());
        assert!(!second.is_admitted(), "one permit, two requests");
        assert!(activity.deadline(&limits) >= start + limits.request_time);
        drop((first, second));
        assert!(!activity.is_busy());
        assert!(activity.deadline(&limits) >= start + limits.idle_time);
        assert!(
            RequestGuard::enter(&activity, &requests).is_admitted(),
            "the permit came back"
        );
    }
}
