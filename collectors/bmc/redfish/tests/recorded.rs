//! Two recorded machines, each value and each count compared with an own walk over their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use super::rig::{Rig, Told};

/// A recorded machine unpacked; `None`, and said so, where there is no such data.
pub(super) fn machine(name: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let data = std::env::var_os("GLASSHOUSE_DATA").map_or(own, PathBuf::from);
    let archive = data.join(format!("fixtures/redfish/{name}.tar.gz"));
    if !archive.exists() {
        println!("skipped: no {}", archive.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let path = folder.path().to_owned();
    Some((folder, path))
}

/// Every document of a tree by its path.
pub(super) fn walk(folder: &Path) -> BTreeMap<String, Json> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.join("redfish/v1")];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("index.json") {
                let name = at.strip_prefix(folder).unwrap().to_str().unwrap();
                if let Ok(document) = serde_json::from_slice(&std::fs::read(&path).unwrap()) {
                    found.insert(format!("/{name}"), document);
                }
            }
        }
    }
    found
}

fn of_type<'t>(
    tree: &'t BTreeMap<String, Json>,
    kind: &'t str,
) -> impl Iterator<Item = (&'t str, &'t Json)> {
    let start = format!("#{kind}.");
    tree.iter()
        .filter(move |(_, document)| {
            document["@odata.type"]
                .as_str()
                .is_some_and(|name| name.starts_with(&start))
        })
        .map(|(path, document)| (path.as_str(), document))
}

fn is_there(document: &Json) -> bool {
    document["Status"]["State"] != "Absent"
}

fn id(path: &str) -> String {
    format!("r1/{}", path.strip_prefix("/redfish/v1/").unwrap())
}

/// Which metric, and its value: written down by hand for the units of both machines.
fn sensor(document: &Json) -> Option<(&'static str, f64)> {
    let reading = document["Reading"].as_f64()?;
    Some(match document["ReadingUnits"].as_str()? {
        "A" => ("hw.current", reading),
        "V" => ("hw.voltage", reading),
        "W" | "Watts" => ("hw.power", reading),
        "RPM" => ("hw.fan.speed", reading),
        "Cel" | "C" => ("hw.temperature", reading),
        "%" => ("hw.sensor.ratio", reading / 100.0),
        "Hz" | "CFM" => ("hw.sensor.reading", reading),
        _ => return None,
    })
}

/// One row of the table: what, how many there are, how many were told.
type Row = (&'static str, usize, usize);

fn check(folder: &Path, told: &Told) -> Vec<Row> {
    let tree = walk(folder);
    let mut rows = sensors(&tree, told);
    rows.push(supplies(&tree, told));
    let parts = |kind: &'static str, metric: &str, value: &dyn Fn(&Json) -> Option<f64>| -> Row {
        let there: Vec<_> = of_type(&tree, kind)
            .filter(|(_, document)| is_there(document))
            .collect();
        let told = there.iter().filter(|(path, document)| {
            let said = told.value(metric, &id(path));
            said.is_some()
                && value(document).is_none_or(|wanted| (said.unwrap() - wanted).abs() < 1e-6)
        });
        (kind, there.len(), told.count())
    };
    rows.push(parts("Drive", "hw.status", &|_| Some(0.0)));
    rows.push(parts("Memory", "hw.clock.speed", &|module| {
        Some(module["OperatingSpeedMhz"].as_f64()? * 1e6)
    }));
    let linked = linked_processors(&tree);
    let told_processors = linked
        .iter()
        .filter(|path| told.value("hw.status", &id(path)).is_some());
    rows.push(("Processor", linked.len(), told_processors.count()));
    rows.push(firmware(&tree, told));
    rows.push(logs(&tree, told));
    rows.extend(reports(&tree, told));
    rows
}

fn sensors(tree: &BTreeMap<String, Json>, told: &Told) -> Vec<Row> {
    let all: Vec<_> = of_type(tree, "Sensor").collect();
    let mut measured = (0, 0);
    let mut states = (0, 0);
    let mut silent = (0, 0);
    for (path, document) in &all {
        if let Some((metric, value)) = sensor(document) {
            measured.0 += 1;
            let said = told.value(metric, &id(path));
            measured.1 += usize::from(said.is_some_and(|said| (said - value).abs() < 1e-9));
        }
        if document["Status"]["Health"].is_string() {
            states.0 += 1;
            states.1 += usize::from(told.value("hw.status", &id(path)).is_some());
        }
        if document["Reading"].is_null() {
            silent.0 += 1;
            let valued = told.samples.values().any(|sample| {
                sample.metric.name != "hw.status"
                    && !sample.metric.name.ends_with(".limit")
                    && sample.labels.first() == Some(&id(path))
                    && sample.value.is_ok()
            });
            silent.1 += usize::from(!valued);
        }
    }
    vec![
        ("Sensor with a unit and a reading", measured.0, measured.1),
        ("Sensor with a health", states.0, states.1),
        (
            "Sensor without a reading, and no value told",
            silent.0,
            silent.1,
        ),
    ]
}

fn supplies(tree: &BTreeMap<String, Json>, told: &Told) -> Row {
    let legacy: usize = of_type(tree, "Power")
        .map(|(_, power)| power["PowerSupplies"].as_array().map_or(0, Vec::len))
        .sum();
    ("PowerSupply", legacy, told.statuses("power_supply"))
}

/// Recorded trees have links to processors that were not recorded, and processors that nobody links.
fn linked_processors(tree: &BTreeMap<String, Json>) -> Vec<String> {
    let collections = of_type(tree, "ProcessorCollection");
    let members = collections.flat_map(|(_, collection)| collection["Members"].as_array().unwrap());
    let paths = members.map(|member| member["@odata.id"].as_str().unwrap().to_owned());
    let has_health = |path: &String| {
        tree.get(path)
            .is_some_and(|document| document["Status"]["Health"].is_string() && is_there(document))
    };
    paths.filter(has_health).collect()
}

fn firmware(tree: &BTreeMap<String, Json>, told: &Told) -> Row {
    let versions: BTreeSet<&str> = of_type(tree, "SoftwareInventory")
        .filter(|(path, document)| !path.contains("/Previous-") && document["Version"].is_string())
        .map(|(path, _)| path)
        .collect();
    let facts = told.facts.keys().filter(|(component, key)| {
        component.starts_with("bmc/r1/firmware/") && *key == "hw.firmware_version"
    });
    ("SoftwareInventory", versions.len(), facts.count())
}

fn logs(tree: &BTreeMap<String, Json>, told: &Told) -> Row {
    let mut entries = BTreeSet::new();
    for (path, collection) in of_type(tree, "LogEntryCollection") {
        for member in collection["Members"].as_array().unwrap() {
            let member_path = member["@odata.id"].as_str().unwrap();
            let id = member_path.rsplit('/').next().unwrap();
            if member["Id"].is_string() || tree.contains_key(member_path) {
                entries.insert((path.to_owned(), id.to_owned()));
            }
        }
    }
    let said: BTreeSet<_> = told.entries.iter().collect();
    assert_eq!(said.len(), told.entries.len(), "an entry was told twice");
    ("LogEntry", entries.len(), said.len())
}

fn reports(tree: &BTreeMap<String, Json>, told: &Told) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut values, mut series) = (0, (0, 0));
    for (path, report) in of_type(tree, "MetricReport") {
        let mut newest: BTreeMap<(String, String), (&str, f64)> = BTreeMap::new();
        for entry in report["MetricValues"].as_array().unwrap() {
            values += 1;
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            let key = (
                text("MetricId").to_owned(),
                text("MetricProperty").to_owned(),
            );
            let Ok(value) = text("MetricValue").parse() else {
                continue;
            };
            // all times of both machines are UTC and sort as they are written
            let at = text("Timestamp");
            let slot = newest.entry(key).or_insert((at, value));
            if at >= slot.0 {
                *slot = (at, value);
            }
        }
        for ((metric, property), (_, value)) in newest {
            series.0 += 1;
            let labels = [id(path), metric, property];
            let said = told
                .of("hw.telemetry.value")
                .find(|sample| sample.labels == labels);
            let said = said
                .and_then(|sample| sample.value.ok())
                .map(glasshouse_core::sample::Value::as_f64);
            series.1 += usize::from(said == Some(value));
        }
    }
    rows.push(("MetricReport series", series.0, series.1));
    println!("  ({values} values in metric reports)");
    rows
}

fn compare(name: &str, wall: f64) {
    let Some((_kept, folder)) = machine(name) else {
        return;
    };
    for expands in [true, false] {
        let mut rig = Rig::of_folder(folder.clone());
        rig.bmc.scene().expands = expands;
        let told = rig.settle();
        let requests = rig.bmc.scene().seen.len();
        println!(
            "{name}, $expand {expands}: {requests} requests, {} series, {} facts, {} log entries",
            told.samples.len(),
            told.facts.len(),
            told.entries.len()
        );
        let rows = check(&folder, &told);
        for (what, there, said) in &rows {
            println!("  {what:45} {there:6} {said:6}");
        }
        for (what, there, said) in rows {
            assert_eq!(there, said, "{what}");
        }
        assert_eq!(told.value("hw.host.power", "redfish"), Some(wall));
        assert_eq!(told.failures, Vec::<String>::new());
        assert_eq!(told.conditions, Vec::<String>::new());
        let mac = told
            .facts
            .values()
            .find(|value| value.to_ascii_lowercase().contains("e4:3d:1a"));
        assert_eq!(mac, None);
        rig.assert_allowed();
        assert_eq!(rig.bmc.scene().most_sessions, 1);
        let bmc = rig.bmc;
        drop(rig.collector);
        assert_eq!(bmc.scene().sessions.len(), 0, "the session was ended");
    }
}

#[test]
fn dell_poweredge_r750() {
    compare("dell_poweredge_r750", 614.0);
}

#[test]
fn lenovo_thinksystem_sr670() {
    compare("lenovo_thinksystem_sr670", 416.0);
}
