//! Everything that is refused before the protocol library sees it, and how the answer looks.

use bytes::Bytes;
use glasshouse_core::access::{TASK_SCOPE_PREFIX, TokenRefusal};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::McpBody;
use super::headers::{NEW_VERSION, OLD_VERSION};
use super::message::MessageError;
use super::strict::StrictError;
use crate::world::FaceSettings;

/// Why a request was refused before any tool was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("use POST")]
    Method,
    #[error("the body is larger than {} KiB", super::body::LARGEST / 1024)]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("this Host is not served")]
    Host,
    #[error("this Origin is not served")]
    Origin,
    #[error("send application/json")]
    ContentType,
    #[error("accept application/json and text/event-stream")]
    Accept,
    #[error("{0}")]
    Strict(StrictError),
    #[error("{0}")]
    Message(MessageError),
    #[error("{detail}")]
    HeaderMismatch { detail: &'static str },
    #[error("this protocol version is not served")]
    Version { requested: String },
    #[error("this method does not exist")]
    UnknownMethod { stateless: bool },
    #[error("this method is not served")]
    NotServed { stateless: bool },
    #[error("`_meta` lacks io.modelcontextprotocol/protocolVersion or clientCapabilities")]
    Metadata,
    #[error("a bearer token is required")]
    NoToken { scopes: Vec<String> },
    #[error("{refusal}")]
    BadToken {
        refusal: TokenRefusal,
        scopes: Vec<String>,
    },
    #[error("the token's scopes do not cover this call")]
    Scope { scopes: Vec<String> },
    #[error("not permitted or not found, decision {decision}")]
    Denied { decision: String },
    #[error("too many requests, try again in {wait_seconds} s")]
    TooMany { wait_seconds: u64 },
    #[error("too many calls at once, try again in a moment")]
    Busy,
}

impl Refusal {
    /// The word for it in the audit log's counters.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Broken => "broken",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::ContentType => "content_type",
            Self::Accept => "accept",
            Self::Strict(error) => error.word(),
            Self::Message(error) => error.word(),
            Self::HeaderMismatch { .. } => "header_mismatch",
            Self::Version { .. } => "version",
            Self::UnknownMethod { .. } => "unknown_method",
            Self::NotServed { .. } => "not_served",
            Self::Metadata => "metadata",
            Self::NoToken { .. } => "no_token",
            Self::BadToken { refusal, .. } => refusal.word(),
            Self::Scope { .. } => "scope",
            Self::Denied { .. } => "denied",
            Self::TooMany { .. } => "too_many",
            Self::Busy => "busy",
        }
    }

    /// Whether the gate wrote a record of it: it was turned away after authentication.
    pub(crate) const fn has_a_record(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. } | Self::Scope { .. } | Self::NotServed { .. }
        )
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Host | Self::Origin | Self::Scope { .. } => StatusCode::FORBIDDEN,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Accept => StatusCode::NOT_ACCEPTABLE,
            Self::Broken
            | Self::Strict(_)
            | Self::Message(_)
            | Self::HeaderMismatch { .. }
            | Self::Metadata
            | Self::Version { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownMethod { stateless } | Self::NotServed { stateless } if *stateless => {
                StatusCode::NOT_FOUND
            }
            // an older client reads a 404 as a lost session, and a denial is an answer
            Self::UnknownMethod { .. } | Self::NotServed { .. } | Self::Denied { .. } => {
                StatusCode::OK
            }
            Self::NoToken { .. } | Self::BadToken { .. } => StatusCode::UNAUTHORIZED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn code(&self) -> i32 {
        match self {
            Self::Strict(_) => -32700,
            Self::HeaderMismatch { .. } => -32020,
            Self::Version { .. } => -32022,
            Self::UnknownMethod { .. } | Self::NotServed { .. } => -32601,
            Self::Metadata
            | Self::Message(MessageError::Call | MessageError::Params | MessageError::Meta) => {
                -32602
            }
            _ => -32600,
        }
    }

    /// The answer. `id` is the request's, where it got that far.
    pub(crate) fn response(
        &self,
        id: Option<&Value>,
        settings: &FaceSettings,
    ) -> Response<McpBody> {
        let (code, message) = (self.code(), self.to_string());
        let error = if let Self::Version { requested } = self {
            let requested = glasshouse_core::text::clean(requested);
            let data = json!({ "supported": [NEW_VERSION, OLD_VERSION], "requested": requested });
            json!({ "code": code, "message": message, "data": data })
        } else {
            json!({ "code": code, "message": message })
        };
        let body = json!({ "jsonrpc": "2.0", "id": id, "error": error });
        let mut response = Response::new(full(body.to_string()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.dress(&mut response, settings);
        response
    }

    /// The answer to who speaks no protocol: a line of text.
    pub(crate) fn plain_response(&self, settings: &FaceSettings) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("{self}\n")));
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        self.dress(&mut response, settings);
        response
    }

    /// The status and what goes with it.
    fn dress<B>(&self, response: &mut Response<B>, settings: &FaceSettings) {
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if *self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if let Self::TooMany { wait_seconds } = self {
            headers.insert(RETRY_AFTER, HeaderValue::from(*wait_seconds));
        }
        if let Some(challenge) = self.challenge(settings) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
    }

    /// `WWW-Authenticate` (RFC 6750, RFC 9728) of a 401 and of a 403 that a better token would open.
    fn challenge(&self, settings: &FaceSettings) -> Option<HeaderValue> {
        let (error, scopes) = match self {
            Self::NoToken { scopes } => ("", scopes),
            Self::BadToken { scopes, .. } => ("error=\"invalid_token\", ", scopes),
            Self::Scope { scopes } => ("error=\"insufficient_scope\", ", scopes),
            _ => return None,
        };
        let text = format!(
            "Bearer {error}resource_metadata=\"{}\", scope=\"{}\"",
            quotable(&settings.resource_metadata),
            quotable(&scopes.join(" "))
        );
        HeaderValue::from_str(&text).ok()
    }
}

/// The scopes that a challenge names: those of the operation, and one task.
pub(crate) fn challenge_scopes(
    held: impl IntoIterator<Item = String>,
    needed: impl IntoIterator<Item = String>,
    task: &str,
) -> Vec<String> {
    let scopes: std::collections::BTreeSet<String> = held.into_iter().chain(needed).collect();
    scopes
        .into_iter()
        .chain([format!("{TASK_SCOPE_PREFIX}{task}")])
        .collect()
}

pub(crate) fn full(text: String) -> McpBody {
    Full::new(Bytes::from(text)).boxed()
}

/// What may stand in a quoted string of a header: scopes and URLs need no more.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .collect()
}
