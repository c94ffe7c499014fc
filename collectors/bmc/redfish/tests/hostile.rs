//! Documents that are wrong in every way: the rest still counts, and nothing is asked without end.

use std::collections::BTreeMap;

use glasshouse_core::time::Timestamp;
use glasshouse_sim::redfish::{FakeBmc, Fault};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::harvest::Place;
use super::super::kind::Kind;
use super::super::path::ResourcePath;
use super::super::read::{Report, event_entry, page, read};
use super::super::timing::Timing;
use super::rig::{PRESSED, Rig};
use super::small::{self, SENSOR};

const SENSORS: &str = "/redfish/v1/Chassis/New/Sensors";

fn with_sensors(members: Vec<Json>, more: Vec<(&str, Json)>) -> BTreeMap<String, Json> {
    let mut tree = small::tree();
    for (id, mut sensor) in more {
        if let Some(sensor) = sensor.as_object_mut() {
            sensor.insert("@odata.id".to_owned(), link(id)["@odata.id"].clone());
        }
        tree.insert(format!("{SENSORS}/{id}"), sensor);
    }
    let collection = tree.get_mut(SENSORS).unwrap();
    collection["Members"]
        .as_array_mut()
        .unwrap()
        .extend(members);
    tree
}

fn link(id: &str) -> Json {
    json!({"@odata.id": format!("{SENSORS}/{id}")})
}

#[test]
fn odd_members_cost_themselves() {
    let odd = vec![
        json!(null),
        json!(7),
        json!("text"),
        json!([[]]),
        json!({}),
        json!({"@odata.id": null}),
        json!({"@odata.id": 12}),
        json!({"@odata.id": "https://elsewhere/redfish/v1/Chassis/1"}),
        json!({"@odata.id": "/redfish/v1/AccountService/Accounts/1"}),
        json!({"@odata.id": "/etc/passwd"}),
        json!({"@odata.id": SENSORS}),
        link("Missing"),
        link("Text"),
        link("Null"),
        link("Wrong"),
        link("Listed"),
    ];
    let more = vec![
        (
            "Text",
            json!({"Name": "Text", "Reading": "41.5", "ReadingType": "Temperature", "ReadingUnits": "Cel"}),
        ),
        (
            "Null",
            json!({"Name": "Null", "Reading": null, "ReadingType": "Temperature", "ReadingUnits": "Cel"}),
        ),
        (
            "Wrong",
            json!({"Name": ["x"], "Reading": {"a": 1}, "ReadingType": 4, "ReadingUnits": false, "Status": 7,
            "Thresholds": "none"}),
        ),
        ("Listed", json!([1, 2])),
    ];
    for expands in [true, false] {
        let mut rig = Rig::of_documents(with_sensors(odd.clone(), more.clone()));
        rig.bmc.scene().expands = expands;
        let told = rig.settle();
        assert!(
            told.value("hw.temperature", SENSOR).is_some(),
            "the good one"
        );
        assert_eq!(
            told.value("hw.temperature", "r1/Chassis/New/Sensors/Text"),
            Some(41.5)
        );
        let null = told
            .samples
            .values()
            .find(|sample| sample.labels[0].ends_with("/Null"));
        assert!(null.unwrap().value.is_err());
        rig.assert_allowed();
    }
}

#[test]
fn ten_thousand_members_are_bounded() {
    let members = (0..10_000).map(|n| link(&format!("n{n}"))).collect();
    let hour = Timing {
        deadlines: super::super::client::Deadlines {
            minute: std::time::Duration::from_hours(1),
            ..PRESSED.deadlines
        },
        ..PRESSED
    };
    let bmc = FakeBmc::serve(with_sensors(members, Vec::new()), None).unwrap();
    let mut rig = Rig::new(bmc, hour, |table| table);
    let told = rig.settle();
    assert!(told.value("hw.temperature", SENSOR).is_some());
    assert!(rig.bmc.scene().seen.len() <= 600);
}

#[test]
fn what_is_no_document_is_a_failure_with_a_name() {
    let html = || Fault::Text("text/html", "<html>Login</html>".to_owned());
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    let long = format!("{{\"Name\": \"{}\"}}", "x".repeat(5 << 20));
    for fault in [
        html(),
        Fault::Text("application/json", "[]".to_owned()),
        Fault::Text("application/json", "{\"Fans\": [".to_owned()),
        Fault::Text("application/json", deep),
        Fault::Text("application/json", long),
        Fault::Status(500),
        Fault::Redirect("https://elsewhere/redfish/v1/Chassis".to_owned()),
    ] {
        let mut rig = Rig::of_documents(small::tree());
        let path = "/redfish/v1/Chassis/Old/Thermal";
        rig.bmc
            .scene()
            .faults
            .insert(path.to_owned(), fault.clone());
        let told = rig.settle();
        let named = told.failures.iter().any(|error| error.contains(path));
        assert!(named, "{:.60}: {:?}", format!("{fault:?}"), told.failures);
        assert!(told.value("hw.temperature", SENSOR).is_some());
        assert_eq!(told.conditions, ["cooling.leak"]);
    }
}

#[test]
fn a_bmc_that_serves_only_html_says_nothing_and_breaks_nothing() {
    let mut rig = Rig::of_documents(small::tree());
    let page = Fault::Text("text/html", "<html></html>".to_owned());
    rig.bmc.scene().faults.insert("*".to_owned(), page);
    let recording = rig.run();
    assert!(!recording.failures.is_empty());
    assert!(recording.value("hw.host.power", &["redfish"]).is_none());
}

#[test]
fn a_part_that_is_taken_out_is_missing_and_not_old() {
    let mut rig = Rig::of_documents(small::tree());
    rig.settle();
    {
        let mut scene = rig.bmc.scene();
        let thermal = scene
            .documents
            .get_mut("/redfish/v1/Chassis/Old/Thermal")
            .unwrap();
        thermal["Fans"].as_array_mut().unwrap().remove(1);
    }
    let gone = "r1/Chassis/Old/Thermal#/Fans/1";
    let recording = rig.run_until(|recording, _| {
        recording
            .samples
            .iter()
            .any(|sample| sample.labels[0] == gone && sample.value.is_err())
    });
    let told = recording
        .samples
        .iter()
        .find(|sample| sample.labels[0] == gone)
        .unwrap();
    assert_eq!(
        told.value,
        Err(glasshouse_core::failure::FailureReason::Missing)
    );
    let after = rig.run();
    assert!(after.samples.iter().all(|sample| sample.labels[0] != gone));
}

/// Names that the readers look for, so that they find wrong things under them.
const NAMES: &[&str] = &[
    "@odata.id",
    "Members",
    "Members@odata.nextLink",
    "Name",
    "Id",
    "Status",
    "State",
    "Health",
    "Reading",
    "ReadingUnits",
    "ReadingType",
    "Thresholds",
    "UpperCritical",
    "PowerControl",
    "PowerConsumedWatts",
    "PowerSupplies",
    "Voltages",
    "Fans",
    "Temperatures",
    "ReadingCelsius",
    "Redundancy",
    "SpeedPercent",
    "SpeedRPM",
    "MetricValues",
    "MetricValue",
    "Timestamp",
    "MessageArgs",
    "Message",
    "Created",
    "LogEntry",
    "Links",
    "DateTime",
    "Version",
    "LifeTime",
    "CorrectableECCErrorCount",
    "PowerLimit",
    "LimitInWatts",
    "DetectorState",
    "Drives",
    "InputPowerWatts",
    "CapacityMiB",
    "OperatingSpeedMhz",
    "PredictedMediaLifeLeftPercent",
    "FailurePredicted",
    "PowerWatts",
];

fn json() -> impl Strategy<Value = Json> {
    let name = || proptest::sample::select(NAMES).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
        proptest::sample::select(
            &[
                "OK",
                "Critical",
                "Absent",
                "Cel",
                "%",
                "RPM",
                "/redfish/v1/Chassis/1",
                "1e999",
                "2024-01-01T00:00:00Z"
            ][..]
        )
        .prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            proptest::collection::vec((name(), inner), 0..8)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_document_breaks_a_reader(document in json(), kind in proptest::sample::select(Kind::ALL)) {
        let path = ResourcePath::parse("/redfish/v1/Chassis/1/X").unwrap();
        let place = Place { bmc: "r1", path: &path, parent: "r1/Chassis/1" };
        let harvest = read(kind, &document, place, Timestamp::from_seconds(1));
        for reading in harvest.readings {
            prop_assert!(reading.labels.len() <= reading.metric.labels.len());
            if let Ok(value) = reading.value {
                prop_assert!(value.is_finite() || reading.metric.name != "hw.status");
            }
        }
        page(&document, "r1", &path);
        event_entry(&document, "r1", &path);
        serde_json::from_value::<Report>(document).ok();
    }
}
