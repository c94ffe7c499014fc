//! Fetching a client's metadata document, which is fetching what a stranger tells us to.
//!
//! So: https alone, no redirects, no proxy, a few seconds, 5 KiB, few at a time, few a minute; and every address that
//! the name resolves to must be a public one, looked at in the same lookup that the connection is made from, so that
//! a name cannot be one thing when checked and another when used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::time::BootTime;
use oauth_as::cimd::{CimdError, ClientIdUrl, MAX_CLIENT_ID_DOCUMENT_BYTES};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Url, redirect};
use tokio::sync::Semaphore;

use crate::settings::{AuthdError, AuthdSettings};

/// The longest that a document may take; a person waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

/// The most documents that are fetched at a time.
const AT_ONCE_MOST: usize = 4;

/// The most documents that are fetched in a minute, by whoever asks: a person opens a few.
const A_MINUTE_MOST: u32 = 30;

const MINUTE: Duration = Duration::from_secs(60);

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentFailure {
    /// The URL or the document breaks a rule of the draft.
    #[error("{0}")]
    Refused(CimdError),
    /// The host is a special address.
    #[error("the document's host is not a public address")]
    Address,
    /// Too many were asked for.
    #[error("too many metadata documents were asked for; try again in a minute")]
    TooMany,
    /// No answer, or a broken one.
    #[error("the document cannot be fetched")]
    Request(#[source] reqwest::Error),
    /// An answer other than 200; redirects are not followed.
    #[error("the document's server answered with status {0}")]
    Status(u16),
    /// Larger than the draft allows.
    #[error("the document is larger than {MAX_CLIENT_ID_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// No JSON object.
    #[error("the document is no JSON object")]
    NotJson,
}

/// Fetches metadata documents.
pub(crate) struct Documents {
    client: Client,
    allow_loopback: bool,
    at_once: Semaphore,
    this_minute: Mutex<(BootTime, u32)>,
}

impl Documents {
    pub(crate) fn new(settings: &AuthdSettings) -> Result<Self, AuthdError> {
        let failed = |source| AuthdError::Fetcher { source };
        let allow_loopback = settings.allow_loopback_cimd;
        let roots = settings
            .cimd_roots
            .iter()
            .map(|der| Certificate::from_der(der));
        let roots = roots.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let builder = || {
            Client::builder()
                .https_only(true)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .timeout(DEADLINE)
                .pool_max_idle_per_host(0)
                .dns_resolver(Arc::new(PublicAddresses { allow_loopback }))
        };
        let client = builder().tls_certs_merge(roots.clone()).build().or_else(|error| {
            // Without CA certificates on this machine https trusts the given ones alone, which may be nobody.
            tracing::warn!(%error, "No CA certificates were found; clients' metadata documents cannot be fetched.");
            builder().tls_certs_only(roots).build()
        });
        Ok(Self {
            client: client.map_err(failed)?,
            allow_loopback,
            at_once: Semaphore::new(AT_ONCE_MOST),
            this_minute: Mutex::new((BootTime::default(), 0)),
        })
    }

    /// Whether documents may lie on this machine.
    pub(crate) const fn allow_loopback(&self) -> bool {
        self.allow_loopback
    }

    /// Fetches a document.
    pub(crate) async fn fetch(
        &self,
        id: &ClientIdUrl,
        now: BootTime,
    ) -> Result<Vec<u8>, DocumentFailure> {
        let url = Url::parse(id.as_str()).map_err(|_| DocumentFailure::Address)?;
        // A literal address does not go through the resolver.
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare
            .parse::<IpAddr>()
            .is_ok_and(|address| !is_allowed(address, self.allow_loopback))
        {
            return Err(DocumentFailure::Address);
        }
        if !self.take_turn(now) {
            return Err(DocumentFailure::TooMany);
        }
        let _turn = self
            .at_once
            .try_acquire()
            .map_err(|_| DocumentFailure::TooMany)?;
        let request = self
            .client
            .get(url)
            .header(reqwest::header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(DocumentFailure::Request)?;
        if response.status().as_u16() != 200 {
            return Err(DocumentFailure::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(DocumentFailure::Request)? {
            if body.len().saturating_add(chunk.len()) > MAX_CLIENT_ID_DOCUMENT_BYTES {
                return Err(DocumentFailure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn take_turn(&self, now: BootTime) -> bool {
        let mut minute = self.this_minute.lock();
        if now.since(minute.0) >= MINUTE {
            *minute = (now, 0);
        }
        minute.1 = minute.1.saturating_add(1);
        minute.1 <= A_MINUTE_MOST
    }
}

/// Resolves a name, and fails where any of its addresses is not allowed.
struct PublicAddresses {
    allow_loopback: bool,
}

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_loopback = self.allow_loopback;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found
                .iter()
                .any(|address| !is_allowed(address.ip(), allow_loopback))
            {
                return Err(Box::from(DocumentFailure::Address));
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn is_allowed(address: IpAddr, allow_loopback: bool) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() {
        return allow_loopback;
    }
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Public by the IANA special-purpose registry (RFC 6890), multicast and the reserved rest aside.
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a == 127
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        || a >= 224)
}

/// Global unicast, less what wraps an IPv4 address (6to4, Teredo) and documentation.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    is_global
        && a != 0x2002
        && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_called() {
        for (address, expected) in [
            ("93.184.216.34", true),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:93.184.216.34", true),
            ("64:ff9b::a00:1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("2002:a00:1::", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(
                is_allowed(address.parse().unwrap(), false),
                expected,
                "{address}"
            );
        }
        assert!(is_allowed("::ffff:127.0.0.1".parse().unwrap(), true));
        assert!(!is_allowed("10.0.0.1".parse().unwrap(), true));
    }
}
