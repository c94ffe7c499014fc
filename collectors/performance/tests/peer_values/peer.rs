//! The peer: a process of it over a root, and what it exposes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `prometheus-node-exporter`; ended when dropped.
pub(crate) struct Peer {
    process: Child,
    address: SocketAddr,
    is_live: bool,
}

/// One line of its exposition.
#[derive(Debug)]
pub(crate) struct PeerSample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
    /// Whether it is of the running machine.
    pub(crate) is_live: bool,
}

const COLLECTORS: [&str; 28] = [
    "bonding",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "edac",
    "entropy",
    "filesystem",
    "hwmon",
    "infiniband",
    "interrupts",
    "loadavg",
    "mdadm",
    "meminfo",
    "meminfo_numa",
    "netclass",
    "netdev",
    "netstat",
    "powersupplyclass",
    "pressure",
    "rapl",
    "sockstat",
    "softnet",
    "stat",
    "thermal_zone",
    "timex",
    "vmstat",
    "xfs",
];

/// Live, the peer asks netlink, so that the two readings share nothing but the kernel.
const LIVE_ARGUMENTS: &[&str] = &[];

/// Over a tree it has to read the file, as netlink knows this machine alone.
const TREE_ARGUMENTS: &[&str] = &["--no-collector.netdev.netlink"];

/// How long the peer may take to listen, and then to answer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Peer {
    /// Starts it over a root; `None` where it is not installed.
    pub(crate) fn start(root: &Path) -> Option<Self> {
        let is_live = root == Path::new("/");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--path.procfs={}", root.join("proc").display()))
            .arg(format!("--path.sysfs={}", root.join("sys").display()))
            .arg(format!("--path.rootfs={}", root.display()))
            .arg(format!(
                "--path.udev.data={}",
                root.join("run/udev/data").display()
            ))
            .args([
                "--web.disable-exporter-metrics",
                "--collector.disable-defaults",
            ])
            .args(COLLECTORS.map(|name| format!("--collector.{name}")))
            .args(if is_live {
                LIVE_ARGUMENTS
            } else {
                TREE_ARGUMENTS
            })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let peer = Self {
            process,
            address,
            is_live,
        };
        peer.wait_until_it_listens();
        Some(peer)
    }

    fn wait_until_it_listens(&self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < end, "the peer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it exposes now.
    pub(crate) fn scrape(&self) -> Vec<PeerSample> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let samples = body
            .lines()
            .filter_map(|line| PeerSample::parse(line, self.is_live));
        let samples = summed_over_processors(samples);
        let failed = samples
            .iter()
            .filter(|sample| sample.name == "node_scrape_collector_success" && sample.value == 0.0);
        for sample in failed {
            println!(
                "the peer's own collector `{}` found nothing or failed",
                sample.labels["collector"]
            );
        }
        samples
    }
}

/// The peer has interrupts of each processor, we of all.
fn summed_over_processors(samples: impl Iterator<Item = PeerSample>) -> Vec<PeerSample> {
    let mut all: Vec<PeerSample> = Vec::new();
    for mut sample in samples {
        if sample.name == "node_interrupts_total" {
            sample.labels.remove("cpu");
            let same = |known: &&mut PeerSample| {
                known.name == sample.name && known.labels == sample.labels
            };
            if let Some(known) = all.iter_mut().find(same) {
                known.value += sample.value;
                continue;
            }
        }
        all.push(sample);
    }
    all
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl PeerSample {
    /// `name{key="value",…} number`
    fn parse(line: &str, is_live: bool) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|pair| pair.split_once("=\""))
            .map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned()))
            .collect();
        Some(Self {
            name: name.to_owned(),
            labels,
            value: value.parse().ok()?,
            is_live,
        })
    }

    pub(crate) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }

    pub(crate) fn series(&self) -> String {
        format!("{}{:?}", self.name, self.labels)
    }
}
