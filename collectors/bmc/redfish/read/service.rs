//! The service root, chassis, systems and managers: what there is, and where the rest lies.

use glasshouse_core::sample::Value;
use glasshouse_core::time::Timestamp;
use serde_json::Value as Json;

use super::{component, described, name_of, status};
use crate::redfish::definitions as is;
use crate::redfish::document::Lenient;
use crate::redfish::harvest::{Harvest, Place};
use crate::redfish::kind::Kind;
use crate::redfish::path::ResourcePath;

pub(super) fn root(document: &Json, place: Place<'_>, out: &mut Harvest) {
    for (name, kind) in [
        ("Chassis", Kind::ChassisCollection),
        ("Systems", Kind::SystemCollection),
        ("Managers", Kind::ManagerCollection),
        ("UpdateService", Kind::UpdateService),
        ("TelemetryService", Kind::TelemetryService),
        ("EventService", Kind::EventService),
    ] {
        out.follow(document.link(name), kind, place.parent);
    }
    // some BMCs leave the links out of their root for a while after a reset and serve the resources all the same
    for (name, kind) in [
        ("Chassis", Kind::ChassisCollection),
        ("Systems", Kind::SystemCollection),
        ("Managers", Kind::ManagerCollection),
    ] {
        if document.property(name).is_none() {
            let path = ResourcePath::parse(&format!("/redfish/v1/{name}"));
            out.follow(path, kind, place.parent);
        }
    }
    let component = component(place);
    let version = document.text("RedfishVersion");
    out.fact(is::REDFISH_VERSION, &component, version.as_deref());
    out.fact(is::VENDOR, &component, document.text("Vendor").as_deref());
}

pub(super) fn chassis(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "enclosure",
        out,
    );
    for (name, kind) in [
        ("Sensors", Kind::SensorCollection),
        ("PowerSubsystem", Kind::PowerSubsystem),
        ("ThermalSubsystem", Kind::ThermalSubsystem),
        ("EnvironmentMetrics", Kind::EnvironmentMetrics),
        ("LeakDetectors", Kind::LeakDetectorCollection),
        ("Power", Kind::Power),
        ("Thermal", Kind::Thermal),
        ("Drives", Kind::DriveCollection),
        ("LogServices", Kind::LogServiceCollection),
    ] {
        out.follow(document.link(name), kind, &id);
    }
    described(document, &component(place), out);
    // not a board or a drive cage inside another chassis
    let holds_system = document
        .at(&["Links", "ComputerSystems"])
        .and_then(Json::as_array)
        .is_some_and(|systems| !systems.is_empty());
    out.holds_machine = holds_system
        && document
            .at(&["Links", "ContainedBy", "@odata.id"])
            .is_none();
}

pub(super) fn system(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "enclosure",
        out,
    );
    for (name, kind) in [
        ("Processors", Kind::ProcessorCollection),
        ("Memory", Kind::MemoryCollection),
        ("Storage", Kind::StorageCollection),
        ("LogServices", Kind::LogServiceCollection),
    ] {
        out.follow(document.link(name), kind, &id);
    }
    let component = component(place);
    described(document, &component, out);
    let bios = document.text("BiosVersion");
    out.fact(is::BIOS_VERSION, &component, bios.as_deref());
    for (summary, kind) in [("ProcessorSummary", "cpu"), ("MemorySummary", "memory")] {
        if let Some(document) = document.property(summary) {
            let id = format!("{id}#/{summary}");
            let inner = Place {
                parent: &place.id(),
                ..place
            };
            status(document, &id, summary, inner, kind, out);
        }
    }
}

pub(super) fn manager(document: &Json, place: Place<'_>, now: Timestamp, out: &mut Harvest) {
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "bmc",
        out,
    );
    out.follow(
        document.link("LogServices"),
        Kind::LogServiceCollection,
        &id,
    );
    described(document, &component(place), out);
    if let Some(at) = document.time("DateTime") {
        #[expect(
            clippy::cast_precision_loss,
            reason = "an offset of years is still exact to a microsecond"
        )]
        let offset = at.nanos().saturating_sub(now.nanos()) as f64 / 1e9;
        out.sample(is::CLOCK_OFFSET, &[&id], Value::F64(offset));
    }
}
