//! Processes that are killed at any instant. The test binary runs itself as probe and as node.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glasshouse_core::reader::{SampleReader, Selector};
use glasshouse_core::time::{Clock, SystemClock};

use super::fake::{House, node_settings, probe_settings, wait_until};

const ROLE: &str = "GLASSHOUSE_TEST_ROLE";
const FOLDER: &str = "GLASSHOUSE_TEST_FOLDER";

/// What the killed test binary does; without a role it is no test.
#[test]
fn child() {
    let (Ok(role), Ok(folder)) = (std::env::var(ROLE), std::env::var(FOLDER)) else {
        return;
    };
    let folder = Path::new(&folder);
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let (stop, wish) = (Arc::clone(&stop), folder.join(format!("stop-{role}")));
        move || {
            while !wish.exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        }
    });
    match role.as_str() {
        "node" => crate::run(node_settings(folder), stop).unwrap(),
        "hasty-probe" => glasshouse_probe::run(probe_settings(folder, HASTY), stop).unwrap(),
        _ => glasshouse_probe::run(probe_settings(folder, STEADY), stop).unwrap(),
    }
}

/// So short that a kill of the node often meets a frame that is under way.
const HASTY: Duration = Duration::from_millis(2);

/// So long that the writer of a probe that is about to be killed keeps up on a busy machine.
const STEADY: Duration = Duration::from_millis(20);

fn start(role: &str, house: &House) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "whole::kills::child", "--nocapture"])
        .env(ROLE, role)
        .env(FOLDER, house.dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    // SIGKILL
    child.kill().unwrap();
    child.wait().unwrap();
}

fn stop(role: &str, house: &House, mut child: Child) {
    let wish = house.dir.path().join(format!("stop-{role}"));
    std::fs::write(&wish, b"").unwrap();
    assert!(child.wait().unwrap().success());
    std::fs::remove_file(wish).unwrap();
}

/// Instants that look random and are the same each time (Knuth's MMIX generator).
struct Instants(u64);

impl Instants {
    fn next(&mut self, from: u64, to: u64) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros(from + (self.0 >> 33) % (to - from))
    }
}

#[test]
fn fifty_kills_of_the_node_cost_at_most_the_frame_that_each_had_read() {
    const KILLS: u64 = 50;
    let house = House::new();
    let since = SystemClock.now().before(Duration::from_secs(1));
    let probe = start("hasty-probe", &house);
    let mut node = start("node", &house);
    wait_until(|| (house.counts(since).len() == 2).then_some(()));
    let mut instants = Instants(20_260);
    for _ in 0..KILLS {
        std::thread::sleep(instants.next(10_000, 150_000));
        kill(node);
        // readers are not told and do not care
        let now = SystemClock.now();
        let latest = house
            .reader()
            .latest(&Selector::metric("test.count"), now)
            .unwrap();
        assert_eq!(latest.entries.len(), 2);
        node = start("node", &house);
    }
    stop("hasty-probe", &house, probe);
    wait_until(|| {
        let counts = house.counts(since);
        let is_last = |(collector, process, _, highest): &(String, String, u64, u64)| {
            *highest + 1 >= house.journal(collector, process)
        };
        counts.iter().all(is_last).then_some(())
    });
    stop("node", &house, node);
    let counts = house.counts(since);
    assert_eq!(counts.len(), 2);
    let mut lost = 0;
    for (collector, process, samples, highest) in &counts {
        assert!(samples <= highest, "{collector} {process} was stored twice");
        assert!(*highest > 50, "{highest}: nothing was running");
        lost += highest - samples;
    }
    println!("{KILLS} kills of the node lost {lost} batches of {counts:?}");
    assert!(lost <= KILLS, "{lost} batches lost by {KILLS} kills");
}

#[test]
fn twenty_kills_of_the_probe_leave_no_gap_in_what_each_run_sent() {
    const KILLS: usize = 20;
    let house = House::new();
    let since = SystemClock.now().before(Duration::from_secs(1));
    let node = start("node", &house);
    let mut instants = Instants(4_104);
    let mut processes = Vec::new();
    for _ in 0..KILLS {
        let probe = start("steady-probe", &house);
        let process = probe.id().to_string();
        let journal = house.dir.path().join(format!("count-second-{process}"));
        wait_until(|| journal.exists().then_some(()));
        std::thread::sleep(instants.next(1_000, 150_000));
        kill(probe);
        processes.push(process);
    }
    // a last run, stopped in order, whose end proves that all before it was read
    let probe = start("steady-probe", &house);
    let last = probe.id().to_string();
    wait_until(|| {
        let counts = house.counts(since);
        let of_last = counts.iter().filter(|(_, process, ..)| *process == last);
        (of_last.count() == 2).then_some(())
    });
    stop("steady-probe", &house, probe);
    stop("node", &house, node);
    let counts = house.counts(since);
    let mut lost = 0;
    for process in &processes {
        for collector in ["first", "second"] {
            let stored = counts
                .iter()
                .find(|(name, of, ..)| name == collector && of == process)
                .map_or((0, 0), |(.., samples, highest)| (*samples, *highest));
            assert_eq!(stored.0, stored.1, "{collector} of {process} has a gap");
            let counted = house.journal(collector, process);
            lost += counted.saturating_sub(stored.1);
        }
    }
    println!("{KILLS} kills of the probe lost {lost} batches that it was about to write");
    // each of the two collectors may have been between counting and the pipe
    assert!(
        lost <= 2 * KILLS as u64,
        "{lost} batches lost by {KILLS} kills"
    );
}
