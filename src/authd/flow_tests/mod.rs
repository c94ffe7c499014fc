//! The whole flow over a real listener, and each way in which it must not go.

mod pressure;
mod strangers;
mod support;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use support::{CALLBACK, Person, RESOURCE, Server, asking, claims, redemption};

use crate::settings::AuthdError;

#[tokio::test]
async fn the_flow_ends_in_a_token_for_one_resource_and_one_task() {
    let server = Server::start().await;
    let mut alice = Person::new();
    let page = alice.consent_page(&server, &asking(&[])).await;
    for expected in [
        "<strong>alice</strong>",
        "<strong>Desk</strong>",
        "http://127.0.0.1:4711",
        "read measurements",
    ] {
        assert!(page.text.contains(expected), "{expected}: {}", page.text);
    }
    assert!(
        page.text.contains("value=\"node-health\" required checked"),
        "{}",
        page.text
    );
    assert!(
        page.policy.contains("default-src 'none'"),
        "{}",
        page.policy
    );
    assert!(
        page.policy
            .contains("form-action 'self' http://127.0.0.1:4711;"),
        "{}",
        page.policy
    );
    assert!(
        page.policy.contains("frame-ancestors 'none'"),
        "{}",
        page.policy
    );
    let seen = alice.decide(&server, &page, "node-health", "allow").await;
    assert_eq!(seen.status, 303);
    assert!(
        seen.location
            .as_ref()
            .unwrap()
            .as_str()
            .starts_with(CALLBACK)
    );
    assert_eq!(seen.answered("state").as_deref(), Some("s & t"));
    assert_eq!(seen.answered("iss").as_deref(), Some(server.base.as_str()));

    let (status, tokens) = server.redeem("desk", &seen.answered("code").unwrap()).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(
        tokens["expires_in"], 300,
        "an hour was asked for, five minutes are given"
    );
    let claims = verified(&server, &tokens).await;
    assert_eq!(claims["iss"], server.base);
    assert_eq!(claims["aud"], RESOURCE);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["client_id"], "desk");
    assert_eq!(claims["scope"], "task:node-health telemetry:read");
    assert!(claims["jti"].is_string());
    assert!(server.is_active(&tokens["access_token"]).await);
}

/// The claims, checked with the published key as any resource would.
async fn verified(server: &Server, tokens: &Value) -> Value {
    let _chosen_before = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
        .install_default()
        .is_err();
    let keys: Value = server
        .http
        .get(server.url("/jwks"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = &keys["keys"][0];
    let key =
        DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap())
            .unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[RESOURCE]);
    let token = tokens["access_token"].as_str().unwrap();
    let seen = decode::<Value>(token, &key, &validation).unwrap();
    assert_eq!(seen.header.typ.as_deref(), Some("at+jwt"));
    seen.claims
}

#[tokio::test]
async fn the_metadata_promises_what_is_there() {
    let server = Server::start().await;
    let place = server.url("/.well-known/oauth-authorization-server");
    let document: Value = server
        .http
        .get(place)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(document["issuer"], server.base);
    assert_eq!(
        document["code_challenge_methods_supported"],
        json!(["S256"])
    );
    assert_eq!(
        document["grant_types_supported"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(
        document["scopes_supported"],
        json!(["telemetry:read", "inventory:read"])
    );
    assert_eq!(
        document["authorization_response_iss_parameter_supported"],
        true
    );
    assert_eq!(document["client_id_metadata_document_supported"], true);
    for (name, url) in document.as_object().unwrap() {
        let Some(url) = url
            .as_str()
            .filter(|_| name.ends_with("_endpoint") || name == "jwks_uri")
        else {
            continue;
        };
        let get = server.http.get(url).send().await.unwrap().status().as_u16();
        assert_ne!(get, 404, "{name}");
    }
    for absent in [
        "/device_authorization",
        "/device",
        "/.well-known/openid-configuration",
        "/",
    ] {
        assert_eq!(
            server
                .http
                .get(server.url(absent))
                .send()
                .await
                .unwrap()
                .status()
                .as_u16(),
            404,
            "{absent}"
        );
    }
}

#[tokio::test]
async fn requests_that_are_not_in_order_are_refused() {
    let server = Server::start().await;
    let other_port = "http://127.0.0.1:5000/callback";
    // What the client may hear goes to the client; what casts doubt on its address goes to the person.
    for (name, value, expected) in [
        ("client_id", "nobody", None),
        ("client_id", "", None),
        ("redirect_uri", "http://127.0.0.1:4711/elsewhere", None),
        ("redirect_uri", "http://localhost:5000/callback", None),
        ("redirect_uri", "https://evil.example/callback", None),
        ("response_type", "token", Some("unsupported_response_type")),
        ("code_challenge", "", Some("invalid_request")),
        ("code_challenge_method", "plain", Some("invalid_request")),
        ("code_challenge_method", "", Some("invalid_request")),
        ("resource", "", Some("invalid_target")),
        (
            "resource",
            "https://other.example/mcp",
            Some("invalid_target"),
        ),
        (
            "resource",
            "http://127.0.0.1:8765/mcp/",
            Some("invalid_target"),
        ),
        ("scope", "telemetry:read admin", Some("invalid_scope")),
        ("scope", "task:no-such-task", Some("invalid_scope")),
    ] {
        let seen = Person::new().ask(&server, &asking(&[(name, value)])).await;
        match expected {
            None => assert_eq!(
                (seen.status, &seen.location),
                (400, &None),
                "{name}={value}"
            ),
            Some(error) => {
                assert_eq!(
                    seen.answered("error").as_deref(),
                    Some(error),
                    "{name}={value}"
                );
                assert_eq!(seen.answered("iss").as_deref(), Some(server.base.as_str()));
                assert_eq!(seen.answered("code"), None);
            }
        }
    }
    let seen = Person::new()
        .ask(&server, &asking(&[("redirect_uri", other_port)]))
        .await;
    assert_eq!(
        seen.status, 200,
        "the port of a loopback literal may differ"
    );
    let twice = Person::new()
        .get(&server, "/authorize?client_id=desk&client_id=desk")
        .await;
    assert_eq!(twice.status, 400);
    let long = Person::new()
        .get(&server, &format!("/authorize?x={}", "y".repeat(5000)))
        .await;
    assert_eq!(long.status, 400);
}

#[tokio::test]
async fn a_code_works_once_and_its_second_use_revokes_the_first() {
    let server = Server::start().await;
    let code = Person::new().code(&server, &asking(&[])).await;
    let (status, tokens) = server.redeem("desk", &code).await;
    assert_eq!(status, 200, "{tokens}");
    assert!(server.is_active(&tokens["access_token"]).await);
    let (status, again) = server.redeem("desk", &code).await;
    assert_eq!((status, &again["error"]), (400, &json!("invalid_grant")));
    assert!(!server.is_active(&tokens["access_token"]).await);
    assert_eq!(server.refresh(&tokens["refresh_token"]).await.0, 400);
}

#[tokio::test]
async fn a_code_is_for_its_client_its_verifier_its_redirect_and_a_minute() {
    for (name, value) in [
        (
            "code_verifier",
            "another-verifier-of-forty-three-characters-or-more",
        ),
        ("code_verifier", ""),
        ("redirect_uri", "http://localhost:4711/callback"),
        ("client_id", "nobody"),
        ("resource", "https://other.example/mcp"),
    ] {
        let server = Server::start().await;
        let code = Person::new().code(&server, &asking(&[])).await;
        let mut form = redemption("desk", &code);
        form.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value;
        let (status, seen) = server.post("/token", &form).await;
        assert!(
            status == 400 || status == 401,
            "{name}={value}: {status} {seen}"
        );
        assert!(seen.get("access_token").is_none());
    }
    let server = Server::start().await;
    let code = Person::new().code(&server, &asking(&[])).await;
    server.clock.push(61);
    let (status, seen) = server.redeem("desk", &code).await;
    assert_eq!((status, &seen["error"]), (400, &json!("invalid_grant")));
    let (status, seen) = server
        .post(
            "/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", "a"),
                ("code", "b"),
            ],
        )
        .await;
    assert_eq!((status, &seen["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn refresh_tokens_rotate_and_reuse_ends_the_grant() {
    let server = Server::start().await;
    let first = server.grant().await;
    let (status, second) = server.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(claims(&second)["scope"], "task:node-health telemetry:read");
    assert_eq!(claims(&second)["aud"], RESOURCE);
    assert!(server.is_active(&second["access_token"]).await);
    let (status, stolen) = server.refresh(&first["refresh_token"]).await;
    assert_eq!((status, &stolen["error"]), (400, &json!("invalid_grant")));
    assert!(!server.is_active(&second["access_token"]).await);
    assert_eq!(server.refresh(&second["refresh_token"]).await.0, 400);
}

#[tokio::test]
async fn a_refresh_cannot_widen_and_ends_with_its_day() {
    let server = Server::start().await;
    let tokens = server.grant().await;
    let token = tokens["refresh_token"].as_str().unwrap();
    for scope in [
        "telemetry:read inventory:read task:node-health",
        "task:node-health task:capacity-review",
        "telemetry:read",
    ] {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "desk"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        let (status, seen) = server.post("/token", &form).await;
        assert_ne!(status, 200, "{scope}: {seen}");
    }
    server.clock.push(8 * 3600 + 1);
    assert_ne!(server.refresh(&tokens["refresh_token"]).await.0, 200);
}

#[tokio::test]
async fn revoked_and_expired_tokens_read_as_inactive() {
    let server = Server::start().await;
    let tokens = server.grant().await;
    let access = tokens["access_token"].as_str().unwrap();
    let (status, _) = server
        .post("/revoke", &[("client_id", "desk"), ("token", access)])
        .await;
    assert_eq!(status, 200);
    assert!(!server.is_active(&tokens["access_token"]).await);

    let tokens = server.grant().await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    server
        .post("/revoke", &[("client_id", "desk"), ("token", refresh)])
        .await;
    assert!(
        !server.is_active(&tokens["access_token"]).await,
        "the grant goes with its refresh token"
    );

    let tokens = server.grant().await;
    server.clock.push(301);
    assert!(!server.is_active(&tokens["access_token"]).await);
    assert!(!server.is_active(&json!("rubbish")).await);
}

#[tokio::test]
async fn only_the_resource_server_may_introspect() {
    let server = Server::start().await;
    let tokens = server.grant().await;
    let token = tokens["access_token"].as_str().unwrap();
    for form in [
        vec![("token", token)],
        vec![("token", token), ("client_id", "desk")],
        vec![
            ("token", token),
            ("client_id", "serve"),
            ("client_secret", "wrong"),
        ],
    ] {
        let (status, seen) = server.post("/introspect", &form).await;
        assert!(status == 400 || status == 401, "{status} {seen}");
        assert!(seen.get("active").is_none());
    }
}

#[tokio::test]
async fn consent_picks_exactly_one_task() {
    for (scope, picked, chosen) in [
        (
            "telemetry:read task:node-health task:capacity-review",
            "capacity-review",
            "node-health",
        ),
        ("telemetry:read", "node-health", "node-health"),
        (
            "telemetry:read task:capacity-review",
            "node-health",
            "capacity-review",
        ),
        ("", "capacity-review", "node-health"), // left out: everything, without the tasks
    ] {
        let server = Server::start().await;
        let mut alice = Person::new();
        let page = alice
            .consent_page(&server, &asking(&[("scope", scope)]))
            .await;
        assert!(
            page.text
                .contains(&format!("value=\"{chosen}\" required checked")),
            "{scope}: {}",
            page.text
        );
        assert_eq!(page.text.matches("required checked").count(), 1);
        let seen = alice.decide(&server, &page, picked, "allow").await;
        let (_, tokens) = server.redeem("desk", &seen.answered("code").unwrap()).await;
        let granted = claims(&tokens)["scope"].as_str().unwrap().to_owned();
        assert_eq!(tokens["scope"], granted, "the client is told what it got");
        let tasks: Vec<&str> = granted
            .split(' ')
            .filter(|word| word.starts_with("task:"))
            .collect();
        assert_eq!(tasks, [format!("task:{picked}")], "{scope}");
        assert_eq!(
            granted.contains("inventory:read"),
            scope.is_empty(),
            "{scope}"
        );
    }
}

#[tokio::test]
async fn a_task_that_is_not_offered_cannot_be_sent() {
    let server = Server::start().await;
    for task in ["", "no-such-task", "node-health task:capacity-review", "*"] {
        let mut alice = Person::new();
        let page = alice.consent_page(&server, &asking(&[])).await;
        let seen = alice.decide(&server, &page, task, "allow").await;
        assert_eq!((seen.status, seen.location), (400, None), "{task}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_to_the_client() {
    let server = Server::start().await;
    let mut alice = Person::new();
    let page = alice.consent_page(&server, &asking(&[])).await;
    let seen = alice.decide(&server, &page, "node-health", "deny").await;
    assert_eq!(seen.answered("error").as_deref(), Some("access_denied"));
    assert_eq!(seen.answered("code"), None);
}

#[tokio::test]
async fn sign_in_and_consent_are_asked_for_each_time() {
    let server = Server::start().await;
    let mut alice = Person::new();
    let page = alice.consent_page(&server, &asking(&[])).await;
    assert_eq!(
        alice
            .decide(&server, &page, "node-health", "allow")
            .await
            .status,
        303
    );
    let again = alice.ask(&server, &asking(&[])).await;
    assert!(
        again.text.contains("name=\"password\""),
        "a cookie is no sign-in: {}",
        again.text
    );
}

#[tokio::test]
async fn settings_that_would_be_unsafe_are_refused() {
    let keys = tempfile::tempdir().unwrap();
    let problem = |change: &dyn Fn(&mut crate::AuthdSettings)| {
        let mut settings = support::settings("http://127.0.0.1:1", keys.path());
        change(&mut settings);
        settings.check()
    };
    assert!(problem(&|_| {}).is_ok());
    for issuer in [
        "http://id.example",
        "http://127.0.0.1:1/",
        "http://127.0.0.1:1/x",
        "ftp://127.0.0.1",
        "",
    ] {
        let seen = problem(&|settings| settings.issuer = issuer.to_owned());
        assert!(matches!(seen, Err(AuthdError::Issuer { .. })), "{issuer}");
    }
    assert!(matches!(
        problem(&|s| s.default_task = "x".to_owned()),
        Err(AuthdError::DefaultTask { .. })
    ));
    assert!(matches!(
        problem(&|s| s.scopes.push("a b".to_owned())),
        Err(AuthdError::Word { .. })
    ));
    assert!(matches!(
        problem(&|s| s.resource_servers[0].0 = "desk".to_owned()),
        Err(AuthdError::Twice { .. })
    ));

    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let settings = support::settings("http://127.0.0.1:1", keys.path());
    let seen = crate::run(settings, listener, std::future::pending()).await;
    assert!(matches!(seen, Err(AuthdError::NotLoopback { .. })));
}
