use glasshouse_core::condition::Severity;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::log::LogSource;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Moment, Timestamp};

use super::*;
use crate::board::Place;
use crate::queue::Next;
use crate::settings::Tempo;
use crate::testing::{ELSEWHERE, METRICS, planned};

const SECOND: Duration = Duration::from_secs(1);

struct Rig {
    relay: Relay,
    queue: Arc<Queue>,
    slot: Arc<Slot>,
}

impl Rig {
    fn new() -> Self {
        let queue = Arc::new(Queue::new(1000));
        let place = Place::new(&ELSEWHERE, SECOND, &Tempo::default());
        let slot = Arc::new(Slot::new(place, CollectorState::Absent));
        let mut relay = Relay::new(&queue);
        relay.add(
            planned(&ELSEWHERE),
            SECOND,
            Arc::clone(&slot),
            Numbers::new(),
        );
        Self { relay, queue, slot }
    }

    fn sent(&self) -> Vec<Message> {
        let mut all = Vec::new();
        while let Next::Payload(payload) = self.queue.next() {
            all.push(Message::decode(&payload).unwrap());
        }
        all
    }
}

fn definition(number: u32, collector: &str, metric: &str, labels: &[(&str, &str)]) -> Message {
    let metric_definition = &METRICS[0];
    Message::Define(vec![SeriesDefinition {
        number,
        info: SeriesInfo {
            metric: metric.to_owned(),
            unit: "1".to_owned(),
            kind: metric_definition.kind,
            states: Vec::new(),
            help: String::new(),
            labels: Labels::new(labels.iter().copied()),
            collector: collector.to_owned(),
            interval: SECOND,
            audience: metric_definition.audience,
        },
    }])
}

fn batch(collector: &str, at: Moment, number: u32, value: Value) -> Message {
    Message::Batch(Batch {
        collector: collector.to_owned(),
        at,
        samples: vec![(number, Some(value), Quality::Good)],
    })
}

fn status(state: CollectorState, last_run: i64) -> Message {
    Message::Status(vec![CollectorStatus {
        name: "elsewhere".to_owned(),
        interval: SECOND,
        state,
        detail: Untrusted::new("said by the worker"),
        last_run: Timestamp::from_seconds(last_run),
        duration: SECOND,
        series: 1,
        failures: 1,
    }])
}

#[test]
fn a_worker_speaks_for_its_own_collectors_and_declared_metrics_only() {
    let mut rig = Rig::new();
    let now = SystemClock.moment();
    for forged in [
        definition(1, "counts", "test.whole", &[]),
        definition(1, "elsewhere", "system.cpu.time", &[]),
        definition(1, "elsewhere", "test.whole", &[("hostname", "x")]),
        definition(
            1,
            "elsewhere",
            "test.whole",
            &[("a", "second without first")],
        ),
        batch("counts", now, 1, Value::U64(1)),
        batch("elsewhere", now, 1, Value::U64(1)),
        Message::Facts {
            collector: "counts".to_owned(),
            facts: Vec::new(),
        },
        Message::Log {
            collector: "counts".to_owned(),
            entries: Vec::new(),
        },
        Message::Conditions {
            collector: "counts".to_owned(),
            conditions: Vec::new(),
        },
    ] {
        assert!(!rig.relay.take(forged.clone()), "{forged:?}");
    }
    assert_eq!(rig.sent(), [], "nothing of that goes on");
    assert_eq!(rig.slot.counts().unwrap().refused, 1);
}

#[test]
fn values_of_another_type_or_time_are_refused() {
    let mut rig = Rig::new();
    let now = SystemClock.moment();
    let ago = |seconds| Moment {
        wall: now.wall.before(SECOND * seconds),
        ..now
    };
    let by_boot = |boot| Moment { boot, ..now };
    for forged in [
        BootTime::default(),
        BootTime::from_nanos(u64::MAX),
        BootTime::from_nanos(now.boot.nanos() + 60_000_000_000),
    ] {
        let forged = batch("elsewhere", by_boot(forged), 9, Value::U64(1));
        assert!(!rig.relay.take(forged.clone()), "{forged:?}");
    }
    let soon = Moment {
        wall: now.wall.after(SECOND * 60),
        ..now
    };
    assert!(
        rig.relay
            .take(definition(9, "elsewhere", "test.whole", &[("b", "x")]))
    );
    assert!(
        !rig.relay
            .take(batch("elsewhere", ago(3600), 9, Value::U64(1)))
    );
    assert!(!rig.relay.take(batch("elsewhere", soon, 9, Value::U64(1))));
    assert!(!rig.relay.take(batch("elsewhere", now, 9, Value::F64(1.0))));
    assert!(!rig.relay.take(batch("elsewhere", now, 9, Value::State(1))));
    assert!(
        rig.sent()
            .iter()
            .all(|message| !matches!(message, Message::Batch(_)))
    );
    assert!(rig.relay.take(batch("elsewhere", ago(2), 9, Value::U64(1))));
    assert!(
        rig.sent()
            .iter()
            .any(|message| matches!(message, Message::Batch(_)))
    );
}

#[test]
fn a_series_keeps_its_number_over_restarts_of_the_worker() {
    let mut rig = Rig::new();
    let mut numbers = Vec::new();
    for theirs in [3, 900_000] {
        rig.relay.restart();
        rig.relay
            .take(definition(theirs, "elsewhere", "test.whole", &[("b", "x")]));
        rig.relay.take(batch(
            "elsewhere",
            SystemClock.moment(),
            theirs,
            Value::U64(1),
        ));
        numbers.extend(rig.sent().into_iter().filter_map(|message| match message {
            Message::Batch(batch) => Some(batch.samples[0].0),
            _ => None,
        }));
    }
    assert_eq!(numbers, [1, 1]);
}

#[test]
fn batches_and_entries_beyond_the_pace_are_dropped_and_counted() {
    let mut rig = Rig::new();
    rig.relay
        .take(definition(1, "elsewhere", "test.whole", &[("b", "x")]));
    for _ in 0..100 {
        rig.relay
            .take(batch("elsewhere", SystemClock.moment(), 1, Value::U64(1)));
    }
    let batches = |sent: &[Message]| {
        let all = sent.iter();
        all.filter(|message| matches!(message, Message::Batch(_)))
            .count()
    };
    assert!(batches(&rig.sent()) <= 8);
    assert!(rig.slot.counts().unwrap().refused >= 92);
    let entry = LogEntry {
        source: LogSource::Gpu,
        origin: Untrusted::default(),
        id: Untrusted::default(),
        at: None,
        severity: Severity::Info,
        code: Untrusted::default(),
        component: Untrusted::default(),
        text: Untrusted::default(),
        raw: Vec::new(),
    };
    for _ in 0..400 {
        rig.relay.take(Message::Log {
            collector: "elsewhere".to_owned(),
            entries: vec![entry.clone(); 64],
        });
    }
    assert!(rig.relay.log_dropped > 10_000, "{}", rig.relay.log_dropped);
}

fn log_entry(source: LogSource) -> LogEntry {
    LogEntry {
        source,
        origin: Untrusted::new("kmsg"),
        id: Untrusted::new("0123:9"),
        at: None,
        severity: Severity::Critical,
        code: Untrusted::new("xid.79"),
        component: Untrusted::default(),
        text: Untrusted::new("GPU has fallen off the bus"),
        raw: Vec::new(),
    }
}

fn wrong(cause: &str, component: &str) -> Condition {
    Condition {
        cause: cause.to_owned(),
        severity: Severity::Critical,
        component: Untrusted::new(component),
        detail: Untrusted::default(),
    }
}

fn conditions(conditions: Vec<Condition>) -> Message {
    Message::Conditions {
        collector: "elsewhere".to_owned(),
        conditions,
    }
}

#[test]
fn entries_of_a_log_that_the_collector_does_not_read_are_refused_and_counted() {
    let mut rig = Rig::new();
    let log = |entries| Message::Log {
        collector: "elsewhere".to_owned(),
        entries,
    };
    let forged = vec![log_entry(LogSource::Gpu), log_entry(LogSource::Kernel)];
    assert!(!rig.relay.take(log(forged)));
    assert_eq!((rig.sent(), rig.relay.log_dropped), (Vec::new(), 2));
    assert!(rig.relay.take(log(vec![log_entry(LogSource::Gpu)])));
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn causes_that_are_not_the_collectors_are_refused_and_counted() {
    let mut rig = Rig::new();
    let forged = [
        "kernel.tasks_stuck",
        "probe.silent",
        "no_code",
        "gpu.reset_required",
    ];
    let own = ["collector.stalled", "gpu.driver_wedged", "gpu.lost"];
    let said = forged.iter().chain(&own).map(|cause| wrong(cause, "x"));
    assert!(!rig.relay.take(conditions(said.collect())));
    assert_eq!(rig.slot.counts().unwrap().refused, 4);
    let passed = rig.slot.take_conditions(Instant::now()).unwrap();
    let passed: Vec<&str> = passed.iter().map(|one| &*one.cause).collect();
    assert_eq!(passed, own);
    assert!(rig.relay.take(conditions(vec![wrong("gpu.lost", "x")])));
}

#[test]
fn conditions_that_swap_too_fast_are_coalesced_and_the_last_list_holds() {
    let mut rig = Rig::new();
    let list = |name: &str| conditions(vec![wrong("gpu.lost", name)]);
    let mut changes = 0;
    for swap in 0..100 {
        assert!(rig.relay.take(list(&swap.to_string())));
        changes += usize::from(rig.slot.take_conditions(Instant::now()).is_some());
    }
    assert!(changes < 12, "{changes}");
    assert!(rig.slot.counts().unwrap().refused > 85);
    // time goes by
    rig.relay.collectors[0].condition_allowance = Allowance::new(1.0, 0.0);
    rig.relay.take(Message::Status(Vec::new()));
    let now = rig.slot.take_conditions(Instant::now()).unwrap();
    assert_eq!(now, [wrong("gpu.lost", "99")]);
    // what is said again is no change
    for _ in 0..100 {
        assert!(rig.relay.take(list("99")));
    }
    assert!(rig.relay.collectors[0].waiting.is_none());
}

#[test]
fn a_worker_begins_anew_a_few_times_a_minute() {
    let mut rig = Rig::new();
    let restarts = (0..100).filter(|_| rig.relay.may_restart()).count();
    assert!((4..8).contains(&restarts), "{restarts}");
}

#[test]
fn three_missed_deadlines_of_three_workers_are_a_condition_and_a_good_run_ends_it() {
    let mut rig = Rig::new();
    let timeout = CollectorState::Failed(FailureReason::Timeout);
    let now = Instant::now();
    rig.relay.take(status(CollectorState::Good, 5));
    for miss in 1..=3 {
        rig.relay.restart();
        // it has not run yet, and then its first run hangs
        rig.relay.take(status(CollectorState::Absent, 0));
        rig.relay.take(status(timeout, 0));
        rig.relay.take(status(timeout, 0));
        rig.slot.unheard(FailureReason::Io, "ended");
        assert_eq!(rig.slot.status().state, timeout);
        let conditions = rig.slot.take_conditions(now);
        assert_eq!(conditions.is_some(), miss == 3, "{miss}");
        if let Some(conditions) = conditions {
            assert_eq!(conditions[0].cause, "gpu.driver_wedged");
            assert_eq!(conditions[0].component.raw(), "gpu");
            assert!(conditions[0].detail.raw().contains("said by the worker"));
        }
    }
    rig.relay.restart();
    rig.relay.take(status(CollectorState::Good, 9));
    assert_eq!(rig.slot.take_conditions(now), Some(Vec::new()));
}

#[test]
fn a_worker_cannot_fill_the_table_of_numbers() {
    let mut rig = Rig::new();
    let many = u32::try_from(MOST_SERIES).unwrap() + 100;
    let taken = (1..=many).filter(|number| {
        let label = number.to_string();
        rig.relay.take(definition(
            *number,
            "elsewhere",
            "test.whole",
            &[("b", &label)],
        ))
    });
    assert_eq!(taken.count(), MOST_SERIES);
}
