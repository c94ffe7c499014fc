//! What the log promises, seen from outside.

use std::sync::Arc;

use glasshouse_core::access::{Usage, UsageKey};
use glasshouse_core::audit::AuditSink as _;

use crate::testing::{State, at, decision, outcome, small_segments};
use crate::usage::usage;
use crate::{AuditError, AuditLog, AuditSettings, verify};

#[test]
fn records_are_readable_lines_and_outlive_restarts() {
    let state = State::new();
    for run in 0..3 {
        let log = state.open(small_segments(2_000));
        for n in 0..5 {
            log.decided(&decision(run * 5 + n)).unwrap();
            log.ended(&outcome(run * 5 + n)).unwrap();
        }
    }
    let text: String = state
        .segments()
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(state.segments().len() > 2);
    for (n, line) in text.lines().enumerate() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["seq"], n);
    }
    assert_eq!(text.matches("\"opened\"").count(), 3);
    assert_eq!(text.matches("\"id\":\"d-000000000000000e\"").count(), 2);
    let report = verify(state.path()).unwrap();
    assert!(report.is_intact());
    assert_eq!((report.records, report.uncovered), (33, 33));
}

#[test]
fn files_are_for_the_group_to_read_and_one_writer_to_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let state = State::new();
    let log = state.open(AuditSettings::default());
    for entry in std::fs::read_dir(state.audit()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o640, 0);
    }
    let second = AuditLog::open(&state.audit(), AuditSettings::default());
    assert!(matches!(second, Err(AuditError::Locked { .. })));
    drop(log);
    state.open(AuditSettings::default());
    let missing = AuditLog::open(&state.path().join("nowhere"), AuditSettings::default());
    assert!(matches!(missing, Err(AuditError::Io { .. })));
}

#[test]
fn a_log_torn_at_any_byte_keeps_every_whole_record() {
    let state = State::new();
    let log = state.open(AuditSettings::default());
    for n in 0..3 {
        log.decided(&decision(n)).unwrap();
    }
    drop(log);
    let whole = std::fs::read(&state.segments()[0]).unwrap();
    for length in 0..whole.len() {
        let torn = State::new();
        let path = torn.audit().join("audit-00000000000000000000.jsonl");
        std::fs::write(&path, &whole[..length]).unwrap();
        let records = whole[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let kept = whole[..length]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let log = torn.open(AuditSettings::default());
        log.decided(&decision(9)).unwrap();
        drop(log);
        let now = std::fs::read_to_string(&path).unwrap();
        assert_eq!(now.as_bytes()[..kept], whole[..kept]);
        let opened = now.lines().nth(records).unwrap();
        assert!(
            opened.contains(&format!("\"cut_bytes\":{}", length - kept)),
            "{opened}"
        );
        assert_eq!(now.lines().count(), records + 2);
        assert!(verify(torn.path()).unwrap().is_intact());
    }
}

#[test]
fn zeros_at_the_end_are_cut_but_damage_in_the_middle_is_not_covered_up() {
    let state = State::new();
    let log = state.open(AuditSettings::default());
    log.decided(&decision(0)).unwrap();
    drop(log);
    let path = state.segments().remove(0);
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&good[..], &[0; 4096], b"\n"].concat()).unwrap();
    drop(state.open(AuditSettings::default()));
    assert!(verify(state.path()).unwrap().is_intact());

    let mut changed = good;
    changed[20] ^= 1;
    std::fs::write(&path, changed).unwrap();
    match AuditLog::open(&state.audit(), AuditSettings::default()) {
        Err(AuditError::Damaged { line: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_log_refuses_says_so_and_goes_on_once_there_is_room() {
    let state = State::new();
    let settings = AuditSettings {
        most_bytes: 3_000,
        ..AuditSettings::default()
    };
    let log = state.open(settings);
    let taken = (0..100)
        .take_while(|n| log.decided(&decision(*n)).is_ok())
        .count();
    assert!((3..10).contains(&taken), "{taken}");
    let refused = log.decided(&decision(100)).unwrap_err();
    assert!(refused.to_string().contains("no room"), "{refused}");
    assert!(log.ended(&outcome(0)).is_err());
    drop(log);
    let text = std::fs::read_to_string(&state.segments()[0]).unwrap();
    assert!(text.lines().last().unwrap().contains("\"full\":"), "{text}");
    assert!(!state.audit().join("reserve").exists() || taken == 0);
    assert!(verify(state.path()).unwrap().is_intact());
    state
        .open(AuditSettings::default())
        .decided(&decision(101))
        .unwrap();
    assert!(state.audit().join("reserve").metadata().unwrap().len() >= 1024 * 1024);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let state = State::new();
    /// Unmounts however the test ends.
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let unmounted = std::process::Command::new("umount").arg(&self.0).status();
            assert!(unmounted.unwrap().success() || std::thread::panicking());
        }
    }
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(state.audit())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("skipped: mounting a tmpfs needs root");
        return;
    }
    let _mounted = Mounted(state.audit());
    let log = state.open(AuditSettings::default());
    let filler = state.audit().join("filler");
    let taken = (0..20_000)
        .take_while(|n| log.decided(&decision(*n)).is_ok())
        .count();
    assert!((100..19_000).contains(&taken), "{taken}");
    std::fs::write(&filler, vec![0; 8192]).unwrap_or_default();
    assert!(log.decided(&decision(0)).is_err());
    drop(log);
    let text = std::fs::read_to_string(&state.segments()[0]).unwrap();
    assert!(text.ends_with('\n'));
    assert!(text.lines().last().unwrap().contains("\"full\":"));
    assert!(verify(state.path()).unwrap().is_intact());
}

#[test]
fn many_threads_write_whole_lines() {
    let state = State::new();
    let log = Arc::new(state.open(small_segments(20_000)));
    let threads: Vec<_> = (0..8_u64)
        .map(|thread| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for n in 0..100 {
                    log.decided(&decision(thread * 100 + n)).unwrap();
                    log.refused(at(0), "expired");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(log);
    let report = verify(state.path()).unwrap();
    assert!(report.is_intact());
    // one opening, one summary at once and one at the end
    assert_eq!(report.records, 803);
    let key = UsageKey {
        issuer: "https://issuer.example".to_owned(),
        subject: "ada".to_owned(),
        task: "capacity-review".to_owned(),
    };
    let used = usage(&state.audit(), at(0)).unwrap();
    assert_eq!(
        used[&key],
        Usage {
            calls: 800,
            rows: 8_000
        }
    );
    assert_eq!(usage(&state.audit(), at(10_000)).unwrap().len(), 0);
}

#[test]
fn only_calls_that_policies_allowed_count_as_use() {
    let state = State::new();
    let log = state.open(small_segments(1_000));
    log.decided(&decision(1)).unwrap();
    let refused = glasshouse_core::audit::DecisionRecord {
        allowed: false,
        ..decision(2)
    };
    log.decided(&refused).unwrap();
    let listed = glasshouse_core::audit::DecisionRecord {
        policies: Vec::new(),
        ..decision(3)
    };
    log.decided(&listed).unwrap();
    log.decided(&decision(4)).unwrap();
    drop(log);
    let used = |since| {
        usage(&state.audit(), at(since))
            .unwrap()
            .into_values()
            .next()
    };
    assert_eq!(used(0), Some(Usage { calls: 2, rows: 20 }));
    assert_eq!(used(4), Some(Usage { calls: 1, rows: 10 }));
    assert_eq!(used(5), None);
}

#[test]
fn a_record_that_cannot_be_kept_whole_is_refused_or_cut_where_it_may_be() {
    let state = State::new();
    let log = state.open(AuditSettings::default());
    let long = "\u{1}".repeat(100_000);
    let nameless = glasshouse_core::audit::DecisionRecord {
        subject: long.clone(),
        ..decision(0)
    };
    assert!(log.decided(&nameless).is_err());
    let wordy = glasshouse_core::audit::DecisionRecord {
        arguments: long.clone(),
        action: long.clone(),
        node: long.clone(),
        reason: long.clone(),
        policies: vec![long; 100],
        ..decision(0)
    };
    log.decided(&wordy).unwrap();
    log.decided(&decision(1)).unwrap();
    drop(log);
    assert_eq!(verify(state.path()).unwrap().records, 3);
}

#[test]
fn checkpoints_follow_the_log_over_restarts_of_both() {
    let state = State::new();
    let mut checkpointer = state.checkpointer();
    assert!(!checkpointer.run_once(at(0)).unwrap().signed);
    let mut records = 0;
    for run in 0..4_i64 {
        let log = state.open(small_segments(1_500));
        for n in 0..4 {
            log.decided(&decision(n)).unwrap();
        }
        drop(log);
        records += 5;
        let done = checkpointer.run_once(at(run * 10)).unwrap();
        assert_eq!(
            (done.records, done.signed, done.finding),
            (records, true, None)
        );
        assert!(!checkpointer.run_once(at(run * 10 + 1)).unwrap().signed);
        if run % 2 == 0 {
            checkpointer = state.checkpointer();
        }
    }
    let report = verify(state.path()).unwrap();
    assert!(report.is_intact(), "{report}");
    assert_eq!(
        (report.checkpoints, report.covered, report.uncovered),
        (4, 20, 0)
    );
    assert_eq!(
        report.keys.into_iter().collect::<Vec<_>>(),
        [checkpointer.public_key()]
    );
}

/// A log with a few records, a checkpoint in between and one at the end.
fn signed_log() -> State {
    let state = State::new();
    let mut checkpointer = state.checkpointer();
    let log = state.open(small_segments(1_200));
    for n in 0..4 {
        log.decided(&decision(n)).unwrap();
        checkpointer
            .run_once(at(i64::try_from(n).unwrap()))
            .unwrap();
    }
    drop(log);
    assert!(verify(state.path()).unwrap().is_intact());
    state
}

#[test]
fn any_changed_byte_of_a_signed_record_is_found() {
    let state = signed_log();
    for path in state.segments() {
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            let report = verify(state.path()).unwrap();
            let bad = report
                .first_bad
                .unwrap_or_else(|| panic!("byte {at} of {}", path.display()));
            assert!(bad.path.starts_with(state.path()), "{bad:?}");
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(verify(state.path()).unwrap().is_intact());
}

#[test]
fn any_changed_byte_of_a_checkpoint_is_found() {
    let state = signed_log();
    let path = state
        .path()
        .join("checkpoints/checkpoints-00000000000000000000.jsonl");
    let good = std::fs::read(&path).unwrap();
    // without the very last newline, which makes the last checkpoint a torn one and its records uncovered
    for at in 0..good.len() - 1 {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&path, &changed).unwrap();
        let report = verify(state.path()).unwrap();
        assert!(!report.is_intact(), "byte {at}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert_eq!(verify(state.path()).unwrap().uncovered, 1);
}

/// Writes the log anew with one record changed and all links made to fit: what a broken face could do.
fn forge(state: &State) {
    let mut seq = 0;
    let mut link = crate::record::Link::default();
    for path in state.segments() {
        let mut forged = Vec::new();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let mut line: crate::record::Line = serde_json::from_str(line).unwrap();
            if let Some(decision) = &mut line.decision
                && seq == 2
            {
                decision.subject = "somebody else".to_owned();
            }
            let (bytes, next) = line.encode(link).unwrap();
            forged.extend(bytes);
            link = next;
            seq += 1;
        }
        std::fs::write(&path, forged).unwrap();
    }
}

#[test]
fn a_forged_past_is_found_although_every_link_fits() {
    let state = signed_log();
    forge(&state);
    let report = verify(state.path()).unwrap();
    let bad = report.first_bad.unwrap();
    assert!(
        bad.detail.contains("records 2 to 2 was changed"),
        "{}",
        bad.detail
    );
    let text = std::fs::read_to_string(&bad.path).unwrap();
    let line = text
        .lines()
        .nth(usize::try_from(bad.line - 1).unwrap())
        .unwrap();
    assert!(line.contains("somebody else"), "{line}");
}

#[test]
fn the_node_never_signs_over_a_changed_past() {
    for restarted in [false, true] {
        let state = signed_log();
        let mut checkpointer = state.checkpointer();
        checkpointer.run_once(at(10)).unwrap();
        forge(&state);
        if restarted {
            checkpointer = state.checkpointer();
        }
        for second in 20..25 {
            let done = checkpointer.run_once(at(second)).unwrap();
            assert!(done.finding.unwrap().contains("was changed"), "{restarted}");
            assert!(!done.signed);
        }
        let report = verify(state.path()).unwrap();
        assert!(!report.is_intact());
        let checkpoints = std::fs::read_to_string(
            state
                .path()
                .join("checkpoints/checkpoints-00000000000000000000.jsonl"),
        )
        .unwrap();
        assert_eq!(
            checkpoints.matches("finding").count(),
            1,
            "said once, not each time"
        );
    }
}

#[test]
fn a_log_that_shrank_is_found_by_the_node_and_by_verify() {
    let state = signed_log();
    let mut checkpointer = state.checkpointer();
    checkpointer.run_once(at(10)).unwrap();
    std::fs::remove_file(state.segments().pop().unwrap()).unwrap();
    let done = checkpointer.run_once(at(20)).unwrap();
    assert!(done.finding.unwrap().contains("were signed"));
    let bad = verify(state.path()).unwrap().first_bad.unwrap();
    assert!(bad.detail.contains("the log ends after"), "{}", bad.detail);
    for path in state.segments() {
        std::fs::remove_file(path).unwrap();
    }
    assert!(verify(state.path()).unwrap().first_bad.is_some());
}

#[test]
fn what_is_lost_behind_the_last_checkpoint_is_said_to_be_uncovered() {
    let state = signed_log();
    let log = state.open(AuditSettings::default());
    log.decided(&decision(8)).unwrap();
    log.decided(&decision(9)).unwrap();
    drop(log);
    let path = state.segments().pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let report = verify(state.path()).unwrap();
    assert!(report.is_intact(), "{report}");
    assert_eq!((report.covered, report.uncovered), (5, 2));
    assert!(report.torn_bytes > 100);
}

#[test]
fn the_node_waits_for_the_end_of_a_line_and_signs_up_to_damage() {
    let state = signed_log();
    let mut checkpointer = state.checkpointer();
    checkpointer.run_once(at(10)).unwrap();
    let path = state.segments().pop().unwrap();
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&good[..], b"{\"seq\":5,"].concat()).unwrap();
    assert_eq!(checkpointer.run_once(at(20)).unwrap().finding, None);
    std::fs::write(&path, [&good[..], b"garbage\n"].concat()).unwrap();
    let done = checkpointer.run_once(at(30)).unwrap();
    assert!(done.finding.unwrap().contains("record 5 is damaged"));
    // the face cuts what it cannot have written, and goes on
    drop(state.open(AuditSettings::default()));
    let done = checkpointer.run_once(at(40)).unwrap();
    assert_eq!((done.signed, done.finding), (true, None));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let state = State::new();
    state.checkpointer();
    let key = state.path().join("checkpoint.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let again = crate::Checkpointer::open(&state.audit(), &state.path().join("checkpoints"), &key);
    assert!(matches!(again, Err(AuditError::Key { .. })), "{again:?}");
}
