//! Node and probe are killed again and again while a client keeps asking.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::eventually;
use crate::support::mcp::{Face, Revision};
use crate::support::oauth::Issuer;
use crate::support::process::{GLASSHOUSE, children, run, signal_process};
use crate::support::up::Up;

const KILLS_OF_NODE: u32 = 50;
const KILLS_OF_PROBE: u32 = 20;

/// Random instants that are the same in each run.
const SEED: u64 = 0x676c_6173_7368_6f75;

/// Milliseconds at most between a start and an early kill: while the role starts, reads what it left behind, or has just begun to work.
const EARLY: u64 = 300;

/// Milliseconds between a start and a later kill: from, and how many more. Longer than four times what the supervisor
/// waits after one early kill (400 ms), so that it takes the role for recovered: how it loses patience with a
/// role that keeps dying is tested elsewhere.
const CALM: (u64, u64) = (1800, 600);

/// Tokens live for five minutes; the client signs in again before.
const SIGN_IN_EVERY: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_node_and_probe_lose_nothing_that_was_written() {
    let mut up = Up::start();
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let asking = tokio::spawn(keep_asking(
        up.face(),
        up.issuer_client(),
        up.browser(),
        Arc::clone(&done),
        Arc::clone(&answered),
    ));

    let store = up.state.join("store");
    let seen = RefCell::new(Segments::default());
    let kill = |role, kills, seed| {
        let (supervisor, seen, store) = (up.running.id(), &seen, &store);
        kill_again_and_again(supervisor, role, kills, Random(seed), move || {
            seen.borrow_mut().look(store);
        })
    };
    tokio::join!(
        kill("node", KILLS_OF_NODE, SEED),
        kill("probe", KILLS_OF_PROBE, !SEED),
    );
    done.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    println!(
        "{KILLS_OF_NODE} kills of node, {KILLS_OF_PROBE} of probe, {} answers in between",
        answered.load(Ordering::Relaxed)
    );
    assert!(answered.load(Ordering::Relaxed) > 50);

    assert!(up.running.stop().success(), "{}", up.running.log());
    seen.borrow_mut().look(&store);
    the_store_is_whole(&up.state);
}

/// Kills the role at random instants after its start, early and later in turn.
async fn kill_again_and_again(
    supervisor: u32,
    role: &str,
    kills: u32,
    mut random: Random,
    look: impl Fn(),
) {
    let running = || {
        let children = children(supervisor).into_iter();
        let mut of_role =
            children.filter(|(_, line)| line.get(1).is_some_and(|first| first == role));
        of_role.next().map(|(id, _)| id)
    };
    let mut victim = eventually(role, async || running()).await;
    for kill in 0..kills {
        let wait = match kill % 2 {
            0 => CALM.0 + random.below(CALM.1),
            _ => random.below(EARLY),
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        signal_process(victim, Signal::KILL);
        let killed = victim;
        victim = eventually("another process of the role", async || {
            running().filter(|id| *id != killed)
        })
        .await;
        look();
    }
}

/// Fails where serve does not answer; a node that is just starting is an answer too.
async fn keep_asking(
    face: Face,
    issuer: Issuer,
    mut browser: Browser,
    done: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) {
    let scope = "telemetry:read inventory:read task:node-health";
    let mut signed_in = Instant::now();
    let mut token = issuer.sign_in(&mut browser, scope).await.access_token();
    let tools = ["node_snapshot", "telemetry_health"];
    for tool in tools.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        if signed_in.elapsed() > SIGN_IN_EVERY {
            token = issuer.sign_in(&mut browser, scope).await.access_token();
            signed_in = Instant::now();
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
