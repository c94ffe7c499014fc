//! What the health of NVMe and SATA drives has in common.

use glasshouse_core::metric::LabelDefinition;
use glasshouse_sysfs::{SysRoot, ratio};

use crate::parts::{HARDWARE_ID, HARDWARE_NAME};

/// What the privileged worker has and the probe has not.
pub(super) const NEEDS: &str = "The worker `privileged`, which is off by default: CAP_SYS_ADMIN for NVMe, CAP_SYS_RAWIO for SATA, and the devices.";

/// Which drive.
pub(super) const DRIVE: &[LabelDefinition] = &[HARDWARE_ID, HARDWARE_NAME];

/// Rated life that is left; what was used is beyond all of it on drives that outlive their maker's word.
pub(super) fn remaining(percent_used: u8) -> f64 {
    const PERCENT: u32 = 100;
    ratio(u64::from(100_u8.saturating_sub(percent_used)), PERCENT)
}

/// Whether the kernel shows the temperature of a device already, as a chip of hwmon below one of these directories.
pub(super) fn has_hwmon(root: &SysRoot, directories: &[String]) -> bool {
    directories.iter().any(|directory| {
        let names = root.list(directory).unwrap_or_default();
        names.iter().any(|name| name.starts_with("hwmon"))
    })
}
