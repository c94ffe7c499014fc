//! One connection: what it has in flight, and when it has taken too long.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::counters::ListenerCounters;
use crate::limits::ServeLimits;
use crate::linger::Lingering;
use crate::routes::{Site, Visitor, answer};
use crate::tls::TlsKeeper;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: ServeLimits,
    pub(crate) tls: Option<TlsKeeper>,
    /// One permit a request that is being answered.
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) counters: Arc<ListenerCounters>,
}

/// How long an answer may still be written, and a closing connection linger, before it is cut.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Bytes of a body that HTTP/2 takes ahead of its reader: a request of an agent is a few hundred …
const STREAM_WINDOW: u32 = 64 * 1024;
/// … and all streams of a connection together take no more than a body may have.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// What tells connections to end.
#[derive(Debug)]
pub(crate) struct Signals {
    /// The listener stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Clients are to show their certificates again. Subscribed to before the connection's handshake.
    pub(crate) renewed: watch::Receiver<()>,
}

/// Serves one connection to its end; `peer` has a permit for each request that its address may have answered at once.
pub(crate) async fn serve<S, B>(
    shared: Arc<Shared>,
    peer: Arc<Semaphore>,
    site: S,
    stream: TcpStream,
    signals: Signals,
) where
    S: Site<B>,
    B: 'static,
{
    // answers are one write; without this the last packet of each may wait 40 ms
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "The connection ended before it began.");
        return;
    }
    let Some(tls) = &shared.tls else {
        let visitor = Visitor::Stranger;
        return drive(shared, peer, (site, visitor), stream, signals).await;
    };
    let handshake = tls.acceptor().accept(stream);
    match tokio::time::timeout(shared.limits.handshake_time, handshake).await {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates();
            let visitor = match shown {
                Some(chain) if tls.certificates_admit() && !chain.is_empty() => Visitor::Certified,
                _ => Visitor::Stranger,
            };
            drive(shared, peer, (site, visitor), stream, signals).await;
        }
        Ok(Err(error)) => {
            shared.counters.fail_handshake();
            tracing::debug!(%error, "A TLS handshake failed.");
        }
        Err(_) => {
            shared.counters.fail_handshake();
            tracing::debug!("A TLS handshake took too long.");
        }
    }
}

async fn drive<S, B, I>(
    shared: Arc<Shared>,
    peer: Arc<Semaphore>,
    (site, visitor): (S, Visitor),
    stream: I,
    mut signals: Signals,
) where
    S: Site<B>,
    B: 'static,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = Instant::now();
    let old_at = begun + shared.limits.connection_time;
    let activity = Arc::new(Activity::begin(begun));
    let builder = http_builder(&shared.limits);
    let service = {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        service_fn(move |request: hyper::Request<Incoming>| {
            let is_counted = site.is_counted(request.uri().path());
            let permits = is_counted.then_some([&shared.requests, &peer]);
            let guard = RequestGuard::enter(&activity, permits, &shared.counters);
            let (site, time) = (site.clone(), shared.limits.request_time);
            async move { Ok::<_, Infallible>(answer(site, request, guard, visitor, time).await) }
        })
    };
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(Lingering::new(stream)), service));
    let mut cut_at: Option<Instant> = None;
    let mut is_stopping = false;
    loop {
        let wake = cut_at.unwrap_or_else(|| activity.deadline(&shared.limits));
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "A connection ended badly.");
                }
                return;
            }
            _ = signals.stopping.wait_for(|stop| *stop), if !is_stopping => {
                connection.as_mut().graceful_shutdown();
                is_stopping = true;
                let until = Instant::now() + shared.limits.shutdown_time;
                cut_at = Some(cut_at.map_or(until, |earlier| earlier.min(until)));
            }
            () = expired(&mut signals.renewed, old_at), if cut_at.is_none() => {
                connection.as_mut().graceful_shutdown();
                cut_at = Some(Instant::now() + shared.limits.request_time + DRAIN_TIME);
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

/// Ready when what a certificate showed at the handshake is not to be believed any longer.
async fn expired(renewed: &mut watch::Receiver<()>, old_at: Instant) {
    tokio::select! {
        // where the listener is gone, the connection is told to stop in another way
        Ok(()) = renewed.changed() => {}
        () = tokio::time::sleep_until(old_at) => {}
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
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle_time)
        .keep_alive_timeout(limits.header_read_time);
    builder
}

/// What a connection has in flight, and since when.
#[derive(Debug)]
struct Activity(Mutex<ActivityState>);

#[derive(Debug)]
struct ActivityState {
    /// When each request began that is not answered to its last byte, oldest first. As many as there are streams.
    in_flight: BTreeMap<u64, Instant>,
    requests: u64,
    idle_since: Instant,
}

impl Activity {
    const fn begin(now: Instant) -> Self {
        Self(Mutex::new(ActivityState {
            in_flight: BTreeMap::new(),
            requests: 0,
            idle_since: now,
        }))
    }

    /// When the connection will have taken too long. The oldest request counts: a stalled one is not kept alive by others
    /// that come and go beside it.
    fn deadline(&self, limits: &ServeLimits) -> Instant {
        let state = self.0.lock();
        if let Some(oldest) = state.in_flight.values().next() {
            return *oldest + limits.request_time + DRAIN_TIME;
        }
        state.idle_since
            + if state.requests == 0 {
                limits.header_read_time
            } else {
                limits.idle_time
            }
    }

    fn is_late(&self, limits: &ServeLimits) -> bool {
        Instant::now() >= self.deadline(limits)
    }

    fn is_busy(&self) -> bool {
        !self.0.lock().in_flight.is_empty()
    }
}

/// Counts one request while it lives.
#[derive(Debug)]
pub(crate) struct RequestGuard {
    activity: Arc<Activity>,
    number: u64,
    is_admitted: bool,
    _permits: Option<[OwnedSemaphorePermit; 2]>,
    counters: Arc<ListenerCounters>,
}

impl RequestGuard {
    /// Takes a permit of all requests and one of the peer's, or neither; none where the request needs none.
    fn enter(
        activity: &Arc<Activity>,
        needed: Option<[&Arc<Semaphore>; 2]>,
        counters: &Arc<ListenerCounters>,
    ) -> Self {
        let number = {
            let mut state = activity.0.lock();
            state.requests += 1;
            let number = state.requests;
            state.in_flight.insert(number, Instant::now());
            number
        };
        let take = |from: &Arc<Semaphore>| Arc::clone(from).try_acquire_owned().ok();
        let permits = needed
            .and_then(|[all, peer]| take(peer).and_then(|of_peer| Some([of_peer, take(all)?])));
        Self {
            activity: Arc::clone(activity),
            number,
            is_admitted: needed.is_none() || permits.is_some(),
            _permits: permits,
            counters: Arc::clone(counters),
        }
    }

    /// Counts how the request was answered.
    pub(crate) fn count(&self, status: StatusCode) {
        self.counters.answer(status);
    }

    /// Whether the request is within the limits of requests at one time.
    pub(crate) const fn is_admitted(&self) -> bool {
        self.is_admitted
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        state.in_flight.remove(&self.number);
        state.idle_since = Instant::now();
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
        let (all, peer) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(1)));
        let counters = Arc::default();
        let enter = || RequestGuard::enter(&activity, Some([&all, &peer]), &counters);
        let first = enter();
        let late = activity.deadline(&limits);
        assert!(late >= start + limits.request_time);
        let second = enter();
        assert!(first.is_admitted());
        assert!(!second.is_admitted(), "the peer has one permit");
        assert_eq!(
            all.available_permits(),
            1,
            "what is refused takes no permit of others"
        );
        drop(second);
        assert_eq!(
            activity.deadline(&limits),
            late,
            "a request that comes and goes does not prolong another"
        );
        drop(first);
        assert!(!activity.is_busy());
        assert!(activity.deadline(&limits) >= start + limits.idle_time);
        assert!(enter().is_admitted(), "the permit came back");
    }
}
