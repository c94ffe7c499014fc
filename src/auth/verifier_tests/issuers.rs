//! The issuer behind the tokens: found, asked, away, lying.

use std::sync::Arc;
use std::time::Duration;

use super::support::{Signer, World, verdict};
use crate::{AuthError, IssuerSettings, TokenVerifier, resource_metadata};
use glasshouse_core::access::TokenRefusal;
use glasshouse_core::time::{Clock, SystemClock};
use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_the_issuer_one_request() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    assert!(
        verdict(&verifier, &world.token(&world.claims()))
            .await
            .is_ok()
    );
    world.clock.step(Duration::from_secs(11));
    for n in 0..50 {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"flood-{n}"}}"#);
        let token = world.signer.sign(&header, &world.claims().to_string());
        assert_eq!(
            verdict(&verifier, &token).await,
            Err(TokenRefusal::UnknownKey)
        );
    }
    assert_eq!(world.requests("/jwks").await, 2);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let mut world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    assert!(
        verdict(&verifier, &world.token(&world.claims()))
            .await
            .is_ok()
    );
    world.server.reset().await;
    world.signer = Signer::es256("k2");
    world.publish(&[&world.signer]).await;
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"k2"}"#;
    let token = world.signer.sign(header, &world.claims().to_string());
    assert_eq!(
        verdict(&verifier, &token).await,
        Err(TokenRefusal::UnknownKey),
        "within the pause"
    );
    world.clock.step(Duration::from_secs(11));
    assert!(verdict(&verifier, &token).await.is_ok());
}

#[tokio::test]
async fn keys_outlive_an_absent_issuer_for_a_while_and_no_longer() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    assert!(
        verdict(&verifier, &world.token(&world.claims()))
            .await
            .is_ok()
    );
    world.server.reset().await; // from here on every request is answered with 404
    world.clock.step(Duration::from_secs(3_000));
    assert!(
        verdict(&verifier, &world.token(&world.claims()))
            .await
            .is_ok()
    );
    world.clock.step(Duration::from_secs(700));
    let late = verdict(&verifier, &world.token(&world.claims())).await;
    assert_eq!(late, Err(TokenRefusal::IssuerUnavailable));
    world.publish(&[&world.signer]).await;
    world.clock.step(Duration::from_secs(11));
    assert!(
        verdict(&verifier, &world.token(&world.claims()))
            .await
            .is_ok(),
        "it is back"
    );
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    let world = World::new().await;
    world.publish_metadata("https://other.example").await;
    world.publish_keys(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let seen = verdict(&verifier, &world.token(&world.claims())).await;
    assert_eq!(seen, Err(TokenRefusal::IssuerUnavailable));
    assert_eq!(world.requests("/jwks").await, 0);
}

#[tokio::test]
async fn openid_metadata_serves_where_there_is_no_other() {
    let world = World::new().await;
    let document =
        json!({"issuer": world.issuer(), "jwks_uri": format!("{}/jwks", world.issuer())});
    Mock::given(method("GET"))
        .and(path("/.well-known/openid-configuration"))
        .respond_with(ResponseTemplate::new(200).set_body_json(document))
        .mount(&world.server)
        .await;
    world.publish_keys(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    assert!(
        verdict(&verifier, &world.token(&world.claims()))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn redirects_floods_and_rubbish_bring_no_keys() {
    let elsewhere = World::new().await;
    elsewhere.publish_keys(&[&elsewhere.signer]).await;
    let there = format!("{}/jwks", elsewhere.issuer());
    for answer in [
        ResponseTemplate::new(302).insert_header("location", there.as_str()),
        ResponseTemplate::new(200).set_body_string("x".repeat(200_000)),
        ResponseTemplate::new(200).set_body_string("{\"keys\":[],\"keys\":[]}"),
        ResponseTemplate::new(500),
    ] {
        let world = World::new().await;
        world.publish_metadata(&world.issuer()).await;
        Mock::given(method("GET"))
            .and(path("/jwks"))
            .respond_with(answer)
            .mount(&world.server)
            .await;
        let verifier = world.verifier(world.settings());
        let seen = verdict(&verifier, &world.token(&world.claims())).await;
        assert_eq!(seen, Err(TokenRefusal::IssuerUnavailable));
    }
    assert_eq!(elsewhere.requests("/jwks").await, 0);
}

#[tokio::test]
async fn a_burst_asks_once_and_a_revocation_shows_within_five_seconds() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let active = ResponseTemplate::new(200).set_body_json(json!({"active": true}));
    world
        .answer_introspection(active.set_delay(Duration::from_millis(50)))
        .await;
    let verifier = Arc::new(world.verifier(world.asking()));
    let token = world.token(&world.claims());
    let mut burst = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (verifier, token) = (Arc::clone(&verifier), token.clone());
        burst.spawn(async move { verdict(&verifier, &token).await.is_ok() });
    }
    assert!(burst.join_all().await.into_iter().all(|fine| fine));
    assert_eq!(world.requests("/introspect").await, 1);
    let asked = world.server.received_requests().await.unwrap();
    let asked = asked
        .iter()
        .find(|request| request.url.path() == "/introspect")
        .unwrap();
    let expected = "Basic c2VydmU6cyUzQWVjcmV0"; // serve, s%3Aecret
    assert_eq!(asked.headers["authorization"], expected);

    world.server.reset().await;
    let gone = ResponseTemplate::new(200).set_body_json(json!({"active": false}));
    world.answer_introspection(gone).await;
    world.clock.step(Duration::from_secs(5));
    for _ in 0..5 {
        assert_eq!(verdict(&verifier, &token).await, Err(TokenRefusal::Revoked));
    }
    assert_eq!(
        world.requests("/introspect").await,
        1,
        "a no is kept as well"
    );
}

#[tokio::test]
async fn an_introspection_that_does_not_answer_refuses() {
    for answer in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(401),
        ResponseTemplate::new(200).set_body_string("{}"),
        ResponseTemplate::new(200).set_body_string("{\"active\":\"true\"}"),
        ResponseTemplate::new(200).set_body_string("{\"active\":false,\"active\":true}"),
    ] {
        let world = World::new().await;
        world.publish(&[&world.signer]).await;
        world.answer_introspection(answer).await;
        let verifier = world.verifier(world.asking());
        let token = world.token(&world.claims());
        for _ in 0..5 {
            let seen = verdict(&verifier, &token).await;
            assert_eq!(seen, Err(TokenRefusal::IssuerUnavailable));
        }
        assert_eq!(
            world.requests("/introspect").await,
            1,
            "and is not hammered"
        );
    }
}

#[tokio::test]
async fn a_long_lived_token_is_taken_where_its_issuer_is_asked() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    world
        .answer_introspection(ResponseTemplate::new(200).set_body_json(json!({"active": true})))
        .await;
    let mut claims = world.claims();
    claims["exp"] = json!(world.clock.seconds() + 3600);
    let token = world.token(&claims);
    assert!(
        verdict(&world.verifier(world.asking()), &token)
            .await
            .is_ok()
    );
    let unasked = verdict(&world.verifier(world.settings()), &token).await;
    assert_eq!(unasked, Err(TokenRefusal::Claims));
}

#[tokio::test]
async fn forged_tokens_are_never_asked_about() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.asking());
    let forged = Signer::es256("k1").sign(&world.header().to_string(), &world.claims().to_string());
    assert_eq!(
        verdict(&verifier, &forged).await,
        Err(TokenRefusal::Signature)
    );
    assert_eq!(world.requests("/introspect").await, 0);
}

#[tokio::test]
async fn settings_that_would_be_unsafe_are_refused() {
    let world = World::new().await;
    let made = |change: &dyn Fn(&mut crate::AuthSettings)| {
        let mut settings = world.settings();
        change(&mut settings);
        TokenVerifier::new(settings, Arc::new(SystemClock) as Arc<dyn Clock>)
    };
    let other = IssuerSettings {
        issuer: "https://id.example".to_owned(),
        jwks_uri: None,
        introspection: None,
        groups_claim: None,
    };
    assert!(matches!(
        made(&|s| s.issuers[0].issuer = "http://id.example".to_owned()),
        Err(AuthError::Url { .. })
    ));
    assert!(matches!(
        made(&|s| s.issuers[0].jwks_uri = Some("http://id.example/jwks".to_owned())),
        Err(AuthError::Url { .. })
    ));
    assert!(matches!(
        made(&|s| s.audience = "mcp".to_owned()),
        Err(AuthError::Audience { .. })
    ));
    assert!(matches!(
        made(&|s| s.issuers.push(s.issuers[0].clone())),
        Err(AuthError::IssuerTwice { .. })
    ));
    assert!(matches!(
        made(&|s| {
            s.issuers.push(other.clone());
            s.groups.insert("sre".to_owned(), vec!["alice".to_owned()]);
        }),
        Err(AuthError::AmbiguousSubject { .. })
    ));
    assert!(
        made(&|s| {
            s.issuers.push(other.clone());
            s.groups.insert(
                "sre".to_owned(),
                vec!["https://id.example alice".to_owned()],
            );
        })
        .is_ok()
    );
}

#[tokio::test]
async fn the_resource_says_who_issues_and_keeps_tasks_to_itself() {
    let world = World::new().await;
    let document = resource_metadata(&world.settings(), "rack-7");
    assert_eq!(
        document,
        json!({
            "resource": super::support::AUDIENCE,
            "authorization_servers": [world.issuer()],
            "scopes_supported": ["telemetry:read", "inventory:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "rack-7",
        })
    );
}
