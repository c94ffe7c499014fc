//! Node and probe are killed again and again while a client keeps asking.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::eventually;
use crate::support::mcp::{Face, Revision};
use crate::support::process::{GLASSHOUSE, run, signal_process};
use crate::support::up::Up;

const KILLS_OF_NODE: u32 = 50;
const KILLS_OF_PROBE: u32 = 20;

/// Random instants that are the same in each run.
const SEED: u64 = 0x676c_6173_7368_6f75;

/// At most this long between two kills; with a start of the victim in between 70 kills stay under two minutes.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_node_and_probe_lose_nothing_that_was_written() {
    let mut up = Up::start();
    let token = up.token("node-health").await.access_token();
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let asking = tokio::spawn(keep_asking(
        up.face(),
        token,
        Arc::clone(&done),
        Arc::clone(&answered),
    ));

    let mut seen = Segments::default();
    let mut random = Random(SEED);
    let (mut nodes, mut probes) = (0, 0);
    while nodes < KILLS_OF_NODE || probes < KILLS_OF_PROBE {
        // the odds follow what is left, so both are killed to the end
        let left = KILLS_OF_NODE - nodes + KILLS_OF_PROBE - probes;
        let role = if random.below(u64::from(left)) < u64::from(KILLS_OF_NODE - nodes) {
            nodes += 1;
            "node"
        } else {
            probes += 1;
            "probe"
        };
        let wait = random.below(u64::try_from(LONGEST_WAIT.as_millis()).unwrap());
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let victim = eventually(role, async || up.role(role)).await;
        signal_process(victim, Signal::KILL);
        eventually("another process of the role", async || {
            up.role(role).filter(|id| *id != victim)
        })
        .await;
        seen.look(&up.state.join("store"));
    }
    done.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    println!(
        "{nodes} kills of node, {probes} of probe, {} answers in between",
        answered.load(Ordering::Relaxed)
    );
    assert!(answered.load(Ordering::Relaxed) > 50);

    assert!(up.running.stop().success(), "{}", up.running.log());
    seen.look(&up.state.join("store"));
    the_store_is_whole(&up.state);
}

/// Fails where serve does not answer; a node that is just starting is an answer too.
async fn keep_asking(face: Face, token: String, done: Arc<AtomicBool>, answered: Arc<AtomicU64>) {
    let tools = ["node_snapshot", "telemetry_health"];
    for tool in tools.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let answer = face
            .call(Some(&token), Revision::Stateless, tool, json!({}))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answered.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Files of the store that are never modified once they are there: a differing one is a torn seal.
#[derive(Debug, Default)]
struct Segments(BTreeMap<String, Vec<u8>>);

impl Segments {
    fn look(&mut self, store: &Path) {
        for path in files_below(store) {
            let name = path.strip_prefix(store).unwrap().display().to_string();
            if !name.ends_with(".seg") {
                continue;
            }
            // one that was merged away meanwhile is no news
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            let first = self.0.entry(name.clone()).or_insert_with(|| bytes.clone());
            assert_eq!(*first, bytes, "segment `{name}` was modified");
        }
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Read by another process: every file makes sense, and a value can be asked for.
fn the_store_is_whole(state: &Path) {
    let state = state.to_str().unwrap();
    let (status, output, errors) = run(GLASSHOUSE, &["store", "stat", "--state-dir", state]);
    assert_eq!(status, Some(0), "{output}{errors}");
    assert!(!output.contains("damaged"), "{output}");
    let query = [
        "query",
        "system.memory.usage",
        "--state-dir",
        state,
        "--from",
        "-10m",
    ];
    let (status, output, errors) = run(GLASSHOUSE, &query);
    assert_eq!(status, Some(0), "{output}{errors}");
    assert!(output.lines().count() > 1, "{output}");
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
