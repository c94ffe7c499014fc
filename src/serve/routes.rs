use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::util::ServiceExt;

use crate::connection::RequestGuard;

/// Where the MCP service answers.
pub const MCP_PATH: &str = "/mcp";
/// Where the resource metadata (RFC 9728) of `/mcp` lies: the well-known prefix before the path of the resource.
pub const RESOURCE_METADATA_PATH: &str = "/.well-known/oauth-protected-resource/mcp";
/// Where clients look that do not know section 3.1 of RFC 9728.
pub const RESOURCE_METADATA_ROOT_PATH: &str = "/.well-known/oauth-protected-resource";

/// What answers which path. Everything else is 404.
#[derive(Clone)]
pub struct Routes<S> {
    /// Answers [`MCP_PATH`], all methods.
    pub mcp: S,
    /// The JSON document at [`RESOURCE_METADATA_PATH`] and [`RESOURCE_METADATA_ROOT_PATH`].
    pub resource_metadata: Bytes,
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer, before it is counted.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// What stands behind a listener. `B` is the body that its service answers with.
pub(crate) trait Site<B>: Clone + Send + 'static {
    /// Whether a request of this path takes one of the permits of requests. What takes none is cheap, and its answer a line.
    fn is_counted(&self, _path: &str) -> bool {
        true
    }

    /// Answers one request; `time` is what the answer's head may take.
    fn route(
        self,
        request: Request<Incoming>,
        visitor: Visitor,
        time: Duration,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// What the connection says of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Nothing.
    Stranger,
    /// A certificate that alone lets its holder in, see [`crate::ClientCertificates::Welcome`].
    Certified,
}

/// The service of [`MCP_PATH`], as wiring makes it.
pub(crate) trait McpService<B>:
    tower::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error: Into<BoxError>,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S, B> McpService<B> for S where
    S: tower::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// A body that keeps its request counted until the last byte was handed over.
pub(crate) struct HeldBody {
    inner: AnswerBody,
    _guard: RequestGuard,
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Answers one request; `guard` says whether it is within the limits.
pub(crate) async fn answer<S, B>(
    site: S,
    request: Request<Incoming>,
    guard: RequestGuard,
    visitor: Visitor,
    time: Duration,
) -> Response<HeldBody>
where
    S: Site<B>,
{
    let response = if guard.is_admitted() {
        site.route(request, visitor, time).await
    } else {
        busy("too many requests at once\n")
    };
    guard.count(response.status());
    response.map(|inner| HeldBody {
        inner,
        _guard: guard,
    })
}

impl<S, B> Site<B> for Routes<S>
where
    S: McpService<B>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    async fn route(
        self,
        request: Request<Incoming>,
        _visitor: Visitor,
        time: Duration,
    ) -> Response<AnswerBody> {
        match request.uri().path() {
            MCP_PATH => match tokio::time::timeout(time, self.mcp.oneshot(request)).await {
                Ok(Ok(response)) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
                Ok(Err(error)) => {
                    let error: BoxError = error.into();
                    tracing::error!(%error, "The MCP service failed.");
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
                }
                Err(_) => {
                    let mut late =
                        plain(StatusCode::REQUEST_TIMEOUT, "the request took too long\n");
                    set(&mut late, header::CONNECTION, "close");
                    late
                }
            },
            RESOURCE_METADATA_PATH | RESOURCE_METADATA_ROOT_PATH => {
                metadata(request.method(), self.resource_metadata)
            }
            _ => plain(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

fn metadata(method: &Method, document: Bytes) -> Response<AnswerBody> {
    let mut response = document_of(method, document);
    if response.status() == StatusCode::OK {
        set(&mut response, header::CONTENT_TYPE, "application/json");
        // an operator who moves the issuer wants clients to learn it at the next sign-in
        set(&mut response, header::CACHE_CONTROL, "no-cache");
    }
    response
}

/// A document for GET and HEAD; its type is the caller's to say.
pub(crate) fn document_of(method: &Method, document: Bytes) -> Response<AnswerBody> {
    let length = document.len();
    let mut response = match *method {
        Method::GET => Response::new(whole(document)),
        Method::HEAD => Response::new(Empty::new().map_err(never).boxed_unsync()),
        _ => {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            set(&mut refused, header::ALLOW, "GET, HEAD");
            return refused;
        }
    };
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Come again in a second.
pub(crate) fn busy(text: &'static str) -> Response<AnswerBody> {
    let mut busy = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    set(&mut busy, header::RETRY_AFTER, "1");
    busy
}

/// A line of text.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(whole(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    set(
        &mut response,
        header::CONTENT_TYPE,
        "text/plain; charset=utf-8",
    );
    response
}

/// Bytes as a body.
pub(crate) fn whole(bytes: Bytes) -> AnswerBody {
    Full::new(bytes).map_err(never).boxed_unsync()
}

fn never(never: std::convert::Infallible) -> BoxError {
    match never {}
}

/// Sets a header.
pub(crate) fn set<B>(response: &mut Response<B>, name: header::HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
