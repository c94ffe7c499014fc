//! The bearer token of a request.

use std::time::Duration;

use glasshouse_core::access::{Authenticator, Principal, TokenRefusal};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The longest token; a signed one with some dozens of groups has 2 KiB.
const LONGEST: usize = 8 * 1024;
/// How long an issuer may take to say whether a token is good.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBearer {
    Missing,
    Malformed,
}

/// The token of `Authorization: Bearer …`; never one from the URL or a cookie.
///
/// # Errors
/// [`NoBearer`] where there is none, or something that cannot be one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, NoBearer> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(NoBearer::Missing)?;
    if values.next().is_some() {
        return Err(NoBearer::Malformed);
    }
    let text = value.to_str().map_err(|_| NoBearer::Malformed)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(NoBearer::Missing);
    }
    let token = token.trim_matches(' ');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || token.len() > LONGEST || !token.bytes().all(plain) {
        return Err(NoBearer::Malformed);
    }
    Ok(token)
}

/// Asks who this is; an issuer that does not answer in time is a refusal.
///
/// # Errors
/// [`TokenRefusal`].
pub(crate) async fn authenticate(
    authenticator: &dyn Authenticator,
    token: &str,
) -> Result<Principal, TokenRefusal> {
    tokio::time::timeout(DEADLINE, authenticator.authenticate(token))
        .await
        .unwrap_or(Err(TokenRefusal::IssuerUnavailable))
}
