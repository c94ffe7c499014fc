//! A stream that ends so that its last answer arrives.
//!
//! Who is refused in the middle of a large body is still sending. Were the socket closed with bytes unread, the kernel would
//! send a reset, and the reset would overtake the answer. So the end is announced first, and what still comes is
//! read and thrown away for a while (RFC 9112, section 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long to listen after the end was announced; a round trip around the world and some of the body.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// How much is thrown away: bodies that are refused by honest mistake are smaller.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// What is thrown away at once.
const CHUNK_BYTES: usize = 8 * 1024;

/// Wraps a connection's stream.
#[derive(Debug)]
pub(crate) struct Lingering<I> {
    inner: I,
    /// Set once the end was announced.
    until: Option<Pin<Box<Sleep>>>,
    thrown_away: usize,
}

impl<I> Lingering<I> {
    pub(crate) const fn new(inner: I) -> Self {
        Self {
            inner,
            until: None,
            thrown_away: 0,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Lingering<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.until.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        }
        let until = this.until.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(Instant::now() + LINGER_TIME))
        });
        if until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut chunk = [0; CHUNK_BYTES];
        while this.thrown_away < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut chunk);
            // an error is an end too: there is nobody left to tell
            if ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer)).is_err()
                || buffer.filled().is_empty()
            {
                break;
            }
            this.thrown_away += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
