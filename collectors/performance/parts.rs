//! Small things that collectors of hardware share.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, ValueType};
pub(crate) use glasshouse_core::metric::{counter, state};
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{SysRoot, malformed, optional, stable_device};

/// Where a part is plugged in.
pub(crate) const HARDWARE_ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "Where the part is plugged in, e.g. its PCI address; the kernel's name where nothing says.",
};

/// What the kernel calls a part.
pub(crate) const HARDWARE_NAME: LabelDefinition = LabelDefinition {
    key: "hw.name",
    help: "What the kernel calls the part, e.g. `nvme0`, `sda`, `mlx5_0`.",
};

/// Writes a word as a state; one that is not in the list is the last state.
pub(crate) fn write_state(
    metric: &'static MetricDefinition,
    labels: &[&str],
    word: &str,
    out: &mut dyn SampleWriter,
) {
    let ValueType::State(states) = metric.value else {
        return;
    };
    let last = states.len().saturating_sub(1);
    let index = states.iter().position(|state| *state == word);
    if let Ok(index) = u16::try_from(index.unwrap_or(last)) {
        out.sample(metric, labels, Value::State(index));
    }
}

/// Tells what failed, and gives what did not.
pub(crate) fn noted<T>(
    outcome: Result<Option<T>, CollectError>,
    out: &mut dyn SampleWriter,
) -> Option<T> {
    outcome.map_err(|error| out.failure(error)).ok().flatten()
}

/// Writes the whole number that is a file, where there is such a file. One that is there but cannot be read is absent.
pub(crate) fn write_number(
    root: &SysRoot,
    path: &str,
    metric: &'static MetricDefinition,
    labels: &[&str],
    out: &mut dyn SampleWriter,
) {
    match root.read_optional_u64(path) {
        Ok(Some(number)) => out.sample(metric, labels, Value::U64(number)),
        Ok(None) => {}
        Err(error) => write_absent(error, metric, labels, out),
    }
}

/// A series without a value, and why.
pub(crate) fn write_absent(
    error: CollectError,
    metric: &'static MetricDefinition,
    labels: &[&str],
    out: &mut dyn SampleWriter,
) {
    out.absent(metric, labels, error.reason);
    // a driver that refuses one attribute for good is no news each time
    if error.reason != FailureReason::Unsupported {
        out.failure(error);
    }
}

/// The id of the device that a class folder belongs to: `sys/class/nvme/nvme0` links to
/// `../../devices/pci0000:16/0000:17:00.0/nvme/nvme0`, which is `0000:17:00.0`. The kernel's name where it links nowhere
/// that has one.
pub(crate) fn hardware_id(
    root: &SysRoot,
    directory: &str,
    class: &str,
    out: &mut dyn SampleWriter,
) -> String {
    let name = directory.rsplit('/').next().unwrap_or(directory);
    let place = root.link_target(directory).unwrap_or_default();
    place
        .rsplit_once(&format!("/{class}/"))
        .and_then(|(device, _)| stable_device(root, device, out))
        .unwrap_or_else(|| name.to_owned())
}

/// The names in a directory that may not exist.
pub(crate) fn names(root: &SysRoot, directory: &str) -> Result<Vec<String>, CollectError> {
    Ok(optional(root.list(directory))?.unwrap_or_default())
}

/// A number as the kernel writes hexadecimal ones: `0x1f`.
pub(crate) fn hexadecimal(path: &str, word: &str) -> Result<u64, CollectError> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    u64::from_str_radix(digits, 16).map_err(|_| malformed(path, None, "a hexadecimal number", word))
}
