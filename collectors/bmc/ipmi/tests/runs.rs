//! Whole runs over a BMC in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::collector::{CollectorSpec, Presence};
use glasshouse_core::condition::Severity;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::log::LogEntry;
use glasshouse_core::sample::Value;
use glasshouse_sim::ipmi::ANALOG;
use glasshouse_sysfs::compliance::{Recording, definition_violations};

use super::Hand;
use super::fake::{Fake, power};
use crate::ipmi::bmc::Bmc;
use crate::ipmi::place::Place;
use crate::ipmi::request::ALLOWED;

const PERIOD: Duration = Duration::from_secs(30);

struct Bench {
    clock: Hand,
    fake: Fake,
    bmc: Bmc,
}

impl Bench {
    fn new() -> Self {
        Self::at(Place::own())
    }

    fn at(place: Place) -> Self {
        let clock = Hand::default();
        let fake = Fake::new(clock.clone());
        let bmc = Bmc::new(
            place,
            Box::new(fake.clone()),
            Arc::new(clock.clone()),
            Duration::from_secs(5),
        );
        Self { clock, fake, bmc }
    }

    /// A run, and the rest of its period.
    fn run(&mut self) -> Recording {
        let begun = self.seconds();
        let mut recording = Recording::empty();
        recording.outcome = self.bmc.run(&mut recording);
        let took = Duration::from_secs_f64(self.seconds() - begun);
        self.clock.move_by(PERIOD.saturating_sub(took));
        recording
    }

    fn seconds(&self) -> f64 {
        use glasshouse_core::time::Clock as _;
        Duration::from_nanos(self.clock.moment().boot.nanos()).as_secs_f64()
    }
}

fn ids(entries: &[LogEntry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| entry.id.raw().to_owned())
        .collect()
}

/// A SEL record of the memory sensor.
fn event(id: u16, offset: u8) -> [u8; 16] {
    let [low, high] = id.to_le_bytes();
    [
        low, high, 2, 0x10, 0x32, 0x54, 0x66, 0x20, 0, 4, 0x0c, 0x16, 0x6f, offset, 0xff, 0xff,
    ]
}

#[test]
fn the_collectors_are_described_as_all_are() {
    for spec in crate::COLLECTORS
        .iter()
        .filter(|spec| spec.name().starts_with("ipmi"))
    {
        assert_eq!(definition_violations(*spec), Vec::<String>::new());
        assert_eq!(spec.hang_cause(), "bmc.unresponsive");
        let tree = tempfile::tempdir().unwrap();
        let recording = glasshouse_sysfs::compliance::record(*spec, tree.path());
        assert!(
            matches!(recording.outcome, Ok(Presence::Absent(_))),
            "{recording:?}"
        );
    }
}

#[test]
fn a_run_says_everything_that_the_bmc_has() {
    let mut bench = Bench::new();
    let first = bench.run();
    assert_eq!(first.outcome.as_ref().unwrap(), &Presence::Present);
    assert!(first.failures.is_empty(), "{:?}", first.failures);
    let inlet = ["ipmi/20.0.01/Inlet Temp", "Inlet Temp", "air_inlet/1"];
    assert_eq!(first.value("hw.temperature", &inlet), Some(24.0));
    let exhaust = [
        "ipmi/20.0.03/Exhaust Temp",
        "Exhaust Temp",
        "system_board/1",
    ];
    assert_eq!(first.value("hw.temperature", &exhaust), Some(-10.0));
    let limit = |word| {
        first.value(
            "hw.temperature.limit",
            &[exhaust[0], exhaust[1], exhaust[2], word],
        )
    };
    assert_eq!(limit("low.critical"), Some(-30.0));
    assert_eq!(limit("high.critical"), Some(75.0));
    assert_eq!(limit("high.degraded"), None);
    let volts = ["ipmi/20.0.07/12V", "12V", "system_board/1"];
    assert_eq!(first.value("hw.voltage", &volts), Some(12.06));
    let state = |word| {
        let labels = [
            "ipmi/20.0.14/PSU1 Status",
            "PSU1 Status",
            "power_supply/1",
            "power_supply",
            word,
        ];
        first.value("hw.sensor.state", &labels)
    };
    assert_eq!(state("presence_detected"), Some(1.0));
    assert_eq!(state("input_lost"), Some(0.0));
    assert_eq!(state("inactive"), None);
    assert_eq!(first.value("hw.host.power", &["dcmi"]), Some(412.0));
    assert_eq!(first.value("hw.host.power", &["psu_sum"]), None);
    assert_eq!(
        first.value(
            "hw.power.limit",
            &["ipmi/dcmi", "DCMI power limit", "bmc", "cap"]
        ),
        Some(800.0)
    );
    let chassis = ["ipmi/chassis", "Chassis", "bmc", "enclosure", "power_on"];
    assert_eq!(first.value("hw.sensor.state", &chassis), Some(1.0));
    let offset = first.value("hw.bmc.clock.offset", &["ipmi"]).unwrap();
    assert!((offset - 90.0).abs() < 1.0, "{offset}");
    let facts: BTreeSet<String> = first
        .facts
        .iter()
        .map(|(fact, component, value)| format!("{component} {} {value}", fact.key))
        .collect();
    for fact in [
        "bmc hw.firmware_version 9.08",
        "bmc hw.bmc.ipmi.version 2.0",
        "bmc hw.bmc.self_test passed",
        "fru/system hw.vendor Glassworks",
        "fru/system hw.model GW-2000",
        "fru/system hw.part_number PN-300",
    ] {
        assert!(facts.contains(fact), "{fact} is not in {facts:#?}");
    }
    assert!(facts.iter().all(|fact| !fact.contains("SERIAL")));
}

#[test]
fn one_series_is_written_once_and_as_it_is_declared() {
    let mut bench = Bench::new();
    // a repository that has a record twice
    let again = bench.fake.now().records[3].clone();
    bench.fake.now().records.push(again);
    let recording = bench.run();
    let names: Vec<String> = recording
        .samples
        .iter()
        .map(|sample| sample.name())
        .collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    let declared = crate::ipmi::IPMI.metrics();
    for sample in &recording.samples {
        assert!(
            declared
                .iter()
                .any(|metric| std::ptr::eq(metric, sample.metric))
        );
        assert!(
            sample.labels.len() <= sample.metric.labels.len(),
            "{}",
            sample.name()
        );
        assert!(sample.labels.iter().all(|label| !label.is_empty()));
    }
}

#[test]
fn a_bmc_over_the_network_speaks_for_this_machine_where_it_is_told_to() {
    let mut bench = Bench::at(Place::named("mine"));
    bench.bmc.speak_for_this_machine(true);
    let power = |recording: &Recording| recording.value("hw.host.power", &["dcmi"]);
    assert_eq!(power(&bench.run()), Some(412.0));
    // the machine's own way to it came up: one series has one writer
    bench.bmc.speak_for_this_machine(false);
    assert_eq!(power(&bench.run()), None);
}

#[test]
fn another_machines_bmc_shares_no_series_with_this_machines() {
    let names = |place: Place| -> BTreeSet<String> {
        let recording = Bench::at(place).run();
        recording
            .samples
            .iter()
            .map(|sample| sample.name())
            .collect()
    };
    let own = names(Place::own());
    let other = names(Place::named("rack7-3"));
    assert_eq!(own.intersection(&other).count(), 0);
    assert!(own.iter().any(|name| name.starts_with("hw.host.power{")));
    assert!(!other.iter().any(|name| name.starts_with("hw.host.power{")));
    assert!(
        other
            .iter()
            .any(|name| name.contains("hw.power{hw.id=\"bmc/rack7-3/ipmi/dcmi\""))
    );
}

#[test]
fn records_are_read_in_parts_where_a_bmc_gives_no_more_at_once() {
    let whole = Bench::new().run().series();
    for most_bytes in [5, 8, 16, 22] {
        let mut bench = Bench::new();
        bench.fake.now().most_bytes = most_bytes;
        bench.fake.now().cancels = Some(40);
        assert_eq!(bench.run().series(), whole, "{most_bytes} bytes at once");
    }
}

#[test]
fn records_are_read_again_only_when_they_changed() {
    let mut bench = Bench::new();
    bench.run();
    let before = bench.fake.now().requests;
    bench.run();
    let second = bench.fake.now().requests - before;
    assert!(
        second < 50,
        "{second} requests in a run that knows the records"
    );
    bench.fake.now().records.pop();
    bench.fake.now().added += 1;
    let third = bench.run();
    let redundancy = third
        .samples
        .iter()
        .filter(|sample| sample.labels.iter().any(|label| label == "PSU Redundancy"));
    assert_eq!(redundancy.count(), 0);
}

#[test]
fn device_sdrs_are_read_where_there_is_no_repository() {
    let mut bench = Bench::new();
    bench.fake.now().is_device = true;
    let recording = bench.run();
    assert!(recording.failures.is_empty(), "{:?}", recording.failures);
    let fan = ["ipmi/20.0.05/Fan1", "Fan1", "fan/1"];
    assert_eq!(recording.value("hw.fan.speed", &fan), Some(7500.0));
}

#[test]
fn a_sensor_without_a_reading_is_absent_and_never_zero() {
    let mut bench = Bench::new();
    bench.run();
    bench.fake.now().readings.insert(1, vec![0, 0xe0, 0]);
    bench.fake.now().readings.insert(5, vec![0, 0x80, 0]);
    bench.fake.now().readings.remove(&6);
    bench.fake.now().readings.insert(0x14, vec![0, 0xe0]);
    let recording = bench.run();
    for (metric, id) in [
        ("hw.temperature", "ipmi/20.0.01/Inlet Temp"),
        ("hw.fan.speed", "ipmi/20.0.05/Fan1"),
        ("hw.fan.speed", "ipmi/20.0.06/Fan2"),
        ("hw.sensor.state", "ipmi/20.0.14/PSU1 Status"),
    ] {
        let mut samples = recording
            .samples
            .iter()
            .filter(|sample| sample.metric.name == metric && sample.labels[0] == id)
            .peekable();
        assert!(samples.peek().is_some(), "{id}");
        assert!(
            samples.all(|sample| sample.value == Err(FailureReason::Missing)),
            "{id}"
        );
    }
    assert!(recording.failures.is_empty(), "{:?}", recording.failures);
}

#[test]
fn a_sensor_that_is_not_linear_is_asked_for_its_factors() {
    let mut bench = Bench::new();
    // the linearization of the first record
    bench.fake.now().records[0][23] = 0x70;
    let recording = bench.run();
    let inlet = ["ipmi/20.0.01/Inlet Temp", "Inlet Temp", "air_inlet/1"];
    // the fake's factors have M equal to the reading
    assert_eq!(recording.value("hw.temperature", &inlet), Some(24.0 * 24.0));
}

#[test]
fn the_sum_of_the_supplies_stands_in_where_there_is_no_dcmi() {
    let mut bench = Bench::new();
    bench.fake.now().power = None;
    let recording = bench.run();
    assert_eq!(
        recording.value("hw.host.power", &["psu_sum"]),
        Some(f64::from(40 * 8 + 38 * 8))
    );
    assert_eq!(recording.value("hw.host.power", &["dcmi"]), None);
    assert!(recording.failures.is_empty(), "{:?}", recording.failures);
    // one supply of two does not say what it draws
    bench.fake.now().readings.insert(11, vec![0, 0xe0, 0]);
    assert_eq!(bench.run().value("hw.host.power", &["psu_sum"]), None);
}

#[test]
fn a_dcmi_that_says_zero_says_nothing() {
    let mut bench = Bench::new();
    bench.fake.now().power = Some(power(0));
    let recording = bench.run();
    assert_eq!(recording.value("hw.host.power", &["dcmi"]), None);
    assert!(recording.value("hw.host.power", &["psu_sum"]).is_some());
}

#[test]
fn a_sum_that_the_kernel_makes_is_left_to_it() {
    let mut bench = Bench::new();
    bench.fake.now().power = None;
    bench.bmc.leave_sum_to_others(true);
    assert_eq!(bench.run().value("hw.host.power", &["psu_sum"]), None);
}

#[test]
fn the_log_is_read_on_from_where_it_was_left() {
    let mut bench = Bench::new();
    bench.fake.now().log = vec![event(1, 0), event(2, 1)];
    let first = bench.run();
    assert_eq!(ids(&first.entries), ["0001", "0002"]);
    let entry = &first.entries[1];
    assert_eq!(entry.code.raw(), "0Ch/01");
    assert_eq!(entry.severity, Severity::Critical);
    assert_eq!(entry.component.raw(), "Memory ECC");
    assert!(
        entry.text.raw().contains("uncorrectable ecc asserted"),
        "{:?}",
        entry.text
    );
    assert_eq!(entry.at.unwrap().seconds(), 0x6654_3210);
    assert_eq!(entry.raw, event(2, 1));
    assert!(bench.run().entries.is_empty());
    bench.fake.now().log.push(event(7, 5));
    assert_eq!(ids(&bench.run().entries), ["0007"]);
    // the oldest goes where a full log goes in a ring
    bench.fake.now().log.remove(0);
    bench.fake.now().log.push(event(8, 0));
    assert_eq!(ids(&bench.run().entries), ["0008"]);
}

#[test]
fn a_log_that_was_cleared_is_read_from_its_start() {
    let mut bench = Bench::new();
    bench.fake.now().log = vec![event(1, 0), event(2, 1)];
    bench.run();
    bench.fake.now().log = vec![event(1, 5)];
    bench.fake.now().log_erased += 60;
    assert_eq!(ids(&bench.run().entries), ["0001"]);
    // cleared by a BMC without a clock, and filled with the same numbers
    bench.fake.now().log = vec![event(1, 1), event(2, 0)];
    assert_eq!(ids(&bench.run().entries), ["0001", "0002"]);
    bench.fake.now().log.clear();
    assert!(bench.run().entries.is_empty());
    bench.fake.now().log.push(event(1, 0));
    assert_eq!(ids(&bench.run().entries), ["0001"]);
}

#[test]
fn a_long_log_is_caught_up_over_several_runs() {
    let mut bench = Bench::new();
    bench.fake.now().log = (1..=100).map(|id| event(id, 0)).collect();
    let mut said = Vec::new();
    for _ in 0..3 {
        said.extend(ids(&bench.run().entries));
    }
    let wanted: Vec<String> = (1..=100).map(|id| format!("{id:04x}")).collect();
    assert_eq!(said, wanted);
}

#[test]
fn a_log_that_leads_in_a_ring_ends() {
    let mut bench = Bench::new();
    // its second record has the first one's number
    bench.fake.now().log = vec![event(1, 0), event(1, 1)];
    for _ in 0..3 {
        bench.run();
    }
}

/// A BMC that hangs: no old value is said as new, everything is absent, the condition comes and goes.
#[test]
fn a_bmc_that_hangs_costs_its_own_series_and_comes_back_clean() {
    let mut bench = Bench::new();
    let truth = bench.run().series();
    bench.run();
    bench.fake.now().hangs = true;
    let hung_at = bench.seconds();
    let mut raised = None;
    for _ in 0..20 {
        let recording = bench.run();
        let reason = recording.outcome.as_ref().unwrap_err().reason;
        assert_eq!(reason, FailureReason::Timeout);
        let lying = recording
            .samples
            .iter()
            .find(|sample| sample.value.is_ok() && !sample.metric.name.starts_with("hw.bmc."));
        assert!(lying.is_none(), "{lying:?}");
        let absent = recording
            .samples
            .iter()
            .filter(|sample| sample.value == Err(FailureReason::Timeout));
        assert!(absent.count() > ANALOG.len());
        if let Some(condition) = recording.conditions.first() {
            assert_eq!(condition.cause, "bmc.unresponsive");
            assert_eq!(condition.component.raw(), "bmc");
            raised.get_or_insert(bench.seconds() - hung_at);
        }
    }
    assert!(raised.unwrap() <= 90.0, "{raised:?}");
    bench.fake.now().hangs = false;
    let back = bench.run();
    assert!(back.conditions.is_empty());
    let without_limits = |series: &BTreeSet<String>| -> BTreeSet<String> {
        series
            .iter()
            .filter(|name| !name.contains("hw.bmc.period"))
            .cloned()
            .collect()
    };
    assert_eq!(without_limits(&back.series()), without_limits(&truth));
}

#[test]
fn a_bmc_that_hangs_in_the_middle_keeps_what_it_said_before() {
    let mut bench = Bench::new();
    bench.run();
    // sign of life, info, three sensors
    bench.fake.now().hangs_after = Some(5);
    let recording = bench.run();
    assert!(recording.outcome.is_err());
    let said = recording
        .samples
        .iter()
        .filter(|sample| sample.metric.name == "hw.temperature" && sample.value.is_ok())
        .count();
    assert_eq!(said, 3);
    let absent = recording
        .samples
        .iter()
        .filter(|sample| {
            sample.metric.name == "hw.fan.speed" && sample.value == Err(FailureReason::Timeout)
        })
        .count();
    assert_eq!(absent, 2);
    assert!(bench.fake.now().finished == 2);
}

#[test]
fn a_hang_while_records_are_read_is_made_good() {
    for hangs_after in (2..150).step_by(7) {
        let mut bench = Bench::new();
        bench.fake.now().hangs_after = Some(hangs_after);
        bench.run();
        bench.fake.now().hangs = false;
        bench.fake.now().hangs_after = None;
        let recording = bench.run();
        let limits = recording
            .samples
            .iter()
            .filter(|sample| sample.metric.name == "hw.temperature.limit");
        assert_eq!(limits.count(), 8, "hung after {hangs_after} requests");
    }
}

#[test]
fn a_slow_bmc_is_asked_less_often_and_still_shows_that_it_lives() {
    let mut bench = Bench::new();
    bench.run();
    bench.fake.now().takes = Duration::from_millis(600);
    let runs: Vec<Recording> = (0..6).map(|_| bench.run()).collect();
    let full: Vec<bool> = runs
        .iter()
        .map(|run| run.value("hw.host.power", &["dcmi"]).is_some())
        .collect();
    assert!(full.iter().filter(|full| **full).count() < 6, "{full:?}");
    for run in &runs {
        assert!(run.value("hw.bmc.response.duration", &["ipmi"]).unwrap() >= 0.6);
        assert!(run.conditions.is_empty() && run.outcome.is_ok());
    }
    let last = runs.last().unwrap();
    assert!(last.value("hw.bmc.period", &["ipmi", "ipmi"]).unwrap() >= 60.0);
}

#[test]
fn what_a_bmc_does_not_know_is_silence_and_what_fails_is_told() {
    let mut bench = Bench::new();
    for command in [(0x2c, 0x02), (0x06, 0x25), (0x00, 0x01), (0x0a, 0x40)] {
        bench.fake.now().refuses.insert(command, 0xc1);
    }
    let recording = bench.run();
    assert!(recording.failures.is_empty(), "{:?}", recording.failures);
    bench.fake.now().refuses.insert((0x00, 0x01), 0xff);
    let recording = bench.run();
    assert_eq!(recording.failures.len(), 1);
    assert!(recording.failures[0].detail.contains("Get Chassis Status"));
}

#[test]
fn a_kernel_that_gives_up_is_a_bmc_that_does_not_answer() {
    let mut bench = Bench::new();
    bench.run();
    bench.fake.now().refuses.insert((0x06, 0x01), 0xc3);
    let recording = bench.run();
    assert_eq!(
        recording.outcome.unwrap_err().reason,
        FailureReason::Timeout
    );
}

/// Everything that runs over the fake ever ask, against the list that docs/read-only.md is made from.
#[test]
fn what_is_asked_is_what_the_list_allows_and_nothing_of_the_list_is_idle() {
    let mut asked = BTreeSet::new();
    for is_device in [false, true] {
        let mut bench = Bench::new();
        bench.fake.now().is_device = is_device;
        bench.fake.now().records[0][23] = 0x70;
        bench.fake.now().log = vec![event(1, 0)];
        bench.run();
        bench.run();
        asked.extend(bench.fake.now().asked.clone());
    }
    let allowed: BTreeSet<(u8, u8)> = ALLOWED
        .iter()
        .map(|allowed| (allowed.net_function, allowed.command))
        .collect();
    assert_eq!(asked, allowed);
    assert_eq!(allowed.len(), ALLOWED.len());
}

#[test]
fn values_of_the_plan_are_read_exactly() {
    let mut bench = Bench::new();
    let recording = bench.run();
    let value = |name: &str| {
        let mut samples = recording.samples.iter().filter(|sample| {
            sample.labels.get(1).is_some_and(|label| label == name)
                && !sample.metric.name.contains("limit")
        });
        samples.next().unwrap().value.map(Value::as_f64).unwrap()
    };
    for (name, wanted) in [
        ("Coolant Temp", -7.0),
        ("P3V3 STBY", 3.296),
        ("Leakage", 0.09),
        ("Wide Factors", 4593.88),
        ("Curve Square", 26.01),
        ("Curve Inverse", 0.25),
    ] {
        assert!(
            (value(name) - wanted).abs() < 1e-6,
            "{name}: {} for {wanted}",
            value(name)
        );
    }
}
