//! The connection to the receiver: one request at a time, each with a deadline.

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use glasshouse_core::time::{Clock, SystemClock, Timestamp};
use glasshouse_exposition::remote_write::{CONTENT_ENCODING, MEDIA_TYPE, VERSION_HEADER};
use secrecy::{ExposeSecret, SecretString};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::answer::Answer;
use super::settings::{Credentials, RemoteSettings};
use super::totals::Failed;
use crate::chain::Chain;

/// For a name and for a connection with TLS. Who needs longer is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// For all of one request.
const REQUEST: Duration = Duration::from_secs(30);

/// What is read of an answer: its first line says what was wrong.
const MOST_ANSWER_BYTES: u64 = 4096;

/// Headers of an answer.
const MOST_HEADER_BYTES: usize = 16 << 10;

/// A connection is kept for the next request this long; longer than the longest interval would be at somebody's expense.
const KEPT_OPEN: Duration = Duration::from_secs(90);

/// A request is written in pieces of this size.
const BUFFER: usize = 16 << 10;

/// A chain of certificates; a longer file is something else.
const MOST_PEM_BYTES: u64 = 1 << 20;

/// Whoever takes requests.
pub(super) trait Post: Send {
    /// Sends a request and waits for what becomes of it.
    fn post(&mut self, body: &[u8]) -> Answer;
}

/// A receiver over the network.
#[derive(Debug)]
pub(super) struct Client {
    url: String,
    credentials: Option<Credentials>,
    ca: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    deadline: Duration,
    /// Made for the first request, and anew after one that failed, or where certificates were replaced.
    agent: Option<Agent>,
    /// The files that it was made from, as they were then.
    files: Vec<Option<FileState>>,
}

/// What changes where a file is replaced or written anew: inode, length, and time in seconds and nanoseconds.
type FileState = (u64, u64, i64, i64);

/// Why a request was not even sent.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` holds no {what} in PEM", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error("failed to read the secret for the receiver of remote write")]
    Secret(#[source] Box<dyn Error + Send + Sync>),
    #[error("the user name or the secret cannot stand in a header")]
    Header,
}

impl Client {
    pub(super) fn new(settings: &RemoteSettings) -> Self {
        Self {
            url: settings.url.clone(),
            credentials: settings.credentials.clone(),
            ca: settings.ca.clone(),
            certificate: settings.certificate.clone(),
            deadline: REQUEST,
            agent: None,
            files: Vec::new(),
        }
    }

    /// Tests hurry.
    #[cfg(test)]
    pub(super) const fn has_seconds(&mut self, seconds: u64) {
        self.deadline = Duration::from_secs(seconds);
    }

    fn agent(&mut self) -> Result<Agent, ClientError> {
        // before they are read: one that is replaced meanwhile is read again
        let files = self.files();
        if let Some(agent) = self.agent.as_ref().filter(|_| files == self.files) {
            return Ok(agent.clone());
        }
        let agent = Agent::with_parts(
            Agent::config_builder()
                .http_status_as_error(false)
                // nobody stands between, and nobody sends us elsewhere
                .proxy(None)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("glasshouse/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_global(Some(self.deadline))
                .max_response_header_size(MOST_HEADER_BYTES)
                .input_buffer_size(BUFFER)
                .output_buffer_size(BUFFER)
                .max_idle_connections(1)
                .max_idle_age(KEPT_OPEN)
                .tls_config(self.tls()?)
                .build(),
            DefaultConnector::default(),
            Names::default(),
        );
        self.agent = Some(agent.clone());
        self.files = files;
        Ok(agent)
    }

    fn files(&self) -> Vec<Option<FileState>> {
        let own = self
            .certificate
            .iter()
            .flat_map(|(chain, key)| [chain, key]);
        let state = |path: &PathBuf| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        };
        self.ca.iter().chain(own).map(state).collect()
    }

    fn tls(&self) -> Result<TlsConfig, ClientError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        tls = match &self.ca {
            Some(path) => tls.root_certs(RootCerts::new_with_certs(&certificates(path)?)),
            None => tls.root_certs(RootCerts::PlatformVerifier),
        };
        if let Some((chain, key)) = &self.certificate {
            let own = ClientCert::new_with_certs(&certificates(chain)?, private_key(key)?);
            tls = tls.client_cert(Some(own));
        }
        Ok(tls.build())
    }

    fn send(&mut self, body: &[u8]) -> Result<Answer, Trouble> {
        let authorization = self.authorization().map_err(Trouble::Own)?;
        let agent = self.agent().map_err(Trouble::Own)?;
        let (version, number) = VERSION_HEADER;
        let mut request = agent
            .post(&self.url)
            .header("Content-Encoding", CONTENT_ENCODING)
            .header("Content-Type", MEDIA_TYPE)
            .header(version, number);
        if let Some(authorization) = &authorization {
            request = request.header("Authorization", authorization.expose_secret());
        }
        let mut answer = request.send(body).map_err(Trouble::Network)?;
        let status = answer.status().as_u16();
        let after = answer.headers().get("Retry-After");
        let after = after.and_then(|after| after.to_str().ok());
        let after = after.and_then(|after| retry_after(after, SystemClock.now()));
        let mut text = Vec::new();
        let mut reader = answer.body_mut().as_reader().take(MOST_ANSWER_BYTES);
        // the status has said what matters; of a text that breaks off the beginning is good enough
        drop(reader.read_to_end(&mut text));
        if self.certificate.is_some() && matches!(status, 400 | 401 | 403) {
            // a connection shows its certificate once, and keeps being refused for one that has run out
            self.agent = None;
        }
        Ok(Answer::of(status, after, &String::from_utf8_lossy(&text)))
    }

    fn authorization(&self) -> Result<Option<SecretString>, ClientError> {
        let (scheme, value) = match &self.credentials {
            None => return Ok(None),
            Some(Credentials::Basic { user, password }) => {
                let password = password.ask().map_err(ClientError::Secret)?;
                let both = SecretString::from(format!("{user}:{}", password.expose_secret()));
                (
                    "Basic",
                    SecretString::from(BASE64_STANDARD.encode(both.expose_secret())),
                )
            }
            Some(Credentials::Bearer(token)) => {
                ("Bearer", token.ask().map_err(ClientError::Secret)?)
            }
        };
        let value = value.expose_secret();
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Header);
        }
        Ok(Some(SecretString::from(format!("{scheme} {value}"))))
    }
}

/// Finds addresses of names. `localhost` is this machine and nothing else, whatever a resolver says: plain http may go there.
#[derive(Debug, Default)]
struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(known) = this_machine(uri) else {
            return self.0.resolve(uri, config, timeout);
        };
        let mut addresses = self.empty();
        known.into_iter().for_each(|one| addresses.push(one));
        Ok(addresses)
    }
}

/// The addresses of `localhost`, where that is the host.
fn this_machine(uri: &Uri) -> Option<[SocketAddr; 2]> {
    let host = uri.host()?;
    let port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let port = uri.port_u16().unwrap_or(port);
    let addresses = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    host.eq_ignore_ascii_case("localhost")
        .then(|| addresses.map(|address| SocketAddr::new(address, port)))
}

enum Trouble {
    Own(ClientError),
    Network(ureq::Error),
}

impl Post for Client {
    fn post(&mut self, body: &[u8]) -> Answer {
        let (why, text) = match self.send(body) {
            Ok(answer) => return answer,
            Err(Trouble::Own(error)) => (Failed::Credentials, Chain(&error).to_string()),
            Err(Trouble::Network(error)) => (Failed::Network, Chain(&error).to_string()),
        };
        self.agent = None;
        Answer::Later {
            why,
            after: None,
            text: glasshouse_core::text::clean(&text),
        }
    }
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_seconds(date.timestamp().as_second()).since(now))
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    let failed = |source| ClientError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_PEM_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, ClientError> {
    let pem = read(path)?;
    let items = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<Certificate<'static>> = items.collect();
    if certificates.is_empty() {
        return Err(ClientError::Pem {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, ClientError> {
    PrivateKey::from_pem(&read(path)?).map_err(|_| ClientError::Pem {
        path: path.to_owned(),
        what: "private key",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_this_machine_whatever_a_resolver_says() {
        let known = |uri: &str| {
            let known = this_machine(&uri.parse().unwrap());
            known.map(|known| known.map(|one| one.to_string()))
        };
        let both = |port| Some([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
        assert_eq!(known("http://localhost:9090/write"), both(9090));
        assert_eq!(known("https://localhost/"), both(443));
        assert_eq!(known("http://LOCALHOST/"), both(80));
        for other in ["http://localhost.example/", "http://127.0.0.1/", "/"] {
            assert_eq!(known(other), None, "{other}");
        }
    }

    #[test]
    fn a_receiver_says_when_to_come_again_in_two_ways() {
        let now = Timestamp::from_seconds(784_111_777);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(30)));
        let past = "Sun, 06 Nov 1994 08:00:00 GMT";
        assert_eq!(retry_after(past, now), Some(Duration::ZERO));
        for nonsense in ["", "-1", "soon", "1e3"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }
}
