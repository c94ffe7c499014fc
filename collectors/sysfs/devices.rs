//! Names of devices that another boot gives them too, from where they stand in `/sys/devices`.
//!
//! The kernel counts much as it finds it: `hwmon3`, `i2c-3`, `host0`, `ata1`, the last part of a HID device. What stays
//! is wired: addresses on PCI and I2C, channels of multiplexers, ports of SATA and USB, names that firmware gives.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::FailureReason;

use crate::parse::malformed;
use crate::root::SysRoot;

/// The most steps from a device up to `/sys/devices`: deep PCI and USB trees have twenty.
const MOST_STEPS: usize = 64;

/// Folders that group devices of a class below their parent.
const CLASS_FOLDERS: [&str; 14] = [
    "ata_port",
    "auxiliary",
    "drm",
    "hwmon",
    "ieee80211",
    "i2c-dev",
    "mdio_bus",
    "net",
    "nvme",
    "power_supply",
    "ptp",
    "scsi_host",
    "spi_master",
    "thermal",
];

/// Where a device stands, wired words alone: `0000:17:00.0`, `0000:00:1f.4/channel2/0058`, `0000:00:17.0/port3`,
/// `coretemp.0`. The one answer for every `hw.id`, so that what two collectors say of a part is of the same part.
///
/// `path` is what a link in `/sys` points to (`../../devices/…`), or `sys/devices/…`; of a class device, without its own
/// name: `../../devices/pci0000:16/0000:17:00.0/nvme/nvme0` is the device of `nvme0/hwmon1`. Where the
/// file that says which port it is cannot be read, that is told as a failure and the kernel's number stands.
/// `None` for what has no device.
#[must_use]
pub fn stable_device(root: &SysRoot, path: &str, out: &mut dyn SampleWriter) -> Option<String> {
    let steps: Vec<&str> = path
        .split('/')
        .filter(|step| !matches!(*step, "" | "." | ".." | "sys" | "devices"))
        .take(MOST_STEPS)
        .collect();
    if steps.first() == Some(&"virtual") {
        return None;
    }
    let mut words: Vec<String> = Vec::new();
    let mut anchored = false;
    for (depth, step) in steps.iter().enumerate().rev() {
        if is_pci_address(step) {
            words.push((*step).to_owned());
            break;
        }
        // above the first device with a name only the PCI device matters
        if anchored {
            continue;
        }
        match judge(root, &steps, depth, step, out) {
            Step::Counted => {}
            Step::Wired(word) => {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            Step::Anchor => {
                words.push((*step).to_owned());
                anchored = true;
            }
        }
    }
    words.reverse();
    if words.is_empty() {
        return steps.last().map(|step| (*step).to_owned());
    }
    Some(words.join("/"))
}

/// What one part of a path is worth.
#[derive(Debug, PartialEq)]
enum Step {
    /// A number of discovery, or a folder: says nothing.
    Counted,
    /// A place on a bus.
    Wired(String),
    /// A device that firmware or the board names.
    Anchor,
}

fn judge(
    root: &SysRoot,
    steps: &[&str],
    depth: usize,
    step: &str,
    out: &mut dyn SampleWriter,
) -> Step {
    // the first is the root of a bus: `platform`, `pci0000:00`
    if depth == 0 || CLASS_FOLDERS.contains(&step) {
        return Step::Counted;
    }
    if let Some(address) = i2c_address(step) {
        return Step::Wired(address.to_owned());
    }
    if is_numbered(step, "i2c-") {
        return mux_channel(root, steps, depth, out).map_or(Step::Counted, Step::Wired);
    }
    if is_numbered(step, "ata") {
        let port = ata_port(root, steps, depth, out);
        return Step::Wired(port.unwrap_or_else(|| step.to_owned()));
    }
    if let Some(address) = scsi_address(step) {
        // behind SATA there is one device a port, unless there is a multiplier
        return match address {
            "0:0:0" if steps.iter().any(|step| is_numbered(step, "ata")) => Step::Counted,
            address => Step::Wired(address.to_owned()),
        };
    }
    if step.starts_with("target") || is_sas(step) || is_hid(step) {
        return Step::Counted;
    }
    if let Some(port) = usb_port(step) {
        // an interface says its device's port too
        let interface_told = steps
            .get(depth + 1)
            .is_some_and(|below| usb_port(below).is_some());
        return match interface_told {
            true => Step::Counted,
            false => Step::Wired(format!("usb{port}")),
        };
    }
    if is_counted(step) {
        return Step::Counted;
    }
    Step::Anchor
}

/// `0000:17:00.0`: domain, bus, device, function; domains of virtual bridges (VMD) have more than four digits.
fn is_pci_address(step: &str) -> bool {
    let Some((slot, function)) = step.split_once('.') else {
        return false;
    };
    let fields: Vec<&str> = slot.split(':').collect();
    let [domain, bus, device] = *fields else {
        return false;
    };
    let exactly = |field: &str, digits| field.len() == digits && is_hexadecimal(field, digits);
    is_hexadecimal(domain, 4) && exactly(bus, 2) && exactly(device, 2) && exactly(function, 1)
}

fn is_hexadecimal(text: &str, at_least: usize) -> bool {
    text.len() >= at_least && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_numbered(step: &str, stem: &str) -> bool {
    step.strip_prefix(stem).is_some_and(is_decimal)
}

/// `0058` of `3-0058`: the bus is counted, the address is wired. Addresses of ten bits have an `a` before them.
fn i2c_address(step: &str) -> Option<&str> {
    const DIGITS: usize = 4;
    let (bus, address) = step.split_once('-')?;
    (is_decimal(bus) && address.len() == DIGITS && is_hexadecimal(address, DIGITS))
        .then_some(address)
}

/// `channel2` of an I2C bus behind a multiplexer, whose name ends in `-mux (chan_id 2)`.
fn mux_channel(
    root: &SysRoot,
    steps: &[&str],
    depth: usize,
    out: &mut dyn SampleWriter,
) -> Option<String> {
    let name = read(root, &format!("{}/name", path_to(steps, depth)), out)?;
    let (_, channel) = name.split_once("-mux (chan_id ")?;
    let channel = channel.strip_suffix(')')?;
    is_decimal(channel).then(|| format!("channel{channel}"))
}

/// `port3`: the number of a SATA port on its controller.
fn ata_port(
    root: &SysRoot,
    steps: &[&str],
    depth: usize,
    out: &mut dyn SampleWriter,
) -> Option<String> {
    let step = steps.get(depth)?;
    let path = format!("{}/ata_port/{step}/port_no", path_to(steps, depth));
    let port = read(root, &path, out)?;
    if !is_decimal(&port) {
        out.failure(malformed(&path, None, "the number of a port", &port));
        return None;
    }
    Some(format!("port{port}"))
}

fn read(root: &SysRoot, path: &str, out: &mut dyn SampleWriter) -> Option<String> {
    let outcome = root.read_optional_trimmed(path);
    let told = outcome.map_err(|error| {
        if error.reason != FailureReason::Unsupported {
            out.failure(error);
        }
    });
    told.ok().flatten()
}

fn path_to(steps: &[&str], depth: usize) -> String {
    let upper = steps.get(..=depth).unwrap_or_default();
    format!("sys/devices/{}", upper.join("/"))
}

/// `0:1:0`, channel, target and unit, of `6:0:1:0`: the host before them is counted.
fn scsi_address(step: &str) -> Option<&str> {
    let (host, rest) = step.split_once(':')?;
    let numbers = rest.split(':').filter(|number| is_decimal(number)).count();
    (is_decimal(host) && numbers == 3 && rest.split(':').count() == 3).then_some(rest)
}

/// `port-6:0`, `end_device-6:0:3`, `expander-6:1`, `phy-6:4`: all begin with the counted host.
fn is_sas(step: &str) -> bool {
    ["port-", "end_device-", "expander-", "phy-", "rphy-"]
        .iter()
        .any(|stem| {
            step.strip_prefix(stem)
                .is_some_and(|rest| rest.split(':').all(is_decimal))
        })
}

/// `0003:1B1C:1C0B.0007`: bus, vendor, product, and a number of discovery.
fn is_hid(step: &str) -> bool {
    const DIGITS: usize = 4;
    let Some((device, number)) = step.rsplit_once('.') else {
        return false;
    };
    is_hexadecimal(number, DIGITS)
        && device.split(':').count() == 3
        && device.split(':').all(|field| is_hexadecimal(field, DIGITS))
}

/// `3.2` of `1-3.2`, `3.2:1.0` of `1-3.2:1.0`: the bus is counted, ports are where the plug is.
fn usb_port(step: &str) -> Option<&str> {
    let (bus, port) = step.split_once('-')?;
    let good = |text: &str| text.split('.').all(is_decimal);
    let (ports, interface) = port.split_once(':').unwrap_or((port, "0"));
    (is_decimal(bus) && good(ports) && good(interface)).then_some(port)
}

/// Letters and a number behind them, and nothing else: `nvme0`, `virtio1`, `host0`, `usb2`.
fn is_counted(step: &str) -> bool {
    let stem = step.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem.strip_suffix('-').unwrap_or(stem);
    stem.len() < step.len()
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(all(test, feature = "compliance"))]
mod tests {
    use crate::compliance::Recording;

    use super::*;

    const AHCI: &str = "pci0000:00/0000:00:17.0";

    #[test]
    fn a_place_is_what_is_wired() {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = tree.path().join("sys/devices").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let bus = "pci0000:00/0000:00:1f.4/i2c-3";
        write(&format!("{bus}/name"), "SMBus I801 adapter at efa0\n");
        write(&format!("{bus}/i2c-20/name"), "i2c-3-mux (chan_id 2)\n");
        write(&format!("{AHCI}/ata5/ata_port/ata5/port_no"), "3\n");
        let root = SysRoot::new(tree.path());
        let mut out = Recording::empty();
        let ata5 = format!("{AHCI}/ata5/host4/target4:0:0/4:0:0:0");
        let multiplied = format!("{AHCI}/ata5/host4/target4:1:0/4:1:0:0");
        let untold = format!("{AHCI}/ata6/host5/target5:0:0/5:0:0:0");
        for (path, wanted) in [
            ("pci0000:16/0000:17:00.0/nvme/nvme0", "0000:17:00.0"),
            ("pci0000:16/0000:17:00.0/hwmon", "0000:17:00.0"),
            ("pci0000:16/0000:17:00.0/virtio1", "0000:17:00.0"),
            // behind a bridge the device itself counts, not the bridge
            ("pci0000:16/0000:17:00.0/0000:19:00.1", "0000:19:00.1"),
            (
                "pci0000:16/0000:17:00.0/0000:19:00.1/mlx5_core.eth.0",
                "0000:19:00.1/mlx5_core.eth.0",
            ),
            ("pci0000:00/0000:00:1f.4/i2c-3/3-0058", "0000:00:1f.4/0058"),
            // two supplies with one address behind a multiplexer
            (
                "pci0000:00/0000:00:1f.4/i2c-3/i2c-20/20-0058",
                "0000:00:1f.4/channel2/0058",
            ),
            (&*ata5, "0000:00:17.0/port3"),
            (&*multiplied, "0000:00:17.0/port3/1:0:0"),
            (&*untold, "0000:00:17.0/ata6"),
            (
                "pci0000:00/0000:00:1d.0/host6/port-6:0/end_device-6:0/target6:0:3/6:0:3:0",
                "0000:00:1d.0/0:3:0",
            ),
            (
                "pci0000:00/0000:00:14.0/usb1/1-3/1-3.2/1-3.2:1.0/0003:1B1C:1C0B.0007",
                "0000:00:14.0/usb3.2:1.0",
            ),
            ("platform/1e78a000.i2c/i2c-3/3-0040", "1e78a000.i2c/0040"),
            ("platform/coretemp.0", "coretemp.0"),
            ("platform/sensor0", "sensor0"),
            ("LNXSYSTM:00/LNXSYBUS:00/ACPI000D:00", "ACPI000D:00"),
            (
                "pci0000:00/0000:00:1f.0/PNP0C09:00",
                "0000:00:1f.0/PNP0C09:00",
            ),
        ] {
            for start in ["sys/devices", "../../devices", "../../.."] {
                let path = format!("{start}/{path}");
                let place = stable_device(&root, &path, &mut out);
                assert_eq!(place.as_deref(), Some(wanted), "{path}");
            }
        }
        for nowhere in [
            "../../devices/virtual/thermal/thermal_zone0",
            "sys/devices/virtual",
            "../..",
            "",
        ] {
            assert_eq!(stable_device(&root, nowhere, &mut out), None, "{nowhere}");
        }
        assert!(out.failures.is_empty(), "{:?}", out.failures);
        write(&format!("{AHCI}/ata5/ata_port/ata5/port_no"), "garbage\n");
        let place = stable_device(&root, &format!("sys/devices/{ata5}"), &mut out);
        assert_eq!(place.as_deref(), Some("0000:00:17.0/ata5"));
        assert_eq!(out.failures.len(), 1);
    }

    #[test]
    fn another_order_of_discovery_gives_the_same_name() {
        let name = |ata: u32, host: u32| {
            let tree = tempfile::tempdir().unwrap();
            let port = format!("sys/devices/{AHCI}/ata{ata}/ata_port/ata{ata}");
            std::fs::create_dir_all(tree.path().join(&port)).unwrap();
            std::fs::write(tree.path().join(port).join("port_no"), "3\n").unwrap();
            let disk = format!("{AHCI}/ata{ata}/host{host}/target{host}:0:0/{host}:0:0:0");
            let root = SysRoot::new(tree.path());
            stable_device(
                &root,
                &format!("../devices/{disk}"),
                &mut Recording::empty(),
            )
        };
        assert_eq!(name(5, 4), name(9, 12));
    }
}
