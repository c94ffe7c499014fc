use std::fs;

use glasshouse_core::condition::Severity;
use glasshouse_core::finding::{Evidence, Finding};
use glasshouse_core::text::Untrusted;

use super::*;

const NODE: NodeId = NodeId::from_bytes([7; 16]);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

fn event(number: u8, severity: Severity) -> Event {
    Event {
        id: EventId::from_bytes([number; 16]),
        node: NODE,
        finding: Finding {
            cause: "bmc.unresponsive".to_owned(),
            severity,
            component: Untrusted::new("bmc\u{1b}[31m\u{202e}"),
            source: "ipmi".to_owned(),
            detail: Untrusted::new("\"quoted\"\nno answer for 31 s"),
            first_seen: at(i64::from(number)),
            last_seen: at(100),
            evidence: vec![Evidence {
                name: "silent_for".to_owned(),
                value: 31.5,
                unit: "s".to_owned(),
            }],
            next_step: "Look at the BMC.".to_owned(),
        },
        resolved: None,
    }
}

fn resolved(event: &Event, seconds: i64) -> Event {
    Event {
        resolved: Some(at(seconds)),
        ..event.clone()
    }
}

fn everything() -> Window {
    Window {
        from: Timestamp::default(),
        to: Timestamp::from_nanos(i64::MAX),
    }
}

fn open(dir: &Path) -> (FindingWriter, Vec<Event>) {
    let (writer, found) = FindingWriter::open(dir, NODE).unwrap();
    assert!(found.trouble.is_none());
    (writer, found.open)
}

/// The list of what is open.
fn list(events: &[&Event]) -> Vec<Event> {
    events.iter().copied().cloned().collect()
}

#[test]
fn events_survive_their_files_the_worst_first() {
    let dir = tempfile::tempdir().unwrap();
    let files = FindingFiles::new(dir.path());
    assert!(matches!(files.open(), Err(ReadError::Empty { .. })));
    let (mut writer, found) = open(dir.path());
    assert!(found.is_empty());
    let (old, new, bad) = (
        event(1, Severity::Info),
        event(2, Severity::Info),
        event(3, Severity::Critical),
    );
    let changes = [&old, &new, &bad].map(|event| (Change::Opened, event.clone()));
    writer.append(&changes, at(10)).unwrap();
    let all = list(&[&old, &new, &bad]);
    writer.replace(all, at(10), Durability::Synced).unwrap();
    assert_eq!(files.open().unwrap().events, list(&[&bad, &new, &old]));
    assert!(Arc::ptr_eq(&files.open().unwrap(), &files.open().unwrap()));
    let over = resolved(&bad, 20);
    writer
        .append(&[(Change::Resolved, over.clone())], at(20))
        .unwrap();
    writer
        .replace(vec![old.clone(), new.clone()], at(20), Durability::Written)
        .unwrap();
    assert_eq!(files.open().unwrap().events, list(&[&new, &old]));
    assert_eq!(files.open().unwrap().written, at(20));
    let told = files.resolved(everything(), 10).unwrap();
    assert_eq!(
        (told.events, told.more, told.damaged),
        (vec![over], false, false)
    );
    let before = Window {
        from: at(0),
        to: at(20),
    };
    assert!(files.resolved(before, 10).unwrap().events.is_empty());
    drop(writer);
    assert_eq!(open(dir.path()).1, [new, old]);
}

/// Kills between the two files, at every step, and the next start.
#[test]
fn a_kill_between_history_and_list_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (event(1, Severity::Info), event(2, Severity::Warning));
    let (mut writer, _) = open(dir.path());
    writer
        .append(&[(Change::Opened, first.clone())], at(1))
        .unwrap();
    drop(writer);
    let (mut writer, found) = open(dir.path());
    assert_eq!(found, list(&[&first]));
    writer.replace(found, at(2), Durability::Synced).unwrap();
    let worse = event(1, Severity::Critical);
    let changes = [
        (Change::Updated, worse.clone()),
        (Change::Opened, second.clone()),
    ];
    writer.append(&changes, at(3)).unwrap();
    drop(writer);
    let (mut writer, found) = open(dir.path());
    assert_eq!(found, list(&[&worse, &second]));
    writer
        .append(&[(Change::Resolved, resolved(&worse, 4))], at(4))
        .unwrap();
    drop(writer);
    let (writer, found) = open(dir.path());
    assert_eq!(found, list(&[&second]));
    writer.replace(found, at(5), Durability::Synced).unwrap();
    for _ in 0..3 {
        assert_eq!(open(dir.path()).1, list(&[&second]));
    }
    let told = FindingFiles::new(dir.path())
        .resolved(everything(), 9)
        .unwrap();
    assert_eq!(told.events.len(), 1);
}

#[test]
fn without_a_list_the_history_tells_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path());
    let (first, second) = (event(1, Severity::Info), event(2, Severity::Warning));
    let changes = [
        (Change::Opened, first.clone()),
        (Change::Opened, second.clone()),
        (Change::Resolved, resolved(&first, 3)),
    ];
    writer.append(&changes, at(3)).unwrap();
    writer
        .replace(vec![second.clone()], at(3), Durability::Synced)
        .unwrap();
    let path = dir.path().join(NAME);
    let whole = fs::read_to_string(&path).unwrap();
    for bad in [
        whole.replace("\"version\":1", "\"version\":9"),
        whole.replace("\"warning\"", "\"grave\""),
        whole.replace("bmc.unresponsive", "BMC"),
        whole.chars().take(whole.len() / 2).collect(),
    ] {
        assert_ne!(bad, whole);
        fs::write(&path, bad).unwrap();
        let error = FindingFiles::new(dir.path()).open().unwrap_err();
        assert!(error.to_string().contains(NAME), "{error}");
        let (_, found) = FindingWriter::open(dir.path(), NODE).unwrap();
        assert_eq!(found.open, list(&[&second]));
        assert!(found.trouble.is_some());
    }
    // another node's folder was copied here
    let (_, found) = FindingWriter::open(dir.path(), NodeId::from_bytes([8; 16])).unwrap();
    assert!(found.open.is_empty());
}
