//! The tools, one file each, and the list of them.

/// The whole `tools/list` result, unfiltered: what the policy schema is generated from.
#[must_use]
pub fn manifest() -> serde_json::Value {
    serde_json::json!({ "tools": [] })
}
