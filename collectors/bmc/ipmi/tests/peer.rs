//! Every sensor, limit, state, log entry and watt against what `ipmitool` says of the same `ipmi_sim`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glasshouse_core::sample::Value;
use glasshouse_core::time::SystemClock;
use glasshouse_sim::ipmi::{ADMINISTRATOR, ANALOG, Bmc as Simulated, DISCRETE};
use glasshouse_sysfs::compliance::Recording;

use super::simulated;
use crate::ipmi::bmc::Bmc;
use crate::ipmi::lan::{Lan, Level};
use crate::ipmi::place::Place;

const DEADLINE: Duration = Duration::from_secs(2);

fn bmc(simulated: &Simulated, deadline: Duration) -> Bmc {
    let (user, password) = ADMINISTRATOR;
    let password = Box::new(move || Ok(password.to_owned()));
    let lan = Lan::new(
        simulated.lan(),
        user.to_owned(),
        password,
        Level::Administrator,
    );
    Bmc::new(Place::own(), Box::new(lan), Arc::new(SystemClock), deadline)
}

fn run(bmc: &mut Bmc) -> Recording {
    let mut recording = Recording::empty();
    recording.outcome = bmc.run(&mut recording);
    recording
}

/// Everything that has a value now and does not change by itself, as the network tells it.
pub(super) fn over_the_network(simulated: &Simulated) -> BTreeMap<String, f64> {
    let recording = run(&mut bmc(simulated, DEADLINE));
    let samples = recording
        .samples
        .iter()
        .filter(|sample| !sample.metric.name.starts_with("hw.bmc."));
    samples
        .filter_map(|sample| Some((sample.name(), sample.value.ok().map(Value::as_f64)?)))
        .collect()
}

/// Values of one metric family by the number of the sensor in `hw.id`, with the last label.
fn by_sensor(
    recording: &Recording,
    is_wanted: impl Fn(&str) -> bool,
) -> BTreeMap<(u8, String), f64> {
    let samples = recording
        .samples
        .iter()
        .filter(|sample| is_wanted(sample.metric.name));
    samples
        .filter_map(|sample| {
            let number = sample.labels.first()?.strip_prefix("ipmi/20.0.")?;
            let number = u8::from_str_radix(number.get(..2)?, 16).ok()?;
            let last = sample.labels.last().cloned().unwrap_or_default();
            Some(((number, last), sample.value.ok().map(Value::as_f64)?))
        })
        .collect()
}

fn is_reading(metric: &str) -> bool {
    !metric.contains("limit") && !metric.contains("state")
}

/// Whether a value is what `ipmitool` printed, to the last digit that it prints.
fn is_as_printed(printed: &str, value: f64) -> bool {
    let printed = printed.trim();
    let wanted: f64 = printed.parse().unwrap();
    let decimals = printed
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let step = 10_f64.powi(-i32::try_from(decimals).unwrap());
    (wanted - value).abs() <= step / 2.0 + 1e-9
}

#[test]
fn every_sensor_reads_as_ipmitool_says() {
    let Some(simulated) = simulated() else { return };
    let recording = run(&mut bmc(&simulated, DEADLINE));
    assert!(recording.outcome.is_ok(), "{recording:?}");
    let ours: BTreeMap<u8, f64> = by_sensor(&recording, is_reading)
        .into_iter()
        .map(|((number, _), value)| (number, value))
        .collect();
    // "Inlet Temp       | 01h | ok  | 55.1 | 24 degrees C"
    let theirs = simulated.ipmitool(&["sdr", "elist", "full"]).unwrap();
    let mut compared = 0;
    for line in theirs.lines() {
        let columns: Vec<&str> = line.rsplitn(5, '|').collect();
        let [reading, _, status, number, _] = columns[..] else {
            panic!("{line:?}")
        };
        let number = u8::from_str_radix(number.trim().trim_end_matches('h'), 16).unwrap();
        let printed = reading.trim().split(' ').next().unwrap();
        assert!(!status.trim().is_empty());
        let value = ours.get(&number).copied();
        assert!(
            value.is_some_and(|value| is_as_printed(printed, value)),
            "{line:?}: {value:?}"
        );
        compared += 1;
    }
    eprintln!("{compared} readings equal ipmitool's");
    assert_eq!(compared, ANALOG.len());
    assert_eq!(ours.len(), ANALOG.len());
}

#[test]
fn every_limit_and_state_is_as_ipmitool_says() {
    let Some(simulated) = simulated() else { return };
    simulated
        .command("sensor_set_bit 0x20 0 0x16 1 1 0")
        .unwrap();
    simulated
        .command("sensor_set_bit 0x20 0 0x14 3 1 0")
        .unwrap();
    let recording = run(&mut bmc(&simulated, DEADLINE));
    let limits = by_sensor(&recording, |metric| metric.ends_with(".limit"));
    let states = by_sensor(&recording, |metric| metric == "hw.sensor.state");
    // analog: name, value, unit, status, LNR, LC, LNC, UNC, UC, UNR; discrete: 0x and both bytes of states
    let theirs = simulated.ipmitool(&["-c", "sensor"]).unwrap();
    let (mut of_limits, mut of_states) = (0, 0);
    let numbers = ANALOG
        .iter()
        .map(|plan| plan.number)
        .chain(DISCRETE.iter().map(|plan| plan.number));
    for (line, number) in theirs.lines().zip(numbers) {
        let columns: Vec<&str> = line.rsplitn(10, ',').collect();
        if columns[7] == "discrete" {
            let both = u16::from_str_radix(columns[6].trim_start_matches("0x"), 16).unwrap();
            let holding = f64::from((both.swap_bytes() & 0x7fff).count_ones());
            let ours: f64 = states
                .iter()
                .filter(|((of, _), _)| *of == number)
                .map(|(_, value)| value)
                .sum();
            assert!((holding - ours).abs() < 0.1, "{line:?}: {ours} states hold");
            of_states += 1;
            continue;
        }
        let words = [
            "high.emergency",
            "high.critical",
            "high.degraded",
            "low.degraded",
            "low.critical",
            "low.emergency",
        ];
        for (printed, word) in columns.iter().zip(words) {
            let ours = limits.get(&(number, word.to_owned())).copied();
            if *printed == "na" {
                assert_eq!(ours, None, "{line:?} {word}");
            } else if !has_no_limit_metric(number) {
                assert!(
                    ours.is_some_and(|value| is_as_printed(printed, value)),
                    "{line:?} {word}: {ours:?}"
                );
                of_limits += 1;
            }
        }
    }
    eprintln!("{of_limits} limits and {of_states} sensors of states equal ipmitool's");
    assert_eq!(of_states, DISCRETE.len());
    assert_eq!(of_limits, limits.len());
    let word = |number: u8, word: &str| states.get(&(number, word.to_owned())).copied();
    assert_eq!(word(0x16, "uncorrectable_ecc"), Some(1.0));
    assert_eq!(word(0x14, "input_lost"), Some(1.0));
    assert_eq!(word(0x18, "fully_redundant"), Some(1.0));
}

/// Sensors in units without a metric of their own have no limits of their own either; the plan gives them none.
fn has_no_limit_metric(number: u8) -> bool {
    ANALOG
        .iter()
        .any(|plan| plan.number == number && plan.unit == 34)
}

#[test]
fn every_log_entry_is_as_ipmitool_says() {
    let Some(simulated) = simulated() else { return };
    let mut bmc = bmc(&simulated, DEADLINE);
    assert!(run(&mut bmc).entries.is_empty());
    // before that, its clock counts from its start, which is no time
    simulated
        .command("sensor_set_bit 0x20 0 0x17 1 1 1")
        .unwrap();
    let early = run(&mut bmc).entries;
    assert_eq!(early.len(), 1);
    assert_eq!((early[0].at, early[0].code.raw()), (None, "07h/01"));
    simulated.ipmitool(&["sel", "time", "set", "now"]).unwrap();
    simulated.ipmitool(&["sel", "clear"]).unwrap();
    assert!(run(&mut bmc).entries.len() <= 1);
    for command in [
        // CPU1 beyond its upper limits, the exhaust colder than its lower one
        "sensor_set_value 0x20 0 2 96 1",
        "sensor_set_value 0x20 0 3 0xd8 1",
        "sensor_set_value 0x20 0 2 50 1",
        "sensor_set_bit 0x20 0 0x16 1 1 1",
        "sensor_set_bit 0x20 0 0x14 1 1 1",
        "sensor_set_bit 0x20 0 0x14 1 0 1",
        "sensor_set_bit 0x20 0 0x18 1 1 1",
    ] {
        simulated.command(command).unwrap();
    }
    let entries = run(&mut bmc).entries;
    // "   1 | 11/22/26 | 18:00:00 UTC | Temperature CPU1 Temp | Upper Critical going high | Asserted | ..."
    let theirs = simulated.ipmitool(&["sel", "elist"]).unwrap();
    let lines: Vec<&str> = theirs.lines().collect();
    assert_eq!(lines.len(), entries.len(), "{theirs}\n{entries:#?}");
    assert!(lines.len() >= 8, "{theirs}");
    for (line, entry) in lines.iter().zip(&entries) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let id = u16::from_str_radix(columns[0], 16).unwrap();
        assert_eq!(entry.id.raw(), format!("{id:04x}"));
        assert!(
            columns[3].ends_with(entry.component.raw()),
            "{line} {entry:?}"
        );
        let what = columns[4].to_ascii_lowercase().replace('-', " ");
        let text = entry.text.raw();
        assert!(
            text.contains(&what) || what == "failure detected" && text.contains("failure"),
            "{line} {text}"
        );
        assert!(
            text.contains(&columns[5].to_ascii_lowercase()),
            "{line} {text}"
        );
        let [hour, minute, second] = columns[2]
            .trim_end_matches(" UTC")
            .split(':')
            .map(|part| part.parse::<i64>().unwrap())
            .collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let at = entry.at.unwrap().seconds().rem_euclid(86_400);
        assert_eq!(at, hour * 3600 + minute * 60 + second, "{line}");
        if let Some(reading) = columns
            .get(6)
            .filter(|reading| reading.starts_with("Reading"))
        {
            // "Reading 96 > Threshold 95 degrees C"
            let numbers: Vec<&str> = reading
                .split(' ')
                .filter(|word| word.parse::<f64>().is_ok())
                .collect();
            for number in numbers {
                assert!(text.contains(number), "{line} {text}");
            }
        }
    }
    eprintln!("{} log entries equal ipmitool's", entries.len());
    assert!(run(&mut bmc).entries.is_empty());
    simulated.ipmitool(&["sel", "clear"]).unwrap();
    simulated
        .command("sensor_set_bit 0x20 0 0x15 3 1 1")
        .unwrap();
    let entries = run(&mut bmc).entries;
    let codes: Vec<&str> = entries.iter().map(|entry| entry.code.raw()).collect();
    assert_eq!(codes.last(), Some(&"08h/03"), "{codes:?}");
}

#[test]
fn dcmi_is_as_ipmitool_says() {
    let Some(simulated) = simulated() else { return };
    let mut bmc = bmc(&simulated, DEADLINE);
    for power in ["412 180 655 398 60000 700", "655 181 700 500 1000 0"] {
        simulated.set_power(power).unwrap();
        let recording = run(&mut bmc);
        let theirs = simulated.ipmitool(&["dcmi", "power", "reading"]).unwrap();
        let watts = |what: &str| -> f64 {
            let line = theirs.lines().find(|line| line.contains(what)).unwrap();
            line.split_whitespace()
                .find_map(|word| word.parse().ok())
                .unwrap()
        };
        for (what, metric, label) in [
            ("Instantaneous", "hw.host.power", "dcmi"),
            ("Minimum", "hw.host.power.minimum", "ipmi/dcmi"),
            ("Maximum", "hw.host.power.maximum", "ipmi/dcmi"),
            ("Average", "hw.host.power.average", "ipmi/dcmi"),
        ] {
            assert_eq!(
                recording.value(metric, &[label]),
                Some(watts(what)),
                "{what}"
            );
        }
        let limit = recording.value(
            "hw.power.limit",
            &["ipmi/dcmi", "DCMI power limit", "bmc", "cap"],
        );
        assert_eq!(limit, power.ends_with("700").then_some(700.0));
    }
}

#[test]
fn a_user_is_refused_dcmi_by_this_bmc_and_still_reads_everything_else() {
    let Some(simulated) = simulated() else { return };
    let (user, password) = glasshouse_sim::ipmi::USER;
    let lan = Lan::new(
        simulated.lan(),
        user.to_owned(),
        Box::new(move || Ok(password.to_owned())),
        Level::User,
    );
    let mut bmc = Bmc::new(Place::own(), Box::new(lan), Arc::new(SystemClock), DEADLINE);
    let recording = run(&mut bmc);
    assert!(recording.outcome.is_ok());
    assert_eq!(by_sensor(&recording, is_reading).len(), ANALOG.len());
    assert_eq!(recording.value("hw.host.power", &["psu_sum"]), Some(624.0));
    let refused: Vec<&str> = recording
        .failures
        .iter()
        .map(|error| error.detail.as_str())
        .collect();
    assert!(
        matches!(refused[..], [detail] if detail.contains("privilege")),
        "{refused:?}"
    );
}

/// Ten minutes at the default interval, with the time-outs a hundredth of theirs: no wrong value in any row.
#[test]
fn a_bmc_that_is_stopped_says_nothing_wrong_and_comes_back() {
    let Some(simulated) = simulated() else { return };
    let mut bmc = bmc(&simulated, Duration::from_millis(50));
    let truth = by_sensor(&run(&mut bmc), is_reading);
    simulated.hang().unwrap();
    let hung = Instant::now();
    let mut conditions = 0;
    for _ in 0..20 {
        let recording = run(&mut bmc);
        assert!(recording.outcome.is_err());
        assert!(by_sensor(&recording, is_reading).is_empty());
        conditions += recording.conditions.len();
    }
    eprintln!(
        "20 runs over a stopped BMC took {:?}, {conditions} said that it does not answer",
        hung.elapsed()
    );
    assert!(conditions >= 17, "{conditions}");
    // readings change while nobody can ask
    simulated.go_on().unwrap();
    simulated.command("sensor_set_value 0x20 0 1 31 0").unwrap();
    let back = (0..40)
        .map(|_| run(&mut bmc))
        .find(|recording| recording.outcome.is_ok())
        .unwrap();
    assert!(back.conditions.is_empty());
    let mut now = truth;
    now.insert((1, "air_inlet/1".to_owned()), 31.0);
    assert_eq!(by_sensor(&back, is_reading), now);
}
