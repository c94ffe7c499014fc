//! Definitions that several collectors of this family share, so that one name means one thing.

use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};

/// What every series here carries: which sensor, what people call it, and what it belongs to.
pub(crate) const SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT];

/// As [`SENSOR`], and what kind of part it is, which OpenTelemetry wants where one metric serves all kinds.
pub(crate) const TYPED_SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT, TYPE];

/// As [`SENSOR`], and which limit.
pub(crate) const LIMIT: &[LabelDefinition] = &[ID, NAME, PARENT, LIMIT_TYPE];

const ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "A name that is unique on the machine and survives reboots.",
};
const NAME: LabelDefinition = LabelDefinition {
    key: "hw.name",
    help: "What the sensor is called: its own label where it has one.",
};
const PARENT: LabelDefinition = LabelDefinition {
    key: "hw.parent",
    help: "The part that the sensor belongs to.",
};
const TYPE: LabelDefinition = LabelDefinition {
    key: "hw.type",
    help: "What kind of part it is, e.g. `cpu`, `memory`, `power_supply`, `enclosure`; `other` where nothing says.",
};
const LIMIT_TYPE: LabelDefinition = LabelDefinition {
    key: "hw.limit_type",
    help: "Which limit, e.g. `high.critical`, `high.degraded`, `long_term`.",
};

const fn gauge(
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
