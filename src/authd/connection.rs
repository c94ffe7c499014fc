//! Connections: a bounded number, none that lies idle, none that lasts for ever.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// The most connections at a time; one more waits.
const CONNECTIONS_MOST: usize = 256;

/// The longest between an answer and the first byte of the next request, and from there to the next answer: longer than
/// any request may take to be answered, and no longer for one whose head drips in byte by byte.
const IDLE_MOST: Duration = Duration::from_secs(30);

/// The longest that a connection may last: one that drips a byte now and then must end too.
const LIFE_MOST: Duration = Duration::from_secs(600);

/// The rest after a failed `accept`, so that a full table of descriptors does not make a busy loop.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A listener whose connections are bounded.
pub(crate) struct BoundedListener {
    inner: TcpListener,
    places: Arc<Semaphore>,
}

impl BoundedListener {
    pub(crate) fn new(inner: TcpListener) -> Self {
        Self {
            inner,
            places: Arc::new(Semaphore::new(CONNECTIONS_MOST)),
        }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // The semaphore is never closed; should it be, the connection goes without its place.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.inner.accept().await {
                Ok((stream, address)) => return (Connection::new(stream, place), address),
                Err(error) => {
                    tracing::debug!(%error, "A connection could not be taken.");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that ends when it is idle or old.
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    /// Whether what is read next begins a request.
    is_between: bool,
    life: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            idle: Box::pin(sleep(IDLE_MOST)),
            is_between: true,
            life: Box::pin(sleep(LIFE_MOST)),
            _place: place,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if std::mem::take(&mut self.is_between) {
                self.idle.as_mut().reset(Instant::now() + IDLE_MOST);
            }
            return Poll::Ready(read);
        }
        let is_over = self.idle.as_mut().poll(context).is_ready()
            || self.life.as_mut().poll(context).is_ready();
        if is_over {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        // One that asks and does not read the answer must end too.
        if written.is_pending() && self.life.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if written.is_ready() {
            self.is_between = true;
            self.idle.as_mut().reset(Instant::now() + IDLE_MOST);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_in_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut slow = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut listener = BoundedListener::new(listener);
        let (mut connection, _) = listener.accept().await;
        let begun = Instant::now();
        let end = loop {
            slow.write_all(b"x").await.unwrap();
            sleep(Duration::from_secs(5)).await;
            if let Err(error) = connection.read_exact(&mut [0; 2]).await {
                break error;
            }
            assert!(begun.elapsed() < LIFE_MOST / 2);
        };
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_in_use_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut listener = BoundedListener::new(listener);
        let (mut connection, _) = listener.accept().await;
        for _ in 0..10 {
            client.write_all(b"?").await.unwrap();
            connection.read_exact(&mut [0; 1]).await.unwrap();
            connection.write_all(b"!").await.unwrap();
            client.read_exact(&mut [0; 1]).await.unwrap();
            sleep(IDLE_MOST - Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = BoundedListener::new(listener);
        let _silent = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        assert_eq!(listener.places.available_permits(), CONNECTIONS_MOST - 1);
        let seen = connection.read(&mut [0; 8]).await;
        assert_eq!(seen.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(connection);
        assert_eq!(listener.places.available_permits(), CONNECTIONS_MOST);
    }
}
