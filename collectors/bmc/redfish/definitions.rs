//! Every metric and fact of the collector.

use glasshouse_core::fact::FactDefinition;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};

use crate::metrics::{
    CLOCK_OFFSET, CURRENT, CURRENT_LIMIT, ENERGY, FAN_SPEED, FAN_SPEED_LIMIT, FAN_SPEED_RATIO,
    HOST_POWER, HUMIDITY, ID, LOG_ENTRIES, LOG_LIMIT, NAME, PARENT, POWER, POWER_LIMIT, RESPONSE,
    SENSOR, SENSOR_RATIO, SENSOR_READING, STATUS, TEMPERATURE, TEMPERATURE_LIMIT, TYPE, VOLTAGE,
    VOLTAGE_LIMIT, gauge,
};

pub(crate) static METRICS: [MetricDefinition; 28] = [
    TEMPERATURE,
    TEMPERATURE_LIMIT,
    VOLTAGE,
    VOLTAGE_LIMIT,
    CURRENT,
    CURRENT_LIMIT,
    POWER,
    POWER_LIMIT,
    ENERGY,
    FAN_SPEED,
    FAN_SPEED_LIMIT,
    FAN_SPEED_RATIO,
    HUMIDITY,
    SENSOR_RATIO,
    SENSOR_READING,
    STATUS,
    HOST_POWER,
    ERRORS,
    ENDURANCE,
    CLOCK,
    SIZE,
    TELEMETRY,
    RESPONSE,
    CLOCK_OFFSET,
    LOG_ENTRIES,
    LOG_LIMIT,
    REQUESTS,
    EVENT_SOURCE,
];

/// The entry of [`METRICS`] of that name. An unknown name gives the first: the test over all definitions finds it.
pub(crate) fn metric(name: &str) -> &'static MetricDefinition {
    let [first, ..] = &METRICS;
    METRICS
        .iter()
        .find(|metric| metric.name == name)
        .unwrap_or(first)
}

const ERRORS: MetricDefinition = MetricDefinition {
    kind: MetricKind::Counter,
    value: ValueType::U64,
    ..gauge(
        "hw.errors",
        "{error}",
        "Errors of a part that the BMC counted over its life.",
        "Not what the kernel counts: firmware may correct and count before the kernel sees anything.",
        &[ID, NAME, PARENT, TYPE, ERROR_TYPE],
        "Redfish MemoryMetrics.LifeTime, ProcessorMetrics",
    )
};

const ERROR_TYPE: LabelDefinition = LabelDefinition {
    key: "error.type",
    help: "Which errors, e.g. `correctable`, `uncorrectable`.",
};

const ENDURANCE: MetricDefinition = gauge(
    "hw.physical_disk.endurance_utilization",
    "1",
    "Life that a drive has left by its own estimate, from 1 (new) to 0.",
    "Not the share that is used up: OpenTelemetry's state here is `remaining`.",
    &[ID, NAME, PARENT, DISK_STATE],
    "Redfish Drive.PredictedMediaLifeLeftPercent",
);

const DISK_STATE: LabelDefinition = LabelDefinition {
    key: "hw.physical_disk.state",
    help: "Which share of the life; always `remaining`.",
};

const CLOCK: MetricDefinition = gauge(
    "hw.clock.speed",
    "Hz",
    "Clock at which a processor or a memory module runs, as the BMC was told at boot.",
    "Not measured: a processor changes it all the time, and memory makers count transfers.",
    &[ID, NAME, PARENT, TYPE],
    "Redfish Memory.OperatingSpeedMhz, Processor.OperatingSpeedMHz",
);

const SIZE: MetricDefinition = gauge(
    "hw.memory.size",
    "By",
    "Capacity of a memory module.",
    "Not what the operating system has of it.",
    SENSOR,
    "Redfish Memory.CapacityMiB",
);

const TELEMETRY: MetricDefinition = gauge(
    "hw.telemetry.value",
    "{value}",
    "Newest value of a property in a metric report that the BMC made by itself.",
    "Not of the moment: reports are made in steps, and the unit is that of the property.",
    &[ID, TELEMETRY_METRIC, TELEMETRY_PROPERTY],
    "Redfish TelemetryService MetricReport.MetricValues",
);

const TELEMETRY_METRIC: LabelDefinition = LabelDefinition {
    key: "hw.telemetry.metric",
    help: "The metric by the report's `MetricId`; empty where it has none.",
};

const TELEMETRY_PROPERTY: LabelDefinition = LabelDefinition {
    key: "hw.telemetry.property",
    help: "The property by the report's `MetricProperty`, or the part by what the maker adds; empty where neither is there.",
};

const REQUESTS: MetricDefinition = MetricDefinition {
    kind: MetricKind::Counter,
    value: ValueType::U64,
    audience: Audience::Glasshouse,
    ..gauge(
        "hw.bmc.requests",
        "{request}",
        "Requests sent to the BMC by how they ended; their sum keeps within the budget.",
        "Not what others ask of the BMC.",
        &[ID, OUTCOME],
        "the collector itself",
    )
};

const OUTCOME: LabelDefinition = LabelDefinition {
    key: "hw.bmc.outcome",
    help: "`answered`, `refused` (an error as answer), or `silent`.",
};

const EVENT_SOURCE: MetricDefinition = MetricDefinition {
    value: ValueType::State(&["polling", "stream"]),
    audience: Audience::Glasshouse,
    ..gauge(
        "hw.bmc.event.source",
        "1",
        "How new events of the BMC arrive: logs are read each minute, or it sends them.",
        "Not whether there are any.",
        &[ID],
        "the collector itself",
    )
};

pub(crate) static FACTS: [FactDefinition; 10] = [
    fact("hw.vendor", "Who made the part.", "Redfish Manufacturer"),
    fact("hw.model", "The part's model.", "Redfish Model"),
    fact(
        "hw.part_number",
        "The maker's number for this kind of part.",
        "Redfish PartNumber",
    ),
    fact(
        "hw.firmware_version",
        "Version of the firmware that runs in the part.",
        "Redfish FirmwareVersion, Revision, SoftwareInventory.Version",
    ),
    fact("hw.name", "What the BMC calls the part.", "Redfish Name"),
    fact(
        "hw.bios_version",
        "Version of the system's BIOS.",
        "Redfish ComputerSystem.BiosVersion",
    ),
    fact(
        "hw.redfish_version",
        "Version of the protocol that the BMC speaks.",
        "Redfish ServiceRoot.RedfishVersion",
    ),
    fact(
        "hw.capacity",
        "Capacity of a drive, in bytes.",
        "Redfish Drive.CapacityBytes",
    ),
    fact(
        "hw.rated_watts",
        "Power that the part can give at most, in watts.",
        "Redfish PowerSupply.PowerCapacityWatts",
    ),
    fact(
        "hw.microcode",
        "Microcode of a processor.",
        "Redfish Processor.ProcessorId.MicrocodeInfo",
    ),
];

/// The entry of [`FACTS`] of that key.
pub(crate) fn fact_named(key: &str) -> &'static FactDefinition {
    let [first, ..] = &FACTS;
    FACTS.iter().find(|fact| fact.key == key).unwrap_or(first)
}

const fn fact(key: &'static str, help: &'static str, source: &'static str) -> FactDefinition {
    FactDefinition { key, help, source }
}
