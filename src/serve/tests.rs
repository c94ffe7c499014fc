//! The face over real sockets, with a service that echoes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::{
    ClientCertificates, Routes, ServeError, ServeLimits, ServeSettings, TlsFiles, bind, run,
};

const DOCUMENT: &str = r#"{"resource":"https://localhost/mcp"}"#;

struct Face {
    address: SocketAddr,
    reload: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Face {
    async fn stop(mut self) -> Result<(), ServeError> {
        self.stop.take().unwrap().send(()).unwrap();
        self.ended.await.unwrap()
    }
}

fn start(limits: ServeLimits, tls: Option<TlsFiles>) -> Face {
    let settings = ServeSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls,
        limits,
        counters: Arc::default(),
    };
    let listener = bind(&settings).unwrap();
    let address = listener.local_addr().unwrap();
    let reload = Arc::new(Notify::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let routes = Routes {
        mcp: tower::service_fn(echo),
        resource_metadata: Bytes::from_static(DOCUMENT.as_bytes()),
    };
    let ended = tokio::spawn(run(
        settings,
        listener,
        routes,
        async {
            // a sender that was dropped stops it too
            stopped.await.unwrap_or_default();
        },
        Arc::clone(&reload),
    ));
    Face {
        address,
        reload,
        stop: Some(stop),
        ended,
    }
}

/// Refuses without reading the body where `x-refuse` says so. Waits as long as the request's `x-wait-ms` says, then gives the body back.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.headers().contains_key("x-refuse") {
        let mut refused = Response::new(Full::new(Bytes::from_static(b"no")));
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refused);
    }
    if let Some(wait) = request.headers().get("x-wait-ms") {
        let wait: u64 = wait.to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::new(body)))
}

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key, both PEM.
    pub(crate) fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn install(&self, folder: &Path) -> TlsFiles {
        let (certificate, key) = self.issue();
        let files = TlsFiles {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            clients: ClientCertificates::Ignored,
        };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    pub(crate) fn client(&self, address: SocketAddr) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_pem(self.pem().as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .resolve("localhost", address)
            .no_proxy()
            .timeout(Duration::from_secs(20))
    }
}

pub(crate) fn plain_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// Reads until the peer closes; empty where it closed without a word.
fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection was not closed: {error}"),
    }
    bytes
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn routes_answer_what_they_should_and_nothing_else() {
    let face = start(ServeLimits::default(), None);
    let client = plain_client();
    let url = |path: &str| format!("http://{}{path}", face.address);
    let echoed = client.post(url("/mcp")).body("hello").send().await.unwrap();
    assert_eq!(echoed.text().await.unwrap(), "hello");
    for path in [
        crate::RESOURCE_METADATA_PATH,
        crate::RESOURCE_METADATA_ROOT_PATH,
    ] {
        let got = client.get(url(path)).send().await.unwrap();
        assert_eq!(got.headers()["content-type"], "application/json");
        assert_eq!(got.text().await.unwrap(), DOCUMENT, "{path}");
        let head = client.head(url(path)).send().await.unwrap();
        assert_eq!(
            head.headers()["content-length"],
            DOCUMENT.len().to_string().as_str()
        );
        let post = client.post(url(path)).send().await.unwrap();
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(post.headers()["allow"], "GET, HEAD");
    }
    for path in [
        "/",
        "/mcp/",
        "/mcp/x",
        "/MCP",
        "/%6dcp",
        "//mcp",
        "/.well-known/oauth-protected-resource/other",
    ] {
        let got = client.get(url(path)).send().await.unwrap();
        assert_eq!(got.status(), StatusCode::NOT_FOUND, "{path}");
    }
    face.stop().await.unwrap();
}

#[tokio::test]
async fn tls_serves_http2_and_http1_and_refuses_plain() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let face = start(
        ServeLimits::default(),
        Some(authority.install(folder.path())),
    );
    let url = format!("https://localhost:{}/mcp", face.address.port());
    let two = authority.client(face.address).build().unwrap();
    let answer = two.post(&url).body("a").send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "a");
    let one = authority.client(face.address).http1_only().build().unwrap();
    let answer = one.post(&url).body("b").send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_11);
    assert_eq!(answer.text().await.unwrap(), "b");
    let plain = plain_client()
        .get(format!("http://{}/mcp", face.address))
        .send()
        .await;
    assert!(plain.is_err(), "plain HTTP on a TLS port got an answer");
    face.stop().await.unwrap();
}

#[tokio::test]
async fn with_client_authorities_a_stranger_is_not_served() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let (clients, strangers) = (Authority::new(), Authority::new());
    let mut files = authority.install(folder.path());
    let client_ca = folder.path().join("clients.pem");
    std::fs::write(&client_ca, clients.pem()).unwrap();
    files.clients = ClientCertificates::Demanded(client_ca);
    let face = start(ServeLimits::default(), Some(files));
    let url = format!("https://localhost:{}/mcp", face.address.port());
    let ask = async |issuer: Option<&Authority>| {
        let mut builder = authority.client(face.address);
        if let Some(issuer) = issuer {
            let (certificate, key) = issuer.issue();
            builder = builder
                .identity(reqwest::Identity::from_pem((certificate + &key).as_bytes()).unwrap());
        }
        builder.build().unwrap().get(&url).send().await
    };
    assert!(ask(Some(&clients)).await.is_ok());
    assert!(ask(Some(&strangers)).await.is_err());
    assert!(ask(None).await.is_err());
    face.stop().await.unwrap();
}

#[tokio::test]
async fn a_reload_swaps_the_certificate_and_a_broken_file_keeps_it() {
    let folder = TempDir::new().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let files = old.install(folder.path());
    let face = start(ServeLimits::default(), Some(files.clone()));
    let url = format!("https://localhost:{}/mcp", face.address.port());
    // a new client each time, so that no connection is reused
    let trusts = async |authority: &Authority| {
        let client = authority.client(face.address).build().unwrap();
        client.get(&url).send().await.is_ok()
    };
    assert!(trusts(&old).await && !trusts(&new).await);

    new.install(folder.path());
    assert!(trusts(&old).await, "nothing changes before the reload");
    face.reload.notify_one();
    let patience = Instant::now() + Duration::from_secs(20);
    while !trusts(&new).await && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(trusts(&new).await && !trusts(&old).await);

    std::fs::write(&files.certificate, "not a certificate").unwrap();
    face.reload.notify_one();
    // what the loop does next comes after the reload, so one answer proves that it was tried
    assert!(trusts(&new).await && trusts(&new).await);
    face.stop().await.unwrap();
}

#[test]
fn a_reload_that_fails_says_why_and_changes_nothing() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let files = authority.install(folder.path());
    let keeper = crate::tls::TlsKeeper::load(files.clone()).unwrap();
    let good = std::fs::read(&files.certificate).unwrap();
    let before = Arc::as_ptr(keeper.acceptor().config());
    let refused = |what: &str| {
        let error = keeper.reload().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(what), "{text}");
        assert_eq!(Arc::as_ptr(keeper.acceptor().config()), before);
        text
    };
    std::fs::write(&files.certificate, "").unwrap();
    assert!(refused("cert.pem").contains("no usable certificate"));
    std::fs::write(&files.certificate, vec![b'x'; 2 * 1024 * 1024]).unwrap();
    refused("failed to read");
    std::fs::remove_file(&files.certificate).unwrap();
    refused("failed to read");
    // another certificate than the key's
    std::fs::write(&files.certificate, authority.issue().0).unwrap();
    refused("failed to use certificate");
    std::fs::write(&files.certificate, &good).unwrap();
    std::fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\n!\n").unwrap();
    assert!(refused("key.pem").contains("no usable private key"));
    authority.install(folder.path());
    keeper.reload().unwrap();
    assert_ne!(Arc::as_ptr(keeper.acceptor().config()), before);
}

/// Asks until it is refused; `false` where that takes too long.
async fn is_refused_at_last(ask: impl AsyncFn() -> bool) -> bool {
    let patience = Instant::now() + Duration::from_secs(20);
    while ask().await {
        if Instant::now() >= patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[tokio::test]
async fn an_authority_that_is_taken_away_counts_for_no_open_connection() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let (clients, others) = (Authority::new(), Authority::new());
    let mut files = authority.install(folder.path());
    let file = folder.path().join("clients.pem");
    std::fs::write(&file, clients.pem()).unwrap();
    files.clients = ClientCertificates::Demanded(file.clone());
    let face = start(ServeLimits::default(), Some(files));
    let (certificate, key) = clients.issue();
    let identity = reqwest::Identity::from_pem((certificate + &key).as_bytes()).unwrap();
    let client = authority.client(face.address).identity(identity);
    let client = client.build().unwrap();
    let url = format!("https://localhost:{}/mcp", face.address.port());
    let ask = async || client.get(&url).send().await.is_ok();
    assert!(ask().await);
    std::fs::write(&file, others.pem()).unwrap();
    face.reload.notify_one();
    assert!(is_refused_at_last(ask).await, "the connection stayed open");
    face.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_old_takes_no_more_requests() {
    let limits = ServeLimits {
        connection_time: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let face = start(limits, None);
    let address = face.address;
    let is_closed = blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(20);
        while Instant::now() < patience {
            let asked = stream.write_all(b"GET /mcp HTTP/1.1\r\nhost: x\r\n\r\n");
            if asked.is_err() || !matches!(stream.read(&mut [0; 1024]), Ok(1..)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    });
    assert!(is_closed.await, "the connection stayed open");
    face.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_dawdles_over_its_head_is_cut() {
    let limits = ServeLimits {
        header_read_time: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let face = start(limits, None);
    let address = face.address;
    // silence, half of the HTTP/2 preface, half a head, an HTTP/2 client that never asks
    let dawdlers: [&'static [u8]; 4] = [
        b"",
        b"PRI * HT",
        b"POST /mcp HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ];
    for dawdler in dawdlers {
        blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(dawdler).unwrap();
            read_to_close(&mut stream);
        })
        .await;
    }
    face.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_408() {
    let limits = ServeLimits {
        request_time: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let face = start(limits, None);
    let address = face.address;
    let slow_body = blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
            .unwrap();
        String::from_utf8(read_to_close(&mut stream)).unwrap()
    })
    .await;
    assert!(slow_body.starts_with("HTTP/1.1 408 "), "{slow_body}");
    let slow_answer = plain_client()
        .get(format!("http://{address}/mcp"))
        .header("x-wait-ms", "60000")
        .send()
        .await
        .unwrap();
    assert_eq!(slow_answer.status(), StatusCode::REQUEST_TIMEOUT);
    face.stop().await.unwrap();
}

#[tokio::test]
async fn who_is_refused_while_sending_still_gets_the_answer() {
    let face = start(ServeLimits::default(), None);
    let address = face.address;
    let answer = blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let body = vec![b'a'; 8 << 20];
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: x\r\nx-refuse: 1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // looks for an answer only when all is sent, as simple clients do
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        String::from_utf8(read_to_close(&mut stream)).unwrap()
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    face.stop().await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let face = start(ServeLimits::default(), None);
    let url = format!("http://{}/mcp", face.address);
    let large = plain_client()
        .get(&url)
        .header("x-large", "a".repeat(20_000))
        .send()
        .await
        .unwrap();
    assert_eq!(large.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let mut many = plain_client().get(&url);
    for n in 0..100 {
        many = many.header(format!("x-{n}"), "a");
    }
    let many = many.send().await.unwrap();
    assert_eq!(many.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    face.stop().await.unwrap();
}

#[tokio::test]
async fn connections_over_a_limit_are_closed_and_places_come_back() {
    for (limits, of) in [
        (
            ServeLimits {
                connections: 2,
                ..ServeLimits::default()
            },
            "all",
        ),
        (
            ServeLimits {
                connections_per_peer: 2,
                ..ServeLimits::default()
            },
            "one peer",
        ),
    ] {
        let face = start(limits, None);
        let address = face.address;
        blocking(move || {
            let mut held: Vec<TcpStream> = (0..2)
                .map(|_| TcpStream::connect(address).unwrap())
                .collect();
            // both were accepted before the third, because the queue of the listener is one
            let mut third = TcpStream::connect(address).unwrap();
            assert!(read_to_close(&mut third).is_empty(), "{of}");
            held.truncate(1);
            let patience = Instant::now() + Duration::from_secs(20);
            let served = std::iter::from_fn(|| (Instant::now() < patience).then_some(()))
                .any(|()| is_served(address));
            assert!(served, "no place came back ({of})");
        })
        .await;
        face.stop().await.unwrap();
    }
}

fn is_served(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    let asked = stream.write_all(b"GET /mcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    asked.is_ok() && read_to_close(&mut stream).starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn requests_over_the_limit_are_told_to_come_back() {
    let limits = ServeLimits {
        requests: 1,
        ..ServeLimits::default()
    };
    let face = start(limits, None);
    let url = format!("http://{}/mcp", face.address);
    let statuses = async |n: usize| {
        let asked = (0..n).map(|_| {
            let request = plain_client().get(&url).header("x-wait-ms", "1500").send();
            tokio::spawn(request)
        });
        let mut statuses = Vec::new();
        for answer in asked.collect::<Vec<_>>() {
            let answer = answer.await.unwrap().unwrap();
            if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                assert_eq!(answer.headers()["retry-after"], "1");
            }
            statuses.push(answer.status().as_u16());
        }
        statuses.sort_unstable();
        statuses
    };
    assert_eq!(statuses(3).await, [200, 503, 503]);
    assert_eq!(statuses(1).await, [200], "the permit came back");
    face.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_lets_requests_end_and_cuts_those_that_do_not() {
    let limits = ServeLimits {
        shutdown_time: Duration::from_millis(1500),
        ..ServeLimits::default()
    };
    let face = start(limits, None);
    let url = format!("http://{}/mcp", face.address);
    let ask = |wait: &str| tokio::spawn(plain_client().get(&url).header("x-wait-ms", wait).send());
    let (short, endless) = (ask("500"), ask("25000"));
    let idle = TcpStream::connect(face.address).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = Instant::now();
    face.stop().await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(15));
    assert_eq!(short.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(endless.await.unwrap().is_err());
    drop(idle);
}

#[tokio::test]
async fn a_listener_off_loopback_is_refused_without_tls_wherever_it_came_from() {
    let settings = ServeSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        limits: ServeLimits::default(),
        counters: Arc::default(),
    };
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let routes = Routes {
        mcp: tower::service_fn(echo),
        resource_metadata: Bytes::new(),
    };
    let error = run(
        settings,
        listener,
        routes,
        std::future::pending(),
        Arc::default(),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, ServeError::PlainOffLoopback { .. }));
}
