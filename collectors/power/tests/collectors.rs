//! Every collector of the family over the fixture: the common checks, and a golden file of all that is read.

// tells the lints that helpers are tests too
#![cfg(test)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use glasshouse_core::collector::{CollectorSpec, Presence};
use glasshouse_core::failure::FailureReason;
use glasshouse_core::options::Options;
use glasshouse_power::COLLECTORS;
use glasshouse_sysfs::compliance::{Recording, record, violations};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host")
}

fn collector(name: &str) -> &'static dyn CollectorSpec {
    *COLLECTORS.iter().find(|spec| spec.name() == name).unwrap()
}

#[test]
fn every_collector_passes_the_common_checks() {
    let found: Vec<String> = COLLECTORS
        .iter()
        .flat_map(|spec| violations(*spec, &fixture()))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn all_that_is_read_from_the_fixture() {
    for spec in COLLECTORS {
        insta::assert_snapshot!(spec.name(), record(*spec, &fixture()).text());
    }
}

/// Trees of further machines, each with other chips.
const TREES: [&str; 3] = ["hwmon-arm", "hwmon-epyc", "hwmon-xeon"];

fn tree(name: &str) -> PathBuf {
    fixture().with_file_name(name)
}

#[test]
fn all_that_is_read_from_the_trees_of_further_machines() {
    for name in TREES {
        for spec in COLLECTORS {
            let recording = record(*spec, &tree(name));
            if !matches!(recording.outcome, Ok(Presence::Absent(_))) {
                insta::assert_snapshot!(format!("{name}__{}", spec.name()), recording.text());
            }
        }
    }
}

#[test]
fn every_collector_survives_broken_trees_of_further_machines() {
    for (name, collectors) in [
        (
            "hwmon-arm",
            &[
                "hwmon",
                "hwmon_alarm",
                "hwmon_device",
                "rapl",
                "thermal",
                "power_supply",
            ][..],
        ),
        (
            "hwmon-epyc",
            &["hwmon", "hwmon_alarm", "hwmon_device", "rapl"],
        ),
        (
            "hwmon-xeon",
            &["hwmon", "hwmon_alarm", "hwmon_device", "rapl", "thermal"],
        ),
    ] {
        for one in collectors {
            let found = violations(collector(one), &tree(name));
            assert!(found.is_empty(), "{name}: {}", found.join("\n"));
        }
    }
}

fn copied(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = tree(name).join(".");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    copy
}

/// Two supplies of 412.5 W and 398.25 W; a regulator on the board with a `pin` of its own is no supply.
#[test]
fn wall_power_is_the_sum_of_all_supplies_or_nothing() {
    let wall = |root: &Path| record(collector("hwmon"), root).value("hw.host.power", &["psu_sum"]);
    assert_eq!(wall(&tree("hwmon-epyc")), Some(810.75));
    assert_eq!(wall(&tree("hwmon-xeon")), Some(705.0));
    assert_eq!(wall(&tree("hwmon-arm")), None);

    let copy = copied("hwmon-epyc");
    let bus = "sys/devices/pci0000:00/0000:00:14.0/i2c-0/i2c-6/6-0058/hwmon/hwmon9";
    let input = copy.path().join(bus).join("power1_input");
    let mut hwmon = collector("hwmon").build(copy.path(), &Options::default());
    let mut wall = || Recording::of(hwmon.as_mut()).value("hw.host.power", &["psu_sum"]);
    assert_eq!(wall(), Some(810.75));
    std::fs::write(&input, "0\n").unwrap();
    assert_eq!(wall(), Some(412.5));
    for broken in ["", "garbage"] {
        std::fs::write(&input, broken).unwrap();
        assert_eq!(wall(), None, "{broken}");
    }
    // a supply that does not tell its input at all
    std::fs::remove_file(&input).unwrap();
    assert_eq!(wall(), None);
    assert_eq!(
        record(collector("hwmon"), copy.path()).value("hw.host.power", &["psu_sum"]),
        None
    );
    std::fs::write(&input, "398250000\n").unwrap();
    assert_eq!(wall(), Some(810.75));
}

/// A drive that does not answer holds whoever asks it for a minute, and its temperature is not worth that of a fan.
#[test]
fn what_asks_a_device_is_read_apart_from_the_machine() {
    for name in TREES {
        let chips = |one| -> std::collections::BTreeSet<String> {
            let recording = record(collector(one), &tree(name));
            let samples = recording.samples.into_iter();
            samples
                .filter(|sample| sample.metric.name != "hw.host.power")
                .map(|sample| sample.labels[0].clone())
                .collect()
        };
        let asks = |id: &String| {
            ["amdgpu", "drivetemp", "mlx5", "nvme", "power_meter", "sfp_"]
                .iter()
                .any(|driver| id.starts_with(driver))
        };
        let (machine, device) = (chips("hwmon"), chips("hwmon_device"));
        assert!(!machine.is_empty() && !device.is_empty(), "{name}");
        assert!(!machine.iter().any(asks), "{name}: {machine:?}");
        assert!(device.iter().all(asks), "{name}: {device:?}");
        assert!(!chips("hwmon_alarm").iter().any(asks), "{name}");
    }
}

#[test]
fn batteries_of_mice_and_usb_ports_are_not_the_machines() {
    let recording = record(collector("power_supply"), &tree("hwmon-arm"));
    let names: std::collections::BTreeSet<&str> = recording
        .samples
        .iter()
        .map(|sample| sample.labels[0].as_str())
        .collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["ACAD", "BAT0", "BAT1", "ups0"]
    );
}

#[test]
fn every_collector_runs_on_this_machine() {
    for spec in COLLECTORS {
        let recording = record(*spec, Path::new("/"));
        assert!(
            recording.outcome.is_ok(),
            "{}: {:?}",
            spec.name(),
            recording.outcome
        );
    }
}

/// A zone of RAPL in a tree that anybody may enter.
fn rapl_tree(energy: &str) -> (tempfile::TempDir, PathBuf) {
    let tree = tempfile::tempdir().unwrap();
    let zone = tree.path().join("sys/class/powercap/intel-rapl:0");
    std::fs::create_dir_all(&zone).unwrap();
    std::fs::set_permissions(tree.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(zone.join("name"), "package-0\n").unwrap();
    std::fs::write(zone.join("max_energy_range_uj"), "1000000\n").unwrap();
    std::fs::write(zone.join("energy_uj"), energy).unwrap();
    (tree, zone.join("energy_uj"))
}

#[test]
fn a_denied_energy_counter_is_absent_with_the_reason() {
    let (tree, energy) = rapl_tree("5\n");
    std::fs::set_permissions(&energy, PermissionsExt::from_mode(0o000)).unwrap();
    let root = tree.path().to_owned();
    let recording = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            // this thread alone becomes nobody: the raw system call is about threads
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        record(collector("rapl"), &root)
    })
    .join()
    .unwrap();
    let sample = &recording.samples[0];
    assert_eq!(sample.metric.name, "hw.energy");
    assert_eq!(sample.value, Err(FailureReason::Denied));
    let failure = &recording.failures[0];
    assert_eq!(failure.reason, FailureReason::Denied);
    assert_eq!(
        failure.path,
        Path::new("/sys/class/powercap/intel-rapl:0/energy_uj")
    );
}

#[test]
fn energy_goes_on_over_a_wrap_and_over_a_look_for_zones() {
    let (tree, energy) = rapl_tree("900000\n");
    let mut rapl = collector("rapl").build(tree.path(), &Options::default());
    let mut read = |microjoules: &str| {
        std::fs::write(&energy, microjoules).unwrap();
        let recording = Recording::of(rapl.as_mut());
        energy_told(&recording)
    };
    assert_eq!(read("900000"), Some(0.0));
    assert_eq!(read("100000"), Some(0.2));
    for _ in 0..25 {
        assert_eq!(read("100000"), Some(0.2));
    }
    assert_eq!(read("50000"), Some(1.15));
}

fn energy_told(recording: &Recording) -> Option<f64> {
    recording.value(
        "hw.energy",
        &["intel-rapl/package-0", "package-0", "intel-rapl", "cpu"],
    )
}

/// A store adds what stands above zero after a restart: the register's own value would be a huge growth.
#[test]
fn a_restart_and_a_failed_look_for_zones_are_no_growth() {
    let (tree, energy) = rapl_tree("900000\n");
    let restarted = record(collector("rapl"), tree.path());
    assert_eq!(energy_told(&restarted), Some(0.0));

    let mut rapl = collector("rapl").build(tree.path(), &Options::default());
    let mut told = Vec::new();
    let name = energy.with_file_name("name");
    for run in 0..30_u32 {
        // runs 10 to 19 begin with a look that fails
        match run {
            9 => std::fs::write(&name, b"\xff").unwrap(),
            19 => std::fs::write(&name, "package-0\n").unwrap(),
            _ => {}
        }
        std::fs::write(&energy, (100_000 + run * 1000).to_string()).unwrap();
        told.push(energy_told(&Recording::of(rapl.as_mut())));
    }
    let expected: Vec<Option<f64>> = (0..30).map(|run| Some(f64::from(run) / 1000.0)).collect();
    assert_eq!(told, expected);
}

/// The kernel counts NVMe controllers and I2C buses as it finds them; their PCI addresses are soldered.
#[test]
fn a_chip_behind_pci_is_named_by_its_address() {
    let tree = tempfile::tempdir().unwrap();
    let ids = |chips: &[(&str, &str, &str)]| -> Vec<String> {
        std::fs::remove_dir_all(tree.path().join("sys")).ok();
        let class = tree.path().join("sys/class/hwmon");
        std::fs::create_dir_all(&class).unwrap();
        for (driver, place, number) in chips {
            let chip = tree.path().join("sys/devices").join(place).join(number);
            std::fs::create_dir_all(&chip).unwrap();
            std::fs::write(chip.join("name"), driver).unwrap();
            std::fs::write(chip.join("power1_input"), "1000000\n").unwrap();
            let target = format!("../../devices/{place}/{number}");
            std::os::unix::fs::symlink(target, class.join(number)).unwrap();
        }
        let mut ids = Vec::new();
        for one in ["hwmon", "hwmon_device"] {
            let recording = record(collector(one), tree.path());
            let samples = recording.samples.iter();
            ids.extend(samples.map(|sample| format!("{} {}", sample.labels[0], sample.labels[3])));
        }
        ids.sort();
        // `jc42#2` behind `jc42`
        ids.sort_by_key(|id| id.replace('#', "~"));
        ids
    };
    let expected = [
        "jc42/power1 memory",
        "jc42#2/power1 memory",
        "nvme@0000:17:00.0/power1 physical_disk",
        "nvme@0000:18:00.0/power1 physical_disk",
        "pmbus@0000:00:1f.4/0058/power1 power_supply",
        "unheard_of@0000:00:1f.4/0059/power1 other",
    ];
    assert_eq!(
        ids(&[
            ("nvme", "pci0000:16/0000:17:00.0/nvme/nvme0", "hwmon0"),
            ("nvme", "pci0000:16/0000:18:00.0/nvme/nvme1", "hwmon1"),
            (
                "pmbus",
                "pci0000:00/0000:00:1f.4/i2c-3/3-0058/hwmon",
                "hwmon2"
            ),
            (
                "unheard_of",
                "pci0000:00/0000:00:1f.4/i2c-3/3-0059/hwmon",
                "hwmon3"
            ),
            ("jc42", "virtual/hwmon", "hwmon4"),
            ("jc42", "virtual/hwmon", "hwmon5"),
        ]),
        expected
    );
    assert_eq!(
        ids(&[
            ("nvme", "pci0000:16/0000:17:00.0/nvme/nvme1", "hwmon7"),
            ("nvme", "pci0000:16/0000:18:00.0/nvme/nvme0", "hwmon6"),
            (
                "pmbus",
                "pci0000:00/0000:00:1f.4/i2c-1/1-0058/hwmon",
                "hwmon1"
            ),
            (
                "unheard_of",
                "pci0000:00/0000:00:1f.4/i2c-1/1-0059/hwmon",
                "hwmon0"
            ),
            ("jc42", "virtual/hwmon", "hwmon3"),
            ("jc42", "virtual/hwmon", "hwmon2"),
        ]),
        expected
    );
}

#[test]
fn a_thermal_zone_that_firmware_names_keeps_its_name() {
    let tree = tempfile::tempdir().unwrap();
    let ids = |zones: [(&str, &str); 2]| -> Vec<String> {
        let class = tree.path().join("sys/class/thermal");
        std::fs::remove_dir_all(&class).ok();
        for (number, device) in zones {
            let zone = class.join(number);
            std::fs::create_dir_all(&zone).unwrap();
            std::fs::write(zone.join("type"), "acpitz\n").unwrap();
            std::fs::write(zone.join("temp"), "40000\n").unwrap();
            let target = format!("../../../LNXSYSTM:00/{device}");
            std::os::unix::fs::symlink(target, zone.join("device")).unwrap();
        }
        let recording = record(collector("thermal"), tree.path());
        let samples = recording.samples.iter();
        let mut ids: Vec<String> = samples.map(|sample| sample.labels[0].clone()).collect();
        ids.sort();
        ids
    };
    let expected = ["acpitz@LNXTHERM:00", "acpitz@LNXTHERM:01"];
    let ways = [
        [
            ("thermal_zone0", "LNXTHERM:00"),
            ("thermal_zone1", "LNXTHERM:01"),
        ],
        [
            ("thermal_zone4", "LNXTHERM:00"),
            ("thermal_zone2", "LNXTHERM:01"),
        ],
    ];
    for zones in ways {
        assert_eq!(ids(zones), expected);
    }
}

#[test]
fn a_chip_keeps_its_name_when_its_number_changes() {
    let tree = tempfile::tempdir().unwrap();
    let names = |hwmon: &[(&str, &str)]| -> Vec<String> {
        let class = tree.path().join("sys/class/hwmon");
        std::fs::remove_dir_all(&class).ok();
        for (number, device) in hwmon {
            let chip = class.join(number);
            std::fs::create_dir_all(&chip).unwrap();
            std::fs::write(chip.join("name"), "coretemp\n").unwrap();
            std::fs::write(chip.join("temp1_input"), "40000\n").unwrap();
            std::os::unix::fs::symlink(format!("../../../{device}"), chip.join("device")).unwrap();
        }
        let recording = record(collector("hwmon"), tree.path());
        recording
            .samples
            .iter()
            .map(|sample| sample.labels[0].clone())
            .collect()
    };
    let expected = ["coretemp@coretemp.0/temp1", "coretemp@coretemp.1/temp1"];
    assert_eq!(
        names(&[("hwmon0", "coretemp.0"), ("hwmon1", "coretemp.1")]),
        expected
    );
    assert_eq!(
        names(&[("hwmon9", "coretemp.0"), ("hwmon2", "coretemp.1")]),
        expected
    );
}
