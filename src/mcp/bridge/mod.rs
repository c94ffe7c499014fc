//! The stdio bridge: a local client's way to a face over HTTP. It signs in like any client and reads nothing itself.
//!
//! What comes over stdin goes to the face with the bridge's own token, and what comes back goes to stdout. The token is
//! kept in memory. A challenge (no token, an expired one, a missing scope) starts the sign-in: the URL to open is
//! printed on stderr, and the browser's redirect comes back to a listener on loopback.

mod callback;
mod proxy;
mod sign_in;

use rmcp::service::ServerInitializeError;
use rmcp::transport::auth::AuthError;
use tokio::io::{AsyncRead, AsyncWrite};

use self::proxy::Proxy;

/// Where the bridge goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeSettings {
    /// The URL of `/mcp`.
    pub url: String,
    /// A client id registered beforehand; without one the bridge registers itself where the issuer allows it.
    pub client_id: Option<String>,
    /// The loopback port of the redirect listener; 0 takes a free one.
    pub redirect_port: u16,
}

/// Why the bridge ended.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The redirect listener could not be opened.
    #[error("failed to listen on loopback port {port} for the redirect of the sign-in")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Signing in failed.
    #[error("failed to sign in for `{url}`")]
    SignIn {
        /// The URL of `/mcp`.
        url: String,
        /// What the issuer or the flow said.
        #[source]
        source: Box<AuthError>,
    },
    /// Nobody finished the sign-in.
    #[error("nobody signed in for `{url}` within {minutes} minutes; start the call again")]
    NobodySignedIn {
        /// The URL of `/mcp`.
        url: String,
        /// How long was waited.
        minutes: u64,
    },
    /// The face does not answer, or does not speak the protocol.
    #[error("failed to connect to `{url}`: {detail}")]
    Connect {
        /// The URL of `/mcp`.
        url: String,
        /// What went wrong.
        detail: String,
    },
    /// The local client did not begin the protocol.
    #[error("the client on stdin did not begin the protocol")]
    Client {
        /// What it did instead.
        #[source]
        source: Box<ServerInitializeError>,
    },
    /// A task of the bridge ended early.
    #[error("the bridge ended early")]
    Ended {
        /// Why.
        #[source]
        source: tokio::task::JoinError,
    },
}

/// Serves MCP on stdin and stdout until stdin ends, passing every request on to [`BridgeSettings::url`].
///
/// # Errors
/// [`BridgeError`] where signing in or connecting fails.
pub async fn bridge(settings: BridgeSettings) -> Result<(), BridgeError> {
    let (input, output) = rmcp::transport::stdio();
    over(settings, sign_in::ask_the_person, input, output).await
}

/// How the URL of a sign-in reaches the person.
pub(crate) type Ask = fn(&str);

/// The bridge over any pair of streams.
pub(crate) async fn over(
    settings: BridgeSettings,
    ask: Ask,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<(), BridgeError> {
    let proxy = Proxy::connect(settings, ask).await?;
    let running = rmcp::serve_server(proxy, (input, output))
        .await
        .map_err(|source| BridgeError::Client {
            source: Box::new(source),
        })?;
    running
        .waiting()
        .await
        .map_err(|source| BridgeError::Ended { source })?;
    Ok(())
}
