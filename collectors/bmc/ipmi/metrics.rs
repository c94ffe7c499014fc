//! What IPMI says, as data. Definitions that Redfish or the power family share stand in `crate::metrics`.

use glasshouse_core::fact::FactDefinition;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, MetricKind, ValueType};

use crate::metrics::{
    CLOCK_OFFSET, CURRENT, CURRENT_LIMIT, FAN_SPEED, FAN_SPEED_LIMIT, FAN_SPEED_RATIO, HOST_POWER,
    ID, LOG_ENTRIES, LOG_LIMIT, NAME, PARENT, POWER, POWER_LIMIT, RESPONSE, SENSOR_RATIO,
    SENSOR_READING, TEMPERATURE, TEMPERATURE_LIMIT, TYPE, VOLTAGE, VOLTAGE_LIMIT, gauge,
};

const STATE: LabelDefinition = LabelDefinition {
    key: "hw.state",
    help: "Which state, by the word of the IPMI tables, e.g. `input_lost`; a maker's own as `08h:70h/02` (kind of sensor, event type, offset).",
};

/// Every metric, in the order in which they are listed; both IPMI collectors have them.
pub(crate) static METRICS: [MetricDefinition; 27] = [
    TEMPERATURE,
    TEMPERATURE_LIMIT,
    VOLTAGE,
    VOLTAGE_LIMIT,
    CURRENT,
    CURRENT_LIMIT,
    POWER,
    POWER_LIMIT,
    FAN_SPEED,
    FAN_SPEED_LIMIT,
    FAN_SPEED_RATIO,
    SENSOR_READING,
    SENSOR_RATIO,
    MetricDefinition {
        // as OpenTelemetry has its `hw.status`: a series for each state, added up over parts
        kind: MetricKind::UpDownCounter,
        value: ValueType::U64,
        ..gauge(
            "hw.sensor.state",
            "1",
            "Whether a state of a discrete sensor holds: 1 or 0, a series for each state that the sensor can have.",
            "Not a fault in itself: the label says which state it is, and `presence_detected` is as it should be.",
            &[ID, NAME, PARENT, TYPE, STATE],
            "IPMI Get Sensor Reading, Get Chassis Status, Get Watchdog Timer, Get SEL Info",
        )
    },
    MetricDefinition {
        value: ValueType::State(&LIMIT_STATES),
        ..gauge(
            "hw.sensor.limit.state",
            "{state}",
            "Which limit a sensor is beyond by the word of the BMC, the worst of them.",
            "Not what we make of reading and limits: a BMC has hysteresis.",
            &[ID, NAME, PARENT],
            "IPMI Get Sensor Reading",
        )
    },
    HOST_POWER,
    gauge(
        "hw.host.power.minimum",
        "W",
        "Least power that the whole machine drew in the BMC's statistics period.",
        "Not since boot: the period is the BMC's own, see `hw.host.power.period`.",
        &[ID],
        "DCMI Get Power Reading",
    ),
    gauge(
        "hw.host.power.maximum",
        "W",
        "Most power that the whole machine drew in the BMC's statistics period.",
        "Not since boot: the period is the BMC's own, see `hw.host.power.period`.",
        &[ID],
        "DCMI Get Power Reading",
    ),
    gauge(
        "hw.host.power.average",
        "W",
        "Mean power that the whole machine drew in the BMC's statistics period.",
        "Not the mean over our interval: the period is the BMC's own.",
        &[ID],
        "DCMI Get Power Reading",
    ),
    gauge(
        "hw.host.power.period",
        "s",
        "Length of the period of the BMC's power statistics.",
        "Not how often the BMC measures.",
        &[ID],
        "DCMI Get Power Reading",
    ),
    RESPONSE,
    CLOCK_OFFSET,
    LOG_ENTRIES,
    LOG_LIMIT,
    MetricDefinition {
        kind: MetricKind::Counter,
        value: ValueType::U64,
        ..gauge(
            "hw.bmc.ipmi.requests",
            "{request}",
            "Requests sent to the BMC by IPMI.",
            "Not the messages on the wire: opening and closing a session and repeats come besides.",
            &[ID],
            "the collector's own count",
        )
    },
    MetricDefinition {
        kind: MetricKind::Counter,
        value: ValueType::U64,
        ..gauge(
            "hw.bmc.ipmi.timeouts",
            "{request}",
            "Requests by IPMI that the BMC did not answer in time.",
            "Not requests that it refused.",
            &[ID],
            "the collector's own count",
        )
    },
    gauge(
        "hw.bmc.ipmi.period",
        "s",
        "How often the sensors of the BMC are read: longer than configured where the BMC is slow.",
        "Not how often the BMC is asked at all: between, it still has to show that it answers.",
        &[ID],
        "the collector's own pace",
    ),
];

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

/// Every fact.
pub(crate) static FACTS: [FactDefinition; 9] = [
    fact("hw.vendor", "Who made it.", "FRU inventory"),
    fact("hw.model", "What it is called.", "FRU inventory"),
    fact(
        "hw.part_number",
        "Its part or model number.",
        "FRU inventory",
    ),
    fact("hw.version", "Its version.", "FRU inventory"),
    fact(
        "hw.firmware_version",
        "Version of the BMC's firmware.",
        "IPMI Get Device ID",
    ),
    fact(
        "hw.bmc.ipmi.version",
        "Version of IPMI that the BMC speaks.",
        "IPMI Get Device ID",
    ),
    fact(
        "hw.bmc.manufacturer_id",
        "IANA enterprise number of the BMC's maker.",
        "IPMI Get Device ID",
    ),
    fact(
        "hw.bmc.product_id",
        "The maker's number of the product.",
        "IPMI Get Device ID",
    ),
    fact(
        "hw.bmc.self_test",
        "What the BMC's self test found.",
        "IPMI Get Self Test Results",
    ),
];

macro_rules! entries {
    ($($name:ident: $kind:ty = $list:ident[$at:literal];)*) => {
        $(pub(crate) static $name: &$kind = &$list[$at];)*
    };
}

/// Entries of the lists by name: the entries themselves, not copies.
pub(crate) mod is {
    use super::{FACTS, FactDefinition, METRICS, MetricDefinition};

    entries! {
        TEMPERATURE: MetricDefinition = METRICS[0];
        TEMPERATURE_LIMIT: MetricDefinition = METRICS[1];
        VOLTAGE: MetricDefinition = METRICS[2];
        VOLTAGE_LIMIT: MetricDefinition = METRICS[3];
        CURRENT: MetricDefinition = METRICS[4];
        CURRENT_LIMIT: MetricDefinition = METRICS[5];
        POWER: MetricDefinition = METRICS[6];
        POWER_LIMIT: MetricDefinition = METRICS[7];
        FAN_SPEED: MetricDefinition = METRICS[8];
        FAN_SPEED_LIMIT: MetricDefinition = METRICS[9];
        FAN_SPEED_RATIO: MetricDefinition = METRICS[10];
        SENSOR_READING: MetricDefinition = METRICS[11];
        SENSOR_RATIO: MetricDefinition = METRICS[12];
        SENSOR_STATE: MetricDefinition = METRICS[13];
        LIMIT_STATE: MetricDefinition = METRICS[14];
        HOST_POWER: MetricDefinition = METRICS[15];
        HOST_POWER_MINIMUM: MetricDefinition = METRICS[16];
        HOST_POWER_MAXIMUM: MetricDefinition = METRICS[17];
        HOST_POWER_AVERAGE: MetricDefinition = METRICS[18];
        HOST_POWER_PERIOD: MetricDefinition = METRICS[19];
        RESPONSE: MetricDefinition = METRICS[20];
        CLOCK_OFFSET: MetricDefinition = METRICS[21];
        LOG_ENTRIES: MetricDefinition = METRICS[22];
        LOG_LIMIT: MetricDefinition = METRICS[23];
        REQUESTS: MetricDefinition = METRICS[24];
        TIMEOUTS: MetricDefinition = METRICS[25];
        PERIOD: MetricDefinition = METRICS[26];
        VENDOR: FactDefinition = FACTS[0];
        MODEL: FactDefinition = FACTS[1];
        PART_NUMBER: FactDefinition = FACTS[2];
        VERSION: FactDefinition = FACTS[3];
        FIRMWARE_VERSION: FactDefinition = FACTS[4];
        IPMI_VERSION: FactDefinition = FACTS[5];
        MANUFACTURER_ID: FactDefinition = FACTS[6];
        PRODUCT_ID: FactDefinition = FACTS[7];
        SELF_TEST: FactDefinition = FACTS[8];
    }
}
