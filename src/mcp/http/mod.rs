//! The tower service of `/mcp`: one pipeline, in one order.
//!
//! Method, host and origin, media types, size and time of the body, one strict parse, headers against the body, token,
//! rate, scope and gate; only then does the protocol library see the request, written anew from what was parsed.

mod body;
mod doors;
mod headers;
mod message;
mod reader;
mod refusal;
mod strict;
#[cfg(test)]
mod tests;
mod token;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use glasshouse_core::access::{Principal, TokenRefusal};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use self::body::Room;
use self::doors::Doors;
use self::message::Message;
use self::refusal::Refusal;
pub(crate) use self::refusal::challenge_scopes;
use crate::gate::{Admitted, Gate, Turned};
use crate::server::Face;
use crate::world::{FaceSettings, FaceWorld};

/// The body of an answer.
pub type McpBody = BoxBody<Bytes, Infallible>;

/// Everything of `/mcp`: limits, strict parsing, token, scopes, gate, tools.
#[derive(Clone)]
pub struct McpService {
    inner: Arc<Inner>,
}

struct Inner {
    gate: Arc<Gate>,
    doors: Doors,
    room: Room,
    protocol: StreamableHttpService<Face, NeverSessionManager>,
}

/// Builds the service of `/mcp`.
#[must_use]
pub fn service(world: FaceWorld) -> McpService {
    let settings = world.settings.clone();
    let gate = Arc::new(Gate::new(world));
    let face = Face::new(Arc::clone(&gate));
    McpService {
        inner: Arc::new(Inner {
            gate,
            doors: Doors::new(&settings),
            room: Room::new(),
            protocol: StreamableHttpService::new(
                move || Ok(face.clone()),
                Arc::new(NeverSessionManager::default()),
                protocol_config(&settings),
            ),
        }),
    }
}

/// The library checks hosts and origins once more; it keeps no sessions and answers in plain JSON.
fn protocol_config(settings: &FaceSettings) -> StreamableHttpServerConfig {
    let mut hosts = settings.allowed_hosts.clone();
    if hosts.is_empty() {
        let own: Option<http::Uri> = settings.resource.parse().ok();
        hosts.extend(own.and_then(|uri| uri.authority().map(ToString::to_string)));
    }
    StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(settings.allowed_origins.clone())
        .enforce_origin_validation()
        .with_json_response(true)
        .with_legacy_session_mode(false)
        .with_max_request_body_bytes(body::LARGEST)
}

impl fmt::Debug for McpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpService")
            .field("gate", &self.inner.gate)
            .finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<Request<B>> for McpService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: fmt::Display,
{
    type Response = Response<McpBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl Inner {
    async fn answer<B>(&self, request: Request<B>) -> Response<McpBody>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let mut id = None;
        match self.judge(request, &mut id).await {
            Ok(request) => {
                let mut protocol = self.protocol.clone();
                match tower_service::Service::call(&mut protocol, request).await {
                    Ok(mut response) => {
                        let no_store = HeaderValue::from_static("no-store");
                        response.headers_mut().insert(CACHE_CONTROL, no_store);
                        response
                    }
                }
            }
            Err(refusal) => {
                if !refusal.has_a_record() {
                    self.gate.count_refusal(refusal.word());
                }
                refusal.response(id.as_ref(), &self.gate.world().settings)
            }
        }
    }

    /// The whole way in. Sets `id` as soon as it is known, so that a refusal can carry it.
    async fn judge<B>(
        &self,
        request: Request<B>,
        id: &mut Option<Value>,
    ) -> Result<Request<Full<Bytes>>, Refusal>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        self.doors.admit(&parts.uri, &parts.headers)?;
        doors::media_types(&parts.headers)?;
        let value = {
            let read = self.room.read(body).await?;
            strict::parse(&read.bytes).map_err(Refusal::Strict)?
        };
        let message = Message::from_value(value).map_err(Refusal::Message)?;
        id.clone_from(&message.id);
        headers::agree(&parts.headers, &message)?;
        let principal = self.authenticate(&parts, &message).await?;
        self.gate
            .keep_to_the_rate(&principal)
            .map_err(|wait| Refusal::TooMany {
                wait_seconds: wait.as_secs().saturating_add(1),
            })?;
        let admitted = self.admit(principal, &parts, &message).await?;
        Ok(forward(parts, &message, admitted))
    }

    async fn authenticate(&self, parts: &Parts, message: &Message) -> Result<Principal, Refusal> {
        let scopes = || self.gate.scopes_to_ask_for(message.tool());
        let token = match token::bearer(&parts.headers) {
            Ok(token) => token,
            Err(token::NoBearer::Missing) => return Err(Refusal::NoToken { scopes: scopes() }),
            Err(token::NoBearer::Malformed) => {
                return Err(Refusal::BadToken {
                    refusal: TokenRefusal::Malformed,
                    scopes: scopes(),
                });
            }
        };
        token::authenticate(&*self.gate.world().authenticator, token)
            .await
            .map_err(|refusal| Refusal::BadToken {
                refusal,
                scopes: scopes(),
            })
    }

    async fn admit(
        &self,
        principal: Principal,
        parts: &Parts,
        message: &Message,
    ) -> Result<Admitted, Refusal> {
        let gate = Arc::clone(&self.gate);
        let (method, tool) = (message.method.clone(), message.tool().map(str::to_owned));
        // the record is written here, and writing may wait for a disk
        let judged =
            tokio::task::spawn_blocking(move || gate.admit(principal, &method, tool.as_deref()));
        match judged.await {
            Ok(Ok(admitted)) => Ok(admitted),
            Ok(Err(Turned::Scope { scopes })) => Err(Refusal::Scope { scopes }),
            Ok(Err(Turned::NotServed)) => Err(Refusal::NotServed {
                stateless: headers::is_new(&parts.headers),
            }),
            Ok(Err(Turned::Denied { decision })) => Err(Refusal::Denied { decision }),
            Err(_) => Err(Refusal::Busy),
        }
    }
}

/// The request as the protocol library gets it: the judged body, who was admitted, and no credentials.
fn forward(mut parts: Parts, message: &Message, admitted: Admitted) -> Request<Full<Bytes>> {
    let body = Bytes::from(message.to_bytes());
    parts.headers.remove(AUTHORIZATION);
    parts.headers.remove(COOKIE);
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    parts.extensions.insert(admitted);
    Request::from_parts(parts, Full::new(body))
}
