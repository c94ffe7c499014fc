//! Everything that may be wrong with a token, each with its own word, and what is right with a good one.

use std::collections::BTreeSet;

use super::support::{AUDIENCE, Signer, World, base64, verdict};
use crate::TokenVerifier;
use glasshouse_core::access::TokenRefusal;
use glasshouse_core::time::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

#[tokio::test]
async fn one_of_several_issuers_cannot_claim_the_groups_of_another() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let mut settings = world.settings();
    settings.issuers[0].groups_claim = Some("groups".to_owned());
    let other = crate::IssuerSettings {
        issuer: "https://id.example".to_owned(),
        ..settings.issuers[0].clone()
    };
    settings.issuers.push(other);
    settings
        .groups
        .insert("sre".to_owned(), vec!["https://id.example bob".to_owned()]);
    let verifier = world.verifier(settings);
    let claims = with(
        world.claims(),
        "groups",
        json!(["rack-7", "sre", "https://id.example sre"]),
    );
    let principal = verdict(&verifier, &world.token(&claims)).await.unwrap();
    let claimed = ["rack-7", "sre", "https://id.example sre"];
    let claimed = claimed.map(|group| format!("{} {group}", world.issuer()));
    assert_eq!(principal.groups, BTreeSet::from(claimed));
}

#[tokio::test]
async fn a_good_token_is_a_principal() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let mut settings = world.settings();
    settings.issuers[0].groups_claim = Some("groups".to_owned());
    settings
        .groups
        .insert("sre".to_owned(), vec!["alice".to_owned()]);
    settings
        .groups
        .insert("night".to_owned(), vec!["bob".to_owned()]);
    let verifier = world.verifier(settings);
    let claims = with(world.claims(), "groups", json!(["rack-7"]));
    let principal = verdict(&verifier, &world.token(&claims)).await.unwrap();
    let words =
        |list: &[&str]| -> BTreeSet<String> { list.iter().map(|w| (*w).to_owned()).collect() };
    assert_eq!(principal.subject, "alice");
    assert_eq!(principal.client, "agent");
    assert_eq!(principal.issuer, world.issuer());
    assert_eq!(principal.token_id, "t1");
    assert_eq!(principal.scopes, words(&["telemetry:read"]));
    assert_eq!(principal.task.as_deref(), Some("node-health"));
    assert_eq!(principal.groups, words(&["rack-7", "sre"]));
    assert_eq!(
        principal.expires,
        Timestamp::from_seconds(world.clock.seconds() + 300)
    );
}

#[tokio::test]
async fn what_may_differ_in_a_good_token_may_differ() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let claims = world.claims();
    let now = world.clock.seconds();
    for (what, claims) in [
        (
            "aud as a list of one",
            with(claims.clone(), "aud", json!([AUDIENCE])),
        ),
        (
            "azp instead of client_id",
            with(without(claims.clone(), "client_id"), "azp", json!("agent")),
        ),
        ("no nbf", without(claims.clone(), "nbf")),
        (
            "just expired, within the leeway",
            with(
                with(claims.clone(), "exp", json!(now - 4)),
                "iat",
                json!(now - 300),
            ),
        ),
        (
            "the same task twice",
            with(
                claims.clone(),
                "scope",
                json!("task:node-health task:node-health"),
            ),
        ),
        ("cnf null", with(claims.clone(), "cnf", Value::Null)),
    ] {
        let seen = verdict(&verifier, &world.token(&claims)).await;
        assert!(seen.is_ok(), "{what}: {seen:?}");
    }
    let no_task = with(claims.clone(), "scope", json!("telemetry:read"));
    assert_eq!(
        verdict(&verifier, &world.token(&no_task))
            .await
            .unwrap()
            .task,
        None
    );
    let no_id = verdict(&verifier, &world.token(&without(claims, "jti")))
        .await
        .unwrap();
    assert_eq!(no_id.token_id.len(), 64);
}

#[tokio::test]
async fn wrong_claims_are_refused_each_by_its_word() {
    use TokenRefusal::{Audience, Claims, Expired, Issuer, NotYetValid, SeveralTasks, Unproven};
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let now = world.clock.seconds();
    for (name, value, expected) in [
        ("aud", json!("https://other.example/mcp"), Audience),
        ("aud", json!("http://127.0.0.1:8765/mcp/"), Audience),
        ("aud", json!("HTTP://127.0.0.1:8765/mcp"), Audience),
        ("aud", json!([AUDIENCE, "https://other.example"]), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!(7), Claims),
        ("iss", json!("https://other.example"), Issuer),
        ("iss", json!(format!("{}/", world.issuer())), Issuer),
        ("iss", json!(["x"]), Claims),
        ("exp", json!(now - 6), Expired),
        ("exp", json!(0), Expired),
        ("exp", json!("9999999999"), Claims),
        ("exp", json!(1e300), Claims),
        ("exp", json!(-1), Claims),
        ("exp", json!(now + 301), Claims), // not introspected: five minutes at most
        ("nbf", json!(now + 6), NotYetValid),
        ("iat", json!(now + 6), NotYetValid),
        ("sub", json!(""), Claims),
        ("sub", json!("al\u{7}ice"), Claims),
        ("sub", json!("a".repeat(257)), Claims),
        ("sub", json!(null), Claims),
        ("azp", json!("somebody-else"), Claims),
        ("scope", json!(["telemetry:read"]), Claims),
        ("scope", json!("task:"), Claims),
        (
            "scope",
            json!("task:node-health task:capacity-review"),
            SeveralTasks,
        ),
        (
            "cnf",
            json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
            Unproven,
        ),
    ] {
        let token = world.token(&with(world.claims(), name, value.clone()));
        assert_eq!(
            verdict(&verifier, &token).await,
            Err(expected),
            "{name} = {value}"
        );
    }
    for name in ["exp", "iss", "aud", "sub", "client_id", "iat"] {
        let token = world.token(&without(world.claims(), name));
        assert_eq!(
            verdict(&verifier, &token).await,
            Err(Claims),
            "without {name}"
        );
    }
}

#[tokio::test]
async fn wrong_headers_are_refused_each_by_its_word() {
    use TokenRefusal::{Algorithm, Malformed, Type, UnknownKey};
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let claims = world.claims().to_string();
    for (name, value, expected) in [
        ("alg", json!("none"), Algorithm),
        ("alg", json!("None"), Algorithm),
        ("alg", json!("HS256"), Algorithm),
        ("alg", json!("ES384"), Algorithm),
        ("alg", json!("RS256"), Algorithm), // the key is for ES256
        ("alg", json!(null), Algorithm),
        ("typ", json!("JWT"), Type), // an ID token
        ("typ", json!("dpop+jwt"), Type),
        ("typ", json!(null), Type),
        ("crit", json!(["exp"]), Malformed),
        ("crit", json!([]), Malformed),
        ("kid", json!("k2"), UnknownKey),
        ("kid", json!(7), Malformed),
        ("kid", json!("k".repeat(300)), Malformed),
    ] {
        let header = with(world.header(), name, value.clone()).to_string();
        let token = world.signer.sign(&header, &claims);
        assert_eq!(
            verdict(&verifier, &token).await,
            Err(expected),
            "{name} = {value}"
        );
    }
    let untyped = without(world.header(), "typ").to_string();
    assert_eq!(
        verdict(&verifier, &world.signer.sign(&untyped, &claims)).await,
        Err(Type)
    );
    let long = with(world.header(), "typ", json!("application/AT+JWT")).to_string();
    assert!(
        verdict(&verifier, &world.signer.sign(&long, &claims))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn forged_and_broken_tokens_are_refused() {
    use TokenRefusal::{Algorithm, Malformed, Signature};
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let (header, claims) = (world.header().to_string(), world.claims().to_string());
    let good = world.signer.sign(&header, &claims);
    let signature = good.rsplit_once('.').unwrap().1;
    let stranger = Signer::es256("k1");
    let own_key = with(world.header(), "jwk", stranger.jwk.clone());
    let own_place = with(own_key.clone(), "jku", json!("https://evil.example/jwks"));
    let none = base64(r#"{"alg":"none","typ":"at+jwt"}"#);
    for (what, token, expected) in [
        (
            "another's key under our id",
            stranger.sign(&header, &claims),
            Signature,
        ),
        (
            "another's key, brought along",
            stranger.sign(&own_place.to_string(), &claims),
            Signature,
        ),
        (
            "other claims",
            format!(
                "{}.{}.{signature}",
                base64(&header),
                base64(&claims.replace("alice", "bob"))
            ),
            Signature,
        ),
        (
            "cut signature",
            good.get(..good.len() - 4).unwrap().to_owned(),
            Signature,
        ),
        (
            "no signature",
            format!("{none}.{}.", base64(&claims)),
            Algorithm,
        ),
        (
            "empty signature",
            format!("{}.{}.", base64(&header), base64(&claims)),
            Malformed,
        ),
        (
            "two parts",
            format!("{}.{}", base64(&header), base64(&claims)),
            Malformed,
        ),
        ("four parts", format!("{good}.x"), Malformed),
        ("five parts (JWE)", "a.b.c.d.e".to_owned(), Malformed),
        (
            "padded",
            format!("{}=.{}.{signature}", base64(&header), base64(&claims)),
            Malformed,
        ),
        ("nothing", String::new(), Malformed),
        ("dots", "..".to_owned(), Malformed),
        (
            "oversized",
            format!("{good}{}", "A".repeat(9000)),
            Malformed,
        ),
        ("not ASCII", "é.é.é".to_owned(), Malformed),
    ] {
        assert_eq!(verdict(&verifier, &token).await, Err(expected), "{what}");
    }
}

#[tokio::test]
async fn duplicated_names_are_refused_even_when_signed() {
    let world = World::new().await;
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let (header, claims) = (world.header().to_string(), world.claims().to_string());
    for name in ["aud", "sub", "scope", "exp", "unheard_of"] {
        let twice = claims.replacen('{', &format!("{{\"{name}\":1,\"{name}\":1,"), 1);
        let token = world.signer.sign(&header, &twice);
        assert_eq!(
            verdict(&verifier, &token).await,
            Err(TokenRefusal::Malformed),
            "{name}"
        );
    }
    let twice = header.replacen('{', "{\"alg\":\"ES256\",", 1);
    let token = world.signer.sign(&twice, &claims);
    assert_eq!(
        verdict(&verifier, &token).await,
        Err(TokenRefusal::Malformed)
    );
}

#[tokio::test]
async fn the_public_key_is_no_shared_secret() {
    let mut world = World::new().await;
    world.signer = Signer::new(&rcgen::PKCS_RSA_SHA256, Algorithm::RS256, "k1");
    world.publish(&[&world.signer]).await;
    let verifier = world.verifier(world.settings());
    let claims = world.claims().to_string();
    let good = world
        .signer
        .sign(r#"{"alg":"RS256","typ":"at+jwt","kid":"k1"}"#, &claims);
    assert!(verdict(&verifier, &good).await.is_ok());
    let forged = Signer {
        key: EncodingKey::from_secret(world.signer.public_pem.as_bytes()),
        algorithm: Algorithm::HS256,
        jwk: Value::Null,
        public_pem: String::new(),
    };
    for (alg, expected) in [
        ("HS256", TokenRefusal::Algorithm),
        ("RS256", TokenRefusal::Signature),
    ] {
        let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"k1"}}"#);
        assert_eq!(
            verdict(&verifier, &forged.sign(&header, &claims)).await,
            Err(expected)
        );
    }
}

#[tokio::test]
async fn every_allowed_algorithm_works_with_its_key() {
    let world = World::new().await;
    let rsa = Signer::new(&rcgen::PKCS_RSA_SHA256, Algorithm::RS256, "r");
    let edwards = Signer::new(&rcgen::PKCS_ED25519, Algorithm::EdDSA, "e");
    world.publish(&[&world.signer, &rsa, &edwards]).await;
    let verifier = world.verifier(world.settings());
    let claims = world.claims().to_string();
    for (signer, alg, kid) in [
        (&world.signer, "ES256", "k1"),
        (&rsa, "RS256", "r"),
        (&edwards, "EdDSA", "e"),
    ] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid}).to_string();
        let seen = verdict(&verifier, &signer.sign(&header, &claims)).await;
        assert!(seen.is_ok(), "{alg}: {seen:?}");
    }
    // With three keys a token without a key id names none of them.
    let nameless = world
        .signer
        .sign(r#"{"alg":"ES256","typ":"at+jwt"}"#, &claims);
    assert_eq!(
        verdict(&verifier, &nameless).await,
        Err(TokenRefusal::UnknownKey)
    );
}

#[tokio::test]
async fn without_an_issuer_everything_is_refused() {
    let world = World::new().await;
    let verifier: TokenVerifier = world.verifier(crate::AuthSettings::default());
    let token = world.token(&world.claims());
    assert_eq!(
        verdict(&verifier, &token).await,
        Err(TokenRefusal::NoIssuer)
    );
}
