//! Requests to an issuer: no redirects, a deadline, a bounded body, `https` unless on loopback.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};

use crate::settings::AuthError;

/// The longest that one request may take, its body included; the caller of a tool waits for it.
const REQUEST_DEADLINE: Duration = Duration::from_secs(3);

/// The largest answer that is read. Key sets and metadata stay below 32 KiB.
const BODY_MOST_BYTES: usize = 128 * 1024;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// No connection, no answer in time, or a broken one.
    #[error("failed to fetch `{url}`")]
    Request {
        url: Url,
        #[source]
        source: reqwest::Error,
    },
    /// An answer other than 200; redirects are not followed.
    #[error("`{url}` answered with status {status}")]
    Status { url: Url, status: u16 },
    /// More than [`BODY_MOST_BYTES`].
    #[error("the answer of `{url}` is larger than {BODY_MOST_BYTES} bytes")]
    TooLarge { url: Url },
}

/// An HTTP client for issuers.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher(Client);

impl Fetcher {
    /// Makes the client.
    pub(crate) fn new() -> Result<Self, AuthError> {
        let builder = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .timeout(REQUEST_DEADLINE)
                .connect_timeout(REQUEST_DEADLINE)
                .pool_max_idle_per_host(4)
        };
        let client = builder().build().or_else(|error| {
            // A machine without CA certificates can still use an issuer on loopback; https then trusts nobody.
            tracing::warn!(%error, "No CA certificates were found; issuers can only be reached over http on loopback.");
            builder().tls_certs_only([]).build()
        });
        client
            .map(Self)
            .map_err(|source| AuthError::Client { source })
    }

    /// GET of a JSON document.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let request = self.0.get(url.clone()).header(ACCEPT, "application/json");
        read(url, request).await
    }

    /// POST of a form, with client credentials (RFC 6749, 2.3.1).
    pub(crate) async fn post(
        &self,
        url: &Url,
        (client, secret): (&str, &SecretString),
        form: &[(&str, &str)],
    ) -> Result<Vec<u8>, FetchError> {
        let mut body = String::new();
        for (name, value) in form {
            let between = if body.is_empty() { "" } else { "&" };
            body.push_str(between);
            body.push_str(name);
            body.push('=');
            push_encoded(&mut body, value);
        }
        let request = self
            .0
            .post(url.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .basic_auth(encoded(client), Some(encoded(secret.expose_secret())))
            .body(body);
        read(url, request).await
    }
}

/// Parses a URL that an issuer is reached by. `loopback_allowed`: plain `http` will do where the host is this machine.
pub(crate) fn parse_url(text: &str, loopback_allowed: LoopbackHttp) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let trusted = match url.scheme() {
        "https" => true,
        "http" => loopback_allowed == LoopbackHttp::Allowed && is_loopback(&url),
        _ => false,
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (trusted && plain && url.has_host()).then_some(url)
}

/// Whether plain `http` to this machine is good enough. It is for what the operator wrote, and for what an issuer on
/// this machine says; it is not for what a distant issuer says, which could otherwise point us at our own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopbackHttp {
    Allowed,
    Refused,
}

/// Whether the host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn read(url: &Url, request: RequestBuilder) -> Result<Vec<u8>, FetchError> {
    let broken = |source: reqwest::Error| FetchError::Request {
        url: url.clone(),
        source: source.without_url(),
    };
    let mut response = request.send().await.map_err(broken)?;
    if response.status().as_u16() != 200 {
        return Err(FetchError::Status {
            url: url.clone(),
            status: response.status().as_u16(),
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len().saturating_add(chunk.len()) > BODY_MOST_BYTES {
            return Err(FetchError::TooLarge { url: url.clone() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    push_encoded(&mut out, text);
    out
}

/// Percent-encodes all but the unreserved characters (RFC 3986).
fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        use LoopbackHttp::{Allowed, Refused};
        for (text, allowed, expected) in [
            ("https://id.example/x", Refused, true),
            ("http://127.0.0.1:9/x", Allowed, true),
            ("http://[::1]:9/x", Allowed, true),
            ("http://localhost:9/x", Allowed, true),
            ("http://127.0.0.1:9/x", Refused, false),
            ("http://id.example/x", Allowed, false),
            ("http://localhost.example/x", Allowed, false),
            ("https://user@id.example/x", Allowed, false),
            ("ftp://127.0.0.1/x", Allowed, false),
            ("file:///etc/passwd", Allowed, false),
            ("", Allowed, false),
        ] {
            assert_eq!(parse_url(text, allowed).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn form_values_cannot_grow_fields() {
        assert_eq!(encoded("a&b=c d+é"), "a%26b%3Dc%20d%2B%C3%A9");
    }
}
