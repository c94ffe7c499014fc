//! Reading a body within a size, a time and the room that all of them share.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::refusal::Refusal;

/// The largest body: a call with every argument at its limit takes less than a tenth.
pub(crate) const LARGEST: usize = 256 * 1024;
/// How long a body may take: a slow sender must not hold a connection's memory.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of all bodies at a time: sixty-four of the largest, a quarter of the memory that a node's processes may take.
const ROOM: usize = 64 * LARGEST;

/// Room for bodies. A sender takes of it what has arrived, not what was announced.
#[derive(Debug)]
pub(crate) struct Room(Semaphore);

/// A body, and its part of the room until it is dropped.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) bytes: Vec<u8>,
    _taken: Option<SemaphorePermit<'a>>,
}

impl Room {
    /// All of it free.
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(ROOM))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`Refusal`] where it is too large, too slow or breaks off, and where there is no room.
    pub(crate) async fn read<B>(&self, body: B) -> Result<Read<'_>, Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Send,
    {
        if body.size_hint().lower() > LARGEST as u64 {
            return Err(Refusal::TooLarge);
        }
        tokio::time::timeout(DEADLINE, self.collect(body))
            .await
            .unwrap_or(Err(Refusal::TooSlow))
    }

    async fn collect<B: http_body::Body>(&self, body: B) -> Result<Read<'_>, Refusal> {
        let mut body = std::pin::pin!(body);
        let mut bytes = BytesMut::new();
        let mut taken: Option<SemaphorePermit<'_>> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Broken)?;
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            if bytes.len().saturating_add(data.remaining()) > LARGEST {
                return Err(Refusal::TooLarge);
            }
            let more = u32::try_from(data.remaining()).map_err(|_| Refusal::TooLarge)?;
            let more = self.0.try_acquire_many(more).map_err(|_| Refusal::Busy)?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                let length = chunk.len();
                bytes.extend_from_slice(chunk);
                data.advance(length);
            }
        }
        Ok(Read {
            bytes: bytes.into(),
            _taken: taken,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn bodies_share_one_room_and_give_it_back() {
        let room = Room::new();
        let large = || Full::new(Bytes::from(vec![b' '; LARGEST]));
        let mut held = Vec::new();
        for _ in 0..64 {
            held.push(room.read(large()).await.unwrap());
        }
        let one = || Full::new(Bytes::from_static(b" "));
        assert_eq!(room.read(one()).await.unwrap_err(), Refusal::Busy);
        held.pop();
        assert_eq!(room.read(one()).await.unwrap().bytes, b" ");
        drop(held);
        assert_eq!(room.0.available_permits(), ROOM);
    }
}
