//! What IPMI says, as data.

use glasshouse_core::fact::FactDefinition;
use glasshouse_core::hardware::{self, ID, NAME, PARENT, TYPE, facts};
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, gauge, state};

const STATE: LabelDefinition = LabelDefinition {
    key: "hw.sensor.state",
    help: "Which state, by the word of the IPMI tables, e.g. `input_lost`; a maker's own as `08h:70h/02` (kind of sensor, event type, offset).",
};

/// Where readings come from.
const READING: &str = "IPMI Get Sensor Reading";

/// Where limits come from.
const THRESHOLDS: &str = "IPMI Get Sensor Thresholds, SDR";

/// Where the power of the machine comes from.
const DCMI: &str = "DCMI Get Power Reading";

/// Where numbers come from that nobody told.
const OWN: &str = "the collector itself";

definitions!(METRICS: MetricDefinition, MetricPlace {
    TEMPERATURE = hardware::temperature(READING);
    TEMPERATURE_LIMIT = hardware::temperature_limit(THRESHOLDS);
    VOLTAGE = hardware::voltage(READING);
    VOLTAGE_LIMIT = hardware::voltage_limit(THRESHOLDS);
    CURRENT = hardware::current(READING);
    CURRENT_LIMIT = hardware::current_limit(THRESHOLDS);
    POWER = hardware::power(READING);
    POWER_LIMIT = hardware::power_limit("IPMI Get Sensor Thresholds, SDR, FRU inventory");
    FAN_SPEED = hardware::fan_speed(READING);
    FAN_SPEED_LIMIT = hardware::fan_speed_limit(THRESHOLDS);
    FAN_SPEED_RATIO = hardware::fan_speed_ratio(READING);
    SENSOR_READING = hardware::sensor_reading(READING);
    SENSOR_RATIO = hardware::sensor_ratio(READING);
    SENSOR_STATE = gauge(
        "hw.sensor.state",
        "1",
        "Whether a state of a discrete sensor holds: 1 or 0, a series for each state that the sensor can have.",
        "Not a fault in itself: the label says which state it is, and `presence_detected` is as it should be.",
        &[ID, NAME, PARENT, TYPE, STATE],
        "IPMI Get Sensor Reading, Get Chassis Status, Get Watchdog Timer, Get SEL Info",
    )
    .amount();
    LIMIT_STATE = state(
        "hw.sensor.limit.state",
        &LIMIT_STATES,
        "Which limit a sensor is beyond by the word of the BMC, the worst of them.",
        "Not what we make of reading and limits: a BMC has hysteresis.",
        &[ID, NAME, PARENT],
        READING,
    );
    HOST_POWER = hardware::host_power("DCMI Get Power Reading, or the sum of the power supplies' input by Get Sensor Reading");
    HOST_POWER_MINIMUM = gauge(
        "hw.host.power.minimum",
        "W",
        "Least power that the whole machine drew in the BMC's statistics period.",
        "Not since boot: the period is the BMC's own, see `hw.host.power.period`.",
        &[ID],
        DCMI,
    );
    HOST_POWER_MAXIMUM = gauge(
        "hw.host.power.maximum",
        "W",
        "Most power that the whole machine drew in the BMC's statistics period.",
        "Not since boot: the period is the BMC's own, see `hw.host.power.period`.",
        &[ID],
        DCMI,
    );
    HOST_POWER_AVERAGE = gauge(
        "hw.host.power.average",
        "W",
        "Mean power that the whole machine drew in the BMC's statistics period.",
        "Not the mean over our interval: the period is the BMC's own.",
        &[ID],
        DCMI,
    );
    HOST_POWER_PERIOD = gauge(
        "hw.host.power.period",
        "s",
        "Length of the period of the BMC's power statistics.",
        "Not how often the BMC measures.",
        &[ID],
        DCMI,
    );
    RESPONSE = hardware::bmc_response(OWN);
    CLOCK_OFFSET = hardware::bmc_clock_offset("IPMI Get SEL Time");
    LOG_ENTRIES = hardware::bmc_log_entries("IPMI Get SEL Info");
    LOG_LIMIT = hardware::bmc_log_limit("IPMI Get SEL Info");
    REQUESTS = hardware::bmc_requests(OWN);
    PERIOD = hardware::bmc_period(OWN);
});

/// States of `hw.sensor.limit.state`.
pub(crate) static LIMIT_STATES: [&str; 7] = [
    "ok",
    "low.degraded",
    "low.critical",
    "low.emergency",
    "high.degraded",
    "high.critical",
    "high.emergency",
];

const fn fact(key: &'static str, help: &'static str, source: &'static str) -> FactDefinition {
    FactDefinition { key, help, source }
}

/// Where facts about parts come from.
const FRU: &str = "FRU inventory";

definitions!(FACTS: FactDefinition, FactPlace {
    VENDOR = facts::vendor(FRU);
    MODEL = facts::model(FRU);
    PART_NUMBER = facts::part_number(FRU);
    VERSION = facts::version(FRU);
    FIRMWARE_VERSION = facts::firmware_version("IPMI Get Device ID");
    IPMI_VERSION = fact("hw.bmc.ipmi.version", "Version of IPMI that the BMC speaks.", "IPMI Get Device ID");
    MANUFACTURER_ID = fact("hw.bmc.manufacturer_id", "IANA enterprise number of the BMC's maker.", "IPMI Get Device ID");
    PRODUCT_ID = fact("hw.bmc.product_id", "The maker's number of the product.", "IPMI Get Device ID");
    SELF_TEST = fact("hw.bmc.self_test", "What the BMC's self test found.", "IPMI Get Self Test Results");
});
