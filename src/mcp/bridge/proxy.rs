//! Requests of the local client, passed on with the bridge's token.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientConfig, CompleteRequestParams, CompleteResult,
    ErrorData, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, RequestContext, RunningService, ServiceError,
    serve_client_with_lifecycle,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthError, AuthorizationManager};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{Peer, RoleClient, RoleServer, ServerHandler};
use tokio::sync::Mutex;

use super::sign_in::sign_in;
use super::{Ask, BridgeError, BridgeSettings};

/// How long the face may take to answer one request; longer than its own deadline.
const DEADLINE: Duration = Duration::from_secs(60);
/// Sign-ins for one request at most: one for a token that ended, one for a scope that it lacks.
const MOST_SIGN_INS: usize = 2;
/// The largest answer; two forms of 10,000 tokens each are far below it.
const LARGEST_ANSWER: usize = 1024 * 1024;

type Connection = RunningService<RoleClient, ClientConfig>;

/// The bridge's side towards the local client.
pub(crate) struct Proxy {
    settings: BridgeSettings,
    ask: Ask,
    link: Mutex<Link>,
    info: ServerConfig,
}

/// The connection to the face and the token that it was made with.
struct Link {
    manager: Option<AuthorizationManager>,
    token: Option<String>,
    connection: Option<Connection>,
}

/// Why there is no connection.
enum Broken {
    /// The face wants a token, or a better one.
    Challenge(String),
    Error(BridgeError),
}

impl Proxy {
    /// Connects, signing in where the face asks for it.
    pub(crate) async fn connect(settings: BridgeSettings, ask: Ask) -> Result<Self, BridgeError> {
        let mut link = Link {
            manager: None,
            token: None,
            connection: None,
        };
        let peer = link.peer(&settings, ask).await?;
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
            .with_server_info(Implementation::new("glasshouse", env!("CARGO_PKG_VERSION")));
        if let Some(instructions) = peer.peer_info().and_then(|info| info.instructions.clone()) {
            info = info.with_instructions(instructions);
        }
        Ok(Self {
            settings,
            ask,
            link: Mutex::new(link),
            info,
        })
    }

    /// Makes one request, and makes it again after a sign-in where the face answers with a challenge.
    async fn pass<T, F>(&self, request: impl Fn(Peer<RoleClient>) -> F) -> Result<T, ErrorData>
    where
        F: Future<Output = Result<T, ServiceError>>,
    {
        for _ in 0..MOST_SIGN_INS {
            let peer = self.link.lock().await.peer(&self.settings, self.ask).await;
            let peer = peer.map_err(|error| internal(&error))?;
            let answered = tokio::time::timeout(DEADLINE, request(peer)).await;
            let error = match answered {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(ServiceError::McpError(error))) => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(ErrorData::internal_error(
                        "the face did not answer in time",
                        None,
                    ));
                }
            };
            let Some(challenge) = error.auth_challenge().map(str::to_owned) else {
                self.link.lock().await.connection = None;
                return Err(internal(&error));
            };
            let signed = self
                .link
                .lock()
                .await
                .sign_in(&self.settings, self.ask, &challenge)
                .await;
            signed.map_err(|error| internal(&error))?;
        }
        Err(ErrorData::internal_error(
            "the face asks to sign in again and again",
            None,
        ))
    }
}

impl Link {
    /// The connection, made anew where there is none or its token was renewed.
    async fn peer(
        &mut self,
        settings: &BridgeSettings,
        ask: Ask,
    ) -> Result<Peer<RoleClient>, BridgeError> {
        for _ in 0..=MOST_SIGN_INS {
            self.renew(settings).await?;
            if let Some(connection) = &self.connection
                && !connection.is_closed()
            {
                return Ok(connection.peer().clone());
            }
            match connect(settings, self.token.as_deref()).await {
                Ok(connection) => self.connection = Some(connection),
                Err(Broken::Challenge(challenge)) => {
                    self.sign_in(settings, ask, &challenge).await?
                }
                Err(Broken::Error(error)) => return Err(error),
            }
        }
        Err(BridgeError::Connect {
            url: settings.url.clone(),
            detail: "the face asks to sign in again and again".to_owned(),
        })
    }

    /// Takes the token that the manager has now; another one than before needs a new connection.
    async fn renew(&mut self, settings: &BridgeSettings) -> Result<(), BridgeError> {
        let Some(manager) = &self.manager else {
            return Ok(());
        };
        let token = match manager.get_access_token().await {
            Ok(token) => Some(token),
            // without one the face answers with a challenge
            Err(AuthError::AuthorizationRequired) => None,
            Err(source) => {
                return Err(BridgeError::SignIn {
                    url: settings.url.clone(),
                    source: Box::new(source),
                });
            }
        };
        if token != self.token {
            self.token = token;
            self.connection = None;
        }
        Ok(())
    }

    async fn sign_in(
        &mut self,
        settings: &BridgeSettings,
        ask: Ask,
        challenge: &str,
    ) -> Result<(), BridgeError> {
        self.manager = Some(sign_in(settings, ask, challenge).await?);
        self.connection = None;
        Ok(())
    }
}

async fn connect(settings: &BridgeSettings, token: Option<&str>) -> Result<Connection, Broken> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(settings.url.as_str())
        .max_json_response_size(LARGEST_ANSWER)
        .max_sse_event_size(LARGEST_ANSWER);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    let transport = StreamableHttpClientTransport::from_config(config);
    let client = ClientConfig::new(
        rmcp::model::ClientCapabilities::default(),
        Implementation::new("glasshouse-bridge", env!("CARGO_PKG_VERSION")),
    );
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let connecting = serve_client_with_lifecycle(client, transport, lifecycle);
    let failed = |detail: String| {
        Broken::Error(BridgeError::Connect {
            url: settings.url.clone(),
            detail,
        })
    };
    match tokio::time::timeout(DEADLINE, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(match challenge_of(&error) {
            Some(challenge) => Broken::Challenge(challenge),
            None => failed(error.to_string()),
        }),
        Err(_) => Err(failed("it did not answer in time".to_owned())),
    }
}

fn challenge_of(error: &ClientInitializeError) -> Option<String> {
    error.auth_challenge().map(str::to_owned)
}

fn internal(error: &(dyn std::error::Error + 'static)) -> ErrorData {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    ErrorData::internal_error(text, None)
}

impl ServerHandler for Proxy {
    fn get_info(&self) -> ServerConfig {
        self.info.clone()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let request = Arc::new(request);
        self.pass(|peer| {
            let request = Arc::clone(&request);
            async move { peer.list_tools((*request).clone()).await }
        })
        .await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let request = Arc::new(request);
        let result = self
            .pass(|peer| {
                let request = Arc::clone(&request);
                async move { peer.call_tool((*request).clone()).await }
            })
            .await?;
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.pass(|peer| async move { peer.list_prompts(None).await })
            .await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let request = Arc::new(request);
        let result = self
            .pass(|peer| {
                let request = Arc::clone(&request);
                async move { peer.get_prompt((*request).clone()).await }
            })
            .await?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.pass(|peer| async move { peer.list_resources(None).await })
            .await
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.pass(|peer| async move { peer.list_resource_templates(None).await })
            .await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let request = Arc::new(request);
        let result = self
            .pass(|peer| {
                let request = Arc::clone(&request);
                async move { peer.read_resource((*request).clone()).await }
            })
            .await?;
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let request = Arc::new(request);
        self.pass(|peer| {
            let request = Arc::clone(&request);
            async move { peer.complete((*request).clone()).await }
        })
        .await
    }
}
