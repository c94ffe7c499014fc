//! What strangers try when they do not want in, but others out, or elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::strangers::{document, documents, ok};
use super::support::{CALLBACK, Person, Server, asking};
use crate::book::OF_A_KIND_MOST;
use crate::settings::ClientSettings;

fn metadata() -> Value {
    json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"})
}

async fn with_documents(make: impl Fn(u16) -> String + Send + 'static) -> (Server, u16) {
    let (port, certificate) = documents(make).await;
    let server = Server::start_with(|settings| {
        settings.allow_loopback_cimd = true;
        settings.cimd_roots = vec![certificate];
    })
    .await;
    (server, port)
}

/// Fills the places of clients that register themselves; their ids.
async fn fill(server: &Server) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..OF_A_KIND_MOST {
        let (status, made) = server.register(&metadata()).await;
        assert_eq!(status, 201, "{made}");
        ids.push(made["client_id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn is_known(server: &Server, id: &str) -> bool {
    let asked = asking(&[("client_id", id)]);
    Person::new().ask(server, &asked).await.status == 200
}

#[tokio::test]
async fn a_client_gives_way_once_its_grant_has_ended() {
    let server = Server::start().await;
    let mut last_token = json!(null);
    let ids = fill(&server).await;
    for id in &ids {
        let code = Person::new()
            .code(&server, &asking(&[("client_id", id)]))
            .await;
        let (status, tokens) = server.redeem(id, &code).await;
        assert_eq!(status, 200, "{tokens}");
        last_token = tokens["refresh_token"].clone();
    }
    server.clock.push(601);
    let full = server.register(&metadata()).await;
    assert_eq!(full.0, 429, "all have grants: {}", full.1);

    let last = ids.last().unwrap();
    let revoked = [
        ("client_id", last.as_str()),
        ("token", last_token.as_str().unwrap()),
    ];
    server.post("/revoke", &revoked).await;
    assert_eq!(server.register(&metadata()).await.0, 201, "one was revoked");
    assert!(!is_known(&server, last).await, "and gave way");
    assert!(is_known(&server, &ids[0]).await);

    server.clock.push(8 * 3600);
    assert_eq!(server.register(&metadata()).await.0, 201, "all have ended");
}

#[tokio::test]
async fn nobody_gives_way_to_what_is_not_in_order_or_while_somebody_looks() {
    let server = Server::start().await;
    let ids = fill(&server).await;
    let mut broken = metadata();
    broken["token_endpoint_auth_method"] = json!("no_such_method");
    let (status, seen) = server.register(&broken).await;
    assert_eq!(status, 400, "{seen}");
    let mut alice = Person::new();
    let page = alice.ask(&server, &asking(&[("client_id", &ids[0])])).await;
    assert_eq!(page.status, 200, "the oldest is still there");

    assert_eq!(server.register(&metadata()).await.0, 201);
    assert_eq!(alice.sign_in(&server, &page).await.status, 200);
    assert!(!is_known(&server, &ids[1]).await, "the next one gave way");
}

#[tokio::test]
async fn a_page_elsewhere_has_no_documents_fetched() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetched);
    let (server, port) = with_documents(move |port| {
        counted.fetch_add(1, Ordering::SeqCst);
        ok(&document(port).to_string())
    })
    .await;
    for n in 0..40 {
        let id = format!("https://localhost:{port}/{n}.json");
        let asked = asking(&[("client_id", &id)]);
        let place = ["image", "iframe", "empty", "script"][n % 4];
        let seen = Person::new().ask_for(&server, &asked, place).await;
        assert_eq!(seen.status, 400, "{}", seen.text);
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
    let id = format!("https://localhost:{port}/client.json");
    let asked = asking(&[("client_id", &id)]);
    let seen = Person::new().ask_for(&server, &asked, "document").await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_configured_client_is_not_overwritten_by_a_document() {
    let (port, certificate) = documents(|port| ok(&document(port).to_string())).await;
    let id = format!("https://localhost:{port}/client.json");
    let own = "http://127.0.0.1:4999/own";
    let server = Server::start_with(|settings| {
        settings.allow_loopback_cimd = true;
        settings.cimd_roots = vec![certificate];
        settings.clients.push(ClientSettings {
            id: id.clone(),
            name: "Configured".to_owned(),
            redirect_uris: vec![own.to_owned()],
            secret: None,
        });
    })
    .await;
    let asked = asking(&[("client_id", &id), ("redirect_uri", own)]);
    let seen = Person::new().ask(&server, &asked).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(seen.text.contains("Configured"), "{}", seen.text);
    // at /callback on the document's word, and so not here
    let of_the_document = asking(&[("client_id", &id)]);
    assert_eq!(
        Person::new().ask(&server, &of_the_document).await.status,
        400
    );
}

#[tokio::test]
async fn who_asks_is_said_before_the_password_is_typed() {
    let server = Server::start().await;
    let (_, made) = server.register(&metadata()).await;
    let id = made["client_id"].as_str().unwrap();
    let mut alice = Person::new();
    let sign_in = alice.ask(&server, &asking(&[("client_id", id)])).await;
    let consent = alice.sign_in(&server, &sign_in).await;
    for page in [&sign_in, &consent] {
        for expected in [
            format!("<code>{id}</code>"),
            "<code>http://127.0.0.1:4711</code>".to_owned(),
            "nobody has checked it".to_owned(),
        ] {
            assert!(page.text.contains(&expected), "{expected}: {}", page.text);
        }
    }
    let configured = alice.ask(&server, &asking(&[])).await;
    assert!(configured.text.contains("<code>desk</code>"));
    assert!(!configured.text.contains("nobody has checked it"));
}

#[tokio::test]
async fn a_link_here_does_not_lead_to_a_strangers_address_unasked() {
    let (server, port) = with_documents(|port| {
        let mut own = document(port);
        own["redirect_uris"] = json!([CALLBACK, format!("https://localhost:{port}/landing")]);
        ok(&own.to_string())
    })
    .await;
    let id = format!("https://localhost:{port}/client.json");
    let landing = format!("https://localhost:{port}/landing");
    for (name, value) in [
        ("scope", "admin"),
        ("response_type", "token"),
        ("resource", "https://other.example/mcp"),
        ("code_challenge", ""),
    ] {
        let there = [
            ("client_id", id.as_str()),
            ("redirect_uri", &landing),
            (name, value),
        ];
        let seen = Person::new().ask(&server, &asking(&there)).await;
        assert_eq!((seen.status, &seen.location), (400, &None), "{name}");
        let here = [("client_id", id.as_str()), (name, value)];
        let seen = Person::new().ask(&server, &asking(&here)).await;
        assert_eq!(seen.status, 303, "{name}: its own machine is told");
    }
    let good = asking(&[("client_id", &id), ("redirect_uri", &landing)]);
    let mut alice = Person::new();
    let page = alice.consent_page(&server, &good).await;
    let seen = alice.decide(&server, &page, "node-health", "deny").await;
    assert_eq!(seen.answered("error").as_deref(), Some("access_denied"));
    let there = seen.location.unwrap();
    assert!(
        there.as_str().starts_with(&landing),
        "signed in, she is led there"
    );
}

#[tokio::test]
async fn strangers_do_not_lock_a_person_out() {
    let server = Server::start().await;
    let mut alice = Person::new();
    alice.consent_page(&server, &asking(&[])).await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        let mut stranger = Person::new();
        let mut page = stranger.ask(&server, &asking(&[])).await;
        for _ in 0..10 {
            page = stranger
                .send_password(&server, &page, "alice", "guess")
                .await;
            seen.push(page.status);
        }
    }
    assert_eq!(seen, [vec![403; 60], vec![429; 20]].concat());
    let page = alice.ask(&server, &asking(&[])).await;
    assert_eq!(alice.sign_in(&server, &page).await.status, 200);
}
