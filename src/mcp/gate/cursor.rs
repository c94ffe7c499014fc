//! Cursors: where an answer goes on, readable by nobody but the face that gave it.
//!
//! A cursor holds the offset and the window of the first page, so that pages do not shift, and a keyed digest over these,
//! the tool, the caller and the other arguments. The face keeps nothing. The key dies with the process.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glasshouse_core::access::Principal;
use glasshouse_core::time::{Timestamp, Window};
use sha2::{Digest as _, Sha256};

use crate::tools::{Arguments, Page};

/// How long a cursor is good: a conversation, not a bookmark.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Bytes of the digest that travel.
const TAG: usize = 16;
/// The block size of SHA-256, which HMAC (RFC 2104) pads its key to.
const BLOCK: usize = 64;
const BODY: usize = 32;

/// The key of one process.
pub(crate) struct CursorKey([u8; 32]);

impl CursorKey {
    /// From the kernel's random numbers.
    pub(crate) fn random() -> Self {
        let mut key = Sha256::new();
        for _ in 0..3 {
            key.update(uuid::Uuid::new_v4().as_bytes());
        }
        Self(key.finalize().into())
    }

    /// A cursor for the next page of this call.
    pub(crate) fn seal(
        &self,
        page: Page,
        tool: &str,
        principal: &Principal,
        arguments: &Arguments,
        now: Timestamp,
    ) -> String {
        let mut bytes = Vec::with_capacity(BODY + TAG);
        bytes.extend(u64::try_from(page.offset).unwrap_or(u64::MAX).to_be_bytes());
        for time in [page.window.from, page.window.to, now] {
            bytes.extend(time.nanos().to_be_bytes());
        }
        let tag = self.tag(&bytes, tool, principal, arguments);
        bytes.extend(tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The page that a cursor stands for, where it was given by this face, to this caller, for this call, not long ago.
    pub(crate) fn open(
        &self,
        cursor: &str,
        tool: &str,
        principal: &Principal,
        arguments: &Arguments,
        now: Timestamp,
    ) -> Option<Page> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY)?;
        let wanted = self.tag(body, tool, principal, arguments);
        if tag.len() != TAG || !same(tag, &wanted) {
            return None;
        }
        let numbers: Vec<[u8; 8]> = body
            .chunks_exact(8)
            .filter_map(|chunk| chunk.try_into().ok())
            .collect();
        let [offset, from, to, given] = numbers.as_slice() else {
            return None;
        };
        let time = |bytes: &[u8; 8]| Timestamp::from_nanos(i64::from_be_bytes(*bytes));
        (now.since(time(given)) <= LIFETIME).then_some(Page {
            offset: usize::try_from(u64::from_be_bytes(*offset)).ok()?,
            window: Window {
                from: time(from),
                to: time(to),
            },
        })
    }

    fn tag(
        &self,
        body: &[u8],
        tool: &str,
        principal: &Principal,
        arguments: &Arguments,
    ) -> Vec<u8> {
        let task = principal.task.as_deref().unwrap_or_default();
        let mut text = body.to_vec();
        for part in [
            tool,
            &principal.issuer,
            &principal.subject,
            &principal.client,
            task,
            &arguments.canonical_without("cursor"),
        ] {
            // with its length, so that no two lists of parts read alike
            text.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend(part.as_bytes());
        }
        let mut tag = self.hmac(&text).to_vec();
        tag.truncate(TAG);
        tag
    }

    /// HMAC-SHA-256 (RFC 2104); the key is shorter than a block.
    fn hmac(&self, text: &[u8]) -> [u8; 32] {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(self.0) {
                *byte ^= key;
            }
            block
        };
        let inner = Sha256::new()
            .chain_update(padded(0x36))
            .chain_update(text)
            .finalize();
        Sha256::new()
            .chain_update(padded(0x5c))
            .chain_update(inner)
            .finalize()
            .into()
    }
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_hmac_sha_256() {
        // RFC 4231, test case 2, with its key padded by zeros as HMAC does
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let digest = CursorKey(key).hmac(b"what do ya want for nothing?");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
