//! A BMC that is busy, hangs, forgets sessions, refuses logins or falls silent on its stream.

use std::collections::BTreeMap;
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::options::OptionValue;
use glasshouse_core::sample::Value;
use glasshouse_sim::redfish::{FakeBmc, Fault};
use glasshouse_sysfs::SysRoot;
use glasshouse_sysfs::compliance::Recording;
use serde_json::json;

use super::super::Redfish;
use super::super::timing::Timing;
use super::rig::{PRESSED, Rig, options, table, write_password};
use super::small::{self, LOG, SENSOR};

const IMPATIENT: Timing = Timing {
    deadlines: super::super::client::Deadlines {
        answer: Duration::from_millis(300),
        login: Duration::from_millis(300),
        ..PRESSED.deadlines
    },
    patience: Duration::from_millis(500),
    stop: Duration::from_millis(100),
    ..PRESSED
};

fn rig(timing: Timing) -> Rig {
    Rig::new(
        FakeBmc::serve(small::tree(), None).unwrap(),
        timing,
        |table| table,
    )
}

fn says(recording: &Recording, cause: &str) -> bool {
    recording
        .conditions
        .iter()
        .any(|condition| condition.cause == cause)
}

fn sensor_of(recording: &Recording) -> Option<Result<Value, FailureReason>> {
    let mut samples = recording.samples.iter();
    samples
        .find(|sample| sample.metric.name == "hw.temperature" && sample.labels[0] == SENSOR)
        .map(|sample| sample.value)
}

fn logins(bmc: &FakeBmc) -> usize {
    bmc.scene()
        .seen
        .iter()
        .filter(|seen| seen.method == "POST")
        .count()
}

#[test]
fn a_busy_bmc_is_left_alone_for_as_long_as_it_asks() {
    let mut rig = rig(PRESSED);
    rig.settle();
    rig.bmc
        .scene()
        .faults
        .insert("*".to_owned(), Fault::Busy(3600));
    rig.run_until(|recording, _| !recording.failures.is_empty());
    let asked = rig.bmc.scene().seen.len();
    for _ in 0..5 {
        let recording = rig.run();
        assert_ne!(sensor_of(&recording).map(|value| value.is_ok()), Some(true));
    }
    assert_eq!(rig.bmc.scene().seen.len(), asked);
    // the end of the session is asked for all the same
    rig.bmc.scene().faults.clear();
    let bmc = rig.bmc;
    drop(rig.collector);
    assert_eq!(bmc.scene().sessions.len(), 0);
}

#[test]
fn one_resource_that_hangs_costs_itself() {
    let mut rig = rig(IMPATIENT);
    rig.settle();
    let power = "/redfish/v1/Chassis/Old/Power";
    rig.bmc.scene().faults.insert(power.to_owned(), Fault::Hang);
    rig.run_until(|recording, _| {
        recording
            .failures
            .iter()
            .any(|error| error.path.ends_with("Chassis/Old/Power"))
    });
    for _ in 0..3 {
        let recording = rig.run();
        assert!(
            matches!(sensor_of(&recording), Some(Ok(Value::F64(_)))),
            "{}",
            recording.text()
        );
        assert!(!says(&recording, "bmc.unresponsive"));
    }
}

#[test]
fn one_resource_that_is_never_available_costs_itself() {
    let mut rig = rig(PRESSED);
    rig.settle();
    let power = "/redfish/v1/Chassis/Old/Power";
    rig.bmc
        .scene()
        .faults
        .insert(power.to_owned(), Fault::Status(503));
    for _ in 0..5 {
        let recording = rig.run();
        assert!(
            matches!(sensor_of(&recording), Some(Ok(Value::F64(_)))),
            "{}",
            recording.text()
        );
        assert!(!says(&recording, "bmc.unresponsive"));
    }
}

#[test]
fn a_bmc_that_answers_nothing_but_503_is_unresponsive() {
    let mut rig = rig(IMPATIENT);
    rig.settle();
    rig.bmc
        .scene()
        .faults
        .insert("*".to_owned(), Fault::Status(503));
    let recording = rig.run_until(|recording, _| says(recording, "bmc.unresponsive"));
    assert!(!matches!(sensor_of(&recording), Some(Ok(_))));
    rig.bmc.scene().faults.clear();
    rig.run_until(|recording, _| {
        !says(recording, "bmc.unresponsive") && matches!(sensor_of(recording), Some(Ok(_)))
    });
}

#[test]
fn a_bmc_that_hangs_is_said_to_and_costs_the_others_nothing() {
    let dead = FakeBmc::serve(small::tree(), None).unwrap();
    let live = FakeBmc::serve(small::tree(), None).unwrap();
    let root = tempfile::tempdir().unwrap();
    write_password(root.path());
    let both = vec![
        ("r1".to_owned(), table(dead.address())),
        ("r2".to_owned(), table(live.address())),
    ];
    let mut collector = Redfish::new(SysRoot::new(root.path()), &options(both), IMPATIENT);
    let other = SENSOR.replace("r1/", "r2/");
    let value = |recording: &Recording, id: &str| {
        recording
            .value("hw.temperature", &[id, "Inlet", "r1/Chassis/New"])
            .or_else(|| recording.value("hw.temperature", &[id, "Inlet", "r2/Chassis/New"]))
    };
    for _ in 0..5 {
        Recording::of(&mut collector);
    }
    dead.scene().faults.insert("*".to_owned(), Fault::Hang);
    let mut told = None;
    for run in 0..60 {
        let recording = Recording::of(&mut collector);
        assert!(
            value(&recording, &other).is_some(),
            "run {run}: {}",
            recording.text()
        );
        assert!(
            recording
                .conditions
                .iter()
                .all(|one| one.cause != "bmc.unresponsive" || one.component.raw() == "bmc/r1")
        );
        if says(&recording, "bmc.unresponsive") {
            told = Some(recording);
            break;
        }
    }
    let told = told.expect("unresponsive");
    assert_eq!(sensor_of(&told), Some(Err(FailureReason::Timeout)));
    // it comes back with another value, and no run says the old one
    let mut hotter = dead.scene().documents["/redfish/v1/Chassis/New/Sensors/Inlet"].clone();
    hotter["Reading"] = json!(99.0);
    dead.scene()
        .documents
        .insert("/redfish/v1/Chassis/New/Sensors/Inlet".to_owned(), hotter);
    dead.scene().faults.clear();
    let mut back = false;
    for _ in 0..60 {
        let recording = Recording::of(&mut collector);
        match value(&recording, SENSOR) {
            None => {}
            Some(celsius) => {
                assert!((celsius - 99.0).abs() < 1e-9, "an old value");
                back = true;
            }
        }
        if back && !says(&recording, "bmc.unresponsive") {
            break;
        }
    }
    assert!(back);
    assert_eq!(dead.scene().most_sessions, 1);
    drop(collector);
    assert_eq!(
        (dead.scene().sessions.len(), live.scene().sessions.len()),
        (0, 0)
    );
}

#[test]
fn a_bmc_that_was_never_there_is_unresponsive() {
    let gone = FakeBmc::serve(BTreeMap::new(), None).unwrap();
    gone.scene().faults.insert("*".to_owned(), Fault::Hang);
    let mut rig = Rig::new(gone, IMPATIENT, |table| table);
    rig.run_until(|recording, _| says(recording, "bmc.unresponsive"));
}

#[test]
fn a_forgotten_session_is_made_again_once() {
    let mut rig = rig(PRESSED);
    rig.settle();
    rig.bmc.restart();
    let recording = rig.run();
    assert!(
        sensor_of(&recording).is_some_and(|value| value.is_ok()),
        "{}",
        recording.text()
    );
    let sessions = {
        let scene = rig.bmc.scene();
        (scene.made_sessions, scene.most_sessions)
    };
    assert_eq!(sessions, (2, 1));
    let bmc = rig.bmc;
    drop(rig.collector);
    assert_eq!(bmc.scene().sessions.len(), 0);
}

#[test]
fn one_resource_that_is_refused_costs_no_sessions() {
    let mut rig = rig(PRESSED);
    let path = "/redfish/v1/Chassis/Old/Thermal".to_owned();
    rig.bmc.scene().faults.insert(path, Fault::Status(401));
    let told = rig.settle();
    assert!(told.value("hw.temperature", SENSOR).is_some());
    let (made, most) = {
        let scene = rig.bmc.scene();
        (scene.made_sessions, scene.most_sessions)
    };
    assert!(made <= 2 && most == 1, "{made} made, {most} at once");
}

/// Ends that were asked for.
fn endings(bmc: &FakeBmc) -> usize {
    let scene = bmc.scene();
    let ends = scene.seen.iter().filter(|seen| seen.method == "DELETE");
    ends.count()
}

fn refuse_to_end(bmc: &FakeBmc) {
    for number in 1..50 {
        let session = format!("/redfish/v1/SessionService/Sessions/{number}");
        bmc.scene().faults.insert(session, Fault::Status(401));
    }
}

#[test]
fn no_session_is_made_while_the_last_one_may_stand() {
    let slow = Timing {
        deadlines: super::super::client::Deadlines {
            login_pause: Duration::from_hours(1),
            ..PRESSED.deadlines
        },
        ..PRESSED
    };
    let mut rig = rig(slow);
    rig.settle();
    refuse_to_end(&rig.bmc);
    let refused = "/redfish/v1/Chassis/Old/Thermal".to_owned();
    rig.bmc.scene().faults.insert(refused, Fault::Status(401));
    rig.run_until(|_, bmc| endings(bmc) > 0);
    for _ in 0..10 {
        let recording = rig.run();
        let told = sensor_of(&recording);
        assert!(matches!(told, Some(Ok(_))), "{}", recording.text());
    }
    assert_eq!((endings(&rig.bmc), rig.bmc.scene().made_sessions), (1, 1));
}

#[test]
fn a_session_that_never_ends_is_given_up_in_time() {
    let mut rig = rig(PRESSED);
    rig.settle();
    refuse_to_end(&rig.bmc);
    // the BMC started again, and takes no password to end a session
    rig.bmc.restart();
    let recording = rig.run_until(|recording, bmc| {
        bmc.scene().made_sessions > 1 && matches!(sensor_of(recording), Some(Ok(_)))
    });
    assert!(!says(&recording, "bmc.login_refused"));
    assert_eq!(endings(&rig.bmc), 7);
}

#[test]
fn a_session_that_only_its_document_names_is_ended() {
    let mut rig = rig(PRESSED);
    rig.bmc.scene().locates = false;
    let told = rig.settle();
    assert!(told.value("hw.temperature", SENSOR).is_some());
    let bmc = rig.bmc;
    drop(rig.collector);
    let scene = bmc.scene();
    assert_eq!((scene.made_sessions, scene.sessions.len()), (1, 0));
}

#[test]
fn a_bmc_without_sessions_is_asked_with_the_password() {
    let mut rig = rig(PRESSED);
    rig.bmc.scene().has_sessions = false;
    let told = rig.settle();
    assert!(told.value("hw.temperature", SENSOR).is_some());
    assert_eq!(logins(&rig.bmc), 1);
    rig.assert_allowed();
}

#[test]
fn without_a_session_none_is_made() {
    let bmc = FakeBmc::serve(small::tree(), None).unwrap();
    let mut rig = Rig::new(bmc, PRESSED, |table| {
        table.with("session", OptionValue::Bool(false))
    });
    let told = rig.settle();
    assert!(told.value("hw.temperature", SENSOR).is_some());
    assert_eq!((logins(&rig.bmc), rig.bmc.scene().made_sessions), (0, 0));
}

#[test]
fn a_refused_login_is_told_and_not_hammered() {
    let slow = Timing {
        deadlines: super::super::client::Deadlines {
            login_pause: Duration::from_hours(1),
            ..PRESSED.deadlines
        },
        ..PRESSED
    };
    let bmc = FakeBmc::serve(small::tree(), None).unwrap();
    let mut rig = Rig::new(bmc, slow, |table| {
        table.with("username", OptionValue::Text("nobody".to_owned()))
    });
    for _ in 0..5 {
        let recording = rig.run();
        assert!(says(&recording, "bmc.login_refused"));
        assert!(!says(&recording, "bmc.unresponsive"));
    }
    assert_eq!(logins(&rig.bmc), 1);
}

#[test]
fn the_budget_holds_whatever_is_due() {
    let hour = Timing {
        deadlines: super::super::client::Deadlines {
            minute: Duration::from_hours(1),
            ..PRESSED.deadlines
        },
        ..PRESSED
    };
    let bmc = FakeBmc::serve(small::tree(), None).unwrap();
    let mut rig = Rig::new(bmc, hour, |table| {
        table.with("requests_per_minute", OptionValue::Integer(10))
    });
    for _ in 0..10 {
        rig.run();
    }
    assert_eq!(rig.bmc.scene().seen.len(), 10);
    let recording = rig.run();
    assert!(!says(&recording, "bmc.unresponsive"));
    let bmc = rig.bmc;
    drop(rig.collector);
    assert_eq!(
        bmc.scene().sessions.len(),
        0,
        "the session is ended beyond the budget"
    );
}

#[test]
fn events_arrive_by_the_stream_and_are_told_once() {
    let mut rig = rig(PRESSED);
    rig.settle();
    rig.run_until(|_, bmc| bmc.scene().streams > 0);
    let event = json!({"Events": [{
        "EventId": "4711", "MessageId": "Alert.1.0.Hot", "Message": "It is hot", "Severity": "Warning",
        "LogEntry": {"@odata.id": format!("{LOG}/77")},
    }]});
    assert_eq!(rig.bmc.send(&event), 1);
    let recording = rig.run_until(|recording, _| !recording.entries.is_empty());
    assert_eq!(recording.entries[0].id.raw(), "77");
    assert_eq!(recording.entries[0].code.raw(), "Alert.1.0.Hot");
    let streaming =
        rig.run_until(|recording, _| recording.value("hw.bmc.event.source", &["r1"]).is_some());
    assert_eq!(streaming.value("hw.bmc.event.source", &["r1"]), Some(1.0));
    rig.assert_allowed();
}

#[test]
fn a_stream_that_misses_what_polling_finds_is_closed() {
    let hour = Timing {
        stream_pause: Duration::from_hours(1),
        ..PRESSED
    };
    let mut rig = rig(hour);
    rig.bmc.scene().deaf = true;
    rig.settle();
    rig.run_until(|_, bmc| bmc.scene().streams > 0);
    small::add_entry(&rig.bmc, "501");
    let recording = rig.run_until(|recording, _| !recording.entries.is_empty());
    assert_eq!(recording.entries[0].id.raw(), "501");
    for number in 502..505 {
        small::add_entry(&rig.bmc, &number.to_string());
        let recording = rig.run_until(|recording, _| !recording.entries.is_empty());
        assert_eq!(recording.entries.len(), 1);
    }
    assert_eq!(rig.bmc.scene().streams, 1);
    let recording =
        rig.run_until(|recording, _| recording.value("hw.bmc.event.source", &["r1"]).is_some());
    assert_eq!(recording.value("hw.bmc.event.source", &["r1"]), Some(0.0));
}

#[test]
fn a_stream_that_floods_is_closed_and_polling_goes_on() {
    let hour = Timing {
        stream_pause: Duration::from_hours(1),
        ..PRESSED
    };
    let mut rig = rig(hour);
    rig.settle();
    rig.run_until(|_, bmc| bmc.scene().streams > 0);
    let flood = json!({"Events": [], "Padding": "x".repeat(500_000)});
    // nobody hears it any more: the stream was closed
    rig.run_until(|_, bmc| bmc.send(&flood) == 0);
    small::add_entry(&rig.bmc, "601");
    let recording = rig.run_until(|recording, _| !recording.entries.is_empty());
    assert_eq!(recording.entries[0].id.raw(), "601");
    assert_eq!(rig.bmc.scene().streams, 1);
}

#[test]
fn a_silent_stream_is_closed_by_the_watchdog() {
    let jumpy = Timing {
        stream_silence: Duration::ZERO,
        ..PRESSED
    };
    let mut rig = rig(jumpy);
    rig.bmc.scene().deaf = true;
    rig.run_until(|_, bmc| bmc.scene().streams > 2);
}
