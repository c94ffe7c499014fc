//! One issuer: where its keys and its introspection are, and how long what it said is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use glasshouse_core::access::TokenRefusal;
use glasshouse_core::time::{BootTime, Clock};
use reqwest::Url;

use crate::fetch::{Fetcher, LoopbackHttp, is_loopback, parse_url};
use crate::introspection::Introspector;
use crate::keys::{Found, KeySet, SigningAlgorithm, VerifyingKey};
use crate::settings::{AuthError, IssuerSettings};
use crate::strict::{self, Json};

/// Keys older than this are fetched anew at the next use; what an issuer withdraws is then gone in five minutes.
const REFRESH_AFTER: Duration = Duration::from_secs(300);

/// Keys older than this are not believed any more, however long the issuer has been away.
const GRACE: Duration = Duration::from_secs(3600);

/// The least time between two fetches while there are keys: a flood of unknown key ids costs the issuer one
/// request in this time.
const REFRESH_PAUSE: Duration = Duration::from_secs(10);

/// The least time between two fetches while there are none, as at start, when the issuer may be starting too.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest that a whole refresh (metadata, then keys) may take.
const REFRESH_DEADLINE: Duration = Duration::from_secs(5);

/// What the issuer said last.
#[derive(Debug)]
struct Said {
    keys: KeySet,
    introspection: Option<Url>,
    at: BootTime,
}

/// One issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    settings: IssuerSettings,
    identifier: Url,
    jwks: Option<Url>,
    introspection: Option<(Option<Url>, Introspector)>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    said: ArcSwapOption<Said>,
    /// Held while fetching, so that a burst makes one request.
    fetching: tokio::sync::Mutex<()>,
    /// Boot time of the last attempt in nanoseconds; zero before the first.
    attempted: AtomicU64,
}

impl Issuer {
    /// Checks the settings of an issuer.
    ///
    /// # Errors
    /// [`AuthError::Url`] for a URL that is not to be used.
    pub(crate) fn new(
        settings: IssuerSettings,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthError> {
        let identifier = configured(&settings.issuer, "an issuer")?;
        let jwks = match &settings.jwks_uri {
            Some(url) => Some(configured(url, "an issuer's keys")?),
            None => None,
        };
        let introspection = match &settings.introspection {
            None => None,
            Some(asking) => {
                let endpoint = match &asking.endpoint {
                    Some(url) => Some(configured(url, "introspection")?),
                    None => None,
                };
                let asker = Introspector::new(asking, fetcher.clone(), Arc::clone(&clock));
                Some((endpoint, asker))
            }
        };
        Ok(Self {
            settings,
            identifier,
            jwks,
            introspection,
            fetcher,
            clock,
            said: ArcSwapOption::empty(),
            fetching: tokio::sync::Mutex::new(()),
            attempted: AtomicU64::new(0),
        })
    }

    /// Its identifier, to the letter.
    pub(crate) fn identifier(&self) -> &str {
        &self.settings.issuer
    }

    /// The claim that names a person's groups.
    pub(crate) fn groups_claim(&self) -> Option<&str> {
        self.settings.groups_claim.as_deref()
    }

    /// Whether it is asked if a token still holds.
    pub(crate) const fn is_asked(&self) -> bool {
        self.introspection.is_some()
    }

    /// The key that a token's header names.
    ///
    /// # Errors
    /// `IssuerUnavailable`, `Algorithm` or `UnknownKey`.
    pub(crate) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: SigningAlgorithm,
    ) -> Result<VerifyingKey, TokenRefusal> {
        match self.said().await?.keys.find(kid, algorithm) {
            Found::Key(key) => return Ok(key),
            Found::OtherAlgorithm => return Err(TokenRefusal::Algorithm),
            Found::Nothing => {}
        }
        // The issuer may have changed its keys since; it is asked again, but not by everybody who invents a key id.
        let _one = self.fetching.lock().await;
        self.refresh_unless_just_done().await;
        match self.believed()?.keys.find(kid, algorithm) {
            Found::Key(key) => Ok(key),
            Found::OtherAlgorithm => Err(TokenRefusal::Algorithm),
            Found::Nothing => Err(TokenRefusal::UnknownKey),
        }
    }

    /// Asks whether a token still holds; where introspection is not configured, its short life must do.
    ///
    /// # Errors
    /// `Revoked`, or `IssuerUnavailable` where no answer can be had.
    pub(crate) async fn check_revocation(
        &self,
        token: &str,
        digest: [u8; 32],
    ) -> Result<(), TokenRefusal> {
        let Some((configured, introspector)) = &self.introspection else {
            return Ok(());
        };
        let endpoint = match configured {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.said().await?.introspection.clone(),
        };
        let endpoint = endpoint.ok_or(TokenRefusal::IssuerUnavailable)?;
        introspector.check(&endpoint, token, digest).await
    }

    /// What the issuer said, fetched anew where it is old.
    async fn said(&self) -> Result<Arc<Said>, TokenRefusal> {
        let now = self.clock.moment().boot;
        match self.said.load_full() {
            Some(said) if now.since(said.at) < REFRESH_AFTER => return Ok(said),
            Some(_) => {
                // The old keys still do: one caller goes and looks, the others do not wait for it.
                if let Ok(_one) = self.fetching.try_lock() {
                    self.refresh_unless_just_done().await;
                }
            }
            None => {
                let _one = self.fetching.lock().await;
                self.refresh_unless_just_done().await;
            }
        }
        self.believed()
    }

    fn believed(&self) -> Result<Arc<Said>, TokenRefusal> {
        let now = self.clock.moment().boot;
        self.said
            .load_full()
            .filter(|said| now.since(said.at) < GRACE)
            .ok_or(TokenRefusal::IssuerUnavailable)
    }

    /// Fetches, unless that was just tried. Call it with `fetching` held.
    async fn refresh_unless_just_done(&self) {
        let now = self.clock.moment().boot;
        let pause = if self.said.load().is_some() {
            REFRESH_PAUSE
        } else {
            FIRST_PAUSE
        };
        let last = self.attempted.load(Ordering::Acquire);
        if last != 0 && now.since(BootTime::from_nanos(last)) < pause {
            return;
        }
        self.attempted.store(now.nanos().max(1), Ordering::Release);
        match tokio::time::timeout(REFRESH_DEADLINE, self.fetch(now)).await {
            Ok(Some(said)) => self.said.store(Some(Arc::new(said))),
            Ok(None) => {}
            Err(_) => tracing::warn!(
                issuer = self.identifier(),
                "The issuer did not answer in time; its last keys are used while they are fresh enough."
            ),
        }
    }

    async fn fetch(&self, at: BootTime) -> Option<Said> {
        let needs_endpoint = matches!(&self.introspection, Some((None, _)));
        let (jwks, introspection) = match &self.jwks {
            Some(jwks) if !needs_endpoint => (jwks.clone(), None),
            known => {
                let (found, introspection) = self.discover().await?;
                (known.clone().unwrap_or(found), introspection)
            }
        };
        let body = self.get(&jwks).await?;
        let Some(keys) = KeySet::parse(&body) else {
            tracing::warn!(issuer = self.identifier(), url = %jwks, "The issuer's key set cannot be read.");
            return None;
        };
        Some(Said {
            keys,
            introspection,
            at,
        })
    }

    /// The issuer's metadata: RFC 8414's place first, then OpenID's two.
    async fn discover(&self) -> Option<(Url, Option<Url>)> {
        for place in metadata_places(&self.identifier) {
            let Some(body) = self.get(&place).await else {
                continue;
            };
            let Some(document) = strict::object(&body) else {
                continue;
            };
            let text = |name: &str| document.get(name).and_then(Json::text);
            // RFC 8414, 3.3: somebody else's document proves nothing about this issuer.
            if text("issuer") != Some(self.identifier()) {
                tracing::warn!(issuer = self.identifier(), url = %place, "The metadata names another issuer; it is not used.");
                continue;
            }
            let near = if is_loopback(&self.identifier) {
                LoopbackHttp::Allowed
            } else {
                LoopbackHttp::Refused
            };
            let link = |name: &str| text(name).and_then(|url| parse_url(url, near));
            if let Some(jwks) = link("jwks_uri") {
                return Some((jwks, link("introspection_endpoint")));
            }
        }
        tracing::warn!(
            issuer = self.identifier(),
            "The issuer's metadata cannot be found."
        );
        None
    }

    async fn get(&self, url: &Url) -> Option<Vec<u8>> {
        match self.fetcher.get(url).await {
            Ok(body) => Some(body),
            Err(error) => {
                tracing::debug!(issuer = self.identifier(), %error, "The issuer's document could not be had.");
                None
            }
        }
    }
}

fn configured(url: &str, purpose: &'static str) -> Result<Url, AuthError> {
    parse_url(url, LoopbackHttp::Allowed).ok_or_else(|| AuthError::Url {
        url: url.to_owned(),
        purpose,
    })
}

fn metadata_places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ];
    if !path.is_empty() {
        places.push(at(format!("/.well-known/openid-configuration{path}")));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_documents_say() {
        let places = |issuer: &str| -> Vec<String> {
            let issuer = Url::parse(issuer).unwrap();
            metadata_places(&issuer)
                .iter()
                .map(Url::to_string)
                .collect()
        };
        assert_eq!(
            places("https://id.example"),
            [
                "https://id.example/.well-known/oauth-authorization-server",
                "https://id.example/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://id.example/realms/lab/"),
            [
                "https://id.example/.well-known/oauth-authorization-server/realms/lab",
                "https://id.example/realms/lab/.well-known/openid-configuration",
                "https://id.example/.well-known/openid-configuration/realms/lab",
            ]
        );
    }
}
