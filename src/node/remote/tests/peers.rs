//! Receivers that this project did not write: Prometheus and VictoriaMetrics take what is sent, and answer with it.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::{SampleReader, Selector};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, SystemClock};
use glasshouse_store::{StoreReader, TailCursor};
use serde_json::Value as Json;

use super::super::{Remote, RemoteSettings};
use super::receiver::Arrived;
use super::world::{S, World, remote};
use crate::state::State;

/// Nothing here takes longer on a machine that is alive.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program of others; it ends with the test.
struct Peer {
    child: Child,
    address: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Peer {
    /// Starts a program with these arguments, where it is installed. `ADDRESS` and `FOLDER` stand for what it gets.
    fn start(program: &str, arguments: &[&str], folder: &Path) -> Option<Self> {
        if !is_installed(program) {
            assert!(
                !are_required(),
                "`{program}` is not installed (`cargo xtask test` installs it)"
            );
            eprintln!("skipped: `{program}` is not installed");
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let arguments = arguments.iter().map(|argument| {
            argument
                .replace("ADDRESS", &address)
                .replace("FOLDER", folder.to_str().unwrap())
        });
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Self { child, address };
        eventually("it listens", || {
            TcpStream::connect(&peer.address).ok().map(drop)
        });
        eventually("it is ready", || peer.ask("/api/v1/query", "vector(1)"));
        Some(peer)
    }

    fn ask(&self, path: &str, query: &str) -> Option<Json> {
        let url = format!("http://{}{path}", self.address);
        let answer = ureq::get(url).query("query", query).call();
        let text = answer.ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Every raw sample of the last hour.
    fn samples(&self) -> Arrived {
        let answer = self.ask("/api/v1/query", "{job=\"test\"}[1h]").unwrap();
        let series = answer["data"]["result"].as_array().unwrap();
        let mut found = Arrived::new();
        for one in series {
            let labels = one["metric"].as_object().unwrap();
            let labels: Vec<(String, String)> = labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect();
            let text = |name: &str| one["metric"][name].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("instance"), "test-host");
            assert_eq!(text("node_id"), NodeId::from_bytes([7; 16]).to_string());
            let values = one["values"].as_array().unwrap().iter();
            let values = values.map(|pair| {
                let seconds = pair[0].as_f64().unwrap();
                let value = pair[1].as_str().unwrap().parse().unwrap();
                let millis = format!("{:.0}", seconds * 1000.0);
                (millis.parse().unwrap(), value)
            });
            found.insert(super::receiver::key(&labels), values.collect());
        }
        found
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn are_required() -> bool {
    match std::env::var("GLASSHOUSE_PEERS").as_deref() {
        Ok("required") => true,
        Ok("optional") => false,
        _ => std::env::var("CI").is_ok_and(|value| value == "true"),
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not in {PATIENCE:?}: {what}");
}

/// What a peer has of a store that was written for half an hour, sealed and merged on the way, with the node started
/// anew in the middle.
fn takes_everything(peer: &Peer, path: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.sender = None;
    world.start = (SystemClock.now().seconds() - 1900) * S;
    let state = State::prepare(dir.path()).unwrap();
    // from the beginning, not from now
    std::fs::write(
        dir.path().join("remote-write/position"),
        TailCursor::default().encode(),
    )
    .unwrap();
    let settings = RemoteSettings {
        interval: Duration::from_millis(200),
        ..remote(&format!("http://{}{path}", peer.address))
    };
    let node = NodeId::from_bytes([7; 16]);
    let host = Untrusted::new("test-host");
    for seconds in [1100, 700] {
        for _ in 0..seconds {
            world.now += 1;
            world.rows();
            world.maintain();
        }
        let sender = Remote::start(&settings, &state, node, &host).unwrap();
        eventually("all is sent", || {
            let lag = sender.totals.lag(SystemClock.now());
            lag.is_zero().then_some(())
        });
        for why in ["out_of_order", "too_old", "duplicate", "refused"] {
            assert_eq!(sender.totals.of("samples_dropped", why), 0, "{why}");
        }
        sender.stop();
    }
    eventually("all is there", || {
        let count = |all: &Arrived| all.values().map(Vec::len).sum::<usize>();
        (count(&peer.samples()) >= count(&world.written)).then_some(())
    });
    let samples = peer.samples();
    assert_eq!(
        samples.keys().collect::<Vec<_>>(),
        world.written.keys().collect::<Vec<_>>()
    );
    for (key, written) in &world.written {
        assert!(samples[key] == *written, "{key} differs");
    }
    let reader = StoreReader::open(&dir.path().join("store"));
    let latest = reader.latest(&Selector::metric("disk.io"), world.moment().wall);
    let ours: BTreeMap<String, f64> = latest
        .unwrap()
        .entries
        .iter()
        .map(|latest| {
            let device = latest.series.labels.get("device").unwrap().raw();
            let value = latest.sample.value.unwrap().as_f64();
            (format!("disk_io_bytes{{device={device}}}"), value)
        })
        .collect();
    assert_eq!(ours.len(), 6);
    for (key, value) in ours {
        assert_eq!(samples[&key].last().unwrap().1, value, "{key}");
    }
}

/// A Prometheus that takes remote write and scrapes nothing.
fn prometheus(folder: &Path) -> Option<Peer> {
    std::fs::write(folder.join("prometheus.yml"), "scrape_configs: []\n").unwrap();
    let arguments = [
        "--config.file=FOLDER/prometheus.yml",
        "--storage.tsdb.path=FOLDER/data",
        "--web.listen-address=ADDRESS",
        "--web.enable-remote-write-receiver",
    ];
    Peer::start("prometheus", &arguments, folder)
}

#[test]
fn prometheus_has_what_the_store_has() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(peer) = prometheus(folder.path()) {
        takes_everything(&peer, "/api/v1/write");
    }
}

#[test]
fn victoria_metrics_has_what_the_store_has() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "-httpListenAddr=ADDRESS",
        "-storageDataPath=FOLDER/data",
        "-retentionPeriod=1d",
    ];
    if let Some(peer) = Peer::start("victoria-metrics", &arguments, folder.path()) {
        takes_everything(&peer, "/api/v1/write");
    }
}

/// A prometheus that was sent something twice keeps it once, and what came with it for the first time.
#[test]
fn prometheus_keeps_what_came_beside_samples_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let Some(peer) = prometheus(folder.path()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.sender = None;
    world.start = (SystemClock.now().seconds() - 300) * S;
    let state = State::prepare(dir.path()).unwrap();
    let settings = RemoteSettings {
        interval: Duration::from_millis(200),
        ..remote(&format!("http://{}/api/v1/write", peer.address))
    };
    let position = dir.path().join("remote-write/position");
    let mut kept = TailCursor::default().encode();
    let mut refused = 0;
    for _ in 0..4 {
        for _ in 0..20 {
            world.now += 1;
            world.rows();
            world.maintain();
        }
        // as if the answers of the last ten seconds had not come back
        std::fs::write(&position, &kept).unwrap();
        let host = Untrusted::new("test-host");
        let start =
            || Remote::start(&settings, &state, NodeId::from_bytes([7; 16]), &host).unwrap();
        let sender = start();
        let caught_up = || {
            let lag = sender.totals.lag(SystemClock.now());
            lag.is_zero().then_some(())
        };
        eventually("all is sent", caught_up);
        refused += sender.totals.of("samples_dropped", "out_of_order");
        // it writes the position down
        sender.stop();
        kept = std::fs::read_to_string(&position).unwrap();
        let sender = start();
        for _ in 0..10 {
            world.now += 1;
            world.rows();
            world.maintain();
        }
        let newest = (world.start + world.now * S) / 1_000_000;
        eventually("the rest is there", || {
            let samples = peer.samples();
            let of_one = samples.get("disk_io_bytes{device=d0}")?;
            (of_one.last()?.0 == newest).then_some(())
        });
        refused += sender.totals.of("samples_dropped", "out_of_order");
        sender.stop();
    }
    let samples = peer.samples();
    for (key, written) in &world.written {
        assert!(samples[key] == *written, "{key} differs");
    }
    assert!(refused > 0, "nothing came twice");
}
