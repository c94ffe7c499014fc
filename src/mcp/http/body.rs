//! Reading a body within a size and a time.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;

use super::refusal::Refusal;

/// The largest body: a call with every argument at its limit takes less than a tenth.
pub(crate) const LARGEST: usize = 256 * 1024;
/// How long a body may take: a slow sender must not hold a connection's memory.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Reads the whole body.
///
/// # Errors
/// [`Refusal`] where it is too large, too slow or breaks off.
pub(crate) async fn read<B>(body: B) -> Result<Vec<u8>, Refusal>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(Refusal::TooLarge);
    }
    tokio::time::timeout(DEADLINE, collect(body))
        .await
        .unwrap_or(Err(Refusal::TooSlow))
}

async fn collect<B: http_body::Body>(body: B) -> Result<Vec<u8>, Refusal> {
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Broken)?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        if bytes.len().saturating_add(data.remaining()) > LARGEST {
            return Err(Refusal::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            let length = chunk.len();
            bytes.extend_from_slice(chunk);
            data.advance(length);
        }
    }
    Ok(bytes.into())
}
