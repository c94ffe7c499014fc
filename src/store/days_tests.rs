use std::fs;

use glasshouse_core::time::BootTime;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// 2024-02-28T00:00:00Z.
const START: Timestamp = Timestamp::from_seconds(1_709_078_400);

fn moment(days: u32) -> Moment {
    Moment {
        wall: START.after(DAY * days),
        boot: BootTime::from_nanos(u64::try_from((DAY * (days + 1)).as_nanos()).unwrap()),
    }
}

fn keep(days: u32, bytes: u64) -> Keep {
    Keep {
        age: DAY * days,
        bytes,
    }
}

fn names(dir: &Path) -> Vec<String> {
    let parts = list(dir).unwrap();
    parts.into_iter().map(|(part, _)| part.name()).collect()
}

fn all(dir: &Path, since: Timestamp, most: usize, bytes: u64) -> Back<String> {
    let reach = Reach { since, most, bytes };
    look_back(dir, reach, |payload| {
        Taken::Match(String::from_utf8_lossy(payload).into_owned())
    })
    .unwrap()
}

#[test]
fn names_are_dates_and_survive() {
    let by_day = |day| Part { day, part: 7 }.name();
    assert_eq!(by_day(0), "19700101-0007.log");
    assert_eq!(by_day(day_of(START)), "20240228-0007.log");
    assert_eq!(by_day(day_of(START) + 1), "20240229-0007.log");
    assert_eq!(by_day(day_of(START) + 2), "20240301-0007.log");
    assert_eq!(by_day(i64::MAX), "99991231-0007.log");
    for day in (0..40_000).chain(LAST_DAY - 1000..=LAST_DAY) {
        let part = Part { day, part: 3 };
        assert_eq!(Part::parse(&part.name()), Some(part));
    }
    for name in [
        "20230229-0000.log",
        "20241301-0000.log",
        "2024022-00000.log",
        "20240228-000.log",
        "20240228-0000.tmp",
        "+0240228-0000.log",
        "2024022ä-0000.log",
        "current.json",
    ] {
        assert_eq!(Part::parse(name), None, "{name}");
    }
}

#[test]
fn the_newest_comes_first_across_days_and_bounds_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = DayWriter::new(dir.path(), keep(30, 1 << 20)).unwrap();
    for day in 0..3 {
        let pair = [format!("{day}a"), format!("{day}b")];
        let at = START.after(DAY * day);
        let bytes = pair.iter().map(String::as_bytes);
        writer.append(at, bytes).unwrap();
    }
    let back = all(dir.path(), START, 100, u64::MAX);
    assert_eq!(back.found, ["2b", "2a", "1b", "1a", "0b", "0a"]);
    assert!(!back.more && !back.damaged);
    let back = all(dir.path(), START.after(DAY), 100, u64::MAX);
    assert_eq!((back.found.len(), back.more), (4, false));
    let back = all(dir.path(), START, 3, u64::MAX);
    assert_eq!((back.found.join(" "), back.more), ("2b 2a 1b".into(), true));
    // the newest part is read whatever it takes
    let back = all(dir.path(), START, 100, 1);
    assert_eq!((back.found.join(" "), back.more), ("2b 2a".into(), true));
    assert!(all(&dir.path().join("none"), START, 1, 1).found.is_empty());
}

#[test]
fn a_torn_end_is_cut_and_a_flipped_byte_costs_its_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("20240228-0000.log");
    let write = |text: &str| {
        let mut writer = DayWriter::new(dir.path(), keep(30, 1 << 20)).unwrap();
        writer.append(START, [text.as_bytes()]).unwrap();
    };
    write("one");
    write("two");
    let whole = fs::read(&path).unwrap();
    for cut in 1..16 + 3 {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(all(dir.path(), START, 9, 0).found, ["one"], "{cut}");
        write("three");
        let back = all(dir.path(), START, 9, 0);
        assert_eq!(
            (back.found.join(" "), back.damaged),
            ("three one".into(), false)
        );
    }
    let mut flipped = whole;
    flipped[17] ^= 1;
    fs::write(&path, flipped).unwrap();
    let back = all(dir.path(), START, 9, 0);
    assert_eq!((back.found.join(" "), back.damaged), ("two".into(), true));
}

#[test]
fn what_is_old_goes_by_the_day_and_what_is_too_much_by_the_part() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = DayWriter::new(dir.path(), keep(2, 64 << 10)).unwrap();
    for day in 0..5 {
        writer.append(moment(day).wall, [&b"x"[..]]).unwrap();
        writer.forget(moment(day)).unwrap();
    }
    assert_eq!(
        names(dir.path()),
        [
            "20240301-0000.log",
            "20240302-0000.log",
            "20240303-0000.log"
        ]
    );
    let line = [7; 1000];
    for _ in 0..200 {
        writer.append(moment(4).wall, [&line[..]]).unwrap();
        writer.forget(moment(4)).unwrap();
    }
    let sizes: Vec<u64> = list(dir.path())
        .unwrap()
        .iter()
        .map(|(_, size)| *size)
        .collect();
    let sum: u64 = sizes.iter().sum();
    // kept, and not much less than may be kept
    assert!((40 << 10..=80 << 10).contains(&sum), "{sizes:?}");
    assert!(sizes.len() < 12, "{sizes:?}");
    // a restart goes on in the newest part
    let before = names(dir.path());
    let mut writer = DayWriter::new(dir.path(), keep(2, 64 << 10)).unwrap();
    writer.append(moment(4).wall, [&b"x"[..]]).unwrap();
    assert!(before.len().abs_diff(names(dir.path()).len()) <= 1);
    assert_eq!(names(dir.path()).last(), before.last());
}

#[test]
fn a_clock_that_jumps_takes_nothing_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = DayWriter::new(dir.path(), keep(2, 1 << 20)).unwrap();
    writer.append(moment(0).wall, [&b"x"[..]]).unwrap();
    writer.forget(moment(0)).unwrap();
    let jumped = Moment {
        wall: START.after(DAY * 4000),
        boot: BootTime::from_nanos(moment(0).boot.nanos() + 3_600_000_000_000),
    };
    writer.append(jumped.wall, [&b"y"[..]]).unwrap();
    assert_eq!(writer.forget(jumped).unwrap(), [""; 0]);
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn a_failed_write_keeps_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = DayWriter::new(dir.path(), keep(2, 1 << 20)).unwrap();
    writer.append(START, [&b"good"[..]]).unwrap();
    let huge = vec![0; frame::MOST_PAYLOAD + 1];
    let error = writer.append(START, [&b"small"[..], &huge]).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    writer.append(START, [&b"after"[..]]).unwrap();
    assert_eq!(all(dir.path(), START, 9, 0).found, ["after", "good"]);
}
