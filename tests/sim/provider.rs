//! The provider: a thread with a listener on loopback.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::token::{Signature, TokenKey, new_token_id, now};

/// Who may ask for introspection.
pub const RESOURCE_SERVER_ID: &str = "glasshouse";
/// Its secret.
pub const RESOURCE_SERVER_SECRET: &str = "a-secret-for-tests";

/// An identity provider. Its thread ends with the process.
#[derive(Debug)]
pub struct IdentityProvider {
    issuer: String,
    key: TokenKey,
    known: Arc<Known>,
}

/// What the listener answers from.
#[derive(Debug)]
struct Known {
    issuer: String,
    jwks: Value,
    revoked: Mutex<BTreeSet<String>>,
}

impl IdentityProvider {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// Where no port or key can be had.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let key = TokenKey::generate("key-1")?;
        let known = Arc::new(Known {
            issuer: issuer.clone(),
            jwks: json!({"keys": [key.jwk()?]}),
            revoked: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let router = router(Arc::clone(&known));
        std::thread::Builder::new()
            .name("identity-provider".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    axum::serve(listener, router).await
                })
            })
            .context("failed to start the identity provider")?;
        Ok(Self { issuer, key, known })
    }

    /// Its identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its key, for tokens that are wrong.
    #[must_use]
    pub const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Claims of a good token: every scope, the task `node-health`, five minutes. Change them before [`Self::mint`].
    #[must_use]
    pub fn claims(&self, audience: &str) -> Value {
        json!({
            "iss": self.issuer, "sub": "ada", "aud": audience, "client_id": "test-client",
            "scope": "telemetry:read inventory:read task:node-health",
            "jti": new_token_id(), "iat": now(), "nbf": now(), "exp": now() + 300,
        })
    }

    /// A well-signed access token with these claims.
    ///
    /// # Errors
    /// Where signing fails.
    pub fn mint(&self, claims: &Value) -> anyhow::Result<String> {
        self.key.token(&self.key.header(), claims, Signature::Good)
    }

    /// From now on introspection says that the token is not active.
    pub fn revoke(&self, token: &str) {
        self.known.revoked().insert(token.to_owned());
    }
}

impl Known {
    fn revoked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(known: Arc<Known>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(jwks))
        .route("/introspect", post(introspect))
        .with_state(known)
}

async fn metadata(State(known): State<Arc<Known>>) -> Json<Value> {
    let issuer = &known.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

async fn jwks(State(known): State<Arc<Known>>) -> Json<Value> {
    Json(known.jwks.clone())
}

async fn introspect(
    State(known): State<Arc<Known>>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Json<Value>, StatusCode> {
    let expected = STANDARD.encode(format!("{RESOURCE_SERVER_ID}:{RESOURCE_SERVER_SECRET}"));
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "));
    if given != Some(&expected) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let token = form
        .iter()
        .find(|(name, _)| name == "token")
        .map(|(_, token)| token.as_str())
        .ok_or(StatusCode::BAD_REQUEST)?;
    let claims = claims_of(token).filter(|_| !known.revoked().contains(token));
    let Some(Value::Object(mut claims)) = claims else {
        return Ok(Json(json!({"active": false})));
    };
    claims.insert("active".to_owned(), Value::Bool(true));
    Ok(Json(Value::Object(claims)))
}

fn claims_of(token: &str) -> Option<Value> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}
