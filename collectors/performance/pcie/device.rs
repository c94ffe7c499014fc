//! Which devices of PCI are of interest.

use std::collections::BTreeSet;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::CollectError;
pub(super) use glasshouse_core::hardware::TYPE;
use glasshouse_core::metric::LabelDefinition;
use glasshouse_sysfs::{SysRoot, malformed};

use crate::parts::{hexadecimal, names, noted};

pub(super) const DIRECTORY: &str = "sys/bus/pci/devices";

/// More than a machine with eight accelerators, their switches and a full set of drives has; virtual functions do not
/// count.
const MOST_DEVICES: usize = 512;

pub(super) const ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "The PCI address: domain, bus, device, function.",
};

/// Classes of interest by their first two bytes or their first one, and the `hw.type` of each.
const CLASSES: [(u64, u64, &str); 9] = [
    (0xFF_FF00, 0x01_0800, "physical_disk"),
    (0xFF_0000, 0x01_0000, "disk_controller"),
    (0xFF_0000, 0x02_0000, "network"),
    (0xFF_0000, 0x03_0000, "gpu"),
    // co-processors
    (0xFF_FF00, 0x0B_4000, "other"),
    // InfiniBand as a serial bus
    (0xFF_FF00, 0x0C_0600, "network"),
    // CXL memory
    (0xFF_FF00, 0x05_0200, "memory"),
    (0xFF_0000, 0x12_0000, "other"),
    // seen on accelerators of makers who had no class to take
    (0xFF_FF00, 0xFF_0000, "other"),
];

/// Bridges between PCI buses, switches and root ports among them.
const BRIDGE: u64 = 0x06_0400;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) address: String,
    /// Class, subclass and programming interface, three bytes.
    pub(super) class: u64,
    pub(super) kind: &'static str,
}

impl Device {
    pub(super) fn path(&self, file: &str) -> String {
        format!("{DIRECTORY}/{}/{file}", self.address)
    }

    /// Class and subclass as people write them: `0302`.
    pub(super) fn class_word(&self) -> String {
        format!("{:04x}", self.class >> 8)
    }
}

/// Every device, of interest or not, but for virtual functions, which have no link of their own.
pub(super) fn all(root: &SysRoot, out: &mut dyn SampleWriter) -> Result<Vec<Device>, CollectError> {
    let mut devices = Vec::new();
    for address in names(root, DIRECTORY)? {
        let path = format!("{DIRECTORY}/{address}/class");
        let Some(word) = noted(root.read_optional_trimmed(&path), out) else {
            continue;
        };
        let class = match hexadecimal(&path, &word) {
            Ok(class) => class,
            Err(error) => {
                out.failure(error);
                continue;
            }
        };
        if root
            .link_target(&format!("{DIRECTORY}/{address}/physfn"))
            .is_some()
        {
            continue;
        }
        let kind = CLASSES
            .iter()
            .find(|(mask, of_interest, _)| class & mask == *of_interest);
        devices.push(Device {
            address,
            class,
            kind: kind.map_or("other", |(_, _, kind)| kind),
        });
    }
    Ok(devices)
}

/// Those of [`all`] whose links and errors are read: what computes, moves data or keeps it, and the bridges above such.
pub(super) fn of_interest(
    root: &SysRoot,
    mut devices: Vec<Device>,
    out: &mut dyn SampleWriter,
) -> Vec<Device> {
    let is_end = |device: &Device| {
        CLASSES
            .iter()
            .any(|(mask, of_interest, _)| device.class & mask == *of_interest)
    };
    let mut above = BTreeSet::new();
    for device in devices.iter().filter(|device| is_end(device)) {
        let place = root
            .link_target(&format!("{DIRECTORY}/{}", device.address))
            .unwrap_or_default();
        above.extend(place.split('/').map(str::to_owned));
    }
    devices.retain(|device| {
        is_end(device) || (device.class & 0xFF_FF00 == BRIDGE && above.contains(&device.address))
    });
    if devices.len() > MOST_DEVICES {
        let expected = format!("at most {MOST_DEVICES} devices of interest");
        let found = devices.len().to_string();
        out.failure(malformed(DIRECTORY, None, &expected, &found));
        devices.truncate(MOST_DEVICES);
    }
    devices
}
