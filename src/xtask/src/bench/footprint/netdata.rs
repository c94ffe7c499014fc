//! Netdata as Debian packs it, with files of its own and nothing that calls home.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::http;
use super::running::{Running, eventually};
use super::watch::{Group, Series, Watched};
use crate::processes::Process;

const NAME: &str = "netdata";

#[derive(Debug)]
pub(super) struct Netdata {
    running: Running,
    address: SocketAddr,
    /// Goes after the process.
    _folder: tempfile::TempDir,
}

impl Netdata {
    /// On a free port, or nothing where it is not installed.
    pub(super) fn start() -> anyhow::Result<Option<Self>> {
        if !crate::peers::in_path(NAME) {
            eprintln!(
                "skipped: {NAME} is not installed (apt-get install netdata-core); measuring without it"
            );
            return Ok(None);
        }
        let folder = tempfile::Builder::new()
            .prefix("glasshouse-netdata-")
            .tempdir()?;
        let address = http::free_address()?;
        let file = write_config(folder.path(), address)?;
        let running = Running::start(
            Command::new(NAME)
                .arg("-D")
                .arg("-c")
                .arg(file)
                .env("DO_NOT_TRACK", "1")
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        eventually(|| http::get(address, "/api/v1/info")).context("netdata does not answer")?;
        Ok(Some(Self {
            running,
            address,
            _folder: folder,
        }))
    }

    /// The dimensions that it collects.
    pub(super) fn series(&self) -> anyhow::Result<Series> {
        let charts: serde_json::Value =
            serde_json::from_slice(&http::get(self.address, "/api/v1/charts")?)?;
        let charts = charts.get("charts").and_then(serde_json::Value::as_object);
        let dimensions = charts.context("no charts")?.values().filter_map(|chart| {
            let dimensions = chart.get("dimensions")?.as_object()?;
            let seconds = chart.get("update_every")?.as_f64()?;
            Some((u32::try_from(dimensions.len()).ok()?, seconds))
        });
        Ok(Series::sum(dimensions))
    }

    /// Itself and its plugins.
    pub(super) fn processes(&self) -> anyhow::Result<Vec<Watched>> {
        let mut found = vec![self.running.process()];
        let mut seen = 0;
        while let Some(process) = found.get(seen).copied() {
            found.extend(process.children()?);
            seen += 1;
        }
        Ok(found.into_iter().map(watched).collect())
    }
}

fn watched(process: Process) -> Watched {
    let line = process.command_line().unwrap_or_default();
    let program = line.split(' ').next().unwrap_or_default();
    let name = Path::new(program).file_name().unwrap_or_default();
    Watched::new(&name.to_string_lossy(), Group::Netdata, process)
}

/// Debian's settings but for places, the listener, and what would talk to anybody.
fn write_config(folder: &Path, address: SocketAddr) -> anyhow::Result<std::path::PathBuf> {
    let place = |name: &str| -> anyhow::Result<String> {
        let path = folder.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path.display().to_string())
    };
    let (config, cache, lib, log) = (place("etc")?, place("cache")?, place("lib")?, place("log")?);
    std::fs::write(
        folder.join("etc/.opt-out-from-anonymous-statistics"),
        Vec::new(),
    )?;
    std::fs::create_dir_all(folder.join("lib/cloud.d"))?;
    std::fs::write(
        folder.join("lib/cloud.d/cloud.conf"),
        "[global]\n    enabled = no\n",
    )?;
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let file = folder.join("etc/netdata.conf");
    std::fs::write(
        &file,
        format!(
            "[global]\n    run as user = {user}\n\
             [db]\n    update every = 1\n\
             [directories]\n    config = {config}\n    cache = {cache}\n    lib = {lib}\n    log = {log}\n    home = {lib}\n\
             [web]\n    bind to = {address}\n    default port = {port}\n\
             [cloud]\n    enabled = no\n\
             [registry]\n    enabled = no\n\
             [health]\n    enabled = no\n\
             [statsd]\n    enabled = no\n",
            port = address.port(),
        ),
    )?;
    Ok(file)
}
