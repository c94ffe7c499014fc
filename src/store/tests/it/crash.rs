//! Kills a writer at random instants, and lets one run out of space. What was acknowledged is there, what was sealed
//! stays as it is, and readers beside it never fail and never see a gap or a sample twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::common::{S, START, info, moment, names, query};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{Aggregation, ReadError, SampleReader, Selector};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Timestamp;
use glasshouse_store::{Batch, Retention, Store, StoreError, StoreReader, StoreSettings};

/// Set for the child: the folder, and the number of its first batch.
const CHILD: &str = "GLASSHOUSE_STORE_TEST_CHILD";

/// How long samples are kept, in batches.
const KEPT: i64 = 800;

/// Everything is due every few batches.
fn hasty() -> StoreSettings {
    StoreSettings {
        sync: Duration::from_secs(3),
        rotate: Duration::from_secs(10),
        head_bytes: 1 << 20,
        merge: Duration::from_secs(60),
        shard: Duration::from_secs(600),
        retry: Duration::from_secs(1),
        retention: Retention {
            raw: Duration::from_secs(KEPT.unsigned_abs()),
            minute: Duration::from_secs(1600),
            hour: Duration::from_secs(2000),
            bytes: u64::MAX,
            ..Retention::default()
        },
        ..StoreSettings::default()
    }
}

fn append(store: &mut Store, n: i64) -> Result<(), StoreError> {
    let one = store.define(1, 1, &info("one", "x", "a", MetricKind::Gauge))?;
    let number = store.define(1, 2, &info("number", "x", "a", MetricKind::Counter))?;
    let samples = [
        (one, Some(Value::U64(1)), Quality::Good),
        (number, Some(Value::U64(n.unsigned_abs())), Quality::Good),
    ];
    let at = moment(START + n * S, n * S);
    store.append(&Batch {
        collector: "x",
        at,
        samples: &samples,
    })
}

/// Not a test: what the child does. It appends a batch, says so, and does what is due, until it is killed.
#[test]
fn child_writer() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (dir, first) = task.split_once('|').unwrap();
    let (mut store, recovery) = Store::open(Path::new(dir), hasty()).unwrap();
    assert!(
        recovery.lost.is_empty() && recovery.set_aside.is_empty(),
        "{recovery:?}"
    );
    let mut out = std::io::stdout();
    for n in first.parse::<i64>().unwrap().. {
        append(&mut store, n).unwrap();
        writeln!(out, "\nacknowledged {n}").unwrap();
        out.flush().unwrap();
        let done = store.maintain(moment(START + n * S, n * S)).unwrap();
        assert!(
            done.lost.is_empty() && done.set_aside.is_empty(),
            "{done:?}"
        );
    }
}

fn child(dir: &Path, first: i64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "crash::child_writer",
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(CHILD, format!("{}|{first}", dir.display()));
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// The contents of the segments, by name.
fn segments(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = names(dir, ".seg").into_iter();
    names
        .filter_map(|name| Some((name.clone(), fs::read(dir.join(&name)).ok()?)))
        .collect()
}

/// Asks over and over again until it is told to stop. Every second from the first to the last one has one sample.
fn watch(dir: &Path, newest: &AtomicI64, stop: &AtomicBool) -> u64 {
    let reader = StoreReader::open(dir);
    let mut asked = 0;
    while !stop.load(Ordering::Relaxed) {
        let acknowledged = newest.load(Ordering::SeqCst);
        // Well inside what retention keeps; rollups may stand in for what it takes meanwhile.
        let from = START + (acknowledged - KEPT / 2).max(0) * S;
        let answer = match reader.range(&query(
            "one",
            from,
            START + (acknowledged + 1000) * S,
            S,
            Aggregation::Sum,
        )) {
            Err(ReadError::Empty { .. }) => continue,
            answer => answer.unwrap(),
        };
        let seen = answer
            .series
            .first()
            .map(|one| one.values.as_slice())
            .unwrap_or_default();
        let last = seen
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        for (n, value) in seen[..last].iter().enumerate() {
            assert_eq!(
                *value,
                Some(1.0),
                "second {n} of {last}, acknowledged {acknowledged}"
            );
        }
        let seen_to = (from - START) / S + i64::try_from(last).unwrap() - 1;
        assert!(
            seen_to >= acknowledged,
            "{seen_to} is seen, {acknowledged} was acknowledged"
        );
        reader
            .latest(
                &Selector::default(),
                Timestamp::from_nanos(START + acknowledged * S),
            )
            .unwrap();
        reader
            .series(
                &Selector::default(),
                query("one", from, from + 50 * S, S, Aggregation::Sum).window,
            )
            .unwrap();
        reader
            .range(&query(
                "number",
                from,
                START + acknowledged * S,
                60 * S,
                Aggregation::Rate,
            ))
            .unwrap();
        reader.coverage().unwrap();
        asked += 1;
    }
    asked
}

/// Runs a child, kills it after a while, and returns the last batch that it acknowledged.
fn run_and_kill(dir: &Path, first: i64, life: Duration, newest: &AtomicI64) -> i64 {
    let mut child = child(dir, first).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (begun, has_begun) = mpsc::channel();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = first - 1;
            for line in out.lines().map_while(Result::ok) {
                if let Some(n) = line
                    .strip_prefix("acknowledged ")
                    .and_then(|n| n.parse().ok())
                {
                    last = n;
                    newest.store(n, Ordering::SeqCst);
                    // Nobody waits for more than the first.
                    assert!(begun.send(()).is_ok(), "the other end stays");
                }
            }
            last
        });
        has_begun.recv_timeout(Duration::from_secs(60)).unwrap();
        std::thread::sleep(life);
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap()
    })
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let newest = Arc::new(AtomicI64::new(-1));
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (dir, newest, stop) = (
            dir.path().to_owned(),
            Arc::clone(&newest),
            Arc::clone(&stop),
        );
        std::thread::spawn(move || watch(&dir, &newest, &stop))
    };
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = 0;
    let mut kills = 0;
    // Until retention has taken away all that the first children wrote.
    while kills < 24 || next < 4 * KEPT {
        kills += 1;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let before = segments(dir.path());
        let last = run_and_kill(
            dir.path(),
            next,
            Duration::from_micros(random % 150_000),
            &newest,
        );
        for (name, contents) in segments(dir.path()) {
            assert!(
                before.get(&name).is_none_or(|before| *before == contents),
                "{name} changed"
            );
        }
        // The child may have written one more than it could say.
        let from = (last - KEPT / 2).max(0);
        let answer = StoreReader::open(dir.path())
            .range(&query(
                "number",
                START + from * S,
                START + (last + 1) * S,
                S,
                Aggregation::Last,
            ))
            .unwrap();
        let values = &answer.series[0].values;
        for (n, value) in (from..=last).zip(values) {
            assert_eq!(*value, Some(n as f64), "batch {n} of {last}");
        }
        let written = StoreReader::open(dir.path())
            .range(&query(
                "number",
                START + last * S,
                START + (last + 3) * S,
                S,
                Aggregation::Last,
            ))
            .unwrap();
        next = last
            + written.series[0]
                .values
                .iter()
                .filter(|value| value.is_some())
                .count() as i64;
    }
    stop.store(true, Ordering::Relaxed);
    let asked = watcher.join().unwrap();
    assert!(asked > 10, "{asked}");
    let (mut store, _) = Store::open(dir.path(), hasty()).unwrap();
    assert_eq!(store.definitions(1).len(), 2);
    for _ in 0..400 {
        store.maintain(moment(START + next * S, next * S)).unwrap();
    }
}

/// Not a test: what the child with a limit does.
#[test]
fn child_without_space() {
    let Ok(dir) = std::env::var(format!("{CHILD}_FULL")) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let (mut store, _) = Store::open(&dir, hasty()).unwrap();
    let length = || {
        fs::metadata(dir.join("head-000000000001.log"))
            .unwrap()
            .len()
    };
    let (mut n, mut good) = (0, 0);
    let error = loop {
        match append(&mut store, n) {
            Ok(()) => (n, good) = (n + 1, length()),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, StoreError::Io { path, .. } if path.ends_with("head-000000000001.log")),
        "{error}"
    );
    assert_eq!(length(), good, "what the failed write left is cut off");
    assert!(append(&mut store, n).is_err());
    assert_eq!(read(&dir), n);
    // A new head has space again.
    store.maintain(moment(START + n * S, n * S)).unwrap();
    append(&mut store, n).unwrap();
    assert_eq!(read(&dir), n + 1);
    println!("\nwent on after {n}");
}

fn read(dir: &Path) -> i64 {
    let answer = StoreReader::open(dir)
        .range(&query(
            "one",
            START,
            START + 10_000 * S,
            S,
            Aggregation::Sum,
        ))
        .unwrap();
    answer.series[0]
        .values
        .iter()
        .flatten()
        .filter(|one| **one == 1.0)
        .count() as i64
}

/// A limit on the size of files stands for a full disk: the write that crosses it is cut short, the next one fails.
#[test]
fn a_store_without_space_says_so_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let script =
        "trap '' XFSZ; ulimit -f 16; exec \"$0\" crash::child_without_space --exact --nocapture";
    let run = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .env(format!("{CHILD}_FULL"), dir.path())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success() && said.contains("went on after"),
        "{said}"
    );
    let (_, recovery) = Store::open(dir.path(), hasty()).unwrap();
    assert!(
        recovery.lost.is_empty() && recovery.cut.is_empty(),
        "{recovery:?}"
    );
}
