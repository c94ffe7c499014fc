//! Every metric and fact of the collector.

use glasshouse_core::fact::FactDefinition;
use glasshouse_core::hardware::{self, ID, NAME, PARENT, PCIE_SEVERITY, SENSOR, TYPE, facts};
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, counter, gauge, state};

/// Where numbers come from that no BMC told.
const OWN: &str = "the collector itself";

/// Where sensors are.
const READING: &str = "Redfish Sensor.Reading, Thermal, Power, and the metrics of each part";

/// Where their limits are.
const THRESHOLDS: &str = "Redfish Sensor.Thresholds";

definitions!(METRICS: MetricDefinition, MetricPlace {
    TEMPERATURE = hardware::temperature(READING);
    TEMPERATURE_LIMIT = hardware::temperature_limit(THRESHOLDS);
    VOLTAGE = hardware::voltage(READING);
    VOLTAGE_LIMIT = hardware::voltage_limit(THRESHOLDS);
    CURRENT = hardware::current(READING);
    CURRENT_LIMIT = hardware::current_limit(THRESHOLDS);
    POWER = hardware::power(READING);
    POWER_LIMIT = hardware::power_limit("Redfish Sensor.Thresholds, PowerControl, PowerLimitWatts, CapacityWatts");
    ENERGY = hardware::energy(READING);
    FAN_SPEED = hardware::fan_speed("Redfish Sensor.Reading, Fan.SpeedPercent.SpeedRPM, Thermal.Fans");
    FAN_SPEED_LIMIT = hardware::fan_speed_limit(THRESHOLDS);
    FAN_SPEED_RATIO = hardware::fan_speed_ratio("Redfish Sensor.Reading, Fan.SpeedPercent, Thermal.Fans");
    HUMIDITY = hardware::humidity("Redfish Sensor.Reading, EnvironmentMetrics.HumidityPercent");
    SENSOR_RATIO = hardware::sensor_ratio("Redfish Sensor.Reading in percent");
    SENSOR_READING = hardware::sensor_reading("Redfish Sensor.Reading in other units");
    STATUS = hardware::status("Redfish Status.Health, Drive.FailurePredicted, LeakDetector.DetectorState");
    HOST_POWER = hardware::host_power("Redfish PowerConsumedWatts, PowerWatts, or the sum of InputPowerWatts of the power supplies");
    ERRORS = hardware::errors("Redfish MemoryMetrics.LifeTime, ProcessorMetrics, over the life of the part where it tells");
    PCIE_ERRORS = counter(
        "hw.processor.pcie.errors",
        "{error}",
        "Errors of a processor's PCI Express, by severity, that the BMC counted.",
        "Not `hw.pcie.errors`: that is what the kernel was told by each device.",
        &[ID, NAME, PARENT, TYPE, PCIE_SEVERITY],
        "Redfish ProcessorMetrics.PCIeErrors",
    );
    PCIE_REPLAYS = counter(
        "hw.processor.pcie.replays",
        "{replay}",
        "Packets that a processor's PCI Express had to send again, that the BMC counted.",
        "Not lost data: each was sent again; but a steady rate is a bad link.",
        &[ID, NAME, PARENT, TYPE],
        "Redfish ProcessorMetrics.PCIeErrors.ReplayCount",
    );
    ENDURANCE = hardware::endurance("Redfish Drive.PredictedMediaLifeLeftPercent");
    CLOCK_SPEED = gauge(
        "hw.clock.speed",
        "Hz",
        "Clock at which a processor or a memory module runs, as the BMC was told at boot.",
        "Not measured: a processor changes it all the time, and memory makers count transfers.",
        &[ID, NAME, PARENT, TYPE],
        "Redfish Memory.OperatingSpeedMhz, Processor.OperatingSpeedMHz",
    );
    MEMORY_SIZE = gauge(
        "hw.memory.size",
        "By",
        "Capacity of a memory module.",
        "Not what the operating system has of it.",
        SENSOR,
        "Redfish Memory.CapacityMiB",
    );
    TELEMETRY = gauge(
        "hw.telemetry.value",
        "{value}",
        "Newest value of a property in a metric report that the BMC made by itself.",
        "Not of the moment: reports are made in steps, and the unit is that of the property.",
        &[ID, TELEMETRY_METRIC, TELEMETRY_PROPERTY],
        "Redfish TelemetryService MetricReport.MetricValues",
    );
    RESPONSE = hardware::bmc_response(OWN);
    CLOCK_OFFSET = hardware::bmc_clock_offset("Redfish Manager.DateTime");
    LOG_ENTRIES = hardware::bmc_log_entries("Redfish Members@odata.count of LogEntryCollection");
    LOG_LIMIT = hardware::bmc_log_limit("Redfish LogService.MaxNumberOfRecords");
    REQUESTS = hardware::bmc_requests(OWN);
    REQUESTS_LIMIT = hardware::bmc_requests_limit(OWN);
    PERIOD = hardware::bmc_period(OWN);
    EVENT_SOURCE = state(
        "hw.bmc.event.source",
        &["polling", "stream"],
        "How new events of the BMC arrive: logs are read each minute, or it sends them.",
        "Not whether there are any.",
        &[ID],
        OWN,
    )
    .for_glasshouse();
});

const TELEMETRY_METRIC: LabelDefinition = LabelDefinition {
    key: "hw.telemetry.metric",
    help: "The metric by the report's `MetricId`; empty where it has none.",
};

const TELEMETRY_PROPERTY: LabelDefinition = LabelDefinition {
    key: "hw.telemetry.property",
    help: "The property by the report's `MetricProperty`, or the part by what the maker adds; empty where neither is there.",
};

definitions!(FACTS: FactDefinition, FactPlace {
    VENDOR = facts::vendor("Redfish Manufacturer");
    MODEL = facts::model("Redfish Model");
    PART_NUMBER = facts::part_number("Redfish PartNumber");
    FIRMWARE_VERSION = facts::firmware_version("Redfish FirmwareVersion, Revision, SoftwareInventory.Version");
    NAME_GIVEN = fact("hw.name", "What the BMC calls the part.", "Redfish Name");
    BIOS_VERSION = facts::bios_version("Redfish ComputerSystem.BiosVersion");
    REDFISH_VERSION = fact("hw.bmc.redfish.version", "Version of Redfish that the BMC speaks.", "Redfish ServiceRoot.RedfishVersion");
    CAPACITY = facts::size("Redfish Drive.CapacityBytes");
    RATED_WATTS = fact("hw.rated_watts", "Power that the part can give at most, in watts.", "Redfish PowerSupply.PowerCapacityWatts");
    MICROCODE = facts::microcode("Redfish Processor.ProcessorId.MicrocodeInfo");
});

const fn fact(key: &'static str, help: &'static str, source: &'static str) -> FactDefinition {
    FactDefinition { key, help, source }
}
