//! What the protocol library noticed, for the log.

use glasshouse_core::text::clean;
use oauth_as::{Event, EventSink};

/// Writes the events that an operator should see. Client ids are strangers' text.
pub(crate) struct EventLog;

impl EventSink for EventLog {
    fn on_event(&self, event: Event<'_>) {
        match event {
            Event::RefreshTokenReuseDetected {
                client_id,
                containment_failed,
                ..
            } => tracing::warn!(
                client = clean(client_id),
                containment_failed,
                "A refresh token was used twice; everything of its grant was revoked."
            ),
            Event::AuthorizationCodeReplayDetected {
                client_id,
                containment_failed,
                ..
            } => tracing::warn!(
                client = clean(client_id),
                containment_failed,
                "An authorization code was used twice; the tokens made from it were revoked."
            ),
            Event::TokenIssued {
                client_id,
                subject,
                scope,
                ..
            } => tracing::info!(
                client = clean(client_id), subject, %scope,
                "A token was issued."
            ),
            Event::TokenRevoked { client_id, .. } => {
                tracing::info!(client = clean(client_id), "A token was revoked.");
            }
            Event::ClientRegistered { client_id } => {
                tracing::info!(client = clean(client_id), "A client registered itself.");
            }
            Event::ClientAuthenticationFailed { client_id, failure } => {
                tracing::debug!(
                    client = clean(client_id),
                    ?failure,
                    "A client did not prove who it is."
                );
            }
            _ => {}
        }
    }
}
