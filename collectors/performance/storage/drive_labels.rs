//! What the health of NVMe and SATA drives has in common.

use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_sysfs::SysRoot;

use crate::parts::{HARDWARE_ID, HARDWARE_NAME};

/// What the privileged worker has and the probe has not.
pub(super) const NEEDS: &str = "The worker `privileged`, which is off by default: CAP_SYS_ADMIN for NVMe, CAP_SYS_RAWIO for SATA, and the devices.";

/// Which drive.
pub(super) const DRIVE: &[LabelDefinition] = &[HARDWARE_ID, HARDWARE_NAME];

/// The words of the family `power`, whose collectors write the same metric of hwmon's sensors: a test holds them equal.
pub(super) const TEMPERATURE: MetricDefinition = MetricDefinition {
    name: "hw.temperature",
    unit: "Cel",
    kind: MetricKind::Gauge,
    value: ValueType::F64,
    help: "Temperature that a sensor shows.",
    is_not: "Not always a true temperature: some sensors (AMD's Tctl) show an offset scale for fans.",
    labels: &[
        LabelDefinition {
            key: "hw.id",
            help: "A name that is unique on the machine and survives reboots.",
        },
        LabelDefinition {
            key: "hw.name",
            help: "What the sensor is called: its own label where it has one.",
        },
        LabelDefinition {
            key: "hw.parent",
            help: "The part that the sensor belongs to.",
        },
    ],
    source: "/sys/class/hwmon/*/temp*_input, /sys/class/thermal/thermal_zone*/temp",
    audience: Audience::Operator,
};

pub(super) const ENDURANCE: MetricDefinition = MetricDefinition {
    name: "hw.physical_disk.endurance_utilization",
    unit: "1",
    kind: MetricKind::Gauge,
    value: ValueType::F64,
    help: "The share of its rated life that the drive has used, by its maker's own measure.",
    is_not: "Not a forecast: drives outlive 1, and fail before it.",
    labels: &[
        HARDWARE_ID,
        HARDWARE_NAME,
        LabelDefinition {
            key: "hw.physical_disk.state",
            help: "Always `used`.",
        },
    ],
    source: "NVMe log page 02h; SATA SMART READ DATA",
    audience: Audience::Operator,
};

/// Whether the kernel shows the temperature of a device already, as a chip of hwmon below one of these directories.
pub(super) fn has_hwmon(root: &SysRoot, directories: &[String]) -> bool {
    directories.iter().any(|directory| {
        let names = root.list(directory).unwrap_or_default();
        names.iter().any(|name| name.starts_with("hwmon"))
    })
}
