//! `node_snapshot`: how one node is now, on one page.

mod readings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::access::Bounds;
use glasshouse_core::condition::Severity;
use glasshouse_core::fact::Fact;
use glasshouse_core::reader::{
    Aggregation, Budget, CollectorState, CollectorStatus, Inventory, LATEST_LOOKBACK, Latest,
    RangeQuery, ReadError, Selector, SeriesInfo, SeriesValues,
};
use glasshouse_core::sample::{Quality, Value as SampleValue};
use glasshouse_core::text::clean;
use glasshouse_core::time::{Timestamp, Window};
use glasshouse_core::wall_power::most_trusted;
use serde_json::Value;

use self::readings::{How, READINGS, Reading};
use super::{Call, MAX_TOKENS, Parameter, SCOPE, Tool, ToolError};
use crate::answer::{Answer, Cell, Column, Table, of_tables};
use crate::gate::View;

/// The most rows and values that are read; a node with many disks and ports has some thousands of series.
const MOST_ROWS: u64 = 10_000;
/// Rates are taken over this time: short enough to be now, long enough to be calm.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Rows of one metric at most; the largest values are kept.
const MOST_PER_METRIC: usize = 24;
/// Facts of the host that are shown; the rest is for `hardware_inventory`.
const MOST_FACTS: usize = 16;
/// Components whose facts say which machine this is.
const HOST_COMPONENTS: &[&str] = &["host", "kernel", "os", "system", "firmware"];
/// Bytes read: a minute of a few thousand series takes far less.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// One node now.
#[derive(Debug)]
pub(crate) struct NodeSnapshot;

impl Tool for NodeSnapshot {
    fn name(&self) -> &'static str {
        "node_snapshot"
    }

    fn title(&self) -> &'static str {
        "Node now"
    }

    fn description(&self) -> &'static str {
        "How one node is now: processor, memory, pressure, disks, file systems, network, GPUs, temperatures, power at the wall and inside, open findings, and collectors that fail. Rates are over the last minute. Start here; use query_series for history."
    }

    fn scope(&self) -> &'static str {
        "telemetry:read"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[SCOPE, MAX_TOKENS]
    }

    fn output_schema(&self) -> Value {
        of_tables(
            &[
                ("inventory_age_s", "number"),
                ("findings_critical", "number"),
                ("findings_warning", "number"),
                ("findings_info", "number"),
            ],
            &["host", "readings", "failing"],
        )
    }

    fn plan(&self, call: &Call) -> Result<Bounds, ToolError> {
        Ok(Bounds {
            metrics: Some(
                READINGS
                    .iter()
                    .map(|reading| reading.metric.to_owned())
                    .collect(),
            ),
            window: window(call.now),
            rows: MOST_ROWS,
        })
    }

    fn answer(&self, call: &Call, view: &View) -> Result<Answer, ToolError> {
        let mut answer = Answer {
            window: Some(window(call.now)),
            rest: "raise `max_tokens`, or ask query_series for one metric",
            ..Answer::default()
        };
        let mut rows = read_latest(view).map_err(ToolError::read)?;
        rows.extend(read_rates(view, call.now).map_err(ToolError::read)?);
        tell_findings(&mut answer, view);
        let inventory = view.inventory().ok();
        if let Some(inventory) = &inventory {
            let age = call.now.since(inventory.written);
            answer.facts.push(("inventory_age_s", Cell::seconds(age)));
            answer.tables.push(host_table(&inventory.facts));
        }
        let (table, notes) = readings_table(rows, call.now);
        answer.tables.push(table);
        answer.notes = notes;
        if !view.shows_facts() {
            answer.notes.push(
                "Facts of the host are not shown: the token lacks the scope inventory:read."
                    .to_owned(),
            );
        }
        if let Some(inventory) = &inventory {
            tell_collectors(&mut answer, inventory);
        } else {
            answer.notes.push("The node's inventory is missing or cannot be read: host facts and collectors are not known.".to_owned());
        }
        Ok(answer)
    }
}

fn window(now: Timestamp) -> Window {
    Window {
        from: now.before(LATEST_LOOKBACK),
        to: now,
    }
}

/// How many findings are open, by severity.
fn tell_findings(answer: &mut Answer, view: &View) {
    for (name, severity) in [
        ("findings_critical", Severity::Critical),
        ("findings_warning", Severity::Warning),
        ("findings_info", Severity::Info),
    ] {
        match view.open_events(severity) {
            Ok(count) => {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                answer.facts.push((name, Cell::count(count)));
            }
            Err(_) => {
                answer.notes.push(
                    "Open findings are not known: their list is missing or cannot be read."
                        .to_owned(),
                );
                return;
            }
        }
    }
}

/// One row before it is written: a value of a metric, after folding.
#[derive(Debug)]
struct Row {
    /// `None` where the newest sample says that there is none.
    value: Option<f64>,
    /// Series that were added or averaged into it.
    series: u32,
    state: Option<String>,
    unit: String,
    samples: u64,
    newest: Option<Timestamp>,
    quality: Quality,
}

/// Rows by the place of their reading in the list and their labels.
type Rows = BTreeMap<(usize, String), Row>;

fn metrics(wanted: fn(How) -> bool) -> Selector {
    Selector {
        metrics: READINGS
            .iter()
            .filter(|reading| wanted(reading.how))
            .map(|reading| reading.metric.to_owned())
            .collect(),
        labels: Vec::new(),
    }
}

fn readings_of(metric: &str) -> impl Iterator<Item = (usize, &'static Reading)> {
    READINGS
        .iter()
        .enumerate()
        .filter(move |(_, reading)| reading.metric == metric)
}

fn read_latest(view: &View) -> Result<Rows, ReadError> {
    let latest = view.latest(&metrics(|how| !how.is_rate()))?;
    let trusted = most_trusted(&latest).map(|(_, entry)| Arc::clone(&entry.series));
    let mut rows = Rows::new();
    for entry in &latest {
        let is_trusted = trusted
            .as_ref()
            .is_some_and(|trusted| Arc::ptr_eq(trusted, &entry.series));
        for (place, reading) in readings_of(&entry.series.metric) {
            // a sum is made of what is there
            let counts = reading.fold.is_none() || entry.sample.value.is_some();
            if counts && reading.takes(&entry.series, is_trusted) {
                let labels = labels_of(&entry.series, reading);
                add(&mut rows, (place, labels), latest_row(entry));
            }
        }
    }
    for ((place, _), row) in &mut rows {
        if READINGS
            .get(*place)
            .is_some_and(|reading| reading.how == How::LatestMean)
        {
            row.value = row.value.map(|value| value / f64::from(row.series));
        }
    }
    Ok(rows)
}

fn latest_row(entry: &Latest) -> Row {
    let value = entry.sample.value;
    let state = match value {
        Some(SampleValue::State(index)) => entry.series.states.get(usize::from(index)).cloned(),
        Some(SampleValue::U64(_) | SampleValue::F64(_)) | None => None,
    };
    Row {
        value: value.map(SampleValue::as_f64),
        series: 1,
        state,
        unit: entry.series.unit.clone(),
        samples: 1,
        newest: Some(entry.sample.at),
        quality: entry.sample.quality,
    }
}

fn read_rates(view: &View, now: Timestamp) -> Result<Rows, ReadError> {
    let query = RangeQuery {
        selector: metrics(How::is_rate),
        window: Window {
            from: now.before(RATE_WINDOW),
            to: now,
        },
        step: RATE_WINDOW,
        aggregation: Aggregation::Rate,
        offset: 0,
        budget: Budget {
            series: usize::MAX,
            points: usize::MAX,
            bytes: MOST_BYTES,
        },
    };
    let mut rows = Rows::new();
    let Some(answer) = view.range(&query)? else {
        return Ok(rows);
    };
    for series in &answer.series {
        for (place, reading) in readings_of(&series.series.metric) {
            let row = rate_row(series, reading);
            if let Some(row) = row.filter(|_| reading.takes(&series.series, false)) {
                add(&mut rows, (place, labels_of(&series.series, reading)), row);
            }
        }
    }
    share(&mut rows);
    Ok(rows)
}

/// A minute that does not begin on the minute falls into two steps: their mean stands for both.
fn rate_row(series: &SeriesValues, reading: &Reading) -> Option<Row> {
    let there: Vec<f64> = series.values.iter().copied().flatten().collect();
    let count = u32::try_from(there.len()).ok().filter(|count| *count > 0)?;
    let unit = match (reading.how, series.series.unit.as_str()) {
        (How::Share, _) | (_, "s") => "1".to_owned(),
        (_, "J") => "W".to_owned(),
        (_, unit) => format!("{unit}/s"),
    };
    Some(Row {
        value: Some(there.iter().sum::<f64>() / f64::from(count)),
        series: 1,
        state: None,
        unit,
        samples: series.samples,
        newest: series.newest,
        quality: Quality::Good,
    })
}

/// Turns the rates of a [`How::Share`] reading into parts of their sum.
fn share(rows: &mut Rows) {
    for (place, _) in READINGS
        .iter()
        .enumerate()
        .filter(|(_, reading)| reading.how == How::Share)
    {
        let sum: f64 = rows
            .iter()
            .filter(|((at, _), _)| *at == place)
            .filter_map(|(_, row)| row.value)
            .sum();
        rows.retain(|(at, _), _| *at != place || sum > 0.0);
        for ((at, _), row) in rows.iter_mut() {
            if *at == place {
                row.value = row.value.map(|value| value / sum);
            }
        }
    }
}

fn labels_of(info: &SeriesInfo, reading: &Reading) -> String {
    match reading.fold {
        None => info.labels.to_string(),
        Some("") => String::new(),
        Some(key) => info
            .labels
            .get(key)
            .map(|value| format!("{key}={}", value.clean()))
            .unwrap_or_default(),
    }
}

fn add(rows: &mut Rows, key: (usize, String), row: Row) {
    match rows.entry(key) {
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(row);
        }
        std::collections::btree_map::Entry::Occupied(mut place) => {
            let sum = place.get_mut();
            sum.value = sum.value.zip(row.value).map(|(sum, value)| sum + value);
            sum.series += row.series;
            sum.samples += row.samples;
            // a sum is as old as its oldest part
            sum.newest = sum.newest.min(row.newest);
            if row.quality != Quality::Good {
                sum.quality = row.quality;
            }
        }
    }
}

fn readings_table(rows: Rows, now: Timestamp) -> (Table, Vec<String>) {
    let mut by_place: BTreeMap<usize, Vec<(String, Row)>> = BTreeMap::new();
    for ((place, labels), row) in rows {
        by_place.entry(place).or_default().push((labels, row));
    }
    let mut written = Vec::new();
    let mut notes = vec![
        "Columns: aggregation says how a value was made (latest; mean, sum over its series; rate or share over window_s seconds), samples how many went in, age_s how old the newest is. Counters of seconds as rate are a part of one (unit 1).".to_owned(),
    ];
    let mut absent = Vec::new();
    let mut quiet = 0;
    for (place, reading) in READINGS.iter().enumerate() {
        let Some(mut entries) = by_place.remove(&place) else {
            if !reading.is_optional() {
                absent.push(reading.metric);
            }
            continue;
        };
        let before = entries.len();
        if reading.quiet {
            entries.retain(|(_, row)| row.value != Some(0.0));
            quiet += before - entries.len();
        }
        let is_cut = entries.len() > MOST_PER_METRIC;
        if is_cut || reading.largest_first {
            // what has no value stands last
            let value = |row: &Row| row.value.unwrap_or(f64::NEG_INFINITY);
            entries.sort_by(|(_, a), (_, b)| value(b).total_cmp(&value(a)));
        }
        if is_cut {
            notes.push(format!(
                "{}: the {MOST_PER_METRIC} largest of {} rows.",
                reading.metric,
                entries.len()
            ));
            entries.truncate(MOST_PER_METRIC);
        }
        written.extend(
            entries
                .into_iter()
                .map(|(labels, row)| write(reading, labels, row, now)),
        );
    }
    if quiet > 0 {
        notes.push(format!(
            "{quiet} rows that count errors, drops and the like are zero and left out."
        ));
    }
    if !absent.is_empty() {
        notes.push(format!(
            "No fresh data here (absent hardware, or ask telemetry_health): {}.",
            absent.join(", ")
        ));
    }
    let mut columns = Column::ours(&["metric"]);
    columns.push(Column::untrusted("labels"));
    columns.extend(Column::ours(&[
        "value",
        "unit",
        "aggregation",
        "window_s",
        "samples",
        "age_s",
        "quality",
    ]));
    (Table::whole("readings", columns, written), notes)
}

fn write(reading: &Reading, labels: String, row: Row, now: Timestamp) -> Vec<Cell> {
    let window = if reading.how.is_rate() {
        Cell::seconds(RATE_WINDOW)
    } else {
        Cell::Missing
    };
    vec![
        Cell::words(reading.metric),
        Cell::words(labels),
        match (row.state, row.value) {
            (Some(state), _) => Cell::words(clean(&state)),
            (None, Some(value)) => Cell::Number(value),
            (None, None) => Cell::Missing,
        },
        Cell::words(clean(&row.unit)),
        Cell::words(reading.aggregation()),
        window,
        Cell::count(row.samples),
        row.newest
            .map_or(Cell::Missing, |newest| Cell::seconds(now.since(newest))),
        Cell::words(quality(row.quality)),
    ]
}

/// The word for a quality, with the reason where a value is absent.
fn quality(quality: Quality) -> String {
    match quality {
        Quality::Absent(reason) => format!("absent: {reason}"),
        Quality::Good | Quality::Stale | Quality::Estimated => quality.word().to_owned(),
    }
}

fn host_table(facts: &[Fact]) -> Table {
    let rows = facts
        .iter()
        .filter(|fact| {
            let component = fact.component.raw();
            let kind = component.split('/').next().unwrap_or_default();
            HOST_COMPONENTS.contains(&kind)
        })
        .take(MOST_FACTS)
        .map(|fact| vec![Cell::words(clean(&fact.key)), Cell::untrusted(&fact.value)])
        .collect();
    let columns = vec![Column::untrusted("key"), Column::untrusted("value")];
    Table::whole("host", columns, rows)
}

fn tell_collectors(answer: &mut Answer, inventory: &Inventory) {
    let with = |wanted: fn(CollectorState) -> bool| -> Vec<&CollectorStatus> {
        inventory
            .collectors
            .iter()
            .filter(|status| wanted(status.state))
            .collect()
    };
    let failing = with(|state| {
        matches!(
            state,
            CollectorState::Failed(_) | CollectorState::Partial(_)
        )
    });
    let rows = failing
        .into_iter()
        .map(|status| {
            let reason = match status.state {
                CollectorState::Failed(reason) | CollectorState::Partial(reason) => reason.word(),
                _ => "",
            };
            vec![
                Cell::words(clean(&status.name)),
                Cell::words(status.state.word()),
                Cell::words(reason),
                Cell::untrusted(&status.detail),
            ]
        })
        .collect();
    let mut columns = Column::ours(&["collector", "state", "reason"]);
    columns.push(Column::untrusted("detail"));
    answer.tables.push(Table::whole("failing", columns, rows));
    let absent = with(|state| state == CollectorState::Absent);
    if !absent.is_empty() {
        let names: Vec<String> = absent.iter().map(|status| clean(&status.name)).collect();
        answer.notes.push(format!(
            "Collectors without a source on this machine: {}.",
            names.join(", ")
        ));
    }
}
