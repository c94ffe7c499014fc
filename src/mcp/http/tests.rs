//! Requests and what comes back, as data.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower_service::Service as _;

use super::McpService;
use crate::fakes::Fake;

/// One request: what differs from a good call of `node_snapshot` in the new revision.
struct Case {
    name: &'static str,
    method: Method,
    /// Headers to set (`Some`) or leave out (`None`).
    headers: Vec<(&'static str, Option<&'static str>)>,
    body: Vec<u8>,
}

fn call(tool: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": tool, "arguments": {},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    })
}

fn rpc(method: &str) -> Value {
    let mut body = call("");
    body["method"] = method.into();
    body["params"].as_object_mut().unwrap().remove("name");
    body["params"].as_object_mut().unwrap().remove("arguments");
    body
}

fn old(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params })
}

fn case(
    name: &'static str,
    headers: &[(&'static str, Option<&'static str>)],
    body: &Value,
) -> Case {
    Case {
        name,
        method: Method::POST,
        headers: headers.to_vec(),
        body: body.to_string().into_bytes(),
    }
}

fn raw(name: &'static str, body: impl Into<Vec<u8>>) -> Case {
    Case {
        name,
        method: Method::POST,
        headers: Vec::new(),
        body: body.into(),
    }
}

fn request(case: &Case) -> Request<Full<Bytes>> {
    let mut headers: Vec<(&str, Option<&str>)> = vec![
        ("host", Some("127.0.0.1:8765")),
        ("content-type", Some("application/json")),
        ("accept", Some("application/json, text/event-stream")),
        ("authorization", Some("Bearer health")),
        ("mcp-protocol-version", Some("2026-07-28")),
        ("mcp-method", Some("tools/call")),
        ("mcp-name", Some("node_snapshot")),
    ];
    for (name, value) in &case.headers {
        headers.retain(|(have, _)| have != name);
        headers.push((name, *value));
    }
    let mut request = Request::builder().method(case.method.clone()).uri("/mcp");
    for (name, value) in headers {
        for value in value.into_iter().flat_map(|value| value.split('|')) {
            request = request.header(name, value);
        }
    }
    request
        .body(Full::new(Bytes::from(case.body.clone())))
        .unwrap()
}

/// Status, the headers that matter, and the body; long answers are cut to what they are.
async fn answer(service: &mut McpService, case: &Case) -> String {
    let response = service.call(request(case)).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let mut shown = format!("{}\n", parts.status);
    for name in ["allow", "www-authenticate"] {
        for value in parts.headers.get_all(name) {
            writeln!(shown, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) => {
            shorten(&mut value);
            shown.push_str(&serde_json::to_string_pretty(&value).unwrap());
        }
        Err(_) => shown.push_str(&String::from_utf8_lossy(&bytes)),
    }
    shown
}

/// Answers have tests of their own; decision numbers count from the clock.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, inside) in object {
                match key.as_str() {
                    "structuredContent" | "inputSchema" | "outputSchema" | "description" => {
                        *inside = "…".into();
                    }
                    "version" => *inside = "[version]".into(),
                    _ => shorten(inside),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::String(text) if text.len() > 300 => *value = "…".into(),
        _ => {}
    }
}

async fn snapshot(name: &str, cases: Vec<Case>) {
    let fake = Fake::new();
    let mut service = super::service(fake.world());
    let mut shown = String::new();
    for case in cases {
        let answer = answer(&mut service, &case).await;
        let events = fake.events.lock().unwrap().drain(..).collect::<Vec<_>>();
        let request = String::from_utf8_lossy(&case.body);
        let request: String = request.chars().take(80).collect();
        writeln!(
            shown,
            "## {}\n{} {:?}\n{request}\n→ {answer}\nevents: {}\n",
            case.name,
            case.method,
            case.headers,
            events.join(", ")
        )
        .unwrap();
    }
    insta::with_settings!({snapshot_path => "../snapshots"}, {
        insta::assert_snapshot!(name, shown);
    });
}

#[tokio::test]
async fn doors() {
    let good = call("node_snapshot");
    let get = Case {
        method: Method::GET,
        ..case("GET", &[], &good)
    };
    let delete = Case {
        method: Method::DELETE,
        ..case("DELETE", &[], &good)
    };
    let options = Case {
        method: Method::OPTIONS,
        ..case("OPTIONS", &[], &good)
    };
    snapshot(
        "doors",
        vec![
            get,
            delete,
            options,
            raw("too large", vec![b' '; super::body::LARGEST + 1]),
            case("another host", &[("host", Some("evil.example"))], &good),
            case("another port", &[("host", Some("127.0.0.1:80"))], &good),
            case("no host", &[("host", None)], &good),
            case(
                "two hosts",
                &[("host", Some("127.0.0.1:8765|evil.example"))],
                &good,
            ),
            case(
                "another origin",
                &[("origin", Some("https://evil.example"))],
                &good,
            ),
            case("null origin", &[("origin", Some("null"))], &good),
            case(
                "http instead of https",
                &[("origin", Some("http://console.example"))],
                &good,
            ),
            case(
                "a served origin",
                &[("origin", Some("https://console.example:443"))],
                &good,
            ),
            case("no content type", &[("content-type", None)], &good),
            case(
                "form",
                &[("content-type", Some("application/x-www-form-urlencoded"))],
                &good,
            ),
            case("accepts html", &[("accept", Some("text/html"))], &good),
            case(
                "accepts json alone",
                &[("accept", Some("application/json"))],
                &good,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn bodies() {
    snapshot(
        "bodies",
        vec![
            raw("empty", ""),
            raw("not utf-8", *b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"),
            raw("batch", format!("[{}]", call("node_snapshot"))),
            raw("empty batch", "[]"),
            raw("duplicate key", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list"}"#),
            raw(
                "duplicate key deep inside",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"scope":"x","sc\u006fpe":"y"}}}"#,
            ),
            raw("NaN", r#"{"jsonrpc":"2.0","id":NaN,"method":"ping"}"#),
            raw("1e400", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1e400}}"#),
            raw("deep", format!("{}{}", "[".repeat(40), "]".repeat(40))),
            raw("private key", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"$serde_json::private::RawValue":"1"}}"#),
            raw("many", format!("[{}1]", "1,".repeat(5000))),
            raw("trailing", r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {}"#),
            raw("a response", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            raw("unknown key", r#"{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}"#),
            raw("null id", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            raw("arguments as a list", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"node_snapshot","arguments":[1]}}"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn headers() {
    let good = call("node_snapshot");
    let mut later = good.clone();
    later["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let mut older = good.clone();
    older["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2025-11-25".into();
    let version = "mcp-protocol-version";
    snapshot(
        "headers",
        vec![
            case("no version", &[(version, None)], &good),
            case("version differs from the body", &[], &older),
            case("unknown version", &[(version, Some("2099-01-01"))], &later),
            case(
                "2025-06-18",
                &[(version, Some("2025-06-18"))],
                &old("tools/list", &json!({})),
            ),
            case(
                "two versions",
                &[(version, Some("2026-07-28|2025-11-25"))],
                &good,
            ),
            case("no method header", &[("mcp-method", None)], &good),
            case(
                "another method header",
                &[("mcp-method", Some("tools/list"))],
                &good,
            ),
            case("no name header", &[("mcp-name", None)], &good),
            case(
                "another name header",
                &[("mcp-name", Some("telemetry_health"))],
                &good,
            ),
            case(
                "two name headers",
                &[("mcp-name", Some("node_snapshot|telemetry_health"))],
                &good,
            ),
            case(
                "name in base64",
                &[("mcp-name", Some("=?base64?bm9kZV9zbmFwc2hvdA==?="))],
                &good,
            ),
            case(
                "broken base64",
                &[("mcp-name", Some("=?base64?*?="))],
                &good,
            ),
            case(
                "a name where none is",
                &[("mcp-method", Some("tools/list"))],
                &rpc("tools/list"),
            ),
            case(
                "a parameter header",
                &[("mcp-param-scope", Some("web2"))],
                &good,
            ),
            case(
                "old version with new headers",
                &[(version, Some("2025-11-25"))],
                &older,
            ),
            case(
                "unknown method",
                &[("mcp-method", Some("tools/delete")), ("mcp-name", None)],
                &rpc("tools/delete"),
            ),
            case(
                "unknown method, old",
                &[
                    (version, Some("2025-11-25")),
                    ("mcp-method", None),
                    ("mcp-name", None),
                ],
                &old("tools/delete", &json!({})),
            ),
            case(
                "initialize with another version in its header",
                &[("mcp-method", None), ("mcp-name", None)],
                &old("initialize", &json!({"protocolVersion": "2025-11-25"})),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn tokens() {
    let good = call("node_snapshot");
    let inventory = call("hardware_inventory");
    let named = ("mcp-name", Some("hardware_inventory"));
    let list = [("mcp-method", Some("tools/list")), ("mcp-name", None)];
    snapshot(
        "tokens",
        vec![
            case("no token", &[("authorization", None)], &good),
            case(
                "no token, another tool",
                &[("authorization", None), named],
                &inventory,
            ),
            case(
                "no token, a list",
                &[("authorization", None), list[0], list[1]],
                &rpc("tools/list"),
            ),
            case("basic", &[("authorization", Some("Basic YTpi"))], &good),
            case("empty bearer", &[("authorization", Some("Bearer "))], &good),
            case(
                "two tokens",
                &[("authorization", Some("Bearer health|Bearer capacity"))],
                &good,
            ),
            case(
                "a token that cannot be one",
                &[("authorization", Some("Bearer a b,c"))],
                &good,
            ),
            case(
                "bad signature",
                &[("authorization", Some("Bearer forged"))],
                &good,
            ),
            case(
                "expired",
                &[("authorization", Some("Bearer expired"))],
                &good,
            ),
            case(
                "two tasks",
                &[("authorization", Some("Bearer two-tasks"))],
                &good,
            ),
            case(
                "a missing scope",
                &[("authorization", Some("Bearer narrow")), named],
                &inventory,
            ),
            case(
                "no scope and no task",
                &[("authorization", Some("Bearer scopeless-taskless")), named],
                &inventory,
            ),
            case(
                "no task",
                &[("authorization", Some("Bearer taskless"))],
                &good,
            ),
            case(
                "scheme in another case",
                &[("authorization", Some("bearer health"))],
                &good,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn methods() {
    let new = |method: &'static str| {
        case(
            method,
            &[("mcp-method", Some(method)), ("mcp-name", None)],
            &rpc(method),
        )
    };
    let before = [
        ("mcp-protocol-version", Some("2025-11-25")),
        ("mcp-method", None),
        ("mcp-name", None),
    ];
    let uri = [
        ("mcp-method", Some("resources/read")),
        ("mcp-name", Some("glasshouse://x")),
    ];
    let mut read = rpc("resources/read");
    read["params"]["uri"] = "glasshouse://x".into();
    let mut complete = rpc("completion/complete");
    complete["params"]["ref"] = json!({"type": "ref/prompt", "name": "x"});
    complete["params"]["argument"] = json!({"name": "x", "value": "y"});
    let mut listen = rpc("subscriptions/listen");
    listen["params"]["notifications"] = json!({"toolsListChanged": true});
    let mut task = rpc("tasks/get");
    task["params"]["taskId"] = "t1".into();
    let mut prompt = rpc("prompts/get");
    prompt["params"]["name"] = "triage".into();
    let initialize = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    });
    let mut initialized = old("notifications/initialized", &json!({}));
    initialized.as_object_mut().unwrap().remove("id");
    let without = [("mcp-protocol-version", None), before[1], before[2]];
    snapshot(
        "methods",
        vec![
            new("server/discover"),
            new("tools/list"),
            case(
                "another task's list",
                &[("mcp-method", Some("tools/list")), ("mcp-name", None), ("authorization", Some("Bearer capacity"))],
                &rpc("tools/list"),
            ),
            case(
                "no task, no tools",
                &[("mcp-method", Some("tools/list")), ("mcp-name", None), ("authorization", Some("Bearer taskless"))],
                &rpc("tools/list"),
            ),
            case(
                "a tool without its scope stays listed",
                &[("mcp-method", Some("tools/list")), ("mcp-name", None), ("authorization", Some("Bearer narrow"))],
                &rpc("tools/list"),
            ),
            new("ping"),
            new("resources/list"),
            new("resources/templates/list"),
            case("resources/read", &uri, &read),
            new("prompts/list"),
            case("prompts/get", &[("mcp-method", Some("prompts/get")), ("mcp-name", Some("triage"))], &prompt),
            case("completion/complete", &[("mcp-method", Some("completion/complete")), ("mcp-name", None)], &complete),
            case("subscriptions/listen", &[("mcp-method", Some("subscriptions/listen")), ("mcp-name", None)], &listen),
            case("tasks/get", &[("mcp-method", Some("tasks/get")), ("mcp-name", Some("t1"))], &task),
            case("initialize", &without, &old("initialize", &initialize)),
            case(
                "initialize with an unknown version",
                &without,
                &old("initialize", &json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})),
            ),
            case("initialized, old", &before, &initialized),
            case("ping, old", &before, &old("ping", &json!({}))),
            case("tools/list, old", &before, &old("tools/list", &json!({}))),
            case("tools/call, old", &before, &old("tools/call", &json!({"name": "node_snapshot"}))),
            case("resources/read, old", &before, &old("resources/read", &json!({"uri": "glasshouse://x"}))),
            case("logging/setLevel, old", &before, &old("logging/setLevel", &json!({"level": "info"}))),
            case("tools/call", &[], &call("node_snapshot")),
            case("without its metadata", &[], &old("tools/call", &json!({"name": "node_snapshot"}))),
        ],
    )
    .await;
}

#[tokio::test]
async fn calls_that_are_not_permitted_look_like_what_does_not_exist() {
    let fake = Fake::new();
    let mut service = super::service(fake.world());
    let mut answers = Vec::new();
    for tool in [
        "query_series",
        "delete_all",
        "node_snapshot\u{200b}",
        "NODE_SNAPSHOT",
    ] {
        let body = old(
            "tools/call",
            &json!({"name": tool, "arguments": {"metric": "x"}}),
        );
        let case = case(
            "denied",
            &[
                ("mcp-protocol-version", Some("2025-11-25")),
                ("mcp-method", None),
                ("mcp-name", None),
            ],
            &body,
        );
        answers.push(answer(&mut service, &case).await);
    }
    let digits = |answer: &String| -> String {
        let (text, rest) = answer.split_once("d-").unwrap();
        format!("{text}{}", rest.chars().skip(16).collect::<String>())
    };
    let first = digits(&answers[0]);
    assert!(first.contains("not permitted or not found, decision"));
    assert!(first.contains("\"isError\": true"));
    for answer in &answers {
        assert_eq!(digits(answer), first);
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_not_waited_for() {
    tokio::time::pause();
    let service = super::service(Fake::new().world());
    let endless = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<Bytes>, std::io::Error>,
    >());
    let request = request(&case("endless", &[], &json!({}))).map(|_| endless);
    let response = service.clone().call(request).await.unwrap();
    assert_eq!(response.status(), 408);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off() {
    let chunks = (0..8).map(|_| {
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(vec![b' '; 64 * 1024])))
    });
    let endless = http_body_util::StreamBody::new(futures_util::stream::iter(chunks));
    let request = request(&case("endless", &[], &json!({}))).map(|_| endless);
    let response = super::service(Fake::new().world())
        .call(request)
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
}

/// A body that must not be touched.
struct Untouched;

impl http_body::Body for Untouched {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        panic!("the body was read");
    }
}

#[tokio::test]
async fn who_may_not_knock_sends_no_body() {
    for (name, value, status) in [
        ("host", "evil.example", 403),
        ("origin", "https://evil.example", 403),
        ("content-type", "text/plain", 415),
        ("accept", "text/html", 406),
    ] {
        let request = request(&case("untouched", &[(name, Some(value))], &json!({})));
        let mut service = super::service(Fake::new().world());
        let response = service.call(request.map(|_| Untouched)).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
    }
}

#[tokio::test]
async fn who_asks_too_often_waits_and_fills_no_log() {
    let fake = Fake::new();
    let mut service = super::service(fake.world());
    let ping = [("mcp-method", Some("ping")), ("mcp-name", None)];
    let ping = case("ping", &ping, &rpc("ping"));
    for _ in 0..100 {
        service.call(request(&ping)).await.unwrap();
    }
    assert_eq!(fake.decisions.lock().unwrap().len(), 40);
    let events = fake.events.lock().unwrap().drain(..).collect::<Vec<_>>();
    let refused = events.iter().filter(|event| *event == "refused too_many");
    assert_eq!(refused.count(), 60);
    let response = service.call(request(&ping)).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["error"]["code"].is_i64() && body["id"] == 1, "{body}");
    // a stranger is told something else
    let forged = [("authorization", Some("Bearer forged"))];
    let forged = case("forged", &forged, &rpc("ping"));
    let forged = answer(
        &mut service,
        &Case {
            headers: [ping.headers.clone(), forged.headers].concat(),
            ..forged
        },
    )
    .await;
    assert!(forged.starts_with("401"), "{forged}");
    fake.advance(1);
    assert_ne!(service.call(request(&ping)).await.unwrap().status(), 429);
}

#[tokio::test]
async fn a_call_that_the_protocol_library_cannot_read_has_a_record() {
    let fake = Fake::new();
    let mut service = super::service(fake.world());
    let mut odd = call("node_snapshot");
    odd["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"roots": 5});
    let shown = answer(&mut service, &case("odd", &[], &odd)).await;
    let written = || {
        let records = fake.decisions.lock().unwrap();
        records.last().map(|record| record.reason.clone())
    };
    // the record is written by a thread of its own
    for _ in 0..500 {
        if written().is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let reason = written().unwrap();
    assert_eq!(reason, "not_called", "{shown}");
}

#[tokio::test]
async fn with_the_audit_log_down_nothing_is_answered() {
    let fake = Fake::new();
    fake.audit_down.store(true, Ordering::Relaxed);
    let mut service = super::service(Arc::clone(&fake).world());
    let list = [("mcp-method", Some("tools/list")), ("mcp-name", None)];
    let answer_to_list = answer(&mut service, &case("list", &list, &rpc("tools/list"))).await;
    assert!(
        answer_to_list.contains("not permitted or not found"),
        "{answer_to_list}"
    );
    let answer_to_call = answer(&mut service, &case("call", &[], &call("node_snapshot"))).await;
    assert!(
        answer_to_call.contains("not permitted or not found"),
        "{answer_to_call}"
    );
    let events = fake.events.lock().unwrap();
    assert!(
        !events.iter().any(|event| event.starts_with("read")),
        "{events:?}"
    );
}
