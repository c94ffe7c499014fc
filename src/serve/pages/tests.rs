//! The pages over real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use reqwest::header::{ACCEPT, HOST};
use tempfile::TempDir;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::server::serve_site;
use crate::tests::{Authority, plain_client};
use crate::{
    ClientCertificates, ListenerCounters, ServeError, ServeLimits, ServeSettings, TlsFiles, bind,
    run_pages,
};

/// Takes the token `good` and tells of whatever it is told to.
#[derive(Debug, Default)]
struct Fake {
    renders: AtomicU32,
    broken: Mutex<Option<Unavailable>>,
    troubles: Mutex<Vec<&'static str>>,
}

impl PageSource for Fake {
    fn render(&self) -> Result<Rendered, Unavailable> {
        self.renders.fetch_add(1, Ordering::SeqCst);
        if let Some(broken) = *self.broken.lock() {
            return Err(broken);
        }
        Ok(Rendered {
            openmetrics: Bytes::from_static(b"a 1\n# EOF\n"),
            text: Bytes::from_static(b"a 1\n"),
        })
    }

    fn health(&self) -> Vec<&'static str> {
        self.troubles.lock().clone()
    }

    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> Admission<'a> {
        Box::pin(async {
            let token = headers.get(header::AUTHORIZATION);
            if token.is_some_and(|token| token == "Bearer good") {
                return Ok(());
            }
            let mut refused = Response::new(Bytes::from_static(b"a bearer token is required\n"));
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            set(&mut refused, header::WWW_AUTHENTICATE, "Bearer x=\"y\"");
            Err(refused)
        })
    }
}

struct Running {
    address: SocketAddr,
    source: Arc<Fake>,
    counters: Arc<ListenerCounters>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// A listener that believes to be at another address where `seen_as` says so.
    fn start(seen_as: Option<&str>, tls: Option<TlsFiles>, limits: ServeLimits) -> Self {
        let settings = ServeSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls,
            limits,
            counters: Arc::default(),
        };
        let counters = Arc::clone(&settings.counters);
        let listener = bind(&settings).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let source = Arc::new(Fake::default());
        let pages = Pages {
            source: Arc::<Fake>::clone(&source),
            allowed_hosts: Vec::new(),
        };
        let stopped = async {
            stopped.await.unwrap_or_default();
        };
        let reload = Arc::new(Notify::new());
        let ended = match seen_as {
            None => tokio::spawn(run_pages(settings, listener, pages, stopped, reload)),
            Some(ip) => {
                let site = PageSite::new(pages, ip.parse().unwrap());
                tokio::spawn(serve_site(settings, listener, site, stopped, reload))
            }
        };
        Self {
            address,
            source,
            counters,
            stop,
            ended,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_page_comes_in_the_format_that_is_asked_for() {
    let running = Running::start(None, None, ServeLimits::default());
    let ask = async |accept: &str| {
        let request = plain_client().get(running.url("/metrics"));
        let answer = request.header(ACCEPT, accept).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["vary"], "Accept");
        let media_type = answer.headers()["content-type"].clone();
        (media_type, answer.text().await.unwrap())
    };
    let (media_type, text) = ask("application/openmetrics-text;version=1.0.0").await;
    assert_eq!(
        (media_type.to_str().unwrap(), text.as_str()),
        (OPENMETRICS, "a 1\n# EOF\n")
    );
    let (media_type, text) = ask("*/*").await;
    assert_eq!(
        (media_type.to_str().unwrap(), text.as_str()),
        (TEXT, "a 1\n")
    );
    let head = plain_client().head(running.url("/metrics"));
    let head = head.send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "4");
    let post = plain_client().post(running.url("/metrics"));
    assert_eq!(
        post.send().await.unwrap().status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    let other = plain_client()
        .get(running.url("/mcp"))
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    assert_eq!(running.counters.answers(), [0, 3, 0, 2, 0]);
    running.stop().await;
}

#[tokio::test]
async fn a_storm_of_scrapes_costs_a_page_a_second() {
    let running = Running::start(None, None, ServeLimits::default());
    let start = std::time::Instant::now();
    let client = plain_client();
    for _ in 0..200 {
        let answer = client.get(running.url("/metrics")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let seconds = u32::try_from(start.elapsed().as_secs()).unwrap();
    let renders = running.source.renders.load(Ordering::SeqCst);
    assert!(renders <= 2 * (seconds + 1), "{renders} in {seconds} s");
    running.stop().await;
}

#[tokio::test]
async fn a_page_that_cannot_be_made_says_why_and_that_it_may_be_later() {
    let running = Running::start(None, None, ServeLimits::default());
    *running.source.broken.lock() = Some(Unavailable("nothing has been stored yet\n"));
    let answer = plain_client().get(running.url("/metrics")).send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(
        answer.text().await.unwrap(),
        "nothing has been stored yet\n"
    );
    running.stop().await;
}

#[tokio::test]
async fn health_is_a_word_for_each_trouble_and_open_to_all() {
    for seen_as in [None, Some("192.0.2.1")] {
        for (troubles, status, text) in [
            (vec![], StatusCode::OK, "ok\n"),
            (
                vec!["node-silent", "probe-silent"],
                StatusCode::SERVICE_UNAVAILABLE,
                "node-silent\nprobe-silent\n",
            ),
        ] {
            let running = Running::start(seen_as, None, ServeLimits::default());
            *running.source.troubles.lock() = troubles;
            let answer = plain_client().get(running.url("/healthz")).send();
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.text().await.unwrap(), text);
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn health_is_told_where_readers_of_metrics_have_every_permit() {
    let limits = ServeLimits {
        requests: 0,
        ..ServeLimits::default()
    };
    let running = Running::start(None, None, limits);
    for (path, status) in [
        ("/metrics", StatusCode::SERVICE_UNAVAILABLE),
        ("/healthz", StatusCode::OK),
    ] {
        let answer = plain_client().get(running.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_web_page_cannot_read_loopback_through_a_name_of_its_own() {
    let running = Running::start(None, None, ServeLimits::default());
    let request = plain_client().get(running.url("/metrics"));
    let answer = request.header(HOST, "evil.example").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(running.source.renders.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test]
async fn off_loopback_only_a_token_opens_the_page() {
    let running = Running::start(Some("192.0.2.1"), None, ServeLimits::default());
    let ask = async |token: Option<&str>| {
        let mut request = plain_client().get(running.url("/metrics"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    };
    for token in [None, Some("bad")] {
        let answer = ask(token).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer x=\"y\"");
        assert_eq!(running.source.renders.load(Ordering::SeqCst), 0);
    }
    assert_eq!(ask(Some("good")).await.status(), StatusCode::OK);
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_is_as_good_as_a_token_only_where_it_is_welcome() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let (readers, strangers) = (Authority::new(), Authority::new());
    let reader_ca = folder.path().join("readers.pem");
    std::fs::write(&reader_ca, readers.pem()).unwrap();
    for (clients, has_certificate, status) in [
        (ClientCertificates::Welcome(reader_ca.clone()), true, 200),
        (ClientCertificates::Welcome(reader_ca.clone()), false, 401),
        // whoever must have one to come in at all has not yet been let in by it
        (ClientCertificates::Demanded(reader_ca.clone()), true, 401),
        (ClientCertificates::Ignored, true, 401),
    ] {
        let mut files = authority.install(folder.path());
        files.clients = clients.clone();
        let running = Running::start(Some("192.0.2.1"), Some(files), ServeLimits::default());
        let ask = async |issuer: Option<&Authority>| {
            let mut client = authority.client(running.address);
            if let Some(issuer) = issuer {
                let (certificate, key) = issuer.issue();
                let pem = certificate + &key;
                client = client.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
            }
            let url = format!("https://localhost:{}/metrics", running.address.port());
            client.build().unwrap().get(url).send().await
        };
        let answer = ask(has_certificate.then_some(&readers)).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{clients:?}");
        if clients != ClientCertificates::Ignored {
            assert!(ask(Some(&strangers)).await.is_err(), "{clients:?}");
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn the_limits_of_connections_hold_here_too() {
    let limits = ServeLimits {
        connections: 1,
        ..ServeLimits::default()
    };
    let running = Running::start(None, None, limits);
    let address = running.address;
    let refused = tokio::task::spawn_blocking(move || {
        let held = TcpStream::connect(address).unwrap();
        let mut second = TcpStream::connect(address).unwrap();
        second
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        drop(second.write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"));
        let mut answer = Vec::new();
        drop(second.read_to_end(&mut answer));
        drop(held);
        answer.is_empty()
    });
    assert!(refused.await.unwrap());
    let counters = &running.counters;
    assert_eq!(
        (
            counters.connections_accepted(),
            counters.connections_refused()
        ),
        (1, 1)
    );
    running.stop().await;
}

#[tokio::test]
async fn off_loopback_without_tls_the_pages_are_refused() {
    let settings = ServeSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        limits: ServeLimits::default(),
        counters: Arc::default(),
    };
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let pages = Pages {
        source: Arc::new(Fake::default()),
        allowed_hosts: Vec::new(),
    };
    let error = run_pages(
        settings,
        listener,
        pages,
        std::future::pending(),
        Arc::default(),
    );
    let error = error.await.unwrap_err();
    assert!(
        matches!(error, ServeError::PlainOffLoopback { .. }),
        "{error}"
    );
}
