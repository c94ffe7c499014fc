//! The protocol's headers against the body: an intermediary that routes by headers and the tool that reads the body
//! must see the same call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::Value;

use super::message::Message;
use super::refusal::Refusal;

/// The newest revision served: stateless, every request describes itself.
pub(crate) const NEW_VERSION: &str = "2026-07-28";
/// The older revision served.
pub(crate) const OLD_VERSION: &str = "2025-11-25";

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const PARAMETER_PREFIX: &str = "mcp-param-";

/// Every request and notification of both revisions that a client may send; others are unknown.
const METHODS: &[&str] = &[
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "tasks/list",
    "tasks/result",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

/// Whether a request that agrees with its headers is of the newest revision.
pub(crate) fn is_new(headers: &HeaderMap) -> bool {
    headers
        .get(VERSION)
        .is_some_and(|version| version == NEW_VERSION)
}

/// Checks version, method and name headers against the body.
///
/// # Errors
/// [`Refusal`] 400 where they differ or the version is not served, 404 where the method does not exist.
pub(crate) fn agree(headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    let version = single(headers, VERSION)?;
    if message.method == "initialize" {
        return agree_on_initialize(headers, message, version.as_deref());
    }
    let version = version.ok_or_else(|| mismatch("the MCP-Protocol-Version header is missing"))?;
    if let Some(inside) = message.meta_version()
        && inside.as_str() != Some(&version)
    {
        return Err(mismatch(
            "the MCP-Protocol-Version header differs from the version in `_meta`",
        ));
    }
    match version.as_str() {
        NEW_VERSION => agree_on_new(headers, message)?,
        OLD_VERSION => refuse_new_headers(headers)?,
        _ => return Err(Refusal::Version { requested: version }),
    }
    let stateless = version == NEW_VERSION;
    if !METHODS.contains(&message.method.as_str()) {
        return Err(Refusal::UnknownMethod { stateless });
    }
    if stateless && message.id.is_some() && !message.describes_itself() {
        return Err(Refusal::Metadata);
    }
    Ok(())
}

fn agree_on_initialize(
    headers: &HeaderMap,
    message: &Message,
    version: Option<&str>,
) -> Result<(), Refusal> {
    if version.is_some_and(|version| message.text("protocolVersion") != Some(version)) {
        return Err(mismatch(
            "the MCP-Protocol-Version header differs from `params.protocolVersion`",
        ));
    }
    if single(headers, METHOD)?.is_some_and(|method| method != message.method)
        || headers.contains_key(NAME)
        || has_parameters(headers)
    {
        return Err(mismatch("the Mcp-* headers differ from the body"));
    }
    Ok(())
}

fn agree_on_new(headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    let method =
        single(headers, METHOD)?.ok_or_else(|| mismatch("the Mcp-Method header is missing"))?;
    if method != message.method {
        return Err(mismatch("the Mcp-Method header differs from the body"));
    }
    let name = single(headers, NAME)?;
    match (name_in_body(message), name) {
        (Some(_), None) => return Err(mismatch("the Mcp-Name header is missing")),
        (Some(body), Some(header)) if decode(&header).as_deref() != Some(body) => {
            return Err(mismatch("the Mcp-Name header differs from the body"));
        }
        (None, Some(_)) => return Err(mismatch("the Mcp-Name header names nothing in the body")),
        _ => {}
    }
    if has_parameters(headers) {
        // no tool declares a parameter that travels as a header, so there is none that could be equal
        return Err(mismatch(
            "a Mcp-Param-* header names no parameter of the call",
        ));
    }
    Ok(())
}

fn refuse_new_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(METHOD) || headers.contains_key(NAME) || has_parameters(headers) {
        return Err(mismatch(
            "headers of revision 2026-07-28 came with an older MCP-Protocol-Version",
        ));
    }
    Ok(())
}

fn has_parameters(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name.as_str().starts_with(PARAMETER_PREFIX))
}

fn name_in_body(message: &Message) -> Option<&str> {
    let key = match message.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    message.params.as_ref()?.get(key).and_then(Value::as_str)
}

/// Undoes `=?base64?…?=`, in which values travel that a header cannot hold.
fn decode(value: &str) -> Option<String> {
    let packed = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match packed {
        None => Some(value.to_owned()),
        Some(packed) => String::from_utf8(STANDARD.decode(packed).ok()?).ok(),
    }
}

/// The only value of a header.
fn single(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(mismatch("an MCP header came twice"));
    }
    value
        .to_str()
        .map(|text| Some(text.to_owned()))
        .map_err(|_| mismatch("an MCP header is not plain text"))
}

const fn mismatch(detail: &'static str) -> Refusal {
    Refusal::HeaderMismatch { detail }
}
