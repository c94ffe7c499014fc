//! Signing in as a public client: metadata, registration, authorization with PKCE, redirect to loopback.

use std::io::Write as _;
use std::time::Duration;

use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationRequest, AuthorizationSession,
};

use super::callback::Callback;
use super::{Ask, BridgeError, BridgeSettings};

/// How long a person may take to sign in and consent.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Signs in for what a challenge asks, and gives the manager that holds and renews the token.
pub(crate) async fn sign_in(
    settings: &BridgeSettings,
    ask: Ask,
    challenge: &str,
) -> Result<AuthorizationManager, BridgeError> {
    let failed = |source| BridgeError::SignIn {
        url: settings.url.clone(),
        source: Box::new(source),
    };
    let callback = Callback::open(settings.redirect_port).await?;
    let session = begin(settings, challenge, callback.uri())
        .await
        .map_err(failed)?;
    let url = session.get_authorization_url().to_owned();
    let state = state_of(&url)
        .ok_or_else(|| failed(AuthError::InternalError("the URL has no state".to_owned())))?;
    ask(&url);
    let redirected = tokio::time::timeout(PATIENCE, callback.wait_for(&state))
        .await
        .map_err(|_| BridgeError::NobodySignedIn {
            url: settings.url.clone(),
            minutes: PATIENCE.as_secs() / 60,
        })?;
    session
        .handle_callback_url(&redirected)
        .await
        .map_err(failed)?;
    Ok(session.auth_manager)
}

async fn begin(
    settings: &BridgeSettings,
    challenge: &str,
    redirect_uri: String,
) -> Result<AuthorizationSession, AuthError> {
    // faces stand in private networks; the person chose this URL
    let mut manager =
        AuthorizationManager::new_allowing_private_addresses(settings.url.as_str()).await?;
    let found = manager
        .resolve_metadata_from_challenge(Some(challenge))
        .await?;
    manager.set_metadata(found.metadata);
    let mut request = AuthorizationRequest::new(redirect_uri)
        .with_initial_scope_selection()
        .with_client_name("Glasshouse bridge")
        .with_application_type("native");
    if let Some(client_id) = &settings.client_id {
        request = request.with_preregistered_client(client_id);
    }
    AuthorizationSession::new(manager, request)
        .await
        .map_err(|(_, error)| error)
}

/// stdout belongs to the protocol, so people are told on stderr.
pub(crate) fn ask_the_person(url: &str) {
    let mut stderr = std::io::stderr().lock();
    if writeln!(stderr, "Open this page to sign in:\n\n  {url}\n").is_err() {
        tracing::warn!("The URL of the sign-in could not be shown, because stderr is closed.");
    }
}

/// `state` of the authorization URL; it is made of characters that a URL leaves as they are.
fn state_of(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == "state")
        .map(|(_, value)| value.to_owned())
}
