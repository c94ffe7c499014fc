//! A made-up issuer: keys, tokens, and the server that publishes and introspects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::{AuthSettings, IntrospectionSettings, IssuerSettings, TokenVerifier};
use glasshouse_core::access::{Authenticator as _, Principal, TokenRefusal};
use glasshouse_core::time::{BootTime, Clock, Moment, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(super) const AUDIENCE: &str = "http://127.0.0.1:8765/mcp";
const START: i64 = 1_800_000_000;

/// A clock that stands still until told otherwise.
#[derive(Debug)]
pub(super) struct StandingClock(AtomicI64);

impl StandingClock {
    pub(super) fn step(&self, span: Duration) {
        self.0
            .fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(super) fn seconds(&self) -> i64 {
        START + self.0.load(Ordering::SeqCst) / 1000
    }
}

impl Clock for StandingClock {
    fn moment(&self) -> Moment {
        let millis = self.0.load(Ordering::SeqCst);
        Moment {
            wall: Timestamp::from_nanos(START * 1_000_000_000 + millis * 1_000_000),
            boot: BootTime::from_nanos((u64::try_from(millis).unwrap() + 1_000) * 1_000_000),
        }
    }
}

/// A key pair of the issuer.
pub(super) struct Signer {
    pub(super) key: EncodingKey,
    pub(super) algorithm: Algorithm,
    pub(super) jwk: Value,
    pub(super) public_pem: String,
}

impl Signer {
    pub(super) fn new(
        kind: &'static rcgen::SignatureAlgorithm,
        algorithm: Algorithm,
        kid: &str,
    ) -> Self {
        // Whoever comes first chooses; a second choice of the same is no matter.
        let _chosen_before = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
            .install_default()
            .is_err();
        let pair = if algorithm == Algorithm::RS256 {
            rcgen::KeyPair::generate_rsa_for(kind, rcgen::RsaKeySize::_2048).unwrap()
        } else {
            rcgen::KeyPair::generate_for(kind).unwrap()
        };
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()).unwrap(),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
        };
        let mut jwk = if algorithm == Algorithm::EdDSA {
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64_bytes(pair.public_key_raw())})
        } else {
            let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm).unwrap();
            serde_json::to_value(jwk).unwrap()
        };
        jwk["kid"] = json!(kid);
        Self {
            key,
            algorithm,
            jwk,
            public_pem: pair.public_key_pem(),
        }
    }

    pub(super) fn es256(kid: &str) -> Self {
        Self::new(&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256, kid)
    }

    /// A token with exactly this header and these claims, as text: so that it can be as wrong as wanted.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64(header), base64(claims));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub(super) fn base64(text: &str) -> String {
    base64_bytes(text.as_bytes())
}

fn base64_bytes(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The issuer, its clock and a verifier that trusts it.
pub(super) struct World {
    pub(super) server: MockServer,
    pub(super) signer: Signer,
    pub(super) clock: Arc<StandingClock>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self {
            server: MockServer::start().await,
            signer: Signer::es256("k1"),
            clock: Arc::new(StandingClock(AtomicI64::new(0))),
        }
    }

    pub(super) fn issuer(&self) -> String {
        self.server.uri()
    }

    /// Publishes metadata and keys.
    pub(super) async fn publish(&self, keys: &[&Signer]) {
        self.publish_metadata(&self.issuer()).await;
        self.publish_keys(keys).await;
    }

    pub(super) async fn publish_metadata(&self, issuer: &str) {
        let document = json!({
            "issuer": issuer,
            "jwks_uri": format!("{}/jwks", self.issuer()),
            "introspection_endpoint": format!("{}/introspect", self.issuer()),
        });
        Mock::given(method("GET"))
            .and(path("/.well-known/oauth-authorization-server"))
            .respond_with(ResponseTemplate::new(200).set_body_json(document))
            .mount(&self.server)
            .await;
    }

    pub(super) async fn publish_keys(&self, keys: &[&Signer]) {
        let keys: Vec<&Value> = keys.iter().map(|signer| &signer.jwk).collect();
        Mock::given(method("GET"))
            .and(path("/jwks"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "keys": keys })))
            .mount(&self.server)
            .await;
    }

    pub(super) async fn answer_introspection(&self, answer: ResponseTemplate) {
        Mock::given(method("POST"))
            .and(path("/introspect"))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    pub(super) async fn requests(&self, at: &str) -> usize {
        let requests = self.server.received_requests().await.unwrap();
        requests
            .iter()
            .filter(|request| request.url.path() == at)
            .count()
    }

    pub(super) fn settings(&self) -> AuthSettings {
        AuthSettings {
            audience: AUDIENCE.to_owned(),
            issuers: vec![IssuerSettings {
                issuer: self.issuer(),
                jwks_uri: None,
                introspection: None,
                groups_claim: None,
            }],
            groups: BTreeMap::new(),
        }
    }

    pub(super) fn asking(&self) -> AuthSettings {
        let mut settings = self.settings();
        settings.issuers[0].introspection = Some(IntrospectionSettings {
            endpoint: None,
            client_id: "serve".to_owned(),
            client_secret: "s:ecret".to_owned().into(),
        });
        settings
    }

    pub(super) fn verifier(&self, settings: AuthSettings) -> TokenVerifier {
        TokenVerifier::new(settings, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    /// The claims of a good token.
    pub(super) fn claims(&self) -> Value {
        let now = self.clock.seconds();
        json!({
            "iss": self.issuer(), "aud": AUDIENCE, "sub": "alice", "client_id": "agent",
            "iat": now, "nbf": now, "exp": now + 300, "jti": "t1",
            "scope": "telemetry:read task:node-health",
        })
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" })
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        self.signer
            .sign(&self.header().to_string(), &claims.to_string())
    }
}

pub(super) async fn verdict(
    verifier: &TokenVerifier,
    token: &str,
) -> Result<Principal, TokenRefusal> {
    verifier.authenticate(token).await
}
