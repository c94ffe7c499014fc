//! Everything that must be refused, with the status and the challenge that it is refused with.

use glasshouse_sim::{Signature, TokenKey};
use serde_json::{Value, json};

use crate::support::mcp::{Answer, REVISIONS, Revision, body, challenge_parameter, send};
use crate::support::oauth::{Attempt, Grant, Issuer};
use crate::support::process::{GLASSHOUSE, run};
use crate::support::serve::Serve;
use crate::support::up::Up;
use crate::support::{eventually, skip};

#[tokio::test]
async fn tokens_that_no_honest_issuer_makes_are_refused() {
    let serve = Serve::start().await;
    let good = serve.issuer.claims(&serve.face.url);
    let mint = |claims: &Value| serve.issuer.mint(claims).unwrap();
    assert_eq!(serve.status(Some(&mint(&good))).await.0, 200);

    let changed = |claim: &str, value: Value| {
        let mut claims = serve.issuer.claims(&serve.face.url);
        claims[claim] = value;
        mint(&claims)
    };
    let now = good["iat"].as_u64().unwrap();
    let key = serve.issuer.key();
    let signed = |header: Value, signature| key.token(&header, &good, signature).unwrap();
    let header = |name: &str, value: &str| {
        let mut header = key.header();
        header[name] = value.into();
        header
    };
    let stranger = TokenKey::generate("key-1").unwrap();
    let scope = |scope: &str| changed("scope", scope.into());
    let bad = [
        (
            "wrong audience",
            changed("aud", "https://other.example/mcp".into()),
        ),
        (
            "the origin as audience",
            changed("aud", serve.face.url.replace("/mcp", "").into()),
        ),
        (
            "two audiences",
            changed("aud", json!([serve.face.url, "https://other.example"])),
        ),
        (
            "wrong issuer",
            changed("iss", "https://other.example".into()),
        ),
        (
            "issuer with a slash",
            changed("iss", format!("{}/", serve.issuer.issuer()).into()),
        ),
        ("expired", changed("exp", (now - 60).into())),
        ("not valid yet", changed("nbf", (now + 600).into())),
        ("no expiry", changed("exp", Value::Null)),
        ("bound to a key", changed("cnf", json!({"jkt": "x"}))),
        ("no subject", changed("sub", Value::Null)),
        (
            "two tasks",
            scope("telemetry:read task:node-health task:capacity-review"),
        ),
        (
            "alg none",
            signed(header("alg", "none"), Signature::Missing),
        ),
        (
            "alg none, signed",
            signed(header("alg", "none"), Signature::Good),
        ),
        ("no signature", signed(key.header(), Signature::Missing)),
        (
            "HS256 with the public key",
            signed(header("alg", "HS256"), Signature::HmacWithPublicKey),
        ),
        (
            "HMAC said to be RS256",
            signed(key.header(), Signature::HmacWithPublicKey),
        ),
        (
            "another's signature",
            signed(key.header(), Signature::OfAnother),
        ),
        ("an ID token", signed(header("typ", "JWT"), Signature::Good)),
        (
            "an unknown key",
            signed(header("kid", "other"), Signature::Good),
        ),
        (
            "another's key",
            stranger
                .token(&stranger.header(), &good, Signature::Good)
                .unwrap(),
        ),
        ("no JWT", "opaque".to_owned()),
        ("too large", "a".repeat(12_000)),
    ];
    for (what, token) in bad {
        let (status, challenge) = serve.status(Some(&token)).await;
        assert_eq!(status, 401, "{what}");
        let challenge = challenge.unwrap_or_else(|| panic!("{what}: no challenge"));
        assert!(
            challenge.contains("error=\"invalid_token\""),
            "{what}: {challenge}"
        );
        assert!(
            challenge_parameter(&challenge, "resource_metadata").is_some(),
            "{what}"
        );
    }
    assert_eq!(
        serve.status(Some(&mint(&good))).await.0,
        200,
        "it still serves"
    );
}

#[tokio::test]
async fn a_missing_token_a_missing_task_and_a_missing_scope_each_get_their_challenge() {
    let serve = Serve::start().await;
    let (status, challenge) = serve.status(None).await;
    let challenge = challenge.unwrap();
    assert_eq!(status, 401);
    assert!(!challenge.contains("error="), "{challenge}");
    let scope = challenge_parameter(&challenge, "scope").unwrap();
    assert!(scope.contains("task:node-health"), "{scope}");
    assert!(!scope.contains("offline_access"), "{scope}");

    let with_scope = |scope: &str| {
        let mut claims = serve.issuer.claims(&serve.face.url);
        claims["scope"] = scope.into();
        serve.issuer.mint(&claims).unwrap()
    };
    for revision in REVISIONS {
        // without the scope: 403, and the challenge names what is held, what is missing and the token's own task
        let token = with_scope("inventory:read task:node-health");
        let call = async |tool: &str| {
            serve
                .face
                .call(Some(&token), revision, tool, json!({}))
                .await
        };
        let refused = call("node_snapshot").await;
        assert_eq!(refused.status, 403, "{refused:?}");
        let challenge = refused.challenge.unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge}"
        );
        let scope = challenge_parameter(&challenge, "scope").unwrap();
        for word in ["inventory:read", "telemetry:read", "task:node-health"] {
            assert!(scope.split(' ').any(|one| one == word), "{scope}");
        }
        // without a task: no tool is shown, every call is denied or told which task to ask for
        let token = with_scope("telemetry:read inventory:read");
        let answer = serve
            .face
            .call(Some(&token), revision, "node_snapshot", json!({}))
            .await;
        assert_denied_or_asked_for_task(&answer);
        let listed = serve
            .face
            .ask(Some(&token), revision, "tools/list", json!({}))
            .await;
        assert!(!listed.text.contains("\"node_snapshot\""), "{listed:?}");
    }
}

fn assert_denied_or_asked_for_task(answer: &Answer) {
    match answer.status {
        200 => assert_denied(answer),
        403 => {
            let challenge = answer.challenge.as_deref().unwrap();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
            assert!(challenge.contains("task:node-health"), "{challenge}");
        }
        _ => panic!("neither denied nor asked for a task: {answer:?}"),
    }
}

fn assert_denied(answer: &Answer) {
    let result = answer.result();
    assert_eq!(result["isError"], true, "{answer:?}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("not permitted or not found, decision "),
        "{text}"
    );
}

#[tokio::test]
async fn a_revoked_token_ends_within_five_seconds() {
    let serve = Serve::start().await;
    let token = serve
        .issuer
        .mint(&serve.issuer.claims(&serve.face.url))
        .unwrap();
    assert_eq!(serve.status(Some(&token)).await.0, 200);
    serve.issuer.revoke(&token);
    let since = std::time::Instant::now();
    eventually("the revocation to hold", async || {
        (serve.status(Some(&token)).await.0 == 401).then_some(())
    })
    .await;
    let took = since.elapsed();
    assert!(took.as_millis() <= 5_500, "{took:?}");
}

#[tokio::test]
async fn requests_that_are_not_one_clean_message_are_refused() {
    let serve = Serve::start().await;
    let token = serve
        .issuer
        .mint(&serve.issuer.claims(&serve.face.url))
        .unwrap();
    let call = body(
        Revision::Stateless,
        "tools/call",
        json!({"name": "node_snapshot", "arguments": {}}),
    );
    let with = |inside: &str| call.to_string().replace("\"arguments\":{}", inside);
    let deep = format!(
        "\"arguments\":{{\"scope\":{}0{}}}",
        "[".repeat(500),
        "]".repeat(500)
    );
    let large = format!("\"arguments\":{{\"scope\":\"{}\"}}", "a".repeat(4 << 20));
    let bad = [
        ("a batch", json!([call]).to_string(), 400),
        ("an empty batch", "[]".to_owned(), 400),
        (
            "duplicate keys",
            with("\"arguments\":{},\"arguments\":{\"scope\":\"x\"}"),
            400,
        ),
        (
            "duplicate argument",
            with("\"arguments\":{\"scope\":\"a\",\"scope\":\"b\"}"),
            400,
        ),
        (
            "a second method",
            call.to_string().replacen('{', "{\"method\":\"ping\",", 1),
            400,
        ),
        (
            "a private key of the parser",
            with("\"arguments\":{\"$serde_json::private::RawValue\":\"{}\"}"),
            400,
        ),
        (
            "a private number of the parser",
            with("\"arguments\":{\"max_tokens\":{\"$serde_json::private::Number\":\"1\"}}"),
            400,
        ),
        (
            "a number out of range",
            with("\"arguments\":{\"max_tokens\":1e400}"),
            400,
        ),
        (
            "not a number",
            with("\"arguments\":{\"max_tokens\":NaN}"),
            400,
        ),
        ("deep nesting", with(&deep), 400),
        ("an oversized body", with(&large), 413),
        ("not JSON", "{".to_owned(), 400),
        ("two messages", format!("{call}{call}"), 400),
        ("nothing", String::new(), 400),
    ];
    for (what, body, expected) in bad {
        let request = serve.face.post(
            Some(&token),
            Revision::Stateless,
            "tools/call",
            Some("node_snapshot"),
        );
        println!("{what}");
        let answer = send(request.body(body)).await;
        assert_eq!(answer.status, expected, "{what}: {answer:?}");
        assert!(!answer.text.is_empty(), "{what}: nothing is said");
    }
    let status = serve.status(Some(&token)).await.0;
    assert_eq!(status, 200, "it still serves: {}", serve.running.log());
}

#[tokio::test]
async fn headers_that_do_not_fit_are_refused() {
    let serve = Serve::start().await;
    let token = serve
        .issuer
        .mint(&serve.issuer.claims(&serve.face.url))
        .unwrap();
    let call = body(
        Revision::Stateless,
        "tools/call",
        json!({"name": "node_snapshot", "arguments": {}}),
    )
    .to_string();
    let post = |method: &str, name: &str| {
        serve
            .face
            .post(Some(&token), Revision::Stateless, method, Some(name))
            .body(call.clone())
    };
    let fits = send(post("tools/call", "node_snapshot")).await;
    assert_eq!(fits.status, 200, "{fits:?}");
    let bad = [
        ("another name", post("tools/call", "telemetry_health"), 400),
        ("another method", post("tools/list", "node_snapshot"), 400),
        (
            "a foreign origin",
            post("tools/call", "node_snapshot").header("origin", "https://evil.example"),
            403,
        ),
        (
            "a null origin",
            post("tools/call", "node_snapshot").header("origin", "null"),
            403,
        ),
        (
            "a foreign host",
            post("tools/call", "node_snapshot").header("host", "evil.example"),
            403,
        ),
    ];
    for (what, request, expected) in bad {
        let answer = send(request).await;
        assert_eq!(answer.status, expected, "{what}: {answer:?}");
    }
}

/// Two sign-ins of the same client: what is refused of one must not touch the other.
async fn attempt_with_code(up: &Up, issuer: &Issuer) -> (Attempt, String) {
    let attempt = issuer
        .attempt("telemetry:read inventory:read task:node-health")
        .await;
    let code = issuer.code(&mut up.browser(), &attempt).await;
    (attempt, code)
}

#[tokio::test]
async fn codes_are_good_once_for_whoever_began() {
    let up = Up::start();
    let issuer = up.issuer_client();
    let refused = |grant: &Grant, what: &str| {
        let (status, error) = grant.error();
        assert_eq!((status, error), (400, "invalid_grant"), "{what}");
    };

    let (attempt, code) = attempt_with_code(&up, &issuer).await;
    let spoilt = issuer
        .exchange(&attempt, &code, |form| {
            set(form, "code_verifier", "a".repeat(43))
        })
        .await;
    refused(&spoilt, "wrong verifier");

    let (attempt, code) = attempt_with_code(&up, &issuer).await;
    let elsewhere = issuer
        .exchange(&attempt, &code, |form| {
            set(form, "redirect_uri", "http://127.0.0.1:1/other".to_owned());
        })
        .await;
    refused(&elsewhere, "wrong redirect");

    let (attempt, code) = attempt_with_code(&up, &issuer).await;
    let first = issuer.exchange(&attempt, &code, |_| {}).await;
    let token = first.access_token();
    let again = issuer.exchange(&attempt, &code, |_| {}).await;
    refused(&again, "code reuse");
    eventually(
        "the token of a code that was used twice to end",
        async || {
            let answer = up
                .face()
                .ask(Some(&token), Revision::Stateless, "tools/list", json!({}))
                .await;
            (answer.status == 401).then_some(())
        },
    )
    .await;

    // an authorization request with another redirect gets a page, not a redirect
    let mut elsewhere = issuer.clone();
    "http://127.0.0.1:1/other".clone_into(&mut elsewhere.redirect_uri);
    let attempt = elsewhere.attempt("telemetry:read task:node-health").await;
    let answer = crate::support::http_client()
        .get(attempt.url)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 400);

    // a refresh token is good once
    let fresh = up.token("node-health").await;
    if let Some(refresh) = fresh.body["refresh_token"].as_str() {
        let rotated = issuer.refresh(refresh).await;
        let next = rotated.body["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(rotated.status, 200, "{rotated:?}");
        refused(&issuer.refresh(refresh).await, "refresh reuse");
        refused(
            &issuer.refresh(&next).await,
            "the family of a reused refresh token",
        );
    } else {
        skip("no refresh token is issued to this client");
    }
}

#[tokio::test]
async fn a_code_is_refused_after_a_minute() {
    let up = Up::start();
    let issuer = up.issuer_client();
    let (attempt, code) = attempt_with_code(&up, &issuer).await;
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let late = issuer.exchange(&attempt, &code, |_| {}).await;
    assert_eq!(late.error(), (400, "invalid_grant"));
    let (attempt, code) = attempt_with_code(&up, &issuer).await;
    let in_time = issuer.exchange(&attempt, &code, |_| {}).await;
    assert_eq!(in_time.status, 200, "{in_time:?}");
}

fn set(form: &mut [(&str, String)], name: &str, value: String) {
    let field = form.iter_mut().find(|(key, _)| *key == name).unwrap();
    field.1 = value;
}

#[tokio::test]
async fn questions_that_cannot_be_answered_are_errors_that_say_what_can() {
    let up = Up::start();
    let health = up.token("node-health").await.access_token();
    let capacity = up.token("capacity-review").await.access_token();
    let face = up.face();
    eventually("values", async || {
        let answer = face
            .call(
                Some(&health),
                Revision::Stateless,
                "node_snapshot",
                json!({}),
            )
            .await;
        (answer.result()["isError"] != true).then_some(())
    })
    .await;
    for revision in REVISIONS {
        let ask = async |token: &str, tool: &str, arguments: Value| {
            face.call(Some(token), revision, tool, arguments).await
        };
        // a tool that does not exist, one of another task, one in other letters: all the same answer
        let mut tools = vec!["reboot", "query_series", "Node_Snapshot"];
        if revision == Revision::Legacy {
            // headers could not carry these
            tools.extend([
                "node_snapshot ",
                "n\u{43e}de_snapshot",
                "node_snapshot\n",
                "",
            ]);
        }
        for tool in tools {
            let answer = ask(&health, tool, json!({"metric": "system.memory.usage"})).await;
            assert_denied(&answer);
        }
        let error = async |arguments: Value| {
            let result = ask(&capacity, "query_series", arguments).await.result();
            assert_eq!(result["isError"], true, "{result}");
            result["content"][0]["text"].as_str().unwrap().to_owned()
        };
        let before_retention = error(json!({
            "metric": "system.memory.usage", "from": "-20d", "to": "-19d",
        }))
        .await;
        assert!(!before_retention.is_empty());
        let unknown = error(json!({"metric": "system.memory.usge"})).await;
        assert!(unknown.contains("system.memory.usage"), "{unknown}");
        let nothing = error(json!({
            "metric": "system.memory.usage", "labels": ["state=no-such-state"],
        }))
        .await;
        assert!(nothing.contains("state"), "{nothing}");
        let elsewhere =
            error(json!({"metric": "system.memory.usage", "scope": "no-such-node"})).await;
        assert!(!elsewhere.is_empty());
        // further back than the task allows
        let denied = ask(
            &capacity,
            "query_series",
            json!({"metric": "system.memory.usage", "from": "-60d", "to": "-59d"}),
        )
        .await;
        assert_denied(&denied);
    }
}

#[test]
fn a_listener_off_loopback_is_refused_before_anything_else() {
    let folder = crate::support::folder::Folder::new();
    let config = folder.write(
        "glasshouse.toml",
        &format!(
            "state_dir = {:?}\n[serve]\nlisten = \"0.0.0.0:0\"\nresource = \"http://127.0.0.1/mcp\"\n",
            folder.path()
        ),
    );
    let (status, _, errors) = run(GLASSHOUSE, &["serve", "--config", config.to_str().unwrap()]);
    assert!(matches!(status, Some(2 | 3)), "{status:?} {errors}");
    assert!(errors.contains("without TLS"), "{errors}");
}
