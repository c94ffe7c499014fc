//! Definitions that IPMI and Redfish share, so that one name means one thing.
//!
//! What the power family defines too stands here word for word as there; a test holds both equal.

use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};

/// What every series here carries: which sensor, what people call it, and what it belongs to.
pub(crate) const SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT];

/// As [`SENSOR`], and what kind of part it is, which OpenTelemetry wants where one metric serves all kinds.
pub(crate) const TYPED_SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT, TYPE];

/// As [`SENSOR`], and which limit.
pub(crate) const LIMIT: &[LabelDefinition] = &[ID, NAME, PARENT, LIMIT_TYPE];

pub(crate) const ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "A name that is unique on the machine and survives reboots.",
};
pub(crate) const NAME: LabelDefinition = LabelDefinition {
    key: "hw.name",
    help: "What the sensor is called: its own label where it has one.",
};
pub(crate) const PARENT: LabelDefinition = LabelDefinition {
    key: "hw.parent",
    help: "The part that the sensor belongs to.",
};
pub(crate) const TYPE: LabelDefinition = LabelDefinition {
    key: "hw.type",
    help: "What kind of part it is, e.g. `cpu`, `memory`, `power_supply`, `enclosure`; `other` where nothing says.",
};
const LIMIT_TYPE: LabelDefinition = LabelDefinition {
    key: "hw.limit_type",
    help: "Which limit, e.g. `high.critical`, `high.degraded`, `long_term`.",
};
const SOURCE: LabelDefinition = LabelDefinition {
    key: "hw.source",
    help: "Who says it, most trusted first: `dcmi` (BMC by IPMI), `redfish` (BMC by Redfish), `psu_sum` (input of all power supplies added).",
};

pub(crate) const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help,
        is_not,
        labels,
        source,
        audience: Audience::Operator,
    }
}

pub(crate) const TEMPERATURE: MetricDefinition = gauge(
    "hw.temperature",
    "Cel",
    "Temperature that a sensor shows.",
    "Not always a true temperature: some sensors (AMD's Tctl) show an offset scale for fans.",
    SENSOR,
    "/sys/class/hwmon/*/temp*_input, /sys/class/thermal/thermal_zone*/temp",
);

pub(crate) const TEMPERATURE_LIMIT: MetricDefinition = gauge(
    "hw.temperature.limit",
    "Cel",
    "Temperature at which the part degrades or is in danger, as the driver says.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/temp*_{max,crit,emergency}",
);

pub(crate) const VOLTAGE: MetricDefinition = gauge(
    "hw.voltage",
    "V",
    "Voltage that a sensor shows.",
    "Not always scaled: without the board's configuration some chips show the voltage at their pin.",
    SENSOR,
    "/sys/class/hwmon/*/in*_input",
);

pub(crate) const CURRENT: MetricDefinition = gauge(
    "hw.current",
    "A",
    "Current that a sensor shows.",
    "Not power: that needs the voltage too.",
    SENSOR,
    "/sys/class/hwmon/*/curr*_input",
);

pub(crate) const POWER: MetricDefinition = gauge(
    "hw.power",
    "W",
    "Power that a sensor shows, averaged by the sensor where it can.",
    "Not the power of the machine: it is what passes this sensor.",
    TYPED_SENSOR,
    "/sys/class/hwmon/*/power*_{average,input}",
);

pub(crate) const POWER_LIMIT: MetricDefinition = gauge(
    "hw.power.limit",
    "W",
    "Power that the part may draw, by kind of limit; `rated` ones are what its maker allows at most.",
    "Not what it draws, and not read each time: limits are looked up every few runs.",
    LIMIT,
    "/sys/class/powercap/*/constraint_*_power_limit_uw, /sys/class/hwmon/*/power*_cap",
);

pub(crate) const FAN_SPEED: MetricDefinition = gauge(
    "hw.fan.speed",
    "rpm",
    "Revolutions of a fan in a minute.",
    "Not proof of an air flow; and 0 may be a fan that is meant to rest.",
    SENSOR,
    "/sys/class/hwmon/*/fan*_input",
);

pub(crate) const ENERGY: MetricDefinition = MetricDefinition {
    kind: MetricKind::Counter,
    ..gauge(
        "hw.energy",
        "J",
        "Energy that the part used since the count began; its rate is the power.",
        "Not since boot: powercap's is counted from the first reading of the collector on, a chip's by the chip.",
        TYPED_SENSOR,
        "/sys/class/powercap/*/energy_uj, /sys/class/hwmon/*/energy*_input",
    )
};

/// Wall power. `dcmi` and `redfish` come from the BMC, `psu_sum` from whoever reads every power supply.
pub(crate) const HOST_POWER: MetricDefinition = gauge(
    "hw.host.power",
    "W",
    "Power that the whole machine draws from its feeds.",
    "Not what its parts use: losses of the power supplies are in it; and where several sources answer, the series must not be added.",
    &[SOURCE],
    "DCMI Get Power Reading, Redfish PowerConsumedWatts, or the sum of the power supplies' input",
);

pub(crate) const VOLTAGE_LIMIT: MetricDefinition = gauge(
    "hw.voltage.limit",
    "V",
    "Voltage at which the part degrades or is in danger, as the driver says.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/in*_{min,max,lcrit,crit,rated_min,rated_max}",
);

pub(crate) const CURRENT_LIMIT: MetricDefinition = gauge(
    "hw.current.limit",
    "A",
    "Current at which the part degrades or is in danger, as the driver says.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/curr*_{min,max,lcrit,crit,rated_min,rated_max}",
);

pub(crate) const FAN_SPEED_LIMIT: MetricDefinition = gauge(
    "hw.fan.speed.limit",
    "rpm",
    "Speed below or above which the fan counts as failing, as the driver says.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/fan*_{min,max}",
);

pub(crate) const HUMIDITY: MetricDefinition = gauge(
    "hw.humidity.ratio",
    "1",
    "Relative humidity of the air at a sensor, from 0 to 1.",
    "Not a dew point: that needs the temperature too.",
    SENSOR,
    "/sys/class/hwmon/*/humidity*_input",
);

/// Speed of a fan as a share of its greatest.
pub(crate) const FAN_SPEED_RATIO: MetricDefinition = gauge(
    "hw.fan.speed_ratio",
    "1",
    "Speed of a fan as a share of its greatest, as the BMC says.",
    "Not the speed that was asked for, and not proof of an air flow.",
    SENSOR,
    "Redfish Fan.SpeedPercent, Thermal.Fans, IPMI fan sensors in percent",
);

/// States of [`STATUS`], OpenTelemetry's values of `hw.state`; a value is an index into them.
pub(crate) const STATUS_STATES: &[&str] = &["ok", "degraded", "failed", "predicted_failure"];

/// The health of a part by the word of the BMC.
pub(crate) const STATUS: MetricDefinition = MetricDefinition {
    value: ValueType::State(STATUS_STATES),
    ..gauge(
        "hw.status",
        "1",
        "Health of a part (OpenTelemetry's `hw.state`), as the device that watches it says.",
        "Not a judgement of ours; and a part that is not there has no status at all.",
        TYPED_SENSOR,
        "Redfish Status.Health and Drive.FailurePredicted, IPMI discrete sensors",
    )
};

/// What a sensor in a unit that has no metric of its own shows.
pub(crate) const SENSOR_READING: MetricDefinition = gauge(
    "hw.sensor.reading",
    "{reading}",
    "What a sensor shows that measures neither heat, power, voltage, current, energy nor speed.",
    "Not comparable over units: the label says which one it is.",
    &[ID, NAME, PARENT, UNIT],
    "Redfish Sensor.Reading, IPMI sensors in other units",
);

const UNIT: LabelDefinition = LabelDefinition {
    key: "hw.sensor.unit",
    help: "The unit as the BMC names it, e.g. `CFM`, `Hz`, `kPa`.",
};

/// A share that a sensor shows: load, duty, utilization.
pub(crate) const SENSOR_RATIO: MetricDefinition = gauge(
    "hw.sensor.ratio",
    "1",
    "A share that a sensor of a BMC shows in percent, from 0 to 1.",
    "Not what the operating system counts: a BMC estimates load by its own means.",
    SENSOR,
    "Redfish Sensor.Reading in percent, IPMI sensors in percent",
);

/// How long a BMC takes to answer.
pub(crate) const RESPONSE: MetricDefinition = gauge(
    "hw.bmc.response.duration",
    "s",
    "Longest time that one request to the BMC took since the last run.",
    "Not the age of a reading; and nothing where no request was answered.",
    &[ID],
    "the collector's own clock",
);

/// How far a BMC's clock is off.
pub(crate) const CLOCK_OFFSET: MetricDefinition = gauge(
    "hw.bmc.clock.offset",
    "s",
    "How far the clock of the BMC is ahead of the machine that asks.",
    "Not exact: a BMC tells whole seconds, and the way there counts too.",
    &[ID],
    "Redfish Manager.DateTime, IPMI Get SEL Time",
);

/// Entries of a log of a BMC.
pub(crate) const LOG_ENTRIES: MetricDefinition = gauge(
    "hw.bmc.log.entries",
    "{entry}",
    "Entries that a log of the BMC holds.",
    "Not all that happened: a full log drops entries, old or new ones.",
    SENSOR,
    "Redfish Members@odata.count of LogEntryCollection, IPMI Get SEL Info",
);

/// Room of a log of a BMC.
pub(crate) const LOG_LIMIT: MetricDefinition = gauge(
    "hw.bmc.log.limit",
    "{entry}",
    "Entries that a log of the BMC can hold.",
    "Not the room that is left.",
    SENSOR,
    "Redfish LogService.MaxNumberOfRecords",
);
