//! What a broken face could leave in the folder that it owns.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use glasshouse_core::audit::AuditSink as _;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::testing::{State, at, decision, small_segments};
use crate::{AuditError, AuditSettings, verify};

/// A log of two records that is signed, and where its third could begin a new file.
fn signed() -> (State, crate::Checkpointer, std::path::PathBuf) {
    let state = State::new();
    let log = state.open(AuditSettings::default());
    log.decided(&decision(0)).unwrap();
    drop(log);
    let mut checkpointer = state.checkpointer();
    assert!(checkpointer.run_once(at(0)).unwrap().signed);
    let next = state.audit().join("audit-00000000000000000002.jsonl");
    (state, checkpointer, next)
}

type Make = fn(&State, &Path);

const STRANGE: [(&str, Make, &str); 4] = [
    (
        "a FIFO that nobody writes to",
        |_, path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
        "no regular file",
    ),
    (
        "a folder",
        |_, path| std::fs::create_dir(path).unwrap(),
        "no regular file",
    ),
    (
        "a link to a file of the log",
        |state, path| symlink(&state.segments()[0], path).unwrap(),
        "symbolic link",
    ),
    (
        "a link to nothing",
        |_, path| symlink("/nowhere/at/all", path).unwrap(),
        "symbolic link",
    ),
];

#[test]
fn what_is_no_file_of_the_log_is_a_finding_and_holds_nobody_up() {
    for (what, make, expected) in STRANGE {
        let (state, mut checkpointer, next) = signed();
        make(&state, &next);
        let done = checkpointer.run_once(at(10)).unwrap();
        assert!(done.finding.unwrap().contains(expected), "{what}");
        assert_eq!(done.records, 2, "{what}");
        let again = state.checkpointer().run_once(at(20)).unwrap();
        assert!(again.finding.unwrap().contains(expected), "{what}");
        let report = verify(state.path()).unwrap();
        assert!(
            report.first_bad.unwrap().detail.contains(expected),
            "{what}"
        );
        assert_eq!(report.findings.len(), 1, "{what}: {:?}", report.findings);
        assert_eq!(report.covered, 2, "{what}");
    }
}

#[test]
fn a_link_in_the_place_of_a_signed_file_is_a_change_even_to_the_same_bytes() {
    let (state, mut checkpointer, _) = signed();
    let segment = state.segments().remove(0);
    let elsewhere = state.path().join("elsewhere");
    std::fs::rename(&segment, &elsewhere).unwrap();
    symlink(&elsewhere, &segment).unwrap();
    let done = checkpointer.run_once(at(10)).unwrap();
    assert!(done.finding.unwrap().contains("symbolic link"));
    assert!(!done.signed);
}

#[test]
fn a_file_of_another_user_is_a_finding() {
    let (_state, mut checkpointer, next) = signed();
    std::fs::write(&next, b"").unwrap();
    if chown(&next, Some(65_534), None).is_err() {
        println!("skipped: giving a file away needs root");
        return;
    }
    let done = checkpointer.run_once(at(10)).unwrap();
    assert!(done.finding.unwrap().contains("another user"));
}

#[test]
fn only_the_writer_can_hold_the_lock() {
    let state = State::new();
    let lock = state.audit().join("lock");
    std::fs::write(&lock, b"").unwrap();
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o640)).unwrap();
    let log = state.open(AuditSettings::default());
    let mode = std::fs::metadata(&lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(log);
}

#[test]
fn a_new_key_is_not_written_through_a_link() {
    let state = State::new();
    let victim = state.path().join("victim");
    std::fs::write(&victim, b"precious").unwrap();
    symlink(&victim, state.path().join("checkpoint.new")).unwrap();
    state.checkpointer();
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    let key = std::fs::symlink_metadata(state.path().join("checkpoint.key")).unwrap();
    assert!(key.is_file());
}

#[test]
fn use_is_counted_behind_the_recovery() {
    let state = State::new();
    let log = state.open(small_segments(1_000_000));
    log.decided(&decision(1)).unwrap();
    drop(log);
    let path = state.segments().remove(0);
    let good = std::fs::read(&path).unwrap();
    // what a power loss leaves: whole to whoever does not cut it first
    std::fs::write(&path, [&good[..], &[0; 64], b"\n"].concat()).unwrap();
    let before = crate::usage::usage(&state.audit(), at(0));
    assert!(matches!(before, Err(AuditError::Damaged { .. })));
    let log = state.open(AuditSettings::default());
    let used = log.usage(at(0)).unwrap();
    assert_eq!(used.into_values().next().unwrap().calls, 1);
}

#[test]
fn a_log_does_not_take_the_whole_disk() {
    assert!(AuditSettings::default().most_bytes <= 1 << 30);
}
