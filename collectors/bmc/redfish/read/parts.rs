//! `Storage`, `Drive`, `Memory`, `Processor`, their metrics, and `SoftwareInventory`.

use glasshouse_core::hardware::HardwareState;
use glasshouse_core::sample::Value;
use serde_json::Value as Json;

use super::power::labelled;
use super::{component, described, health, is_there, name_of, status, write_state};
use crate::redfish::definitions as is;
use crate::redfish::document::{Lenient, own_path};
use crate::redfish::harvest::{Harvest, Place, Twin};
use crate::redfish::kind::Kind;

pub(super) fn storage(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "disk_controller",
        out,
    );
    for (_, drive) in document.objects("Drives") {
        out.follow(own_path(drive), Kind::Drive, &id);
    }
}

pub(super) fn drive(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    let said = document.property("Status");
    if said.is_some_and(|status| !is_there(status)) {
        return;
    }
    let health = said.and_then(health);
    let predicted = document.flag("FailurePredicted");
    let state = match health {
        Some(HardwareState::Failed) => health,
        _ if predicted == Some(true) => Some(HardwareState::PredictedFailure),
        _ => health,
    };
    if let Some(state) = state {
        let part = [&*id, &*name, place.parent, "physical_disk"];
        let states: &[HardwareState] = match predicted {
            Some(_) => &HardwareState::OF_A_DRIVE,
            None => &HardwareState::OF_ANY_PART,
        };
        write_state(state, states, part, &Twin::None, out);
    }
    if let Some(percent) = document.number("PredictedMediaLifeLeftPercent") {
        let labels = [&*id, &*name, place.parent, "remaining"];
        out.sample(is::ENDURANCE, &labels, Value::F64(percent / 100.0));
    }
    environment_of(document, &id, out);
    let component = component(place);
    described(document, &component, out);
    let capacity = document.text("CapacityBytes");
    out.fact(is::CAPACITY, &component, capacity.as_deref());
}

pub(super) fn memory(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    if !status(document, &id, &name, place, "memory", out) {
        return;
    }
    let labels = [&*id, &*name, place.parent, "memory"];
    let speed = document
        .number("OperatingSpeedMhz")
        .or_else(|| document.number("OperatingSpeedMHz"));
    if let Some(speed) = speed {
        labelled(is::CLOCK_SPEED, labels, Some(speed * 1e6), Twin::None, out);
    }
    if let Some(size) = document.number("CapacityMiB") {
        labelled(
            is::MEMORY_SIZE,
            labels,
            Some(size * 1_048_576.0),
            Twin::None,
            out,
        );
    }
    out.follow(document.link("Metrics"), Kind::MemoryMetrics, &id);
    environment_of(document, &id, out);
    described(document, &component(place), out);
}

pub(super) fn memory_metrics(document: &Json, place: Place<'_>, out: &mut Harvest) {
    errors(
        document,
        place,
        "memory",
        &[
            ("CorrectableECCErrorCount", "", "corrected"),
            ("UncorrectableECCErrorCount", "", "uncorrected"),
            // of those, or beside them: makers differ
            (
                "IndeterminateCorrectableErrorCount",
                "indeterminate",
                "corrected",
            ),
            (
                "IndeterminateUncorrectableErrorCount",
                "indeterminate",
                "uncorrected",
            ),
        ],
        out,
    );
}

pub(super) fn processor(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    let kind = match document.text("ProcessorType").as_deref() {
        None | Some("CPU" | "Core" | "Thread") => "cpu",
        Some("GPU" | "Accelerator") => "gpu",
        Some(_) => "other",
    };
    if !status(document, &id, &name, place, kind, out) {
        return;
    }
    if let Some(speed) = document.number("OperatingSpeedMHz") {
        let labels = [&*id, &*name, place.parent, kind];
        labelled(is::CLOCK_SPEED, labels, Some(speed * 1e6), Twin::None, out);
    }
    out.follow(document.link("Metrics"), Kind::ProcessorMetrics, &id);
    environment_of(document, &id, out);
    let component = component(place);
    described(document, &component, out);
    let microcode = document
        .property("ProcessorId")
        .and_then(|id| id.text("MicrocodeInfo"));
    out.fact(is::MICROCODE, &component, microcode.as_deref());
}

pub(super) fn processor_metrics(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let owner = place.parent;
    let name = owner.rsplit('/').next().unwrap_or_default();
    for (property, kind, word) in [
        ("TemperatureCelsius", is::TEMPERATURE, "temperature"),
        ("ConsumedPowerWatt", is::POWER, "power"),
    ] {
        if document.property(property).is_some() {
            let id = format!("{owner}/{word}");
            let labels = [&*id, name, owner, "cpu"];
            labelled(kind, labels, document.number(property), Twin::None, out);
        }
    }
    errors(
        document,
        place,
        "cpu",
        &[
            ("CorrectableCoreErrorCount", "core", "corrected"),
            ("UncorrectableCoreErrorCount", "core", "uncorrected"),
            ("CorrectableOtherErrorCount", "other", "corrected"),
            ("UncorrectableOtherErrorCount", "other", "uncorrected"),
        ],
        out,
    );
    let Some(bus) = document.property("PCIeErrors") else {
        return;
    };
    for (property, severity) in [
        ("CorrectableErrorCount", "correctable"),
        ("NonFatalErrorCount", "nonfatal"),
        ("FatalErrorCount", "fatal"),
    ] {
        if let Some(count) = count(bus, property) {
            let labels = [owner, name, owner, "cpu", severity];
            out.sample(is::PCIE_ERRORS, &labels, count);
        }
    }
    if let Some(count) = count(bus, "ReplayCount") {
        out.sample(is::PCIE_REPLAYS, &[owner, name, owner, "cpu"], count);
    }
}

/// A count over the life of a part; where a document has none such, the one that stands in it itself.
fn count(document: &Json, property: &str) -> Option<Value> {
    let life = document.property("LifeTime").unwrap_or(document);
    life.property(property)
        .and_then(Json::as_u64)
        .map(Value::U64)
}

/// Errors by property, the place within the part, and type.
fn errors(
    document: &Json,
    place: Place<'_>,
    kind: &str,
    counts: &[(&str, &str, &str)],
    out: &mut Harvest,
) {
    let owner = place.parent;
    let name = owner.rsplit('/').next().unwrap_or_default();
    for (property, within, word) in counts {
        let Some(count) = count(document, property) else {
            continue;
        };
        if within.is_empty() {
            out.sample(is::ERRORS, &[owner, name, owner, kind, word], count);
        } else {
            let id = format!("{owner}/{within}");
            let name = format!("{name} {within}");
            out.sample(is::ERRORS, &[&id, &name, owner, kind, word], count);
        }
    }
}

fn environment_of(document: &Json, id: &str, out: &mut Harvest) {
    let environment = document.link("EnvironmentMetrics");
    out.follow(environment, Kind::EnvironmentMetrics, id);
}

/// What runs in a part. The id of an inventory entry may hold the version (iDRAC: `Installed-159-1.8.2__BIOS.Setup.1-1`);
/// the component must not, or an update would be a new part.
pub(super) fn firmware(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = document.text("Id");
    let id = id.as_deref().unwrap_or_else(|| place.path.last());
    // firmware that is only kept for going back or forward
    let idle = ["Previous-", "Available-", "Rollback-"];
    if idle.iter().any(|start| id.starts_with(start)) {
        return;
    }
    let version = document.text("Version");
    let stable = version.as_deref().map_or_else(
        || id.to_owned(),
        |version| id.replace(version, "").replace("-__", "__"),
    );
    let component = format!("bmc/{}/firmware/{stable}", place.bmc);
    out.fact(is::FIRMWARE_VERSION, &component, version.as_deref());
    out.fact(is::NAME_GIVEN, &component, document.text("Name").as_deref());
}
