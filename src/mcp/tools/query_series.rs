//! `query_series`: one metric over time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::access::Bounds;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{
    Aggregation, Budget, RangeAnswer, RangeQuery, Resolution, Selector, SeriesInfo, SeriesValues,
    Truncation, Truncations,
};
use glasshouse_core::text::clean;
use glasshouse_core::time::{Timestamp, Window, parse_span};
use serde_json::Value;

use super::span::{parse_window, round_step, show_span};
use super::{CURSOR, Call, Kind, MAX_TOKENS, Parameter, SCOPE, Tool, ToolError, quoted, show_time};
use crate::answer::{Answer, Cell, Column, Table, of_tables};
use crate::gate::View;

/// Where `from` is left out.
const DEFAULT_BACK: Duration = Duration::from_secs(3600);
/// Values a series where `step` is left out: a shape, not a recording.
const DEFAULT_VALUES: u64 = 60;
/// Values a series at most; more than a model can use, and a bound on one answer's work.
const MOST_VALUES: u128 = 2_000;
/// Tokens that one value takes at least: a digit and what parts it from the next.
const TOKENS_A_VALUE: usize = 2;
/// Series on one page at most.
const MOST_SERIES: usize = 100;
/// Bytes read for one answer: a day of one metric at 1 s over a hundred series stays below it.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Names and label values that an error lists.
const MOST_NAMED: usize = 8;

const AGGREGATIONS: &[&str] = &[
    "mean", "min", "max", "sum", "last", "rate", "p50", "p90", "p95", "p99",
];

/// What is said where an answer is not whole; for series, points and damage others say it.
const CAVEATS: &[(Truncation, &str)] = &[
    (
        Truncation::Bytes,
        "Part of the window was not read, because it is too much for one call: ask for less time or fewer series.",
    ),
    (
        Truncation::Samples,
        "Some steps have no quantile, because they hold too many samples: ask for a shorter `step` or fewer series.",
    ),
    (
        Truncation::Rollups,
        "Of part of the window only rollups are left, which have no quantiles: those steps have no value; ask for mean, min or max there.",
    ),
];

/// Series of a metric, aggregated to a budget.
#[derive(Debug)]
pub(crate) struct QuerySeries;

impl Tool for QuerySeries {
    fn name(&self) -> &'static str {
        "query_series"
    }

    fn title(&self) -> &'static str {
        "Series over time"
    }

    fn description(&self) -> &'static str {
        "Values of one metric over time, one row a series: values start at `start`, one each `step_s` seconds, null or - where there was no sample. Metric names follow OpenTelemetry (`system.cpu.time`, `hw.temperature`); an unknown one is answered with near names."
    }

    fn scope(&self) -> &'static str {
        "telemetry:read"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[
            Parameter {
                name: "metric",
                help: "Exact metric name.",
                kind: Kind::Text,
                required: true,
            },
            SCOPE,
            Parameter {
                name: "labels",
                help: "`key=value` pairs that a series must have.",
                kind: Kind::TextList,
                required: false,
            },
            Parameter {
                name: "from",
                help: "RFC 3339 or back from now: `-6h`. Left out: one hour before `to`.",
                kind: Kind::Text,
                required: false,
            },
            Parameter {
                name: "to",
                help: "Like `from`. Left out: now.",
                kind: Kind::Text,
                required: false,
            },
            Parameter {
                name: "step",
                help: "One value for each: `10s`, `5m`, `1h`. Left out: about 60 values.",
                kind: Kind::Text,
                required: false,
            },
            Parameter {
                name: "aggregation",
                help: "Within a step. Left out: rate for counters, else mean. p50 to p99 are exact, and only for as long as samples are kept.",
                kind: Kind::Choice(AGGREGATIONS),
                required: false,
            },
            MAX_TOKENS,
            CURSOR,
        ]
    }

    fn output_schema(&self) -> Value {
        of_tables(
            &[
                ("metric", "string"),
                ("unit", "string"),
                ("kind", "string"),
                ("meaning", "string"),
                ("aggregation", "string"),
                ("resolution", "string"),
                ("start", "string"),
                ("step_s", "number"),
                ("states", "string"),
            ],
            &["series"],
        )
    }

    fn plan(&self, call: &Call) -> Result<Bounds, ToolError> {
        let window = window_of(call)?;
        step_of(call, window)?;
        labels_of(call)?;
        let metric = call.arguments.text("metric").unwrap_or_default();
        Ok(Bounds {
            metrics: Some(BTreeSet::from([metric.to_owned()])),
            window,
            rows: u64::try_from(call.max_tokens() / TOKENS_A_VALUE).unwrap_or(u64::MAX),
        })
    }

    fn answer(&self, call: &Call, view: &View) -> Result<Answer, ToolError> {
        let window = window_of(call)?;
        let step = step_of(call, window)?;
        let selector = Selector {
            metrics: vec![call.arguments.text("metric").unwrap_or_default().to_owned()],
            labels: labels_of(call)?,
        };
        let all = view.series(&selector, window).map_err(ToolError::read)?;
        let Some(first) = all.first().map(Arc::clone) else {
            return Err(nothing(view, &selector, window));
        };
        let aggregation = aggregation_of(call, &first)?;
        let query = RangeQuery {
            selector,
            window,
            step,
            aggregation,
            offset: call.offset(),
            budget: Budget {
                series: MOST_SERIES,
                points: usize::MAX,
                bytes: MOST_BYTES,
            },
        };
        let page = read_page(view, &query, all.len())?;
        Ok(write(&first, &query, &all, call, &page))
    }
}

fn window_of(call: &Call) -> Result<Window, ToolError> {
    if let Some(page) = call.page {
        return Ok(page.window);
    }
    let text = |name| call.arguments.text(name);
    parse_window(text("from"), text("to"), DEFAULT_BACK, call.now)
}

fn step_of(call: &Call, window: Window) -> Result<Duration, ToolError> {
    let Some(text) = call.arguments.text("step") else {
        return Ok(round_step(window, DEFAULT_VALUES));
    };
    let step = parse_span(text)
        .filter(|step| *step >= Duration::from_secs(1))
        .ok_or_else(|| ToolError::BadStep { text: clean(text) })?;
    let points = window.length().as_millis().div_ceil(step.as_millis());
    let most = u64::try_from(MOST_VALUES).unwrap_or(u64::MAX);
    if points > MOST_VALUES {
        return Err(ToolError::StepTooSmall {
            text: clean(text),
            points,
            smallest: show_span(round_step(window, most)),
        });
    }
    Ok(step)
}

fn labels_of(call: &Call) -> Result<Vec<(String, String)>, ToolError> {
    call.arguments
        .texts("labels")
        .into_iter()
        .map(|text| {
            text.split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| ToolError::BadLabel { text: clean(text) })
        })
        .collect()
}

fn aggregation_of(call: &Call, info: &SeriesInfo) -> Result<Aggregation, ToolError> {
    let asked = call
        .arguments
        .text("aggregation")
        .and_then(Aggregation::parse);
    match (asked, info.kind) {
        (Some(Aggregation::Rate), MetricKind::Gauge | MetricKind::UpDownCounter) => {
            Err(ToolError::NoRate {
                metric: clean(&info.metric),
                kind: info.kind.word(),
            })
        }
        (Some(asked), _) => Ok(asked),
        (None, MetricKind::Counter) => Ok(Aggregation::Rate),
        (None, MetricKind::Gauge | MetricKind::UpDownCounter) => Ok(Aggregation::Mean),
    }
}

/// The series of one page: as many from the offset on as there are rows left for.
fn read_page(view: &View, query: &RangeQuery, known: usize) -> Result<RangeAnswer, ToolError> {
    let points = query
        .window
        .length()
        .as_millis()
        .div_ceil(query.step.as_millis().max(1));
    let points = usize::try_from(points)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let room = usize::try_from(view.rows_left()).unwrap_or(usize::MAX) / points;
    let mut page = query.clone();
    page.budget.series = room.clamp(1, MOST_SERIES);
    let answer = view.range(&page).map_err(ToolError::read)?;
    Ok(answer.unwrap_or_else(|| RangeAnswer {
        resolution: Resolution::Raw,
        start: query.window.from,
        step: query.step,
        series: Vec::new(),
        matched: known,
        truncated: Truncations::NONE,
        bytes_read: 0,
    }))
}

fn write(
    info: &SeriesInfo,
    query: &RangeQuery,
    all: &[Arc<SeriesInfo>],
    call: &Call,
    page: &RangeAnswer,
) -> Answer {
    let keys: BTreeSet<&str> = all
        .iter()
        .flat_map(|info| info.labels.iter().map(|(key, _)| key))
        .collect();
    let mut columns: Vec<Column> = keys.iter().map(|key| Column::untrusted(key)).collect();
    columns.extend(Column::ours(&["samples", "age_s", "values"]));
    let rows = page
        .series
        .iter()
        .map(|series| row(series, &keys, call.now))
        .collect();
    let rate = query.aggregation == Aggregation::Rate;
    let per_second = if rate { "/s" } else { "" };
    let mut facts = vec![
        ("metric", Cell::words(clean(&info.metric))),
        (
            "unit",
            Cell::words(format!("{}{per_second}", clean(&info.unit))),
        ),
        ("kind", Cell::words(info.kind.word())),
        ("meaning", Cell::words(clean(&info.help))),
        ("aggregation", Cell::words(query.aggregation.word())),
        ("resolution", Cell::words(page.resolution.word())),
        ("start", Cell::words(show_time(page.start))),
        ("step_s", Cell::Number(page.step.as_secs_f64())),
    ];
    if !info.states.is_empty() {
        let states: Vec<String> = info
            .states
            .iter()
            .enumerate()
            .map(|(number, state)| format!("{number}={}", clean(state)))
            .collect();
        facts.push(("states", Cell::words(states.join(" "))));
    }
    Answer {
        window: Some(query.window),
        facts,
        tables: vec![Table {
            name: "series",
            columns,
            rows,
            skipped: call.offset(),
            // what a page may have shown stays counted, whatever is found now
            total: page.matched.max(call.offset() + page.series.len()),
        }],
        notes: notes(query, page),
        rest: "narrow `labels`, or take a longer `step`",
    }
}

fn notes(query: &RangeQuery, page: &RangeAnswer) -> Vec<String> {
    let mut notes = vec![
        "Each value aggregates the samples of one step; samples counts those behind a row, age_s is the age of its newest one. Numbers have six significant digits.".to_owned(),
    ];
    if page.step != query.step {
        notes.push(format!(
            "The step is {} instead of {}, to stay within the answer's size or because only a coarser resolution is held.",
            show_span(page.step),
            show_span(query.step)
        ));
    }
    for (reason, note) in CAVEATS {
        if page.truncated.has(*reason) {
            notes.push((*note).to_owned());
        }
    }
    notes
}

fn row(series: &SeriesValues, keys: &BTreeSet<&str>, now: Timestamp) -> Vec<Cell> {
    let mut row: Vec<Cell> = keys
        .iter()
        .map(|key| label(&series.series.labels, key))
        .collect();
    row.push(Cell::count(series.samples));
    row.push(
        series
            .newest
            .map_or(Cell::Missing, |newest| Cell::seconds(now.since(newest))),
    );
    row.push(Cell::Values(series.values.clone()));
    row
}

fn label(labels: &Labels, key: &str) -> Cell {
    labels.get(key).map_or(Cell::Missing, Cell::untrusted)
}

/// Why nothing matched: nothing held for this time, no such metric, or no such labels.
fn nothing(view: &View, selector: &Selector, window: Window) -> ToolError {
    let metric = selector.metrics.first().cloned().unwrap_or_default();
    let coverage = match view.coverage() {
        Ok(coverage) => coverage,
        Err(error) => return ToolError::read(error),
    };
    let held: Vec<Window> = coverage.iter().filter_map(|tier| tier.window).collect();
    if !held.iter().any(|tier| tier.intersect(window).is_some()) {
        return ToolError::OutsideRetention {
            held: show_held(&held),
        };
    }
    let unlabelled = Selector::metric(&metric);
    match view.series(&unlabelled, window) {
        Ok(series) if !series.is_empty() && !selector.labels.is_empty() => {
            ToolError::UnknownLabels {
                metric: clean(&metric),
                have: show_labels(&series),
            }
        }
        Ok(_) => match view.allowed_metrics() {
            Ok(names) => ToolError::UnknownMetric {
                near: show_near(&metric, names),
                metric: clean(&metric),
            },
            Err(error) => ToolError::read(error),
        },
        Err(error) => ToolError::read(error),
    }
}

fn show_held(held: &[Window]) -> String {
    let from = held.iter().map(|window| window.from).min();
    let to = held.iter().map(|window| window.to).max();
    match (from, to) {
        (Some(from), Some(to)) => format!("{} to {}", show_time(from), show_time(to)),
        _ => "nothing yet".to_owned(),
    }
}

fn show_labels(series: &[Arc<SeriesInfo>]) -> String {
    let some: Vec<String> = series
        .iter()
        .take(MOST_NAMED)
        .map(|info| quoted(&info.labels.to_string()))
        .collect();
    let more = series.len().saturating_sub(MOST_NAMED);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", some.join(", "))
}

/// The names that are spelled most alike, best first.
fn show_near(metric: &str, names: Vec<String>) -> String {
    let total = names.len();
    let mut ranked: Vec<(usize, String)> = names
        .into_iter()
        .map(|name| (distance(metric, &name), name))
        .collect();
    ranked.sort();
    let near: Vec<String> = ranked
        .into_iter()
        .take(MOST_NAMED)
        .map(|(_, name)| quoted(&name))
        .collect();
    if near.is_empty() {
        "there is none that this task may read".to_owned()
    } else {
        format!("near ones of {total} are {}", near.join(", "))
    }
}

/// How unlike two names are: letters to change (Levenshtein), and less where one holds the other's last word.
fn distance(asked: &str, name: &str) -> usize {
    let word = asked.rsplit('.').next().unwrap_or_default();
    let bonus = if word.len() > 2 && name.contains(word) {
        word.len()
    } else {
        0
    };
    levenshtein(asked.as_bytes(), name.as_bytes()).saturating_sub(bonus)
}

fn levenshtein(a: &[u8], b: &[u8]) -> usize {
    let mut line: Vec<usize> = (0..=b.len()).collect();
    for (row, x) in a.iter().enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(line.iter().skip(1)) {
            let change = diagonal + usize::from(x != y);
            left = change.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        line = next;
    }
    line.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let names = [
            "hw.temperature",
            "system.cpu.time",
            "system.cpu.utilization",
            "system.disk.io",
        ];
        let near = |asked| show_near(asked, names.map(str::to_owned).to_vec());
        assert!(near("system.cpu.tme").starts_with("near ones of 4 are `system.cpu.time`"));
        assert!(near("temperature").starts_with("near ones of 4 are `hw.temperature`"));
        assert_eq!(
            show_near("x", Vec::new()),
            "there is none that this task may read"
        );
        assert_eq!(levenshtein(b"kitten", b"sitting"), 3);
    }

    #[test]
    fn the_choices_are_all_aggregations() {
        let words: Vec<&str> = Aggregation::ALL.iter().map(|a| a.word()).collect();
        assert_eq!(words, AGGREGATIONS);
    }
}
