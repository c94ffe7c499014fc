//! Every collector of the family over the fixture: the common checks, and a golden file of all that is read.

// tells the lints that helpers are tests too
#![cfg(test)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use glasshouse_core::collector::CollectorSpec;
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
        recording.value("hw.energy", &["intel-rapl:0", "package-0", "intel-rapl"])
    };
    assert_eq!(read("900000"), Some(0.9));
    assert_eq!(read("100000"), Some(1.1));
    for _ in 0..25 {
        assert_eq!(read("100000"), Some(1.1));
    }
    assert_eq!(read("50000"), Some(2.05));
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
