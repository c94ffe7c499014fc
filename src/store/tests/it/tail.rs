//! Whoever follows the store gets everything, whatever happens to the files meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Timestamp;
use glasshouse_store::faults::{self, EIO, Fault, Operation, Plan};
use glasshouse_store::{Batch, Retention, Store, StoreSettings, Tail, TailChunk, TailCursor};
use proptest::prelude::*;

use crate::common::{S, START, info, moment, names, quick};

/// By collector and device: the samples in the order in which they were appended or handed out.
type Seen = BTreeMap<(String, String), Vec<(i64, Option<Value>, Quality)>>;

/// A store that is written, and what was.
struct Written {
    store: Store,
    now: i64,
    appended: Seen,
}

const COLLECTORS: [&str; 3] = ["cpu", "disk", "slow"];

impl Written {
    fn open(dir: &Path, settings: &StoreSettings) -> Self {
        let (store, _) = Store::open(dir, settings.clone()).unwrap();
        Self {
            store,
            now: 0,
            appended: Seen::new(),
        }
    }

    /// Some seconds of samples, with what is due done in each.
    fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1;
            let now = self.now;
            for (number, collector) in COLLECTORS.iter().enumerate() {
                if *collector == "slow" && now % 7 != 0 {
                    continue;
                }
                let mut samples = Vec::new();
                for device in 0..3_u32 {
                    // one that comes and goes, one that is absent now and then
                    if device == 2 && now / 50 % 2 == 0 {
                        continue;
                    }
                    let name = format!("d{device}");
                    let info = info("m", collector, &name, MetricKind::Gauge);
                    let number = u32::try_from(number).unwrap() * 10 + device;
                    let series = self.store.define(1, number, &info).unwrap();
                    let (value, quality) = if device == 1 && now % 11 == 0 {
                        (None, Quality::Absent(FailureReason::Timeout))
                    } else {
                        (Some(Value::F64(now as f64 / 4.0)), Quality::Good)
                    };
                    samples.push((series, value, quality));
                    let seen = self.appended.entry(((*collector).to_owned(), name));
                    seen.or_default().push((START + now * S, value, quality));
                }
                let at = moment(START + now * S, now * S);
                let batch = Batch {
                    collector,
                    at,
                    samples: &samples,
                };
                self.store.append(&batch).unwrap();
            }
            self.maintain();
        }
    }

    fn maintain(&mut self) {
        let now = moment(START + self.now * S, self.now * S);
        while self.store.maintain(now).unwrap().more {}
    }
}

fn take(chunk: &TailChunk, seen: &mut Seen) {
    for (place, sample) in &chunk.samples {
        let info = &chunk.series[*place];
        let device = info.labels.get("system.device").unwrap().raw().to_owned();
        let seen = seen.entry((info.collector.clone(), device)).or_default();
        seen.push((sample.at.nanos(), sample.value, sample.quality));
    }
}

/// Reads to the end; the position behind it.
fn drain(tail: &mut Tail, most: usize, seen: &mut Seen) -> TailCursor {
    loop {
        let chunk = tail.next(most).unwrap();
        assert!(chunk.samples.len() < most + 100, "a piece is bounded");
        assert!(chunk.lost.is_empty(), "{:?}", chunk.lost);
        take(&chunk, seen);
        if chunk.is_last {
            return chunk.cursor;
        }
    }
}

fn again(cursor: &TailCursor) -> TailCursor {
    TailCursor::decode(&cursor.encode()).unwrap()
}

#[test]
fn all_comes_once_and_in_order_while_heads_are_sealed_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let mut seen = Seen::new();
    for _ in 0..40 {
        written.run(37);
        drain(&mut tail, 10, &mut seen);
    }
    assert!(names(dir.path(), ".seg").len() > 3);
    assert_eq!(seen, written.appended);
}

#[test]
fn what_was_sealed_and_merged_meanwhile_comes_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    written.run(50);
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let mut seen = Seen::new();
    let cursor = drain(&mut tail, 1000, &mut seen);
    // the same reader, and one that begins where it stood: the head is by then in the middle of a merged segment
    written.run(2000);
    let mut later = seen.clone();
    drain(&mut tail, 1000, &mut seen);
    assert_eq!(seen, written.appended);
    drain(&mut Tail::new(dir.path(), again(&cursor)), 1000, &mut later);
    assert_eq!(later, written.appended);
}

#[test]
fn a_store_that_was_opened_again_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Seen::new();
    let mut cursor = TailCursor::default();
    let mut appended = Seen::new();
    let mut now = 0;
    for round in 0..6 {
        let mut written = Written::open(dir.path(), &quick());
        (written.now, written.appended) = (now, appended);
        let mut tail = Tail::new(dir.path(), again(&cursor));
        written.run(60);
        cursor = drain(&mut tail, 64, &mut seen);
        written.run(13);
        (now, appended) = (written.now, written.appended);
        if round % 2 == 0 {
            let at = moment(START + now * S, now * S);
            written.store.close(at).unwrap();
        }
    }
    let mut tail = Tail::new(dir.path(), again(&cursor));
    drain(&mut tail, 64, &mut seen);
    assert_eq!(seen, appended);
}

#[test]
fn what_retention_takes_unread_is_told_once_and_the_rest_comes() {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        retention: Retention {
            raw: Duration::from_secs(3600),
            minute: Duration::from_secs(3600),
            hour: Duration::from_secs(3600),
            bytes: u64::MAX,
            ..Retention::default()
        },
        ..quick()
    };
    let mut written = Written::open(dir.path(), &settings);
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let mut seen = Seen::new();
    written.run(30);
    drain(&mut tail, 1000, &mut seen);
    let mut vanished = Vec::new();
    let mut most_waiting = 0;
    for _ in 0..300 {
        written.run(50);
        let backlog = tail.look().unwrap();
        most_waiting = most_waiting.max(backlog.samples);
        vanished.extend(backlog.vanished);
    }
    assert!(!vanished.is_empty());
    assert!(
        vanished
            .iter()
            .all(|one| !one.is_damaged && one.samples > 0)
    );
    drain(&mut tail, 1000, &mut seen);
    assert!(tail.look().unwrap().vanished.is_empty(), "told once");
    let count = |all: &Seen| -> usize {
        let valued = all
            .values()
            .flatten()
            .filter(|(_, value, _)| value.is_some());
        valued.count()
    };
    let gone: u64 = vanished.iter().map(|one| one.samples).sum();
    let missing = u64::try_from(count(&written.appended) - count(&seen)).unwrap();
    // the first head had been read in part, and counts as a whole
    assert!(missing <= gone && gone - missing < 800, "{missing} {gone}");
    assert!(most_waiting > missing / 4);
    for (key, appended) in &written.appended {
        let seen = &seen[key];
        let newest = &appended[appended.len() - 200..];
        assert!(seen.ends_with(newest), "{key:?}");
    }
}

#[test]
fn a_damaged_block_costs_its_series_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    written.run(150);
    let segment = names(dir.path(), ".seg").into_iter().next().unwrap();
    let path = dir.path().join(&segment);
    let mut bytes = std::fs::read(&path).unwrap();
    // behind the magic stand the times of the first collector
    bytes[12] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let mut seen = Seen::new();
    let mut lost = Vec::new();
    loop {
        let chunk = tail.next(100).unwrap();
        take(&chunk, &mut seen);
        lost.extend(chunk.lost);
        if chunk.is_last {
            break;
        }
    }
    // the first two collectors read at the same instants, so they share the block
    assert_eq!(lost, [(segment, 2)]);
    let whole = |collector: &str| {
        let key = (collector.to_owned(), "d0".to_owned());
        seen[&key] == written.appended[&key]
    };
    assert!(!whole("cpu") && !whole("disk") && whole("slow"));
    // a segment that is no segment is passed by, too
    std::fs::write(&path, b"nonsense").unwrap();
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let chunk = tail.next(10).unwrap();
    assert!(!chunk.samples.is_empty() && chunk.lost.len() == 1);
}

#[test]
fn a_segment_that_was_set_aside_before_the_first_look_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    written.run(250);
    let segment = names(dir.path(), ".seg").into_iter().next().unwrap();
    let aside = format!("{segment}.damaged");
    std::fs::rename(dir.path().join(&segment), dir.path().join(aside)).unwrap();
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let vanished = tail.look().unwrap().vanished;
    let vanished: Vec<_> = vanished
        .iter()
        .map(|one| (&*one.file, one.is_damaged))
        .collect();
    assert_eq!(vanished, [(&*segment, true)]);
    assert!(tail.look().unwrap().vanished.is_empty());
    // who has read it has lost nothing
    let cursor = drain(&mut tail, 100, &mut Seen::new());
    let mut tail = Tail::new(dir.path(), cursor);
    assert!(tail.look().unwrap().vanished.is_empty());
}

#[test]
fn a_head_that_cannot_be_read_any_more_is_read_where_it_was_sealed_into() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let mut seen = Seen::new();
    written.run(20);
    drain(&mut tail, 10, &mut seen);
    let head = names(dir.path(), ".log").into_iter().next().unwrap();
    written.run(150);
    assert!(!dir.path().join(&head).exists(), "it was sealed");
    // the file that is held open fails
    faults::set(Plan {
        fault: Fault::Error(EIO),
        operations: vec![Operation::Read],
        name: head,
        skip: 0,
        fail: u64::MAX,
    });
    tail.next(10).unwrap_err();
    drain(&mut tail, 10, &mut seen);
    let (_, failed) = faults::clear();
    assert!(failed > 0);
    assert_eq!(seen, written.appended);
}

#[test]
fn a_store_that_was_begun_anew_is_read_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    written.run(2000);
    let mut seen = Seen::new();
    let mut tail = Tail::new(dir.path(), TailCursor::default());
    let cursor = drain(&mut tail, 1000, &mut seen);
    drop(written);
    for name in names(dir.path(), "") {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    let mut written = Written::open(dir.path(), &quick());
    written.run(30);
    let mut seen = Seen::new();
    drain(&mut Tail::new(dir.path(), cursor), 1000, &mut seen);
    assert_eq!(seen, written.appended);
}

#[test]
fn a_first_start_begins_about_where_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Written::open(dir.path(), &quick());
    written.run(2000);
    let first = |since: i64| {
        let since = Timestamp::from_nanos(START + since * S);
        let cursor = TailCursor::since(dir.path(), since).unwrap();
        let mut tail = Tail::new(dir.path(), cursor);
        let chunk = tail.next(10).unwrap();
        (chunk.samples[0].1.at.nanos() - START) / S
    };
    assert!((1800..=2000).contains(&first(2000)), "{}", first(2000));
    assert!((600..=1200).contains(&first(1200)), "{}", first(1200));
    assert_eq!(first(0), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Write(i64),
    Read(usize),
    /// Killed: it goes on where the position was last written down.
    Restart,
    /// The node too.
    Reopen,
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_i64..200).prop_map(Step::Write),
        4 => (1_usize..400).prop_map(Step::Read),
        1 => Just(Step::Restart),
        1 => Just(Step::Reopen),
        2 => Just(Step::Keep),
    ];
    proptest::collection::vec(step, 5..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missing_whatever_happens_when(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut written = Written::open(dir.path(), &quick());
        let mut tail = Tail::new(dir.path(), TailCursor::default());
        let (mut kept, mut cursor) = (TailCursor::default(), TailCursor::default());
        let mut seen = Seen::new();
        for step in steps {
            match step {
                Step::Write(seconds) => written.run(seconds),
                Step::Read(most) => {
                    let chunk = tail.next(most).unwrap();
                    take(&chunk, &mut seen);
                    cursor = chunk.cursor;
                }
                Step::Keep => kept = again(&cursor),
                Step::Restart => tail = Tail::new(dir.path(), kept.clone()),
                Step::Reopen => {
                    let (now, appended) = (written.now, std::mem::take(&mut written.appended));
                    drop(written);
                    written = Written::open(dir.path(), &quick());
                    (written.now, written.appended) = (now, appended);
                    written.maintain();
                    tail = Tail::new(dir.path(), kept.clone());
                }
            }
        }
        drain(&mut tail, 100, &mut seen);
        for (key, appended) in &written.appended {
            let mut once = seen.get(key).cloned().unwrap_or_default();
            once.sort_by_key(|(at, ..)| *at);
            once.dedup_by_key(|(at, ..)| *at);
            prop_assert_eq!(&once, appended, "{:?}", key);
        }
    }
}
