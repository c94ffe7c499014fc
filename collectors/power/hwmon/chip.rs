//! Chips: where they are, and what they are called.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::CollectError;
use glasshouse_sysfs::{Patterns, SysRoot, hwmon_chip, optional, stable_device, unique_names};

use super::part::part;
use super::{DIRECTORY, MOST_CHIPS};

/// Who answers when a chip is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The chip itself, over a register or a bus of the machine.
    Machine,
    /// The firmware of a drive, a card or a management controller, which may be asleep, busy or dead: `nvme` sends the
    /// drive a command, `drivetemp` empties its queue for one, `power_meter` runs code that may ask the BMC.
    Device,
}

impl Whose {
    fn of(part: &str) -> Self {
        match part {
            "enclosure" | "gpu" | "network" | "physical_disk" => Self::Device,
            _ => Self::Machine,
        }
    }
}

/// One chip.
#[derive(Debug)]
pub(super) struct Chip {
    /// `coretemp@coretemp.0`, `nvme@0000:17:00.0`, or the driver alone where no device stands behind it.
    pub(super) name: String,
    pub(super) driver: String,
    /// Where its files are; old drivers have them in the device's folder.
    pub(super) directory: String,
    /// The folder of its class, which always exists.
    pub(super) class: String,
    /// The `hw.type` of the part that it is in.
    pub(super) part: &'static str,
    /// Its files.
    pub(super) files: Vec<String>,
    /// Where it stands in `/sys/devices`, without its own number; empty where its class folder is no link.
    place: String,
}

impl Chip {
    pub(super) fn has(&self, file: &str) -> bool {
        self.files.iter().any(|known| known == file)
    }

    pub(super) fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.directory)
    }

    fn new(
        root: &SysRoot,
        class: &str,
        directory: &str,
        driver: String,
        out: &mut dyn SampleWriter,
    ) -> Self {
        let target = root.link_target(class).unwrap_or_default();
        let place = device_of(&target);
        let device = if place.is_empty() {
            root.link_name(&format!("{class}/device"))
        } else {
            stable_device(root, &place, out)
        };
        Self {
            name: device.map_or_else(|| driver.clone(), |device| format!("{driver}@{device}")),
            part: part(&driver),
            driver,
            directory: directory.to_owned(),
            class: class.to_owned(),
            files: Vec::new(),
            place,
        }
    }
}

/// Every chip of a kind that is not left out, in the order of names and places, so that numbers behind equal names do not depend
/// on the order of discovery alone.
pub(super) fn find(
    root: &SysRoot,
    whose: Whose,
    exclude: &Patterns,
    out: &mut dyn SampleWriter,
) -> Result<Vec<Chip>, CollectError> {
    let mut chips: Vec<Chip> = Vec::new();
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    for name in names.into_iter().take(MOST_CHIPS) {
        match chip(root, &format!("{DIRECTORY}/{name}"), out) {
            Ok(chip) if Whose::of(chip.part) != whose || exclude.matches(&chip.driver) => {}
            Ok(chip) => chips.push(chip),
            Err(error) => out.failure(error),
        }
    }
    chips.sort_by(|a, b| (&a.name, &a.place).cmp(&(&b.name, &b.place)));
    let mut names: Vec<String> = chips.iter().map(|chip| chip.name.clone()).collect();
    unique_names(&mut names);
    for (chip, name) in chips.iter_mut().zip(names) {
        chip.name = name;
        match root.list(&chip.directory) {
            Ok(files) => chip.files = files,
            Err(error) => out.failure(error),
        }
    }
    Ok(chips)
}

fn chip(root: &SysRoot, class: &str, out: &mut dyn SampleWriter) -> Result<Chip, CollectError> {
    let (driver, directory) =
        hwmon_chip(root, class)?.unwrap_or_else(|| ("unknown".to_owned(), class.to_owned()));
    Ok(Chip::new(root, class, &directory, driver, out))
}

/// `sys/devices/…` of `../../devices/…/hwmon/hwmon3`, without the chip and the folder of its class.
fn device_of(target: &str) -> String {
    let Some((_, below)) = target.split_once("devices/") else {
        return String::new();
    };
    let device = below.rsplit_once('/').map_or("", |(device, _)| device);
    // classes of devices have a folder between, unless the device is of a class itself
    let device = device.strip_suffix("/hwmon").unwrap_or(device);
    format!("sys/devices/{device}")
}
