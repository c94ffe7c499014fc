use glasshouse_core::failure::FailureReason;

use super::*;

const NODE: NodeId = NodeId::from_bytes([7; 16]);
const GRACE: Duration = Duration::from_secs(90);

/// When, in seconds.
fn at(seconds: u64) -> Moment {
    Moment {
        wall: Timestamp::from_seconds(1_700_000_000 + i64::try_from(seconds).unwrap()),
        boot: BootTime::from_nanos((seconds + 1000) * 1_000_000_000),
    }
}

fn condition(cause: &str, component: &str, severity: Severity) -> Condition {
    Condition {
        cause: cause.to_owned(),
        severity,
        component: Untrusted::new(component),
        detail: Untrusted::new("no answer for 31 s\u{1b}[2J"),
    }
}

fn bmc() -> Condition {
    condition("bmc.unresponsive", "bmc", Severity::Warning)
}

fn status(state: CollectorState, last_run: Moment) -> CollectorStatus {
    CollectorStatus {
        name: "ipmi".to_owned(),
        interval: Duration::from_secs(30),
        state,
        detail: Untrusted::default(),
        last_run: last_run.wall,
        duration: Duration::ZERO,
        series: 1,
        failures: 0,
    }
}

fn good(last_run: u64) -> [CollectorStatus; 1] {
    [status(CollectorState::Good, at(last_run))]
}

/// A life in which the first run of the probe began at second 0.
fn life() -> Life {
    let mut life = Life::new(NODE, GRACE, Vec::new());
    life.enter(1, at(0));
    life
}

/// What happened since the last call.
fn happened(life: &mut Life) -> Vec<(Change, String)> {
    let told = life
        .changes()
        .iter()
        .map(|(change, event)| (*change, event.finding.cause.clone()))
        .collect();
    life.noted();
    told
}

fn opened() -> Vec<(Change, String)> {
    vec![(Change::Opened, "bmc.unresponsive".to_owned())]
}

fn resolved() -> Vec<(Change, String)> {
    vec![(Change::Resolved, "bmc.unresponsive".to_owned())]
}

#[test]
fn a_condition_is_an_event_until_it_is_no_longer_stated_and_then_another_one() {
    let mut life = life();
    life.conditions("ipmi", &[bmc()], &good(5), at(5));
    assert_eq!(happened(&mut life), opened());
    let first = life.open().remove(0);
    assert!(first.finding.next_step.contains("BMC"));
    for second in 6..20 {
        life.conditions("ipmi", &[bmc()], &good(second), at(second));
    }
    assert_eq!(happened(&mut life), []);
    let again = life.open().remove(0);
    assert_eq!((again.id, again.finding.first_seen), (first.id, at(5).wall));
    assert_eq!(again.finding.last_seen, at(19).wall);
    // another collector says nothing about this one
    life.conditions("redfish", &[], &good(20), at(20));
    assert!(!life.is_calm());
    life.conditions("ipmi", &[], &good(20), at(20));
    assert_eq!(life.changes()[0].1.resolved, Some(at(20).wall));
    assert_eq!(happened(&mut life), resolved());
    life.conditions("ipmi", &[bmc()], &good(21), at(21));
    assert_ne!(life.open()[0].id, first.id);
    // the same onset is the same event, wherever it is made
    let mut other = Life::new(NODE, GRACE, Vec::new());
    other.enter(9, at(0));
    other.conditions("ipmi", &[bmc()], &good(5), at(5));
    assert_eq!(other.open()[0].id, first.id);
}

#[test]
fn components_and_causes_have_lives_of_their_own() {
    let mut life = life();
    let gpu = |n: &str| condition("gpu.lost", n, Severity::Critical);
    let all = [bmc(), gpu("gpu/0"), gpu("gpu/1")];
    life.conditions("gpu", &all, &[], at(1));
    assert_eq!(life.open().len(), 3);
    life.conditions("gpu", &all[..2], &[], at(2));
    let open = life.open();
    let left: Vec<&str> = open
        .iter()
        .map(|event| event.finding.component.raw())
        .collect();
    assert_eq!(left, ["bmc", "gpu/0"]);
}

#[test]
fn a_restart_of_the_probe_is_no_recovery() {
    let mut life = life();
    life.conditions("ipmi", &[bmc()], &good(5), at(5));
    let id = life.open()[0].id;
    happened(&mut life);
    // the collector needs a while until it knows again
    life.enter(2, at(100));
    life.conditions("ipmi", &[], &good(101), at(101));
    life.settle(&good(101), at(101));
    assert_eq!(happened(&mut life), []);
    life.conditions("ipmi", &[bmc()], &good(160), at(160));
    assert_eq!((life.open()[0].id, happened(&mut life)), (id, vec![]));
    // now it was stated in this run: its end counts at once
    life.conditions("ipmi", &[], &good(170), at(170));
    assert_eq!(happened(&mut life), resolved());
}

#[test]
fn what_a_new_run_never_states_is_over_after_its_grace() {
    let end = 100 + 90 + 3 * 30;
    // told by an empty list, or by nothing but the collector's runs
    for tells in [true, false] {
        let mut life = life();
        life.conditions("ipmi", &[bmc()], &good(5), at(5));
        happened(&mut life);
        life.enter(2, at(100));
        for second in 101..end {
            if tells {
                life.conditions("ipmi", &[], &good(second), at(second));
            }
            life.settle(&good(second), at(second));
            assert_eq!(happened(&mut life), [], "{second}");
        }
        life.settle(&good(end), at(end));
        assert_eq!(happened(&mut life), resolved(), "{tells}");
    }
}

#[test]
fn a_collector_that_cannot_look_ends_nothing() {
    let later = 100_000;
    let timeout = CollectorState::Failed(FailureReason::Timeout);
    for (statuses, ends) in [
        (vec![status(timeout, at(later))], false),
        // nothing of this run yet: the statuses are those of before
        (vec![status(CollectorState::Good, at(50))], false),
        (vec![status(CollectorState::Good, at(later))], true),
        (vec![status(CollectorState::Disabled, at(later))], true),
        (vec![status(CollectorState::Absent, at(later))], true),
        // it is no longer there at all
        (
            vec![CollectorStatus {
                name: "other".to_owned(),
                ..status(CollectorState::Good, at(later))
            }],
            true,
        ),
        (vec![], false),
    ] {
        let mut life = life();
        life.conditions("ipmi", &[bmc()], &[], at(5));
        life.enter(2, at(100));
        life.settle(&statuses, at(later));
        assert_eq!(life.is_calm(), ends, "{statuses:?}");
    }
}

#[test]
fn an_end_that_got_lost_is_noticed() {
    let mut life = life();
    life.conditions("ipmi", &[bmc()], &good(5), at(5));
    life.settle(&good(400), at(400));
    assert!(!life.is_calm());
    life.settle(&good(500), at(500));
    assert!(life.is_calm());
}

#[test]
fn an_event_survives_the_node() {
    let mut before = life();
    before.conditions("ipmi", &[bmc()], &good(5), at(5));
    let open = before.open();
    let mut life = Life::new(NODE, GRACE, open.clone());
    // no frame yet
    life.settle(&good(5), at(1000));
    life.enter(1, at(1001));
    life.conditions("ipmi", &[], &good(1002), at(1002));
    assert_eq!(life.open(), open);
    life.conditions("ipmi", &[bmc()], &good(1010), at(1010));
    assert_eq!(life.open()[0].id, open[0].id);
    assert_eq!(happened(&mut life), []);
    life.conditions("ipmi", &[], &good(1020), at(1020));
    assert_eq!(happened(&mut life), resolved());
}

#[test]
fn worse_is_told_at_once_and_flapping_once_a_minute() {
    let mut life = life();
    let with = |severity| [condition("bmc.unresponsive", "bmc", severity)];
    life.conditions("ipmi", &with(Severity::Info), &[], at(0));
    happened(&mut life);
    let mut told = Vec::new();
    for second in 1..=120 {
        let severity = if second % 2 == 0 {
            Severity::Info
        } else {
            Severity::Critical
        };
        life.conditions("ipmi", &with(severity), &[], at(second));
        told.extend(
            happened(&mut life)
                .into_iter()
                .map(|(change, _)| (second, change)),
        );
    }
    assert_eq!(told[0], (1, Change::Updated));
    assert!(told.len() <= 5, "{told:?}");
    // one list that says it twice means the worse
    let twice = [
        with(Severity::Warning),
        with(Severity::Critical),
        with(Severity::Info),
    ]
    .concat();
    life.conditions("ipmi", &twice, &[], at(500));
    assert_eq!(life.open()[0].finding.severity, Severity::Critical);
}

#[test]
fn nonsense_and_floods_are_refused_and_counted() {
    let mut life = life();
    let bad = [
        condition("BMC is down\n", "bmc", Severity::Info),
        condition("", "bmc", Severity::Info),
    ];
    life.conditions("ipmi", &bad, &[], at(1));
    assert_eq!((life.refused(), life.is_calm()), (2, true));
    for collector in 0..20 {
        let many: Vec<Condition> = (0..128)
            .map(|n| condition("gpu.lost", &n.to_string(), Severity::Info))
            .collect();
        life.conditions(&format!("c{collector}"), &many, &[], at(2));
    }
    assert_eq!(life.open().len(), MOST_OPEN);
    assert_eq!(
        life.refused(),
        2 + 20 * 128 - u64::try_from(MOST_OPEN).unwrap()
    );
    // a disk that takes nothing
    for second in 3..20 {
        let all = [bmc()];
        let stated = if second % 2 == 0 { &all[..] } else { &[] };
        for collector in 0..20 {
            life.conditions(&format!("c{collector}"), stated, &[], at(second));
        }
    }
    assert!(life.changes().len() <= MOST_CHANGES);
}

#[test]
fn a_collector_that_swaps_its_conditions_does_not_fill_the_history() {
    let mut life = life();
    let list = |second: u64| -> Vec<Condition> {
        let names = (0..128).map(|n| format!("gpu/{}", second * 128 + n));
        names
            .map(|name| condition("gpu.lost", &name, Severity::Critical))
            .collect()
    };
    let mut begun = 0;
    for second in 1..=600 {
        life.conditions("gpu", &list(second), &[], at(second));
        let all = happened(&mut life);
        begun += all.iter().filter(|one| one.0 == Change::Opened).count();
    }
    assert!((128..160).contains(&begun), "{begun}");
    assert!(life.refused() > 600 * 128 - 200);
    // others do not suffer, and what goes on being stated is opened in time
    life.conditions("ipmi", &[bmc()], &[], at(600));
    assert_eq!(happened(&mut life), opened());
    for second in 601..700 {
        life.conditions("gpu", &list(601)[..3], &[], at(second));
    }
    let of_gpu = |event: &&Event| event.finding.source == "gpu";
    assert_eq!(life.open().iter().filter(of_gpu).count(), 3);
    // names without number take no memory
    for n in 0..2 * MOST_SOURCES {
        life.conditions(&format!("c{n}"), &[bmc()], &[], at(700));
    }
    assert_eq!(life.budgets.len(), MOST_SOURCES);
}

#[test]
fn two_collectors_that_say_the_same_make_two_events() {
    let mut life = life();
    for collector in ["ipmi", "redfish"] {
        life.conditions(collector, &[bmc()], &[], at(5));
    }
    let open = life.open();
    assert_eq!(open.len(), 2);
    assert_ne!(open[0].id, open[1].id);
}

#[test]
fn what_the_node_says_itself_needs_no_probe() {
    let mut life = Life::new(NODE, GRACE, Vec::new());
    let silent = || Stated {
        cause: "probe.silent".to_owned(),
        severity: Severity::Critical,
        component: Untrusted::new("probe"),
        detail: Untrusted::new("nothing came"),
        evidence: Vec::new(),
    };
    life.own(Some(silent()), at(30));
    life.own(Some(silent()), at(31));
    assert_eq!(life.open().len(), 1);
    life.enter(1, at(32));
    life.settle(&good(5000), at(5000));
    assert!(!life.is_calm(), "the node alone ends it");
    life.own(None, at(5001));
    assert!(life.is_calm());
    assert_eq!(life.changes().len(), 2);
}

/// A cause without a step leaves whoever is woken by it alone; a step without a cause is a slip in one of the two lists.
#[test]
fn every_cause_has_a_next_step() {
    let causes: Vec<&str> = NEXT_STEPS.iter().map(|(cause, _)| *cause).collect();
    assert_eq!(causes, glasshouse_core::condition::CAUSES);
    for (cause, step) in NEXT_STEPS {
        assert!(step.len() > 40 && step.ends_with('.'), "{cause}: {step}");
    }
}
