//! What arrives, and in what order, whatever happens.

use std::collections::BTreeSet;
use std::time::Duration;

use glasshouse_core::condition::Severity;
use glasshouse_core::sample::Value;
use glasshouse_store::Retention;

use super::super::answer::Answer;
use super::super::sender::Next;
use super::super::stated;
use super::super::totals::Failed;
use super::receiver::Arrived;
use super::world::{S, START, World, info};

/// Everything that was written arrived, twice at most.
fn nothing_is_missing(world: &World) {
    let mut arrived = world.arrived();
    for (key, samples) in &mut arrived {
        assert!(samples.len() <= 2 * world.written[key].len());
        samples.sort_by_key(|(millis, _)| *millis);
        samples.dedup();
    }
    assert_same(&arrived, &world.written);
}

/// Both are the same; tells where they are not, in a line a series.
fn assert_same(arrived: &Arrived, written: &Arrived) {
    let mut trouble = Vec::new();
    let keys: BTreeSet<&String> = arrived.keys().chain(written.keys()).collect();
    let none = Vec::new();
    for key in keys {
        let (one, other) = (
            arrived.get(key).unwrap_or(&none),
            written.get(key).unwrap_or(&none),
        );
        if one != other {
            let missing: Vec<i64> = other
                .iter()
                .filter(|sample| !one.contains(sample))
                .map(|(millis, _)| (millis - START / 1_000_000) / 1000)
                .collect();
            let (arrived, written) = (one.len(), other.len());
            let ends = (missing.first(), missing.last());
            trouble.push(format!(
                "{key}: {arrived} of {written}, {} missing in {ends:?}",
                missing.len()
            ));
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}

fn ends(arrived: &Arrived, key: &str) -> Vec<i64> {
    let ends = arrived[key].iter().filter(|(_, value)| value.is_nan());
    ends.map(|(millis, _)| (millis - START / 1_000_000) / 1000)
        .collect()
}

#[test]
fn what_the_store_takes_arrives_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.run(1500);
    world.settle();
    assert_same(&world.arrived(), &world.written);
    let state = world.receiver.state();
    assert!(state.largest <= 500);
    assert!(state.requests < 400, "{}", state.requests);
    for family in ["disk_io_bytes", "hw_status", "slow_bytes"] {
        let said = state.families.iter().filter(|name| *name == family);
        assert_eq!(
            said.count(),
            3,
            "{family}, at the start and each ten minutes"
        );
    }
    let sent: usize = state.arrived.values().map(Vec::len).sum();
    assert_eq!(world.totals.of("samples", ""), u64::try_from(sent).unwrap());
}

#[test]
fn a_receiver_that_is_away_for_hours_gets_everything_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.run(100);
    world.receiver.is_in_the_mood(|_| {
        Some(Answer::Later {
            why: Failed::Network,
            after: None,
            text: "connection refused".to_owned(),
        })
    });
    let before = world.receiver.state().requests;
    world.run(3 * 3600);
    let asked = world.receiver.state().requests - before;
    assert!((3 * 3600 / 31..3 * 3600 / 20).contains(&asked), "{asked}");
    assert!(world.totals.lag(world.moment().wall) > Duration::from_secs(10_000));
    assert_eq!(world.totals.trouble(), "connection refused");
    world.receiver.is_in_the_mood(|_| None);
    world.run(100);
    world.settle();
    assert_same(&world.arrived(), &world.written);
    assert_eq!(world.totals.trouble(), "");
}

#[test]
fn a_receiver_that_asks_for_patience_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.run(30);
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(429, Some(Duration::from_secs(120)), "")));
    let before = world.receiver.state().requests;
    world.run(600);
    assert!(world.receiver.state().requests - before <= 6);
    assert!(world.totals.of("failures", "throttled") > 3);
    world.receiver.is_in_the_mood(|_| None);
    world.run(130);
    world.settle();
    assert_same(&world.arrived(), &world.written);
}

#[test]
fn a_node_that_is_killed_loses_nothing_at_a_receiver_that_takes_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    for round in 0..25 {
        world.run(47 + round * 13);
        if round % 3 == 0 {
            world.open_store();
        }
        world.maintain();
        world.open_sender();
    }
    world.settle();
    nothing_is_missing(&world);
}

#[test]
fn a_request_that_was_taken_and_not_answered_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    for round in 0..12 {
        world.run(103 + round);
        // it takes what it gets, but nobody hears of that; then the node is killed
        world.receiver.state().is_mute = true;
        world.run(11);
        assert!(!world.totals.trouble().is_empty());
        world.receiver.state().is_mute = false;
        world.open_store();
        world.maintain();
        world.open_sender();
        world.run(20);
        world.settle();
        nothing_is_missing(&world);
    }
    assert!(world.totals.of("samples_dropped", "out_of_order") > 0);
}

#[test]
fn one_series_that_is_refused_does_not_cost_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.receiver.is_in_the_mood(|request| {
        let is_bad = |(labels, _): &(Vec<(String, String)>, _)| {
            labels.iter().any(|(_, value)| value == "d3")
        };
        let bad = request.series.iter().any(is_bad);
        bad.then(|| Answer::of(400, None, "label value too long"))
    });
    world.run(300);
    world.settle();
    let mut expected = world.written.clone();
    let refused = expected.remove("disk_io_bytes{device=d3}").unwrap();
    assert_same(&world.arrived(), &expected);
    let refused = u64::try_from(refused.len()).unwrap();
    assert_eq!(world.totals.of("samples_dropped", "refused"), refused);
}

#[test]
fn a_receiver_that_refuses_everything_is_not_asked_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(400, None, "no")));
    world.run(1000);
    let requests = world.receiver.state().requests;
    // twice the divisions that a thousand seconds allow
    assert!(requests < 2 * (256 + 1000 + 200), "{requests}");
    assert!(world.totals.of("samples_dropped", "refused") > 100);
    world.receiver.is_in_the_mood(|_| None);
    world.run(50);
    world.settle();
    assert!(world.totals.lag(world.moment().wall).is_zero());
}

#[test]
fn a_wrong_secret_or_path_costs_nothing_but_time() {
    for status in [401, 403, 404, 405, 408, 410, 425] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(dir.path());
        world
            .receiver
            .is_in_the_mood(move |_| Some(Answer::of(status, None, "who?")));
        world.run(1000);
        assert!(world.receiver.state().requests <= 50, "{status}");
        assert!(world.totals.trouble().contains(&status.to_string()));
        assert!(world.totals.refusal(world.moment().boot).is_none());
        world.receiver.is_in_the_mood(|_| None);
        world.run(10);
        world.settle();
        assert_same(&world.arrived(), &world.written);
    }
}

#[test]
fn refused_samples_make_an_event_that_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let stated = |world: &World| stated(&world.totals, false, world.moment());
    world.run(60);
    assert!(stated(&world).is_empty());
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(400, None, "out of order sample")));
    world.run(60);
    let known = stated(&world);
    assert_eq!(known[0].cause, "remote_write.refused");
    assert_eq!(known[0].severity, Severity::Info, "it has them");
    assert!(known[0].detail.clean().contains("out of order sample"));
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(422, None, "no")));
    world.run(60);
    assert_eq!(stated(&world)[0].severity, Severity::Warning);
    world.receiver.is_in_the_mood(|_| None);
    world.run(1200);
    assert!(stated(&world).is_empty());
    let ended = super::super::stated(&world.totals, true, world.moment());
    assert_eq!(ended[0].cause, "remote_write.stopped");
}

#[test]
fn a_store_that_cannot_be_read_is_not_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.run(60);
    world.settle();
    let (store, away) = (dir.path().join("store"), dir.path().join("away"));
    std::fs::rename(&store, &away).unwrap();
    for _ in 0..60 {
        world.now += 10;
        world.send();
    }
    assert!(world.totals.lag(world.moment().wall) >= Duration::from_secs(600));
    let stated = stated(&world.totals, false, world.moment());
    assert_eq!(stated[0].cause, "remote_write.behind");
    assert!(stated[0].detail.clean().contains("store"));
    std::fs::rename(&away, &store).unwrap();
    world.settle();
    assert_eq!(world.totals.trouble(), "");
    assert_same(&world.arrived(), &world.written);
}

#[test]
fn a_request_that_is_too_large_is_cut_until_it_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.receiver.is_in_the_mood(|request| {
        let samples = request.series.iter().map(|(_, samples)| samples.len());
        (samples.sum::<usize>() > 20).then(|| Answer::of(413, None, ""))
    });
    world.run(1000);
    world.settle();
    assert_same(&world.arrived(), &world.written);
    // found out twice in a thousand seconds, and remembered meanwhile
    let taken = world.totals.of("requests", "");
    let asked = u64::try_from(world.receiver.state().requests).unwrap();
    assert!(asked - taken < 40, "{asked} {taken}");
}

#[test]
fn of_two_series_that_would_be_one_the_samples_of_the_second_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    for second in 1..=50 {
        world.now = second;
        let value = Some(Value::U64(second.unsigned_abs()));
        world.row("one", &[(info("same.name", "one", &[]), value)]);
        world.row("two", &[(info("same_name", "two", &[]), value)]);
        world.maintain();
        world.send();
    }
    world.settle();
    assert_eq!(world.arrived()["same_name_bytes{}"].len(), 50);
    assert_eq!(world.totals.of("samples_dropped", "ambiguous"), 50);
}

#[test]
fn one_sample_that_is_too_large_is_dropped_and_counted_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(413, None, "")));
    world.run(1000);
    let dropped = world.totals.of("samples_dropped", "too_large");
    assert!((900..1300).contains(&dropped), "{dropped}");
    world.receiver.is_in_the_mood(|_| None);
    world.settle();
    let count = |all: &Arrived| all.values().map(Vec::len).sum::<usize>();
    let missing = count(&world.written) - count(&world.arrived());
    let dropped = world.totals.of("samples_dropped", "too_large");
    assert_eq!(u64::try_from(missing).unwrap(), dropped);
}

#[test]
fn the_position_is_written_when_it_changed_and_not_for_each_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.run(60);
    world.settle();
    let position = dir.path().join("remote-write/position");
    std::fs::remove_file(&position).unwrap();
    for _ in 0..100 {
        world.now += 1;
        world.send();
    }
    assert!(!position.exists(), "it is where it was");
    world.run(60);
    assert!(position.exists());
}

#[test]
fn what_retention_takes_is_looked_for_while_the_receiver_wants_patience() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(503, Some(Duration::from_secs(900)), "")));
    world.run(1);
    let mut longest = Duration::ZERO;
    for _ in 0..600 {
        world.now += 1;
        let now = world.moment();
        if let Next::Wait(span) = world.sender.as_mut().unwrap().step(now) {
            longest = longest.max(span);
        }
    }
    assert_eq!(longest, Duration::from_secs(60));
    assert_eq!(world.receiver.state().requests, 1);
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_ends_no_series() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.receiver.state().is_strict = false;
    world.run(305);
    world.start -= 3600 * S;
    world.run(300);
    world.settle();
    let state = world.receiver.state();
    for (key, samples) in &state.arrived {
        let ends = samples.iter().filter(|(_, value)| value.is_nan());
        // of one that is silent at the end nothing is known here
        assert_eq!(ends.count(), 0, "{key}");
    }
}

#[test]
fn what_is_too_old_for_the_receiver_is_counted_and_the_rest_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.run(60);
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(503, None, "")));
    world.run(3 * 3600);
    // it hears from other nodes: what is older than an hour is too old
    {
        let mut state = world.receiver.state();
        state.mood = Box::new(|_| None);
        state.window = Some(3_600_000);
        state.hears_of((START / 1_000_000_000 + world.now) * 1000);
    }
    let before = world.receiver.state().requests;
    world.run(30);
    world.settle();
    let requests = world.receiver.state().requests - before;
    // some 160 that are good, and a dozen for each file that is too old
    assert!(requests < 800, "{requests}");
    let arrived = world.arrived();
    let new_enough = (START / 1_000_000_000 + 60 + 3 * 3600 - 3600) * 1000;
    let (mut wanted, mut found) = (0, 0);
    for (key, written) in &world.written {
        let new = written.iter().filter(|(millis, _)| *millis >= new_enough);
        for sample in new {
            wanted += 1;
            found += usize::from(arrived[key].contains(sample));
        }
    }
    assert!(wanted - found < wanted / 20, "{found} of {wanted}");
    let count = |all: &Arrived| all.values().map(Vec::len).sum::<usize>();
    let missing = u64::try_from(count(&world.written) - count(&arrived)).unwrap();
    let dropped = ["too_old", "out_of_order"].map(|why| world.totals.of("samples_dropped", why));
    // ends of series are samples too
    assert!(
        dropped[0] >= missing && dropped[1] == 0,
        "{missing} {dropped:?}"
    );
}

#[test]
fn what_retention_takes_first_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.settings.retention = Retention {
        raw: Duration::from_secs(3600),
        minute: Duration::from_secs(3600),
        hour: Duration::from_secs(3600),
        ..Retention::default()
    };
    world.open_store();
    world.open_sender();
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(503, None, "")));
    world.run(4 * 3600);
    world.receiver.is_in_the_mood(|_| None);
    world.run(60);
    world.settle();
    let count = |all: &Arrived| -> usize {
        let numbers = all.iter().filter(|(key, _)| !key.starts_with("hw_status"));
        numbers.map(|(_, samples)| samples.len()).sum()
    };
    let missing = count(&world.written) - count(&world.arrived());
    let missing = u64::try_from(missing).unwrap();
    let expired = world.totals.of("samples_dropped", "expired");
    // of each state the store has one sample, which is two when it arrives
    let others = ["out_of_order", "refused", "damaged"];
    assert_eq!(
        others.map(|why| world.totals.of("samples_dropped", why)),
        [0; 3]
    );
    assert!(
        missing > 10_000 && expired >= missing,
        "{missing} {expired}"
    );
    assert!(expired < missing * 6 / 5 + 1000, "{missing} {expired}");
}

#[test]
fn the_end_of_a_series_arrives_before_what_comes_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let device = |name: &str| info("disk.io", "disk", &[("device", name)]);
    for second in 1..=400 {
        world.now = second;
        let value = Some(Value::U64(second.unsigned_abs()));
        let mut samples = vec![(device("a"), value)];
        // gone between 20 and 60, absent between 100 and 130, gone for good at 200
        if !(20..60).contains(&second) && second < 200 {
            let value = value.filter(|_| !(100..130).contains(&second));
            samples.push((device("b"), value));
        }
        // its collector is silent from 50 on
        if second < 50 {
            world.row("other", &[(info("other", "other", &[]), value)]);
        }
        world.row("disk", &samples);
        world.maintain();
        world.send();
    }
    world.settle();
    assert_same(&world.arrived(), &world.written);
    let state = world.receiver.state();
    assert!(ends(&state.arrived, "disk_io_bytes{device=a}").is_empty());
    assert_eq!(
        ends(&state.arrived, "disk_io_bytes{device=b}"),
        [22, 100, 202]
    );
    assert_eq!(ends(&state.arrived, "other_bytes{}"), [52]);
    for samples in state.arrived.values() {
        assert!(samples.is_sorted_by(|one, next| one.0 < next.0));
    }
}

#[test]
fn what_is_sealed_says_the_same_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world
        .receiver
        .is_in_the_mood(|_| Some(Answer::of(503, None, "")));
    let device = |name: &str| info("disk.io", "disk", &[("device", name)]);
    for second in 1..=1500 {
        world.now = second;
        let value = Some(Value::U64(second.unsigned_abs()));
        let mut samples = vec![(device("a"), value)];
        if !(20..60).contains(&second) && second < 200 {
            samples.push((device("b"), value));
        }
        world.row("disk", &samples);
        world.maintain();
        world.send();
    }
    world.receiver.is_in_the_mood(|_| None);
    world.now += 60;
    world.settle();
    assert_same(&world.arrived(), &world.written);
    let state = world.receiver.state();
    assert_eq!(ends(&state.arrived, "disk_io_bytes{device=b}"), [22, 202]);
}

#[test]
fn a_clock_that_is_set_back_costs_only_what_the_receiver_does_not_take() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.receiver.state().is_strict = true;
    world.run(100);
    world.now -= 50;
    world.written = Arrived::new();
    world.run(60);
    world.settle();
    let newest = world.arrived()["slow_bytes{}"].last().copied();
    assert_eq!(newest, world.written["slow_bytes{}"].last().copied());
    assert!(world.totals.of("samples_dropped", "out_of_order") > 0);
    for samples in world.receiver.state().arrived.values() {
        assert!(samples.is_sorted_by(|one, next| one.0 <= next.0));
    }
}
