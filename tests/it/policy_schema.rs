//! The policies are checked against the tools that the face really has.

use std::path::Path;

use serde_json::{Value, json};

/// `policies/manifest.json` is what the schema is generated from: name and input of every tool, nothing that words change.
#[test]
fn the_manifest_of_the_policies_is_that_of_the_tools() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/manifest.json");
    let manifest = glasshouse_mcp::manifest();
    let tools = manifest.get("tools").unwrap_or(&manifest);
    let mut tools: Vec<Value> = tools.as_array().unwrap().iter().map(reduced).collect();
    tools.sort_by_key(|tool| tool["name"].to_string());
    let now = json!({ "tools": tools });
    if std::env::var_os("GLASSHOUSE_UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&now).unwrap();
        std::fs::write(&path, format!("{text}\n")).unwrap();
    }
    let reviewed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(
        reviewed, now,
        "the tools changed; GLASSHOUSE_UPDATE=1 cargo test --test it policy_schema, then GLASSHOUSE_UPDATE=1 cargo test -p glasshouse-policies, and review the diff"
    );
}

fn reduced(tool: &Value) -> Value {
    let arguments = tool["inputSchema"]["properties"].as_object();
    let properties: serde_json::Map<String, Value> = arguments
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), typed(schema)))
        .collect();
    let mut input = json!({ "type": "object", "properties": properties });
    let required = tool["inputSchema"].get("required").cloned();
    if let Some(required) = required.filter(|required| *required != json!([])) {
        input["required"] = required;
    }
    json!({ "name": tool["name"], "inputSchema": input })
}

/// The type alone: texts, bounds and examples are the tool's own business.
fn typed(schema: &Value) -> Value {
    let mut reduced = serde_json::Map::new();
    for key in ["type", "enum"] {
        if let Some(value) = schema.get(key) {
            reduced.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(items) = schema.get("items") {
        reduced.insert("items".to_owned(), typed(items));
    }
    assert!(
        reduced.contains_key("type"),
        "an argument has no plain type: {schema}"
    );
    Value::Object(reduced)
}
