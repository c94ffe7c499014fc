//! The door for readers that speak no protocol: a page beside `/mcp`, opened by a scope.

use bytes::Bytes;
use glasshouse_core::access::TokenRefusal;
use http::{HeaderMap, Response};

use super::refusal::Refusal;
use super::{McpService, token};

impl McpService {
    /// Whether the bearer token among these headers opens a page that needs `scope` and no task: the same issuers, the same
    /// rate and the same challenges as on the way to a tool. A refusal is counted; what is read is the same for everybody, so
    /// an admission leaves no record.
    ///
    /// # Errors
    /// The answer to send: 401, 403 or 429, with a challenge where a better token would help.
    pub async fn admit_reader(
        &self,
        headers: &HeaderMap,
        scope: &str,
    ) -> Result<(), Response<Bytes>> {
        let gate = &self.inner.gate;
        let judged = self.judge_reader(headers, scope).await;
        judged.map_err(|refusal| {
            gate.count_refusal(refusal.word());
            refusal.plain_response(&gate.world().settings)
        })
    }

    async fn judge_reader(&self, headers: &HeaderMap, scope: &str) -> Result<(), Refusal> {
        let gate = &self.inner.gate;
        let scopes = || vec![scope.to_owned()];
        let token = token::bearer(headers).map_err(|none| match none {
            token::NoBearer::Missing => Refusal::NoToken { scopes: scopes() },
            token::NoBearer::Malformed => Refusal::BadToken {
                refusal: TokenRefusal::Malformed,
                scopes: scopes(),
            },
        })?;
        let principal = token::authenticate(&*gate.world().authenticator, token).await;
        let principal = principal.map_err(|refusal| Refusal::BadToken {
            refusal,
            scopes: scopes(),
        })?;
        gate.keep_to_the_rate(&principal)
            .map_err(|wait| Refusal::TooMany {
                wait_seconds: wait.as_secs().saturating_add(1),
            })?;
        if principal.scopes.contains(scope) {
            return Ok(());
        }
        let held = principal.scopes.into_iter();
        Err(Refusal::Scope {
            scopes: held.chain(scopes()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_core::access::METRICS_SCOPE;
    use http::header::AUTHORIZATION;

    use crate::fakes::Fake;

    #[tokio::test]
    async fn a_page_is_opened_by_its_scope_alone() {
        let fake = Fake::new();
        let service = crate::service(fake.world());
        let mut told = String::new();
        for token in [
            None,
            Some("x y"),
            Some("expired"),
            Some("health"),
            Some("metrics"),
        ] {
            let mut headers = http::HeaderMap::new();
            if let Some(token) = token {
                headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            }
            told.push_str(&format!("{token:?}: "));
            match service.admit_reader(&headers, METRICS_SCOPE).await {
                Ok(()) => told.push_str("admitted\n"),
                Err(answer) => {
                    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
                    let text = String::from_utf8(answer.body().to_vec()).unwrap();
                    told.push_str(&format!("{} {challenge}\n  {text}", answer.status()));
                }
            }
        }
        insta::assert_snapshot!(told, @r#"
        None: 401 Unauthorized Bearer resource_metadata="http://127.0.0.1:8765/.well-known/oauth-protected-resource/mcp", scope="metrics:read"
          a bearer token is required
        Some("x y"): 401 Unauthorized Bearer error="invalid_token", resource_metadata="http://127.0.0.1:8765/.well-known/oauth-protected-resource/mcp", scope="metrics:read"
          the token is malformed
        Some("expired"): 401 Unauthorized Bearer error="invalid_token", resource_metadata="http://127.0.0.1:8765/.well-known/oauth-protected-resource/mcp", scope="metrics:read"
          the token has expired
        Some("health"): 403 Forbidden Bearer error="insufficient_scope", resource_metadata="http://127.0.0.1:8765/.well-known/oauth-protected-resource/mcp", scope="inventory:read telemetry:read metrics:read"
          the token's scopes do not cover this call
        Some("metrics"): admitted
        "#);
        let refused = ["no_token", "malformed", "expired", "scope"];
        let events = fake.events.lock().unwrap().clone();
        assert_eq!(events, refused.map(|word| format!("refused {word}")));
    }

    #[tokio::test]
    async fn a_reader_keeps_to_the_rate_of_a_caller() {
        let fake = Fake::new();
        let service = crate::service(fake.world());
        let mut headers = http::HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer metrics".parse().unwrap());
        let refused = async {
            loop {
                if let Err(answer) = service.admit_reader(&headers, METRICS_SCOPE).await {
                    break answer;
                }
            }
        };
        let answer = tokio::time::timeout(std::time::Duration::from_secs(20), refused).await;
        let answer = answer.expect("nobody may ask without end");
        assert_eq!(answer.status(), http::StatusCode::TOO_MANY_REQUESTS);
        assert!(answer.headers().contains_key("retry-after"));
    }
}
