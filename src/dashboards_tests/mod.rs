//! The dashboards of `dashboards/grafana`, held to what Glasshouse says: every metric, label and unit in them exists.

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use glasshouse_core::metric::MetricDefinition;
use glasshouse_exposition::{Family, FamilyKind, label_name};
use serde_json::Value;

use self::promql::{Expression, Units, parse};
use crate::pages;
use crate::registry;

/// The labels that Prometheus itself puts on every series.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// What Grafana's variables stand for while an expression is read.
const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$instance", "node1:8767")];

/// Units of Grafana for what a query gives, in UCUM; `{}` is anything that is counted, `/s` stands for a rate.
const UNITS: &[(&str, &[&str])] = &[
    ("s", &["s"]),
    ("By", &["bytes"]),
    ("By/s", &["binBps"]),
    ("W", &["watt"]),
    ("V", &["volt"]),
    ("A", &["amp"]),
    ("Cel", &["celsius"]),
    ("Hz", &["hertz"]),
    ("rpm", &["rotrpm"]),
    // seconds a second are a share of one thing, or a number of things that are busy
    ("1", &["percentunit", "none"]),
    ("{}", &["none"]),
    ("{}/s", &["cps"]),
    ("{packet}/s", &["pps"]),
    ("{operation}/s", &["iops"]),
];

/// One metric, as Prometheus knows it.
#[derive(Debug)]
pub(super) struct Known {
    is_counter: bool,
    unit: String,
    labels: BTreeSet<String>,
}

/// All metrics by the names of their samples.
fn known() -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    let collectors = registry::collectors();
    let declared = collectors.iter().flat_map(|spec| spec.metrics());
    let own = [
        glasshouse_probe::OWN_METRICS,
        glasshouse_node::OWN_METRICS,
        &glasshouse_node::STORE_METRICS,
        glasshouse_node::REMOTE_METRICS,
        pages::OWN_METRICS,
    ];
    for metric in declared.chain(own.into_iter().flatten()) {
        add(&mut all, metric);
    }
    all.insert(
        "target_info".to_owned(),
        Known {
            is_counter: false,
            unit: "1".to_owned(),
            labels: pages::TARGET_LABELS.map(label_name).into(),
        },
    );
    all
}

fn add(all: &mut BTreeMap<String, Known>, metric: &MetricDefinition) {
    let family = Family::of_definition(metric);
    let mut labels: BTreeSet<String> = metric
        .labels
        .iter()
        .map(|label| label_name(label.key))
        .collect();
    if family.kind == FamilyKind::States {
        labels.insert(family.name.clone());
    }
    let entry = all
        .entry(family.sample_name().into_owned())
        .or_insert_with(|| Known {
            is_counter: family.kind == FamilyKind::Counter,
            unit: metric.unit.to_owned(),
            labels: BTreeSet::new(),
        });
    entry.labels.extend(labels);
}

/// A query of a dashboard with where it stands.
#[derive(Debug)]
struct Query {
    place: String,
    text: String,
    unit: String,
    legend: String,
}

/// The queries of a dashboard, and what is wrong with the panels themselves.
fn queries(file: &str, dashboard: &Value) -> (Vec<Query>, Vec<String>) {
    let (mut queries, mut problems) = (Vec::new(), Vec::new());
    let text = |value: &Value, pointer: &str| -> String {
        let text = value.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        let place = format!("{file}: {}", text(panel, "/title"));
        if !ids.insert(panel["id"].as_u64()) || panel["id"].is_null() {
            problems.push(format!("{place}: its id is missing or another's"));
        }
        if panel["type"] == "row" {
            continue;
        }
        for pointer in ["/title", "/description", "/fieldConfig/defaults/unit"] {
            if text(panel, pointer).is_empty() {
                problems.push(format!("{place}: no {pointer}"));
            }
        }
        if text(panel, "/datasource/uid") != "${datasource}" {
            problems.push(format!("{place}: another data source"));
        }
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        if targets.is_empty() {
            problems.push(format!("{place}: no query"));
        }
        for target in &targets {
            queries.push(Query {
                place: place.clone(),
                text: text(target, "/expr"),
                unit: text(panel, "/fieldConfig/defaults/unit"),
                legend: text(target, "/legendFormat"),
            });
        }
    }
    (queries, problems)
}

/// What is wrong with one query.
fn judge(query: &Query, known: &BTreeMap<String, Known>) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{}: {what} in `{}`", query.place, query.text));
    let mut text = query.text.clone();
    for (variable, stands_for) in VARIABLES {
        text = text.replace(variable, stands_for);
    }
    let expression = match parse(&text) {
        Ok(expression) => expression,
        Err(error) => return wrong(error),
    };
    if !query.text.contains("instance=\"$instance\"") {
        return wrong("the node is not chosen".to_owned());
    }
    let unit = match Units::new(known).of(&expression) {
        Ok(unit) => unit,
        Err(error) => return wrong(error),
    };
    if !fits(&unit, &query.unit) {
        return wrong(format!("`{}` is no unit for {unit}", query.unit));
    }
    let carried = carried_labels(&expression, known);
    for label in legend_labels(&query.legend) {
        if !carried.contains(label) {
            return wrong(format!("the legend names `{label}`, which no series has"));
        }
    }
    Ok(())
}

/// The labels that the result of an expression can have.
fn carried_labels(expression: &Expression, known: &BTreeMap<String, Known>) -> BTreeSet<String> {
    match expression {
        Expression::Number => BTreeSet::new(),
        Expression::Selector { metric, .. } => {
            let labels = known.get(metric).map(|known| known.labels.clone());
            let of_prometheus = OF_PROMETHEUS.map(str::to_owned);
            labels.into_iter().flatten().chain(of_prometheus).collect()
        }
        Expression::Call { argument, .. } => carried_labels(argument, known),
        Expression::Aggregate { by, .. } => by.iter().cloned().collect(),
        Expression::Binary { left, right, .. } => {
            let mut all = carried_labels(left, known);
            all.extend(carried_labels(right, known));
            all
        }
    }
}

fn legend_labels(legend: &str) -> Vec<&str> {
    let pieces = legend.split("{{").skip(1);
    pieces
        .filter_map(|piece| piece.split("}}").next())
        .map(str::trim)
        .collect()
}

/// Whether a unit of Grafana fits what a query gives.
fn fits(ucum: &str, grafana: &str) -> bool {
    let counted = ucum.starts_with('{');
    let general = match ucum.strip_suffix("/s") {
        Some(_) if counted => "{}/s",
        _ if counted => "{}",
        _ => ucum,
    };
    let mut units = UNITS.iter();
    units.any(|(unit, ids)| (*unit == ucum || *unit == general) && ids.contains(&grafana))
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/grafana"))
}

fn dashboards() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut all: Vec<(String, Value)> = files
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn every_query_reads_what_there_is_in_the_unit_that_is_shown() {
    let known = known();
    let mut problems = Vec::new();
    for (file, dashboard) in dashboards() {
        let (queries, of_panels) = queries(&file, &dashboard);
        problems.extend(of_panels);
        assert!(queries.len() > 30, "{file} has {} queries", queries.len());
        problems.extend(
            queries
                .iter()
                .filter_map(|query| judge(query, &known).err()),
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_dashboard_can_be_loaded_anywhere() {
    for (file, dashboard) in dashboards() {
        // of Grafana 10.3; 10.0 reads it too
        assert!(dashboard["schemaVersion"].as_u64() >= Some(38), "{file}");
        assert!(
            dashboard["id"].is_null(),
            "{file} has the id of one Grafana"
        );
        let variables = dashboard.pointer("/templating/list").unwrap();
        let variables = variables.as_array().unwrap().iter();
        let names: Vec<&str> = variables.filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, ["datasource", "instance"], "{file}");
    }
    let all = dashboards();
    let uids: BTreeSet<&str> = all
        .iter()
        .filter_map(|(_, one)| one["uid"].as_str())
        .collect();
    assert_eq!(uids.len(), all.len());
}

#[test]
fn wrong_queries_are_found() {
    let known = known();
    let judged = |text: &str, unit: &str, legend: &str| {
        let query = Query {
            place: "test".to_owned(),
            text: text.replace('@', "{instance=\"$instance\"}"),
            unit: unit.to_owned(),
            legend: legend.to_owned(),
        };
        judge(&query, &known).map_err(|error| error.split(" in `").next().unwrap().to_owned())
    };
    for (text, unit, legend) in [
        (
            "rate(system_cpu_time_seconds_total@[5m])",
            "percentunit",
            "{{cpu_mode}}",
        ),
        (
            "sum by (cpu_mode) (rate(system_cpu_time_seconds_total@[5m]))",
            "none",
            "{{cpu_mode}}",
        ),
        (
            "system_memory_usage_bytes@",
            "bytes",
            "{{ system_memory_state }} {{instance}}",
        ),
        (
            "rate(hw_energy_joules_total@[$__rate_interval])",
            "watt",
            "",
        ),
        (
            "hw_status{instance=\"$instance\",hw_state!=\"ok\"} == 1",
            "none",
            "",
        ),
        ("max(hw_temperature_celsius@) - 3", "celsius", ""),
        (
            "increase(glasshouse_node_frames_total@[1h]) > 0",
            "none",
            "",
        ),
    ] {
        assert_eq!(judged(text, unit, legend), Ok(()), "{text}");
    }
    for (text, unit, legend, said) in [
        (
            "system_memory_used_bytes@",
            "bytes",
            "",
            "`system_memory_used_bytes` is no metric",
        ),
        (
            "system_cpu_time_seconds@",
            "s",
            "",
            "`system_cpu_time_seconds` is no metric",
        ),
        (
            "system_memory_usage_bytes@",
            "binBps",
            "",
            "`binBps` is no unit for By",
        ),
        (
            "rate(system_disk_io_bytes_total@[5m])",
            "bytes",
            "",
            "`bytes` is no unit for By/s",
        ),
        (
            "system_disk_io_bytes_total@",
            "bytes",
            "",
            "the counter `system_disk_io_bytes_total` stands outside of rate and increase",
        ),
        (
            "rate(system_memory_usage_bytes@[5m])",
            "binBps",
            "",
            "`system_memory_usage_bytes` is no counter",
        ),
        (
            "rate(system_disk_io_bytes_total@)",
            "binBps",
            "",
            "rate wants a range",
        ),
        (
            "sum by (cpu) (system_memory_usage_bytes@)",
            "bytes",
            "",
            "no series has the label `cpu`",
        ),
        (
            "system_memory_usage_bytes{instance=\"$instance\",state=\"used\"}",
            "bytes",
            "",
            "`system_memory_usage_bytes` has no label `state`",
        ),
        (
            "sum(system_memory_usage_bytes@)",
            "bytes",
            "{{system_memory_state}}",
            "the legend names `system_memory_state`, which no series has",
        ),
        (
            "system_memory_usage_bytes@ + system_uptime_seconds@",
            "bytes",
            "",
            "By and s together",
        ),
        (
            "system_memory_usage_bytes",
            "bytes",
            "",
            "the node is not chosen",
        ),
        (
            "system_memory_usage_bytes@)",
            "bytes",
            "",
            "`)` is left over",
        ),
        (
            "sum(system_memory_usage_bytes@",
            "bytes",
            "",
            "`)` is missing",
        ),
    ] {
        assert_eq!(
            judged(text, unit, legend),
            Err(format!("test: {said}")),
            "{text}"
        );
    }
}

#[test]
fn empty_panels_are_found() {
    let panel = serde_json::json!({ "panels": [
        { "id": 1, "type": "row", "title": "A" },
        { "id": 1, "type": "stat", "title": "B", "targets": [] },
    ]});
    let (queries, problems) = queries("x.json", &panel);
    assert!(queries.is_empty());
    for problem in [
        "its id",
        "no /description",
        "no /fieldConfig",
        "another data source",
        "no query",
    ] {
        assert!(
            problems.iter().any(|one| one.contains(problem)),
            "{problem}: {problems:?}"
        );
    }
}

#[test]
fn prometheus_can_parse_every_query() {
    let mut rules = "groups:\n- name: dashboards\n  rules:\n".to_owned();
    let mut number = 0;
    for (file, dashboard) in dashboards() {
        for query in queries(&file, &dashboard).0 {
            let mut text = query.text;
            for (variable, stands_for) in VARIABLES {
                text = text.replace(variable, stands_for);
            }
            let text = serde_json::to_string(&text).unwrap();
            rules.push_str(&format!(
                "  - {{record: \"query:{number}\", expr: {text}}}\n"
            ));
            number += 1;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, rules).unwrap();
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&path)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            let is_required = match std::env::var("GLASSHOUSE_PEERS").as_deref() {
                Ok("required") => true,
                Ok("optional") => false,
                _ => std::env::var("CI").is_ok_and(|value| value == "true"),
            };
            assert!(
                !is_required,
                "promtool: {error} (run `cargo xtask test` as root)"
            );
            println!(
                "skipped: `promtool` is not installed (`cargo xtask test` as root installs it)"
            );
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("promtool parses {number} queries");
}
