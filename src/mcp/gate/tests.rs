use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use glasshouse_core::access::{Bounds, Usage};
use glasshouse_core::reader::{Aggregation, Budget, RangeQuery};
use serde_json::json;

use super::*;
use crate::answer::Rendered;
use crate::fakes::{Fake, NOW, principal};

const HEALTH: &str = "node-health/telemetry:read+inventory:read";
const CAPACITY: &str = "capacity-review/telemetry:read+inventory:read";

fn call(gate: &Gate, who: &str, tool: &str, arguments: &Value) -> Called {
    call_as(gate, principal(who), tool, arguments)
}

fn call_as(gate: &Gate, who: Principal, tool: &str, arguments: &Value) -> Called {
    let admitted = gate.admit(who, "tools/call", Some(tool)).unwrap();
    gate.call(&admitted, tool, arguments.as_object(), &Listener::default())
}

fn answered(called: Called) -> Rendered {
    match called {
        Called::Answered(rendered) => rendered,
        other => panic!("{other:?}"),
    }
}

fn failed(called: Called) -> String {
    match called {
        Called::Failed(message) => message,
        other => panic!("{other:?}"),
    }
}

fn events(fake: &Fake) -> Vec<String> {
    fake.events.lock().unwrap().drain(..).collect()
}

#[test]
fn the_decision_is_written_before_anything_is_read_and_the_outcome_before_the_answer() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    answered(call(
        &gate,
        HEALTH,
        "node_snapshot",
        &json!({"scope": "web1"}),
    ));
    assert_eq!(
        events(&fake),
        [
            "decide node_snapshot",
            "decided node_snapshot true",
            "read latest",
            "read range",
            "ended answered",
        ]
    );
    let record = fake.decisions.lock().unwrap()[0].clone();
    assert_eq!(record.arguments, r#"{"scope":"web1"}"#);
    assert_eq!(
        (record.subject.as_str(), record.task.as_str()),
        ("ann", "node-health")
    );
    assert_eq!(record.policies, ["node-health.allow"]);
    assert_eq!(record.node, "07070707-0707-0707-0707-070707070707");
    let outcome = fake.outcomes.lock().unwrap()[0].clone();
    assert_eq!(outcome.decision, record.decision);
    assert!(outcome.rows > 0 && outcome.bytes > 0);
}

#[test]
fn an_audit_log_that_takes_no_decision_denies() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    fake.audit_down.store(true, Ordering::Relaxed);
    let called = call(&gate, HEALTH, "node_snapshot", &json!({}));
    assert!(matches!(called, Called::Denied { .. }), "{called:?}");
    assert!(!events(&fake).iter().any(|event| event.starts_with("read")));
    assert_eq!(
        gate.admit(principal(HEALTH), "tools/list", None)
            .map(|_| ())
            .map_err(|turned| { matches!(turned, Turned::Denied { .. }) }),
        Err(true)
    );
}

#[test]
fn an_audit_log_that_takes_no_outcome_withholds_the_answer() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    fake.outcome_down.store(true, Ordering::Relaxed);
    let called = call(&gate, HEALTH, "node_snapshot", &json!({}));
    assert!(matches!(called, Called::Denied { .. }), "{called:?}");
}

#[test]
fn what_was_admitted_is_what_may_be_called() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let admitted = gate
        .admit(principal(HEALTH), "tools/call", Some("node_snapshot"))
        .unwrap();
    let called = gate.call(&admitted, "hardware_inventory", None, &Listener::default());
    assert!(matches!(called, Called::Denied { .. }), "{called:?}");
    assert_eq!(events(&fake), ["decided hardware_inventory false"]);
}

#[test]
fn every_way_out_leaves_a_record_with_its_reason() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    for (who, tool, arguments, reason) in [
        (HEALTH, "query_series", json!({"metric": "x"}), "no_policy"),
        (HEALTH, "nothing", json!({}), "unknown_tool"),
        (
            "/telemetry:read",
            "node_snapshot",
            json!({}),
            "unknown_task",
        ),
        // who may make no call of a tool learns nothing about its arguments
        (HEALTH, "query_series", json!({"x": 1}), "no_policy"),
        (
            HEALTH,
            "query_series",
            json!({"scope": "web2"}),
            "no_policy",
        ),
        (HEALTH, "node_snapshot", json!({"x": 1}), "arguments"),
        (
            HEALTH,
            "node_snapshot",
            json!({"scope": "web2"}),
            "unknown_node",
        ),
        (
            CAPACITY,
            "query_series",
            json!({"metric": "secret.metric"}),
            "no_policy",
        ),
        (
            CAPACITY,
            "query_series",
            json!({"metric": "x", "from": "-31d"}),
            "no_policy",
        ),
        (
            CAPACITY,
            "telemetry_health",
            json!({"cursor": "x"}),
            "arguments",
        ),
    ] {
        let called = call(&gate, who, tool, &arguments);
        assert!(!matches!(called, Called::Answered(_)), "{called:?}");
        let record = fake.decisions.lock().unwrap().pop().unwrap();
        assert_eq!(
            (record.allowed, record.reason.as_str()),
            (false, reason),
            "{tool}"
        );
    }
    assert!(!events(&fake).iter().any(|event| event.starts_with("read")));
}

#[test]
fn decisions_have_numbers_of_their_own() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    call(&gate, HEALTH, "node_snapshot", &json!({}));
    call(&gate, HEALTH, "node_snapshot", &json!({}));
    fake.advance(1);
    call(
        &Gate::new(fake.world()),
        HEALTH,
        "node_snapshot",
        &json!({}),
    );
    let records = fake.decisions.lock().unwrap();
    let numbers: Vec<&str> = records
        .iter()
        .map(|record| record.decision.as_str())
        .collect();
    assert!(numbers.is_sorted() && numbers[0] != numbers[1] && numbers[1] != numbers[2]);
    assert!(
        numbers.iter().all(|number| number.len() == 18),
        "{numbers:?}"
    );
}

#[test]
fn a_budget_of_calls_ends_and_comes_back_after_a_day() {
    let fake = Fake::new();
    fake.most_calls.store(2, Ordering::Relaxed);
    let mut world = fake.world();
    let key = UsageKey {
        issuer: "https://issuer.example".to_owned(),
        subject: "ann".to_owned(),
        task: "node-health".to_owned(),
    };
    world.usage.insert(key, Usage { calls: 1, rows: 0 });
    let gate = Gate::new(world);
    answered(call(&gate, HEALTH, "node_snapshot", &json!({})));
    let called = call(&gate, HEALTH, "node_snapshot", &json!({}));
    assert!(matches!(called, Called::Denied { .. }), "{called:?}");
    let mut bob = principal(HEALTH);
    bob.subject = "bob".to_owned();
    answered(call_as(&gate, bob, "hardware_inventory", &json!({})));
    fake.advance(24 * 3600 + 61);
    answered(call(&gate, HEALTH, "hardware_inventory", &json!({})));
}

#[test]
fn a_budget_is_of_a_person_at_an_issuer_and_not_of_a_client() {
    let fake = Fake::new();
    fake.most_calls.store(1, Ordering::Relaxed);
    let gate = Gate::new(fake.world());
    answered(call(&gate, HEALTH, "node_snapshot", &json!({})));
    let mut registered_anew = principal(HEALTH);
    registered_anew.client = "client-2".to_owned();
    let called = call_as(&gate, registered_anew, "node_snapshot", &json!({}));
    assert!(matches!(called, Called::Denied { .. }), "{called:?}");
    let mut of_another_issuer = principal(HEALTH);
    of_another_issuer.issuer = "https://other.example".to_owned();
    answered(call_as(
        &gate,
        of_another_issuer,
        "node_snapshot",
        &json!({}),
    ));
}

fn view(fake: &Arc<Fake>, metrics: Option<&[&str]>, rows: u64) -> View {
    let bounds = Bounds {
        metrics: metrics.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        window: Window {
            from: NOW.before(Duration::from_secs(600)),
            to: NOW,
        },
        rows,
    };
    let call = Call {
        arguments: Arguments::default(),
        page: None,
        now: NOW,
    };
    let world = fake.world();
    let node = ThisNode::read(&world).unwrap();
    let tool = tools::find("query_series").unwrap();
    View::new(
        world,
        Permit::new(principal(CAPACITY), tool, node, &call, bounds),
    )
}

#[test]
fn a_node_that_nobody_knows_is_not_asked_about() {
    for unknown in [true, false] {
        let fake = Fake::new();
        let mut inventory = crate::fakes::inventory();
        inventory.node = UNKNOWN;
        *fake.inventory.lock().unwrap() = (!unknown).then(|| Arc::new(inventory));
        let gate = Gate::new(fake.world());
        let message = failed(call(&gate, HEALTH, "node_snapshot", &json!({})));
        assert!(message.contains("try again"), "{message}");
        let record = fake.decisions.lock().unwrap().pop().unwrap();
        assert_eq!(
            (record.reason.as_str(), record.node.as_str()),
            ("unknown_node", "")
        );
        // who may make no call of the tool learns nothing of it
        let called = call(&gate, HEALTH, "query_series", &json!({"metric": "x"}));
        assert!(matches!(called, Called::Denied { .. }), "{called:?}");
        let events = events(&fake);
        assert!(!events.iter().any(|event| event.starts_with("decide ")));
        assert!(!events.iter().any(|event| event.starts_with("read")));
        // a client that lists once at its start finds its tools
        let admitted = gate.admit(principal(HEALTH), "tools/list", None).unwrap();
        assert_eq!(gate.listed(&admitted).len(), 3);
    }
}

#[test]
fn a_call_that_was_let_in_and_never_made_has_a_record() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let admitted = gate
        .admit(principal(HEALTH), "tools/call", Some("node_snapshot"))
        .unwrap();
    let other = admitted.clone();
    drop(admitted);
    assert_eq!(events(&fake), Vec::<String>::new());
    drop(other);
    let record = fake.decisions.lock().unwrap().pop().unwrap();
    assert_eq!(
        (record.action.as_str(), record.reason.as_str()),
        ("node_snapshot", "not_called")
    );
    assert_eq!((record.allowed, record.subject.as_str()), (false, "ann"));
}

#[test]
fn a_call_without_a_turn_has_a_record_of_its_own_and_no_second() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let admitted = gate
        .admit(principal(HEALTH), "tools/call", Some("node_snapshot"))
        .unwrap();
    let arguments = json!({"scope": "web1"});
    let told = failed(gate.turn_away(&admitted, "node_snapshot", arguments.as_object()));
    assert!(told.contains("busy"), "{told}");
    drop(admitted);
    assert_eq!(events(&fake), ["decided node_snapshot false"]);
    let record = fake.decisions.lock().unwrap().pop().unwrap();
    assert_eq!(record.reason, "busy");
    assert_eq!(record.arguments, r#"{"scope":"web1"}"#);
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_recorded_as_answered() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let call = |listener: &Listener| {
        let admitted = gate
            .admit(principal(HEALTH), "tools/call", Some("node_snapshot"))
            .unwrap();
        gate.call(&admitted, "node_snapshot", None, listener);
        fake.outcomes.lock().unwrap().pop().unwrap()
    };
    let (listener, waiting) = Listener::new();
    assert!(waiting.give_up());
    let outcome = call(&listener);
    assert_eq!(
        (outcome.outcome.as_str(), outcome.rows, outcome.bytes),
        ("abandoned", 0, 0)
    );
    let (listener, waiting) = Listener::new();
    drop(waiting);
    assert_eq!(call(&listener).outcome, "abandoned");
    let (listener, waiting) = Listener::new();
    assert_eq!(call(&listener).outcome, "answered");
    assert!(!waiting.give_up(), "the answer was first");
}

#[test]
fn a_view_shows_what_the_scopes_of_the_token_cover() {
    let fake = Fake::new();
    let of = |scopes: &str| {
        let mut view = view(&fake, None, 10);
        view.permit_mut().principal = principal(&format!("capacity-review/{scopes}"));
        view
    };
    let keys = |view: &View| -> Vec<String> {
        let inventory = view.inventory().unwrap();
        assert!(!inventory.collectors.is_empty());
        inventory
            .facts
            .iter()
            .map(|fact| fact.key.clone())
            .collect()
    };
    assert_eq!(keys(&of("telemetry:read")), ["host.name"]);
    assert_eq!(keys(&of("telemetry:read+inventory:read")).len(), 5);
    assert!(!of("telemetry:read").coverage().unwrap().is_empty());
    assert!(of("inventory:read").coverage().unwrap().is_empty());
}

use glasshouse_core::reader::Selector;
use glasshouse_core::time::Window;

fn everything(selector: Selector) -> RangeQuery {
    RangeQuery {
        selector,
        window: Window {
            from: NOW.before(Duration::from_secs(999_999)),
            to: NOW.after(Duration::from_secs(999_999)),
        },
        step: Duration::from_secs(60),
        aggregation: Aggregation::Mean,
        offset: 0,
        budget: Budget {
            series: usize::MAX,
            points: usize::MAX,
            bytes: u64::MAX,
        },
    }
}

#[test]
fn a_view_shows_no_other_metric() {
    let fake = Fake::new();
    let view = view(&fake, Some(&["hw.temperature"]), 1000);
    let all = Selector::default();
    let names = |found: &[Arc<glasshouse_core::reader::SeriesInfo>]| -> Vec<String> {
        found.iter().map(|info| info.metric.clone()).collect()
    };
    let wide = everything(all.clone());
    assert_eq!(
        names(&view.series(&all, wide.window).unwrap()),
        ["hw.temperature", "hw.temperature"]
    );
    assert!(
        view.latest(&all)
            .unwrap()
            .iter()
            .all(|found| found.series.metric == "hw.temperature")
    );
    let other = Selector::metric("system.cpu.time");
    assert!(view.series(&other, wide.window).unwrap().is_empty());
    assert!(view.latest(&other).unwrap().is_empty());
    assert!(view.range(&everything(other)).unwrap().is_none());
    let answer = view.range(&wide).unwrap().unwrap();
    assert!(
        answer
            .series
            .iter()
            .all(|found| found.series.metric == "hw.temperature")
    );
}

#[test]
fn a_permit_for_no_metric_shows_none() {
    let fake = Fake::new();
    let view = view(&fake, Some(&[]), 1000);
    let all = Selector::default();
    assert!(
        view.series(&all, everything(all.clone()).window)
            .unwrap()
            .is_empty()
    );
    assert!(view.latest(&all).unwrap().is_empty());
    assert!(view.range(&everything(all)).unwrap().is_none());
    assert!(fake.asked.lock().unwrap().is_empty());
}

#[test]
fn a_view_shows_no_other_time() {
    let fake = Fake::new();
    let view = view(&fake, None, 100_000);
    view.range(&everything(Selector::default())).unwrap();
    let (_, asked) = fake.asked.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.from, asked.to),
        (NOW.before(Duration::from_secs(600)), NOW)
    );
    let mut before = everything(Selector::default());
    before.window.to = NOW.before(Duration::from_secs(601));
    assert!(view.range(&before).unwrap().is_none());
    // a newest sample of before the window is not shown either
    let dead = Selector::metric("system.uptime");
    assert_eq!(view.latest(&dead).unwrap().len(), 1);
    fake.series
        .lock()
        .unwrap()
        .iter_mut()
        .for_each(|(_, samples)| samples.truncate(600));
    assert!(view.latest(&dead).unwrap().is_empty());
}

#[test]
fn a_view_shows_no_more_rows_whatever_the_reader_gives() {
    let fake = Fake::new();
    let view = view(&fake, None, 12);
    // the fake reader ignores the budget of points: it would give ten values for each of many series
    let answer = view
        .range(&everything(Selector::default()))
        .unwrap()
        .unwrap();
    let values: usize = answer.series.iter().map(|found| found.values.len()).sum();
    assert_eq!(values, 12);
    assert_eq!(view.rows_left(), 0);
    assert!(
        view.range(&everything(Selector::default()))
            .unwrap()
            .is_none()
    );
    assert!(view.latest(&Selector::default()).unwrap().is_empty());
}

#[test]
fn a_cursor_is_good_for_its_call_and_its_caller_alone() {
    let fake = Fake::new();
    let many = (0..40).map(|n| {
        let name = format!("disk{n:02}");
        crate::fakes::one(
            "many.series",
            "1",
            glasshouse_core::metric::MetricKind::Gauge,
            &[("d", &name)],
            f64::sqrt,
        )
    });
    fake.series.lock().unwrap().extend(many);
    let gate = Gate::new(fake.world());
    let arguments = json!({"metric": "many.series", "max_tokens": 2000});
    let first = answered(call(&gate, CAPACITY, "query_series", &arguments));
    let cursor = first.structured["cursor"].as_str().unwrap().to_owned();
    let with = |cursor: &str, tokens: u32| json!({"metric": "many.series", "max_tokens": tokens, "cursor": cursor});
    fake.advance(60);

    // the whole is reached, each series once, and the window stands still
    let mut seen = first.structured["series"]["rows"].as_array().unwrap().len();
    let mut next = Some(cursor.clone());
    while let Some(cursor) = next {
        let page = answered(call(&gate, CAPACITY, "query_series", &with(&cursor, 2000)));
        assert_eq!(page.structured["window"], first.structured["window"]);
        assert_eq!(
            page.structured["series"]["rows"][0][0],
            format!("disk{seen:02}"),
            "pages follow one another"
        );
        seen += page.structured["series"]["rows"].as_array().unwrap().len();
        next = page.structured["cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 40);

    let refused = |called: Called| assert!(failed(called).contains("without `cursor`"));
    refused(call(&gate, CAPACITY, "query_series", &with(&cursor, 2001)));
    let mut bob = principal(CAPACITY);
    bob.subject = "bob".to_owned();
    refused(call_as(&gate, bob, "query_series", &with(&cursor, 2000)));
    refused(call(
        &gate,
        CAPACITY,
        "telemetry_health",
        &json!({"cursor": cursor}),
    ));
    refused(call(
        &Gate::new(fake.world()),
        CAPACITY,
        "query_series",
        &with(&cursor, 2000),
    ));
    for forged in [
        "",
        "x",
        "AAAA",
        cursor.trim_start_matches('A'),
        &cursor.replacen('A', "B", 1),
    ] {
        refused(call(&gate, CAPACITY, "query_series", &with(forged, 2000)));
    }
    fake.advance(3601);
    refused(call(&gate, CAPACITY, "query_series", &with(&cursor, 2000)));
}

#[test]
fn suggestions_are_only_what_may_be_read() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let message = failed(call(
        &gate,
        CAPACITY,
        "query_series",
        &json!({"metric": "secre.metric"}),
    ));
    assert!(!message.contains("secret"), "{message}");
    assert!(message.contains("`hw.temperature`"), "{message}");
}

#[test]
fn listing_follows_the_task_and_not_the_scope() {
    let fake = Fake::new();
    let gate = Gate::new(fake.world());
    let names = |who: &str| -> Vec<&str> {
        let admitted = gate.admit(principal(who), "tools/list", None).unwrap();
        gate.listed(&admitted)
            .iter()
            .map(|tool| tool.name())
            .collect()
    };
    let health = ["hardware_inventory", "node_snapshot", "telemetry_health"];
    assert_eq!(names(HEALTH), health);
    assert_eq!(names("node-health/"), health);
    assert_eq!(
        names(CAPACITY),
        ["hardware_inventory", "query_series", "telemetry_health"]
    );
    assert!(names("/telemetry:read").is_empty());
    assert!(names("unknown/telemetry:read").is_empty());
}
