//! What strangers try: forged forms, guessed passwords, clients with names and addresses of their own.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::support::{CALLBACK, Person, Server, asking, claims};

#[tokio::test]
async fn a_form_from_elsewhere_is_not_taken() {
    let server = Server::start().await;
    let mut alice = Person::new();
    let page = alice.consent_page(&server, &asking(&[])).await;
    let (request, ticket) = (page.field("request"), page.field("ticket"));
    let decide = [
        ("request", request.as_str()),
        ("ticket", ticket.as_str()),
        ("subject", "alice"),
        ("task", "node-health"),
        ("decision", "allow"),
    ];

    let seen = alice
        .send_from(&server, "/consent", &decide, "https://evil.example")
        .await;
    assert_eq!((seen.status, seen.location), (403, None), "another origin");
    let seen = Person::new().send(&server, "/consent", &decide).await;
    assert_eq!((seen.status, seen.location), (403, None), "no cookie");
    let mut mallory = Person::new();
    mallory.consent_page(&server, &asking(&[])).await;
    let seen = mallory.send(&server, "/consent", &decide).await;
    assert_eq!(
        (seen.status, seen.location),
        (403, None),
        "another browser's ticket"
    );
    for (name, value) in [
        ("ticket", ""),
        ("ticket", "1.x"),
        ("request", "client_id=desk"),
        ("subject", "bob"),
        ("subject", ""),
    ] {
        let mut forged = decide;
        forged
            .iter_mut()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1 = value;
        let seen = alice.send(&server, "/consent", &forged).await;
        assert_eq!((seen.status, seen.location), (403, None), "{name}={value}");
    }
    assert_eq!(
        alice.send(&server, "/consent", &decide).await.status,
        303,
        "hers is"
    );
    let seen = alice.send(&server, "/consent", &decide).await;
    assert_eq!((seen.status, seen.location), (403, None), "once");
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_form_of_somebody_else() {
    let server = Server::start().await;
    let mut mallory = Person::new();
    let page = mallory.ask(&server, &asking(&[])).await;
    let mut alice = Person::new();
    alice.ask(&server, &asking(&[])).await;
    let before = alice.cookie.clone();
    let seen = alice
        .send_password(&server, &page, "alice", "correct horse")
        .await;
    assert_eq!(seen.status, 403);
    assert_eq!(alice.cookie, before);
}

/// The client that a browser is sent back to is handed the cookies of this host, whatever its port.
#[tokio::test]
async fn a_stolen_cookie_opens_nothing() {
    let server = Server::start().await;
    let mut alice = Person::new();
    let page = alice.consent_page(&server, &asking(&[])).await;
    let mut thief = Person {
        cookie: alice.cookie.clone(),
    };
    let other = asking(&[("scope", "inventory:read task:capacity-review")]);
    let seen = thief.ask(&server, &other).await;
    assert!(seen.text.contains("name=\"password\""), "{}", seen.text);
    let (request, own) = (seen.field("request"), seen.field("ticket"));
    let form = [
        ("request", request.as_str()),
        ("ticket", &own),
        ("subject", "alice"),
        ("task", "capacity-review"),
        ("decision", "allow"),
    ];
    let seen = thief.send(&server, "/consent", &form).await;
    assert_eq!((seen.status, seen.location), (403, None));
    let seen = alice.decide(&server, &page, "node-health", "allow").await;
    assert_eq!(seen.status, 303, "hers still works");
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_not_ours() {
    let server = Server::start().await;
    let port = server.base.rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost:{port}"),
    ] {
        let request = server.http.get(server.url("/jwks")).header("host", &host);
        assert_eq!(
            request.send().await.unwrap().status().as_u16(),
            421,
            "{host}"
        );
    }
}

#[tokio::test]
async fn passwords_cannot_be_guessed_at_leisure() {
    let server = Server::start().await;
    let mut guesser = Person::new();
    let mut page = guesser.ask(&server, &asking(&[])).await;
    let mut seen = Vec::new();
    for _ in 0..12 {
        page = guesser
            .send_password(&server, &page, "alice", "guess")
            .await;
        seen.push(page.status);
    }
    assert_eq!(seen, [vec![403; 10], vec![429; 2]].concat());
    let right = guesser
        .send_password(&server, &page, "alice", "correct horse")
        .await;
    assert_eq!(
        right.status, 429,
        "not even the right one, or it could be told from a wrong one"
    );
    server.clock.push(61);
    assert_eq!(
        guesser
            .send_password(&server, &page, "alice", "correct horse")
            .await
            .status,
        200
    );
    for (name, password) in [
        ("nobody", ""),
        ("", ""),
        ("alice", ""),
        ("Alice", "correct horse"),
    ] {
        let mut person = Person::new();
        let page = person.ask(&server, &asking(&[])).await;
        assert_eq!(
            person
                .send_password(&server, &page, name, password)
                .await
                .status,
            403,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_client_registers_itself_for_this_machine_alone() {
    let server = Server::start().await;
    for uris in [
        json!(["https://evil.example/callback"]),
        json!([CALLBACK, "https://evil.example/callback"]),
        json!(["http://127.0.0.1@evil.example/"]),
        json!(["javascript:alert(1)"]),
        json!([]),
    ] {
        let (status, seen) = server.register(&json!({"redirect_uris": uris})).await;
        assert_eq!(
            (status, &seen["error"]),
            (400, &json!("invalid_redirect_uri")),
            "{uris}"
        );
    }
    let (status, _) = server
        .register(&json!({"redirect_uris": [CALLBACK], "client_name": "x".repeat(40_000)}))
        .await;
    assert_eq!(status, 413);
    let (status, made) = server
        .register(&json!({
            "client_name": "Agent", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
            "response_types": ["code"], "scope": "telemetry:read openid",
        }))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made.get("scope"), None);
    let id = made["client_id"].as_str().unwrap();
    let code = Person::new()
        .code(&server, &asking(&[("client_id", id)]))
        .await;
    let (status, tokens) = server.redeem(id, &code).await;
    assert_eq!(status, 200, "{tokens}");
    assert!(tokens["refresh_token"].is_string());
}

#[tokio::test]
async fn a_loopback_redirect_without_a_port_fits_any() {
    let server = Server::start().await;
    let asked = ["http://127.0.0.1/callback", "http://[::1]"];
    let (status, made) = server.register(&json!({"redirect_uris": asked})).await;
    // and who does not ask for a secret gets none
    assert_eq!(made["token_endpoint_auth_method"], "none");
    assert_eq!(made.get("client_secret"), None);
    assert_eq!((status, &made["redirect_uris"]), (201, &json!(asked)));
    let id = made["client_id"].as_str().unwrap();
    for (redirect, status) in [
        ("http://127.0.0.1:50123/callback", 200),
        ("http://127.0.0.1/callback", 200),
        ("http://[::1]:4711", 200),
        ("http://127.0.0.1:50123/elsewhere", 400),
        ("http://localhost:50123/callback", 400),
        ("http://127.0.0.1.evil.example:80/callback", 400),
    ] {
        let asking = asking(&[("client_id", id), ("redirect_uri", redirect)]);
        let seen = Person::new().ask(&server, &asking).await;
        assert_eq!(seen.status, status, "{redirect}");
    }
}

#[tokio::test]
async fn a_client_with_a_secret_must_show_it() {
    let server = Server::start().await;
    let (_, made) = server.register(&json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"})).await;
    let (id, secret) = (
        made["client_id"].as_str().unwrap(),
        made["client_secret"].as_str().unwrap(),
    );
    let code = Person::new()
        .code(&server, &asking(&[("client_id", id)]))
        .await;
    assert_eq!(server.redeem(id, &code).await.0, 400);
    let form = [
        &super::support::redemption(id, &code)[..],
        &[("client_secret", secret)],
    ]
    .concat();
    assert_eq!(server.post("/token", &form).await.0, 200);
}

#[tokio::test]
async fn many_registrations_do_not_push_out_a_client_in_use() {
    let server = Server::start().await;
    let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let (_, first) = server.register(&metadata).await;
    let id = first["client_id"].as_str().unwrap();
    let code = Person::new()
        .code(&server, &asking(&[("client_id", id)]))
        .await;
    let (_, tokens) = server.redeem(id, &code).await;
    let mut last = json!(null);
    // more than there are places, and fewer than may register in a minute
    for _ in 0..50 {
        last = server.register(&metadata).await.1;
    }
    assert!(last["client_id"].is_string(), "{last}");
    assert!(server.is_active(&tokens["access_token"]).await);
    let asked = Person::new()
        .ask(&server, &asking(&[("client_id", id)]))
        .await;
    assert_eq!(asked.status, 200, "still known");
}

#[tokio::test]
async fn a_clients_name_stays_text() {
    let server = Server::start().await;
    let name = "</strong><script>alert(1)</script>\u{202e}\u{1b}[2J\" onload=\"x";
    let (_, made) = server.register(&json!({"redirect_uris": [CALLBACK], "client_name": name, "token_endpoint_auth_method": "none"})).await;
    let id = made["client_id"].as_str().unwrap();
    let mut alice = Person::new();
    let sign_in = alice.ask(&server, &asking(&[("client_id", id)])).await;
    let consent = alice.sign_in(&server, &sign_in).await;
    for page in [&sign_in, &consent] {
        assert!(
            page.text.contains("&lt;script&gt;alert(1)"),
            "{}",
            page.text
        );
        for bad in ["<script", "\u{202e}", "\u{1b}", "\" onload"] {
            assert!(!page.text.contains(bad), "{bad:?}: {}", page.text);
        }
    }
    let error = Person::new()
        .ask(
            &server,
            &asking(&[("client_id", "<script>alert(1)</script>")]),
        )
        .await;
    assert!(!error.text.contains("<script"), "{}", error.text);
    let state = Person::new()
        .ask(
            &server,
            &asking(&[("state", "\"><script>alert(1)</script>")]),
        )
        .await;
    assert!(!state.text.contains("<script"), "{}", state.text);
}

/// A web server with a certificate of its own that answers every request with one document.
pub(super) async fn documents(make: impl Fn(u16) -> String + Send + 'static) -> (u16, Vec<u8>) {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap();
    let certificate = certified.cert.der().to_vec();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificate.clone())];
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_err() {
                continue;
            }
            let answer = make(port);
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    (port, certificate)
}

pub(super) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn document(port: u16) -> Value {
    json!({
        "client_id": format!("https://localhost:{port}/client.json"), "client_name": "Metadata Agent",
        "redirect_uris": [CALLBACK, "https://evil.example/callback"], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"], "scope": "openid",
    })
}

#[tokio::test]
async fn a_metadata_document_is_a_client_where_loopback_is_allowed() {
    let (port, certificate) = documents(|port| ok(&document(port).to_string())).await;
    let server = Server::start_with(|settings| {
        settings.allow_loopback_cimd = true;
        settings.cimd_roots = vec![certificate];
    })
    .await;
    let id = format!("https://localhost:{port}/client.json");
    let mut alice = Person::new();
    let page = alice
        .consent_page(&server, &asking(&[("client_id", &id)]))
        .await;
    assert!(page.text.contains("Metadata Agent"), "{}", page.text);
    let seen = alice.decide(&server, &page, "node-health", "allow").await;
    let (status, tokens) = server.redeem(&id, &seen.answered("code").unwrap()).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(claims(&tokens)["client_id"], json!(id));
    let elsewhere = asking(&[
        ("client_id", &id),
        ("redirect_uri", "https://evil.example/callback"),
    ]);
    assert_eq!(
        Person::new().ask(&server, &elsewhere).await.status,
        400,
        "not its own origin, not this machine"
    );
}

#[tokio::test]
async fn documents_that_are_not_in_order_are_no_clients() {
    let elsewhere = |port: u16| {
        let mut other = document(port);
        other["client_id"] = json!("https://other.example/client.json");
        ok(&other.to_string())
    };
    let with_secret = |port: u16| {
        let mut other = document(port);
        other["client_secret"] = json!("x");
        ok(&other.to_string())
    };
    let large = |port: u16| {
        let mut other = document(port);
        other["client_name"] = json!("x".repeat(6000));
        ok(&other.to_string())
    };
    let redirect = |port: u16| {
        format!(
            "HTTP/1.1 302 Found\r\nlocation: https://localhost:{port}/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
    let answers: [Box<dyn Fn(u16) -> String + Send>; 5] = [
        Box::new(elsewhere),
        Box::new(with_secret),
        Box::new(large),
        Box::new(redirect),
        Box::new(|_| ok("[]")),
    ];
    for answer in answers {
        let (port, certificate) = documents(answer).await;
        let server = Server::start_with(|settings| {
            settings.allow_loopback_cimd = true;
            settings.cimd_roots = vec![certificate];
        })
        .await;
        let id = format!("https://localhost:{port}/client.json");
        let seen = Person::new()
            .ask(&server, &asking(&[("client_id", &id)]))
            .await;
        assert_eq!((seen.status, seen.location), (400, None), "{}", seen.text);
    }
}

#[tokio::test]
async fn addresses_of_our_own_are_not_called() {
    let (port, certificate) = documents(|port| ok(&document(port).to_string())).await;
    let server = Server::start_with(|settings| settings.cimd_roots = vec![certificate]).await;
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        "10.0.0.1".to_owned(),
        "169.254.169.254".to_owned(),
        "0x7f000001".to_owned(),
    ] {
        let id = format!("https://{host}/client.json");
        let seen = Person::new()
            .ask(&server, &asking(&[("client_id", &id)]))
            .await;
        assert_eq!(seen.status, 400, "{host}: {}", seen.text);
        assert!(
            seen.text.contains("metadata document cannot be"),
            "{host}: {}",
            seen.text
        );
    }
    let plain = Person::new()
        .ask(
            &server,
            &asking(&[("client_id", "http://127.0.0.1/client.json")]),
        )
        .await;
    assert_eq!(plain.status, 400);
}
