//! What a tool says, in the two forms that a host may show: structured and text, each complete with its caveats.

mod number;
mod render;
mod schema;
mod tokens;

use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Window;
use serde_json::Value;

pub(crate) use self::number::exact_or_rounded;
pub(crate) use self::render::Rendered;
pub(crate) use self::schema::{check, of_tables};

/// An answer before it is cut to its budget and written down.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The time that it is about.
    pub(crate) window: Option<Window>,
    /// What holds for the whole of it, in order: names are fixed, values are ours.
    pub(crate) facts: Vec<(&'static str, Cell)>,
    /// Its tables, most important first: the last rows are cut first.
    pub(crate) tables: Vec<Table>,
    /// Caveats; never cut.
    pub(crate) notes: Vec<String>,
    /// How to get what was cut, where a cursor does not do.
    pub(crate) rest: &'static str,
}

/// Rows under named columns.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Rows that stand before the first of `rows` and were left out, because they are on an earlier page.
    pub(crate) skipped: usize,
    /// Rows in all, these and those that were not read.
    pub(crate) total: usize,
}

/// A column, and whether a machine wrote what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) untrusted: bool,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// There is none: never zero.
    Missing,
    /// Words of ours, or text from a machine that was cleaned on its way in.
    Text(String),
    /// A number; exact where whole, else six digits.
    Number(f64),
    /// Values over time; `None` where there was no sample.
    Values(Vec<Option<f64>>),
}

impl Cell {
    /// Words of ours.
    pub(crate) fn words(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Text from a machine, cleaned here.
    pub(crate) fn untrusted(text: &Untrusted) -> Self {
        Self::Text(text.clean())
    }

    /// A count.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts beyond 2^53 lose their last digits only"
    )]
    pub(crate) const fn count(number: u64) -> Self {
        Self::Number(number as f64)
    }

    /// Whole seconds.
    pub(crate) const fn seconds(span: std::time::Duration) -> Self {
        Self::count(span.as_secs())
    }
}

impl Column {
    /// Columns that hold words and numbers of ours.
    pub(crate) fn ours(names: &[&str]) -> Vec<Self> {
        names
            .iter()
            .map(|name| Self {
                name: (*name).to_owned(),
                untrusted: false,
            })
            .collect()
    }

    /// A column that holds text from a machine.
    pub(crate) fn untrusted(name: &str) -> Self {
        Self {
            name: glasshouse_core::text::clean(name),
            untrusted: true,
        }
    }
}

impl Table {
    /// A table with all its rows.
    pub(crate) const fn whole(
        name: &'static str,
        columns: Vec<Column>,
        rows: Vec<Vec<Cell>>,
    ) -> Self {
        let total = rows.len();
        Self {
            name,
            columns,
            rows,
            skipped: 0,
            total,
        }
    }
}

/// The JSON of a number that is finite, else `null`.
fn json_number(number: f64) -> Value {
    exact_or_rounded(number)
        .parse::<serde_json::Number>()
        .map_or(Value::Null, Value::Number)
}
