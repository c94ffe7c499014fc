//! Whether the roles answer.

use std::cell::Cell;
use std::fs::Metadata;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::time::{Clock as _, SystemClock, Timestamp};
use glasshouse_serve::{METRICS_PATH, RESOURCE_METADATA_PATH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::ports::Ports;
use super::state::State;
use crate::exit::Failure;

/// How often the roles are asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long one answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// The authorization server's metadata (RFC 8414).
const ISSUER_METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// How the start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every role answers.
    Ready,
    /// Somebody wants it to stop.
    Stopped,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Readiness {
    started: Timestamp,
    store: PathBuf,
    inventory: PathBuf,
    serve: SocketAddr,
    authd: SocketAddr,
    metrics: SocketAddr,
    /// The size of the store when it was last looked at: what grows is being written.
    seen: Cell<Option<u64>>,
}

impl Readiness {
    /// What is new from now on counts.
    pub(crate) fn new(state: &State, ports: &Ports) -> Self {
        Self {
            started: SystemClock.now(),
            store: state.path("store"),
            inventory: state.path("inventory"),
            serve: ports.serve_address,
            authd: ports.authd_address,
            metrics: ports.metrics_address,
            seen: Cell::new(None),
        }
    }

    /// Waits until every role answers.
    pub(crate) async fn wait(&self, deadline: Duration) -> Result<Outcome, Failure> {
        let mut silent = Vec::new();
        let all = async {
            loop {
                silent = self.silent().await;
                if silent.is_empty() {
                    break;
                }
                sleep(ASK_EVERY).await;
            }
        };
        if timeout(deadline, all).await.is_ok() {
            return Ok(Outcome::Ready);
        }
        let error = anyhow::anyhow!(
            "not ready after {} s: {}",
            deadline.as_secs(),
            silent.join("; ")
        );
        Err(Failure::environment(error).help("the log lines above say what the roles met"))
    }

    /// The roles that do not answer yet.
    async fn silent(&self) -> Vec<&'static str> {
        let mut silent = Vec::new();
        if !self.is_stored() {
            silent.push("nothing of what the probe read is in the node's store yet");
        }
        if !answers(self.serve, RESOURCE_METADATA_PATH).await {
            silent.push("serve does not answer");
        }
        if !answers(self.authd, ISSUER_METADATA_PATH).await {
            silent.push("authd does not answer");
        }
        if !answers(self.metrics, METRICS_PATH).await {
            silent.push("there are no metrics yet");
        }
        silent
    }

    /// Whether the node of this start has written its inventory and goes on writing samples.
    ///
    /// Root looks at names, times and sizes alone: it opens nothing that a role has written.
    fn is_stored(&self) -> bool {
        let inventory = self.inventory.join("current.json").symlink_metadata();
        let inventory_is_new = inventory.is_ok_and(|metadata| self.is_new(&metadata));
        let size = self.size_of_new_files();
        let before = self.seen.replace(size);
        inventory_is_new && before.is_some() && size > before
    }

    /// Bytes of the store's files that were written since this start, where there are any.
    fn size_of_new_files(&self) -> Option<u64> {
        let entries = std::fs::read_dir(&self.store).ok()?;
        let sizes = entries.filter_map(|entry| {
            let metadata = entry.ok()?.path().symlink_metadata().ok()?;
            (metadata.is_file() && self.is_new(&metadata)).then_some(metadata.len())
        });
        sizes.reduce(u64::saturating_add)
    }

    fn is_new(&self, metadata: &Metadata) -> bool {
        (metadata.mtime(), metadata.mtime_nsec()) >= (self.started.seconds(), 0)
    }
}

/// Whether a plain GET is answered with 200.
async fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        std::io::Result::Ok(status.ends_with(b" 200"))
    };
    matches!(timeout(ANSWER_DEADLINE, ask).await, Ok(Ok(true)))
}
