//! CPU and memory of Glasshouse beside prometheus-node-exporter, in one run on one machine.
//!
//! Both sample every second: Glasshouse by itself, the exporter because it is scraped (uncompressed, which is cheaper for
//! it than what Prometheus asks for). `authd` and `up` stand in the table but not in the sum: they are not
//! part of a node.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::processes::Process;
use crate::project::{self, Profile};

/// The roles that a node consists of.
const NODE_ROLES: &[&str] = &["probe", "node", "serve"];

/// The role whose workers belong to a node too.
const PROBE: &str = "probe";

/// How the names of workers begin.
const WORKER: &str = "probe ";

/// Measured beside, not counted.
const OTHER_ROLES: &[&str] = &["authd"];

const EXPORTER: &str = "prometheus-node-exporter";

/// The first seconds are start-up: reading all facts, first segments, page faults.
const WARM_UP: Duration = Duration::from_secs(10);

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(seconds: u32) -> anyhow::Result<()> {
    let shell = project::shell()?;
    let binary = project::build_glasshouse(&shell, Profile::Release)?;
    let folder = state_folder()?;
    let state = folder.path().join("state");
    let sampled = sample_each_second(&binary, &state)?;
    let glasshouse = Running::start(
        Command::new(&binary)
            .args(["up", "--json", "--listen", "127.0.0.1:0", "--state-dir"])
            .arg(&state)
            .stdout(Stdio::piped()),
    )?;
    let glasshouse = wait_until_ready(glasshouse)?;
    let exporter = start_exporter()?;
    let mut watched = roles(glasshouse.process(), &binary)?;
    if let Some((exporter, _)) = &exporter {
        watched.push(Watched::new(EXPORTER, exporter.process()));
    }
    let scrape = exporter.as_ref().map(|(_, address)| *address);
    println!(
        "measuring {sampled}, each every second, for {seconds} s, after {} s of warm-up",
        WARM_UP.as_secs()
    );
    pass(WARM_UP, scrape, &mut watched)?;
    for one in &mut watched {
        one.begin()?;
    }
    let started = Instant::now();
    let scraped = pass(
        Duration::from_secs(u64::from(seconds)),
        scrape,
        &mut watched,
    )?;
    report(&watched, started.elapsed(), scraped)
}

/// A folder that the roles' users can enter: under root each role has its own.
fn state_folder() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("glasshouse-footprint-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()?;
    Ok(folder)
}

/// Makes every collector that has metrics run each second, as the exporter does; returns what will be sampled, in words.
fn sample_each_second(binary: &Path, state: &Path) -> anyhow::Result<String> {
    let listed = Command::new(binary)
        .args(["collectors", "list", "--json"])
        .output()?;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout)
        .context("`glasshouse collectors list --json` printed no JSON")?;
    let collectors = listed
        .get("collectors")
        .and_then(serde_json::Value::as_array)
        .context("no collectors are listed")?;
    let has_metrics = |collector: &&serde_json::Value| {
        let metrics = collector
            .get("metrics")
            .and_then(serde_json::Value::as_array);
        metrics.is_some_and(|metrics| !metrics.is_empty())
    };
    let names: Vec<&str> = collectors
        .iter()
        .filter(has_metrics)
        .filter_map(|collector| collector.get("name")?.as_str())
        .collect();
    let config: String = names
        .iter()
        .map(|name| format!("[collectors.{name}]\ninterval = \"1s\"\n"))
        .collect();
    // `up` reads it on top of the config that it writes
    let drop_ins = state.join("run/probe.d");
    std::fs::create_dir_all(&drop_ins)?;
    std::fs::write(drop_ins.join("footprint.toml"), config)?;
    let series = |collector: &serde_json::Value| collector.get("series")?.as_u64();
    Ok(format!(
        "{} collectors with {} series",
        names.len(),
        collectors.iter().filter_map(series).sum::<u64>()
    ))
}

/// A process that ends when this one is done with it.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self(child))
    }

    fn process(&self) -> Process {
        Process(self.0.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // politely first: `up` stops its children
        let id = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        let patience = Instant::now() + Duration::from_secs(15);
        while asked.is_ok() && Instant::now() < patience {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.0.kill().and_then(|()| self.0.wait()).is_err() {
            println!("process {id} could not be ended");
        }
    }
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

/// The exporter on a free port, or nothing where it is not installed.
fn start_exporter() -> anyhow::Result<Option<(Running, SocketAddr)>> {
    if !crate::peers::in_path(EXPORTER) {
        println!(
            "skipped: {EXPORTER} is not installed (apt-get install {EXPORTER}); measuring without it"
        );
        return Ok(None);
    }
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = Command::new(EXPORTER);
    command
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Debian switches it on; without systemd it would fail and log at each scrape, which is no fair comparison
    if !Path::new("/run/systemd/private").exists() {
        command.arg("--no-collector.systemd");
    }
    let running = Running::start(&mut command)?;
    let patience = Instant::now() + PATIENCE;
    while scrape(address).is_err() {
        if Instant::now() > patience {
            bail!("{EXPORTER} does not answer on {address}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Some((running, address)))
}

/// One scrape; returns the number of bytes.
fn scrape(address: SocketAddr) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        bail!("the exporter did not answer 200");
    }
    Ok(bytes.len())
}

/// One process of the table.
#[derive(Debug)]
struct Watched {
    name: String,
    process: Process,
    cpu_at_begin: f64,
    most_pss_kib: u64,
}

impl Watched {
    fn new(name: &str, process: Process) -> Self {
        Self {
            name: name.to_owned(),
            process,
            cpu_at_begin: 0.0,
            most_pss_kib: 0,
        }
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        self.cpu_at_begin = self.process.cpu_seconds()?;
        self.most_pss_kib = 0;
        Ok(())
    }

    fn cpu(&self) -> anyhow::Result<f64> {
        Ok(self.process.cpu_seconds()? - self.cpu_at_begin)
    }
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
            watched.push(Watched::new(&name, child));
        }
    }
    Ok(watched)
}

/// The children of `up`, by the role that stands in their command lines, and the workers of the probe.
fn roles(up: Process, binary: &Path) -> anyhow::Result<Vec<Watched>> {
    let children = up.children()?;
    let mut watched = vec![Watched::new("up", up)];
    for role in NODE_ROLES.iter().chain(OTHER_ROLES) {
        let of_role = children.iter().find(|child| {
            child
                .command_line()
                .is_ok_and(|line| name_of(&line) == *role)
        });
        match of_role {
            Some(child) => {
                watched.push(Watched::new(role, *child));
                if *role == PROBE {
                    watched.extend(workers(up, *child)?);
                }
            }
            None => bail!("`{} up` has no child `{role}`", binary.display()),
        }
    }
    Ok(watched)
}

/// Passes the time, scraping each second; returns how often.
fn pass(
    time: Duration,
    address: Option<SocketAddr>,
    watched: &mut [Watched],
) -> anyhow::Result<u32> {
    let start = Instant::now();
    let mut scraped = 0;
    let mut next = start;
    while start.elapsed() < time {
        if let Some(address) = address {
            scrape(address)?;
            scraped += 1;
        }
        // reading smaps_rollup costs the reader, not the read; each fifth second is often enough
        if scraped % 5 == 0 {
            for one in &mut *watched {
                one.most_pss_kib = one.most_pss_kib.max(one.process.pss_kib()?);
            }
        }
        next += Duration::from_secs(1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(scraped)
}

fn report(watched: &[Watched], elapsed: Duration, scraped: u32) -> anyhow::Result<()> {
    let seconds = elapsed.as_secs_f64();
    println!(
        "\n{:<32} {:>9} {:>8} {:>10}",
        "process", "CPU s", "CPU %", "PSS MiB"
    );
    let row = |name: &str, cpu: f64, pss_kib: u64| {
        let mib = f64::from(u32::try_from(pss_kib).unwrap_or(u32::MAX)) / 1024.0;
        println!(
            "{name:<32} {cpu:>9.2} {:>8.2} {mib:>10.1}",
            cpu / seconds * 100.0
        );
    };
    let (mut node_cpu, mut node_pss, mut exporter_cpu) = (0.0, 0, None);
    for one in watched {
        let cpu = one.cpu()?;
        row(&one.name, cpu, one.most_pss_kib);
        if NODE_ROLES.contains(&one.name.as_str()) || one.name.starts_with(WORKER) {
            node_cpu += cpu;
            node_pss += one.most_pss_kib;
        }
        if one.name == EXPORTER {
            exporter_cpu = Some(cpu);
        }
    }
    row("probe + workers + node + serve", node_cpu, node_pss);
    match exporter_cpu {
        Some(exporter) if exporter > 0.0 => println!(
            "\nCPU ratio to {EXPORTER} ({scraped} scrapes in {seconds:.1} s): {:.2}",
            node_cpu / exporter
        ),
        _ => println!("\nno exporter to compare with"),
    }
    println!("budget: ratio ≤ 1.00 (aim 0.50), 64 MiB (aim 48)");
    Ok(())
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
