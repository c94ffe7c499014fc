use glasshouse_core::failure::FailureReason;

use super::*;

fn fact(component: &str, value: &str) -> Fact {
    Fact {
        component: Untrusted::new(component),
        key: "key".to_owned(),
        value: Untrusted::new(value),
    }
}

fn status(name: &str, state: CollectorState) -> CollectorStatus {
    CollectorStatus {
        name: name.to_owned(),
        interval: Duration::from_secs(1),
        state,
        detail: Untrusted::default(),
        last_run: Timestamp::default(),
        duration: Duration::ZERO,
        series: 0,
        failures: 0,
    }
}

fn sheet(dir: &Path) -> Sheet {
    Sheet::load(dir, NodeId::from_bytes([1; 16]), Untrusted::new("host"))
}

const NOW: Timestamp = Timestamp::from_nanos(1);
const LONG: Duration = Duration::from_secs(3600);

fn facts_in(dir: &Path) -> Vec<Fact> {
    InventoryFile::new(dir).inventory().unwrap().facts.clone()
}

#[test]
fn facts_outlive_a_restart_until_they_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = sheet(dir.path());
    before.facts(
        "a".to_owned(),
        vec![fact("cpu/0", "old"), fact("cpu/1", "old")],
    );
    before.write(dir.path(), LinkStatus::default(), NOW);
    let mut after = sheet(dir.path());
    after.facts("a".to_owned(), vec![fact("cpu/0", "new")]);
    after.write(dir.path(), LinkStatus::default(), NOW);
    assert_eq!(
        facts_in(dir.path()),
        [fact("cpu/0", "new"), fact("cpu/1", "old")]
    );
    // another node's inventory, from a disk that was moved, says nothing about this one
    let other = Sheet::load(
        dir.path(),
        NodeId::from_bytes([2; 16]),
        Untrusted::new("host"),
    );
    assert!(other.earlier.is_empty() && other.statuses.is_empty());
}

#[test]
fn a_collector_that_was_switched_off_takes_its_facts_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut sheet = sheet(dir.path());
    sheet.facts("a".to_owned(), vec![fact("a", "1")]);
    sheet.facts("b".to_owned(), vec![fact("b", "1")]);
    sheet.statuses(vec![
        status("b", CollectorState::Failed(FailureReason::Io)),
        status("a", CollectorState::Disabled),
    ]);
    sheet.write(dir.path(), LinkStatus::default(), NOW);
    assert_eq!(facts_in(dir.path()), [fact("b", "1")]);
}

#[test]
fn only_a_change_or_age_is_worth_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut sheet = sheet(dir.path());
    let written = |sheet: &mut Sheet, at_least| {
        let path = dir.path().join("current.json");
        drop(std::fs::remove_file(&path));
        sheet.write_due(dir.path(), LinkStatus::default(), NOW, at_least);
        path.exists()
    };
    assert!(written(&mut sheet, LONG), "the first");
    assert!(!written(&mut sheet, LONG));
    assert!(written(&mut sheet, Duration::ZERO), "it is old");
    sheet.statuses(vec![status("a", CollectorState::Good)]);
    assert!(written(&mut sheet, LONG), "a new collector");
    let mut later = status("a", CollectorState::Good);
    later.last_run = NOW;
    sheet.statuses(vec![later]);
    assert!(!written(&mut sheet, LONG), "it only ran again");
    sheet.facts("a".to_owned(), vec![fact("a", "1")]);
    assert!(written(&mut sheet, LONG), "a new fact");
    sheet.facts("a".to_owned(), vec![fact("a", "1")]);
    assert!(!written(&mut sheet, LONG));
    sheet.touch();
    assert!(written(&mut sheet, LONG), "the link");
}

#[test]
fn only_what_lasts_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut sheet = sheet(dir.path());
    assert!(sheet.unsynced, "the first");
    let mut lasts = |change: fn(&mut Sheet)| {
        sheet.write(dir.path(), LinkStatus::default(), NOW);
        assert!(!sheet.unsynced && !sheet.changed);
        change(&mut sheet);
        sheet.unsynced
    };
    assert!(!lasts(|_| {}), "the age of the file");
    assert!(!lasts(Sheet::touch), "the link");
    assert!(!lasts(
        |sheet| sheet.own(status(OWN_COLLECTOR, CollectorState::Good))
    ));
    assert!(lasts(
        |sheet| sheet.statuses(vec![status("a", CollectorState::Good)])
    ));
    assert!(lasts(
        |sheet| sheet.facts("a".to_owned(), vec![fact("a", "1")])
    ));
    assert!(!lasts(
        |sheet| sheet.facts("a".to_owned(), vec![fact("a", "1")])
    ));
    assert!(lasts(
        |sheet| sheet.facts("a".to_owned(), vec![fact("a", "2")])
    ));
    // until the disk has taken it
    std::fs::create_dir(dir.path().join("current.json.tmp")).unwrap();
    sheet.write(dir.path(), LinkStatus::default(), NOW);
    assert!(sheet.unsynced && !sheet.changed);
}

#[test]
fn the_probe_does_not_speak_for_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = sheet(dir.path());
    before.own(status(OWN_COLLECTOR, CollectorState::Good));
    before.statuses(vec![
        status("z", CollectorState::Good),
        status(OWN_COLLECTOR, CollectorState::Disabled),
        status("a", CollectorState::Good),
    ]);
    before.write(dir.path(), LinkStatus::default(), NOW);
    let names = || -> Vec<String> {
        let inventory = InventoryFile::new(dir.path()).inventory().unwrap();
        assert!(
            !inventory
                .collectors
                .iter()
                .any(|status| status.state == CollectorState::Disabled)
        );
        inventory
            .collectors
            .iter()
            .map(|status| status.name.clone())
            .collect()
    };
    assert_eq!(names(), ["a", OWN_COLLECTOR, "z"]);
    // and what the node said of itself before it starts anew is not the probe's either
    sheet(dir.path()).write(dir.path(), LinkStatus::default(), NOW);
    assert_eq!(names(), ["a", "z"]);
}

#[test]
fn as_many_facts_as_there_may_be_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let many = |value: &str| -> Vec<Fact> {
        let facts = (0..MOST_FACTS / 2).map(|n| fact(&format!("disk/{n:05}"), value));
        facts.collect()
    };
    let mut before = sheet(dir.path());
    before.facts("a".to_owned(), many("old"));
    before.write(dir.path(), LinkStatus::default(), NOW);
    let mut after = sheet(dir.path());
    after.facts("a".to_owned(), many("new"));
    after.write(dir.path(), LinkStatus::default(), NOW);
    assert!(facts_in(dir.path()) == many("new"));
}
