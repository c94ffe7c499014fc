//! Clients that nobody configured: those that register themselves, and those that name a metadata document.
//!
//! Both are strangers. There are few of them, and one that a person has consented to is not pushed out by new ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use glasshouse_core::text::clean;
use glasshouse_core::time::BootTime;
use oauth_as::cimd::{CimdPolicy, ClientIdUrl, ValidatedClientIdDocument};
use oauth_as::registration::{ClientInformation, ClientMetadata, RegistrationFailure};
use oauth_as::store::{RevocationWindow, Storage as _};
use oauth_as::{Client, ClientId, GrantType, ScopeSet};
use reqwest::Url;

use crate::cimd::{DocumentFailure, Documents};
use crate::protocol::Server;
use crate::settings::is_loopback;
use crate::wall_clock::WallClock;

/// The most clients that nobody configured.
const CLIENTS_MOST: usize = 128;

/// How long a metadata document counts before it is fetched again.
const DOCUMENT_LIFE: Duration = Duration::from_secs(600);

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
    /// Its document cannot be had.
    #[error("the client's metadata document cannot be used")]
    Document(#[source] DocumentFailure),
}

#[derive(Clone, Copy, Debug)]
struct Known {
    order: u64,
    /// Whether somebody has consented to it.
    in_use: bool,
    /// When its document was fetched; `None` for a client that registered itself.
    fetched: Option<BootTime>,
}

#[derive(Debug, Default)]
struct Book {
    known: BTreeMap<String, Known>,
    next: u64,
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
    ) -> Result<ClientInformation, ClientRefusal> {
        if asked.redirect_uris.is_empty()
            || !asked
                .redirect_uris
                .iter()
                .all(|uri| is_loopback_redirect(uri))
        {
            return Err(ClientRefusal::NotLoopback);
        }
        asked.client_name = asked.client_name.as_deref().map(clean);
        asked.scope = Some(self.catalogue.to_string());
        asked.grant_types = Some(both_grants().iter().map(ToString::to_string).collect());
        asked.response_types = None;
        let mut book = self.book.lock().await;
        self.make_room(&mut book).await?;
        let mut made = self
            .server
            .register_dynamic_client(&asked, None)
            .await
            .map_err(ClientRefusal::Metadata)?;
        // The tasks are in the catalogue, and a client that asks for all it is told of would ask for all of them.
        made.metadata.scope = None;
        book.add(made.client_id.clone(), None);
        Ok(made)
    }

    /// Sees to it that a client that names a metadata document is known.
    pub(crate) async fn look_up(&self, id: &str, now: BootTime) -> Result<(), ClientRefusal> {
        let mut policy = CimdPolicy::new();
        policy.allow_loopback = self.documents.allow_loopback();
        // Checked below instead, where loopback redirects are let through.
        policy.redirect_uris_same_origin = false;
        let refused = |error| ClientRefusal::Document(DocumentFailure::Refused(error));
        let url = ClientIdUrl::parse(id, &policy).map_err(refused)?;
        if self.book.lock().await.is_fresh(id, now) {
            return Ok(());
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
        let mut book = self.book.lock().await;
        if !book.known.contains_key(id) {
            self.make_room(&mut book).await?;
        }
        self.server
            .store()
            .put_client(client)
            .await
            .map_err(|_| ClientRefusal::Full)?;
        book.add(id.to_owned(), Some(now));
        Ok(())
    }

    /// Somebody has consented to this client: it is not pushed out any more.
    pub(crate) async fn keep(&self, id: &str) {
        if let Some(known) = self.book.lock().await.known.get_mut(id) {
            known.in_use = true;
        }
    }

    fn of_document(&self, document: &ValidatedClientIdDocument, id: &str) -> Option<Client> {
        let origin = Url::parse(id).ok()?.origin();
        let mut client = document.to_client();
        client.redirect_uris.retain(|uri| {
            let same = Url::parse(uri).is_ok_and(|uri| uri.origin() == origin);
            same || is_loopback_redirect(uri)
        });
        client.grant_types = both_grants().to_vec();
        client.allowed_scopes = self.catalogue.clone();
        client.name = client.name.as_deref().map(clean);
        (!client.redirect_uris.is_empty()).then_some(client)
    }

    async fn make_room(&self, book: &mut Book) -> Result<(), ClientRefusal> {
        if book.known.len() < CLIENTS_MOST {
            return Ok(());
        }
        let oldest = book.oldest_idle();
        let oldest = oldest.ok_or(ClientRefusal::Full)?;
        book.known.remove(&oldest);
        // A code that is still on its way to this client dies with it.
        let now = self.clock.system_time();
        let window = RevocationWindow {
            recorded_at: now,
            until: later(now),
        };
        let gone = self
            .server
            .store()
            .delete_client(&ClientId::new(oldest), window)
            .await;
        gone.map(drop).map_err(|_| ClientRefusal::Full)
    }
}

impl Book {
    fn is_fresh(&self, id: &str, now: BootTime) -> bool {
        let fetched = self.known.get(id).and_then(|known| known.fetched);
        fetched.is_some_and(|at| now.since(at) < DOCUMENT_LIFE)
    }

    /// The client that gives way: nobody has consented to it, and it has been here longest.
    fn oldest_idle(&self) -> Option<String> {
        let idle = self.known.iter().filter(|(_, known)| !known.in_use);
        idle.min_by_key(|(_, known)| known.order)
            .map(|(id, _)| id.clone())
    }

    fn add(&mut self, id: String, fetched: Option<BootTime>) {
        self.next += 1;
        let in_use = self.known.get(&id).is_some_and(|known| known.in_use);
        self.known.insert(
            id,
            Known {
                order: self.next,
                in_use,
                fetched,
            },
        );
    }
}

const fn both_grants() -> [GrantType; 2] {
    [GrantType::AuthorizationCode, GrantType::RefreshToken]
}

/// Whether a redirect stays on this machine: plain http to a loopback literal or `localhost`, nothing hidden in it.
fn is_loopback_redirect(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| {
        let plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        url.scheme() == "http" && plain && is_loopback(&url)
    })
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

fn later(now: SystemTime) -> SystemTime {
    now.checked_add(DOCUMENT_LIFE).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_in_use_never_gives_way() {
        let mut book = Book::default();
        assert_eq!(book.oldest_idle(), None);
        for id in ["b", "c", "a"] {
            book.add(id.to_owned(), None);
        }
        assert_eq!(book.oldest_idle().as_deref(), Some("b"));
        book.known.get_mut("b").unwrap().in_use = true;
        assert_eq!(book.oldest_idle().as_deref(), Some("c"));
        book.add("b".to_owned(), Some(BootTime::from_nanos(1)));
        book.known.get_mut("c").unwrap().in_use = true;
        book.known.get_mut("a").unwrap().in_use = true;
        assert_eq!(
            book.oldest_idle(),
            None,
            "b is in use after its document was fetched again"
        );
    }

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
