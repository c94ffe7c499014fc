//! `ThermalSubsystem`, `Fan`, `ThermalMetrics`, `LeakDetection`, and the older `Thermal`.

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::hardware::HardwareState;
use glasshouse_core::text::Untrusted;
use serde_json::Value as Json;

use super::power::{labelled, twin_of};
use super::sensor::{entry_is_there, has_source, twin_key};
use super::{
    component, described, entry_name, health_word, name_of, redundancy, status, write_state,
};
use crate::redfish::definitions as is;
use crate::redfish::document::Lenient;
use crate::redfish::harvest::{Harvest, Place, Twin};
use crate::redfish::kind::Kind;

pub(super) fn subsystem(document: &Json, place: Place<'_>, out: &mut Harvest) {
    out.follow(document.link("Fans"), Kind::FanCollection, place.parent);
    let metrics = document.link("ThermalMetrics");
    out.follow(metrics, Kind::ThermalMetrics, place.parent);
    let leaks = document.link("LeakDetection");
    out.follow(leaks, Kind::LeakDetection, place.parent);
    redundancy(document, "FanRedundancy", place, None, out);
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "other",
        out,
    );
}

pub(super) fn fan(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    out.replaces.push(fans_key(place));
    if !status(document, &id, &name, place, "fan", out) {
        return;
    }
    described(document, &component(place), out);
    let Some(speed) = document.property("SpeedPercent") else {
        return;
    };
    if has_source(Some(speed)) {
        return;
    }
    let label = document
        .at(&["Location", "PartLocation", "ServiceLabel"])
        .and_then(Json::as_str)
        .unwrap_or(&name);
    let enclosure = place.enclosure();
    for (kind, number) in [
        (is::FAN_SPEED, speed.number("SpeedRPM")),
        (
            is::FAN_SPEED_RATIO,
            speed.number("Reading").map(|percent| percent / 100.0),
        ),
    ] {
        let Some(number) = number else { continue };
        // the same fan may be a sensor too, under its id, its name or its label
        let keys = [&*name, place.path.last(), label];
        let keys = keys.map(|name| twin_key(&enclosure, kind.name, name));
        let twin = Twin::Second(keys.into());
        labelled(
            kind,
            [&id, &name, place.parent, ""],
            Some(number),
            twin,
            out,
        );
    }
}

/// Summaries of sensors. They name their sensors, which are read themselves; what names none is read here.
pub(super) fn metrics(document: &Json, place: Place<'_>, out: &mut Harvest) {
    for (number, entry) in document.objects("TemperatureReadingsCelsius") {
        if has_source(Some(entry)) {
            continue;
        }
        let name = entry
            .text("DeviceName")
            .map_or_else(|| format!("Temperature {number}"), |name| name.into_owned());
        let id = place.entry_id("TemperatureReadingsCelsius", number);
        let twin = twin_of(place, is::TEMPERATURE, &name);
        let labels = [&*id, &*name, place.parent, ""];
        labelled(is::TEMPERATURE, labels, entry.number("Reading"), twin, out);
    }
}

/// The `Thermal` of a chassis, deprecated in 2020 and served by most machines.
pub(super) fn legacy(document: &Json, place: Place<'_>, out: &mut Harvest) {
    for (number, entry) in document.objects("Temperatures") {
        // an entry without the property is a sensor that only has states
        if !entry_is_there(entry) || entry.get("ReadingCelsius").is_none() {
            continue;
        }
        let id = place.entry_id("Temperatures", number);
        let name = entry_name(entry, "Temperature", number);
        let twin = twin_of(place, is::TEMPERATURE, &name);
        let labels = [&*id, &*name, place.parent, ""];
        labelled(
            is::TEMPERATURE,
            labels,
            entry.number("ReadingCelsius"),
            twin,
            out,
        );
    }
    for (number, fan) in document.objects("Fans") {
        legacy_fan(number, fan, place, out);
    }
    let second = Twin::Second([fans_key(place)].into());
    redundancy(document, "Redundancy", place, Some(&second), out);
}

fn legacy_fan(number: usize, fan: &Json, place: Place<'_>, out: &mut Harvest) {
    if !entry_is_there(fan) {
        return;
    }
    let id = place.entry_id("Fans", number);
    let name = entry_name(fan, "Fan", number);
    if let Some(state) = fan.property("Status").and_then(super::health) {
        let twin = Twin::Second([fans_key(place)].into());
        let part = [&*id, &*name, place.parent, "fan"];
        write_state(state, &HardwareState::OF_ANY_PART, part, &twin, out);
    }
    // before version 1.1 of the schema: CurrentReading and Units
    let reading = fan
        .number("Reading")
        .or_else(|| fan.number("CurrentReading"));
    let unit = fan.text("ReadingUnits").or_else(|| fan.text("Units"));
    let (kind, factor) = match unit.as_deref() {
        Some("Percent" | "%") => (is::FAN_SPEED_RATIO, 0.01),
        _ => (is::FAN_SPEED, 1.0),
    };
    let mut keys = vec![twin_key(&place.enclosure(), kind.name, &name)];
    if let Some(other) = fan.text("FanName").filter(|other| *other != name) {
        keys.push(twin_key(&place.enclosure(), kind.name, &other));
    }
    let number = reading.map(|reading| reading * factor);
    let twin = Twin::Second(keys.into());
    labelled(kind, [&id, &name, place.parent, ""], number, twin, out);
}

pub(super) fn leak_detection(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let detectors = document.link("LeakDetectors");
    out.follow(detectors, Kind::LeakDetectorCollection, place.parent);
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "leak_detector",
        out,
    );
}

/// A detector's own state counts: its `Status` is the health of the detector, not of the floor.
pub(super) fn leak_detector(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    let Some(word) = document.text("DetectorState") else {
        status(document, &id, &name, place, "leak_detector", out);
        return;
    };
    if !entry_is_there(document) {
        return;
    }
    let Some(state) = health_word(&word) else {
        return;
    };
    let part = [&*id, &*name, place.parent, "leak_detector"];
    write_state(state, &HardwareState::OF_ANY_PART, part, &Twin::None, out);
    if state != HardwareState::Ok {
        out.conditions.push(Condition {
            cause: "cooling.leak".to_owned(),
            severity: Severity::Critical,
            component: Untrusted::new(&format!("bmc/{id}")),
            detail: Untrusted::new(&format!("leak detector `{name}` says {word}")),
        });
    }
}

/// Fans of a chassis as resources of their own.
fn fans_key(place: Place<'_>) -> std::sync::Arc<str> {
    format!("{}|fans", place.enclosure()).into()
}
