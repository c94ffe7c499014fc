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
const SOURCE: LabelDefinition = LabelDefinition {
    key: "hw.source",
    help: "Who says it, most trusted first: `dcmi` (BMC by IPMI), `redfish` (BMC by Redfish), `psu_sum` (input of all power supplies added).",
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

pub(crate) const FAN_SPEED_TARGET: MetricDefinition = gauge(
    "hw.fan.speed.target",
    "rpm",
    "Speed that the chip tries to reach, where it rules by speed.",
    "Not the speed that the fan has.",
    SENSOR,
    "/sys/class/hwmon/*/fan*_target",
);

pub(crate) const FAN_DUTY: MetricDefinition = gauge(
    "hw.fan.duty.ratio",
    "1",
    "How hard a fan is driven, from 0 to 1.",
    "Not its speed: a worn or blocked fan turns slower at the same duty.",
    SENSOR,
    "/sys/class/hwmon/*/pwm*",
);

pub(crate) const HUMIDITY: MetricDefinition = gauge(
    "hw.humidity.ratio",
    "1",
    "Relative humidity of the air at a sensor, from 0 to 1.",
    "Not a dew point: that needs the temperature too.",
    SENSOR,
    "/sys/class/hwmon/*/humidity*_input",
);

pub(crate) const HUMIDITY_LIMIT: MetricDefinition = gauge(
    "hw.humidity.limit.ratio",
    "1",
    "Relative humidity outside which the chip raises an alarm.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/humidity*_{min,max,rated_min,rated_max}",
);

pub(crate) const POWER_INSTANT: MetricDefinition = gauge(
    "hw.power.instant",
    "W",
    "Power at the instant of the reading, where the sensor tells an average as well.",
    "Not an average: `hw.power` of the same sensor is.",
    TYPED_SENSOR,
    "/sys/class/hwmon/*/power*_input beside power*_average",
);

pub(crate) const SENSOR_FAULT: MetricDefinition = state(
    "hw.sensor.fault",
    &["ok", "faulty"],
    "Whether a sensor says of itself that it is broken or not connected.",
    "Not a fault of the part that it measures: its reading is absent meanwhile.",
    SENSOR,
    "/sys/class/hwmon/*/{temp,fan,in,curr,power,humidity}*_fault",
);

pub(crate) const SENSOR_ALARM: MetricDefinition = state(
    "hw.sensor.alarm",
    &["clear", "raised"],
    "Whether a chip says that a reading is, or since the last look was, beyond a limit.",
    "Not always of now: a chip that latches alarms shows each once more after it is over.",
    LIMIT,
    "/sys/class/hwmon/*/*_alarm",
);

const fn state(
    name: &'static str,
    states: &'static [&'static str],
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        value: ValueType::State(states),
        ..gauge(name, "{state}", help, is_not, labels, source)
    }
}
