//! Critical events, and calls that do not come back in time.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::compliance::Recording;

use crate::fake::{Fake, run};

/// Runs until events came; a machine under load may need a while.
fn entries(fake: &Fake, wanted: usize) -> (Vec<LogEntry>, Recording) {
    let mut collector = fake.collector("nvidia_gpu");
    let mut entries = Vec::new();
    let begun = Instant::now();
    loop {
        let mut recording = run("nvidia_gpu", collector.as_mut());
        entries.append(&mut recording.entries);
        if entries.len() >= wanted {
            return (entries, recording);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{entries:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn xid_79_is_told_once_and_counted() {
    let fake = Fake::new();
    fake.say_besides("xid.1 1 79\nxid.2 0 31\nxid.3 1 79");
    let (entries, recording) = entries(&fake, 3);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.code.raw(), entry.component.raw(), entry.severity))
        .collect();
    assert_eq!(
        told,
        [
            ("xid.79", "gpu/0000:65:00.0", Severity::Critical),
            ("xid.31", "gpu/0000:17:00.0", Severity::Warning),
            ("xid.79", "gpu/0000:65:00.0", Severity::Critical),
        ]
    );
    for entry in &entries {
        assert_eq!(entry.source, LogSource::Gpu);
        assert!(entry.at.is_some());
    }
    assert!(entries[0].text.raw().contains("fallen off the bus"));
    assert_ne!(entries[0].id, entries[2].id);
    assert_eq!(
        recording.value("hw.gpu.xid", &["0000:65:00.0", "79"]),
        Some(2.0)
    );
    assert_eq!(
        recording.value("hw.gpu.xid", &["0000:17:00.0", "31"]),
        Some(1.0)
    );
}

/// One GPU that cannot raise events, or whose registration fails, keeps no other from it.
#[test]
fn a_gpu_that_refuses_events_keeps_no_other_from_them() {
    for refusal in [
        "gpu0 nvmlDeviceRegisterEvents error 999",
        "gpu0 nvmlDeviceGetSupportedEventTypes 0",
        "gpu0 nvmlDeviceGetHandleByIndex_v2 error 15",
    ] {
        let fake = Fake::new();
        fake.say_besides(&format!("{refusal}\nxid.1 1 48"));
        let (entries, _) = entries(&fake, 1);
        assert_eq!(entries[0].code.raw(), "xid.48", "{refusal}");
        assert_eq!(entries[0].component.raw(), "gpu/0000:65:00.0");
    }
}

#[test]
fn the_thread_ends_with_its_collector() {
    let fake = Fake::new();
    fake.say_besides("xid.1 0 13");
    let (_, _) = entries(&fake, 1);
    // the collector is dropped: the thread frees its set and lets go of the library, which ends it
    let begun = Instant::now();
    while !fake.calls().iter().any(|call| call == "nvmlShutdown") {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{:?}",
            fake.calls()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(fake.calls().iter().any(|call| call == "nvmlEventSetFree"));
}

/// Passes on what is called before it is.
#[derive(Debug)]
struct Announced(Sender<&'static str>);

impl SampleWriter for Announced {
    fn sample(&mut self, _: &'static MetricDefinition, _: &[&str], _: Value) {}
    fn absent(&mut self, _: &'static MetricDefinition, _: &[&str], _: FailureReason) {}
    fn fact(&mut self, _: &'static FactDefinition, _: &str, _: &str) {}
    fn failure(&mut self, _: CollectError) {}
    fn condition(&mut self, _: Condition) {}
    fn log(&mut self, _: LogEntry) {}

    fn calling(&mut self, call: &'static str) {
        self.0.send(call).unwrap();
    }
}

/// A call that does not come back, which no clock decides here: whoever watches the run knows which one it is, and when
/// it does come back, the run goes on with right values.
#[test]
fn a_call_that_stalls_is_named_while_it_does() {
    const STALLED: &str = "nvmlDeviceGetPowerUsage";
    const PATIENCE: Duration = Duration::from_secs(60);
    let fake = Fake::new();
    fake.say_besides(&format!("hold {STALLED} yes"));
    let mut collector = fake.collector("nvidia_gpu");
    let (sender, receiver) = channel();
    let running = std::thread::spawn(move || {
        let outcome = collector.collect(&mut Announced(sender));
        (collector, outcome.is_ok())
    });
    while receiver.recv_timeout(PATIENCE).unwrap() != STALLED {}
    let begun = Instant::now();
    while !fake.calls().iter().any(|call| call == STALLED) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", fake.calls());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(receiver.try_recv().is_err() && !running.is_finished());
    fake.say_besides("");
    let (mut collector, is_good) = running.join().unwrap();
    assert!(is_good);
    let after = run("nvidia_gpu", collector.as_mut());
    let power = ["0000:17:00.0/power", "GPU power", "0000:17:00.0", "gpu"];
    assert_eq!(after.value("hw.power", &power), Some(118.25));
}

/// The same with a clock: the call takes its time, and nothing is lost by it.
#[test]
fn a_slow_call_costs_time_alone() {
    const STALL: Duration = Duration::from_millis(1500);
    let fake = Fake::new();
    let whole = run("nvidia_gpu", fake.collector("nvidia_gpu").as_mut()).text();
    fake.say_besides(&format!(
        "stall nvmlDeviceGetPowerUsage {}",
        STALL.as_millis()
    ));
    let begun = Instant::now();
    let slow = run("nvidia_gpu", fake.collector("nvidia_gpu").as_mut()).text();
    assert!(begun.elapsed() >= STALL * 2, "two GPUs, a call each");
    assert_eq!(slow, whole);
}

/// Whatever the library is asked was announced, in that order, so no call can hang without a name.
#[test]
fn every_call_is_announced_before_it_is_made() {
    let fake = Fake::new();
    for name in ["nvidia_gpu", "nvidia_gpu_health"] {
        let mut collector = fake.collector(name);
        let (sender, receiver) = channel();
        let before = fake.calls().len();
        collector.collect(&mut Announced(sender)).unwrap();
        let mut announced = receiver.try_iter().peekable();
        for call in fake.calls().into_iter().skip(before) {
            // those of the thread that waits for events block nobody; the driver's version is asked while it begins
            // and the session of a dropped collector ends when that thread lets go of it
            let is_aside = call.contains("Event")
                || call == "nvmlShutdown"
                || call == "nvmlSystemGetDriverVersion"
                || call == "nvmlDeviceGetHandleByIndex_v2";
            if is_aside {
                continue;
            }
            let found = announced.any(|name| name == call);
            assert!(found, "{call} was not announced");
        }
    }
}
