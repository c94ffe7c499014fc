//! Names of devices that survive a reboot, from where they stand in `/sys/devices`.

/// The name of a device that another boot gives it too, from the path that a link of `/sys/class` points to, without the
/// class device itself at its end: `../../devices/pci0000:16/0000:17:00.0/nvme/nvme0` is `0000:17:00.0`.
///
/// A number that the kernel counts up as it finds devices (`nvme0`, `virtio1`, `i2c-3`) is no name: below a PCI device
/// its address stands for it, and a client of an I2C bus keeps its own address behind that. What has no PCI device
/// above it keeps the kernel's name, which there is an address or firmware's (`coretemp.0`, `ACPI000D:00`).
/// `None` where no device stands there.
#[must_use]
pub fn stable_device(path: &str) -> Option<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".." | "devices" | "sys"))
        .collect();
    let device = *parts.last()?;
    if parts.contains(&"virtual") {
        return None;
    }
    let Some(address) = parts.iter().rev().find(|part| is_pci_address(part)) else {
        return Some(device.to_owned());
    };
    let below = i2c_address(device).unwrap_or(device);
    if is_pci_address(below) || is_counted(below) {
        return Some((*address).to_owned());
    }
    Some(format!("{address}/{below}"))
}

/// `0000:17:00.0`: domain, bus, device, function.
fn is_pci_address(part: &str) -> bool {
    let hexadecimal = |text: &str, at_least: usize| {
        text.len() >= at_least && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let Some((slot, function)) = part.split_once('.') else {
        return false;
    };
    let mut fields = slot.split(':');
    // domains of virtual bridges (VMD) have more than four digits
    [4, 2, 2].iter().all(|digits| {
        fields
            .next()
            .is_some_and(|field| hexadecimal(field, *digits))
    }) && fields.next().is_none()
        && hexadecimal(function, 1)
}

/// `0058` of `3-0058`: the bus is counted, the address is wired.
fn i2c_address(device: &str) -> Option<&str> {
    const HEXADECIMAL_DIGITS: usize = 4;
    let (bus, address) = device.split_once('-')?;
    let good = !bus.is_empty()
        && bus.bytes().all(|byte| byte.is_ascii_digit())
        && address.len() == HEXADECIMAL_DIGITS
        && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then_some(address)
}

/// Letters and a number behind them, and nothing else: `nvme0`, `virtio1`, `i2c-3`.
fn is_counted(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem.strip_suffix('-').unwrap_or(stem);
    stem.len() < device.len()
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_discovery_gives_way_to_an_address() {
        let pci = "../../devices/pci0000:16/0000:17:00.0";
        for (path, name) in [
            (format!("{pci}/nvme/nvme0"), Some("0000:17:00.0")),
            (format!("{pci}/virtio1"), Some("0000:17:00.0")),
            (pci.to_owned(), Some("0000:17:00.0")),
            // behind a bridge the device itself counts, not the bridge
            (format!("{pci}/0000:19:00.1"), Some("0000:19:00.1")),
            (format!("{pci}/i2c-3/3-0058"), Some("0000:17:00.0/0058")),
            (
                format!("{pci}/ata1/host0/target0:0:0/0:0:0:0"),
                Some("0000:17:00.0/0:0:0:0"),
            ),
        ] {
            assert_eq!(stable_device(&path).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn what_has_no_pci_device_keeps_its_name() {
        for (path, name) in [
            ("../../devices/platform/coretemp.0", Some("coretemp.0")),
            (
                "../../devices/LNXSYSTM:00/LNXSYBUS:00/ACPI000D:00",
                Some("ACPI000D:00"),
            ),
            ("../../devices/virtual", None),
            ("../../devices/virtual/thermal/thermal_zone0", None),
            ("../..", None),
            ("", None),
        ] {
            assert_eq!(stable_device(path).as_deref(), name, "{path}");
        }
    }
}
