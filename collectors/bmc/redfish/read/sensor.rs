//! `Sensor` (DSP2046): one reading, its limits and its health.

use glasshouse_core::hardware::LimitType;
use serde_json::Value as Json;

use super::{is_there, name_of, status, value_or_absent};
use crate::redfish::definitions as is;
use crate::redfish::document::Lenient;
use crate::redfish::harvest::{Harvest, Place, Twin};
use crate::redfish::units::{Conversion, Says, conversion};
use glasshouse_core::sample::Value;

/// Limits by the schema's names.
const LIMITS: [(&str, LimitType); 6] = [
    ("UpperFatal", LimitType::HighEmergency),
    ("UpperCritical", LimitType::HighCritical),
    ("UpperCaution", LimitType::HighDegraded),
    ("LowerFatal", LimitType::LowEmergency),
    ("LowerCritical", LimitType::LowCritical),
    ("LowerCaution", LimitType::LowDegraded),
];

pub(super) fn sensor(document: &Json, place: Place<'_>, out: &mut Harvest) {
    let id = place.id();
    let name = name_of(document, place.path);
    // health of a sensor that measures nothing is all that it says
    if !status(document, &id, &name, place, "sensor", out) {
        return;
    }
    let context = document.text("PhysicalContext").unwrap_or_default();
    let kind = document.text("ReadingType").unwrap_or_default();
    let unit = document.property("ReadingUnits").and_then(Json::as_str);
    let thresholds = document.property("Thresholds");
    let says = Says {
        kind: &kind,
        unit,
        is_analog: thresholds.is_some()
            || document.number("ReadingRangeMax").is_some()
            || document.number("ReadingRangeMin").is_some(),
        at_fan: context == "Fan" || is_fan_name(&name),
    };
    let Some(conversion) = conversion(says) else {
        return;
    };
    let enclosure = place.enclosure();
    for alias in [&*name, place.path.last()] {
        let key = twin_key(&enclosure, conversion.metric.name, alias);
        out.replaces.push(key);
    }
    let labels = Labels {
        id: &id,
        name: &name,
        parent: place.parent,
        last: last_label(conversion, &context, unit),
    };
    let reading = document.number("Reading");
    let value = value_or_absent(reading.map(|reading| conversion.apply(reading)));
    labels.push(conversion, value, Twin::None, out);
    for (limit, kind) in LIMITS {
        let at = thresholds.and_then(|thresholds| thresholds.property(limit)?.number("Reading"));
        if let (Some(metric), Some(at)) = (conversion.limit, at) {
            let labels = [&*id, &*name, place.parent, kind.word()];
            out.sample(metric, &labels, Value::F64(conversion.apply(at)));
        }
    }
}

/// The key under which a reading may be said twice: once as a sensor, once in an older or summarizing schema.
pub(super) fn twin_key(enclosure: &str, metric: &str, name: &str) -> std::sync::Arc<str> {
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    format!("{enclosure}|{metric}|{plain}").into()
}

/// Labels of one reading; the last one only where the metric has a fourth.
#[derive(Debug)]
pub(super) struct Labels<'l> {
    pub(super) id: &'l str,
    pub(super) name: &'l str,
    pub(super) parent: &'l str,
    pub(super) last: &'l str,
}

impl Labels<'_> {
    /// Writes the reading.
    pub(super) fn push(
        &self,
        conversion: Conversion,
        value: Result<Value, glasshouse_core::failure::FailureReason>,
        twin: Twin,
        out: &mut Harvest,
    ) {
        let all = [self.id, self.name, self.parent, self.last];
        let wanted = conversion.metric.labels.len().min(all.len());
        let labels = all.get(..wanted).unwrap_or_default();
        out.push(conversion.metric, labels, value, twin);
    }
}

fn last_label<'l>(conversion: Conversion, context: &str, unit: Option<&'l str>) -> &'l str {
    if std::ptr::eq(conversion.metric, is::SENSOR_READING) {
        unit.unwrap_or_default()
    } else {
        part_of(context)
    }
}

/// The `hw.type` of a `PhysicalContext`.
pub(super) fn part_of(context: &str) -> &'static str {
    match context {
        "CPU" | "CPUSubsystem" => "cpu",
        "GPU" | "GPUSubsystem" | "Accelerator" | "ASIC" | "FPGA" => "gpu",
        "Memory" | "MemorySubsystem" => "memory",
        "PowerSupply" | "PowerSubsystem" | "PowerSupplyBay" => "power_supply",
        "Fan" | "CoolingSubsystem" => "fan",
        "StorageDevice" | "StorageSubsystem" | "StorageBay" => "physical_disk",
        "NetworkingDevice" | "NetworkBay" => "network",
        "Chassis" | "SystemBoard" | "Room" | "Intake" | "Exhaust" => "enclosure",
        "VoltageRegulator" => "voltage",
        _ => "other",
    }
}

fn is_fan_name(name: &str) -> bool {
    name.to_ascii_lowercase().contains("fan")
}

/// Whether an excerpt names the sensor that it was taken from: that one is read itself.
pub(super) fn has_source(excerpt: Option<&Json>) -> bool {
    excerpt.is_some_and(|excerpt| excerpt.text("DataSourceUri").is_some())
}

/// Whether an entry of an old list is a part that is there.
pub(super) fn entry_is_there(entry: &Json) -> bool {
    entry.property("Status").is_none_or(is_there)
}
