//! Tokens, put together by hand so that they can be wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// RS256 with the private key, as it should be.
    Good,
    /// None at all: the third part is empty.
    Missing,
    /// HS256 with the text of the public key as the secret.
    HmacWithPublicKey,
    /// RS256 over something else.
    OfAnother,
}

/// An RSA key and the tokens that it signs.
#[derive(Debug)]
pub struct TokenKey {
    id: String,
    pair: KeyPair,
}

impl TokenKey {
    /// Makes a new key of 2048 bits.
    ///
    /// # Errors
    /// Where the key cannot be made.
    pub fn generate(id: &str) -> anyhow::Result<Self> {
        Ok(Self {
            id: id.to_owned(),
            pair: KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        })
    }

    /// The public key as a JWK (RFC 7517).
    ///
    /// # Errors
    /// Where the key is not as RFC 8017 encodes 2048 bits.
    pub fn jwk(&self) -> anyhow::Result<Value> {
        // RSAPublicKey: a sequence of the modulus (257 bytes, the first zero) and the exponent 65537
        let der = self.pair.public_key_raw();
        let modulus = der.get(9..265).context("a short RSA key")?;
        let exponent = der.get(265..).context("a short RSA key")?;
        ensure!(exponent == [2, 3, 1, 0, 1], "an unusual RSA exponent");
        Ok(json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
        }))
    }

    /// The header of an access token (RFC 9068).
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": "RS256", "typ": "at+jwt", "kid": self.id})
    }

    /// The three parts.
    ///
    /// # Errors
    /// Where signing fails.
    pub fn token(
        &self,
        header: &Value,
        claims: &Value,
        signature: Signature,
    ) -> anyhow::Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let rsa = |message: &[u8]| -> anyhow::Result<String> {
            let key = EncodingKey::from_rsa_pem(self.pair.serialize_pem().as_bytes())?;
            Ok(jsonwebtoken::crypto::sign(message, &key, Algorithm::RS256)?)
        };
        let signature = match signature {
            Signature::Good => rsa(message.as_bytes())?,
            Signature::Missing => String::new(),
            Signature::OfAnother => rsa(b"another message")?,
            Signature::HmacWithPublicKey => {
                let key = EncodingKey::from_secret(self.pair.public_key_pem().as_bytes());
                jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256)?
            }
        };
        Ok(format!("{message}.{signature}"))
    }
}

/// An id that no other token of this process has.
pub(crate) fn new_token_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!(
        "token-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Seconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens are judged by the real clock of another process"
)]
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
