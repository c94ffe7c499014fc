//! `telemetry_health`: what is collected, what is not, and why.

use glasshouse_core::access::Bounds;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::finding::Event;
use glasshouse_core::reader::{
    CollectorState, CollectorStatus, Inventory, LATEST_LOOKBACK, Latest, LinkStatus, ReadError,
    Resolution, Selector, TierCoverage,
};
use glasshouse_core::sample::Quality;
use glasshouse_core::text::clean;
use glasshouse_core::time::{Timestamp, Window};
use serde_json::Value;

use super::{CURSOR, Call, MAX_TOKENS, Parameter, SCOPE, Tool, ToolError, show_time};
use crate::answer::{Answer, Cell, Column, Table, of_tables};
use crate::gate::View;

/// The most series that are looked at; a node with many disks and ports has some thousands.
const MOST_ROWS: u64 = 10_000;

/// The most events that are listed: a node of which more is wrong has one cause for most of it.
const MOST_EVENTS: usize = 40;

/// Collectors, link, store, series without a fresh value.
#[derive(Debug)]
pub(crate) struct TelemetryHealth;

impl Tool for TelemetryHealth {
    fn name(&self) -> &'static str {
        "telemetry_health"
    }

    fn title(&self) -> &'static str {
        "Telemetry health"
    }

    fn description(&self) -> &'static str {
        "What a node collects, what it does not and why: open findings about collection, state of every collector, loss between processes, time that the store holds, series that are stale or absent. Ask this before trusting a missing value."
    }

    fn scope(&self) -> &'static str {
        "telemetry:read"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[SCOPE, MAX_TOKENS, CURSOR]
    }

    fn output_schema(&self) -> Value {
        of_tables(
            &[("inventory_age_s", "number"), ("fresh_series", "number")],
            &["findings", "collectors", "link", "store", "stale"],
        )
    }

    fn plan(&self, call: &Call) -> Result<Bounds, ToolError> {
        Ok(Bounds {
            metrics: None,
            window: Window {
                from: call.now.before(LATEST_LOOKBACK),
                to: call.now,
            },
            rows: MOST_ROWS,
        })
    }

    fn answer(&self, call: &Call, view: &View) -> Result<Answer, ToolError> {
        let mut answer = Answer {
            window: Some(Window {
                from: call.now.before(LATEST_LOOKBACK),
                to: call.now,
            }),
            rest: "raise `max_tokens`",
            ..Answer::default()
        };
        answer.notes.push("Spans in seconds. States: good, partial (part of the source failed), failed, absent (not on this machine), disabled. An absent source is silence, never zero.".to_owned());
        match view.collection_events() {
            Ok(events) => tell_events(&mut answer, &events, call.now),
            Err(error) => missing(&mut answer, "open findings", &error),
        }
        match view.inventory() {
            Ok(inventory) => tell_inventory(&mut answer, &inventory, call.now),
            Err(error) => missing(&mut answer, "collectors and link", &error),
        }
        match view.coverage() {
            Ok(tiers) => answer.tables.push(store_table(&tiers)),
            Err(error) => missing(&mut answer, "the store's coverage", &error),
        }
        match view.damaged_files() {
            Ok(0) => {}
            Ok(count) => answer.notes.push(format!(
                "{count} files of the store are damaged, as a whole or in part; answers are made from the rest. `glasshouse store stat` on the node names them."
            )),
            Err(error) => missing(&mut answer, "damage to the store", &error),
        }
        match view.latest(&Selector::default()) {
            Ok(latest) => tell_latest(&mut answer, &latest, call.now, view.rows_left() == 0),
            Err(error) => missing(&mut answer, "series", &error),
        }
        Ok(answer)
    }
}

fn missing(answer: &mut Answer, what: &str, error: &ReadError) {
    let why = match error {
        ReadError::Empty { .. } => "nothing has been written yet",
        ReadError::Io { .. } => "the files cannot be read",
        ReadError::Damaged { .. } => "a file is damaged",
    };
    answer.notes.push(format!("Not known: {what}; {why}."));
    if !matches!(error, ReadError::Empty { .. }) {
        tracing::error!(%error, what, "Stored telemetry cannot be read.");
    }
}

fn tell_events(answer: &mut Answer, events: &[Event], now: Timestamp) {
    let rows = events.iter().take(MOST_EVENTS).map(|event| {
        let finding = &event.finding;
        vec![
            Cell::words(finding.severity.word()),
            Cell::words(clean(&finding.cause)),
            Cell::untrusted(&finding.component),
            Cell::words(show_time(finding.first_seen)),
            Cell::seconds(now.since(finding.last_seen)),
            Cell::untrusted(&finding.detail),
        ]
    });
    let mut columns = Column::ours(&["severity", "cause"]);
    columns.push(Column::untrusted("component"));
    columns.extend(Column::ours(&["since", "stated_age_s"]));
    columns.push(Column::untrusted("detail"));
    answer
        .tables
        .push(Table::whole("findings", columns, rows.collect()));
    if events.len() > MOST_EVENTS {
        let all = events.len();
        answer
            .notes
            .push(format!("findings: the {MOST_EVENTS} worst of {all}."));
    }
}

fn tell_inventory(answer: &mut Answer, inventory: &Inventory, now: Timestamp) {
    let age = now.since(inventory.written);
    answer.facts.push(("inventory_age_s", Cell::seconds(age)));
    let mut collectors: Vec<&CollectorStatus> = inventory.collectors.iter().collect();
    // what needs attention first
    collectors.sort_by_key(|status| (rank(status.state), status.name.clone()));
    let rows = collectors
        .into_iter()
        .map(|status| collector_row(status, now))
        .collect();
    let mut columns = Column::ours(&[
        "collector",
        "state",
        "reason",
        "interval_s",
        "age_s",
        "run_ms",
        "series",
        "failures",
    ]);
    columns.push(Column::untrusted("detail"));
    answer
        .tables
        .push(Table::whole("collectors", columns, rows));
    answer.tables.push(link_table(&inventory.link, now));
}

const fn rank(state: CollectorState) -> u8 {
    match state {
        CollectorState::Failed(_) => 0,
        CollectorState::Partial(_) => 1,
        CollectorState::Good => 2,
        CollectorState::Absent => 3,
        CollectorState::Disabled => 4,
    }
}

const fn reason(state: CollectorState) -> Option<FailureReason> {
    match state {
        CollectorState::Failed(reason) | CollectorState::Partial(reason) => Some(reason),
        CollectorState::Good | CollectorState::Absent | CollectorState::Disabled => None,
    }
}

fn collector_row(status: &CollectorStatus, now: Timestamp) -> Vec<Cell> {
    let ran = status.last_run != Timestamp::default();
    let age = if ran {
        Cell::seconds(now.since(status.last_run))
    } else {
        Cell::Missing
    };
    vec![
        Cell::words(clean(&status.name)),
        Cell::words(status.state.word()),
        reason(status.state).map_or(Cell::Missing, |reason| Cell::words(reason.word())),
        Cell::seconds(status.interval),
        age,
        Cell::Number(status.duration.as_secs_f64() * 1e3),
        Cell::count(u64::from(status.series)),
        Cell::count(status.failures),
        Cell::untrusted(&status.detail),
    ]
}

fn link_table(link: &LinkStatus, now: Timestamp) -> Table {
    let columns = Column::ours(&["frames", "lost", "resyncs", "dropped_batches", "age_s"]);
    let row = vec![
        Cell::count(link.frames),
        Cell::count(link.lost),
        Cell::count(link.resyncs),
        Cell::count(link.dropped),
        Cell::seconds(now.since(link.last_frame)),
    ];
    Table::whole("link", columns, vec![row])
}

fn store_table(tiers: &[TierCoverage]) -> Table {
    let rows = tiers
        .iter()
        .map(|tier| {
            let time = |pick: fn(Window) -> Timestamp| {
                tier.window
                    .map_or(Cell::Missing, |window| Cell::words(show_time(pick(window))))
            };
            vec![
                Cell::words(resolution(tier.resolution)),
                time(|window| window.from),
                time(|window| window.to),
                Cell::count(u64::try_from(tier.files).unwrap_or(u64::MAX)),
                Cell::count(tier.bytes),
                Cell::count(tier.samples),
            ]
        })
        .collect();
    let columns = Column::ours(&["resolution", "from", "to", "files", "bytes", "samples"]);
    Table::whole("store", columns, rows)
}

const fn resolution(resolution: Resolution) -> &'static str {
    resolution.word()
}

fn tell_latest(answer: &mut Answer, latest: &[Latest], now: Timestamp, cut: bool) {
    let fresh =
        |entry: &&Latest| matches!(entry.sample.quality, Quality::Good | Quality::Estimated);
    let count = latest.iter().filter(fresh).count();
    answer.facts.push((
        "fresh_series",
        Cell::count(u64::try_from(count).unwrap_or(u64::MAX)),
    ));
    let rows = latest
        .iter()
        .filter(|entry| !fresh(entry))
        .map(|entry| stale_row(entry, now))
        .collect();
    let mut columns = Column::ours(&["metric", "quality", "reason", "age_s", "interval_s"]);
    columns.push(Column::untrusted("labels"));
    answer.tables.push(Table::whole("stale", columns, rows));
    answer.notes.push(format!(
        "stale lists series seen in the last {} minutes whose newest sample is older than three of its intervals or absent with a reason.",
        LATEST_LOOKBACK.as_secs() / 60
    ));
    if cut {
        answer.notes.push(format!(
            "Only {} series were looked at, because no more are allowed for one call.",
            latest.len()
        ));
    }
}

fn stale_row(entry: &Latest, now: Timestamp) -> Vec<Cell> {
    let reason = match entry.sample.quality {
        Quality::Absent(reason) => Cell::words(reason.word()),
        Quality::Good | Quality::Stale | Quality::Estimated => Cell::Missing,
    };
    vec![
        Cell::words(clean(&entry.series.metric)),
        Cell::words(entry.sample.quality.word()),
        reason,
        Cell::seconds(now.since(entry.sample.at)),
        Cell::seconds(entry.series.interval),
        Cell::words(entry.series.labels.to_string()),
    ]
}
