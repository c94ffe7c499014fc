//! Whether the roles answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::reader::{InventoryReader as _, SampleReader as _};
use glasshouse_core::time::{Clock as _, SystemClock, Timestamp};
use glasshouse_serve::RESOURCE_METADATA_PATH;
use glasshouse_store::StoreReader;
use glasshouse_store::inventory::InventoryFile;
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
        silent
    }

    /// Whether a sample and an inventory of this start can be read.
    fn is_stored(&self) -> bool {
        let inventory = InventoryFile::new(&self.inventory).inventory();
        let inventory_is_new = inventory.is_ok_and(|inventory| inventory.written >= self.started);
        inventory_is_new && self.holds_new_samples()
    }

    fn holds_new_samples(&self) -> bool {
        let now = SystemClock.now();
        let selector = glasshouse_core::reader::Selector::default();
        StoreReader::open(&self.store)
            .latest(&selector, now)
            .is_ok_and(|latest| latest.iter().any(|one| one.sample.at >= self.started))
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
