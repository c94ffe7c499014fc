//! `oauth-as`, set up: what is on, for how long, and what the metadata may promise.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oauth_as::jwt::{AccessTokenFormat, JwtConfig};
use oauth_as::rate_limit::{FixedWindowRateLimiter, RateLimitConfig};
use oauth_as::registration::{
    RegistrationAttempt, RegistrationConfig, RegistrationDecision, RegistrationPolicy,
};
use oauth_as::server::{AuthorizationServer, ResourceServerRegistration, ServerConfig};
use oauth_as::store::Storage as _;
use oauth_as::{
    AuthorizationService, Client, ClientAuth, ClientId, GrantType, ScopeSet, SecretHash,
    ServiceBuilder,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::clients::with_any_port;
use crate::events::EventLog;
use crate::key;
use crate::settings::{ACCESS_TOKEN_LIFE_MOST, AuthdError, AuthdSettings};
use crate::store::BoundedStore;
use crate::wall_clock::WallClock;

/// How long a code waits to be redeemed: a redirect to this machine takes a second.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// What a resource server may ask in a minute: a question every four seconds about each of thousands of tokens.
const INTROSPECTIONS_MOST: u64 = 600_000;

/// The protocol's state machines over our store and clock.
pub(crate) type Server = AuthorizationServer<BoundedStore, WallClock>;

/// The protocol, set up.
pub(crate) struct Protocol {
    /// For the flow that our pages stand in.
    pub(crate) server: Arc<Server>,
    /// For the endpoints that clients call.
    pub(crate) service: AuthorizationService<BoundedStore, WallClock>,
    /// The RFC 8414 document.
    pub(crate) metadata: Bytes,
    /// What any client may ask for at most.
    pub(crate) catalogue: ScopeSet,
}

/// Sets the protocol up.
///
/// # Errors
/// [`AuthdError`] for the key, and for settings that `oauth-as` does not take.
pub(crate) async fn set_up(
    settings: &AuthdSettings,
    clock: WallClock,
) -> Result<Protocol, AuthdError> {
    let catalogue =
        ScopeSet::from_tokens(settings.catalogue()).map_err(|word| AuthdError::Word {
            text: word.0,
            what: "a scope",
        })?;
    let config = configure(settings, &catalogue)?;
    let store = BoundedStore::new(settings.refresh_token_ttl);
    let limits =
        settings
            .resource_servers
            .iter()
            .fold(RateLimitConfig::default(), |limits, (id, _)| {
                limits.with_client_authentication_capacity_for(id.as_str(), INTROSPECTIONS_MOST)
            });
    let server = AuthorizationServer::with_clock(config, store, clock)
        .with_event_sink(Box::new(EventLog))
        .with_rate_limiter(Box::new(FixedWindowRateLimiter::with_config(limits)))
        .with_registration_policy(Box::new(AnyClient));
    let server = Arc::new(server);
    add_clients(&server, settings, &catalogue).await?;
    let metadata = metadata(&server)?;
    let service = ServiceBuilder::new(Arc::clone(&server))
        .build()
        .map_err(|error| AuthdError::Protocol {
            problem: error.to_string(),
        })?;
    Ok(Protocol {
        server,
        service,
        metadata,
        catalogue,
    })
}

fn configure(settings: &AuthdSettings, catalogue: &ScopeSet) -> Result<ServerConfig, AuthdError> {
    let key = key::load_or_create(&settings.key_dir)?;
    let issuer = &settings.issuer;
    let mut config = ServerConfig::new(issuer.as_str(), format!("{issuer}/device"));
    config.introspection_endpoint = Some(format!("{issuer}/introspect"));
    config.scopes_supported = Some(settings.scopes.clone());
    config.allowed_resources = Some(Box::new([settings.resource.as_str().into()]));
    config.protected_resources = Some(vec![settings.resource.clone()]);
    let servers = settings.resource_servers.iter().map(|(id, _)| {
        ResourceServerRegistration::new(ClientId::new(id.as_str()), [settings.resource.as_str()])
    });
    config.resource_servers = Some(servers.collect());
    let jwt =
        JwtConfig::new(key, settings.resource.as_str()).with_jwks_uri(format!("{issuer}/jwks"));
    config.access_token_format = AccessTokenFormat::Jwt(Box::new(jwt));
    config.authorization_code_ttl = CODE_LIFE;
    config.access_token_ttl = settings.access_token_ttl.min(ACCESS_TOKEN_LIFE_MOST);
    config.refresh_token_ttl = Some(settings.refresh_token_ttl);
    config.refresh_reuse_window = settings.refresh_token_ttl;
    let mut registration = RegistrationConfig::new();
    registration.allowed_scopes = catalogue.clone();
    registration.management_enabled = false;
    config.registration = Some(Box::new(registration));
    config.cimd = Some(Box::default());
    Ok(config)
}

/// Our own registration endpoint has looked at the client before the library does.
struct AnyClient;

impl RegistrationPolicy for AnyClient {
    fn authorize(&self, _: &RegistrationAttempt<'_>) -> RegistrationDecision {
        RegistrationDecision::Allow
    }
}

async fn add_clients(
    server: &Server,
    settings: &AuthdSettings,
    catalogue: &ScopeSet,
) -> Result<(), AuthdError> {
    let configured = settings.clients.iter().map(|client| Client {
        client_id: ClientId::new(client.id.as_str()),
        auth: client.secret.as_ref().map_or(ClientAuth::Public, hashed),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: with_any_port(&client.redirect_uris),
        allowed_scopes: catalogue.clone(),
        default_scopes: ScopeSet::empty(),
        name: Some(client.name.clone()),
        registration: None,
    });
    let resource_servers = settings.resource_servers.iter().map(|(id, secret)| Client {
        client_id: ClientId::new(id.as_str()),
        auth: hashed(secret),
        grant_types: Vec::new(),
        redirect_uris: Vec::new(),
        allowed_scopes: ScopeSet::empty(),
        default_scopes: ScopeSet::empty(),
        name: None,
        registration: None,
    });
    for client in configured.chain(resource_servers) {
        server
            .store()
            .put_client(client)
            .await
            .map_err(|error| AuthdError::Protocol {
                problem: error.to_string(),
            })?;
    }
    Ok(())
}

fn hashed(secret: &SecretString) -> ClientAuth {
    ClientAuth::ConfidentialSecretHash {
        hash: SecretHash::sha256(secret.expose_secret()),
    }
}

/// The library's document, less what is not served here.
fn metadata(server: &Server) -> Result<Bytes, AuthdError> {
    let failed = |error: serde_json::Error| AuthdError::Protocol {
        problem: error.to_string(),
    };
    let mut document: HashMap<String, Value> =
        serde_json::from_value(serde_json::to_value(server.metadata()).map_err(failed)?)
            .map_err(failed)?;
    document.remove("device_authorization_endpoint");
    document.insert(
        "grant_types_supported".to_owned(),
        json!(["authorization_code", "refresh_token"]),
    );
    serde_json::to_vec(&document)
        .map(Bytes::from)
        .map_err(failed)
}
