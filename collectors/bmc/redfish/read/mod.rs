//! From documents to values: one file a family of schemas, all lenient.
//!
//! Schemas are those of DMTF's DSP8010 bundle; older and newer ones that say the same are both read, and twins dropped
//! where both are served.

mod cooling;
mod logs;
mod parts;
mod power;
mod report;
mod sensor;
mod service;

use glasshouse_core::condition::Severity;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::hardware::HardwareState;
use glasshouse_core::sample::Value;
use glasshouse_core::time::Timestamp;
use serde_json::Value as Json;

use super::definitions as is;
use super::document::{Lenient, is_whole, own_path};
use super::harvest::{Follow, Harvest, Place, Twin, part_id};
use super::kind::Kind;
use super::path::ResourcePath;

pub(crate) use logs::{Page, entry, event_entry, page};
pub(crate) use report::Report;

/// What a document gives. Entries of logs and metric reports have readers of their own.
pub(crate) fn read(kind: Kind, document: &Json, place: Place<'_>, now: Timestamp) -> Harvest {
    let mut harvest = Harvest::default();
    let out = &mut harvest;
    if kind.member().is_some() {
        members(kind, document, place, out);
        return harvest;
    }
    match kind {
        Kind::Root => service::root(document, place, out),
        Kind::Chassis => service::chassis(document, place, out),
        Kind::System => service::system(document, place, out),
        Kind::Manager => service::manager(document, place, now, out),
        Kind::TelemetryService => {
            let reports = document.link("MetricReports");
            out.follow(reports, Kind::MetricReportCollection, place.parent);
        }
        Kind::UpdateService => {
            let firmware = document.link("FirmwareInventory");
            out.follow(firmware, Kind::FirmwareCollection, place.parent);
        }
        Kind::Sensor => sensor::sensor(document, place, out),
        Kind::Power => power::legacy(document, place, out),
        Kind::PowerSubsystem => power::subsystem(document, place, out),
        Kind::PowerSupply => power::supply(document, place, out),
        Kind::PowerSupplyMetrics => power::supply_metrics(document, place, out),
        Kind::EnvironmentMetrics => power::environment(document, place, out),
        Kind::Thermal => cooling::legacy(document, place, out),
        Kind::ThermalSubsystem => cooling::subsystem(document, place, out),
        Kind::ThermalMetrics => cooling::metrics(document, place, out),
        Kind::Fan => cooling::fan(document, place, out),
        Kind::LeakDetection => cooling::leak_detection(document, place, out),
        Kind::LeakDetector => cooling::leak_detector(document, place, out),
        Kind::Storage => parts::storage(document, place, out),
        Kind::Drive => parts::drive(document, place, out),
        Kind::Memory => parts::memory(document, place, out),
        Kind::MemoryMetrics => parts::memory_metrics(document, place, out),
        Kind::Processor => parts::processor(document, place, out),
        Kind::ProcessorMetrics => parts::processor_metrics(document, place, out),
        Kind::Firmware => parts::firmware(document, place, out),
        Kind::LogService => logs::service(document, place, out),
        _ => {}
    }
    harvest
}

/// Members of a collection: links, or whole resources where they came along.
fn members(kind: Kind, document: &Json, place: Place<'_>, out: &mut Harvest) {
    let Some(member) = kind.member() else { return };
    for (_, entry) in document.objects("Members") {
        // a member that came along is named by its id at the least
        let named =
            || ResourcePath::parse(&format!("{}/{}", place.path.as_str(), entry.text("Id")?));
        if let Some(path) = own_path(entry)
            .or_else(named)
            .filter(|path| path != place.path)
        {
            out.follow.push(Follow {
                path,
                kind: member,
                parent: place.parent.into(),
                inline: is_whole(entry).then(|| entry.clone()),
            });
        }
    }
}

/// Writes `hw.status` where the part is there and its health is told; says whether the part is there.
fn status(
    document: &Json,
    id: &str,
    name: &str,
    place: Place<'_>,
    kind: &str,
    out: &mut Harvest,
) -> bool {
    let Some(status) = document.property("Status") else {
        return true;
    };
    if !is_there(status) {
        return false;
    }
    if let Some(state) = health(status) {
        let part = [id, name, place.parent, kind];
        write_state(state, &HardwareState::OF_ANY_PART, part, &Twin::None, out);
    }
    true
}

/// Whether a status says that there is a part: `Absent` is an empty socket.
fn is_there(status: &Json) -> bool {
    status.text("State").as_deref() != Some("Absent")
}

/// Writes each state that a part can have: 1 for the one that it is in, 0 for the others.
fn write_state(
    state: HardwareState,
    states: &[HardwareState],
    part: [&str; 4],
    twin: &Twin,
    out: &mut Harvest,
) {
    let [id, name, parent, kind] = part;
    for known in states {
        let holds = Value::U64(u64::from(*known == state));
        let labels = [id, name, parent, kind, known.word()];
        out.push(is::STATUS, &labels, Ok(holds), twin.clone());
    }
}

/// What a status says; `None` where nothing is said.
fn health(status: &Json) -> Option<HardwareState> {
    let health = status
        .text("Health")
        .or_else(|| status.text("HealthRollup"))?;
    health_word(&health)
}

fn health_word(word: &str) -> Option<HardwareState> {
    match word {
        "OK" | "Ok" | "ok" => Some(HardwareState::Ok),
        "Warning" => Some(HardwareState::Degraded),
        "Critical" => Some(HardwareState::Failed),
        _ => None,
    }
}

/// A name for people: `Name`, else `Id`, else the last word of the path.
fn name_of(document: &Json, path: &ResourcePath) -> String {
    document
        .text("Name")
        .or_else(|| document.text("Id"))
        .map_or_else(|| path.last().to_owned(), |name| name.into_owned())
}

/// The name of an entry of a list: `Name`, else what else it may be called, else its number.
fn entry_name(entry: &Json, list: &str, number: usize) -> String {
    entry
        .text("Name")
        .or_else(|| entry.text("FanName"))
        .or_else(|| entry.text("MemberId"))
        .map_or_else(|| format!("{list} {number}"), |name| name.into_owned())
}

/// A number as a value, or that the sensor has none.
fn value_or_absent(number: Option<f64>) -> Result<Value, FailureReason> {
    number.map(Value::F64).ok_or(FailureReason::Unsupported)
}

/// Entries of a list of redundancy groups, old or new style.
fn redundancy(
    document: &Json,
    list: &str,
    place: Place<'_>,
    twin: Option<&Twin>,
    out: &mut Harvest,
) {
    for (number, group) in document.objects(list) {
        let name = group
            .text("Name")
            .or_else(|| group.text("RedundancyType"))
            .map_or_else(|| format!("{list} {number}"), |name| name.into_owned());
        let Some(status) = group.property("Status").filter(|status| is_there(status)) else {
            continue;
        };
        if let Some(state) = health(status) {
            let id = place.entry_id(list, number);
            let part = [&*id, &*name, place.parent, "redundancy"];
            let twin = twin.unwrap_or(&Twin::None);
            write_state(state, &HardwareState::OF_ANY_PART, part, twin, out);
        }
    }
}

/// What the vendor says of a part: maker, model, kind number, firmware.
fn described(document: &Json, component: &str, out: &mut Harvest) {
    for (fact, property) in [
        (is::VENDOR, "Manufacturer"),
        (is::MODEL, "Model"),
        (is::PART_NUMBER, "PartNumber"),
    ] {
        out.fact(fact, component, document.text(property).as_deref());
    }
    let firmware = ["FirmwareVersion", "FirmwareRevision", "Revision"]
        .iter()
        .find_map(|property| document.text(property));
    out.fact(is::FIRMWARE_VERSION, component, firmware.as_deref());
}

/// The component of a fact: `bmc/<bmc>/Systems/1/Memory/2`.
fn component(place: Place<'_>) -> String {
    format!("bmc/{}", part_id(place.bmc, place.path))
}

/// How much an entry's own word for severity matters.
fn severity(word: Option<&str>) -> Severity {
    match word {
        Some("Critical" | "Fatal") => Severity::Critical,
        Some("Warning") => Severity::Warning,
        _ => Severity::Info,
    }
}
