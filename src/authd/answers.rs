//! Reading bodies within their bounds, and answering.

use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use oauth_as::ErrorResponse;
use oauth_as::authorization::{AuthorizationErrorRedirect, ValidatedAuthorizationRequest};

use crate::pages;

/// The largest body that is read: a form around a query of 4 KiB, each byte escaped, or a registration.
pub(crate) const BODY_MOST_BYTES: usize = 32 * 1024;

pub(crate) async fn read_body(body: Body) -> Result<Bytes, Response> {
    match Limited::new(body, BODY_MOST_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(_) => Err(pages::trouble(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is too large, or broke off.",
        )),
    }
}

pub(crate) fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(expected)
}

pub(crate) fn json_response(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// 303: whatever the browser sent, it now asks with GET.
pub(crate) fn redirect(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return pages::trouble(
            StatusCode::BAD_REQUEST,
            "The client's redirect address is garbled.",
        );
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// Tells the person that the client's request is not in order.
pub(crate) fn told_here(refusal: &ErrorResponse) -> Response {
    let why = refusal
        .error_description
        .as_deref()
        .unwrap_or("it is not in order");
    pages::trouble(
        StatusCode::BAD_REQUEST,
        &format!("The client's request was refused: {why}."),
    )
}

/// Whether a page is asked for that a person opens, and not something inside another page: an image, a frame, a script's
/// call. Programs, and browsers that do not say, count as persons.
pub(crate) fn is_opened(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-dest")
        .is_none_or(|destination| destination == "document")
}

pub(crate) fn refused(
    validated: &ValidatedAuthorizationRequest,
    error: ErrorResponse,
) -> AuthorizationErrorRedirect {
    AuthorizationErrorRedirect {
        error,
        ..validated.denied()
    }
}

pub(crate) fn no_randomness(error: &io::Error) -> Response {
    tracing::error!(%error, "The kernel gives no random bytes; nobody can sign in.");
    pages::trouble(
        StatusCode::SERVICE_UNAVAILABLE,
        "The server cannot sign anybody in right now.",
    )
}
