//! The eight steps from a stranger to an answer, each asserted; then again with clients that this project did not write.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::mcp::{REVISIONS, Revision, challenge_parameter};
use crate::support::oauth::query;
use crate::support::process::{GLASSHOUSE, Running, run};
use crate::support::up::Up;
use crate::support::{eventually, http_client, peers};

/// What a token for `node-health` is shown.
const NODE_HEALTH_TOOLS: [&str; 3] = ["hardware_inventory", "node_snapshot", "telemetry_health"];

/// A revocation holds from this on (DESIGN: at most five seconds), and one for the answer itself.
const REVOKED_AFTER: Duration = Duration::from_secs(6);

#[tokio::test]
async fn the_eight_steps_lead_from_a_stranger_to_an_answer() {
    let up = Up::start();
    let face = up.face();

    // 1 a request without a token
    let stranger = face
        .ask(None, Revision::Stateless, "tools/list", json!({}))
        .await;
    // 2 is refused, and told where to look and what to ask for
    assert_eq!(stranger.status, 401, "{stranger:?}");
    let challenge = stranger.challenge.unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    let scope = challenge_parameter(&challenge, "scope").unwrap();
    assert!(
        scope.split(' ').any(|word| word == "task:node-health"),
        "{scope}"
    );
    let metadata_url = challenge_parameter(&challenge, "resource_metadata").unwrap();

    // 3 the resource names its authorization server, and that describes itself
    let metadata: Value = http_client()
        .get(&metadata_url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(metadata["resource"], up.mcp());
    assert_eq!(metadata["authorization_servers"], json!([up.issuer()]));
    let advertised = metadata["scopes_supported"].to_string();
    assert!(
        !advertised.contains("task:"),
        "tasks are advertised: {advertised}"
    );
    let issuer = up.issuer_client();
    let server = issuer.metadata().await;
    assert_eq!(server["issuer"], up.issuer());
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        server["authorization_response_iss_parameter_supported"],
        true
    );

    // 4 the authorization URL, 5 sign-in and consent, 6 back with a code
    let attempt = issuer.attempt(&scope).await;
    let mut browser = up.browser();
    let code = issuer.code(&mut browser, &attempt).await;
    assert!(
        browser.pages.len() >= 2,
        "sign-in and consent are two pages"
    );
    let consent = browser.pages.last().unwrap();
    assert!(consent.contains("node-health"), "{consent}");

    // 7 the code for a short-lived token
    let grant = issuer.exchange(&attempt, &code, |_| {}).await;
    let token = grant.access_token();
    assert_eq!(grant.body["token_type"], "Bearer");
    assert!(grant.body["expires_in"].as_u64().unwrap() <= 300);

    // 8 calls, until revocation
    for revision in REVISIONS {
        assert_eq!(face.tools(&token, revision).await, NODE_HEALTH_TOOLS);
        let snapshot = snapshot(&up, &token, revision).await;
        assert_true_of_this_machine(&snapshot);
    }
    let revoked = issuer.revoke(&token).await;
    assert_eq!(revoked.status, 200);
    let since = Instant::now();
    let refused = eventually("the revocation to hold", async || {
        let answer = face
            .ask(Some(&token), Revision::Stateless, "tools/list", json!({}))
            .await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(
        refused
            .challenge
            .unwrap()
            .contains("error=\"invalid_token\""),
        "the client is not told to sign in again"
    );
    assert!(since.elapsed() < REVOKED_AFTER, "{:?}", since.elapsed());

    the_audit_log_tells_it(up);
}

/// A snapshot with values: right after the start there are none yet.
async fn snapshot(up: &Up, token: &str, revision: Revision) -> Value {
    let face = up.face();
    eventually("a snapshot with values", async || {
        let answer = face
            .call(Some(token), revision, "node_snapshot", json!({}))
            .await;
        let result = answer.result();
        (result["isError"] != true && result.to_string().contains("system.memory.limit"))
            .then_some(result)
    })
    .await
}

/// The total of memory is the one number that does not change between two looks.
fn assert_true_of_this_machine(snapshot: &Value) {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total_kib: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    let total = (total_kib * 1024).to_string();
    let structured = snapshot["structuredContent"].to_string();
    assert!(structured.contains(&total), "no {total} in {structured}");
    let text = snapshot["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(&total), "no {total} in {text}");
}

/// Every call of this test stands in a log that verifies.
fn the_audit_log_tells_it(mut up: Up) {
    assert!(up.running.stop().success(), "{}", up.running.log());
    let state = up.state.to_str().unwrap();
    let (status, output, errors) = run(GLASSHOUSE, &["audit", "verify", state]);
    assert_eq!(status, Some(0), "{output}{errors}");
    let mut log = String::new();
    for entry in std::fs::read_dir(up.state.join("audit")).unwrap().flatten() {
        log.push_str(&String::from_utf8_lossy(
            &std::fs::read(entry.path()).unwrap(),
        ));
    }
    for told in ["node_snapshot", "tools/list", "node-health"] {
        assert!(log.contains(told), "`{told}` is not in the audit log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_others_go_the_whole_way() {
    let up = Up::start();
    // there are values before anybody asks
    let ours = up.token("node-health").await.access_token();
    snapshot(&up, &ours, Revision::Stateless).await;
    let clients = [("fastmcp", peers::fastmcp()), ("sdk", peers::sdk())];
    for (name, command) in clients {
        if let Some(command) = command {
            let token = whole_flow(&up, name, command).await;
            let tools = up.face().tools(&token, Revision::Stateless).await;
            assert_eq!(tools, NODE_HEALTH_TOOLS, "{name}");
        }
    }
    if let Some(command) = peers::inspector() {
        inspect(&up, &ours, command).await;
    }
}

/// A driver's lines: it wants a browser, then tells what it got. Returns its token.
async fn whole_flow(up: &Up, name: &str, mut command: Command) -> String {
    let calls = json!([
        {"name": "node_snapshot", "arguments": {}},
        {"name": "telemetry_health", "arguments": {}},
        {"name": "hardware_inventory", "arguments": {"max_tokens": 1000}},
        {"name": "node_snapshot", "arguments": {"scope": "no-such-node"}},
    ]);
    command.arg(up.mcp()).arg(calls.to_string());
    let driver = Running::start(&mut command);
    let (mut tools, mut answers, mut token) = (Value::Null, Vec::new(), String::new());
    loop {
        let line = tokio::task::block_in_place(|| driver.line());
        let told: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{name} said `{line}`\n{}", driver.log()));
        if let Some(url) = told["authorize"].as_str() {
            come_back(&mut up.browser(), url).await;
        } else if !told["tools"].is_null() {
            tools = told["tools"].clone();
        } else if let Some(got) = told["token"].as_str() {
            got.clone_into(&mut token);
        } else if told["done"] == true {
            break;
        } else {
            answers.push(told);
        }
    }
    let mut listed: Vec<&str> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool.as_str().unwrap())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, NODE_HEALTH_TOOLS, "{name}");
    let errors: Vec<bool> = answers
        .iter()
        .map(|answer| answer["is_error"].as_bool().unwrap())
        .collect();
    assert_eq!(errors, [false, false, false, true], "{name}: {answers:?}");
    for answer in answers.iter().filter(|answer| answer["is_error"] == false) {
        assert!(answer["structured"].is_object(), "{name}: {answer}");
        assert!(!answer["text"].as_str().unwrap().is_empty(), "{name}");
    }
    token
}

/// Follows the pages and hands the code to the client's own listener, which may open late.
async fn come_back(browser: &mut Browser, url: &str) {
    let back = browser.follow(url).await;
    assert!(query(&back, "code").is_some(), "no code in {back}");
    let client = http_client();
    eventually("the client's listener", async || {
        client.get(back.clone()).send().await.ok()
    })
    .await;
}

/// The inspector lists and calls with a token of ours, and finds no fault with the schemas.
async fn inspect(up: &Up, token: &str, mut base: Command) {
    let home = crate::support::folder::Folder::new();
    base.args(["--cli", up.mcp(), "--transport", "http", "--header"])
        .arg(format!("Authorization: Bearer {token}"))
        .env("HOME", home.path());
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(base.get_program());
        command.args(base.get_args()).args(arguments);
        command.current_dir(base.get_current_dir().unwrap());
        for (name, value) in base.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "inspector {arguments:?}: {} {text}{errors}",
            output.status
        );
        text
    };
    tokio::task::block_in_place(|| {
        let listed = ask(&["--method", "tools/list", "--strict"]);
        for tool in NODE_HEALTH_TOOLS {
            assert!(
                listed.contains(&format!("\"name\": \"{tool}\"")),
                "{listed}"
            );
        }
        assert!(!listed.contains("\"name\": \"query_series\""), "{listed}");
        let called = ask(&["--method", "tools/call", "--tool-name", "node_snapshot"]);
        assert!(called.contains("system.memory.limit"), "{called}");
    });
}
