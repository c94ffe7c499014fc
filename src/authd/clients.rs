//! Clients that nobody configured: those that register themselves, and those that name a metadata document.
//!
//! Both are strangers. There are few of them, and one that a person is looking at, or has let in, is not pushed out by
//! new ones. Nobody is pushed out before the new one is known to be in order.

use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::text::clean;
use glasshouse_core::time::BootTime;
use oauth_as::cimd::{CimdPolicy, ClientIdUrl, ValidatedClientIdDocument};
use oauth_as::registration::{ClientInformation, ClientMetadata, RegistrationFailure};
use oauth_as::store::{RevocationWindow, Storage as _};
use oauth_as::{Client, ClientId, GrantType, ScopeSet};
use reqwest::Url;

use crate::book::{Book, NoRoom, Origin};
use crate::cimd::{DocumentFailure, Documents};
use crate::protocol::Server;
use crate::settings::is_loopback;
use crate::wall_clock::WallClock;

/// How long what was on its way to a client that gave way is still refused: longer than a code or a token lives.
const FAREWELL: Duration = Duration::from_secs(600);

/// Why a client is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientRefusal {
    /// It would be sent back to another machine.
    #[error(
        "every redirect_uri of a client that registers itself must be http on 127.0.0.1, [::1] or localhost"
    )]
    NotLoopback,
    /// All places are taken by clients that are in use.
    #[error("there is no room for another client; try again later")]
    Full,
    /// The protocol library does not take it.
    #[error("the client's metadata is not acceptable")]
    Metadata(#[source] RegistrationFailure),
    /// A page elsewhere has its document asked for, beside its own content.
    #[error(
        "a client's metadata document is fetched for a page that a person opens, and for nothing inside another"
    )]
    NotOpened,
    /// Its document cannot be had.
    #[error("the client's metadata document cannot be used")]
    Document(#[source] DocumentFailure),
}

/// The book of those clients.
pub(crate) struct Clients {
    server: Arc<Server>,
    catalogue: ScopeSet,
    documents: Documents,
    clock: WallClock,
    book: tokio::sync::Mutex<Book>,
}

impl Clients {
    pub(crate) fn new(
        server: Arc<Server>,
        catalogue: ScopeSet,
        documents: Documents,
        clock: WallClock,
    ) -> Self {
        Self {
            server,
            catalogue,
            documents,
            clock,
            book: tokio::sync::Mutex::default(),
        }
    }

    /// Registers a client (RFC 7591). Whatever it asked for, it may ask for the whole catalogue later; the person
    /// decides then.
    pub(crate) async fn register(
        &self,
        mut asked: ClientMetadata,
        now: BootTime,
    ) -> Result<ClientInformation, ClientRefusal> {
        if asked.redirect_uris.is_empty()
            || !asked
                .redirect_uris
                .iter()
                .all(|uri| is_loopback_redirect(uri))
        {
            return Err(ClientRefusal::NotLoopback);
        }
        let named = asked.redirect_uris.clone();
        asked.redirect_uris = with_any_port(&named);
        // Who says nothing gets no secret. A program on somebody's machine cannot keep one, and some send one that they
        // were given together with their id, which is refused as two ways to authenticate.
        asked
            .token_endpoint_auth_method
            .get_or_insert_with(|| "none".to_owned());
        asked.client_name = asked.client_name.as_deref().map(clean);
        asked.scope = Some(self.catalogue.to_string());
        asked.grant_types = Some(both_grants().iter().map(ToString::to_string).collect());
        asked.response_types = None;
        let mut book = self.book.lock().await;
        let leaving = self.who_gives_way(&book, "", Origin::Registered, now)?;
        let mut made = self
            .server
            .register_dynamic_client(&asked, None)
            .await
            .map_err(ClientRefusal::Metadata)?;
        self.part_with(&mut book, leaving).await?;
        // The tasks are in the catalogue, and a client that asks for all it is told of would ask for all of them.
        made.metadata.scope = None;
        made.metadata.redirect_uris = named;
        book.add(made.client_id.clone(), Origin::Registered);
        Ok(made)
    }

    /// Sees to it that a client that names a metadata document is known. `is_opened`: for a page that a person opens;
    /// for anything else nothing is fetched.
    pub(crate) async fn look_up(
        &self,
        id: &str,
        is_opened: bool,
        now: BootTime,
    ) -> Result<(), ClientRefusal> {
        let mut policy = CimdPolicy::new();
        policy.allow_loopback = self.documents.allow_loopback();
        // Checked below instead, where loopback redirects are let through.
        policy.redirect_uris_same_origin = false;
        let refused = |error| ClientRefusal::Document(DocumentFailure::Refused(error));
        let url = ClientIdUrl::parse(id, &policy).map_err(refused)?;
        if self.book.lock().await.is_fresh(id, now) {
            return Ok(());
        }
        if !is_opened {
            return Err(ClientRefusal::NotOpened);
        }
        let body = self
            .documents
            .fetch(&url, now)
            .await
            .map_err(ClientRefusal::Document)?;
        let body =
            without_wishes(&body).ok_or(ClientRefusal::Document(DocumentFailure::NotJson))?;
        let document =
            ValidatedClientIdDocument::validate(&url, &body, &policy).map_err(refused)?;
        let client = self
            .of_document(&document, id)
            .ok_or(ClientRefusal::NotLoopback)?;
        let origin = Origin::Document { fetched: now };
        let mut book = self.book.lock().await;
        let leaving = self.who_gives_way(&book, id, origin, now)?;
        self.server
            .store()
            .put_client(client)
            .await
            .map_err(|_| ClientRefusal::Full)?;
        self.part_with(&mut book, leaving).await?;
        book.add(id.to_owned(), origin);
        Ok(())
    }

    /// A person is shown a page about this client, or decides: it is not pushed out meanwhile.
    pub(crate) async fn hold(&self, id: &str, now: BootTime) {
        self.book.lock().await.hold(id, now);
    }

    fn of_document(&self, document: &ValidatedClientIdDocument, id: &str) -> Option<Client> {
        let origin = Url::parse(id).ok()?.origin();
        let mut client = document.to_client();
        client.redirect_uris.retain(|uri| {
            let same = Url::parse(uri).is_ok_and(|uri| uri.origin() == origin);
            same || is_loopback_redirect(uri)
        });
        client.redirect_uris = with_any_port(&client.redirect_uris);
        client.grant_types = both_grants().to_vec();
        client.allowed_scopes = self.catalogue.clone();
        client.name = client.name.as_deref().map(clean);
        (!client.redirect_uris.is_empty()).then_some(client)
    }

    fn who_gives_way(
        &self,
        book: &Book,
        id: &str,
        origin: Origin,
        now: BootTime,
    ) -> Result<Option<String>, ClientRefusal> {
        let with_grants = self
            .server
            .store()
            .clients_with_grants(self.clock.system_time());
        book.gives_way(id, origin, now, &with_grants)
            .map_err(|NoRoom| ClientRefusal::Full)
    }

    /// Forgets a client; a code that is still on its way to it dies with it.
    async fn part_with(
        &self,
        book: &mut Book,
        leaving: Option<String>,
    ) -> Result<(), ClientRefusal> {
        let Some(leaving) = leaving else {
            return Ok(());
        };
        book.remove(&leaving);
        let now = self.clock.system_time();
        let window = RevocationWindow {
            recorded_at: now,
            until: now.checked_add(FAREWELL).unwrap_or(now),
        };
        let gone = self
            .server
            .store()
            .delete_client(&ClientId::new(leaving), window)
            .await;
        gone.map(drop).map_err(|_| ClientRefusal::Full)
    }
}

const fn both_grants() -> [GrantType; 2] {
    [GrantType::AuthorizationCode, GrantType::RefreshToken]
}

/// Whether a redirect stays on this machine: plain http to a loopback literal or `localhost`, nothing hidden in it.
pub(crate) fn is_loopback_redirect(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| {
        let plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        url.scheme() == "http" && plain && is_loopback(&url)
    })
}

/// The redirects with a twin for each that names a loopback address and no port.
///
/// A native client takes whatever port is free, so a loopback redirect fits any (RFC 8252 section 7.3). The library
/// applies that rule only to a registered redirect that has a port; the twin gives it one.
pub(crate) fn with_any_port(redirects: &[String]) -> Vec<String> {
    let twin = |uri: &String| {
        let after = ["http://127.0.0.1", "http://[::1]"]
            .into_iter()
            .find_map(|host| uri.strip_prefix(host).map(|after| (host, after)));
        let (host, after) = after?;
        (after.is_empty() || after.starts_with('/')).then(|| format!("{host}:80{after}"))
    };
    let twins = redirects.iter().filter_map(twin);
    redirects.iter().cloned().chain(twins).collect()
}

/// A document without the grants and scopes that its client would like: it gets ours, and should not be turned away
/// for having others elsewhere.
fn without_wishes(body: &[u8]) -> Option<Vec<u8>> {
    let mut document: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).ok()?;
    for wish in ["grant_types", "response_types", "scope"] {
        document.remove(wish);
    }
    serde_json::to_vec(&document).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_this_machine() {
        for (uri, expected) in [
            ("http://127.0.0.1/callback", true),
            ("http://127.0.0.1:4711/callback", true),
            ("http://127.8.8.8:4711/", true),
            ("http://[::1]:4711/callback", true),
            ("http://localhost:4711/callback", true),
            ("https://127.0.0.1/callback", false),
            ("http://localhost.example/callback", false),
            ("http://127.0.0.1.example/callback", false),
            ("http://127.0.0.1@evil.example/", false),
            ("http://user@127.0.0.1/", false),
            ("http://127.0.0.1/#x", false),
            ("https://evil.example/callback", false),
            ("javascript:alert(1)", false),
            ("cursor://callback", false),
            ("", false),
        ] {
            assert_eq!(is_loopback_redirect(uri), expected, "{uri}");
        }
    }
}
