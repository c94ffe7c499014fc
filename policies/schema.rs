//! The schema: which tools there are, and of which types their arguments are.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityTypeName, EntityUid, Schema, SchemaFragment};
use serde_json::Value;

use crate::error::PolicyError;

/// Generated from `stub.cedarschema` and `manifest.json`.
const TEXT: &str = include_str!("schema.cedarschema");

/// The namespace of everything in it.
const NAMESPACE: &str = "Glasshouse";

/// Nesting of argument types; the tools have at most a list of texts.
const DEEPEST: usize = 8;

/// The schema, taken apart once so that a decision need not.
#[derive(Debug)]
pub(crate) struct Tools {
    /// For validation.
    pub(crate) schema: Schema,
    actions: BTreeMap<String, Tool>,
}

/// One tool as the policies see it.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The action.
    pub(crate) action: EntityUid,
    /// Types of the arguments.
    pub(crate) arguments: BTreeMap<String, Field>,
}

/// An argument.
#[derive(Debug)]
pub(crate) struct Field {
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether it may not be left out.
    pub(crate) required: bool,
}

/// The type of an argument.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `String`.
    Text,
    /// `Long`.
    Integer,
    /// `Bool`.
    Bool,
    /// `Set` of one type.
    Set(Box<Self>),
    /// Named arguments.
    Record(BTreeMap<String, Field>),
    /// One of these words: an enumerated entity type.
    Choice(EntityTypeName, BTreeSet<String>),
}

impl Tools {
    /// Parses what is built in.
    pub(crate) fn built_in() -> Result<Self, PolicyError> {
        let schema = Schema::from_cedarschema_str(TEXT)
            .map_err(|error| broken(&error))?
            .0;
        let fragment = SchemaFragment::from_cedarschema_str(TEXT)
            .map_err(|error| broken(&error))?
            .0;
        let json = fragment.to_json_value().map_err(|error| broken(&error))?;
        let namespace = json.get(NAMESPACE).ok_or_else(|| broken(&"no namespace"))?;
        let actions = namespace
            .get("actions")
            .and_then(Value::as_object)
            .ok_or_else(|| broken(&"no actions"))?;
        let mut tools = BTreeMap::new();
        for (name, action) in actions {
            let input = action
                .pointer("/appliesTo/context/attributes/input")
                .ok_or_else(|| broken(&format!("action `{name}` has no input")))?;
            let Kind::Record(arguments) = kind(input, &json, 0)? else {
                return Err(broken(&format!(
                    "the input of action `{name}` is no record"
                )));
            };
            tools.insert(
                name.clone(),
                Tool {
                    action: uid("Action", name)?,
                    arguments,
                },
            );
        }
        Ok(Self {
            schema,
            actions: tools,
        })
    }

    /// The tool of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Tool> {
        self.actions.get(name)
    }

    /// The names of all tools, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(String::as_str)
    }
}

/// The type of an entity of this house.
pub(crate) fn type_name(name: &str) -> Result<EntityTypeName, PolicyError> {
    format!("{NAMESPACE}::{name}")
        .parse()
        .map_err(|error| broken(&error))
}

fn uid(entity_type: &str, id: &str) -> Result<EntityUid, PolicyError> {
    Ok(EntityUid::from_type_name_and_id(
        type_name(entity_type)?,
        cedar_policy::EntityId::new(id),
    ))
}

/// Reads one type out of the schema's JSON form, `types`.
fn kind(json: &Value, types: &Value, depth: usize) -> Result<Kind, PolicyError> {
    let word = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
    if depth > DEEPEST {
        return Err(broken(&"argument types are nested too deeply"));
    }
    match word("type") {
        "String" => Ok(Kind::Text),
        "Long" => Ok(Kind::Integer),
        "Boolean" | "Bool" => Ok(Kind::Bool),
        "Set" => {
            let element = json.get("element").unwrap_or(&Value::Null);
            Ok(Kind::Set(Box::new(kind(element, types, depth + 1)?)))
        }
        "Record" => record(json, types, depth),
        "EntityOrCommon" | "Entity" => named(word("name"), types, depth),
        name => named(name, types, depth),
    }
}

fn record(json: &Value, types: &Value, depth: usize) -> Result<Kind, PolicyError> {
    let mut fields = BTreeMap::new();
    for (name, field) in json
        .get("attributes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let required = field
            .get("required")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        fields.insert(
            name.clone(),
            Field {
                kind: kind(field, types, depth + 1)?,
                required,
            },
        );
    }
    Ok(Kind::Record(fields))
}

/// A name is a primitive type, a common type, or else an entity type.
fn named(name: &str, types: &Value, depth: usize) -> Result<Kind, PolicyError> {
    match name.trim_start_matches("__cedar::") {
        "String" => return Ok(Kind::Text),
        "Long" => return Ok(Kind::Integer),
        "Bool" | "Boolean" => return Ok(Kind::Bool),
        _ => {}
    }
    let local = name.strip_prefix("Glasshouse::").unwrap_or(name);
    let common = types.get(NAMESPACE).and_then(|own| own.get("commonTypes"));
    match common.and_then(|common| common.get(local)) {
        Some(common) => kind(common, types, depth + 1),
        None => choice(name, types),
    }
}

/// An entity type is a choice: any other would let a call name entities that the policies judge by.
fn choice(name: &str, types: &Value) -> Result<Kind, PolicyError> {
    let words = name.rsplit_once("::").and_then(|(namespace, last)| {
        let declared = types.get(namespace)?.get("entityTypes")?.get(last)?;
        declared.get("enum")?.as_array()
    });
    let words = words.ok_or_else(|| broken(&format!("type `{name}` is no choice of words")))?;
    let words = words.iter().filter_map(Value::as_str).map(str::to_owned);
    Ok(Kind::Choice(
        name.parse().map_err(|error| broken(&error))?,
        words.collect(),
    ))
}

fn broken(detail: &dyn ToString) -> PolicyError {
    PolicyError::Schema {
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_says_which_arguments_a_tool_takes() {
        let tools = Tools::built_in().unwrap();
        let query = tools.get("query_series").unwrap();
        assert!(matches!(
            query.arguments["metric"],
            Field {
                kind: Kind::Text,
                required: true
            }
        ));
        assert!(matches!(query.arguments["max_tokens"].kind, Kind::Integer));
        assert!(
            matches!(&query.arguments["labels"].kind, Kind::Set(of) if matches!(**of, Kind::Text))
        );
        assert!(matches!(
            &query.arguments["aggregation"],
            Field { kind: Kind::Choice(name, words), required: false }
                if name.to_string() == "Glasshouse::query_series::Input::aggregation" && words.contains("rate")
        ));
        assert!(tools.get("reboot").is_none());
    }
}
