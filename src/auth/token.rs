//! The parts of a compact JWS, before anybody has vouched for them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glasshouse_core::access::TokenRefusal;
use sha2::{Digest as _, Sha256};

use crate::keys::SigningAlgorithm;
use crate::strict::{self, Json};

/// The largest token that is looked at. Tokens of the known issuers stay below 2 KiB; headers of 8 KiB are what
/// servers take as a whole.
const TOKEN_MOST_BYTES: usize = 8 * 1024;

/// The longest key id that is compared.
const KID_MOST_BYTES: usize = 256;

/// A token taken apart. Its signature has not been looked at.
#[derive(Debug)]
pub(crate) struct UnverifiedToken<'a> {
    /// The algorithm that the header claims; it must turn out to be the key's.
    pub(crate) algorithm: SigningAlgorithm,
    /// The key that the header names.
    pub(crate) kid: Option<String>,
    /// What is signed: header and claims in their base64 form, with the dot.
    pub(crate) signed: &'a str,
    /// The signature in its base64 form.
    pub(crate) signature: &'a str,
    /// The claims, each name once.
    pub(crate) claims: BTreeMap<String, Json>,
    /// SHA-256 over the whole token.
    pub(crate) digest: [u8; 32],
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// `Malformed`, `Algorithm` or `Type`, in this order of looking.
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenRefusal> {
        if token.len() > TOKEN_MOST_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenRefusal::Malformed)?;
        if claims.contains('.') {
            return Err(TokenRefusal::Malformed);
        }
        let header = decode(header)?;
        // An unsecured token (`alg: none`) has an empty signature; it is refused for its algorithm, which says more.
        let (algorithm, kid) = judge_header(&header)?;
        if signature.is_empty() {
            return Err(TokenRefusal::Malformed);
        }
        Ok(Self {
            algorithm,
            kid,
            signed,
            signature,
            claims: decode(claims)?,
            digest: Sha256::digest(token.as_bytes()).into(),
        })
    }
}

fn decode(part: &str) -> Result<BTreeMap<String, Json>, TokenRefusal> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenRefusal::Malformed)?;
    strict::object(&bytes).ok_or(TokenRefusal::Malformed)
}

/// Judges the header. `jwk`, `jku`, `x5u` and `x5c` are never looked at: keys come from the issuer alone.
fn judge_header(
    header: &BTreeMap<String, Json>,
) -> Result<(SigningAlgorithm, Option<String>), TokenRefusal> {
    let algorithm = header
        .get("alg")
        .and_then(Json::text)
        .and_then(SigningAlgorithm::named)
        .ok_or(TokenRefusal::Algorithm)?;
    // RFC 7515 4.1.11: a critical extension that is not understood refuses the token, and none is understood here.
    if header.contains_key("crit") {
        return Err(TokenRefusal::Malformed);
    }
    let kind = header.get("typ").and_then(Json::text).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    if kind != "at+jwt" && kind != "application/at+jwt" {
        return Err(TokenRefusal::Type);
    }
    let kid = match header.get("kid") {
        None => None,
        Some(Json::Text(kid)) if kid.len() <= KID_MOST_BYTES => Some(kid.clone()),
        Some(_) => return Err(TokenRefusal::Malformed),
    };
    Ok((algorithm, kid))
}
