//! A small machine written from DMTF's schemas (DSP8010), old and new ones: `tests/fixtures/redfish/server.json`.

use std::collections::{BTreeMap, BTreeSet};

use glasshouse_core::collector::{CollectorSpec, Presence};
use glasshouse_core::options::Options;
use glasshouse_sim::redfish::FakeBmc;
use glasshouse_sysfs::compliance::{Recording, definition_violations, empty_root_violations};
use serde_json::{Value as Json, json};

use super::super::REDFISH;
use super::rig::{Rig, options, table};

/// The id of a sensor that is always good.
pub(super) const SENSOR: &str = "r1/Chassis/New/Sensors/Inlet";

/// Entries of a log.
pub(super) const LOG: &str = "/redfish/v1/Managers/BMC/LogServices/Sel/Entries";

pub(super) fn tree() -> BTreeMap<String, Json> {
    serde_json::from_str(include_str!(
        "../../../../tests/fixtures/redfish/server.json"
    ))
    .unwrap()
}

/// The BMC writes one more entry down.
pub(super) fn add_entry(bmc: &FakeBmc, id: &str) {
    let entry = json!({
        "@odata.id": format!("{LOG}/{id}"), "Id": id, "Message": "New", "MessageId": "Example.1.0.New",
        "Created": "2026-02-01T00:00:00Z",
    });
    let mut scene = bmc.scene();
    let log = scene.documents.get_mut(LOG).unwrap();
    log["Members"].as_array_mut().unwrap().push(entry);
}

fn with_and_without_expand(check: impl Fn(&mut Rig)) {
    for expands in [true, false] {
        let mut rig = Rig::of_documents(tree());
        rig.bmc.scene().expands = expands;
        check(&mut rig);
    }
}

#[test]
fn definitions_are_sound() {
    assert_eq!(definition_violations(&REDFISH), Vec::<String>::new());
    assert_eq!(empty_root_violations(&REDFISH), Vec::<String>::new());
    let names: BTreeSet<_> = REDFISH.metrics().iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), REDFISH.metrics().len());
    let root = std::path::Path::new("/");
    let none = Options::defaults(REDFISH.options());
    assert!(matches!(REDFISH.look(root, &none), Presence::Absent(_)));
    let one = options(vec![("r1".to_owned(), table("https://10.0.0.1"))]);
    assert_eq!(REDFISH.look(root, &one), Presence::Present);
    assert_eq!(REDFISH.hang_cause(), "bmc.unresponsive");
}

#[test]
fn a_bmc_that_is_configured_wrong_is_a_failure_under_its_name() {
    let both = vec![
        ("bad".to_owned(), table("http://10.0.0.1")),
        ("worse".to_owned(), table("")),
    ];
    let mut collector = REDFISH.build(std::path::Path::new("/"), &options(both));
    let recording = Recording::of(collector.as_mut());
    let paths: Vec<_> = recording
        .failures
        .iter()
        .map(|error| error.path.display().to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "/collectors/redfish/bmcs/bad",
            "/collectors/redfish/bmcs/worse"
        ]
    );
}

#[test]
fn all_that_the_small_machine_says() {
    with_and_without_expand(|rig| {
        let told = rig.settle();
        for (metric, id, value) in [
            ("hw.temperature", SENSOR, 22.5),
            ("hw.temperature.limit", SENSOR, 42.0),
            ("hw.humidity.ratio", "r1/Chassis/New/Sensors/Humidity", 0.4),
            ("hw.sensor.reading", "r1/Chassis/New/Sensors/Flow", 3.5),
            ("hw.energy", "r1/Chassis/New/Sensors/Energy", 5.4e6),
            (
                "hw.temperature",
                "r1/Chassis/New/ThermalSubsystem/ThermalMetrics#/TemperatureReadingsCelsius/1",
                31.0,
            ),
            (
                "hw.power",
                "r1/Chassis/New/PowerSubsystem/PowerSupplies/A/input",
                200.0,
            ),
            (
                "hw.power",
                "r1/Chassis/New/PowerSubsystem/PowerSupplies/B/output",
                190.0,
            ),
            (
                "hw.voltage",
                "r1/Chassis/New/PowerSubsystem/PowerSupplies/A/input",
                230.5,
            ),
            (
                "hw.status",
                "r1/Chassis/New/PowerSubsystem/PowerSupplies/B",
                2.0,
            ),
            (
                "hw.status",
                "r1/Chassis/New/PowerSubsystem#/PowerSupplyRedundancy/0",
                1.0,
            ),
            (
                "hw.fan.speed",
                "r1/Chassis/New/ThermalSubsystem/Fans/1",
                8000.0,
            ),
            (
                "hw.fan.speed_ratio",
                "r1/Chassis/New/ThermalSubsystem/Fans/1",
                0.45,
            ),
            (
                "hw.fan.speed",
                "r1/Chassis/New/ThermalSubsystem/Fans/2",
                0.0,
            ),
            ("hw.power", "r1/Chassis/New/power", 415.5),
            ("hw.power.limit", "r1/Chassis/New", 900.0),
            ("hw.power", "r1/Chassis/Old/Power#/PowerControl/0", 55.0),
            (
                "hw.power",
                "r1/Chassis/Old/Power#/PowerSupplies/0/output",
                55.0,
            ),
            ("hw.voltage", "r1/Chassis/Old/Power#/Voltages/0", 12.1),
            ("hw.fan.speed", "r1/Chassis/Old/Thermal#/Fans/0", 4000.0),
            ("hw.fan.speed_ratio", "r1/Chassis/Old/Thermal#/Fans/1", 0.35),
            (
                "hw.temperature",
                "r1/Chassis/Old/Thermal#/Temperatures/0",
                28.0,
            ),
            (
                "hw.temperature",
                "r1/Systems/1/Processors/CPU1/temperature",
                51.0,
            ),
            ("hw.clock.speed", "r1/Systems/1/Processors/CPU1", 3e9),
            ("hw.clock.speed", "r1/Systems/1/Memory/A1", 4.8e9),
            ("hw.memory.size", "r1/Systems/1/Memory/A1", 68_719_476_736.0),
            (
                "hw.physical_disk.endurance_utilization",
                "r1/Systems/1/Storage/1/Drives/1",
                0.04,
            ),
            ("hw.status", "r1/Systems/1/Storage/1/Drives/1", 4.0),
            ("hw.status", "r1/Systems/1#/MemorySummary", 1.0),
            ("hw.bmc.log.entries", "r1/Managers/BMC/LogServices/Sel", 5.0),
            (
                "hw.bmc.log.limit",
                "r1/Managers/BMC/LogServices/Sel",
                1024.0,
            ),
            // the chassis that holds the machine, not the cage
            ("hw.host.power", "redfish", 415.5),
        ] {
            let said = told.value(metric, id);
            let same = said.is_some_and(|said| (said - value).abs() <= value.abs() * 1e-12);
            assert!(same, "{metric} {id}: {said:?}, not {value}");
        }
        let errors: BTreeMap<_, _> = told
            .of("hw.errors")
            .map(|sample| {
                let [id, word] = [0, 4].map(|place| sample.labels[place].as_str());
                ((id, word), sample.value.unwrap().as_f64())
            })
            .collect();
        let wanted = [
            (("r1/Systems/1/Memory/A1", "corrected"), 5.0),
            (("r1/Systems/1/Memory/A1", "uncorrected"), 0.0),
            (("r1/Systems/1/Processors/CPU1/core", "corrected"), 2.0),
        ];
        assert_eq!(errors, wanted.into());
        let bus: Vec<_> = told
            .of("hw.processor.pcie.errors")
            .map(|sample| (sample.labels[4].as_str(), sample.value.unwrap().as_f64()))
            .collect();
        assert_eq!(bus, [("correctable", 7.0)]);
        let reports: Vec<_> = told
            .of("hw.telemetry.value")
            .map(|sample| (sample.labels[1].as_str(), sample.value.unwrap().as_f64()))
            .collect();
        assert_eq!(
            reports,
            [("Load", 12.0), ("Watts", 410.0)],
            "newest, no sensor again, none of last year"
        );
        assert_eq!(told.conditions, ["cooling.leak"]);
        assert_eq!(told.failures, Vec::<String>::new());
        for absent in [
            "Sensors/Empty",
            "Processors/GPU1",
            "Memory/A2",
            "Temperatures/1",
            "Voltages/1",
        ] {
            assert!(
                told.samples
                    .values()
                    .all(|sample| !sample.labels[0].ends_with(absent)),
                "{absent}"
            );
        }
    });
}

#[test]
fn facts_name_no_single_machine() {
    with_and_without_expand(|rig| {
        let told = rig.settle();
        let fact = |component: &str, key: &'static str| {
            told.facts
                .get(&(format!("bmc/r1{component}"), key))
                .map(String::as_str)
        };
        assert_eq!(fact("/Systems/1", "hw.bios_version"), Some("4.2"));
        assert_eq!(fact("/Managers/BMC", "hw.firmware_version"), Some("7.1"));
        assert_eq!(fact("/Systems/1/Memory/A1", "hw.part_number"), Some("M-1"));
        assert_eq!(
            fact("/Systems/1/Processors/CPU1", "host.cpu.microcode"),
            Some("0x2b")
        );
        assert_eq!(
            fact("/firmware/Installed-7__BIOS", "hw.firmware_version"),
            Some("4.2")
        );
        assert_eq!(
            fact("/firmware/Installed-7__BIOS", "hw.name"),
            Some("Card (blanked)")
        );
        assert_eq!(
            fact("/firmware/Previous-7__BIOS", "hw.firmware_version"),
            None
        );
        let all = format!("{:?}", told.facts);
        assert!(
            !all.contains("never told") && !all.contains("6f9619ff"),
            "{all}"
        );
    });
}

#[test]
fn logs_are_told_once_and_then_what_is_new() {
    for (page, newest_first) in [(None, false), (Some(2), false), (Some(2), true)] {
        let mut tree = tree();
        if newest_first {
            tree.get_mut(LOG).unwrap()["Members"]
                .as_array_mut()
                .unwrap()
                .reverse();
        }
        let mut rig = Rig::of_documents(tree);
        if let Some(page) = page {
            rig.bmc.scene().pages.insert(LOG.to_owned(), page);
        }
        let told = rig.settle();
        let sel = told
            .entries
            .iter()
            .filter(|(origin, _)| origin == "bmc/r1/Managers/BMC/Sel");
        assert_eq!(sel.count(), 5, "{page:?}");
        let linked = told
            .entries
            .iter()
            .filter(|(origin, _)| origin == "bmc/r1/Managers/BMC/Linked");
        assert_eq!(linked.count(), 2);
        assert!(rig.run().entries.is_empty());
        if newest_first {
            let mut scene = rig.bmc.scene();
            let log = scene.documents.get_mut(LOG).unwrap();
            let entry = json!({"@odata.id": format!("{LOG}/6"), "Id": "6", "Message": "New", "Created": "2026-02-01T00:00:00Z"});
            log["Members"].as_array_mut().unwrap().insert(0, entry);
        } else {
            add_entry(&rig.bmc, "6");
        }
        let recording = rig.run_until(|recording, _| !recording.entries.is_empty());
        let ids: Vec<_> = recording
            .entries
            .iter()
            .map(|entry| entry.id.raw())
            .collect();
        assert_eq!(ids, ["6"], "{page:?} {newest_first}");
    }
}

#[test]
fn a_log_that_was_cleared_starts_again() {
    let mut rig = Rig::of_documents(tree());
    rig.bmc.scene().pages.insert(LOG.to_owned(), 2);
    rig.settle();
    {
        let mut scene = rig.bmc.scene();
        let log = scene.documents.get_mut(LOG).unwrap();
        log["Members"] = json!([{"@odata.id": format!("{LOG}/1"), "Id": "1", "Message": "Log cleared", "Created": "2026-03-01T00:00:00Z"}]);
    }
    let recording = rig.run_until(|recording, _| !recording.entries.is_empty());
    assert_eq!(recording.entries[0].text.raw(), "Log cleared");
}

#[test]
fn an_entry_says_what_where_and_how_bad() {
    let mut rig = Rig::of_documents(tree());
    let mut worst = None;
    rig.run_until(|recording, _| {
        worst = recording
            .entries
            .iter()
            .find(|entry| entry.id.raw() == "3")
            .cloned()
            .or(worst.take());
        worst.is_some()
    });
    let entry = worst.unwrap();
    assert_eq!(
        entry.severity,
        glasshouse_core::condition::Severity::Critical
    );
    assert_eq!(entry.code.raw(), "Example.1.0.Thing");
    assert_eq!(entry.text.raw(), "Thing 3 happened");
    assert_eq!(entry.component.raw(), "Power Supply / Converter 3");
    assert_eq!(entry.at.unwrap().seconds(), 1_767_398_400);
}

#[test]
fn without_a_claim_the_supplies_are_added() {
    let mut tree = tree();
    tree.remove("/redfish/v1/Chassis/New/EnvironmentMetrics");
    tree.remove("/redfish/v1/Chassis/Old/Power");
    let mut rig = Rig::of_documents(tree);
    let told = rig.settle();
    // by the word of the BMC: who sees the supplies without it makes a sum of their own
    assert_eq!(told.value("hw.host.power", "redfish"), Some(410.0));
    assert_eq!(told.value("hw.host.power", "psu_sum"), None);
}

#[test]
fn only_the_bmc_of_this_machine_says_what_it_draws() {
    let power = |claims: &[(&str, bool)]| {
        let mut rig = Rig::of_claims(FakeBmc::serve(tree(), None).unwrap(), claims);
        let told = rig.settle();
        (told.value("hw.host.power", "redfish"), told.failures)
    };
    assert_eq!(power(&[("r1", false), ("r2", false)]).0, None);
    assert_eq!(power(&[("r1", false), ("r2", true)]).0, Some(415.5));
    let (watts, failures) = power(&[("r1", true), ("r2", true)]);
    assert_eq!(watts, None);
    assert!(
        failures.iter().any(|one| one.contains("this_host")),
        "{failures:?}"
    );
}
