use glasshouse_core::time::Window;

use super::*;

/// The collector that reads them.
const READER: &str = "ipmi";

fn entry(source: LogSource, id: &str) -> LogEntry {
    LogEntry {
        source,
        origin: Untrusted::new("bmc"),
        id: Untrusted::new(id),
        at: Some(Timestamp::from_seconds(1_000)),
        severity: Severity::Warning,
        code: Untrusted::new("08h/03"),
        component: Untrusted::new("PSU \u{1b}[31m1\u{202e}"),
        text: Untrusted::new("power supply input lost\r\nIGNORE"),
        raw: vec![0, 0x7f, 0xff],
    }
}

fn moment(seconds: u64) -> Moment {
    Moment {
        wall: Timestamp::from_seconds(1_700_000_000 + i64::try_from(seconds).unwrap()),
        boot: BootTime::from_nanos((seconds + 1) * 1_000_000_000),
    }
}

fn everything() -> LogQuery {
    LogQuery {
        sources: Vec::new(),
        least: Severity::Info,
        window: Window {
            from: Timestamp::default(),
            to: Timestamp::from_nanos(i64::MAX),
        },
        most: 1000,
        bytes: u64::MAX,
    }
}

fn ids(answer: &LogAnswer) -> String {
    let ids = answer.entries.iter().map(|heard| heard.entry.id.raw());
    ids.collect::<Vec<_>>().join(" ")
}

#[test]
fn entries_survive_as_they_were_and_are_known_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut without = entry(LogSource::Kernel, "2");
    without.at = None;
    without.raw = Vec::new();
    let both = [entry(LogSource::Sel, "1"), without.clone()];
    for restart in 0..3 {
        let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
        for _ in 0..2 {
            let new = writer.append(READER, &both, moment(5)).unwrap();
            assert_eq!(new, if restart == 0 { both.len() } else { 0 });
            if restart == 0 {
                break;
            }
        }
    }
    let answer = LogFiles::new(dir.path()).entries(&everything()).unwrap();
    let heard = |entry| HeardEntry {
        heard: moment(5).wall,
        entry,
    };
    assert_eq!(
        answer.entries,
        [heard(without), heard(entry(LogSource::Sel, "1"))]
    );
    assert!(!answer.more && !answer.damaged);
}

#[test]
fn an_entry_is_another_one_by_all_that_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    let mut first = entry(LogSource::Sel, "1");
    first.raw = Vec::new();
    // a log that was cleared begins with its first id again
    let others = [
        LogEntry {
            text: Untrusted::new("power supply input is back"),
            ..first.clone()
        },
        LogEntry {
            at: Some(Timestamp::from_seconds(2_000)),
            ..first.clone()
        },
        LogEntry {
            code: Untrusted::new("08h/04"),
            ..first.clone()
        },
        LogEntry {
            raw: vec![1],
            ..first.clone()
        },
        LogEntry {
            source: LogSource::Redfish,
            ..first.clone()
        },
        LogEntry {
            origin: Untrusted::new("bmc/2"),
            ..first.clone()
        },
        LogEntry {
            id: Untrusted::new("2"),
            ..first.clone()
        },
    ];
    let same = [first.clone()];
    assert_eq!(writer.append("redfish", &same, moment(0)).unwrap(), 1);
    assert_eq!(writer.append(READER, &[first], moment(0)).unwrap(), 1);
    assert_eq!(writer.append(READER, &same, moment(0)).unwrap(), 0);
    assert_eq!(writer.append(READER, &others, moment(0)).unwrap(), 7);
}

/// The names of sensors may not be known yet when a record is read again.
#[test]
fn a_record_is_the_same_however_it_was_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    let first = entry(LogSource::Sel, "1");
    let same = LogEntry {
        text: Untrusted::new("decoded by a newer version"),
        ..first.clone()
    };
    assert_eq!(writer.append(READER, &[first], moment(0)).unwrap(), 1);
    assert_eq!(writer.append(READER, &[same], moment(0)).unwrap(), 0);
}

/// The start of the machine, from which the time of a kernel message is computed, may be read a second later.
#[test]
fn a_kernel_message_is_the_same_whenever_its_time_is_computed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    let first = entry(LogSource::Kernel, "0123:7");
    let mut again = first.clone();
    again.at = Some(Timestamp::from_seconds(1_001));
    assert_eq!(
        writer
            .append("kernel_messages", &[first], moment(0))
            .unwrap(),
        1
    );
    assert_eq!(
        writer
            .append("kernel_messages", &[again], moment(0))
            .unwrap(),
        0
    );
}

#[test]
fn a_flood_of_one_source_pushes_out_its_own_entries_only() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Keep {
        bytes: 120 << 10,
        ..Keep::default()
    };
    let mut writer = LogWriter::open(dir.path(), keep).unwrap();
    let kernel = entry(LogSource::Kernel, "first");
    writer
        .append("kernel_messages", &[kernel], moment(0))
        .unwrap();
    for n in 0..2000u64 {
        let one = entry(LogSource::Redfish, &n.to_string());
        writer.append("redfish", &[one], moment(n)).unwrap();
        writer.maintain(moment(n)).unwrap();
    }
    let bytes = |word: &str| -> u64 {
        let files = std::fs::read_dir(dir.path().join(word)).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    };
    assert!(bytes("redfish") < 30 << 10, "{}", bytes("redfish"));
    let answer = LogFiles::new(dir.path()).entries(&everything()).unwrap();
    assert_eq!(answer.entries.last().unwrap().entry.id.raw(), "first");
    assert!(answer.entries.len() > 10);
}

#[test]
fn a_flood_of_one_source_leaves_the_others_known() {
    let dir = tempfile::tempdir().unwrap();
    let known = [entry(LogSource::Sel, "1")];
    let flood: Vec<LogEntry> = (0..MOST_KNOWN + 10)
        .map(|n| entry(LogSource::Kernel, &n.to_string()))
        .collect();
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    writer.append(READER, &known, moment(0)).unwrap();
    for part in flood.chunks(64) {
        writer.append(READER, part, moment(1)).unwrap();
    }
    for mut writer in [
        writer,
        LogWriter::open(dir.path(), Keep::default()).unwrap(),
    ] {
        assert_eq!(writer.append(READER, &known, moment(2)).unwrap(), 0);
        assert_eq!(
            writer
                .append(READER, &flood[flood.len() - 1..], moment(2))
                .unwrap(),
            0
        );
        let hashes: usize = writer
            .pools
            .iter()
            .map(|pool| pool.known.hashes.len())
            .sum();
        assert_eq!(hashes, MOST_KNOWN + 1);
    }
}

#[test]
fn questions_are_held_to_source_severity_window_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    for n in 0..10 {
        let mut one = entry(
            if n % 2 == 0 {
                LogSource::Sel
            } else {
                LogSource::Kernel
            },
            &n.to_string(),
        );
        one.severity = Severity::ALL[usize::try_from(n % 3).unwrap()];
        one.at = (n != 3).then(|| Timestamp::from_seconds(1_000 + i64::try_from(n).unwrap()));
        writer.append(READER, &[one], moment(n * 86_400)).unwrap();
    }
    let files = LogFiles::new(dir.path());
    let ask = |query: &LogQuery| {
        let answer = files.entries(query).unwrap();
        (ids(&answer), answer.more)
    };
    assert_eq!(ask(&everything()), ("9 8 7 6 5 4 3 2 1 0".into(), false));
    let sel = LogQuery {
        sources: vec![LogSource::Sel],
        ..everything()
    };
    assert_eq!(ask(&sel), ("8 6 4 2 0".into(), false));
    let severe = LogQuery {
        least: Severity::Critical,
        most: 2,
        ..everything()
    };
    assert_eq!(ask(&severe), ("8 5".into(), true));
    // heard then
    let window = Window {
        from: moment(3 * 86_400).wall,
        to: moment(6 * 86_400).wall,
    };
    assert_eq!(
        ask(&LogQuery {
            window,
            ..everything()
        }),
        ("5 4 3".into(), false)
    );
    // happened then
    let window = Window {
        from: Timestamp::from_seconds(1_002),
        to: Timestamp::from_seconds(1_006),
    };
    assert_eq!(
        ask(&LogQuery {
            window,
            ..everything()
        }),
        ("5 4 2".into(), false)
    );
    let (few, more) = ask(&LogQuery {
        bytes: 1000,
        ..everything()
    });
    assert!(few.starts_with("9 8") && more, "{few}");
    assert_eq!(
        LogFiles::new(&dir.path().join("none"))
            .entries(&everything())
            .unwrap(),
        LogAnswer::default()
    );
}

#[test]
fn what_makes_no_sense_is_passed_over_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(dir.path(), Keep::default()).unwrap();
    writer
        .append(READER, &[entry(LogSource::Sel, "1")], moment(0))
        .unwrap();
    let good = encode(READER, &entry(LogSource::Sel, "2"), moment(0).wall);
    let good = String::from_utf8(good).unwrap();
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"sel\"", "\"telex\""),
        ("\"warning\"", "\"grave\""),
        ("007fff", "007ff"),
        ("007fff", "zz"),
        ("\"heard_ns\"", "\"herd_ns\""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        let pool = &mut writer.pools[0];
        assert_eq!(pool.source, LogSource::Sel);
        pool.days.append(moment(0).wall, [bad.as_bytes()]).unwrap();
    }
    let answer = LogFiles::new(dir.path()).entries(&everything()).unwrap();
    assert_eq!((ids(&answer), answer.damaged), ("1".into(), true));
}

#[test]
fn what_could_not_be_written_is_new_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let mut writer = LogWriter::open(&logs, Keep::default()).unwrap();
    // works as root too: the folder is gone
    std::fs::remove_dir_all(&logs).unwrap();
    let entries = [entry(LogSource::Sel, "1")];
    assert!(writer.append(READER, &entries, moment(0)).is_err());
    std::fs::create_dir_all(logs.join("sel")).unwrap();
    assert_eq!(writer.append(READER, &entries, moment(1)).unwrap(), 1);
    assert_eq!(writer.append(READER, &entries, moment(2)).unwrap(), 0);
    assert!(writer.maintain(moment(3)).unwrap().is_empty());
    assert!(writer.unsynced_since.is_some());
    writer.maintain(moment(40)).unwrap();
    assert!(writer.unsynced_since.is_none());
}
