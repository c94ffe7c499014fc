//! Arguments of a call, typed by the tool's own list: nothing unknown, nothing untyped, nothing endless.

use std::collections::BTreeMap;

use glasshouse_core::access::Argument;
use glasshouse_core::text::clean;
use serde_json::{Map, Value, json};

use super::error::ToolError;

/// The longest text; metric names and selectors are shorter.
pub(crate) const LONGEST_TEXT: usize = 256;
/// The most texts in a list: a series has at most sixteen labels.
pub(crate) const MOST_TEXTS: usize = 16;

/// One argument that a tool takes.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// What it does, for the model.
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

/// The type of an argument.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A text of at most [`LONGEST_TEXT`] bytes.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number, both bounds inclusive.
    Integer { least: usize, most: usize },
    /// At most [`MOST_TEXTS`] texts.
    TextList,
}

/// The arguments of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments(BTreeMap<String, Argument>);

impl Parameter {
    /// Its JSON schema.
    pub(crate) fn schema(&self) -> Value {
        let mut schema = match &self.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
            Kind::Integer { least, most } => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Kind::TextList => json!({ "type": "array", "items": { "type": "string" } }),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), self.help.into());
        }
        schema
    }

    fn parse(&self, value: &Value) -> Result<Argument, ToolError> {
        let wrong = |expected: String| ToolError::WrongType {
            name: self.name,
            expected,
        };
        match (&self.kind, value) {
            (Kind::Text, Value::String(text)) => self.text(text),
            (Kind::Choice(choices), Value::String(text)) if choices.contains(&text.as_str()) => {
                Ok(Argument::Text(text.clone()))
            }
            (Kind::Choice(choices), _) => Err(wrong(format!("one of {}", choices.join(", ")))),
            (Kind::Integer { least, most }, value) => value
                .as_i64()
                .filter(|number| usize::try_from(*number).is_ok_and(|n| n >= *least && n <= *most))
                .map(Argument::Integer)
                .ok_or_else(|| wrong(format!("a whole number from {least} to {most}"))),
            (Kind::TextList, Value::Array(items)) if items.len() <= MOST_TEXTS => {
                let texts: Result<Vec<Argument>, ToolError> = items
                    .iter()
                    .map(|item| match item {
                        Value::String(text) => self.text(text),
                        _ => Err(wrong("a list of texts".to_owned())),
                    })
                    .collect();
                texts.map(Argument::List)
            }
            (Kind::TextList, _) => Err(wrong(format!("a list of at most {MOST_TEXTS} texts"))),
            (Kind::Text, _) => Err(wrong("a text".to_owned())),
        }
    }

    fn text(&self, text: &str) -> Result<Argument, ToolError> {
        if text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return Err(ToolError::WrongType {
                name: self.name,
                expected: format!(
                    "a text of at most {LONGEST_TEXT} bytes without control characters"
                ),
            });
        }
        Ok(Argument::Text(text.to_owned()))
    }
}

impl Arguments {
    /// Types what was sent.
    ///
    /// # Errors
    /// [`ToolError`] on an argument that is unknown, of another type, or missing; it names the valid ones.
    pub(crate) fn parse(
        parameters: &[Parameter],
        sent: Option<&Map<String, Value>>,
    ) -> Result<Self, ToolError> {
        let mut typed = BTreeMap::new();
        for (name, value) in sent.into_iter().flatten() {
            let parameter = parameters
                .iter()
                .find(|parameter| parameter.name == name)
                .ok_or_else(|| ToolError::UnknownArgument {
                    name: clean(name),
                    valid: names(parameters),
                })?;
            typed.insert(name.clone(), parameter.parse(value)?);
        }
        for parameter in parameters {
            if parameter.required && !typed.contains_key(parameter.name) {
                return Err(ToolError::MissingArgument {
                    name: parameter.name,
                    help: parameter.help,
                });
            }
        }
        Ok(Self(typed))
    }

    /// As the policies see them.
    pub(crate) const fn typed(&self) -> &BTreeMap<String, Argument> {
        &self.0
    }

    /// A text that was sent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Argument::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number that was sent.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Argument::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// The texts of a list that was sent.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        let Some(Argument::List(items)) = self.0.get(name) else {
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| match item {
                Argument::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// All of them but one, in one order and spelling.
    pub(crate) fn canonical_without(&self, name: &str) -> String {
        let mut others = self.0.clone();
        others.remove(name);
        format!("{others:?}")
    }
}

fn names(parameters: &[Parameter]) -> String {
    let names: Vec<String> = parameters
        .iter()
        .map(|parameter| format!("`{}`", parameter.name))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter {
            name: "metric",
            help: "which",
            kind: Kind::Text,
            required: true,
        },
        Parameter {
            name: "count",
            help: "how many",
            kind: Kind::Integer { least: 1, most: 9 },
            required: false,
        },
        Parameter {
            name: "how",
            help: "how",
            kind: Kind::Choice(&["mean", "max"]),
            required: false,
        },
        Parameter {
            name: "labels",
            help: "which",
            kind: Kind::TextList,
            required: false,
        },
    ];

    fn parse(value: &Value) -> Result<Arguments, String> {
        Arguments::parse(PARAMETERS, value.as_object()).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_arguments_are_told_what_is_valid() {
        let long = "x".repeat(LONGEST_TEXT + 1);
        let many = vec!["a=b"; MOST_TEXTS + 1];
        for (value, part) in [
            (json!({}), "`metric`"),
            (json!({"metric": "m", "Metric": "m"}), "`metric`, `count`"),
            (json!({"metric": null}), "a text"),
            (json!({"metric": 1}), "a text"),
            (json!({"metric": long}), "256"),
            (json!({"metric": "a\u{0}b"}), "control"),
            (json!({"metric": "m", "count": 0}), "from 1 to 9"),
            (json!({"metric": "m", "count": -1}), "from 1 to 9"),
            (json!({"metric": "m", "count": 1.5}), "from 1 to 9"),
            (json!({"metric": "m", "count": "1"}), "from 1 to 9"),
            (json!({"metric": "m", "how": "median"}), "mean, max"),
            (json!({"metric": "m", "labels": "a=b"}), "list"),
            (json!({"metric": "m", "labels": [1]}), "list of texts"),
            (json!({"metric": "m", "labels": many}), "at most 16"),
        ] {
            let error = parse(&value).unwrap_err();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    #[test]
    fn what_was_left_out_is_left_out() {
        let arguments = parse(&json!({"metric": "m", "labels": ["a=b"]})).unwrap();
        assert_eq!(arguments.text("metric"), Some("m"));
        assert_eq!(arguments.texts("labels"), ["a=b"]);
        assert_eq!(arguments.integer("count"), None);
        assert_eq!(arguments.typed().len(), 2);
    }
}
