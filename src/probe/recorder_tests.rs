use std::time::Duration;

use glasshouse_core::condition::Severity;
use glasshouse_core::text::Untrusted;

use super::*;
use crate::testing::{ELSEWHERE, FACTS, METRICS, UNDECLARED, denied};

fn recorder() -> Recorder {
    let owner = Owner {
        collector: "test",
        metrics: &METRICS,
        interval: Duration::from_secs(1),
    };
    Recorder::new(owner, &FACTS, Numbers::new())
}

fn present() -> Ending {
    Ending::Returned(Ok(Presence::Present))
}

fn messages(outgoing: &Outgoing) -> Vec<Message> {
    let payloads = outgoing
        .definitions
        .iter()
        .chain(&outgoing.batch)
        .chain(&outgoing.others);
    payloads
        .map(|payload| Message::decode(payload).unwrap())
        .collect()
}

/// What a collector may state and log is declared as its metrics are.
#[test]
fn conditions_and_entries_that_are_not_the_collectors_are_refused() {
    let condition = |cause: &str| Condition {
        cause: cause.to_owned(),
        severity: Severity::Critical,
        component: Untrusted::new("x"),
        detail: Untrusted::default(),
    };
    let entry = |source| LogEntry {
        source,
        origin: Untrusted::new("kmsg"),
        id: Untrusted::new("1"),
        at: None,
        severity: Severity::Critical,
        code: Untrusted::new("xid.79"),
        component: Untrusted::default(),
        text: Untrusted::default(),
        raw: Vec::new(),
    };
    for (mut out, taken) in [
        (recorder(), 0),
        (recorder().with_voice(Voice::of(&ELSEWHERE)), 1),
    ] {
        out.begin();
        for cause in ["kernel.tasks_stuck", "probe.silent", "gpu.lost"] {
            out.condition(condition(cause));
        }
        for source in [LogSource::Kernel, LogSource::Gpu] {
            out.log(entry(source));
        }
        assert_eq!(out.take_conditions().len(), taken);
        assert_eq!(out.take_log().len(), taken);
        assert_eq!(out.refused(), 5 - 2 * u64::try_from(taken).unwrap());
    }
}

#[test]
fn a_run_says_how_it_ended() {
    use CollectorState::{Absent, Failed, Good, Partial};
    type Write = fn(&mut Recorder);
    let write: Write = |out| out.sample(&METRICS[0], &[], Value::U64(1));
    let fail: Write = |out| out.failure(denied("/sys/x"));
    let both: Write = |out| {
        out.sample(&METRICS[0], &[], Value::U64(1));
        out.failure(denied("/sys/x"));
        out.failure(denied("/sys/y"));
    };
    let nan: Write = |out| out.sample(&METRICS[1], &[], Value::F64(f64::NAN));
    let nothing: Write = |_| {};
    let absent = || Ending::Returned(Ok(Presence::Absent("no device".to_owned())));
    let error = || Ending::Returned(Err(denied("/proc/x")));
    let cases: [(Write, Ending, CollectorState, &str); 9] = [
        (write, present(), Good, ""),
        (nothing, present(), Good, ""),
        (both, present(), Partial(FailureReason::Denied), "/sys/x"),
        (fail, present(), Failed(FailureReason::Denied), "/sys/x"),
        (
            nan,
            present(),
            Partial(FailureReason::Malformed),
            "not finite",
        ),
        (nothing, absent(), Absent, "no device"),
        (write, absent(), Good, ""),
        (write, error(), Failed(FailureReason::Denied), "/proc/x"),
        (
            nothing,
            Ending::Panicked,
            Failed(FailureReason::Io),
            "panicked",
        ),
    ];
    for (act, ending, state, detail) in cases {
        let mut recorder = recorder();
        recorder.begin();
        act(&mut recorder);
        let verdict = recorder.verdict(ending);
        assert_eq!(verdict.state, state);
        assert!(verdict.detail.contains(detail), "{}", verdict.detail);
    }
}

#[test]
fn what_does_not_fit_its_definition_is_counted_and_not_sent() {
    let mut recorder = recorder();
    recorder.begin();
    recorder.sample(&METRICS[0], &[], Value::F64(1.0));
    recorder.sample(&METRICS[1], &[], Value::U64(1));
    recorder.sample(&METRICS[1], &[], Value::F64(f64::INFINITY));
    recorder.sample(&METRICS[2], &[], Value::State(2));
    recorder.sample(&UNDECLARED, &[], Value::U64(1));
    recorder.absent(&METRICS[2], &[], FailureReason::Timeout);
    recorder.sample(&METRICS[2], &[], Value::State(1));
    let verdict = recorder.verdict(present());
    assert_eq!((verdict.refused, verdict.series), (6, 1));
    let readings = recorder.readings();
    assert_eq!(readings.len(), 1);
    assert_eq!(readings[0].1, None);
    assert_eq!(readings[0].2, Quality::Absent(FailureReason::Timeout));
}

#[test]
fn definitions_precede_their_batch_and_come_once_more() {
    let mut recorder = recorder();
    let mut run = |repeat, value: f64| {
        recorder.begin();
        recorder.sample(&METRICS[1], &["x"], Value::F64(value));
        let outgoing = recorder.payloads(Moment::default(), CollectorState::Good, repeat);
        recorder.sent();
        messages(&outgoing)
    };
    let first = run(Repeat::Due, 1.0);
    assert!(
        matches!(&first[..], [Message::Define(_), Message::Batch(_)]),
        "{first:?}"
    );
    let later = run(Repeat::Later, 2.0);
    assert!(
        matches!(&later[..], [Message::Batch(_)]),
        "no room to repeat: {later:?}"
    );
    let again = run(Repeat::Due, 3.0);
    assert!(
        matches!(&again[..], [Message::Batch(_), Message::Define(_)]),
        "{again:?}"
    );
    let Message::Batch(batch) = &again[0] else {
        unreachable!()
    };
    assert_eq!(batch.samples, [(1, Some(Value::F64(3.0)), Quality::Good)]);
}

#[test]
fn definitions_that_the_queue_refused_are_new_again() {
    let mut recorder = recorder();
    for _ in 0..2 {
        recorder.begin();
        recorder.sample(&METRICS[1], &["x"], Value::F64(1.0));
        let state = CollectorState::Good;
        let outgoing = recorder.payloads(Moment::default(), state, Repeat::Due);
        assert_eq!(outgoing.definitions.len(), 1);
    }
}

#[test]
fn facts_are_sent_on_change_and_once_a_period_and_never_of_a_failed_run() {
    let mut recorder = recorder();
    let mut sent = Vec::new();
    for run in 0..200 {
        recorder.begin();
        let failed = run == 10;
        if !failed {
            let value = if run < 20 { "old" } else { "new" };
            recorder.fact(&FACTS[0], "test", value);
        }
        let state = if failed {
            CollectorState::Failed(FailureReason::Io)
        } else {
            CollectorState::Good
        };
        let outgoing = recorder.payloads(Moment::default(), state, Repeat::Due);
        if let [Message::Facts { facts, .. }] = &messages(&outgoing)[..] {
            sent.push((run, facts[0].value.raw().to_owned()));
        }
    }
    let want = [(0, "old"), (20, "new"), (80, "new"), (140, "new")];
    assert_eq!(sent, want.map(|(run, value)| (run, value.to_owned())));
}

#[test]
fn many_long_definitions_still_fit_their_frames() {
    let mut recorder = recorder();
    recorder.begin();
    for n in 0..2000 {
        let label = format!("{n}{}", "x".repeat(500));
        recorder.sample(&METRICS[0], &[&label, &label], Value::U64(n));
    }
    let outgoing = recorder.payloads(Moment::default(), CollectorState::Good, Repeat::Due);
    let longest = outgoing.definitions.iter().map(Vec::len).max().unwrap();
    assert!(longest < glasshouse_wire::MOST_PAYLOAD, "{longest}");
    assert_eq!(messages(&outgoing).len(), outgoing.definitions.len() + 1);
}
