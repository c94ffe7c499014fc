//! What the policies and their engine promise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use glasshouse_core::access::{Argument, Authorizer as _, Decision, DenyReason};
use glasshouse_core::time::Timestamp;

use crate::engine::{Place, PolicyEngine};
use crate::matrix::{CALLS, Call, NODE, NOW, answer, matrix, principal, record};

const TASKS: [Option<&str>; 4] = [
    Some("node-health"),
    Some("capacity-review"),
    Some("no-such-task"),
    None,
];

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tasks")).unwrap();
    for (path, text) in files {
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    folder
}

/// A task that may do one thing under one condition.
fn task(name: &str, condition: &str) -> String {
    format!(
        "@id(\"it\")\n@task(\"{name}\")\n@summary(\"For a test\")\npermit (principal in Glasshouse::Task::\"{name}\", action == Glasshouse::Action::\"query_series\", resource)\nwhen {{ {condition} }};\n"
    )
}

fn reason(decision: &Decision) -> &str {
    match decision {
        Decision::Allow { .. } => "allowed",
        Decision::Deny { reason, .. } => reason.word(),
    }
}

#[test]
fn the_matrix_is_the_one_that_was_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("matrix.snap");
    let now = matrix(&PolicyEngine::built_in().unwrap());
    if std::env::var_os("GLASSHOUSE_UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = now
        .lines()
        .zip(reviewed.lines())
        .find(|(now, then)| now != then);
    assert!(
        now == reviewed,
        "answers changed, first {differs:?}; review them: GLASSHOUSE_UPDATE=1 cargo test -p glasshouse-policies, then look at the diff of policies/matrix.snap"
    );
}

#[test]
fn what_must_be_denied_is_denied() {
    let engine = PolicyEngine::built_in().unwrap();
    let every_tool: Vec<&str> = engine.tools.names().chain(["reboot"]).collect();
    let mut asked = 0;
    for line in include_str!("must_be_denied.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [task, tool, call, why] = fields[..] else {
            panic!("four fields: {line}")
        };
        let principal = principal((task != "(no task)").then_some(task));
        let tools = every_tool
            .iter()
            .filter(|name| tool == "*" || tool == **name);
        for tool in tools {
            for call in CALLS.iter().filter(|one| call == "*" || call == one.name) {
                let answer = answer(&engine, &principal, tool, call);
                assert!(
                    answer.starts_with("deny"),
                    "{task} {tool} {}: {why}",
                    call.name
                );
                assert!(
                    !answer.contains("trouble"),
                    "{task} {tool} {}: {answer}",
                    call.name
                );
                asked += 1;
            }
        }
    }
    assert!(
        asked > 200,
        "the table names calls or tools that are not there: {asked}"
    );
}

#[test]
fn a_tool_is_listed_exactly_where_some_call_is_allowed() {
    let engine = PolicyEngine::built_in().unwrap();
    for task in TASKS {
        let principal = principal(task);
        for tool in engine.tools.names().chain(["reboot"]) {
            let allowed = CALLS
                .iter()
                .any(|call| answer(&engine, &principal, tool, call).starts_with("allow"));
            let listed = engine.could_allow(&principal, tool, NODE, Timestamp::from_seconds(NOW));
            assert_eq!(listed, allowed, "{task:?} {tool}");
        }
    }
}

#[test]
fn listing_hides_nothing_that_arguments_groups_or_places_would_allow() {
    let conditions = [
        "context.input has aggregation && context.input.aggregation == Glasshouse::query_series::Input::aggregation::\"rate\"",
        "context.input.metric == \"system.cpu.time\"",
        "!context.bounds.all_metrics && [\"a\"].containsAll(context.bounds.metrics)",
        "principal in Glasshouse::Group::\"operators\"",
        "resource in Glasshouse::Site::\"north\"",
        "context.now >= datetime(\"2026-01-01T00:00:00Z\")",
        "principal.scopes.contains(\"telemetry:read\") && principal.issuer like \"https://*\"",
    ];
    for condition in conditions {
        let folder = folder(&[
            ("base.cedar", ""),
            ("tasks/it.cedar", &task("it", condition)),
        ]);
        let place = Place {
            rack: Some("r1".to_owned()),
            site: Some("north".to_owned()),
        };
        let engine = PolicyEngine::load(Some(folder.path()))
            .unwrap()
            .with_place(place);
        let mut principal = principal(Some("it"));
        principal.groups = BTreeSet::from(["operators".to_owned()]);
        let text = |text: &str| Argument::Text(text.to_owned());
        let input = BTreeMap::from([
            ("metric".to_owned(), text("system.cpu.time")),
            ("aggregation".to_owned(), text("rate")),
        ]);
        let decision = Call::default().ask_with(&principal, "query_series", &input, |question| {
            let mut question = question.clone();
            let bounds = glasshouse_core::access::Bounds {
                metrics: Some(BTreeSet::from(["a".to_owned()])),
                ..question.bounds.clone()
            };
            question.bounds = &bounds;
            engine.decide(&question)
        });
        assert_eq!(reason(&decision), "allowed", "{condition}");
        let now = Timestamp::from_seconds(NOW);
        assert!(
            engine.could_allow(&principal, "query_series", NODE, now),
            "{condition}"
        );
        assert!(
            !engine.could_allow(&principal, "node_snapshot", NODE, now),
            "{condition}"
        );
    }
}

#[test]
fn a_rack_or_a_site_alone_is_a_place() {
    let some = |name: &str| Some(name.to_owned());
    let cases = [
        (some("r1"), some("north"), [false, false]),
        (some("r1"), None, [false, true]),
        (None, some("north"), [true, false]),
        (None, None, [true, true]),
        (some("r2"), some("south"), [true, true]),
    ];
    for (rack, site, allowed) in cases {
        let forbids = ["Rack::\"r1\"", "Site::\"north\""];
        for (place, allowed) in forbids.into_iter().zip(allowed) {
            let forbid = format!(
                "@id(\"not-there\") forbid (principal, action, resource in Glasshouse::{place});"
            );
            let folder = folder(&[
                ("base.cedar", &forbid),
                ("tasks/it.cedar", &task("it", "true")),
            ]);
            let (rack, site) = (rack.clone(), site.clone());
            let engine = PolicyEngine::load(Some(folder.path()))
                .unwrap()
                .with_place(Place { rack, site });
            let asked = principal(Some("it"));
            let decision = Call::default().ask(&asked, "query_series", |q| engine.decide(q));
            assert_eq!(reason(&decision) == "allowed", allowed, "{place}");
        }
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const A: &str = "https://a.example";
const B: &str = "https://b.example";

#[test]
fn people_of_one_name_at_two_issuers_are_two() {
    let condition = "principal in Glasshouse::User::\"https://a.example somebody\" && principal in Glasshouse::Client::\"https://a.example some-client\"";
    let folder = folder(&[
        ("base.cedar", ""),
        ("tasks/it.cedar", &task("it", condition)),
    ]);
    let engine = PolicyEngine::load(Some(folder.path()))
        .unwrap()
        .with_issuers(names(&[A, B]), names(&[]))
        .unwrap();
    for (issuer, answer) in [(A, "allowed"), (B, "no_policy")] {
        let mut asked = principal(Some("it"));
        asked.issuer = issuer.to_owned();
        let decision = Call::default().ask(&asked, "query_series", |q| engine.decide(q));
        assert_eq!(reason(&decision), answer, "{issuer}");
    }
}

#[test]
fn a_policy_that_names_nobody_is_refused() {
    let both = names(&[A, B]);
    let one = names(&[A]);
    let cases = [
        ("User::\"alice\"", &one, true),
        ("User::\"alice\"", &both, false),
        ("User::\"https://a.example alice\"", &both, true),
        ("User::\"https://a.example alice\"", &one, false),
        ("User::\"https://c.example alice\"", &both, false),
        ("Client::\"some-client\"", &both, false),
        ("Group::\"admins\"", &both, false),
        ("Group::\"https://b.example admins\"", &both, true),
        // a group of the config, which no issuer can claim
        ("Group::\"operators\"", &both, true),
        ("Task::\"it\"", &both, true),
    ];
    for (name, issuers, good) in cases {
        let heads = [
            format!("forbid (principal in Glasshouse::{name}, action, resource);"),
            format!(
                "forbid (principal, action, resource) when {{ [1].contains(1) && (principal in [Glasshouse::{name}]) }};"
            ),
        ];
        for head in heads {
            let with = folder(&[
                ("base.cedar", &format!("@id(\"x\") {head}")),
                ("tasks/it.cedar", &task("it", "true")),
            ]);
            let load = |folder: &Path| PolicyEngine::load(Some(folder)).unwrap();
            let judged = load(with.path()).with_issuers(issuers.clone(), names(&["operators"]));
            assert_eq!(judged.is_ok(), good, "{head} {issuers:?}");
            if let Err(error) = judged {
                let shown = format!("{:?}", miette::Report::new(error));
                assert!(
                    shown.contains("base:x") && shown.contains("help"),
                    "{shown}"
                );
            }
            // a reload is held to the same, and the last good set stays
            let without = folder(&[("base.cedar", ""), ("tasks/it.cedar", &task("it", "true"))]);
            let engine = load(without.path())
                .with_issuers(issuers.clone(), names(&["operators"]))
                .unwrap();
            assert_eq!(engine.reload(Some(with.path())).is_ok(), good, "{head}");
        }
    }
}

#[test]
fn a_known_token_with_other_claims_is_another_principal() {
    let folder = folder(&[
        (
            "base.cedar",
            "@id(\"out\") forbid (principal in Glasshouse::Group::\"out\", action, resource);",
        ),
        ("tasks/it.cedar", &task("it", "true")),
    ]);
    let engine = PolicyEngine::load(Some(folder.path())).unwrap();
    let inside = principal(Some("it"));
    let mut outside = inside.clone();
    outside.groups = names(&["out"]);
    for (asked, answer) in [
        (&inside, "allowed"),
        (&outside, "forbidden"),
        (&inside, "allowed"),
    ] {
        let decision = Call::default().ask(asked, "query_series", |q| engine.decide(q));
        assert_eq!(reason(&decision), answer);
    }
    for n in 0..1_000 {
        let mut other = inside.clone();
        other.token_id = n.to_string();
        let decision = Call::default().ask(&other, "query_series", |q| engine.decide(q));
        assert_eq!(reason(&decision), "allowed");
    }
    assert!(engine.worlds_known() <= 32);
}

/// Questions are not validated one by one, so each kind of them is validated here.
#[test]
fn every_question_fits_the_schema() {
    let engine = PolicyEngine::built_in().unwrap();
    let schema = &engine.tools.schema;
    for task in TASKS {
        let mut principal = principal(task);
        principal.groups = names(&["operators"]);
        let world = engine.world(&principal, NODE).unwrap();
        let entities = world.entities.iter().cloned();
        cedar_policy::Entities::from_entities(entities, Some(schema)).unwrap();
        for name in engine.tools.names() {
            let tool = engine.tools.get(name).unwrap();
            for call in CALLS {
                let input = record(&tool.arguments, call.every_argument);
                call.ask_with(&principal, name, &input, |question| {
                    cedar_policy::Request::new(
                        world.session.clone(),
                        tool.action.clone(),
                        world.resource.clone(),
                        crate::context::context(question, tool).unwrap(),
                        Some(schema),
                    )
                    .unwrap();
                });
            }
        }
    }
}

#[test]
fn what_cannot_be_judged_is_denied() {
    let engine = PolicyEngine::built_in().unwrap();
    let principal = principal(Some("capacity-review"));
    let metric = ("metric", Argument::Text("m".to_owned()));
    let bad = [
        vec![],
        vec![metric.clone(), ("reboot", Argument::Bool(true))],
        vec![("metric", Argument::Integer(1))],
        vec![
            metric.clone(),
            ("aggregation", Argument::Text("evil".to_owned())),
        ],
        vec![metric.clone(), ("labels", Argument::Text("a=b".to_owned()))],
        vec![
            metric.clone(),
            ("labels", Argument::List(vec![Argument::Integer(1)])),
        ],
        vec![metric.clone(), ("scope", Argument::Record(BTreeMap::new()))],
    ];
    for input in bad {
        let input = input
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let decision = Call::default().ask_with(&principal, "query_series", &input, |question| {
            engine.decide(question)
        });
        assert_eq!(reason(&decision), "trouble", "{input:?}");
    }
}

#[test]
fn a_policy_that_fails_denies_even_where_another_permits() {
    let failing = "@id(\"overflows\")\nforbid (principal, action, resource) when { context.used.calls + 9223372036854775807 < 0 };";
    let folder = folder(&[
        ("base.cedar", failing),
        ("tasks/it.cedar", &task("it", "true")),
    ]);
    let engine = PolicyEngine::load(Some(folder.path())).unwrap();
    let principal = principal(Some("it"));
    let ask = |calls| {
        Call {
            calls,
            ..Call::default()
        }
        .ask(&principal, "query_series", |question| {
            engine.decide(question)
        })
    };
    assert_eq!(reason(&ask(0)), "allowed");
    match ask(1) {
        Decision::Deny {
            reason: DenyReason::Trouble(detail),
            ..
        } => {
            assert!(detail.contains("overflow"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broken_file_is_refused_with_its_place_and_the_last_good_set_stays() {
    let good = task("it", "true");
    let cases: [(&str, &str, &str); 11] = [
        ("base.cedar", "permit (", "unexpected end of input"),
        (
            "base.cedar",
            "@id(\"x\") permit (principal, action, resource);",
            "holds a permit",
        ),
        (
            "base.cedar",
            "forbid (principal, action, resource);",
            "no usable @id",
        ),
        (
            "base.cedar",
            "@id(\"x\") forbid (principal == ?principal, action, resource);",
            "template",
        ),
        (
            "base.cedar",
            "@id(\"x\") forbid (principal, action, resource) when { context.bounds.minutes > 1 };",
            "minutes",
        ),
        (
            "base.cedar",
            "@id(\"x\") forbid (principal, action == Glasshouse::Action::\"reboot\", resource);",
            "reboot",
        ),
        (
            "tasks/it.cedar",
            "@id(\"it\") permit (principal, action, resource);",
            "not for the task of that name alone",
        ),
        (
            "tasks/it.cedar",
            "@id(\"it\") permit (principal in Glasshouse::Task::\"other\", action, resource);",
            "not for the task",
        ),
        (
            "tasks/it.cedar",
            "@id(\"it\") permit (principal in Glasshouse::Task::\"it\", action, resource);",
            "does not describe its task once",
        ),
        ("tasks/It It.cedar", "", "has a name that no task can have"),
        ("more.cedar", "", "would be ignored"),
    ];
    for (path, text, expected) in cases {
        let folder = folder(&[("base.cedar", ""), ("tasks/it.cedar", &good)]);
        let engine = PolicyEngine::load(Some(folder.path())).unwrap();
        std::fs::write(folder.path().join(path), text).unwrap();
        let error = engine.reload(Some(folder.path())).unwrap_err();
        let shown = format!("{:?}", miette::Report::new(error));
        let flat = shown.replace("\n  │ ", " ");
        assert!(flat.contains(expected), "{path}: {text}\n{shown}");
        assert!(flat.contains("help"), "no way out: {shown}");
        let principal = principal(Some("it"));
        let decision = Call::default().ask(&principal, "query_series", |q| engine.decide(q));
        assert_eq!(
            reason(&decision),
            "allowed",
            "the last good set was lost: {path}"
        );
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error_not_an_empty_set() {
    let empty = tempfile::tempdir().unwrap();
    let error = PolicyEngine::load(Some(empty.path())).unwrap_err();
    assert!(error.to_string().contains("failed to read"), "{error}");
}

#[test]
fn the_consent_page_gets_a_sentence_for_each_task() {
    let tasks = PolicyEngine::built_in().unwrap().tasks();
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["capacity-review", "node-health"]);
    assert!(tasks.iter().all(|task| task.summary.len() > 40));
}

#[test]
fn the_built_in_set_has_no_warnings() {
    let report = crate::check(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
    assert_eq!(report.policies.len(), 6, "{:?}", report.policies);
}

/// Each example of the document is a folder of policies: a fenced block that begins with the name of its file.
#[test]
fn the_examples_of_the_document_are_policies() {
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md"))
            .unwrap();
    let mut files = Vec::new();
    for block in document.split("```cedar\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let path = text.lines().next().unwrap().trim_start_matches("// ");
        files.push((path.to_owned(), text.to_owned()));
    }
    assert!(files.len() >= 3, "{files:?}");
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let folder = folder(&files);
    let report = crate::check(folder.path())
        .map_err(miette::Report::new)
        .unwrap();
    assert_eq!(report.warnings, Vec::<String>::new());
    assert!(
        report.tasks.iter().any(|task| task.name == "night-watch"),
        "{report:?}"
    );
}

/// Prints what a decision costs; run it with `--release --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn what_a_decision_costs() {
    let engine = PolicyEngine::built_in().unwrap();
    let principal = principal(Some("capacity-review"));
    let measure = |name: &str, each: &dyn Fn()| {
        let mut nanos: Vec<u128> = (0..20_000)
            .map(|_| {
                let start = std::time::Instant::now();
                each();
                start.elapsed().as_nanos()
            })
            .collect();
        nanos.sort_unstable();
        println!("{name}: p50 {} ns, p99 {} ns", nanos[10_000], nanos[19_800]);
    };
    measure("decide", &|| {
        let decision = Call::default().ask(&principal, "query_series", |q| engine.decide(q));
        assert_eq!(reason(&decision), "allowed");
    });
    stages(&engine, &principal, &measure);
    measure("could_allow", &|| {
        assert!(engine.could_allow(
            &principal,
            "query_series",
            NODE,
            Timestamp::from_seconds(NOW)
        ));
    });
}

/// What the parts of a decision cost.
fn stages(
    engine: &PolicyEngine,
    principal: &glasshouse_core::access::Principal,
    measure: &dyn Fn(&str, &dyn Fn()),
) {
    let tool = engine.tools.get("query_series").unwrap();
    Call::default().ask(principal, "query_series", |question| {
        measure("  entities", &|| drop(engine.world(principal, NODE)));
        measure("  context", &|| {
            drop(crate::context::context(question, tool))
        });
        let world = engine.world(principal, NODE).unwrap();
        measure("  context and request", &|| {
            drop(engine.request(question, tool, &world));
        });
        let request = engine.request(question, tool, &world).unwrap();
        let cedar = cedar_policy::Authorizer::new();
        let loaded = engine.loaded();
        measure("  policies", &|| {
            drop(cedar.is_authorized(&request, &loaded.policies, &world.entities));
        });
    });
}
