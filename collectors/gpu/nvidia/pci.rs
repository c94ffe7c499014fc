//! Which GPUs of NVIDIA the machine has, by names and numbers of sysfs that the kernel keeps itself: nothing here asks
//! a device.

use glasshouse_core::collector::Presence;
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{SysRoot, optional};

const DEVICES: &str = "sys/bus/pci/devices";
const DRIVER: &str = "proc/driver/nvidia";
const CONTROL: &str = "dev/nvidiactl";

/// NVIDIA.
const VENDOR: &str = "0x10de";

/// Display controllers of all kinds: VGA, 3D.
const CLASS: &str = "0x03";

/// The driver whose library is asked.
const OURS: &str = "nvidia";

/// A GPU on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// `0000:17:00.0`.
    pub(crate) address: String,
    /// The driver that holds it; none, or another than NVIDIA's (`vfio-pci`, `nouveau`), keeps it from the library.
    pub(crate) driver: Option<String>,
}

impl Card {
    /// Whether the library must know it.
    pub(crate) fn is_ours(&self) -> bool {
        self.driver.as_deref() == Some(OURS)
    }
}

/// The GPUs on the bus, in its order.
pub(crate) fn cards(root: &SysRoot) -> Result<Vec<Card>, CollectError> {
    let mut cards = Vec::new();
    for address in optional(root.list(DEVICES))?.unwrap_or_default() {
        let read = |file: &str| root.read_optional_trimmed(&format!("{DEVICES}/{address}/{file}"));
        if read("vendor")?.as_deref() != Some(VENDOR) {
            continue;
        }
        if read("class")?.is_some_and(|class| class.starts_with(CLASS)) {
            let driver = root.link_name(&format!("{DEVICES}/{address}/driver"));
            cards.push(Card { address, driver });
        }
    }
    Ok(cards)
}

/// Whether the driver has shown itself, also where no GPU stands on a PCI bus.
pub(crate) fn has_driver(root: &SysRoot) -> bool {
    root.exists(DRIVER) || root.exists(CONTROL)
}

/// Whether there is anything to ask.
pub(crate) fn look(root: &SysRoot, options: &Options) -> Presence {
    if !root.is_live() && options.text("library").is_empty() {
        return Presence::Absent(
            "the driver answers for the running machine, not for a captured tree".to_owned(),
        );
    }
    if has_driver(root) || cards(root).is_ok_and(|cards| !cards.is_empty()) {
        Presence::Present
    } else {
        Presence::Absent(format!("no NVIDIA GPU in `/{DEVICES}`"))
    }
}

/// An address as sysfs writes it, from how the library does: `00000000:17:00.0` is `0000:17:00.0`.
pub(crate) fn address(told: &str) -> Option<String> {
    let mut parts = told.split([':', '.']);
    let mut next = |most: u32| {
        let part = parts.next()?;
        let number = u32::from_str_radix(part, 16).ok()?;
        (number <= most).then_some(number)
    };
    let domain = next(u32::MAX)?;
    let bus = next(0xff)?;
    let device = next(0x1f)?;
    let function = next(7)?;
    parts
        .next()
        .is_none()
        .then(|| format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_those_of_sysfs() {
        assert_eq!(address("00000000:17:00.0").as_deref(), Some("0000:17:00.0"));
        assert_eq!(address("00000008:C1:1F.7").as_deref(), Some("0008:c1:1f.7"));
        assert_eq!(
            address("00010000:01:00.0").as_deref(),
            Some("10000:01:00.0")
        );
        for bad in [
            "",
            "17:00.0",
            "00000000:17:00",
            "0:17:20.0",
            "0:117:0.0",
            "0:1:0.0.0",
            "x:17:00.0",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
