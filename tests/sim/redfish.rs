//! A BMC that speaks Redfish: it serves a tree of documents, keeps sessions and counts them, writes down every request,
//! and hangs, refuses, lies or falls silent as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Who may log in.
pub const USERNAME: &str = "reader";
/// With what.
pub const PASSWORD: &str = "a-password-for-tests";

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// A fake BMC on loopback. Its thread ends with the process.
#[derive(Debug)]
pub struct FakeBmc {
    address: String,
    inner: Arc<Inner>,
}

/// What it says instead of a document.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing, for ever.
    Hang,
    /// An error.
    Status(u16),
    /// 503, and for how many seconds to leave it alone.
    Busy(u64),
    /// This text with this type.
    Text(&'static str, String),
    /// The document, later.
    Slow(Duration),
    /// A redirection to there.
    Redirect(String),
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenRequest {
    /// `GET`.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query; empty where there is none.
    pub query: String,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<Scene>,
    events: broadcast::Sender<String>,
}

/// Everything that can be told to a fake BMC, at any time.
#[derive(Debug)]
pub struct Scene {
    /// Documents by path, before those of the folder.
    pub documents: BTreeMap<String, Value>,
    /// A recorded tree: `<folder>/redfish/v1/…/index.json`.
    pub folder: Option<PathBuf>,
    /// What goes wrong, by path; `*` is everything.
    pub faults: BTreeMap<String, Fault>,
    /// Whether `$expand` is understood; it is ignored otherwise.
    pub expands: bool,
    /// Whether a login is needed for more than the root.
    pub guarded: bool,
    /// Whether there is a session service.
    pub has_sessions: bool,
    /// Whether the answer to a login says where the session lies.
    pub locates: bool,
    /// The most members of one page, by path of the collection.
    pub pages: BTreeMap<String, usize>,
    /// Whether the event stream brings what is sent, or stays open and silent.
    pub deaf: bool,
    /// The path of the event stream.
    pub stream: String,
    /// Every request.
    pub seen: Vec<SeenRequest>,
    /// Sessions that are open.
    pub sessions: BTreeSet<String>,
    /// The most sessions that were open at once.
    pub most_sessions: usize,
    /// Sessions that were ever made.
    pub made_sessions: usize,
    /// Event streams that were opened.
    pub streams: usize,
}

impl FakeBmc {
    /// Serves documents on a free port.
    ///
    /// # Errors
    /// Where no port or thread can be had.
    pub fn serve(
        documents: BTreeMap<String, Value>,
        folder: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = format!("http://{}", listener.local_addr()?);
        let (events, _) = broadcast::channel(64);
        let scene = Scene {
            documents,
            folder,
            faults: BTreeMap::new(),
            expands: true,
            guarded: true,
            has_sessions: true,
            locates: true,
            pages: BTreeMap::new(),
            deaf: false,
            stream: "/redfish/v1/EventService/SSE".to_owned(),
            seen: Vec::new(),
            sessions: BTreeSet::new(),
            most_sessions: 0,
            made_sessions: 0,
            streams: 0,
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(scene),
            events,
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("fake-bmc".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    axum::serve(listener, router).await
                })
            })
            .context("failed to start the fake BMC")?;
        Ok(Self { address, inner })
    }

    /// Where it is: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it plays, to look at and to change.
    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        self.inner.scene()
    }

    /// Sends an event to all who listen; says how many do.
    #[must_use]
    pub fn send(&self, event: &Value) -> usize {
        self.inner.events.send(event.to_string()).unwrap_or(0)
    }

    /// The BMC starts again: sessions are forgotten.
    pub fn restart(&self) {
        self.scene().sessions.clear();
    }
}

impl Inner {
    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scene {
    /// The document at a path, from wherever it is.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<Value> {
        let path = path.trim_end_matches('/');
        if let Some(document) = self.documents.get(path) {
            return Some(document.clone());
        }
        let file = self
            .folder
            .as_ref()?
            .join(path.trim_start_matches('/'))
            .join("index.json");
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        let path = path.trim_end_matches('/');
        self.faults
            .get(path)
            .or_else(|| self.faults.get("*"))
            .cloned()
    }

    fn collection(&self, path: &str, document: &mut Value, query: &str) {
        let wants_members = query.contains("$expand");
        let skip = query
            .split('&')
            .find_map(|part| part.strip_prefix("$skip=")?.parse::<usize>().ok())
            .unwrap_or(0);
        let size = self.pages.get(path.trim_end_matches('/')).copied();
        let Some(members) = document.get_mut("Members").and_then(Value::as_array_mut) else {
            return;
        };
        let more = size.is_some_and(|size| members.len() > skip + size);
        if skip > 0 || size.is_some() {
            let kept = members
                .drain(..)
                .skip(skip)
                .take(size.unwrap_or(usize::MAX));
            *members = kept.collect();
        }
        if self.expands && wants_members {
            for member in members.iter_mut() {
                let id = member.get("@odata.id").and_then(Value::as_str);
                if let Some(whole) = id.and_then(|id| self.document(id)) {
                    *member = whole;
                }
            }
        }
        if more && let (Some(size), Some(object)) = (size, document.as_object_mut()) {
            let next = format!("{path}?$skip={}", skip + size);
            object.insert("Members@odata.nextLink".to_owned(), json!(next));
        }
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    crate::record::asked("redfish", &format!("{method} {path}"));
    let fault = {
        let mut scene = inner.scene();
        scene.seen.push(SeenRequest {
            method: method.to_string(),
            path: path.clone(),
            query: query.clone(),
        });
        scene.fault(&path)
    };
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Status(status)) => return status_of(status).into_response(),
        Some(Fault::Busy(seconds)) => {
            let after = [(header::RETRY_AFTER, seconds.to_string())];
            return (StatusCode::SERVICE_UNAVAILABLE, after).into_response();
        }
        Some(Fault::Text(kind, text)) => {
            return ([(header::CONTENT_TYPE, kind)], text).into_response();
        }
        Some(Fault::Redirect(to)) => {
            return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        }
        None => {}
    }
    if path == SESSIONS && method == Method::POST {
        return log_in(&inner, &body);
    }
    let mut scene = inner.scene();
    if scene.guarded && path.trim_end_matches('/') != "/redfish/v1" && !may(&scene, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if method == Method::DELETE {
        let known = scene.sessions.remove(path.trim_end_matches('/'));
        return status_of(if known { 204 } else { 404 }).into_response();
    }
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if path == scene.stream {
        scene.streams += 1;
        let deaf = scene.deaf;
        drop(scene);
        return stream(inner.events.subscribe(), deaf);
    }
    let Some(mut document) = scene.document(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    scene.collection(&path, &mut document, &query);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, document.to_string()).into_response()
}

fn log_in(inner: &Inner, body: &[u8]) -> Response {
    let mut scene = inner.scene();
    if !scene.has_sessions {
        return StatusCode::NOT_FOUND.into_response();
    }
    let login: Value = serde_json::from_slice(body).unwrap_or_default();
    let says = |name: &str| login.get(name).and_then(Value::as_str);
    if says("UserName") != Some(USERNAME) || says("Password") != Some(PASSWORD) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    scene.made_sessions += 1;
    let path = format!("{SESSIONS}/{}", scene.made_sessions);
    scene.sessions.insert(path.clone());
    scene.most_sessions = scene.most_sessions.max(scene.sessions.len());
    let token = format!("token-of-{path}");
    let document = json!({"@odata.id": path, "UserName": USERNAME}).to_string();
    let mut response = (StatusCode::CREATED, [("X-Auth-Token", token)], document).into_response();
    if scene.locates
        && let Ok(path) = path.parse()
    {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// Whether a request comes with a token of an open session, or with the password.
fn may(scene: &Scene, headers: &HeaderMap) -> bool {
    use base64::Engine as _;
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = says("X-Auth-Token").and_then(|token| token.strip_prefix("token-of-"));
    if token.is_some_and(|path| scene.sessions.contains(path)) {
        return true;
    }
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    says("Authorization") == Some(&format!("Basic {basic}"))
}

fn stream(events: broadcast::Receiver<String>, deaf: bool) -> Response {
    let body = futures_util::stream::unfold((events, deaf), |(mut events, deaf)| async move {
        if deaf {
            std::future::pending::<()>().await;
        }
        let event = events.recv().await.ok()?;
        let lines: String = event
            .lines()
            .map(|line| format!("data: {line}\n"))
            .collect();
        Some((
            Ok::<_, std::io::Error>(format!("id: 1\n{lines}\n")),
            (events, deaf),
        ))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::from_stream(body)).into_response()
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
