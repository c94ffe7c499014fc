//! `PowerSubsystem`, `PowerSupply`, `PowerSupplyMetrics`, `EnvironmentMetrics`, and the older `Power`.

use glasshouse_core::hardware::{HardwareState, LimitType, PowerCap};
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;
use serde_json::Value as Json;

use super::sensor::{entry_is_there, has_source, part_of, twin_key};
use super::{
    component, described, entry_name, name_of, redundancy, status, value_or_absent, write_state,
};
use crate::redfish::definitions as is;
use crate::redfish::document::Lenient;
use crate::redfish::harvest::{Harvest, Place, Twin, WallPower};
use crate::redfish::kind::Kind;

/// How much a claim on wall power is to be believed: of the chassis with the machine in it before any other, the
/// legacy schema's explicit consumption before the environment's.
const OF_POWER_CONTROL: u8 = 0;
const OF_ENVIRONMENT: u8 = 1;

pub(super) fn subsystem(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let supplies = document.link("PowerSupplies");
    out.follow(supplies, Kind::PowerSupplyCollection, place.parent);
    redundancy(document, "PowerSupplyRedundancy", place, None, out);
    let id = place.id();
    status(
        document,
        &id,
        &name_of(document, place.path),
        place,
        "other",
        out,
    );
    if let Some(rated) = document.number("CapacityWatts") {
        limit(
            &id,
            "Power subsystem",
            place,
            LimitType::RatedMax,
            rated,
            out,
        );
    }
}

pub(super) fn supply(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    out.replaces.push(supplies_key(place));
    if !status(document, &id, &name, place, "power_supply", out) {
        return;
    }
    out.follow(document.link("Metrics"), Kind::PowerSupplyMetrics, &id);
    let component = component(place);
    described(document, &component, out);
    let rated = document.text("PowerCapacityWatts");
    out.fact(is::RATED_WATTS, &component, rated.as_deref());
}

pub(super) fn supply_metrics(document: &Json, place: Place<'_>, out: &mut Harvest) {
    // the supply is what this resource hangs below
    let supply = place.parent;
    let name = supply.rsplit('/').next().unwrap_or_default();
    if let Some(watts) = document.number("InputPowerWatts") {
        out.supplies.push((supply.to_owned(), watts));
        out.replaces.push(metrics_key(place));
    }
    for (property, kind, word) in [
        ("InputPowerWatts", is::POWER, "input"),
        ("OutputPowerWatts", is::POWER, "output"),
        ("InputVoltage", is::VOLTAGE, "input"),
        ("InputCurrentAmps", is::CURRENT, "input"),
        ("EnergykWh", is::ENERGY, "input"),
        ("TemperatureCelsius", is::TEMPERATURE, "inside"),
        ("FanSpeedPercent", is::FAN_SPEED_RATIO, "fan"),
    ] {
        let excerpt = document.property(property);
        if excerpt.is_none() || has_source(excerpt) {
            continue;
        }
        let factor = match property {
            "EnergykWh" => 3.6e6,
            "FanSpeedPercent" => 0.01,
            _ => 1.0,
        };
        let number = document.number(property).map(|number| number * factor);
        let id = format!("{supply}/{word}");
        let name = format!("{name} {word}");
        labelled(
            kind,
            [&id, &name, supply, "power_supply"],
            number,
            Twin::None,
            out,
        );
    }
}

pub(super) fn environment(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let owner = place.parent;
    let name = owner.rsplit('/').next().unwrap_or_default();
    for (property, kind, word, factor) in [
        ("PowerWatts", is::POWER, "power", 1.0),
        ("TemperatureCelsius", is::TEMPERATURE, "temperature", 1.0),
        ("EnergyJoules", is::ENERGY, "energy", 1.0),
        ("HumidityPercent", is::HUMIDITY, "humidity", 0.01),
    ] {
        let excerpt = document.property(property);
        if excerpt.is_none() || has_source(excerpt) {
            continue;
        }
        let number = document.number(property).map(|number| number * factor);
        let id = format!("{owner}/{word}");
        labelled(kind, [&id, name, owner, "other"], number, Twin::None, out);
    }
    let capped = document
        .property("PowerLimitWatts")
        .and_then(|limit| limit.number("SetPoint").or_else(|| limit.number("Reading")));
    if let Some(capped) = capped {
        limit(
            owner,
            name,
            place,
            LimitType::Cap(PowerCap::Only),
            capped,
            out,
        );
    }
    // of a chassis or system itself, not of a processor in it
    if place.path.segments().count() == 3
        && let Some(watts) = document.number("PowerWatts")
    {
        let rank = OF_ENVIRONMENT;
        out.wall.push(WallPower { rank, watts });
    }
}

/// The `Power` of a chassis, deprecated in 2020 and served by most machines.
pub(super) fn legacy(document: &Json, place: Place<'_>, out: &mut Harvest) {
    for (number, control) in document.objects("PowerControl") {
        power_control(number, control, place, out);
    }
    let second = Twin::Second([supplies_key(place)].into());
    for (number, supply) in document.objects("PowerSupplies") {
        legacy_supply(number, supply, place, out);
    }
    for (number, voltage) in document.objects("Voltages") {
        if !entry_is_there(voltage) || voltage.property("ReadingVolts").is_none() {
            // a rail that only says whether it is good has no reading at all
            continue;
        }
        let id = place.entry_id("Voltages", number);
        let name = entry_name(voltage, "Voltage", number);
        let twin = twin_of(place, is::VOLTAGE, &name);
        let volts = voltage.number("ReadingVolts");
        labelled(
            is::VOLTAGE,
            [&id, &name, place.parent, ""],
            volts,
            twin,
            out,
        );
    }
    redundancy(document, "Redundancy", place, Some(&second), out);
}

fn power_control(number: usize, control: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.entry_id("PowerControl", number);
    let name = entry_name(control, "PowerControl", number);
    let context = control.text("PhysicalContext");
    let part = context.as_deref().map_or("enclosure", part_of);
    let watts = control.number("PowerConsumedWatts");
    if control.property("PowerConsumedWatts").is_some() {
        let labels = [&*id, &*name, place.parent, part];
        labelled(is::POWER, labels, watts, Twin::None, out);
    }
    let capped = control
        .property("PowerLimit")
        .and_then(|limit| limit.number("LimitInWatts"));
    for (kind, watts) in [
        (LimitType::Cap(PowerCap::Only), capped),
        (LimitType::RatedMax, control.number("PowerCapacityWatts")),
    ] {
        if let Some(watts) = watts {
            limit(&id, &name, place, kind, watts, out);
        }
    }
    // the first is of the whole chassis; further ones, or one that says so, of a part of it
    let whole = part == "enclosure" && number == 0;
    if let Some(watts) = watts.filter(|watts| whole && *watts > 0.0) {
        let rank = OF_POWER_CONTROL;
        out.wall.push(WallPower { rank, watts });
    }
}

fn legacy_supply(number: usize, supply: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.entry_id("PowerSupplies", number);
    let name = entry_name(supply, "PSU", number);
    let modern = || Twin::Second([supplies_key(place)].into());
    let Some(state) = supply.property("Status").map(super::health) else {
        return supply_readings(supply, &id, &name, place, out);
    };
    if !entry_is_there(supply) {
        return;
    }
    if let Some(state) = state {
        let part = [&*id, &*name, place.parent, "power_supply"];
        write_state(state, &HardwareState::OF_ANY_PART, part, &modern(), out);
    }
    supply_readings(supply, &id, &name, place, out);
    let component = format!("bmc/{id}");
    described(supply, &component, out);
    let rated = supply.text("PowerCapacityWatts");
    out.fact(is::RATED_WATTS, &component, rated.as_deref());
}

fn supply_readings(supply: &Json, id: &str, name: &str, place: Place<'_>, out: &mut Harvest) {
    let output = ["PowerOutputWatts", "LastPowerOutputWatts"]
        .into_iter()
        .find(|property| supply.property(property).is_some());
    for (property, kind, word) in [
        (Some("PowerInputWatts"), is::POWER, "input"),
        (output, is::POWER, "output"),
        (Some("LineInputVoltage"), is::VOLTAGE, "input"),
    ] {
        let Some(property) = property.filter(|property| supply.property(property).is_some()) else {
            continue;
        };
        let labels = [
            &*format!("{id}/{word}"),
            &*format!("{name} {word}"),
            id,
            "power_supply",
        ];
        let twin = Twin::Second([metrics_key(place)].into());
        labelled(kind, labels, supply.number(property), twin, out);
    }
    if let Some(watts) = supply.number("PowerInputWatts") {
        out.supplies.push((id.to_owned(), watts));
    }
}

/// Power supplies of a chassis as resources of their own.
fn supplies_key(place: Place<'_>) -> std::sync::Arc<str> {
    format!("{}|supplies", place.enclosure()).into()
}

/// Their readings: kept apart, because machines serve supplies without metrics and then have readings in the older
/// schema alone.
fn metrics_key(place: Place<'_>) -> std::sync::Arc<str> {
    format!("{}|supply metrics", place.enclosure()).into()
}

pub(super) fn twin_of(place: Place<'_>, metric: &MetricDefinition, name: &str) -> Twin {
    Twin::Second([twin_key(&place.enclosure(), metric.name, name)].into())
}

/// One reading of a metric that has the first three labels, or all four.
pub(super) fn labelled(
    metric: &'static MetricDefinition,
    labels: [&str; 4],
    number: Option<f64>,
    twin: Twin,
    out: &mut Harvest,
) {
    let labels = labels.get(..metric.labels.len().min(4)).unwrap_or_default();
    out.push(metric, labels, value_or_absent(number), twin);
}

fn limit(id: &str, name: &str, place: Place<'_>, kind: LimitType, watts: f64, out: &mut Harvest) {
    let labels = [id, name, place.parent, kind.word()];
    out.sample(is::POWER_LIMIT, &labels, Value::F64(watts));
}
