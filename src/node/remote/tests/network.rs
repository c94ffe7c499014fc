//! The client on a socket: what it sends, and what it makes of receivers that are odd.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::super::answer::Answer;
use super::super::client::{Client, Post};
use super::super::settings::{Credentials, RemoteSettings, SecretSource};
use super::super::totals::{Dropped, Failed};
use super::world::remote;

/// A request as it came: its lines, lower case where they are headers, and its body.
type Seen = (Vec<String>, Vec<u8>);

/// Answers each connection's requests with the next of these texts; an empty one hangs up, and where none is left it
/// says nothing.
fn serve(answers: &[&'static str]) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    let answers = Arc::new(Mutex::new(
        answers.iter().rev().copied().collect::<Vec<_>>(),
    ));
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (answers, tell) = (Arc::clone(&answers), tell.clone());
            std::thread::spawn(move || {
                let mut connection = connection.unwrap();
                while let Some(request) = read(&mut connection) {
                    if tell.send(request).is_err() {
                        return;
                    }
                    let answer = answers.lock().unwrap().pop();
                    match answer {
                        Some("") => return,
                        Some(answer) => connection.write_all(answer.as_bytes()).unwrap(),
                        None => std::thread::sleep(Duration::from_secs(60)),
                    }
                }
            });
        }
    });
    (url, seen)
}

fn read(connection: &mut impl Read) -> Option<Seen> {
    let mut reader = BufReader::new(connection);
    let mut lines = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length: ") {
            length = bytes.parse().unwrap();
        }
        lines.push(line.to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((lines, body))
}

const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn header(seen: &Seen, name: &str) -> Option<String> {
    let start = format!("{name}: ");
    let found = seen
        .0
        .iter()
        .find(|line| line.to_lowercase().starts_with(&start));
    found.map(|line| line.split_at(start.len()).1.to_owned())
}

#[test]
fn a_request_has_the_headers_that_the_protocol_wants() {
    let (url, seen) = serve(&[TAKEN, TAKEN]);
    let mut client = Client::new(&remote(&url));
    assert_eq!(client.post(b"one"), Answer::Taken);
    assert_eq!(client.post(b"two"), Answer::Taken);
    let request = seen.recv().unwrap();
    assert_eq!(request.0[0], "POST /api/v1/write HTTP/1.1");
    assert_eq!(request.1, b"one");
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        assert_eq!(header(&request, name).as_deref(), Some(value), "{name}");
    }
    let agent = header(&request, "user-agent").unwrap();
    assert!(agent.starts_with("glasshouse/"), "{agent}");
    assert_eq!(header(&request, "authorization"), None);
    assert_eq!(seen.recv().unwrap().1, b"two");
}

#[test]
fn what_is_answered_is_understood_and_what_is_not_comes_again() {
    let (url, seen) = serve(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 20\r\n\r\nout of order sample\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        "",
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "no HTTP at all\r\n\r\n",
        TAKEN,
    ]);
    let mut client = Client::new(&remote(&url));
    let mut ask = || match client.post(b"x") {
        Answer::Taken => "taken".to_owned(),
        Answer::Refused { why, .. } => format!("{why:?}"),
        Answer::Later { why, after, .. } => format!("{why:?} {after:?}"),
    };
    let answers: Vec<String> = (0..8).map(|_| ask()).collect();
    assert_eq!(
        answers,
        [
            "taken",
            "OutOfOrder",
            "Throttled Some(7s)",
            "Server None",
            "Network None",
            "Redirected None",
            "Network None",
            "taken",
        ]
    );
    assert_eq!(seen.iter().take(8).count(), 8, "nothing was asked twice");
}

#[test]
fn an_endless_answer_is_read_to_its_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        read(&mut connection).unwrap();
        let start = "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.write_all(start.as_bytes()).unwrap();
        // until it hangs up
        while connection.write_all(b"10\r\n0123456789abcdef\r\n").is_ok() {}
    });
    let answer = Client::new(&remote(&url)).post(b"x");
    let Answer::Refused { why, text, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(why, Dropped::Refused);
    assert!(text.len() < 300, "{text}");
}

#[test]
fn a_receiver_that_says_nothing_is_given_up_in_time() {
    let (url, _seen) = serve(&[]);
    let mut client = Client::new(&remote(&url));
    client.has_seconds(1);
    let started = Instant::now();
    let answer = client.post(b"x");
    assert!(
        matches!(
            answer,
            Answer::Later {
                why: Failed::Network,
                ..
            }
        ),
        "{answer:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(20));
    // nobody is there
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut client = Client::new(&remote(&format!("http://{nobody}/")));
    let Answer::Later { text, .. } = client.post(b"x") else {
        panic!("nobody took it");
    };
    assert!(text.contains("refused"), "{text}");
}

fn secret(path: &Path) -> SecretSource {
    let path = path.to_owned();
    SecretSource::new(move || Ok(SecretString::from(std::fs::read_to_string(&path)?)))
}

#[test]
fn secrets_are_read_for_each_request_and_stand_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let (url, seen) = serve(&[TAKEN; 3]);
    let settings = RemoteSettings {
        credentials: Some(Credentials::Bearer(secret(&path))),
        ..remote(&url)
    };
    let mut client = Client::new(&settings);
    let answer = client.post(b"x");
    assert!(
        matches!(&answer, Answer::Later { why: Failed::Credentials, text, .. } if text.contains("No such file")),
        "{answer:?}"
    );
    for token in ["hush-1", "hush-2"] {
        std::fs::write(&path, token).unwrap();
        assert_eq!(client.post(b"x"), Answer::Taken);
        let bearer = header(&seen.recv().unwrap(), "authorization").unwrap();
        assert_eq!(bearer, format!("Bearer {token}"));
    }
    assert!(!format!("{client:?} {settings:?}").contains("hush"));
    let settings = RemoteSettings {
        credentials: Some(Credentials::Basic {
            user: "Aladdin".to_owned(),
            password: secret(&path),
        }),
        ..remote(&url)
    };
    std::fs::write(&path, "open sesame").unwrap();
    assert_eq!(Client::new(&settings).post(b"x"), Answer::Taken);
    let basic = header(&seen.recv().unwrap(), "authorization").unwrap();
    // the example of RFC 7617
    assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    std::fs::write(&path, "two\nlines").unwrap();
    let settings = RemoteSettings {
        credentials: Some(Credentials::Bearer(secret(&path))),
        ..remote(&url)
    };
    let answer = Client::new(&settings).post(b"x");
    assert!(matches!(
        answer,
        Answer::Later {
            why: Failed::Credentials,
            ..
        }
    ));
}

mod tls {
    use std::path::PathBuf;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair,
    };
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    struct Files {
        ca: PathBuf,
        chain: PathBuf,
        key: PathBuf,
    }

    /// An authority, and a certificate of it.
    fn make(dir: &Path, name: &str) -> Files {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        own.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let own = own.signed_by(&key, &authority).unwrap();
        let files = Files {
            ca: dir.join(format!("{name}-ca.pem")),
            chain: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}.key")),
        };
        std::fs::write(&files.ca, authority.pem()).unwrap();
        std::fs::write(&files.chain, own.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// Takes requests of whoever has a certificate of these clients' authority.
    fn serve(own: &Files, clients: &Files) -> String {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&clients.ca).unwrap())
            .unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let chain = vec![CertificateDer::from_pem_file(&own.chain).unwrap()];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&own.key).unwrap())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(StreamOwned::new(tls, connection.unwrap()));
            }
        });
        format!("https://localhost:{port}/")
    }

    fn answer(mut connection: StreamOwned<ServerConnection, TcpStream>) {
        while read(&mut connection).is_some() {
            if connection.write_all(TAKEN.as_bytes()).is_err() {
                return;
            }
        }
    }

    #[test]
    fn both_sides_show_their_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let (server, node) = (make(dir.path(), "server"), make(dir.path(), "node"));
        let url = serve(&server, &node);
        let good = RemoteSettings {
            ca: Some(server.ca.clone()),
            certificate: Some((node.chain.clone(), node.key)),
            ..remote(&url)
        };
        assert_eq!(Client::new(&good).post(b"x"), Answer::Taken);
        let stranger = make(dir.path(), "stranger");
        let bad = [
            ("nobody knows the receiver", None, good.certificate.clone()),
            (
                "another authority",
                Some(stranger.ca.clone()),
                good.certificate.clone(),
            ),
            ("no certificate", good.ca.clone(), None),
            (
                "a stranger's certificate",
                good.ca.clone(),
                Some((stranger.chain.clone(), stranger.key)),
            ),
        ];
        for (what, ca, certificate) in bad {
            let settings = RemoteSettings {
                ca,
                certificate,
                ..good.clone()
            };
            let mut client = Client::new(&settings);
            client.has_seconds(5);
            let answer = client.post(b"x");
            assert!(
                matches!(
                    answer,
                    Answer::Later {
                        why: Failed::Network,
                        ..
                    }
                ),
                "{what}: {answer:?}"
            );
        }
        let settings = RemoteSettings {
            ca: Some(server.key),
            ..good
        };
        let answer = Client::new(&settings).post(b"x");
        assert!(
            matches!(&answer, Answer::Later { why: Failed::Credentials, text, .. } if text.contains("holds no certificate")),
            "{answer:?}"
        );
    }

    #[test]
    fn a_certificate_that_was_replaced_is_used_for_the_next_try() {
        let dir = tempfile::tempdir().unwrap();
        let (server, node) = (make(dir.path(), "server"), make(dir.path(), "node"));
        let stranger = make(dir.path(), "stranger");
        let url = serve(&server, &node);
        let settings = RemoteSettings {
            ca: Some(server.ca),
            certificate: Some((stranger.chain.clone(), stranger.key.clone())),
            ..remote(&url)
        };
        let mut client = Client::new(&settings);
        assert!(matches!(client.post(b"x"), Answer::Later { .. }));
        std::fs::copy(&node.chain, &stranger.chain).unwrap();
        std::fs::copy(&node.key, &stranger.key).unwrap();
        assert_eq!(client.post(b"x"), Answer::Taken);
    }

    #[test]
    fn a_certificate_that_is_replaced_is_used_although_requests_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        let (server, node) = (make(dir.path(), "server"), make(dir.path(), "node"));
        let stranger = make(dir.path(), "stranger");
        let url = serve(&server, &node);
        let settings = RemoteSettings {
            ca: Some(server.ca),
            certificate: Some((node.chain.clone(), node.key.clone())),
            ..remote(&url)
        };
        let mut client = Client::new(&settings);
        assert_eq!(client.post(b"x"), Answer::Taken);
        assert_eq!(client.post(b"x"), Answer::Taken);
        // a wrong one shows that it was read
        std::fs::copy(&stranger.chain, &node.chain).unwrap();
        std::fs::copy(&stranger.key, &node.key).unwrap();
        assert!(matches!(client.post(b"x"), Answer::Later { .. }));
    }
}
