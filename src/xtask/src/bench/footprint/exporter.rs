//! prometheus-node-exporter, scraped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::http;
use super::running::{Running, eventually};
use super::watch::{Group, Series, Watched};

pub(super) const NAME: &str = "prometheus-node-exporter";

#[derive(Debug)]
pub(super) struct Exporter {
    running: Running,
    address: SocketAddr,
}

impl Exporter {
    /// On a free port, or nothing where it is not installed.
    pub(super) fn start() -> anyhow::Result<Option<Self>> {
        if !crate::peers::in_path(NAME) {
            eprintln!(
                "skipped: {NAME} is not installed (apt-get install {NAME}); measuring without it"
            );
            return Ok(None);
        }
        let address = http::free_address()?;
        let mut command = Command::new(NAME);
        command
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Debian switches it on; without systemd it would fail and log at each scrape, which is no fair comparison
        if !Path::new("/run/systemd/private").exists() {
            command.arg("--no-collector.systemd");
        }
        let running = Running::start(&mut command)?;
        eventually(|| http::get(address, "/metrics"))?;
        Ok(Some(Self { running, address }))
    }

    pub(super) fn scrape(&self) -> anyhow::Result<Vec<u8>> {
        http::get(self.address, "/metrics")
    }

    /// How many series one scrape has; there is one a second.
    pub(super) fn series(&self) -> anyhow::Result<Series> {
        let text = self.scrape()?;
        let lines = text.split(|byte| *byte == b'\n');
        let series = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let count = u32::try_from(series.count())?;
        Ok(Series::sum([(count, 1.0)].into_iter()))
    }

    pub(super) fn process(&self) -> Watched {
        Watched::new(NAME, Group::Exporter, self.running.process())
    }
}
