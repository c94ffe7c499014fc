//! Answers of every tool over one small world, and what holds for all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use glasshouse_core::access::SCOPES;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::Truncation;
use serde_json::{Value, json};

use super::*;
use crate::answer::Rendered;
use crate::fakes::{Fake, principal};
use crate::gate::{Called, Gate, Listener};

const HEALTH: &str = "node-health/telemetry:read+inventory:read";
const CAPACITY: &str = "capacity-review/telemetry:read+inventory:read";

fn ask(fake: &Arc<Fake>, tool: &str, arguments: &Value) -> Called {
    ask_at(&Gate::new(fake.world()), tool, arguments)
}

/// Cursors are good at the gate that gave them.
fn ask_at(gate: &Gate, tool: &str, arguments: &Value) -> Called {
    let who = if tool == "query_series" {
        CAPACITY
    } else {
        HEALTH
    };
    let admitted = gate
        .admit(principal(who), "tools/call", Some(tool))
        .unwrap();
    gate.call(&admitted, tool, arguments.as_object(), &Listener::default())
}

fn answer(fake: &Arc<Fake>, tool: &str, arguments: &Value) -> Rendered {
    match ask(fake, tool, arguments) {
        Called::Answered(rendered) => rendered,
        other => panic!("{other:?}"),
    }
}

fn counted(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton()
        .encode_ordinary(text)
        .len()
}

#[test]
fn answers() {
    let fake = Fake::new();
    let mut shown = String::new();
    for (tool, arguments) in [
        ("node_snapshot", json!({})),
        ("telemetry_health", json!({})),
        ("hardware_inventory", json!({})),
        ("hardware_inventory", json!({"component": "disk"})),
        (
            "query_series",
            json!({"metric": "hw.temperature", "from": "-10m", "step": "5m"}),
        ),
        (
            "query_series",
            json!({"metric": "system.cpu.time", "labels": ["cpu.mode=user"], "from": "-3m", "step": "1m"}),
        ),
        (
            "query_series",
            json!({"metric": "system.cpu.time", "from": "-2m", "step": "1m", "aggregation": "max", "scope": "rack=r1"}),
        ),
    ] {
        let rendered = answer(&fake, tool, &arguments);
        shown.push_str(&format!(
            "## {tool} {arguments}\n{}\n{}\n\n",
            rendered.text,
            serde_json::to_string_pretty(&rendered.structured).unwrap()
        ));
    }
    insta::with_settings!({snapshot_path => "../snapshots"}, {
        insta::assert_snapshot!("answers", shown);
    });
}

#[test]
fn errors_name_what_is_valid() {
    let fake = Fake::new();
    let mut shown = String::new();
    for (tool, arguments) in [
        ("node_snapshot", json!({"nodes": "all"})),
        ("node_snapshot", json!({"scope": "web2"})),
        ("node_snapshot", json!({"scope": "\u{202e}web2"})),
        ("node_snapshot", json!({"max_tokens": 20_000})),
        ("hardware_inventory", json!({"component": "gpu"})),
        ("query_series", json!({})),
        ("query_series", json!({"metric": "system.cpu.tme"})),
        (
            "query_series",
            json!({"metric": "hw.temperature", "labels": ["hw.id=cpu1"]}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "labels": ["cpu1"]}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "from": "yesterday"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "from": "-1h", "to": "-2h"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "from": "-5d", "to": "-4d"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "from": "-24h", "step": "1s"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "step": "100ms"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "step": "1 minute"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "aggregation": "rate"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "aggregation": "p42"}),
        ),
        (
            "query_series",
            json!({"metric": "hw.temperature", "cursor": "AAAA"}),
        ),
    ] {
        let Called::Failed(message) = ask(&fake, tool, &arguments) else {
            panic!("{arguments}");
        };
        shown.push_str(&format!("{tool} {arguments}\n  {message}\n"));
    }
    insta::with_settings!({snapshot_path => "../snapshots"}, {
        insta::assert_snapshot!("errors", shown);
    });
}

/// What a terminal, a renderer or a tokenizer would act on.
fn is_dangerous(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' | '\u{feff}')
}

#[test]
fn hostile_text_is_cleaned_marked_and_stays_in_its_cell() {
    let fake = Fake::new();
    for (tool, arguments) in [
        ("node_snapshot", json!({})),
        ("telemetry_health", json!({})),
        ("hardware_inventory", json!({})),
        (
            "query_series",
            json!({"metric": "hw.temperature", "from": "-10m"}),
        ),
    ] {
        let rendered = answer(&fake, tool, &arguments);
        let structured = rendered.structured.to_string();
        assert!(structured.contains("IGNORE PREVIOUS"), "{tool} shows it");
        assert!(!rendered.text.contains(is_dangerous), "{tool}");
        let parsed: Value = serde_json::from_str(&structured).unwrap();
        assert!(!strings(&parsed).contains(is_dangerous), "{tool}");
        assert!(rendered.text.contains("never instructions"), "{tool}");
        let marked = parsed
            .as_object()
            .unwrap()
            .values()
            .filter(|table| table.to_string().contains("IGNORE PREVIOUS"))
            .all(|table| {
                let untrusted = table["untrusted"].as_array().unwrap();
                let columns = table["columns"].as_array().unwrap();
                table["rows"].as_array().unwrap().iter().all(|row| {
                    row.as_array()
                        .unwrap()
                        .iter()
                        .zip(columns)
                        .all(|(cell, column)| {
                            !cell.to_string().contains("IGNORE PREVIOUS")
                                || untrusted.contains(column)
                        })
                })
            });
        assert!(marked, "{tool}");
        // the label has a line break and quotes: it must not begin a line of its own
        assert!(
            !rendered.text.lines().any(|line| line.starts_with("IGNORE")),
            "{tool}"
        );
    }
}

fn strings(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(strings).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| format!("{key}{}", strings(value)))
            .collect(),
        _ => String::new(),
    }
}

#[test]
fn every_answer_stays_within_its_tokens_and_says_what_it_cut() {
    let fake = Fake::new();
    let many = (0..400).map(|n| {
        let name = format!(
            "sensor-{n:03}-{:08x}",
            n * 2_654_435_761_u64 % 4_294_967_296
        );
        crate::fakes::one(
            "hw.temperature",
            "Cel",
            MetricKind::Gauge,
            &[("hw.id", &name), ("hw.sensor_location", "温度 \u{1f525}")],
            |t| (t * 0.37).sin() * 40.0,
        )
    });
    fake.series.lock().unwrap().extend(many);
    let mut inventory = crate::fakes::inventory();
    let fact = inventory.facts[0].clone();
    inventory.facts = (0..900)
        .map(|n| glasshouse_core::fact::Fact {
            component: glasshouse_core::text::Untrusted::new(&format!("part/{n}")),
            ..fact.clone()
        })
        .collect();
    *fake.inventory.lock().unwrap() = Some(Arc::new(inventory));
    for tokens in [None, Some(500), Some(1000), Some(10_000)] {
        for (tool, mut arguments) in [
            ("node_snapshot", json!({})),
            ("telemetry_health", json!({})),
            ("hardware_inventory", json!({})),
            ("query_series", json!({"metric": "hw.temperature"})),
        ] {
            if let Some(tokens) = tokens {
                arguments["max_tokens"] = tokens.into();
            }
            let most = tokens.unwrap_or(DEFAULT_TOKENS);
            let rendered = match ask(&fake, tool, &arguments) {
                Called::Answered(rendered) => rendered,
                Called::Failed(message) => {
                    assert!(
                        tokens == Some(500) && message.contains("max_tokens"),
                        "{message}"
                    );
                    continue;
                }
                Called::Denied { .. } => panic!("denied"),
            };
            let structured = rendered.structured.to_string();
            let (text, both) = (counted(&rendered.text), counted(&structured));
            assert!(text <= most && both <= most, "{tool} {most}: {text} {both}");
            if rendered.truncated {
                let truncated = &rendered.structured["truncated"];
                assert!(
                    truncated["total"].as_u64() > truncated["shown"].as_u64(),
                    "{tool}"
                );
                assert!(rendered.text.contains("truncated: "), "{tool}");
                assert_eq!(
                    rendered.structured.get("cursor").is_some(),
                    find(tool).unwrap().pages()
                );
            }
            if most == DEFAULT_TOKENS && tool == "hardware_inventory" {
                assert!(rendered.truncated);
                // the budget is used, not just kept
                assert!(text.max(both) * 5 > most * 2, "{text} {both}");
            }
        }
    }
}

#[test]
fn without_anything_stored_the_tools_say_so() {
    let fake = Fake::new();
    fake.series.lock().unwrap().clear();
    let health = answer(&fake, "telemetry_health", &json!({}));
    assert_eq!(health.structured["fresh_series"], 0, "{}", health.text);
    *fake.inventory.lock().unwrap() = None;
    for tool in ["telemetry_health", "node_snapshot", "hardware_inventory"] {
        let Called::Failed(message) = ask(&fake, tool, &json!({})) else {
            panic!("answered");
        };
        assert!(message.contains("may just have started"), "{message}");
        assert!(!message.contains("/var/lib"));
    }
}

#[test]
fn only_findings_about_collection_are_telemetry() {
    let fake = Fake::new();
    let health = answer(&fake, "telemetry_health", &json!({}));
    let findings = health.structured["findings"]["rows"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0][1], "bmc.unresponsive");
    assert!(!health.text.contains("psu"), "{}", health.text);
    let snapshot = answer(&fake, "node_snapshot", &json!({}));
    assert_eq!(snapshot.structured["findings_critical"], 1);
    assert_eq!(snapshot.structured["findings_warning"], 1);
    assert_eq!(snapshot.structured["findings_info"], 0);
    assert!(!snapshot.text.contains("psu"), "{}", snapshot.text);
}

#[test]
fn a_flood_of_findings_is_cut_and_told() {
    let fake = Fake::new();
    let one = fake.findings.lock().unwrap()[1].clone();
    *fake.findings.lock().unwrap() = vec![one; 300];
    let health = answer(&fake, "telemetry_health", &json!({"max_tokens": 10_000}));
    let findings = health.structured["findings"]["rows"].as_array().unwrap();
    assert!((10..=40).contains(&findings.len()), "{}", findings.len());
    assert!(health.text.contains("40 worst of 300"), "{}", health.text);
    let short = answer(&fake, "telemetry_health", &json!({"max_tokens": 1_000}));
    assert!(short.truncated && counted(&short.text) <= 1_000);
}

/// The readings of a snapshot: labels, value, quality.
fn readings(fake: &Arc<Fake>, metric: &str) -> Vec<(String, Value, String)> {
    let snapshot = answer(fake, "node_snapshot", &json!({"max_tokens": 10_000}));
    let rows = snapshot.structured["readings"]["rows"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter()
        .filter(|row| row[0] == metric)
        .map(|row| (text(&row[1]), row[2].clone(), text(&row[8])))
        .collect()
}

#[test]
fn the_wall_power_of_the_most_trusted_source_is_shown() {
    use glasshouse_core::failure::FailureReason;
    use glasshouse_core::metric::MetricKind::Gauge;
    use glasshouse_core::sample::Quality;

    let fake = Fake::new();
    fake.series.lock().unwrap().clear();
    for (source, watts) in [("psu_sum", 410.0), ("dcmi", 400.0), ("redfish", 405.0)] {
        let labels = [("hw.source", source)];
        let series = crate::fakes::one("hw.host.power", "W", Gauge, &labels, |_| watts);
        fake.series.lock().unwrap().push(series);
    }
    let shown = |fake| readings(fake, "hw.host.power");
    assert_eq!(
        shown(&fake),
        [("hw.source=dcmi".into(), json!(400), "good".into())]
    );
    let end = |place: usize| {
        let mut all = fake.series.lock().unwrap();
        let last = all[place].1.last_mut().unwrap();
        last.value = None;
        last.quality = Quality::Absent(FailureReason::Timeout);
    };
    end(1);
    assert_eq!(shown(&fake)[0].0, "hw.source=redfish");
    end(2);
    assert_eq!(shown(&fake)[0].0, "hw.source=psu_sum");
    end(0);
    assert_eq!(
        shown(&fake),
        [(
            "hw.source=dcmi".into(),
            Value::Null,
            "absent: timeout".into()
        )]
    );
}

#[test]
fn gpus_have_their_own_temperatures_and_the_hottest_stand_first() {
    use glasshouse_core::metric::MetricKind::Gauge;

    let fake = Fake::new();
    fake.series.lock().unwrap().clear();
    for n in 0..40_u32 {
        let name = format!("board{n}");
        let labels = [("hw.id", &*name)];
        let mut series = crate::fakes::one("hw.temperature", "Cel", Gauge, &labels, |_| {
            90.0 + f64::from(n)
        });
        series.0.collector = "ipmi".to_owned();
        fake.series.lock().unwrap().push(series);
    }
    for (name, degrees) in [("0000:17:00.0/gpu", 55.0), ("0000:18:00.0/gpu", 65.0)] {
        let labels = [("hw.id", name)];
        let mut series = crate::fakes::one("hw.temperature", "Cel", Gauge, &labels, |_| degrees);
        series.0.collector = "nvidia_gpu".to_owned();
        fake.series.lock().unwrap().push(series);
    }
    let shown: Vec<Value> = readings(&fake, "hw.temperature")
        .into_iter()
        .map(|(_, value, _)| value)
        .collect();
    assert_eq!(shown.len(), 2 + 24);
    assert_eq!(shown[..4], [json!(65), json!(55), json!(129), json!(128)]);
}

#[test]
fn damage_to_the_store_is_told_without_paths() {
    let fake = Fake::new();
    let note = "1 files of the store are damaged";
    let health = answer(&fake, "telemetry_health", &json!({}));
    assert!(!health.text.contains(note), "{}", health.text);
    *fake.damaged.lock().unwrap() = vec!["/var/lib/glasshouse/store/x".to_owned()];
    let health = answer(&fake, "telemetry_health", &json!({}));
    assert!(health.text.contains(note), "{}", health.text);
    assert!(!health.text.contains("/var/lib"), "{}", health.text);
}

#[test]
fn every_answer_says_where_damage_may_hide_something_once() {
    let fake = Fake::new();
    let note = "Something in the store is damaged";
    let asked = [
        ("query_series", json!({"metric": "hw.temperature"})),
        ("node_snapshot", json!({})),
        ("telemetry_health", json!({})),
    ];
    for (tool, arguments) in &asked {
        let whole = answer(&fake, tool, arguments);
        assert!(!whole.text.contains("damaged"), "{tool}: {}", whole.text);
    }
    *fake.damaged.lock().unwrap() = vec!["raw-000000000001-000000000001.seg".to_owned()];
    for (tool, arguments) in &asked {
        let told = answer(&fake, tool, arguments);
        assert_eq!(
            told.text.matches("damaged").count(),
            1,
            "{tool}: {}",
            told.text
        );
        assert!(
            told.text.contains(note) || *tool == "telemetry_health",
            "{}",
            told.text
        );
    }
}

#[test]
fn a_series_says_every_reason_why_it_is_not_whole() {
    let fake = Fake::new();
    let arguments = json!({"metric": "hw.temperature", "aggregation": "p95"});
    let whole = answer(&fake, "query_series", &arguments);
    *fake.caveats.lock().unwrap() =
        vec![Truncation::Bytes, Truncation::Samples, Truncation::Rollups];
    let told = answer(&fake, "query_series", &arguments);
    for part in ["was not read", "too many samples", "only rollups are left"] {
        assert!(told.text.contains(part), "{}", told.text);
        assert!(!whole.text.contains(part), "{}", whole.text);
    }
}

#[test]
fn later_pages_of_series_are_one_question_each_and_make_up_the_whole() {
    let fake = Fake::new();
    fake.series.lock().unwrap().clear();
    for n in 0..120_u32 {
        let name = format!("sensor{n:03}");
        let labels = [("hw.id", &*name)];
        let series = crate::fakes::one("hw.temperature", "Cel", MetricKind::Gauge, &labels, |_| {
            f64::from(n)
        });
        fake.series.lock().unwrap().push(series);
    }
    let mut arguments = json!({"metric": "hw.temperature", "step": "30m", "max_tokens": 1000});
    let gate = Gate::new(fake.world());
    let mut seen = Vec::new();
    for _ in 0..40 {
        fake.events.lock().unwrap().clear();
        let Called::Answered(page) = ask_at(&gate, "query_series", &arguments) else {
            panic!("{arguments}");
        };
        let events = fake.events.lock().unwrap();
        let questions = events.iter().filter(|event| *event == "read range").count();
        assert_eq!(questions, 1, "{events:?}");
        let names = page.text.lines().filter_map(|line| line.split(',').next());
        seen.extend(
            names
                .filter(|name| name.starts_with("sensor"))
                .map(str::to_owned),
        );
        let Some(cursor) = page.structured.get("cursor") else {
            break;
        };
        arguments["cursor"] = cursor.clone();
    }
    let expected: Vec<String> = (0..120).map(|n| format!("sensor{n:03}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_snapshot_without_the_scope_of_the_inventory_tells_no_facts() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let who = principal("node-health/telemetry:read");
    let admitted = gate
        .admit(who, "tools/call", Some("node_snapshot"))
        .unwrap();
    let called = gate.call(&admitted, "node_snapshot", None, &Listener::default());
    let Called::Answered(rendered) = called else {
        panic!("{called:?}");
    };
    let structured = rendered.structured.to_string();
    assert!(!structured.contains("6.12.1") && !rendered.text.contains("6.12.1"));
    assert!(
        rendered.text.contains("inventory:read"),
        "{}",
        rendered.text
    );
    // how the collectors do is telemetry
    assert!(structured.contains("rapl"), "{structured}");
    let whole = answer(&fake, "node_snapshot", &json!({}));
    assert!(whole.text.contains("6.12.1"));
}

#[test]
fn every_tool_describes_itself() {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted, "sorted, each once");
    assert!(names.len() <= 12, "twelve tools at most");
    for tool in TOOLS {
        assert!(SCOPES.contains(&tool.scope()), "{}", tool.name());
        assert!(tool.description().len() > 40);
        let parameters: BTreeSet<&str> = tool
            .parameters()
            .iter()
            .map(|parameter| parameter.name)
            .collect();
        assert_eq!(parameters.len(), tool.parameters().len());
        assert!(parameters.contains("scope") && parameters.contains("max_tokens"));
        assert_eq!(describe(*tool)["annotations"]["readOnlyHint"], true);
        assert!(!describe(*tool)["inputSchema"].to_string().contains("null"));
        // a name is what a policy's action and a log line can hold
        assert!(
            tool.name()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        );
    }
}

#[test]
fn names_are_exact() {
    for near in [
        "Node_snapshot",
        "node_snapshot ",
        " node_snapshot",
        "n\u{43e}de_snapshot",
        "node\u{200b}_snapshot",
        "node-snapshot",
        "",
    ] {
        assert!(find(near).is_none(), "{near:?}");
    }
}

#[test]
fn the_manifest_fits_a_model() {
    let tokens = tiktoken_rs::o200k_base()
        .unwrap()
        .encode_ordinary(&manifest().to_string())
        .len();
    assert!(tokens <= 4_000, "{tokens} tokens");
}

#[test]
fn the_manifest_is_reviewed() {
    insta::assert_json_snapshot!(manifest());
}

/// A device that hangs: its series is stale, then absent with the reason, then good again, in each tool.
#[test]
fn good_stale_absent_and_good_again() {
    use glasshouse_core::failure::FailureReason;
    use glasshouse_core::metric::MetricKind::Gauge;
    use glasshouse_core::sample::{Quality, Sample, Value as SampleValue};

    let fake = Fake::new();
    let series = crate::fakes::one("hw.fan.speed", "rpm", Gauge, &[("hw.id", "fan0")], |_| {
        900.0
    });
    *fake.series.lock().unwrap() = vec![series];
    let shown = |fake| {
        let snapshot = readings(fake, "hw.fan.speed").remove(0);
        let health = answer(fake, "telemetry_health", &json!({}));
        let stale = health.structured["stale"]["rows"].clone();
        (
            snapshot.1,
            snapshot.2,
            stale[0][1].clone(),
            stale[0][2].clone(),
        )
    };
    let good = (json!(900), "good".to_owned(), Value::Null, Value::Null);
    assert_eq!(shown(&fake), good);
    fake.advance(60);
    assert_eq!(
        shown(&fake),
        (json!(900), "stale".to_owned(), json!("stale"), Value::Null)
    );
    let say = |value: Option<f64>| {
        let mut all = fake.series.lock().unwrap();
        let at = all[0].1.last().unwrap().at;
        all[0].1.push(Sample {
            at: at.after(std::time::Duration::from_secs(60)),
            value: value.map(SampleValue::F64),
            quality: if value.is_some() {
                Quality::Good
            } else {
                Quality::Absent(FailureReason::Timeout)
            },
        });
    };
    say(None);
    let absent = (
        Value::Null,
        "absent: timeout".to_owned(),
        json!("absent"),
        json!("timeout"),
    );
    assert_eq!(shown(&fake), absent);
    // it does not become the old value again by waiting
    fake.advance(60);
    assert_eq!(shown(&fake), absent);
    say(Some(900.0));
    assert_eq!(shown(&fake), good);
}
