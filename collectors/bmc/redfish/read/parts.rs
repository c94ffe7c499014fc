//! `Storage`, `Drive`, `Memory`, `Processor`, their metrics, and `SoftwareInventory`.

use glasshouse_core::sample::Value;
use serde_json::Value as Json;

use super::power::labelled;
use super::{component, described, health, is_there, name_of, status};
use crate::redfish::definitions::{fact_named, metric};
use crate::redfish::document::{Lenient, own_path};
use crate::redfish::harvest::{Harvest, Place, Twin};
use crate::redfish::kind::Kind;

/// Index of `predicted_failure` in [`crate::metrics::STATUS_STATES`].
const PREDICTED: u16 = 3;
/// Index of `failed`.
const FAILED: u16 = 2;

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
    let predicted = document.flag("FailurePredicted") == Some(true);
    let state = if predicted && health != Some(FAILED) {
        Some(PREDICTED)
    } else {
        health
    };
    if let Some(state) = state {
        let labels = [&*id, &*name, place.parent, "physical_disk"];
        out.sample(metric("hw.status"), &labels, Value::State(state));
    }
    if let Some(percent) = document.number("PredictedMediaLifeLeftPercent") {
        let labels = [&*id, &*name, place.parent, "remaining"];
        let metric = metric("hw.physical_disk.endurance_utilization");
        out.sample(metric, &labels, Value::F64(percent / 100.0));
    }
    environment_of(document, &id, out);
    let component = component(place);
    described(document, &component, out);
    let capacity = document.text("CapacityBytes");
    out.fact(fact_named("hw.capacity"), &component, capacity.as_deref());
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
        labelled("hw.clock.speed", labels, Some(speed * 1e6), Twin::None, out);
    }
    if let Some(size) = document.number("CapacityMiB") {
        labelled(
            "hw.memory.size",
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
            ("CorrectableECCErrorCount", "correctable"),
            ("UncorrectableECCErrorCount", "uncorrectable"),
            (
                "IndeterminateCorrectableErrorCount",
                "indeterminate_correctable",
            ),
            (
                "IndeterminateUncorrectableErrorCount",
                "indeterminate_uncorrectable",
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
        labelled("hw.clock.speed", labels, Some(speed * 1e6), Twin::None, out);
    }
    out.follow(document.link("Metrics"), Kind::ProcessorMetrics, &id);
    environment_of(document, &id, out);
    let component = component(place);
    described(document, &component, out);
    let microcode = document
        .property("ProcessorId")
        .and_then(|id| id.text("MicrocodeInfo"));
    out.fact(fact_named("hw.microcode"), &component, microcode.as_deref());
}

pub(super) fn processor_metrics(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let owner = place.parent;
    let name = owner.rsplit('/').next().unwrap_or_default();
    for (property, kind, word) in [
        ("TemperatureCelsius", "hw.temperature", "temperature"),
        ("ConsumedPowerWatt", "hw.power", "power"),
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
            ("CorrectableCoreErrorCount", "correctable_core"),
            ("UncorrectableCoreErrorCount", "uncorrectable_core"),
            ("CorrectableOtherErrorCount", "correctable_other"),
            ("UncorrectableOtherErrorCount", "uncorrectable_other"),
        ],
        out,
    );
    if let Some(bus) = document.property("PCIeErrors") {
        errors(
            bus,
            place,
            "cpu",
            &[
                ("CorrectableErrorCount", "pcie_correctable"),
                ("NonFatalErrorCount", "pcie_nonfatal"),
                ("FatalErrorCount", "pcie_fatal"),
                ("ReplayCount", "pcie_replay"),
            ],
            out,
        );
    }
}

/// Counts over the life of a part; where a document has none such, those that stand in it itself.
fn errors(
    document: &Json,
    place: Place<'_>,
    kind: &str,
    counts: &[(&str, &str)],
    out: &mut Harvest,
) {
    let owner = place.parent;
    let name = owner.rsplit('/').next().unwrap_or_default();
    let life = document.property("LifeTime").unwrap_or(document);
    for (property, word) in counts {
        if let Some(count) = life.property(property).and_then(Json::as_u64) {
            let labels = [owner, name, owner, kind, word];
            out.sample(metric("hw.errors"), &labels, Value::U64(count));
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
    out.fact(
        fact_named("hw.firmware_version"),
        &component,
        version.as_deref(),
    );
    out.fact(
        fact_named("hw.name"),
        &component,
        document.text("Name").as_deref(),
    );
}
