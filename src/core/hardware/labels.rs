//! Labels of parts and sensors.

use crate::metric::LabelDefinition;

/// Which part or sensor.
pub const ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "A name that is unique on the machine and survives reboots.",
};

/// What people call it.
pub const NAME: LabelDefinition = LabelDefinition {
    key: "hw.name",
    help: "What the sensor or part is called: its own label where it has one.",
};

/// What it is in or at.
pub const PARENT: LabelDefinition = LabelDefinition {
    key: "hw.parent",
    help: "The part that it belongs to.",
};

/// What kind of part it is.
pub const TYPE: LabelDefinition = LabelDefinition {
    key: "hw.type",
    help: "What kind of part it is, e.g. `cpu`, `memory`, `power_supply`, `enclosure`; `other` where nothing says.",
};

/// Which limit: the word of a [`super::LimitType`].
pub const LIMIT_TYPE: LabelDefinition = LabelDefinition {
    key: "hw.limit_type",
    help: "Which limit: `low.*` and `high.*` are thresholds of alarms, `cap*` what is set, `rated.*` what it is made for.",
};

/// Which state: the word of a [`super::HardwareState`].
pub const STATE: LabelDefinition = LabelDefinition {
    key: "hw.state",
    help: "One of `ok`, `degraded`, `failed`, `needs_cleaning`, `predicted_failure`.",
};

/// Who says what the machine draws: the word of a [`crate::wall_power::WallPowerSource`].
pub const POWER_SOURCE: LabelDefinition = LabelDefinition {
    key: crate::wall_power::SOURCE_LABEL,
    help: "Who says it, most trusted first: `dcmi` (BMC by IPMI), `redfish` (BMC by Redfish), `psu_sum` (input of all power supplies added).",
};

/// Whether errors could be mended, of memory and processors.
pub const ERROR_TYPE: LabelDefinition = LabelDefinition {
    key: "error.type",
    help: "One of `corrected`, `uncorrected`.",
};

/// How bad an error of PCI Express is.
pub const PCIE_SEVERITY: LabelDefinition = LabelDefinition {
    key: "hw.pcie.severity",
    help: "One of `correctable`, `nonfatal`, `fatal`.",
};

/// Over which protocol a BMC is asked.
pub const BMC_PROTOCOL: LabelDefinition = LabelDefinition {
    key: "hw.bmc.protocol",
    help: "One of `ipmi`, `redfish`.",
};

/// How a request to a BMC ended.
pub const BMC_OUTCOME: LabelDefinition = LabelDefinition {
    key: "hw.bmc.outcome",
    help: "One of `answered`, `refused` (an error as answer), `silent` (no answer in time, or none at all).",
};

/// Which sensor or part, what people call it, and what it belongs to.
pub const SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT];

/// As [`SENSOR`], and what kind of part it is, which OpenTelemetry wants where one metric serves all kinds.
pub const TYPED_SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT, TYPE];

/// As [`SENSOR`], and which limit.
pub const LIMIT: &[LabelDefinition] = &[ID, NAME, PARENT, LIMIT_TYPE];
