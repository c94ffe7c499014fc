//! A running server, a person with a browser, and a client.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glasshouse_core::access::TaskDescription;
use glasshouse_core::time::{BootTime, Clock, Moment, SystemClock, Timestamp};
use reqwest::{Client, Response, Url, redirect};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::listen::run_with;
use crate::settings::{AuthdSettings, ClientSettings, User};

pub(super) const RESOURCE: &str = "http://127.0.0.1:8765/mcp";
pub(super) const CALLBACK: &str = "http://127.0.0.1:4711/callback";
pub(super) const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0123456789";

/// The kernel's clock, pushed ahead by hand.
#[derive(Debug, Default)]
pub(super) struct PushedClock(AtomicI64);

impl PushedClock {
    pub(super) fn push(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for PushedClock {
    fn moment(&self) -> Moment {
        let ahead = Duration::from_secs(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap());
        let now = SystemClock.moment();
        let boot = now.boot.nanos() + u64::try_from(ahead.as_nanos()).unwrap();
        Moment {
            wall: Timestamp::from_nanos(now.wall.nanos()).after(ahead),
            boot: BootTime::from_nanos(boot),
        }
    }
}

/// A server on a free port.
pub(super) struct Server {
    pub(super) base: String,
    pub(super) clock: Arc<PushedClock>,
    pub(super) http: Client,
    _stop: oneshot::Sender<()>,
    _keys: tempfile::TempDir,
}

pub(super) fn settings(base: &str, keys: &std::path::Path) -> AuthdSettings {
    let task = |name: &str, summary: &str| TaskDescription {
        name: name.to_owned(),
        summary: summary.to_owned(),
    };
    AuthdSettings {
        issuer: base.to_owned(),
        key_dir: keys.join("authd"),
        users: vec![User {
            name: "alice".to_owned(),
            password: "correct horse".to_owned().into(),
        }],
        resource: RESOURCE.to_owned(),
        tasks: vec![
            task("capacity-review", "Look back over a month."),
            task("node-health", "Look at one machine's health."),
        ],
        default_task: "node-health".to_owned(),
        scopes: vec!["telemetry:read".to_owned(), "inventory:read".to_owned()],
        clients: vec![ClientSettings {
            id: "desk".to_owned(),
            name: "Desk".to_owned(),
            redirect_uris: vec![
                CALLBACK.to_owned(),
                "http://localhost:4711/callback".to_owned(),
            ],
            secret: None,
        }],
        resource_servers: vec![("serve".to_owned(), "serve-secret".to_owned().into())],
        allow_loopback_cimd: false,
        cimd_roots: Vec::new(),
        access_token_ttl: Duration::from_secs(3600),
        refresh_token_ttl: Duration::from_secs(8 * 3600),
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut AuthdSettings)) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = settings(&base, keys.path());
        change(&mut settings);
        let clock = Arc::new(PushedClock::default());
        let (stop, stopped) = oneshot::channel();
        let given = Arc::clone(&clock) as Arc<dyn Clock>;
        tokio::spawn(async move {
            let end = async { drop(stopped.await) };
            run_with(settings, listener, end, given).await.unwrap();
        });
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            base,
            clock,
            http,
            _stop: stop,
            _keys: keys,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Posts a form to an endpoint that clients call; status and JSON.
    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let response = self
            .http
            .post(self.url(path))
            .headers(form_type())
            .body(encoded(form))
            .send()
            .await
            .unwrap();
        answer(response).await
    }

    /// Redeems a code as a public client would.
    pub(super) async fn redeem(&self, client: &str, code: &str) -> (u16, Value) {
        self.post("/token", &redemption(client, code)).await
    }

    pub(super) async fn refresh(&self, token: &Value) -> (u16, Value) {
        let token = token.as_str().unwrap();
        self.post(
            "/token",
            &[
                ("grant_type", "refresh_token"),
                ("client_id", "desk"),
                ("refresh_token", token),
            ],
        )
        .await
    }

    /// Whether the resource server is told that a token holds.
    pub(super) async fn is_active(&self, token: &Value) -> bool {
        let token = token.as_str().unwrap();
        let request = self.http.post(self.url("/introspect")).headers(form_type());
        let request = request
            .basic_auth("serve", Some("serve-secret"))
            .body(encoded(&[("token", token)]));
        let (status, seen) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, 200, "{seen}");
        seen["active"].as_bool().unwrap()
    }

    /// Signs in, consents to the default, and redeems the code.
    pub(super) async fn grant(&self) -> Value {
        let code = Person::new().code(self, &asking(&[])).await;
        let (status, tokens) = self.redeem("desk", &code).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    pub(super) async fn register(&self, metadata: &Value) -> (u16, Value) {
        let request = self
            .http
            .post(self.url("/register"))
            .header("content-type", "application/json");
        answer(request.body(metadata.to_string()).send().await.unwrap()).await
    }
}

pub(super) fn redemption<'a>(client: &'a str, code: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", RESOURCE),
    ]
}

/// A good authorization request, with some parameters put otherwise; an empty value leaves one out.
pub(super) fn asking(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut parameters: BTreeMap<String, String> = [
        ("response_type", "code"),
        ("client_id", "desk"),
        ("redirect_uri", CALLBACK),
        ("scope", "telemetry:read task:node-health"),
        ("state", "s & t"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("resource", RESOURCE),
    ]
    .into_iter()
    .chain(changes.iter().copied())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    parameters.retain(|_, value| !value.is_empty());
    parameters
}

/// A page, as a browser without scripts sees it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) location: Option<Url>,
    pub(super) policy: String,
    pub(super) text: String,
}

impl Page {
    pub(super) fn field(&self, name: &str) -> String {
        let start = self
            .text
            .split_once(&format!("name=\"{name}\" value=\""))
            .expect(name)
            .1;
        let value = start.split_once('"').unwrap().0;
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    /// A parameter of where it redirects to.
    pub(super) fn answered(&self, name: &str) -> Option<String> {
        let url = self.location.as_ref()?;
        url.query_pairs()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// A person with a browser that keeps one cookie.
pub(super) struct Person {
    pub(super) cookie: Option<String>,
}

impl Person {
    pub(super) const fn new() -> Self {
        Self { cookie: None }
    }

    pub(super) async fn ask(&mut self, server: &Server, asking: &BTreeMap<String, String>) -> Page {
        let pairs: Vec<(&str, &str)> = asking
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        self.get(server, &format!("/authorize?{}", encoded(&pairs)))
            .await
    }

    pub(super) async fn get(&mut self, server: &Server, path: &str) -> Page {
        let mut request = server.http.get(server.url(path));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.see(server, request.send().await.unwrap()).await
    }

    /// Asks for what a browser would show in this place: `document`, `image`, `iframe`…
    pub(super) async fn ask_for(
        &mut self,
        server: &Server,
        asking: &BTreeMap<String, String>,
        destination: &str,
    ) -> Page {
        let pairs: Vec<(&str, &str)> = asking
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let place = server.url(&format!("/authorize?{}", encoded(&pairs)));
        let request = server.http.get(place).header("sec-fetch-dest", destination);
        self.see(server, request.send().await.unwrap()).await
    }

    pub(super) async fn send(
        &mut self,
        server: &Server,
        path: &str,
        form: &[(&str, &str)],
    ) -> Page {
        self.send_from(server, path, form, &server.base).await
    }

    pub(super) async fn send_from(
        &mut self,
        server: &Server,
        path: &str,
        form: &[(&str, &str)],
        origin: &str,
    ) -> Page {
        let mut request = server.http.post(server.url(path)).headers(form_type());
        request = request.header("origin", origin).body(encoded(form));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.see(server, request.send().await.unwrap()).await
    }

    async fn see(&mut self, server: &Server, response: Response) -> Page {
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        if let Some(set) = header("set-cookie") {
            self.cookie = Some(set.split(';').next().unwrap().to_owned());
        }
        let base = Url::parse(&server.base).unwrap();
        Page {
            status: response.status().as_u16(),
            location: header("location").map(|text| base.join(&text).unwrap()),
            policy: header("content-security-policy").unwrap_or_default(),
            text: response.text().await.unwrap(),
        }
    }

    /// Signs in on a sign-in page; what comes is the consent page.
    pub(super) async fn sign_in(&mut self, server: &Server, page: &Page) -> Page {
        let seen = self
            .send_password(server, page, "alice", "correct horse")
            .await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        seen
    }

    pub(super) async fn send_password(
        &mut self,
        server: &Server,
        page: &Page,
        name: &str,
        password: &str,
    ) -> Page {
        let (request, ticket) = (page.field("request"), page.field("ticket"));
        let form = [
            ("request", request.as_str()),
            ("ticket", &ticket),
            ("username", name),
            ("password", password),
        ];
        self.send(server, "/sign-in", &form).await
    }

    pub(super) async fn decide(
        &mut self,
        server: &Server,
        page: &Page,
        task: &str,
        decision: &str,
    ) -> Page {
        let (request, ticket) = (page.field("request"), page.field("ticket"));
        let form = [
            ("request", request.as_str()),
            ("ticket", &ticket),
            ("subject", &page.field("subject")),
            ("task", task),
            ("decision", decision),
        ];
        self.send(server, "/consent", &form).await
    }

    /// The consent page for a request.
    pub(super) async fn consent_page(
        &mut self,
        server: &Server,
        asking: &BTreeMap<String, String>,
    ) -> Page {
        let page = self.ask(server, asking).await;
        assert_eq!(page.status, 200, "{}", page.text);
        self.sign_in(server, &page).await
    }

    /// The code for a request, for the default task.
    pub(super) async fn code(
        &mut self,
        server: &Server,
        asking: &BTreeMap<String, String>,
    ) -> String {
        let page = self.consent_page(server, asking).await;
        let seen = self.decide(server, &page, "node-health", "allow").await;
        seen.answered("code").unwrap_or_else(|| panic!("{seen:?}"))
    }
}

/// The claims of an access token.
pub(super) fn claims(tokens: &Value) -> Value {
    let token = tokens["access_token"].as_str().unwrap();
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(super) fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x/").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn form_type() -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}
