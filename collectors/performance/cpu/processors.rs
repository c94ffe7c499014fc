//! Which processors there are, for those who read a folder of each.

use glasshouse_core::failure::CollectError;
use glasshouse_sysfs::{SysRoot, optional};

pub(super) const DIRECTORY: &str = "sys/devices/system/cpu";

/// The numbers of the processors that have such a file or folder.
///
/// # Errors
/// [`CollectError`] where the directory exists and cannot be read.
pub(super) fn with(root: &SysRoot, name: &str) -> Result<Vec<String>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let numbers = names.iter().filter_map(|name| name.strip_prefix("cpu"));
    Ok(numbers
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|number| root.exists(&format!("{DIRECTORY}/cpu{number}/{name}")))
        .map(str::to_owned)
        .collect())
}
