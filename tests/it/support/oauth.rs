//! An OAuth client of our own, whose every step can be done wrongly.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::browser::Browser;
use super::{form_body, http_client};

/// A client of one authorization server, for one resource.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) resource: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    client: reqwest::Client,
}

/// What one authorization request was made of.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) verifier: String,
    pub(crate) state: String,
    pub(crate) url: Url,
}

/// What a token request brought.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Grant {
    /// # Panics
    /// Where the exchange was refused.
    pub(crate) fn access_token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }
}

impl Issuer {
    pub(crate) fn new(issuer: &str, resource: &str, client_id: &str, redirect_uri: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            resource: resource.to_owned(),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            client: http_client(),
        }
    }

    /// The metadata of the authorization server (RFC 8414).
    pub(crate) async fn metadata(&self) -> Value {
        let url = format!("{}/.well-known/oauth-authorization-server", self.issuer);
        let response = self.client.get(&url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{url}");
        response.json().await.unwrap()
    }

    async fn endpoint(&self, which: &str) -> Url {
        let metadata = self.metadata().await;
        Url::parse(
            metadata[which]
                .as_str()
                .unwrap_or_else(|| panic!("no {which} in {metadata}")),
        )
        .unwrap()
    }

    /// An authorization URL with PKCE.
    pub(crate) async fn attempt(&self, scope: &str) -> Attempt {
        let (verifier, state) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut url = self.endpoint("authorization_endpoint").await;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("resource", &self.resource)
            .append_pair("scope", scope)
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Attempt {
            verifier,
            state,
            url,
        }
    }

    /// The code for a token; `change` may spoil the form first.
    pub(crate) async fn exchange(
        &self,
        attempt: &Attempt,
        code: &str,
        change: impl FnOnce(&mut Vec<(&str, String)>),
    ) -> Grant {
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("client_id", self.client_id.clone()),
            ("code_verifier", attempt.verifier.clone()),
            ("resource", self.resource.clone()),
        ];
        change(&mut form);
        self.post("token_endpoint", &form).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Grant {
        let form = [
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh_token.to_owned()),
            ("client_id", self.client_id.clone()),
            ("resource", self.resource.clone()),
        ];
        self.post("token_endpoint", &form).await
    }

    pub(crate) async fn revoke(&self, token: &str) -> Grant {
        let form = [
            ("token", token.to_owned()),
            ("client_id", self.client_id.clone()),
        ];
        self.post("revocation_endpoint", &form).await
    }

    async fn post(&self, endpoint: &str, form: &[(&str, String)]) -> Grant {
        let url = self.endpoint(endpoint).await;
        let response = self
            .client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form_body(form))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Grant {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    /// The code that the browser comes back with, checked as a client must.
    pub(crate) async fn code(&self, browser: &mut Browser, attempt: &Attempt) -> String {
        let back = browser.follow(attempt.url.as_str()).await;
        assert!(
            back.as_str().starts_with(&self.redirect_uri),
            "sent to {back}"
        );
        assert_eq!(
            query(&back, "state").as_ref(),
            Some(&attempt.state),
            "{back}"
        );
        assert_eq!(query(&back, "iss").as_ref(), Some(&self.issuer), "{back}");
        query(&back, "code").unwrap_or_else(|| panic!("no code in {back}"))
    }

    /// The whole flow.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, scope: &str) -> Grant {
        let attempt = self.attempt(scope).await;
        let code = self.code(browser, &attempt).await;
        self.exchange(&attempt, &code, |_| {}).await
    }
}

/// A parameter of a URL's query.
pub(crate) fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// 256 random bits in letters.
pub(crate) fn random() -> String {
    use std::io::Read as _;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}
