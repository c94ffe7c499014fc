//! One JSON-RPC request or notification, typed.

use serde_json::{Map, Value};

/// The longest method name; the longest of MCP has 40 letters.
const LONGEST_METHOD: usize = 64;
/// The longest request id; clients count or use UUIDs.
const LONGEST_ID: usize = 256;
/// What is asked without an id: nothing else may go unanswered.
const NOTIFICATION_PREFIX: &str = "notifications/";
/// The keys that a message may have.
const KEYS: &[&str] = &["jsonrpc", "id", "method", "params"];
/// The parameters of `tools/call` that go on; tasks and multi-round-trip state are not served here, so none of it does.
const CALL_KEYS: &[&str] = &["name", "arguments", "_meta"];

/// Why a JSON value is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("batches are not served; send each request on its own")]
    Batch,
    #[error("a JSON-RPC 2.0 request object was expected")]
    NotARequest,
    #[error("the request has a key beside `jsonrpc`, `id`, `method` and `params`")]
    UnknownKey,
    #[error("`id` must be a whole number or a text of at most {LONGEST_ID} bytes")]
    Id,
    #[error("`method` must be a text of at most {LONGEST_METHOD} bytes")]
    Method,
    #[error("`params` must be an object")]
    Params,
    #[error("`params._meta` must be an object")]
    Meta,
    #[error("a request needs an `id`; without one it would be a notification")]
    NoId,
    #[error("`params.name` must be a text and `params.arguments` an object")]
    Call,
}

impl MessageError {
    /// The word for it in counters.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::NotARequest => "not_a_request",
            Self::UnknownKey => "unknown_key",
            Self::Id => "id",
            Self::Method => "method",
            Self::Params => "params",
            Self::Meta => "meta",
            Self::NoId => "no_id",
            Self::Call => "call",
        }
    }
}

/// A request, or a notification where it has no id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// A text or a whole number.
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    pub(crate) params: Option<Map<String, Value>>,
}

impl Message {
    /// Types a parsed body.
    ///
    /// # Errors
    /// [`MessageError`] where it is no single request or notification.
    pub(crate) fn from_value(value: Value) -> Result<Self, MessageError> {
        let Value::Object(mut object) = value else {
            return Err(if value.is_array() {
                MessageError::Batch
            } else {
                MessageError::NotARequest
            });
        };
        if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0")
            || object.contains_key("result")
            || object.contains_key("error")
        {
            return Err(MessageError::NotARequest);
        }
        if object.keys().any(|key| !KEYS.contains(&key.as_str())) {
            return Err(MessageError::UnknownKey);
        }
        let id = object.remove("id");
        let good_id = id.as_ref().is_none_or(|id| match id {
            Value::String(text) => text.len() <= LONGEST_ID,
            Value::Number(number) => number.is_i64(),
            _ => false,
        });
        if !good_id {
            return Err(MessageError::Id);
        }
        let Some(Value::String(method)) = object.remove("method") else {
            return Err(MessageError::Method);
        };
        if method.is_empty() || method.len() > LONGEST_METHOD {
            return Err(MessageError::Method);
        }
        if id.is_none() && !method.starts_with(NOTIFICATION_PREFIX) {
            return Err(MessageError::NoId);
        }
        let params = match object.remove("params") {
            None => None,
            Some(Value::Object(params)) => Some(params),
            Some(_) => return Err(MessageError::Params),
        };
        let meta = params.as_ref().and_then(|params| params.get("_meta"));
        if !meta.is_none_or(Value::is_object) {
            return Err(MessageError::Meta);
        }
        let mut message = Self { id, method, params };
        if message.method == "tools/call" {
            message.keep_the_call()?;
        }
        Ok(message)
    }

    /// `name` of a tool call.
    pub(crate) fn tool(&self) -> Option<&str> {
        (self.method == "tools/call")
            .then(|| self.text("name"))
            .flatten()
    }

    /// A text among the parameters.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.params.as_ref()?.get(key)?.as_str()
    }

    /// `_meta["io.modelcontextprotocol/protocolVersion"]`.
    pub(crate) fn meta_version(&self) -> Option<&Value> {
        self.params
            .as_ref()?
            .get("_meta")?
            .get("io.modelcontextprotocol/protocolVersion")
    }

    /// Whether `_meta` has what the stateless revision asks of every request.
    pub(crate) fn describes_itself(&self) -> bool {
        let meta = self.params.as_ref().and_then(|params| params.get("_meta"));
        let capabilities =
            meta.and_then(|meta| meta.get("io.modelcontextprotocol/clientCapabilities"));
        self.meta_version().is_some_and(Value::is_string)
            && capabilities.is_some_and(Value::is_object)
    }

    /// What goes on to the protocol library: written anew, so that it is what was judged.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut object = Map::new();
        object.insert("jsonrpc".to_owned(), "2.0".into());
        if let Some(id) = &self.id {
            object.insert("id".to_owned(), id.clone());
        }
        object.insert("method".to_owned(), self.method.clone().into());
        if let Some(params) = &self.params {
            object.insert("params".to_owned(), Value::Object(params.clone()));
        }
        Value::Object(object).to_string().into_bytes()
    }

    fn keep_the_call(&mut self) -> Result<(), MessageError> {
        let params = self.params.as_mut().ok_or(MessageError::Call)?;
        let named = params.get("name").is_some_and(Value::is_string);
        let typed = params.get("arguments").is_none_or(Value::is_object);
        if !(named && typed) {
            return Err(MessageError::Call);
        }
        params.retain(|key, _| CALL_KEYS.contains(&key.as_str()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_single_requests_are_messages() {
        let cases = [
            (
                json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]),
                "batch",
            ),
            (json!([]), "batch"),
            (json!(1), "not_a_request"),
            (json!({"id": 1, "method": "ping"}), "not_a_request"),
            (
                json!({"jsonrpc": "1.0", "id": 1, "method": "ping"}),
                "not_a_request",
            ),
            (
                json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
                "not_a_request",
            ),
            (
                json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "x": 1}),
                "unknown_key",
            ),
            (
                json!({"jsonrpc": "2.0", "id": null, "method": "ping"}),
                "id",
            ),
            (json!({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}), "id"),
            (json!({"jsonrpc": "2.0", "id": 1, "method": 2}), "method"),
            (
                json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}),
                "params",
            ),
            (
                json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "node_snapshot"}}),
                "no_id",
            ),
            (json!({"jsonrpc": "2.0", "method": "ping"}), "no_id"),
            (
                json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": "x"}}),
                "meta",
            ),
            (
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a", "_meta": null}}),
                "meta",
            ),
            (
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}),
                "call",
            ),
            (
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 1}}),
                "call",
            ),
        ];
        for (value, word) in cases {
            assert_eq!(
                Message::from_value(value.clone()).map_err(MessageError::word),
                Err(word),
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_not_served_does_not_go_on() {
        let message = Message::from_value(json!({
            "jsonrpc": "2.0", "id": "a", "method": "tools/call",
            "params": {"name": "node_snapshot", "arguments": {}, "task": {"ttl": 1}, "requestState": "x"},
        }))
        .unwrap();
        assert_eq!(message.tool(), Some("node_snapshot"));
        assert_eq!(
            serde_json::from_slice::<Value>(&message.to_bytes()).unwrap(),
            json!({
                "jsonrpc": "2.0", "id": "a", "method": "tools/call",
                "params": {"name": "node_snapshot", "arguments": {}},
            })
        );
    }
}
