//! Files that are cut, flipped, or not ours: never a panic, never a wrong value; what is lost is said.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::{S, START, copy_folder, info, moment, names, query, quick};
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::{
    Aggregation, RangeAnswer, ReadError, SampleReader, Selector, Truncation,
};
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Timestamp;
use glasshouse_store::{Batch, Retention, Store, StoreError, StoreReader, StoreSettings, stat};

/// Appends batch `n` of a counter and a gauge.
fn append(store: &mut Store, n: i64) -> Result<(), StoreError> {
    let counter = store.define(1, 1, &info("c", "x", "a", MetricKind::Counter))?;
    let gauge = store.define(1, 2, &info("g", "x", "a", MetricKind::Gauge))?;
    let samples = [
        (
            counter,
            Some(Value::U64(10 * n.unsigned_abs())),
            Quality::Good,
        ),
        (gauge, Some(Value::F64(n as f64 / 4.0)), Quality::Good),
    ];
    let at = moment(START + n * S, n * S);
    store.append(&Batch {
        collector: "x",
        at,
        samples: &samples,
    })
}

fn sums(dir: &Path) -> Result<RangeAnswer, ReadError> {
    StoreReader::open(dir).range(&query("g", START, START + 10_000 * S, S, Aggregation::Sum))
}

/// The batches that can be read.
fn batches(dir: &Path) -> Vec<i64> {
    let answer = sums(dir).unwrap();
    let values = answer
        .series
        .first()
        .map(|one| one.values.clone())
        .unwrap_or_default();
    let numbered = (0_i64..).zip(values);
    numbered
        .filter_map(|(n, value)| {
            value.inspect(|value| assert_eq!(*value, n as f64 / 4.0))?;
            Some(n)
        })
        .collect()
}

#[test]
fn a_head_torn_at_any_byte_opens_and_gives_what_was_whole() {
    let origin = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(origin.path(), quick()).unwrap();
    let mut ends = Vec::new();
    let head = origin.path().join(&names(origin.path(), ".log")[0]);
    for n in 0..6 {
        append(&mut store, n).unwrap();
        ends.push(fs::metadata(&head).unwrap().len());
    }
    drop(store);
    let whole = fs::read(&head).unwrap();
    for cut in 0..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let torn = dir.path().join(head.file_name().unwrap());
        fs::write(&torn, &whole[..cut]).unwrap();
        let complete = ends.iter().filter(|end| **end <= cut as u64).count() as i64;
        assert_eq!(
            batches(dir.path()),
            (0..complete).collect::<Vec<_>>(),
            "read, cut at {cut}"
        );
        let (mut store, recovery) = Store::open(dir.path(), quick()).unwrap();
        assert!(
            recovery.lost.is_empty() && recovery.set_aside.is_empty(),
            "{recovery:?}"
        );
        append(&mut store, 100).unwrap();
        store.close(moment(START + 101 * S, 101 * S)).unwrap();
        let expected: Vec<i64> = (0..complete).chain([100]).collect();
        assert_eq!(batches(dir.path()), expected, "sealed, cut at {cut}");
        assert_eq!(
            Store::open(dir.path(), quick())
                .unwrap()
                .0
                .definitions(1)
                .len(),
            2
        );
    }
}

#[test]
fn a_flipped_byte_in_a_head_costs_one_block_and_is_reported() {
    let origin = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(origin.path(), quick()).unwrap();
    for n in 0..6 {
        append(&mut store, n).unwrap();
    }
    drop(store);
    let name = names(origin.path(), ".log")[0].clone();
    let whole = fs::read(origin.path().join(&name)).unwrap();
    let definitions = whole
        .windows(4)
        .enumerate()
        .filter(|(_, four)| *four == b"GHf1")
        .nth(3)
        .unwrap()
        .0;
    for at in definitions..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let mut bad = whole.clone();
        bad[at] ^= 0x11;
        fs::write(dir.path().join(&name), &bad).unwrap();
        let read = batches(dir.path());
        assert_eq!(read.len(), 5, "flipped {at}");
        let (store, recovery) = Store::open(dir.path(), quick()).unwrap();
        // The last block cannot be told from a torn end.
        let last = read == [0, 1, 2, 3, 4];
        assert_eq!(
            (recovery.lost.len(), recovery.cut.len()),
            if last { (0, 1) } else { (1, 0) },
            "flipped {at}"
        );
        store.close(moment(START + 101 * S, 101 * S)).unwrap();
        assert_eq!(batches(dir.path()), read);
    }
}

#[test]
fn a_flipped_byte_in_a_segment_costs_what_it_hits_and_is_reported() {
    let origin = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(origin.path(), quick()).unwrap();
    for n in 0..30 {
        append(&mut store, n * 7).unwrap();
        store
            .maintain(moment(START + n * 7 * S, n * 7 * S))
            .unwrap();
    }
    for n in 0..20 {
        store
            .maintain(moment(START + (700 + n) * S, (700 + n) * S))
            .unwrap();
    }
    drop(store);
    let minutes = query("c", START, START + 10_000 * S, 60 * S, Aggregation::Rate);
    let hours = query("g", START, START + 20_000 * S, 3600 * S, Aggregation::Mean);
    let ask = |dir: &Path| {
        let reader = StoreReader::open(dir);
        let found = reader.series(&Selector::default(), minutes.window);
        let latest = reader.latest(&Selector::default(), Timestamp::from_nanos(START + 203 * S));
        let sums = reader.range(&query("g", START, START + 10_000 * S, S, Aggregation::Sum));
        (
            [sums, reader.range(&minutes), reader.range(&hours)].map(Result::unwrap),
            found.unwrap(),
            latest.unwrap(),
            reader.coverage().unwrap(),
            reader.damaged().unwrap(),
        )
    };
    let right = ask(origin.path());
    assert_eq!(right.4, [""; 0]);
    let segments = names(origin.path(), ".seg");
    assert_eq!(segments.len(), 3, "{segments:?}");
    let mut noticed = 0;
    for name in segments {
        let whole = fs::read(origin.path().join(&name)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        copy_folder(origin.path(), dir.path());
        for at in (0..whole.len()).step_by(3) {
            let mut bad = whole.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(dir.path().join(&name), &bad).unwrap();
            let asked = ask(dir.path());
            if asked == right {
                continue;
            }
            noticed += 1;
            let context = format!("{name} flipped at {at}");
            assert_eq!(asked.4, [name.as_str()], "{context}");
            for (answer, right) in asked.0.iter().zip(&right.0) {
                let said = answer.truncated.has(Truncation::Damage);
                assert!(
                    said || answer == right,
                    "{context} and the answer is silent"
                );
            }
            // What is left is right; rollups stand in for a segment of which nothing is known.
            let left = asked.0[0].series.iter().flat_map(|one| &one.values);
            let whole = right.0[0].series.iter().flat_map(|one| &one.values);
            let mut pairs = left.zip(whole);
            assert!(
                asked.0[0].step != right.0[0].step
                    || pairs.all(|(left, whole)| left.is_none() || left == whole),
                "{context}"
            );
            assert!(
                asked
                    .1
                    .entries
                    .iter()
                    .all(|series| right.1.entries.contains(series)),
                "{context}"
            );
            assert!(asked.1.damaged || asked.1 == right.1, "{context}");
            assert!(
                asked
                    .2
                    .entries
                    .iter()
                    .all(|latest| right.2.entries.contains(latest)),
                "{context}"
            );
            assert!(asked.2.damaged || asked.2 == right.2, "{context}");
        }
        for cut in 0..whole.len() {
            fs::write(dir.path().join(&name), &whole[..cut]).unwrap();
            let damaged = StoreReader::open(dir.path()).damaged().unwrap();
            assert_eq!(damaged, [name.as_str()], "{name} cut at {cut}");
        }
    }
    assert!(noticed > 200, "{noticed}");
}

#[test]
fn a_start_sets_damaged_segments_aside_and_removes_leftovers() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    append(&mut store, 1).unwrap();
    let head = names(dir.path(), ".log")[0].clone();
    let log = fs::read(dir.path().join(&head)).unwrap();
    store.close(moment(START + 2 * S, 2 * S)).unwrap();
    let sealed = names(dir.path(), ".seg")[0].clone();
    // As if the process had been killed between the rename and the unlink.
    fs::write(dir.path().join(&head), &log).unwrap();
    fs::write(
        dir.path().join("raw-000000000009-000000000009.seg"),
        b"no segment",
    )
    .unwrap();
    fs::write(
        dir.path().join("raw-000000000010-000000000010.seg.tmp"),
        b"half",
    )
    .unwrap();
    fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
    assert_eq!(
        sums(dir.path()).unwrap().truncated,
        Truncation::Damage.into()
    );
    assert_eq!(batches(dir.path()), [1]);
    let (store, recovery) = Store::open(dir.path(), quick()).unwrap();
    assert_eq!(recovery.set_aside, ["raw-000000000009-000000000009.seg"]);
    let mut removed = recovery.removed;
    removed.sort();
    assert_eq!(
        removed,
        [head, "raw-000000000010-000000000010.seg.tmp".to_owned()]
    );
    assert_eq!(batches(dir.path()), [1]);
    let aside = "raw-000000000009-000000000009.seg.damaged".to_owned();
    let length = b"no segment".len() as u64;
    assert_eq!(stat(dir.path()).unwrap().set_aside, [(aside, length)]);
    assert!(dir.path().join("notes.txt").exists() && dir.path().join(sealed).exists());
    assert!(matches!(
        Store::open(dir.path(), quick()),
        Err(StoreError::Busy { .. })
    ));
    drop(store);
    assert!(Store::open(dir.path(), quick()).unwrap().1.is_clean());
}

#[test]
fn what_does_not_fit_is_refused_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path(), quick()).unwrap();
    append(&mut store, 1).unwrap();
    let series = store.definitions(1)[0].1;
    let at = moment(START + 2 * S, 2 * S);
    let sample = (series, Some(Value::U64(1)), Quality::Good);
    let twice = store.append(&Batch {
        collector: "x",
        at,
        samples: &[sample, sample],
    });
    assert!(twice.unwrap_err().to_string().contains("twice"));
    let foreign = store.append(&Batch {
        collector: "y",
        at,
        samples: &[sample],
    });
    assert!(foreign.unwrap_err().to_string().contains("`y`"));
    let mut large = info("large", "x", "a", MetricKind::Gauge);
    large.help = "x".repeat(2 << 20);
    assert!(matches!(
        store.define(1, 3, &large),
        Err(StoreError::TooLarge { .. })
    ));
    // Two newer runs, and the series of the first is forgotten at the next rotation.
    for run in [2, 3] {
        store
            .define(run, 1, &info("other", "x", "a", MetricKind::Gauge))
            .unwrap();
    }
    append(&mut store, 2).unwrap();
    for run in [2, 3] {
        store
            .define(run, 1, &info("other", "x", "a", MetricKind::Gauge))
            .unwrap();
    }
    assert_eq!(store.definitions(9), []);
    store.maintain(moment(START + 300 * S, 300 * S)).unwrap();
    let old = Batch {
        collector: "x",
        at,
        samples: &[sample],
    };
    let forgotten = store.append(&old);
    assert!(forgotten.is_ok() || matches!(forgotten, Err(StoreError::UnknownSeries { .. })));
    assert_eq!(batches(dir.path()).first(), Some(&1));
}

#[test]
fn retention_forgets_by_age_and_by_bytes_and_never_what_is_new() {
    let settings = |bytes, raw| StoreSettings {
        shard: Duration::from_secs(600),
        retention: Retention {
            raw: Duration::from_secs(raw),
            minute: Duration::from_secs(8000),
            hour: Duration::from_secs(8000),
            bytes,
            ..Retention::default()
        },
        ..quick()
    };
    let run = |settings: StoreSettings| {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), settings).unwrap();
        let mut expired = 0;
        for n in 0..5000 {
            append(&mut store, n).unwrap();
            expired += store
                .maintain(moment(START + n * S, n * S))
                .unwrap()
                .expired
                .len();
        }
        drop(store);
        (dir, expired)
    };
    let (dir, expired) = run(settings(u64::MAX, 1500));
    let read = sums(dir.path()).unwrap();
    // Where only rollups are left the step is theirs.
    assert_eq!(read.step, Duration::from_secs(60));
    let counts = &read.series[0].values;
    assert!(
        expired >= 5 && counts[..83].iter().all(Option::is_some),
        "{expired} {counts:?}"
    );
    let raw = StoreReader::open(dir.path())
        .range(&query(
            "g",
            START + 3500 * S,
            START + 5000 * S,
            S,
            Aggregation::Sum,
        ))
        .unwrap();
    assert!(raw.step == Duration::from_secs(1) && raw.series[0].values.iter().all(Option::is_some));
    let (dir, expired) = run(settings(3000, 100_000));
    let newest = *batches_of_any_step(dir.path()).last().unwrap();
    assert!(expired > 3 && newest >= 4980, "{expired} {newest}");
    assert!(
        stat(dir.path())
            .unwrap()
            .tiers
            .iter()
            .map(|tier| tier.coverage.bytes)
            .sum::<u64>()
            < 30_000
    );
}

fn batches_of_any_step(dir: &Path) -> Vec<i64> {
    let answer = sums(dir).unwrap();
    let step = i64::try_from(answer.step.as_secs()).unwrap();
    let numbered = (0_i64..).zip(&answer.series[0].values);
    numbered
        .filter(|(_, value)| value.is_some())
        .map(|(n, _)| n * step + step - 1)
        .collect()
}

#[test]
fn an_empty_or_missing_folder_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [dir.path().to_owned(), dir.path().join("missing")] {
        assert!(matches!(sums(&dir), Err(ReadError::Empty { .. })));
        assert!(matches!(stat(&dir), Err(ReadError::Empty { .. })));
    }
    drop(Store::open(dir.path(), quick()).unwrap());
    assert_eq!(sums(dir.path()).unwrap().series, []);
}

/// Writes the CRC-32 of `bytes[of]` at `at`.
fn sign(bytes: &mut [u8], of: std::ops::Range<usize>, at: usize) {
    let crc = crc32fast::hash(&bytes[of]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn files_of_another_version_stop_the_start_and_stay_as_they_are() {
    let origin = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(origin.path(), quick()).unwrap();
    append(&mut store, 1).unwrap();
    let head = names(origin.path(), ".log")[0].clone();
    let log = fs::read(origin.path().join(&head)).unwrap();
    store.close(moment(START + 2 * S, 2 * S)).unwrap();
    let segment = names(origin.path(), ".seg")[0].clone();
    let sealed = fs::read(origin.path().join(&segment)).unwrap();
    // A head opens with kind and version behind the 16 bytes of its frame's header.
    let mut opened = log.clone();
    opened[17] = 2;
    let length = usize::from(opened[4]);
    sign(&mut opened, 16..16 + length, 8);
    sign(&mut opened, 0..12, 12);
    let mut framed = log;
    while let Some(at) = framed.windows(4).position(|four| four == b"GHf1") {
        framed[at + 3] = b'2';
    }
    let mut footer = sealed.clone();
    let start = footer.len() - 88;
    footer[start + 7] = 2;
    let end = footer.len() - 4;
    sign(&mut footer, start..end, end);
    let mut unlike = sealed.clone();
    unlike[7] = 2;
    unlike.truncate(50);
    for (name, contents) in [
        (&head, &opened),
        (&head, &framed),
        (&segment, &footer),
        (&segment, &unlike),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), contents).unwrap();
        let error = Store::open(dir.path(), quick()).unwrap_err();
        assert!(matches!(error, StoreError::OtherVersion { .. }), "{error}");
        assert!(error.to_string().contains(name.as_str()), "{error}");
        assert_eq!(&fs::read(dir.path().join(name)).unwrap(), contents);
        assert_eq!(batches(dir.path()), [0; 0]);
    }
    // One byte alone is damage.
    let mut flipped = sealed;
    flipped[7] = 2;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(&segment), flipped).unwrap();
    assert!(Store::open(dir.path(), quick()).unwrap().1.is_clean());
    assert_eq!(batches(dir.path()), [1]);
}
