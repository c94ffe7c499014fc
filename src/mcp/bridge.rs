//! The stdio bridge: a local client's way to a face over HTTP. It signs in like any client and reads nothing itself.

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
    /// Not built yet.
    #[error("the bridge to `{url}` failed")]
    Failed {
        /// The URL of `/mcp`.
        url: String,
    },
}

/// Serves MCP on stdin and stdout until stdin ends, passing every request on to [`BridgeSettings::url`].
///
/// # Errors
/// [`BridgeError`] where signing in or connecting fails.
pub async fn bridge(settings: BridgeSettings) -> Result<(), BridgeError> {
    Err(BridgeError::Failed { url: settings.url })
}
