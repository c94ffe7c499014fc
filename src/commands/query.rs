//! `glasshouse query`: values of one metric, straight from the store's files.

use std::time::Duration;

use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{
    Aggregation, Budget, RangeAnswer, RangeQuery, SampleReader, Selector, SeriesInfo, SeriesValues,
    Truncation,
};
use glasshouse_core::time::{Clock as _, SystemClock, Timestamp, Window, parse_span};
use glasshouse_store::StoreReader;
use serde_json::{Map, Value, json};

use super::store::read_failure;
use crate::cli::{Global, Query, QueryFormat};
use crate::exit::{Exit, Failure};
use crate::near::similar;
use crate::output::{csv_cell, print, print_json, table};
use crate::places::state_dir;
use crate::times::{parse, show};

/// The most values in an answer where no step is given, for each series.
const STEPS: u32 = 60;
/// Units that a step of our own choice is a multiple of, in seconds: the largest that is not longer than the step. Only
/// steps of whole minutes and hours can be answered from rollups.
const STEP_UNITS: [u64; 4] = [3600, 60, 10, 1];
/// The shortest step: the store's samples are not finer.
const SHORTEST_STEP: Duration = Duration::from_secs(1);
/// What an operator's question may cost: far more than an agent's, but still bounded.
const BUDGET: Budget = Budget {
    series: 10_000,
    points: 1_000_000,
    bytes: 4 << 30,
};
/// Names that are shown where the one asked for is unknown.
const MOST_SUGGESTIONS: usize = 5;

/// Answers from the store. Ends with 1 where nothing was stored in the window.
pub(crate) fn run(global: &Global, arguments: &Query) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let window = window(arguments, now)?;
    let store = StoreReader::open(&state_dir(global)?.join("store"));
    let selector = Selector {
        metrics: vec![arguments.metric.clone()],
        labels: arguments.label.clone(),
    };
    let series = store.series(&selector, window).map_err(read_failure)?;
    let Some(first) = series.entries.first() else {
        return nothing_found(&store, arguments, window);
    };
    let aggregation = aggregation(arguments.aggregation.as_deref(), first)?;
    let query = RangeQuery {
        selector,
        window,
        step: step(arguments.step.as_deref(), window)?,
        aggregation,
        offset: 0,
        budget: BUDGET,
    };
    let answer = store.range(&query).map_err(read_failure)?;
    if !answer.truncated.is_empty() {
        tracing::warn!(
            by = %answer.truncated,
            matched = answer.matched,
            shown = answer.series.len(),
            "The answer is not whole."
        );
    }
    match arguments.format {
        QueryFormat::Table => print(&as_table(&answer, aggregation))?,
        QueryFormat::Csv => print(&as_csv(&answer, aggregation))?,
        QueryFormat::Json => print_json(&as_json(&answer, aggregation))?,
    }
    Ok(Exit::Done)
}

fn window(arguments: &Query, now: Timestamp) -> Result<Window, Failure> {
    let window = Window {
        from: parse(&arguments.from, now).map_err(Failure::usage)?,
        to: parse(&arguments.to, now).map_err(Failure::usage)?,
    };
    if window.from >= window.to {
        let error = anyhow::anyhow!(
            "the window is empty: `--from {}` does not lie before `--to {}`",
            arguments.from,
            arguments.to
        );
        return Err(Failure::usage(error));
    }
    Ok(window)
}

fn step(written: Option<&str>, window: Window) -> Result<Duration, Failure> {
    let Some(written) = written else {
        return Ok(default_step(window));
    };
    parse_span(written)
        .filter(|step| *step >= SHORTEST_STEP)
        .ok_or_else(|| {
            Failure::usage(anyhow::anyhow!("`{written}` is not a step"))
                .help("write a span from 1s on, such as `10s`, `1m` or `1h`")
        })
}

/// The shortest step that a person would choose of which no more than [`STEPS`] make the window.
fn default_step(window: Window) -> Duration {
    let exact = window.length() / STEPS;
    let seconds = exact.as_secs() + u64::from(exact.subsec_nanos() > 0);
    let unit = STEP_UNITS
        .into_iter()
        .find(|unit| seconds >= *unit)
        .unwrap_or(1);
    Duration::from_secs(seconds.max(1).next_multiple_of(unit))
}

fn aggregation(written: Option<&str>, series: &SeriesInfo) -> Result<Aggregation, Failure> {
    match written {
        Some(word) => Aggregation::parse(word).ok_or_else(|| {
            let words: Vec<&str> = Aggregation::ALL.iter().map(|one| one.word()).collect();
            Failure::usage(anyhow::anyhow!("there is no aggregation `{word}`"))
                .help(format!("aggregations: {}", words.join(", ")))
        }),
        None if !series.states.is_empty() => Ok(Aggregation::Last),
        None if series.kind == MetricKind::Counter => Ok(Aggregation::Rate),
        None => Ok(Aggregation::Mean),
    }
}

/// Says why there is no answer: an unknown metric, labels that none has, or nothing in the window.
fn nothing_found(store: &StoreReader, arguments: &Query, window: Window) -> Result<Exit, Failure> {
    let metric = arguments.metric.as_str();
    let all = store
        .series(&Selector::default(), everything())
        .map_err(read_failure)?;
    if all.damaged {
        tracing::warn!("Something in the store is damaged; there may be more than was found.");
    }
    let all = all.entries;
    let of_metric: Vec<_> = all
        .iter()
        .filter(|series| series.metric == metric)
        .collect();
    if of_metric.is_empty() {
        let known = all.iter().map(|series| series.metric.as_str());
        let near = similar(metric, known, MOST_SUGGESTIONS);
        let error = anyhow::anyhow!("there is no metric `{metric}` in the store");
        let help = if near.is_empty() {
            "`glasshouse collectors list` names every metric".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        return Err(Failure::usage(error).help(help));
    }
    let selector = Selector {
        metrics: Vec::new(),
        labels: arguments.label.clone(),
    };
    if !of_metric
        .iter()
        .any(|series| selector.matches(metric, &series.labels))
    {
        let labels = of_metric.iter().map(|series| series.labels.to_string());
        let labels: Vec<String> = labels.take(MOST_SUGGESTIONS).collect();
        let error = anyhow::anyhow!("no series of `{metric}` has these labels");
        return Err(Failure::usage(error).help(format!("there is, for one: {}", labels.join("; "))));
    }
    tracing::warn!(
        from = show(window.from),
        to = show(window.to),
        "Nothing was stored for this metric in this time."
    );
    Ok(Exit::Findings)
}

const fn everything() -> Window {
    Window {
        from: Timestamp::from_nanos(0),
        to: Timestamp::from_nanos(i64::MAX),
    }
}

/// Time, labels, value: one row for each value that is there.
fn rows(answer: &RangeAnswer) -> impl Iterator<Item = (Timestamp, &SeriesValues, f64)> {
    answer.series.iter().flat_map(move |series| {
        let mut at = answer.start;
        series.values.iter().filter_map(move |value| {
            let here = at;
            at = at.after(answer.step);
            value.map(|value| (here, series, value))
        })
    })
}

fn as_csv(answer: &RangeAnswer, aggregation: Aggregation) -> String {
    let mut text = "time,metric,labels,value,unit\n".to_owned();
    for (at, series, value) in rows(answer) {
        let cells = [
            show(at),
            csv_cell(&series.series.metric),
            csv_cell(&series.series.labels.to_string()),
            value.to_string(),
            csv_cell(&shown_unit(&series.series, aggregation)),
        ];
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn as_table(answer: &RangeAnswer, aggregation: Aggregation) -> String {
    let mut lines = vec![["time", "labels", "value"].map(str::to_owned).to_vec()];
    lines.extend(rows(answer).map(|(at, series, value)| {
        let labels = series.series.labels.to_string();
        vec![show(at), labels, format!("{value:.6}")]
    }));
    let unit = answer
        .series
        .first()
        .map_or_else(String::new, |first| shown_unit(&first.series, aggregation));
    format!(
        "{}\n{} series, {} of {} s steps in {unit}, from {} data\n",
        table(&lines),
        answer.series.len(),
        aggregation.word(),
        answer.step.as_secs(),
        answer.resolution.word()
    )
}

fn shown_unit(series: &SeriesInfo, aggregation: Aggregation) -> String {
    match aggregation {
        Aggregation::Rate => format!("{}/s", series.unit),
        _ => series.unit.clone(),
    }
}

fn as_json(answer: &RangeAnswer, aggregation: Aggregation) -> Value {
    let series = answer.series.iter().map(|one| {
        let labels: Map<String, Value> = one
            .series
            .labels
            .iter()
            .map(|(key, value)| (key.to_owned(), value.clean().into()))
            .collect();
        json!({
            "metric": one.series.metric,
            "labels": labels,
            "unit": shown_unit(&one.series, aggregation),
            "values": one.values,
            "samples": one.samples,
            "newest": one.newest.map(show),
        })
    });
    json!({
        "resolution": answer.resolution.word(),
        "aggregation": aggregation.word(),
        "start": show(answer.start),
        "step_seconds": answer.step.as_secs_f64(),
        "matched": answer.matched,
        "truncated": answer.truncated.iter().map(Truncation::word).collect::<Vec<_>>(),
        "bytes_read": answer.bytes_read,
        "series": series.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_our_choice_is_round() {
        const HOUR: u64 = 3600;
        for (window, step) in [
            (1, 1),
            (60, 1),
            (61, 2),
            (10 * 60, 10),
            (11 * 60, 20),
            (HOUR, 60),
            (HOUR + 1, 120),
            (3660, 120),
            (24 * HOUR, 24 * 60),
            (60 * HOUR, HOUR),
            (61 * HOUR, 2 * HOUR),
            (30 * 24 * HOUR, 12 * HOUR),
        ] {
            let from = Timestamp::from_nanos(1);
            let window = Window {
                from,
                to: from.after(Duration::from_secs(window)),
            };
            let chosen = default_step(window).as_secs();
            assert_eq!(chosen, step, "{:?}", window.length());
        }
    }
}
