//! Prometheus. What it holds in memory becomes a block when a snapshot is asked for: the same block, written by the same
//! code, that it would write by itself after three hours.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::super::http::{Client, free_port};
use super::super::server::Server;
use super::super::subject::Sizes;
use super::super::watch::Size;
use super::Peer;

/// Prometheus.
#[derive(Debug)]
pub(crate) struct Prometheus;

/// Where it keeps what, below its folder.
const DATA: &str = "data";

impl Peer for Prometheus {
    fn title(&self) -> &'static str {
        "Prometheus"
    }

    fn program(&self) -> &'static str {
        "prometheus"
    }

    fn version_argument(&self) -> &'static str {
        "--version"
    }

    fn start(&self, folder: &Path) -> anyhow::Result<(Server, Client)> {
        std::fs::write(folder.join("prometheus.yml"), "global: {}\n")?;
        let port = free_port()?;
        let mut command = Command::new(self.program());
        command
            .arg("--config.file=prometheus.yml")
            .arg(format!("--storage.tsdb.path={DATA}"))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args([
                "--web.enable-remote-write-receiver",
                "--web.enable-admin-api",
                // nothing of what was recorded long ago goes away
                "--storage.tsdb.retention.time=100y",
                "--log.level=warn",
            ]);
        let mut server = Server::start(command, folder)?;
        let client = server.connect(port, "/-/ready")?;
        Ok((server, client))
    }

    fn seal(&self, client: &mut Client) -> anyhow::Result<()> {
        let path = "/api/v1/admin/tsdb/snapshot?skip_head=false";
        let answer = client.post(path, &[], &[])?.good()?;
        super::text(&answer.body, "/data/name")?;
        Ok(())
    }

    /// Each block says how many it has.
    fn kept(&self, _client: &mut Client, folder: &Path) -> anyhow::Result<u64> {
        let mut kept = 0;
        for snapshot in std::fs::read_dir(folder.join(DATA).join("snapshots"))? {
            for block in std::fs::read_dir(snapshot?.path())? {
                let meta = std::fs::read(block?.path().join("meta.json"))?;
                let meta: serde_json::Value = serde_json::from_slice(&meta)?;
                let samples = meta.pointer("/stats/numSamples");
                let samples = samples.and_then(serde_json::Value::as_u64);
                kept += samples.context("a block that does not say what it has")?;
            }
        }
        Ok(kept)
    }

    fn sizes(&self, folder: &Path) -> anyhow::Result<Sizes> {
        let data = folder.join(DATA);
        Ok(Sizes {
            // blocks: chunks, index, tombstones and what they say of themselves
            sealed: Size::below(&data.join("snapshots"), |_| true)?,
            derived: Size::default(),
            whole: Size::below(&data, |path| !path.starts_with("snapshots"))?,
        })
    }
}
