//! Our values of power and heat beside those of `prometheus-node-exporter` over the trees of several machines.
//!
//! Every value of the peer in the families hwmon, rapl, thermal and power_supply is matched, excluded with a reason, or a
//! failure. Its names of chips come from paths, so which chip is which is said here, tree by tree.

// tells the lints that helpers are tests too
#![cfg(test)]

// the peer is run as for the other families
#[path = "../../performance/tests/peer_values/peer.rs"]
mod peer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use glasshouse_core::options::Options;
use glasshouse_power::COLLECTORS;
use glasshouse_sysfs::compliance::{RecordedSample, Recording, record};

use peer::{Peer, PeerSample};

/// The peer's name of a chip, and ours.
type Chips = &'static [(&'static str, &'static str)];

const EPYC: Chips = &[
    ("0000:00:18_3", "k10temp@0000:00:18.3"),
    ("0000:00:19_3", "k10temp@0000:00:19.3"),
    ("platform_nct6775_656", "nct6779@nct6775.656"),
    ("0_0018", "jc42@0000:00:14.0/0018"),
    ("0_0019", "jc42@0000:00:14.0/0019"),
    ("4:0:0:0", "drivetemp@0000:00:17.0/port1"),
    ("5:0:0:0", "drivetemp@0000:00:17.0/port2"),
    ("nvme_nvme0", "nvme@0000:41:00.0"),
    ("5_0058", "dps920ab@0000:00:14.0/channel0/0058"),
    ("6_0058", "dps920ab@0000:00:14.0/channel1/0058"),
    ("0000:81:00_0", "mlx5@0000:81:00.0"),
];

const XEON: Chips = &[
    ("platform_coretemp_0", "coretemp@coretemp.0"),
    ("platform_coretemp_1", "coretemp@coretemp.1"),
    ("acpi000d:00", "power_meter@ACPI000D:00"),
    ("0000:c1:00_0", "amdgpu@0000:c1:00.0"),
    ("1_0058", "pmbus@0000:00:1f.4/0058"),
    ("1_0060", "pmbus@0000:00:1f.4/0060"),
    ("1_0044", "sht4x@0000:00:1f.4/0044"),
];

const ARM: Chips = &[
    ("acpi000d:00", "power_meter@ACPI000D:00"),
    ("acpi000d:01", "power_meter@ACPI000D:01"),
    ("acpi000d:02", "power_meter@ACPI000D:02"),
    ("acpi000d:03", "power_meter@ACPI000D:03"),
    ("1_0040", "ina3221@c240000.i2c/0040"),
    ("platform_sfp_eth0", "sfp_eth0@sfp-eth0"),
    ("scmi_dev_4", "scmi_sensors@scmi_dev.4"),
    ("thermal_zone0", "cpu_thermal"),
    ("pwmfan_test", "pwmfan_test"),
];

#[test]
fn values_over_the_trees_of_further_machines() {
    for (tree, chips, at_least) in [
        ("hwmon-epyc", EPYC, 120),
        ("hwmon-xeon", XEON, 60),
        ("hwmon-arm", ARM, 60),
    ] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures")
            .join(tree);
        let theirs = with_proc(&root);
        let Some(peer) = Peer::start(theirs.path()) else {
            return println!("skipped: no prometheus-node-exporter on this machine");
        };
        let ours: Vec<RecordedSample> = COLLECTORS
            .iter()
            .flat_map(|spec| record(*spec, &root).samples)
            .collect();
        let judged = judge(&peer.scrape(), &ours, chips);
        print(tree, &judged);
        let unmatched: Vec<&String> = judged
            .iter()
            .filter(|(_, (_, verdict))| matches!(verdict, Verdict::Unmatched(_)))
            .map(|(name, _)| name)
            .collect();
        assert!(unmatched.is_empty(), "{tree}: {unmatched:#?}");
        let matched = judged
            .values()
            .filter(|(_, verdict)| *verdict == Verdict::Matched)
            .count();
        assert!(matched >= at_least, "{tree}: only {matched} matched");
    }
}

/// The peer's zone, and our id of it.
const ZONES: [(&str, &str); 6] = [
    ("intel-rapl:0", "intel-rapl/package-0"),
    ("intel-rapl:0:0", "intel-rapl/package-0/dram"),
    ("intel-rapl:1", "intel-rapl/package-1"),
    ("intel-rapl:1:0", "intel-rapl/package-1/dram"),
    ("intel-rapl:2", "intel-rapl/psys"),
    ("intel-rapl-mmio:0", "intel-rapl-mmio/package-0"),
];

/// The peer tells the register and ours counts from zero on, so what both grew by is compared.
#[test]
fn energy_grows_as_the_peers_does() {
    let tree =
        with_proc(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/hwmon-xeon"));
    let Some(peer) = Peer::start(tree.path()) else {
        return println!("skipped: no prometheus-node-exporter on this machine");
    };
    let spec = COLLECTORS
        .iter()
        .find(|spec| spec.name() == "rapl")
        .unwrap();
    let mut rapl = spec.build(tree.path(), &Options::default());
    let before = peer.scrape();
    Recording::of(rapl.as_mut());
    for (n, (zone, _)) in (1_u64..).zip(ZONES) {
        let file = tree
            .path()
            .join("sys/class/powercap")
            .join(zone)
            .join("energy_uj");
        let register: u64 = std::fs::read_to_string(&file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        std::fs::write(&file, (register + n * 12_345_678).to_string()).unwrap();
    }
    let after = peer.scrape();
    let ours = Recording::of(rapl.as_mut());
    for (zone, id) in ZONES {
        let register = |samples: &[PeerSample]| -> f64 {
            let of_zone =
                |sample: &&PeerSample| sample.label("path").ends_with(&format!("/{zone}"));
            samples.iter().find(of_zone).unwrap().value
        };
        let grown = register(&after) - register(&before);
        let energy =
            |sample: &&RecordedSample| sample.metric.name == "hw.energy" && sample.labels[0] == id;
        let told = ours
            .samples
            .iter()
            .find(energy)
            .unwrap()
            .value
            .unwrap()
            .as_f64();
        assert!(
            (told - grown).abs() < 1e-5 && told > 12.0,
            "{zone}: {told} {grown}"
        );
    }
    println!(
        "hwmon-xeon: growth of {} zones of rapl matched",
        ZONES.len()
    );
}

/// A copy with a `/proc`, without which the peer does not start.
fn with_proc(root: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(root.join("."))
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    std::fs::create_dir(copy.path().join("proc")).unwrap();
    copy
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Matched,
    Excluded(&'static str),
    Unmatched(String),
}

type Judged = BTreeMap<String, (&'static str, Verdict)>;

fn judge(peer: &[PeerSample], ours: &[RecordedSample], chips: Chips) -> Judged {
    let mut judged = Judged::new();
    for sample in peer {
        let families = [
            ("node_hwmon_", "hwmon"),
            ("node_rapl_", "rapl"),
            ("node_thermal_", "thermal"),
            ("node_cooling_", "thermal"),
            ("node_power_supply_", "power_supply"),
        ];
        let Some((start, family)) = families
            .iter()
            .find(|(start, _)| sample.name.starts_with(start))
        else {
            continue;
        };
        let name = sample.name.trim_start_matches(start);
        let meaning = match *family {
            "hwmon" => hwmon(sample, name, chips),
            "rapl" => Meaning::Excluded(
                "the peer tells the register, which wraps; ours counts from our first reading on",
            ),
            "thermal" => thermal(sample),
            _ => power_supply(sample, name),
        };
        judged.insert(sample.series(), (*family, verdict(sample, meaning, ours)));
    }
    judged
}

enum Meaning {
    /// Metric, some labels, and what the peer's value times this is.
    Ours(&'static str, Vec<(&'static str, String)>, f64),
    Excluded(&'static str),
    Unknown,
}

fn verdict(sample: &PeerSample, meaning: Meaning, ours: &[RecordedSample]) -> Verdict {
    let (metric, labels, factor) = match meaning {
        Meaning::Ours(metric, labels, factor) => (metric, labels, factor),
        Meaning::Excluded(reason) => return Verdict::Excluded(reason),
        Meaning::Unknown => return Verdict::Unmatched("nobody said what this is".to_owned()),
    };
    let is_meant = |ours: &&RecordedSample| {
        ours.metric.name == metric
            && labels.iter().all(|(key, value)| {
                let mut pairs = ours.metric.labels.iter().zip(&ours.labels);
                pairs.any(|(label, have)| label.key == *key && have == value)
            })
    };
    let found: Vec<&RecordedSample> = ours.iter().filter(is_meant).collect();
    let [one] = found[..] else {
        return Verdict::Unmatched(format!("{} of ours for {metric} {labels:?}", found.len()));
    };
    let theirs = sample.value * factor;
    match one.value {
        Ok(value) if (value.as_f64() - theirs).abs() <= theirs.abs() * 1e-9 => Verdict::Matched,
        value => Verdict::Unmatched(format!("peer says {theirs}, we say {value:?}")),
    }
}

fn hwmon(sample: &PeerSample, name: &str, chips: Chips) -> Meaning {
    assert!(!sample.is_live, "the peer reads a tree");
    if name.starts_with("beep") || name.starts_with("update_interval") {
        return Meaning::Excluded("settings of the chip");
    }
    if matches!(name, "sensor_label" | "chip_names") {
        return Meaning::Excluded("not a number: a label of ours");
    }
    let chip = sample.label("chip");
    let Some((_, ours)) = chips
        .iter()
        .find(|(theirs, _)| chip == *theirs || chip.ends_with(&format!("_{theirs}")))
    else {
        return Meaning::Unknown;
    };
    let id = format!("{ours}/{}", sample.label("sensor"));
    let stem = sample
        .label("sensor")
        .trim_end_matches(|c: char| c.is_ascii_digit());
    let what = name
        .strip_prefix(stem)
        .unwrap_or(name)
        .trim_start_matches('_');
    let unit = ["volts", "celsius", "amps", "watt", "joule_total", "rpm"]
        .into_iter()
        .find(|unit| what.ends_with(unit));
    let what = unit
        .map_or(what, |unit| what.trim_end_matches(unit))
        .trim_end_matches('_');
    // the peer scales alarms as if they were readings
    let unscaled = match (stem, unit) {
        ("power", Some(_)) => 1e6,
        (_, Some("rpm")) | (_, None) => 1.0,
        _ => 1e3,
    };
    meaning_of(stem, what, id, unscaled)
}

fn meaning_of(stem: &str, what: &str, id: String, unscaled: f64) -> Meaning {
    let id = ("hw.id", id);
    if let Some(limit) = what.strip_suffix("alarm") {
        if id.1.starts_with("coretemp@") {
            return Meaning::Excluded("each alarm interrupts a core: left out by default");
        }
        let limit = match limit.trim_end_matches('_') {
            "" => "any",
            limit => limit_word(limit),
        };
        let limit = ("hw.limit_type", limit.to_owned());
        return Meaning::Ours("hw.sensor.alarm", vec![id, limit], unscaled);
    }
    match (stem, what) {
        ("temp", "") if id.1 == "cpu_thermal/temp0" => {
            Meaning::Excluded("the file of the zone beside the chip: told by its own collector")
        }
        (_, "fault") => Meaning::Ours("hw.sensor.fault", vec![id], 1.0),
        ("temp", "") if id.1 == "nct6779@nct6775.656/temp3" => {
            Meaning::Excluded("the sensor says that it is broken: absent")
        }
        ("temp", "") => Meaning::Ours("hw.temperature", vec![id], 1.0),
        ("in", "") => Meaning::Ours("hw.voltage", vec![id], 1.0),
        ("curr", "") => Meaning::Ours("hw.current", vec![id], 1.0),
        ("energy", "") => Meaning::Ours("hw.energy", vec![id], 1.0),
        ("fan", "") => Meaning::Ours("hw.fan.speed", vec![id], 1.0),
        ("fan", "target") => Meaning::Ours("hw.fan.speed.target", vec![id], 1.0),
        ("pwm", "") => Meaning::Ours("hw.fan.duty.ratio", vec![id], 1.0 / 255.0),
        ("power", "average") => Meaning::Ours("hw.power", vec![id], 1.0),
        // the only chip that tells both
        ("power", "") if id.1.starts_with("amdgpu@") => {
            Meaning::Ours("hw.power.instant", vec![id], 1.0)
        }
        ("power", "") => Meaning::Ours("hw.power", vec![id], 1.0),
        // the peer takes thousandths of a percent for millionths
        ("humidity", "" | "input") => Meaning::Ours("hw.humidity.ratio", vec![id], 10.0),
        ("pwm" | "freq" | "cpu" | "intrusion" | "beep" | "update" | "samples", _)
        | (
            _,
            "enable" | "type" | "offset" | "pulses" | "beep_enabled" | "beep" | "div" | "samples",
        ) => Meaning::Excluded("settings; clocks of a GPU are told by its own collector"),
        (_, "lowest" | "highest") => Meaning::Excluded("extremes since boot: the store has them"),
        ("temp" | "power", what) if what.ends_with("hyst") => {
            Meaning::Excluded("where an alarm ends is no limit")
        }
        ("power", what)
            if what.starts_with("average_interval")
                || ["accuracy", "is_battery", "cap_default"].contains(&what) =>
        {
            Meaning::Excluded("settings of the meter")
        }
        (stem, what) => {
            let metric = match stem {
                "temp" => "hw.temperature.limit",
                "in" => "hw.voltage.limit",
                "curr" => "hw.current.limit",
                "power" => "hw.power.limit",
                "fan" => "hw.fan.speed.limit",
                "humidity" => "hw.humidity.limit.ratio",
                _ => return Meaning::Unknown,
            };
            let factor = if stem == "humidity" { 10.0 } else { 1.0 };
            let limit = ("hw.limit_type", limit_word(what).to_owned());
            Meaning::Ours(metric, vec![id, limit], factor)
        }
    }
}

fn limit_word(what: &str) -> &str {
    match what {
        "lcrit" => "low.critical",
        "min" => "low.degraded",
        "max" => "high.degraded",
        "crit" => "high.critical",
        "emergency" => "high.emergency",
        "rated_min" => "rated.min",
        "rated_max" => "rated.max",
        "cap_min" => "cap.min",
        "cap_max" => "cap.max",
        other => other,
    }
}

fn thermal(sample: &PeerSample) -> Meaning {
    let cooling = ("hw.name", format!("cooling_device{}", sample.label("name")));
    match sample.name.as_str() {
        "node_thermal_zone_temp" => {
            let zone = ("hw.name", format!("thermal_zone{}", sample.label("zone")));
            let parent = ("hw.parent", "thermal".to_owned());
            Meaning::Ours("hw.temperature", vec![zone, parent], 1.0)
        }
        "node_cooling_device_cur_state" if sample.value < 0.0 => {
            Meaning::Excluded("not at work: absent rather than negative")
        }
        "node_cooling_device_cur_state" => Meaning::Ours("hw.cooling.level", vec![cooling], 1.0),
        "node_cooling_device_max_state" => {
            Meaning::Ours("hw.cooling.level.limit", vec![cooling], 1.0)
        }
        _ => Meaning::Unknown,
    }
}

/// What a battery holds today, and held when it was new.
fn capacity_word(name: &str) -> &'static str {
    if name.ends_with("_design") {
        "rated.max"
    } else {
        "max"
    }
}

fn power_supply(sample: &PeerSample, name: &str) -> Meaning {
    let supply = sample.label("power_supply");
    if supply.starts_with("hidpp") || supply.starts_with("ucsi") {
        return Meaning::Excluded("of a mouse or a USB port: not the machine's");
    }
    let id = ("hw.id", supply.to_owned());
    let limit = |word: &str| ("hw.limit_type", word.to_owned());
    match name {
        "capacity" => Meaning::Ours("hw.battery.charge", vec![id], 0.01),
        "present" => Meaning::Ours("hw.battery.present", vec![id], 1.0),
        "online" => Meaning::Ours("hw.power_supply.online", vec![id], 1.0),
        "cyclecount" => Meaning::Ours("hw.battery.cycles", vec![id], 1.0),
        "voltage_volt" => Meaning::Ours("hw.voltage", vec![id], 1.0),
        "current_ampere" => Meaning::Ours("hw.current", vec![id], 1.0),
        "power_watt" => Meaning::Ours("hw.power", vec![id], 1.0),
        "temp_celsius" => Meaning::Ours("hw.temperature", vec![id], 1.0),
        "energy_watthour" => Meaning::Ours("hw.battery.energy", vec![id], 3600.0),
        "energy_full" | "energy_full_design" => {
            let word = limit(capacity_word(name));
            Meaning::Ours("hw.battery.energy.limit", vec![id, word], 3600.0)
        }
        "charge_ampere" => Meaning::Ours("hw.battery.electric_charge", vec![id], 3600.0),
        "charge_full" | "charge_full_design" => {
            let word = limit(capacity_word(name));
            Meaning::Ours("hw.battery.electric_charge.limit", vec![id, word], 3600.0)
        }
        "time_to_empty_seconds" => Meaning::Ours("hw.battery.time_left", vec![id], 1.0),
        "info" => Meaning::Excluded("not a number: facts and states of ours"),
        _ => Meaning::Excluded("design values that nothing is judged by"),
    }
}

fn print(tree: &str, judged: &Judged) {
    println!("\n{tree}: values of the peer, by family");
    println!(
        "{:14} {:>8} {:>9} {:>9}",
        "family", "matched", "unmatched", "excluded"
    );
    let mut families: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (family, verdict) in judged.values() {
        let column = match verdict {
            Verdict::Matched => 0,
            Verdict::Unmatched(_) => 1,
            Verdict::Excluded(reason) => {
                *reasons.entry((family, reason)).or_default() += 1;
                2
            }
        };
        families.entry(family).or_default()[column] += 1;
    }
    for (family, [matched, unmatched, excluded]) in families {
        println!("{family:14} {matched:>8} {unmatched:>9} {excluded:>9}");
    }
    for ((family, reason), count) in reasons {
        println!("  excluded from {family}: {count} × {reason}");
    }
    for (name, (_, verdict)) in judged {
        if let Verdict::Unmatched(why) = verdict {
            println!("  UNMATCHED {name}: {why}");
        }
    }
}
