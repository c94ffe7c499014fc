//! What the room is told: whom to trust, and for which resource.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

/// Whom to trust, and for which resource.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// The exact URL of `/mcp`: the one audience that is taken.
    pub audience: String,
    /// The issuers. None: everything is refused.
    pub issuers: Vec<IssuerSettings>,
    /// Groups and the subjects in them. Where several issuers are trusted, a subject is written `ISSUER SUBJECT`,
    /// because `alice` at one is not `alice` at the other.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// One issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its identifier, to the letter; `https`, or `http` on loopback.
    pub issuer: String,
    /// Where its keys are. Left out: its metadata says so (RFC 8414, then OpenID).
    pub jwks_uri: Option<String>,
    /// How to ask it whether a token still holds. Left out: tokens may live five minutes at most.
    pub introspection: Option<IntrospectionSettings>,
    /// The claim that names a person's groups, if it has one. Where several issuers are trusted, its groups are called
    /// `ISSUER GROUP`.
    pub groups_claim: Option<String>,
}

/// How to ask an issuer whether a token still holds (RFC 7662).
#[derive(Clone)]
pub struct IntrospectionSettings {
    /// Where. Left out: its metadata says so.
    pub endpoint: Option<String>,
    /// Who asks.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

/// Without the secret.
impl fmt::Debug for IntrospectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionSettings")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Why a verifier cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The audience is no URL.
    #[error("the resource `{url}` is not a URL (write the exact URL of /mcp)")]
    Audience {
        /// What was written.
        url: String,
    },
    /// Not a URL, or plain `http` off loopback.
    #[error("`{url}` cannot be used for {purpose}: https is needed, or http on loopback")]
    Url {
        /// What was written.
        url: String,
        /// What for.
        purpose: &'static str,
    },
    /// The same issuer twice.
    #[error("the issuer `{issuer}` is listed twice")]
    IssuerTwice {
        /// Which.
        issuer: String,
    },
    /// A group names a subject without its issuer while several are trusted.
    #[error(
        "the subject `{subject}` of group `{group}` needs its issuer (write `ISSUER SUBJECT`): several issuers are trusted"
    )]
    AmbiguousSubject {
        /// Which group.
        group: String,
        /// Which subject.
        subject: String,
    },
    /// The HTTP client cannot be made.
    #[error("failed to set up the HTTP client for the issuers")]
    Client {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}
