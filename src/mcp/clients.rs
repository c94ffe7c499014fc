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
