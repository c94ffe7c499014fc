//! What the resource says about itself (RFC 9728).

use glasshouse_core::access::SCOPES;
use serde_json::{Value, json};

use crate::settings::AuthSettings;

/// The protected resource's metadata document. Tasks are not among its scopes: clients ask for everything that is
/// listed, and a token carries one task.
#[must_use]
pub fn resource_metadata(settings: &AuthSettings, resource_name: &str) -> Value {
    let issuers: Vec<&str> = settings
        .issuers
        .iter()
        .map(|issuer| issuer.issuer.as_str())
        .collect();
    json!({
        "resource": settings.audience,
        "authorization_servers": issuers,
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": resource_name,
    })
}
