//! The routes, and the endpoints that clients call without a person.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use oauth_as::registration::{ClientMetadata, RegistrationFailure};
use serde_json::{Value, json};

use crate::answers::{BODY_MOST_BYTES, has_type, json_response, read_body};
use crate::clients::ClientRefusal;
use crate::flow::{Authd, authorize, consent, sign_in};
use crate::html::{STYLE, guard};
use crate::pages;
use crate::request::Parameters;

/// The longest that one request may take. Fetching a client's document is the slow one.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

/// The routes.
pub(crate) fn router(state: Arc<Authd>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/authorize", get(authorize))
        .route("/sign-in", post(sign_in))
        .route("/consent", post(consent))
        .route("/register", post(register))
        .route("/jwks", get(protocol_endpoint))
        .route("/token", post(protocol_endpoint))
        .route("/introspect", post(protocol_endpoint))
        .route("/revoke", post(protocol_endpoint))
        .route("/style.css", get(style))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), bounded))
        .with_state(state)
}

/// Every request to our own name; every answer in time and with its headers.
async fn bounded(State(authd): State<Arc<Authd>>, request: Request, next: Next) -> Response {
    let mut response = if authd.is_our_host(request.headers()) {
        match tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => pages::trouble(StatusCode::SERVICE_UNAVAILABLE, "That took too long."),
        }
    } else {
        let why = "This server goes by another name.";
        pages::trouble(StatusCode::MISDIRECTED_REQUEST, why)
    };
    guard(&mut response);
    response
}

async fn metadata(State(authd): State<Arc<Authd>>) -> Response {
    json_response(StatusCode::OK, authd.protocol.metadata.clone())
}

async fn style() -> Response {
    let mut response = Response::new(Body::from(STYLE));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/css; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=3600"),
    );
    response
}

/// Registration (RFC 7591).
async fn register(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let refuse = |status, error: &str, why: &str| {
        let body = json!({"error": error, "error_description": why});
        json_response(status, Bytes::from(body.to_string()))
    };
    if !has_type(&parts.headers, "application/json") {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_client_metadata",
            "send application/json",
        );
    }
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let Ok(asked) = serde_json::from_slice::<ClientMetadata>(&body) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_client_metadata",
            "the body is no client metadata",
        );
    };
    match authd.clients.register(asked, authd.now()).await {
        Ok(made) => match serde_json::to_vec(&made) {
            Ok(made) => json_response(StatusCode::CREATED, made.into()),
            Err(_) => refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "the client cannot be described",
            ),
        },
        Err(ClientRefusal::NotLoopback) => refuse(
            StatusCode::BAD_REQUEST,
            "invalid_redirect_uri",
            &ClientRefusal::NotLoopback.to_string(),
        ),
        Err(ClientRefusal::Metadata(RegistrationFailure::Invalid(why))) => {
            let why = serde_json::to_vec(&why).unwrap_or_default();
            json_response(StatusCode::BAD_REQUEST, why.into())
        }
        Err(_) => refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            &ClientRefusal::Full.to_string(),
        ),
    }
}

/// What clients call is the protocol library's, after the body was read within its bounds and found to have one meaning.
async fn protocol_endpoint(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let text = std::str::from_utf8(&body).ok();
    if text
        .and_then(|text| Parameters::parse(text, BODY_MOST_BYTES))
        .is_none()
    {
        let refusal: Value = json!({"error": "invalid_request", "error_description": "the form is garbled, or says one thing twice"});
        return json_response(StatusCode::BAD_REQUEST, Bytes::from(refusal.to_string()));
    }
    let request = http::Request::from_parts(parts, Full::new(body));
    // On its own task: a client that hangs up must not stop the protocol between taking a token and marking it used.
    let answering = tokio::spawn(async move { authd.protocol.service.handle(request).await });
    match answering.await {
        Ok(response) => response.map(|body| Body::from(body.into_bytes())),
        Err(_) => pages::trouble(StatusCode::INTERNAL_SERVER_ERROR, "The server failed."),
    }
}
