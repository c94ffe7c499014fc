//! All roles of Glasshouse on loopback, every collector each second, and a BMC each half minute.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use glasshouse_sim::ipmi::{self, Bmc};
use serde_json::Value;

use super::running::{PATIENCE, Running};
use super::watch::{Group, Series, Watched};
use crate::processes::Process;

/// The roles that a node consists of.
const NODE_ROLES: &[&str] = &["probe", "node", "serve"];

/// The role whose workers belong to a node too.
const PROBE: &str = "probe";

/// How the names of workers begin.
const WORKER: &str = "probe ";

/// Measured beside, not counted.
const OTHER_ROLES: &[&str] = &["authd"];

/// As whom `up` starts the worker that asks BMCs, where the machine has no user for it.
const BMC_USER: u32 = 64802;

#[derive(Debug)]
pub(super) struct Glasshouse {
    running: Running,
    binary: PathBuf,
    state: PathBuf,
    _bmc: Option<Bmc>,
    /// Goes after the processes.
    _folder: tempfile::TempDir,
}

impl Glasshouse {
    /// Starts all roles and waits until they are ready.
    pub(super) fn start(binary: &Path) -> anyhow::Result<Self> {
        // a folder that the roles' users can enter: under root each role has its own
        let folder = tempfile::Builder::new()
            .prefix("glasshouse-footprint-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?;
        let state = folder.path().join("state");
        let bmc = start_bmc()?;
        let mut config = each_second(binary)?;
        if let Some(bmc) = &bmc {
            config.push_str(&half_minutely(folder.path(), bmc)?);
        }
        // `up` reads it on top of the config that it writes
        let drop_ins = state.join("run/probe.d");
        std::fs::create_dir_all(&drop_ins)?;
        std::fs::write(drop_ins.join("footprint.toml"), config)?;
        let running = Running::start(
            Command::new(binary)
                .args([
                    "up",
                    "--json",
                    "--listen",
                    "127.0.0.1:0",
                    "--log",
                    "warn",
                    "--state-dir",
                ])
                .arg(&state)
                .stdout(Stdio::piped()),
        )?;
        Ok(Self {
            running: wait_until_ready(running)?,
            binary: binary.to_owned(),
            state,
            _bmc: bmc,
            _folder: folder,
        })
    }

    /// Itself, its roles and the workers of the probe.
    pub(super) fn processes(&self) -> anyhow::Result<Vec<Watched>> {
        let up = self.running.process();
        let children = up.children()?;
        let mut watched = vec![Watched::new("up", Group::Beside, up)];
        for role in NODE_ROLES.iter().chain(OTHER_ROLES) {
            let of_role = children.iter().find(|child| {
                child
                    .command_line()
                    .is_ok_and(|line| name_of(&line) == *role)
            });
            let Some(child) = of_role else {
                bail!("`{} up` has no child `{role}`", self.binary.display());
            };
            let group = if NODE_ROLES.contains(role) {
                Group::Node
            } else {
                Group::Beside
            };
            watched.push(Watched::new(role, group, *child));
            if *role == PROBE {
                watched.extend(workers(up, *child)?);
            }
        }
        Ok(watched)
    }

    /// How many series the collectors wrote when they last ran, and how many samples a second that makes.
    pub(super) fn series(&self) -> anyhow::Result<Series> {
        let text = std::fs::read(self.state.join("inventory/current.json"))?;
        let inventory: Value = serde_json::from_slice(&text)?;
        let collectors = inventory.get("collectors").and_then(Value::as_array);
        let collectors = collectors.context("no collectors in the inventory")?;
        let series = collectors.iter().filter_map(|collector| {
            let series = u32::try_from(collector.get("series")?.as_u64()?).ok()?;
            let seconds = collector.get("interval_ns")?.as_f64()? / 1e9;
            Some((series, seconds))
        });
        Ok(Series::sum(series))
    }
}

/// How many series this machine has now.
pub(super) fn series_there(binary: &Path) -> anyhow::Result<u64> {
    let listed = list(binary)?;
    let series = listed
        .iter()
        .filter_map(|collector| collector.get("series")?.as_u64());
    Ok(series.sum())
}

fn list(binary: &Path) -> anyhow::Result<Vec<Value>> {
    let listed = Command::new(binary)
        .args(["collectors", "list", "--json"])
        .output()?;
    let mut listed: Value = serde_json::from_slice(&listed.stdout)
        .context("`glasshouse collectors list --json` printed no JSON")?;
    match listed.get_mut("collectors").map(Value::take) {
        Some(Value::Array(collectors)) => Ok(collectors),
        _ => bail!("no collectors are listed"),
    }
}

/// Makes every collector that has metrics run each second, as the exporter does.
fn each_second(binary: &Path) -> anyhow::Result<String> {
    let has_metrics = |collector: &&Value| {
        let metrics = collector.get("metrics").and_then(Value::as_array);
        metrics.is_some_and(|metrics| !metrics.is_empty())
    };
    // a BMC is asked each half minute
    let over_the_network = |name: &&str| name.ends_with("_lan") || name.starts_with("redfish");
    Ok(list(binary)?
        .iter()
        .filter(has_metrics)
        .filter_map(|collector| collector.get("name")?.as_str())
        .filter(|name| !over_the_network(name))
        .map(|name| format!("[collectors.{name}]\ninterval = \"1s\"\n"))
        .collect())
}

fn start_bmc() -> anyhow::Result<Option<Bmc>> {
    let missing = ipmi::missing();
    if !missing.is_empty() {
        eprintln!("skipped: {missing:?} are not installed; measuring without a BMC");
        return Ok(None);
    }
    Bmc::start().map(Some)
}

fn half_minutely(folder: &Path, bmc: &Bmc) -> anyhow::Result<String> {
    let (user, password) = ipmi::USER;
    let secret = folder.join("password");
    std::fs::write(&secret, password)?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    // only root has users to give files to, and only then does the worker have one of its own
    if chown(&secret, Some(BMC_USER), Some(BMC_USER)).is_err() {
        eprintln!("the worker `bmc` has this user's rights");
    }
    Ok(format!(
        "[collectors.ipmi_lan]\ninterval = \"30s\"\n[collectors.ipmi_lan.bmcs.bench]\naddress = \"{}\"\n\
         username = \"{user}\"\npassword_file = \"{}\"\n",
        bmc.lan(),
        secret.display()
    ))
}

/// `up --json` prints one line when it is ready.
fn wait_until_ready(mut glasshouse: Running) -> anyhow::Result<Running> {
    let output = glasshouse.0.stdout.take().context("no output")?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        if let Some(Ok(line)) = lines.next() {
            // nobody listens any more where the wait was given up
            drop(sender.send(line));
        }
        lines.for_each(drop);
    });
    receiver
        .recv_timeout(PATIENCE)
        .context("`glasshouse up` did not become ready")?;
    Ok(glasshouse)
}

/// What a child of `up` or of the probe is called: the first word of its command line, and the worker behind it.
fn name_of(line: &str) -> String {
    let mut words = line.split(' ').skip(1);
    let role = words.next().unwrap_or_default();
    let worker = words.next().filter(|word| !word.starts_with('-'));
    match worker {
        Some(worker) if role == PROBE => format!("{role} {worker}"),
        _ => role.to_owned(),
    }
}

/// The workers of the probe: those that it started, and those beside it that `up` did.
fn workers(up: Process, probe: Process) -> anyhow::Result<Vec<Watched>> {
    let mut watched = Vec::new();
    for child in up.children()?.into_iter().chain(probe.children()?) {
        let name = child.command_line().map(|line| name_of(&line));
        if let Ok(name) = name
            && name.starts_with(WORKER)
        {
            watched.push(Watched::new(&name, Group::Node, child));
        }
    }
    Ok(watched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_not_taken_for_the_probe() {
        for (line, name) in [
            ("glasshouse probe --config x", "probe"),
            ("glasshouse probe bmc --config x", "probe bmc"),
            ("/proc/self/exe probe gpu --log info", "probe gpu"),
            ("glasshouse node --config x", "node"),
            ("glasshouse", ""),
        ] {
            assert_eq!(name_of(line), name);
        }
    }
}
