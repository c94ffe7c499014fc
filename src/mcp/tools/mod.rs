//! The tools, one file each, and the list of them. To add one, see `docs/adding-a-tool.md`.

mod arguments;
mod error;
mod hardware_inventory;
mod node_snapshot;
mod query_series;
mod span;
mod telemetry_health;
#[cfg(test)]
mod tests;

use std::fmt;

use glasshouse_core::access::Bounds;
use glasshouse_core::time::{Timestamp, Window};
use serde_json::{Map, Value, json};

pub(crate) use self::arguments::{Arguments, Kind, Parameter};
pub(crate) use self::error::ToolError;
pub(crate) use self::span::show_time;
use crate::answer::Answer;
use crate::gate::View;

/// Every tool, sorted by name. A new one is a file, a `mod` line above and a line here.
pub(crate) static TOOLS: &[&dyn Tool] = &[
    &hardware_inventory::HardwareInventory,
    &node_snapshot::NodeSnapshot,
    &query_series::QuerySeries,
    &telemetry_health::TelemetryHealth,
];

/// Tokens of one form of an answer where the caller does not say.
pub(crate) const DEFAULT_TOKENS: usize = 8_000;
/// Tokens of one form at most: both forms together stay within 20,000.
pub(crate) const MOST_TOKENS: usize = 10_000;
/// Tokens of one form at least: less does not hold the caveats.
pub(crate) const LEAST_TOKENS: usize = 500;

/// Which node; every tool takes it.
pub(crate) const SCOPE: Parameter = Parameter {
    name: "scope",
    help: "Node name, node id, or labels such as `rack=r1`. Left out: this node.",
    kind: Kind::Text,
    required: false,
};
/// How long the answer may be; every tool takes it.
pub(crate) const MAX_TOKENS: Parameter = Parameter {
    name: "max_tokens",
    help: "Tokens of each form of the answer.",
    kind: Kind::Integer {
        least: LEAST_TOKENS,
        most: MOST_TOKENS,
    },
    required: false,
};
/// Where to go on; tools with pages take it.
pub(crate) const CURSOR: Parameter = Parameter {
    name: "cursor",
    help: "From the previous answer; repeat its other arguments.",
    kind: Kind::Text,
    required: false,
};

/// A question that can be asked. It reads through a [`View`] and changes nothing.
pub(crate) trait Tool: Sync + fmt::Debug {
    /// Its name: lower case, words joined by `_`.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn title(&self) -> &'static str;

    /// What it answers and when to use it. Never holds text from a machine.
    fn description(&self) -> &'static str;

    /// The scope that a token needs.
    fn scope(&self) -> &'static str;

    /// Its arguments.
    fn parameters(&self) -> &'static [Parameter];

    /// The schema of its structured answer.
    fn output_schema(&self) -> Value;

    /// Whether it takes and gives cursors.
    fn pages(&self) -> bool {
        self.parameters()
            .iter()
            .any(|parameter| parameter.name == CURSOR.name)
    }

    /// What the call would touch at most. The policies judge this, and the tool is then held to it.
    ///
    /// # Errors
    /// [`ToolError`] where an argument makes no sense; it may name nothing of the machine.
    fn plan(&self, call: &Call) -> Result<Bounds, ToolError>;

    /// Answers from what the view shows.
    ///
    /// # Errors
    /// [`ToolError`] where there is nothing to answer from; it may name what the view shows.
    fn answer(&self, call: &Call, view: &View) -> Result<Answer, ToolError>;
}

/// One typed call.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its arguments.
    pub(crate) arguments: Arguments,
    /// Where to go on, from a cursor that was checked.
    pub(crate) page: Option<Page>,
    /// When it was made.
    pub(crate) now: Timestamp,
}

/// A later page of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Rows on the pages before.
    pub(crate) offset: usize,
    /// The window of the first page: pages do not shift.
    pub(crate) window: Window,
}

impl Call {
    /// Tokens that each form of the answer may have.
    pub(crate) fn max_tokens(&self) -> usize {
        self.arguments
            .integer(MAX_TOKENS.name)
            .and_then(|tokens| usize::try_from(tokens).ok())
            .unwrap_or(DEFAULT_TOKENS)
            .clamp(LEAST_TOKENS, MOST_TOKENS)
    }

    /// Rows on the pages before.
    pub(crate) fn offset(&self) -> usize {
        self.page.map_or(0, |page| page.offset)
    }
}

/// The tool of exactly this name: no other case, no look-alike letters, no white space.
pub(crate) fn find(name: &str) -> Option<&'static dyn Tool> {
    TOOLS.iter().copied().find(|tool| tool.name() == name)
}

/// Text from a machine in an error: cleaned, short, and unable to close its own quotes.
pub(crate) fn quoted(text: &str) -> String {
    const MOST_CHARACTERS: usize = 80;
    let clean = glasshouse_core::text::clean(text).replace('`', "'");
    let short: String = clean.chars().take(MOST_CHARACTERS).collect();
    let dots = if short.len() < clean.len() { "…" } else { "" };
    format!("`{short}{dots}`")
}

/// A tool as `tools/list` shows it.
pub(crate) fn describe(tool: &dyn Tool) -> Value {
    json!({
        "name": tool.name(),
        "title": tool.title(),
        "description": tool.description(),
        "inputSchema": input_schema(tool.parameters()),
        "outputSchema": tool.output_schema(),
        "annotations": {
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
        },
    })
}

/// The whole `tools/list` result, unfiltered: what the policy schema is generated from and what the docs show.
#[must_use]
pub fn manifest() -> Value {
    let tools: Vec<Value> = TOOLS.iter().map(|tool| describe(*tool)).collect();
    json!({ "tools": tools })
}

/// Inline, without `null`: an argument that is left out is left out.
fn input_schema(parameters: &[Parameter]) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| (parameter.name.to_owned(), parameter.schema()))
        .collect();
    let required: Vec<&str> = parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let (false, Some(object)) = (required.is_empty(), schema.as_object_mut()) {
        object.insert("required".to_owned(), json!(required));
    }
    schema
}
