//! Metrics that several collectors write. Each function takes where the collector reads it.

use super::labels::{
    BMC_OUTCOME, BMC_PROTOCOL, ERROR_TYPE, ID, LIMIT, NAME, PARENT, POWER_SOURCE, SENSOR, STATE,
    TYPE, TYPED_SENSOR,
};
use crate::metric::{LabelDefinition, MetricDefinition, gauge};
use crate::wall_power::HOST_POWER;

const SENSOR_UNIT: LabelDefinition = LabelDefinition {
    key: "hw.sensor.unit",
    help: "The unit as the BMC names it, e.g. `CFM`, `Hz`, `kPa`.",
};

const ENDURANCE: &[LabelDefinition] = &[
    ID,
    NAME,
    PARENT,
    LabelDefinition {
        key: "hw.physical_disk.state",
        help: "Always `remaining`.",
    },
];

/// What a sensor of heat shows.
#[must_use]
pub const fn temperature(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.temperature",
        "Cel",
        "Temperature that a sensor shows.",
        "Not always a true temperature: some sensors (AMD's Tctl) show an offset scale for fans.",
        SENSOR,
        source,
    )
}

/// Limits of [`temperature`].
#[must_use]
pub const fn temperature_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.temperature.limit",
        "Cel",
        "Temperature at which the part acts, degrades or is in danger.",
        "Not read each time: limits are looked up again every few minutes.",
        LIMIT,
        source,
    )
}

/// What a sensor of voltage shows.
#[must_use]
pub const fn voltage(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.voltage",
        "V",
        "Voltage that a sensor shows.",
        "Not always scaled: without the board's configuration some chips show the voltage at their pin.",
        SENSOR,
        source,
    )
}

/// Limits of [`voltage`].
#[must_use]
pub const fn voltage_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.voltage.limit",
        "V",
        "Voltage at which the part degrades or is in danger, or for which it is made.",
        "Not read each time: limits are looked up again every few minutes.",
        LIMIT,
        source,
    )
}

/// What a sensor of current shows.
#[must_use]
pub const fn current(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.current",
        "A",
        "Current that a sensor shows.",
        "Not power: that needs the voltage too.",
        SENSOR,
        source,
    )
}

/// Limits of [`current`].
#[must_use]
pub const fn current_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.current.limit",
        "A",
        "Current at which the part degrades or is in danger, or for which it is made.",
        "Not read each time: limits are looked up again every few minutes.",
        LIMIT,
        source,
    )
}

/// What passes a sensor of power.
#[must_use]
pub const fn power(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.power",
        "W",
        "Power that a sensor shows, averaged by the sensor where it can.",
        "Not the power of the machine: it is what passes this sensor.",
        TYPED_SENSOR,
        source,
    )
}

/// As [`power`], not averaged.
#[must_use]
pub const fn power_instant(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.power.instant",
        "W",
        "Power at the instant of the reading, where the sensor tells an average as well.",
        "Not an average: `hw.power` of the same sensor is.",
        TYPED_SENSOR,
        source,
    )
}

/// Limits of [`power`]: caps that are obeyed, alarms that are told, and what the part is made for.
#[must_use]
pub const fn power_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.power.limit",
        "W",
        "Power that the part may draw (`cap*`), is made for (`rated.*`), or at which it raises an alarm (`low.*`, `high.*`).",
        "Not what it draws, and not read each time: limits are looked up every few runs.",
        LIMIT,
        source,
    )
}

/// What a meter of energy counts.
#[must_use]
pub const fn energy(source: &'static str) -> MetricDefinition {
    gauge("hw.energy","J","Energy that the part used since the count began; its rate is the power.","Not since boot: powercap's is counted from the first reading of the collector on, a chip's by the chip.",TYPED_SENSOR,source).counted()
}

/// Wall power: the most trusted source is to be believed ([`crate::wall_power`]).
#[must_use]
pub const fn host_power(source: &'static str) -> MetricDefinition {
    gauge(
        HOST_POWER,
        "W",
        "Power that the whole machine draws from its feeds.",
        "Not what its parts use: losses of the power supplies are in it; and where several sources answer, the series must not be added.",
        &[POWER_SOURCE],
        source,
    )
}

/// How fast a fan turns.
#[must_use]
pub const fn fan_speed(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.fan.speed",
        "rpm",
        "Revolutions of a fan in a minute.",
        "Not proof of an air flow; and 0 may be a fan that is meant to rest.",
        SENSOR,
        source,
    )
}

/// Limits of [`fan_speed`].
#[must_use]
pub const fn fan_speed_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.fan.speed.limit",
        "rpm",
        "Speed below or above which the fan counts as failing.",
        "Not read each time: limits are looked up again every few minutes.",
        LIMIT,
        source,
    )
}

/// How fast a fan turns, where only that is told.
#[must_use]
pub const fn fan_speed_ratio(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.fan.speed_ratio",
        "1",
        "Speed of a fan as a share of its greatest, from 0 to 1.",
        "Not the speed that was asked for, and not proof of an air flow.",
        SENSOR,
        source,
    )
}

/// How hard a fan is driven.
#[must_use]
pub const fn fan_duty(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.fan.duty.ratio",
        "1",
        "How hard a fan is driven, from 0 to 1.",
        "Not its speed: a worn or blocked fan turns slower at the same duty.",
        SENSOR,
        source,
    )
}

/// What a sensor of humidity shows.
#[must_use]
pub const fn humidity(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.humidity.ratio",
        "1",
        "Relative humidity of the air at a sensor, from 0 to 1.",
        "Not a dew point: that needs the temperature too.",
        SENSOR,
        source,
    )
}

/// The health of a part, a series for each [`super::HardwareState`] that the part can have, as OpenTelemetry has it.
#[must_use]
pub const fn status(source: &'static str) -> MetricDefinition {
    gauge("hw.status","1","Whether a part is in a state by the word of what watches it: 1 or 0, a series for each state that it can have.","Not a judgement of ours; and a part that is not there has no status at all.",&[ID, NAME, PARENT, TYPE, STATE],source).amount()
}

/// Errors of memory and processors.
#[must_use]
pub const fn errors(source: &'static str) -> MetricDefinition {
    gauge("hw.errors","{error}","Errors that a part counted, by type.","Not since the part was made, unless the source says so: what counts may have been reset, loaded anew or booted.",&[ID, NAME, PARENT, TYPE, ERROR_TYPE],source).whole().counted()
}

/// What is left of the life of a drive.
#[must_use]
pub const fn endurance(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.physical_disk.endurance_utilization",
        "1",
        "Rated life that a drive has left by its own measure, from 1 (new) to 0.",
        "Not a forecast: drives work on at 0, and fail before it.",
        ENDURANCE,
        source,
    )
}

/// What a sensor in a unit that has no metric of its own shows.
#[must_use]
pub const fn sensor_reading(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.sensor.reading",
        "{reading}",
        "What a sensor shows that measures neither heat, power, voltage, current, energy nor speed.",
        "Not comparable over units: the label says which one it is.",
        &[ID, NAME, PARENT, SENSOR_UNIT],
        source,
    )
}

/// A share that a sensor shows: load, duty, utilization.
#[must_use]
pub const fn sensor_ratio(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.sensor.ratio",
        "1",
        "A share that a sensor of a BMC shows in percent, from 0 to 1.",
        "Not what the operating system counts: a BMC estimates load by its own means.",
        SENSOR,
        source,
    )
}

/// How long a BMC takes to answer.
#[must_use]
pub const fn bmc_response(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.bmc.response.duration",
        "s",
        "Longest time that one request to the BMC took since the last run.",
        "Not the age of a reading; and nothing where no request was answered.",
        &[ID],
        source,
    )
}

/// What a BMC was asked.
#[must_use]
pub const fn bmc_requests(source: &'static str) -> MetricDefinition {
    gauge("hw.bmc.requests","{request}","Requests sent to the BMC by how they ended; their sum is what it was asked.","Not what others ask of the BMC, and not messages on the wire: sessions and repeats come besides.",&[ID, BMC_PROTOCOL, BMC_OUTCOME],source).whole().counted().for_glasshouse()
}

/// The budget of [`bmc_requests`].
#[must_use]
pub const fn bmc_requests_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.bmc.requests.limit",
        "{request}",
        "Requests that are sent to the BMC in any minute at most.",
        "Not what the BMC could bear.",
        &[ID, BMC_PROTOCOL],
        source,
    )
    .whole()
    .for_glasshouse()
}

/// How often the sensors of a BMC are read.
#[must_use]
pub const fn bmc_period(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.bmc.period",
        "s",
        "How often the sensors of the BMC are read: longer than configured where the BMC is slow.",
        "Not how often the BMC is asked at all: between, it still has to show that it answers.",
        &[ID, BMC_PROTOCOL],
        source,
    )
    .for_glasshouse()
}

/// How far a BMC's clock is off.
#[must_use]
pub const fn bmc_clock_offset(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.bmc.clock.offset",
        "s",
        "How far the clock of the BMC is ahead of the machine that asks.",
        "Not exact: a BMC tells whole seconds, and the way there counts too.",
        &[ID],
        source,
    )
}

/// Entries of a log of a BMC.
#[must_use]
pub const fn bmc_log_entries(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.bmc.log.entries",
        "{entry}",
        "Entries that a log of the BMC holds.",
        "Not all that happened: a full log drops entries, old or new ones.",
        SENSOR,
        source,
    )
}

/// Room of a log of a BMC.
#[must_use]
pub const fn bmc_log_limit(source: &'static str) -> MetricDefinition {
    gauge(
        "hw.bmc.log.limit",
        "{entry}",
        "Entries that a log of the BMC can hold.",
        "Not the room that is left.",
        SENSOR,
        source,
    )
}
