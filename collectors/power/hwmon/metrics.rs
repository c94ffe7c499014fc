//! What the chips say: definitions that other collectors share, read here, and those that only chips have.

use glasshouse_core::hardware::{self, LIMIT, SENSOR};
use glasshouse_core::metric::{MetricDefinition, gauge, state};

pub(super) const HOST_POWER: MetricDefinition =
    hardware::host_power("the sum of the power supplies' input in /sys/class/hwmon");

pub(super) const TEMPERATURE: MetricDefinition =
    hardware::temperature("/sys/class/hwmon/*/temp*_input");

pub(super) const TEMPERATURE_LIMIT: MetricDefinition = hardware::temperature_limit(
    "/sys/class/hwmon/*/temp*_{min,max,lcrit,crit,emergency,rated_min,rated_max}",
);

pub(super) const VOLTAGE: MetricDefinition = hardware::voltage("/sys/class/hwmon/*/in*_input");

pub(super) const VOLTAGE_LIMIT: MetricDefinition =
    hardware::voltage_limit("/sys/class/hwmon/*/in*_{min,max,lcrit,crit,rated_min,rated_max}");

pub(super) const CURRENT: MetricDefinition = hardware::current("/sys/class/hwmon/*/curr*_input");

pub(super) const CURRENT_LIMIT: MetricDefinition =
    hardware::current_limit("/sys/class/hwmon/*/curr*_{min,max,lcrit,crit,rated_min,rated_max}");

pub(super) const POWER: MetricDefinition =
    hardware::power("/sys/class/hwmon/*/power*_{average,input}");

pub(super) const POWER_INSTANT: MetricDefinition =
    hardware::power_instant("/sys/class/hwmon/*/power*_input beside power*_average");

pub(super) const POWER_LIMIT: MetricDefinition = hardware::power_limit(
    "/sys/class/hwmon/*/power*_{min,max,lcrit,crit,cap,cap_min,cap_max,rated_min,rated_max}",
);

pub(super) const FAN_SPEED: MetricDefinition = hardware::fan_speed("/sys/class/hwmon/*/fan*_input");

pub(super) const FAN_SPEED_LIMIT: MetricDefinition =
    hardware::fan_speed_limit("/sys/class/hwmon/*/fan*_{min,max}");

pub(super) const FAN_DUTY: MetricDefinition = hardware::fan_duty("/sys/class/hwmon/*/pwm*");

pub(super) const ENERGY: MetricDefinition = hardware::energy("/sys/class/hwmon/*/energy*_input");

pub(super) const HUMIDITY: MetricDefinition =
    hardware::humidity("/sys/class/hwmon/*/humidity*_input");

pub(super) const FAN_SPEED_TARGET: MetricDefinition = gauge(
    "hw.fan.speed.target",
    "rpm",
    "Speed that the chip tries to reach, where it rules by speed.",
    "Not the speed that the fan has.",
    SENSOR,
    "/sys/class/hwmon/*/fan*_target",
);

pub(super) const HUMIDITY_LIMIT: MetricDefinition = gauge(
    "hw.humidity.limit.ratio",
    "1",
    "Relative humidity outside which the chip raises an alarm.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/humidity*_{min,max,rated_min,rated_max}",
);

pub(super) const SENSOR_FAULT: MetricDefinition = state(
    "hw.sensor.fault",
    &["ok", "faulty"],
    "Whether a sensor says of itself that it is broken or not connected.",
    "Not a fault of the part that it measures: its reading is absent meanwhile.",
    SENSOR,
    "/sys/class/hwmon/*/{temp,fan,in,curr,power,humidity}*_fault",
);

pub(super) const SENSOR_ALARM: MetricDefinition = state(
    "hw.sensor.alarm",
    &["clear", "raised"],
    "Whether a chip says that a reading is, or since the last look was, beyond a limit.",
    "Not always of now: a chip that latches alarms shows each once more after it is over.",
    LIMIT,
    "/sys/class/hwmon/*/*_alarm",
);
