//! The part of JSON Schema that our answers are described with, and the check against it.

use serde_json::{Map, Value, json};

/// The schema of an answer with these facts and tables. Small on purpose: it is part of every `tools/list`.
pub(crate) fn of_tables(facts: &[(&str, &str)], tables: &[&str]) -> Value {
    let mut properties = Map::new();
    for name in ["node", "window", "truncated"] {
        properties.insert(name.to_owned(), json!({ "type": "object" }));
    }
    for name in ["as_of", "cursor"] {
        properties.insert(name.to_owned(), json!({ "type": "string" }));
    }
    properties.insert(
        "notes".to_owned(),
        json!({ "type": "array", "items": { "type": "string" } }),
    );
    for (name, kind) in facts {
        properties.insert((*name).to_owned(), json!({ "type": kind }));
    }
    for name in tables {
        properties.insert(
            (*name).to_owned(),
            json!({
                "type": "object",
                "properties": {
                    "columns": { "type": "array", "items": { "type": "string" } },
                    "rows": { "type": "array", "items": { "type": "array" } },
                    "untrusted": { "type": "array", "items": { "type": "string" } },
                },
                "required": ["columns", "rows"],
            }),
        );
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": ["node", "as_of", "notes"],
        "additionalProperties": false,
    })
}

/// Checks a value against a schema made of `type`, `properties`, `required`, `items` and `additionalProperties: false`.
///
/// # Errors
/// Where it does not fit: the place and what was expected.
pub(crate) fn check(value: &Value, schema: &Value) -> Result<(), String> {
    check_at("answer", value, schema)
}

fn check_at(place: &str, value: &Value, schema: &Value) -> Result<(), String> {
    if let Some(kind) = schema.get("type").and_then(Value::as_str)
        && !is_a(value, kind)
    {
        return Err(format!("{place} is no {kind}"));
    }
    match value {
        Value::Object(object) => check_object(place, object, schema),
        Value::Array(items) => {
            let Some(item_schema) = schema.get("items") else {
                return Ok(());
            };
            items
                .iter()
                .try_for_each(|item| check_at(place, item, item_schema))
        }
        _ => Ok(()),
    }
}

fn check_object(place: &str, object: &Map<String, Value>, schema: &Value) -> Result<(), String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = name.as_str().unwrap_or_default();
        if !object.contains_key(name) {
            return Err(format!("{place} lacks {name}"));
        }
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, inside) in object {
        match properties.and_then(|properties| properties.get(name)) {
            Some(inside_schema) => check_at(&format!("{place}.{name}"), inside, inside_schema)?,
            None if closed => return Err(format!("{place} has the unknown {name}")),
            None => {}
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named() {
        let schema = of_tables(&[("metric", "string"), ("step_s", "number")], &["series"]);
        let good = json!({
            "node": {}, "as_of": "t", "notes": ["n"], "metric": "m", "step_s": 60,
            "series": {"columns": ["a"], "rows": [[1, null, "x"]]},
        });
        assert_eq!(check(&good, &schema), Ok(()));
        for (path, value, part) in [
            ("metric", json!(1), "answer.metric is no string"),
            ("series", json!({"columns": []}), "answer.series lacks rows"),
            (
                "series",
                json!({"columns": [1], "rows": []}),
                "answer.series.columns is no string",
            ),
            (
                "series",
                json!({"columns": [], "rows": [1]}),
                "answer.series.rows is no array",
            ),
            ("extra", json!(1), "answer has the unknown extra"),
            ("notes", json!(null), "answer.notes is no array"),
        ] {
            let mut bad = good.clone();
            bad[path] = value;
            assert_eq!(check(&bad, &schema), Err(part.to_owned()));
        }
    }
}
