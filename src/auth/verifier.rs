//! The pipeline: take apart, find the key, check the signature, judge the claims, ask about revocation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glasshouse_core::access::{Authenticator, BoxFuture, Principal, TokenRefusal};
use glasshouse_core::time::Clock;

use crate::claims::{self, Expected};
use crate::fetch::{Fetcher, LoopbackHttp, parse_url};
use crate::issuer::Issuer;
use crate::settings::{AuthError, AuthSettings};
use crate::strict::Json;
use crate::token::UnverifiedToken;

/// Turns bearer tokens into principals.
#[derive(Debug)]
pub struct TokenVerifier {
    audience: String,
    issuers: Vec<Issuer>,
    groups: BTreeMap<String, Vec<String>>,
    clock: Arc<dyn Clock>,
}

impl TokenVerifier {
    /// Makes a verifier. Nothing is fetched yet; the first token of an issuer does that.
    ///
    /// # Errors
    /// [`AuthError`] for URLs that are not to be used, issuers listed twice, and groups that do not say whose subject
    /// they mean.
    pub fn new(settings: AuthSettings, clock: Arc<dyn Clock>) -> Result<Self, AuthError> {
        // Should another crate ever switch on `jsonwebtoken`'s second backend, the choice is made here and not by a
        // panic. An error means that somebody has chosen before, which is as good.
        if jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
            .install_default()
            .is_err()
        {
            tracing::debug!("The JWT backend was chosen before.");
        }
        check_groups(&settings)?;
        let mut issuers: Vec<Issuer> = Vec::new();
        if !settings.issuers.is_empty() {
            if parse_url(&settings.audience, LoopbackHttp::Allowed).is_none() {
                return Err(AuthError::Audience {
                    url: settings.audience,
                });
            }
            let fetcher = Fetcher::new()?;
            for trusted in settings.issuers {
                if issuers
                    .iter()
                    .any(|known| known.identifier() == trusted.issuer)
                {
                    return Err(AuthError::IssuerTwice {
                        issuer: trusted.issuer,
                    });
                }
                issuers.push(Issuer::new(trusted, fetcher.clone(), Arc::clone(&clock))?);
            }
        }
        Ok(Self {
            audience: settings.audience,
            issuers,
            groups: settings.groups,
            clock,
        })
    }

    async fn verify(&self, token: &str) -> Result<Principal, TokenRefusal> {
        if self.issuers.is_empty() {
            return Err(TokenRefusal::NoIssuer);
        }
        let unverified = UnverifiedToken::parse(token)?;
        let named = unverified.claims.get("iss").ok_or(TokenRefusal::Claims)?;
        let named = named.text().ok_or(TokenRefusal::Claims)?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.identifier() == named)
            .ok_or(TokenRefusal::Issuer)?;
        let key = issuer
            .key(unverified.kid.as_deref(), unverified.algorithm)
            .await?;
        if !key.fits(unverified.signed, unverified.signature) {
            return Err(TokenRefusal::Signature);
        }
        let principal = self.principal(issuer, &unverified.claims, unverified.digest)?;
        issuer.check_revocation(token, unverified.digest).await?;
        Ok(principal)
    }

    fn principal(
        &self,
        issuer: &Issuer,
        claims: &BTreeMap<String, Json>,
        digest: [u8; 32],
    ) -> Result<Principal, TokenRefusal> {
        let judged = claims::judge(
            claims,
            &Expected {
                audience: &self.audience,
                now: self.clock.now(),
                asked: issuer.is_asked(),
                groups_claim: issuer.groups_claim(),
            },
        )?;
        let mut groups = self.claimed_groups(issuer.identifier(), judged.groups);
        groups.extend(self.configured_groups(issuer.identifier(), &judged.subject));
        Ok(Principal {
            subject: judged.subject,
            client: judged.client,
            issuer: issuer.identifier().to_owned(),
            token_id: judged.token_id.unwrap_or_else(|| hex(digest)),
            scopes: judged.scopes,
            task: judged.task,
            groups,
            expires: judged.expires,
        })
    }

    /// Where several issuers are trusted, a group that one claims is `ISSUER GROUP`: none of them can put people into the
    /// groups of another, or into those of the config.
    fn claimed_groups(&self, issuer: &str, claimed: BTreeSet<String>) -> BTreeSet<String> {
        if self.issuers.len() < 2 {
            return claimed;
        }
        let with_issuer = |group: &String| format!("{issuer} {group}");
        claimed.iter().map(with_issuer).collect()
    }

    fn configured_groups(&self, issuer: &str, subject: &str) -> BTreeSet<String> {
        let is_meant = |entry: &String| match entry.split_once(' ') {
            Some((its_issuer, its_subject)) => its_issuer == issuer && its_subject == subject,
            None => entry == subject,
        };
        self.groups
            .iter()
            .filter(|(_, subjects)| subjects.iter().any(is_meant))
            .map(|(group, _)| group.clone())
            .collect()
    }
}

impl Authenticator for TokenVerifier {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Principal, TokenRefusal>> {
        Box::pin(self.verify(token))
    }
}

fn check_groups(settings: &AuthSettings) -> Result<(), AuthError> {
    if settings.issuers.len() < 2 {
        return Ok(());
    }
    let plain = settings.groups.iter().find_map(|(group, subjects)| {
        let subject = subjects.iter().find(|subject| !subject.contains(' '))?;
        Some((group, subject))
    });
    match plain {
        None => Ok(()),
        Some((group, subject)) => Err(AuthError::AmbiguousSubject {
            group: group.clone(),
            subject: subject.clone(),
        }),
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
