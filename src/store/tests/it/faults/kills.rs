//! A process that writes samples, log entries, events and the inventory is killed at random instants, again and again.
//! (`crash.rs` kills one that writes samples alone, while readers watch.)

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::life::Life;
use super::{Random, folder};

/// Set for the child: the folder, and the number of its first step.
const CHILD: &str = "GLASSHOUSE_STORE_TEST_LIFE";

/// Kills in a run; enough for each phase of a life of some hundred steps to be hit.
const KILLS: u64 = 40;

/// Microseconds that a child lives at most after its first step.
const LONGEST: u64 = 60_000;

/// Not a test: what the child does until it is killed.
#[test]
fn child_life() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (dir, first) = task.split_once('|').unwrap();
    let mut life = Life::new(Path::new(dir));
    let mut out = std::io::stdout();
    for n in first.parse::<i64>().unwrap().. {
        life.step(n);
        assert!(life.errors.is_empty(), "{:?}", life.errors);
        let taken = life.taken.contains(&n);
        let entries = life.entries.contains(&n);
        writeln!(out, "\nstep {n} {taken} {entries}").unwrap();
        out.flush().unwrap();
    }
}

/// Runs a child from a step on and kills it; the steps that it did and what was taken in each.
fn run_and_kill(dir: &Path, first: i64, micros: u64) -> Vec<(i64, bool, bool)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["faults::kills::child_life", "--exact", "--nocapture"])
        .env(CHILD, format!("{}|{first}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = out.lines().map_while(Result::ok).filter_map(|line| {
        let mut words = line.strip_prefix("step ")?.split(' ');
        let n = words.next()?.parse().ok()?;
        Some((n, words.next()? == "true", words.next()? == "true"))
    });
    let mut steps: Vec<(i64, bool, bool)> = Vec::new();
    // The start is killed too, now and then.
    if !micros.is_multiple_of(4) {
        steps.extend(lines.next());
        assert_eq!(steps.len(), 1, "the child could not go on at {first}");
    }
    std::thread::sleep(Duration::from_micros(micros % LONGEST));
    child.kill().unwrap();
    child.wait().unwrap();
    steps.extend(lines);
    steps
}

#[test]
fn a_killed_node_goes_on_with_all_that_it_acknowledged() {
    let dir = folder();
    // What was said to be taken, by all children.
    let mut told = Life::new(dir.path());
    let mut next = 0;
    let mut random = Random(0x6b69_6c6c);
    for round in 0..KILLS {
        for (n, taken, entry) in run_and_kill(dir.path(), next, random.next()) {
            told.tell(n, taken, entry);
            next = n + 1;
        }
        told.open();
        assert!(told.errors.is_empty(), "{:?}", told.errors);
        let recovery = told.recoveries.last().unwrap();
        assert!(recovery.lost.is_empty(), "round {round}: {recovery:?}");
        told.kill();
        // The step in whose middle it was killed.
        told.learn(next);
        next += 1;
    }
    assert!(next > 100, "{next}");
    for n in next..next + 20 {
        told.step(n);
    }
    told.rest(next + 20);
    told.is_whole(next + 19, None);
    told.is_settled(next + 20);
}
