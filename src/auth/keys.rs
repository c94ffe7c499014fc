//! The keys of an issuer (RFC 7517), one algorithm each.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::strict::{self, Json};

/// The most keys of one issuer that are kept; issuers publish two or three, Google's largest set had a dozen.
const KEYS_MOST: usize = 64;

/// RSA below 2048 bit is not taken.
const RSA_LEAST_BYTES: usize = 256;

/// RSA above 8192 bit makes each check a slow one.
const RSA_MOST_BYTES: usize = 1024;

/// The algorithms that exist here. `none`, `HS*` and the rest have no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SigningAlgorithm {
    Es256,
    Rs256,
    EdDsa,
}

impl SigningAlgorithm {
    /// By its JOSE name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            // RFC 9864 renames the Ed25519 variant; both names mean it here, because the key decides
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    const fn jose(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// One public key and the one algorithm that it may be used with.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    algorithm: SigningAlgorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// Whether the signature fits.
    pub(crate) fn fits(&self, signed: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(
            signature,
            signed.as_bytes(),
            &self.key,
            self.algorithm.jose(),
        )
        .unwrap_or(false)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What a look for a key found.
#[derive(Debug)]
pub(crate) enum Found {
    Key(VerifyingKey),
    /// The key is there, and it is for another algorithm.
    OtherAlgorithm,
    Nothing,
}

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// Reads a JWKS. Keys of other kinds or uses are left out; `None` where it is no JWKS at all.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let document = strict::object(body)?;
        let listed = document.get("keys")?.list()?;
        if listed.len() > KEYS_MOST {
            return None;
        }
        Some(Self(listed.iter().filter_map(read_key).collect()))
    }

    /// The key for a token's header. Without a key id there must be only one key to mean.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: SigningAlgorithm) -> Found {
        let mut named = self.0.iter().filter(|key| match kid {
            Some(kid) => key.kid.as_deref() == Some(kid),
            None => self.0.len() == 1,
        });
        let Some(first) = named.next() else {
            return Found::Nothing;
        };
        std::iter::once(first)
            .chain(named)
            .find(|key| key.algorithm == algorithm)
            .map_or(Found::OtherAlgorithm, |key| Found::Key(key.clone()))
    }
}

fn read_key(key: &Json) -> Option<VerifyingKey> {
    let Json::Object(members) = key else {
        return None;
    };
    let text = |name: &str| members.get(name).and_then(Json::text);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    if let Some(operations) = members.get("key_ops") {
        let verifies = |operation: &Json| operation.text() == Some("verify");
        if !operations.list()?.iter().any(verifies) {
            return None;
        }
    }
    let (algorithm, key) = match text("kty")? {
        "EC" if text("crv")? == "P-256" => {
            (SigningAlgorithm::Es256, ec_key(text("x")?, text("y")?)?)
        }
        "RSA" => (SigningAlgorithm::Rs256, rsa_key(text("n")?, text("e")?)?),
        "OKP" if text("crv")? == "Ed25519" => (SigningAlgorithm::EdDsa, ed_key(text("x")?)?),
        _ => return None,
    };
    // A key made for another algorithm (RSA with PS256, say) is not used with ours.
    if members.contains_key("alg") && SigningAlgorithm::named(text("alg")?) != Some(algorithm) {
        return None;
    }
    Some(VerifyingKey {
        kid: text("kid").map(str::to_owned),
        algorithm,
        key,
    })
}

fn ec_key(x: &str, y: &str) -> Option<DecodingKey> {
    (length(x)? == 32 && length(y)? == 32)
        .then(|| DecodingKey::from_ec_components(x, y).ok())
        .flatten()
}

fn rsa_key(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let fits = (RSA_LEAST_BYTES..=RSA_MOST_BYTES).contains(&length(modulus)?);
    let small = (1..=8).contains(&length(exponent)?);
    (fits && small)
        .then(|| DecodingKey::from_rsa_components(modulus, exponent).ok())
        .flatten()
}

fn ed_key(x: &str) -> Option<DecodingKey> {
    (length(x)? == 32)
        .then(|| DecodingKey::from_ed_components(x).ok())
        .flatten()
}

fn length(encoded: &str) -> Option<usize> {
    URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn usable(keys: &[&str]) -> usize {
        let body = format!("{{\"keys\":[{}]}}", keys.join(","));
        KeySet::parse(body.as_bytes()).unwrap().0.len()
    }

    #[test]
    fn only_keys_that_we_can_use_as_they_are_meant_are_kept() {
        assert_eq!(usable(&[EC]), 1);
        assert_eq!(
            usable(&[&EC.replace("\"kid\"", "\"use\":\"enc\",\"kid\"")]),
            0
        );
        assert_eq!(
            usable(&[&EC.replace("\"kid\"", "\"alg\":\"ES384\",\"kid\"")]),
            0
        );
        assert_eq!(
            usable(&[&EC.replace("\"kid\"", "\"key_ops\":[\"sign\"],\"kid\"")]),
            0
        );
        assert_eq!(usable(&[r#"{"kty":"oct","k":"c2VjcmV0","kid":"h"}"#]), 0);
        assert_eq!(usable(&[r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#]), 0);
        assert_eq!(usable(&["7", "null", EC]), 1);
        let many = vec![EC; KEYS_MOST + 1].join(",");
        assert!(KeySet::parse(format!("{{\"keys\":[{many}]}}").as_bytes()).is_none());
        assert!(KeySet::parse(b"{}").is_none());
    }

    #[test]
    fn a_key_answers_to_its_own_algorithm_alone() {
        let keys = KeySet::parse(format!("{{\"keys\":[{EC}]}}").as_bytes()).unwrap();
        assert!(matches!(
            keys.find(Some("a"), SigningAlgorithm::Es256),
            Found::Key(_)
        ));
        assert!(matches!(
            keys.find(None, SigningAlgorithm::Es256),
            Found::Key(_)
        ));
        assert!(matches!(
            keys.find(Some("a"), SigningAlgorithm::Rs256),
            Found::OtherAlgorithm
        ));
        assert!(matches!(
            keys.find(Some("b"), SigningAlgorithm::Es256),
            Found::Nothing
        ));
    }
}
