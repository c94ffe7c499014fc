//! VictoriaMetrics, of a single node.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::super::http::{Client, free_port};
use super::super::server::Server;
use super::super::subject::Sizes;
use super::super::watch::Size;
use super::Peer;

/// VictoriaMetrics.
#[derive(Debug)]
pub(crate) struct Victoria;

/// Where it keeps what, below its folder.
const DATA: &str = "data";

/// How long its merge may take.
const MERGE: Duration = Duration::from_secs(300);

/// How often it is asked whether the merge is done.
const LOOK: Duration = Duration::from_millis(200);

/// It begins a merge some time after it was asked to, and says nothing until then.
const TO_BEGIN: Duration = Duration::from_secs(2);

impl Peer for Victoria {
    fn title(&self) -> &'static str {
        "VictoriaMetrics"
    }

    fn program(&self) -> &'static str {
        "victoria-metrics"
    }

    fn version_argument(&self) -> &'static str {
        "-version"
    }

    fn start(&self, folder: &Path) -> anyhow::Result<(Server, Client)> {
        let port = free_port()?;
        let mut command = Command::new(self.program());
        command
            .arg(format!("-storageDataPath={DATA}"))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            // nothing of what was recorded long ago goes away
            .args(["-retentionPeriod=100y", "-loggerLevel=WARN"]);
        let mut server = Server::start(command, folder)?;
        let client = server.connect(port, "/health")?;
        Ok((server, client))
    }

    fn seal(&self, client: &mut Client) -> anyhow::Result<()> {
        client.get("/internal/force_flush")?.good()?;
        client.get("/internal/force_merge")?.good()?;
        std::thread::sleep(TO_BEGIN);
        let begun = Instant::now();
        loop {
            let metrics = client.get("/metrics")?.good()?;
            if !is_merging(&String::from_utf8_lossy(&metrics.body)) {
                break;
            }
            if begun.elapsed() > MERGE {
                bail!("its merge does not end");
            }
            std::thread::sleep(LOOK);
        }
        client.get("/internal/force_flush")?.good()?;
        Ok(())
    }

    fn kept(&self, client: &mut Client, _folder: &Path) -> anyhow::Result<u64> {
        let metrics = client.get("/metrics")?.good()?;
        Ok(rows(&String::from_utf8_lossy(&metrics.body)))
    }

    fn sizes(&self, folder: &Path) -> anyhow::Result<Sizes> {
        let data = folder.join(DATA);
        let is_kept = |path: &Path| path.starts_with("data") || path.starts_with("indexdb");
        Ok(Sizes {
            sealed: Size::below(&data, is_kept)?,
            derived: Size::default(),
            whole: Size::below(&data, |_| true)?,
        })
    }
}

/// Whether its metrics say that a merge goes on.
fn is_merging(metrics: &str) -> bool {
    let counts = ["vm_active_force_merges", "vm_active_merges"];
    metrics
        .lines()
        .filter(|line| counts.iter().any(|count| line.starts_with(count)))
        .filter_map(|line| line.rsplit(' ').next())
        .any(|count| count != "0")
}

/// How many samples its metrics say that it has.
fn rows(metrics: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("vm_rows{type=\"storage/"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_is_seen_in_the_metrics() {
        let idle = "vm_active_force_merges 0\nvm_active_merges{type=\"indexdb\"} 0\nvm_merges_total{type=\"x\"} 9\n";
        assert!(!is_merging(idle));
        assert!(is_merging(&idle.replace("merges 0", "merges 1")));
        assert!(is_merging(&idle.replace("db\"} 0", "db\"} 2")));
    }

    #[test]
    fn samples_are_counted_wherever_they_are() {
        let metrics = "vm_rows{type=\"indexdb\"} 9\nvm_rows{type=\"storage/big\"} 5\nvm_rows{type=\"storage/small\"} 2\n";
        assert_eq!(rows(metrics), 7);
    }
}
