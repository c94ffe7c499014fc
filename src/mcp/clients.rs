//! The protocol library's own client against the face, over both revisions, through a real socket.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
};
use rmcp::service::{ClientLifecycleMode, serve_client_with_lifecycle};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;
use tokio::net::TcpListener;

use crate::fakes::Fake;

/// Serves the face on a free port and gives its URL.
async fn serve(fake: &Arc<Fake>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let mut world = fake.world();
    world.settings.resource.clone_from(&url);
    let service = crate::service(world);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let mut service = service.clone();
                    async move { tower_service::Service::call(&mut service, request).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                drop(connection.await);
            });
        }
    });
    url
}

async fn talk(lifecycle: ClientLifecycleMode, version: &str) {
    let fake = Fake::new();
    let url = serve(&fake).await;
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header("health");
    let client = serve_client_with_lifecycle(
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("test", "1"),
        ),
        StreamableHttpClientTransport::from_config(config),
        lifecycle,
    )
    .await
    .unwrap();
    assert_eq!(
        client.peer_info().unwrap().protocol_version.as_str(),
        version
    );
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(
        names,
        ["hardware_inventory", "node_snapshot", "telemetry_health"]
    );
    for name in names {
        let result = client
            .call_tool(CallToolRequestParams::new(name.to_owned()))
            .await
            .unwrap();
        assert_eq!(result.is_error, Some(false), "{name}");
        assert_eq!(result.structured_content.unwrap()["node"]["name"], "web1");
    }
    let mut wrong = CallToolRequestParams::new("node_snapshot");
    wrong.arguments = json!({"nodes": "all"}).as_object().cloned();
    let result = client.call_tool(wrong).await.unwrap();
    assert_eq!(result.is_error, Some(true));
    let result = client
        .call_tool(CallToolRequestParams::new("query_series"))
        .await
        .unwrap();
    let text = serde_json::to_string(&result).unwrap();
    assert!(text.contains("not permitted or not found"), "{text}");
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn a_client_of_the_new_revision_lists_and_calls() {
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    talk(lifecycle, "2026-07-28").await;
}

#[tokio::test]
async fn a_client_of_the_old_revision_lists_and_calls() {
    talk(ClientLifecycleMode::Initialize, "2025-11-25").await;
}

#[tokio::test]
async fn a_client_that_does_not_know_chooses_the_new_revision() {
    let lifecycle = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    talk(lifecycle, "2026-07-28").await;
}

#[tokio::test]
async fn a_challenge_reaches_the_client() {
    let fake = Fake::new();
    let url = serve(&fake).await;
    let error = serve_client_with_lifecycle(
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("test", "1"),
        ),
        StreamableHttpClientTransport::from_config(StreamableHttpClientTransportConfig::with_uri(
            url,
        )),
        ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    )
    .await
    .unwrap_err();
    let challenge = error.auth_challenge().unwrap();
    assert!(challenge.contains("task:node-health"), "{challenge}");
}

mod bridged {
    //! The bridge against the face and a small authorization server, with a browser that consents at once.

    use std::convert::Infallible;
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt as _, Full};
    use hyper::body::Incoming;
    use serde_json::Value;

    use super::*;
    use crate::bridge::{BridgeSettings, over};

    /// Tokens in the order in which they are given: the first lacks a scope.
    const TOKENS: [&str; 2] = ["narrow", "health"];

    fn json_response(body: &Value) -> Response<Full<Bytes>> {
        Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap()
    }

    fn query(request: &Request<Incoming>, key: &str) -> String {
        let pairs = request.uri().query().unwrap_or_default().split('&');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(have, _)| *have == key)
            .map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/"))
            .unwrap_or_default()
    }

    async fn authorization_server(
        request: Request<Incoming>,
        base: String,
        given: Arc<AtomicUsize>,
        asked: Arc<std::sync::Mutex<Vec<String>>>,
    ) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/.well-known/oauth-protected-resource/mcp" => json_response(&json!({
                "resource": format!("{base}/mcp"),
                "authorization_servers": [base],
                "scopes_supported": ["telemetry:read", "inventory:read"],
            })),
            "/.well-known/oauth-authorization-server" => json_response(&json!({
                "issuer": base,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
                "registration_endpoint": format!("{base}/register"),
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            })),
            "/register" => {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let mut body: Value = serde_json::from_slice(&body).unwrap();
                body["client_id"] = "registered".into();
                let mut response = json_response(&body);
                *response.status_mut() = StatusCode::CREATED;
                response
            }
            "/authorize" => {
                assert_eq!(query(&request, "code_challenge_method"), "S256");
                assert_eq!(query(&request, "resource"), format!("{base}/mcp"));
                asked.lock().unwrap().push(query(&request, "scope"));
                let to = query(&request, "redirect_uri");
                let state = query(&request, "state");
                Response::builder()
                    .status(StatusCode::FOUND)
                    .header("location", format!("{to}?code=c&state={state}&iss={base}"))
                    .body(Full::default())
                    .unwrap()
            }
            "/token" => {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                assert!(String::from_utf8_lossy(&body).contains("code_verifier="));
                let number = given.fetch_add(1, Ordering::Relaxed);
                json_response(&json!({
                    "access_token": TOKENS[number], "token_type": "Bearer", "expires_in": 300,
                }))
            }
            _ => Response::builder()
                .status(StatusCode::NOT_FOUND)
                .body(Full::default())
                .unwrap(),
        }
    }

    /// Opens the page and follows its redirect, as a browser does after consent.
    fn browse(url: &str) {
        let url = url.to_owned();
        std::thread::spawn(move || {
            let fetch = |url: &str| -> String {
                let (host, path) = url
                    .strip_prefix("http://")
                    .unwrap()
                    .split_once('/')
                    .unwrap();
                let mut stream = std::net::TcpStream::connect(host).unwrap();
                let head =
                    format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            };
            let answer = fetch(&url);
            let location = answer
                .lines()
                .find_map(|line| line.strip_prefix("location: "));
            let location = location.unwrap();
            // somebody else's redirect does not end the sign-in
            let stray = location.replace("state=", "state=x");
            assert!(fetch(&stray).contains("404"));
            assert!(fetch(location).contains("Signed in"));
        });
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_bridge_signs_in_calls_and_steps_up() {
        let fake = Fake::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut world = fake.world();
        world.settings.resource = format!("{base}/mcp");
        world.settings.resource_metadata =
            format!("{base}/.well-known/oauth-protected-resource/mcp");
        let face = crate::service(world);
        let given = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (base_here, asked_here) = (base.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (face, base) = (face.clone(), base_here.clone());
                let (given, asked) = (Arc::clone(&given), Arc::clone(&asked_here));
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let (mut face, base) = (face.clone(), base.clone());
                    let (given, asked) = (Arc::clone(&given), Arc::clone(&asked));
                    async move {
                        Ok::<_, Infallible>(if request.uri().path() == "/mcp" {
                            tower_service::Service::call(&mut face, request).await?
                        } else {
                            authorization_server(request, base, given, asked)
                                .await
                                .map(|body| body.boxed())
                        })
                    }
                });
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    drop(connection.await);
                });
            }
        });

        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let settings = BridgeSettings {
            url: format!("{base}/mcp"),
            client_id: None,
            redirect_port: 0,
        };
        let bridge = tokio::spawn(over(settings, browse, input, output));
        let client = serve_client_with_lifecycle(
            ClientConfig::new(
                ClientCapabilities::default(),
                Implementation::new("local", "1"),
            ),
            tokio::io::split(ours),
            ClientLifecycleMode::Initialize,
        )
        .await
        .unwrap();
        assert_eq!(client.list_all_tools().await.unwrap().len(), 3);
        let result = client
            .call_tool(CallToolRequestParams::new("node_snapshot"))
            .await
            .unwrap();
        assert_eq!(result.is_error, Some(false));
        // the first token lacks this scope: the bridge signs in again for what the challenge names
        let result = client
            .call_tool(CallToolRequestParams::new("hardware_inventory"))
            .await
            .unwrap();
        assert_eq!(result.is_error, Some(false));
        let scopes = asked.lock().unwrap().clone();
        assert_eq!(scopes.len(), 2);
        assert!(
            scopes[1].contains("inventory%3Aread") || scopes[1].contains("inventory:read"),
            "{scopes:?}"
        );
        assert!(
            scopes
                .iter()
                .all(|scopes| scopes.contains("task") && scopes.contains("node-health"))
        );
        client.cancel().await.unwrap();
        bridge.await.unwrap().unwrap();
    }
}
