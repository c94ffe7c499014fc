//! What a message of the kernel is about: its code, and the part that it speaks of.

use super::patterns::{Number, Pattern};

/// What tells messages of one class apart: `xid.79`, or the class where the message has no such number.
pub(super) fn code(pattern: &Pattern, text: &str) -> String {
    let number = match pattern.number {
        Number::None => None,
        Number::BehindAddress => text
            .split_once("id (")
            .and_then(|(_, rest)| rest.split_once("): "))
            .and_then(|(_, rest)| {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                rest.get(..digits)?.parse::<u32>().ok()
            }),
    };
    number.map_or_else(
        || pattern.class.to_owned(),
        |number| format!("{}.{number}", pattern.class),
    )
}

/// Which part a message is about: the address of a PCI device, a disk, a file system; empty where it does not say.
pub(super) fn component(text: &str) -> &str {
    let inside = |open: &str, close: &[char]| {
        let (_, rest) = text.split_once(open)?;
        Some(rest.split_once(close)?.0)
    };
    let found = inside("id (PCI:", &[')'])
        .or_else(|| inside("NVRM: Xid (", &[')']))
        // Btrfs says the state behind the device
        .or_else(|| inside("(device ", &[')', ' ', ':']))
        .or_else(|| inside("(device: ", &[')']))
        .or_else(|| inside("XFS (", &[')']))
        .or_else(|| inside("EXT4-fs (", &[')']))
        .or_else(|| inside(" error, dev ", &[',']))
        .or_else(|| inside("Buffer I/O error on dev ", &[',']))
        .or_else(|| array(text))
        .or_else(|| device_of_driver(text));
    found
        .filter(|part| part.len() <= MOST_COMPONENT_BYTES && !part.contains(' '))
        .unwrap_or_default()
}

/// `md0` of `md/raid1:md0: Disk failure on …`.
fn array(text: &str) -> Option<&str> {
    let (_, name) = text.strip_prefix("md/raid")?.split_once(':')?;
    Some(name.split_once(':')?.0)
}

/// No name of a device is longer.
const MOST_COMPONENT_BYTES: usize = 64;

/// `0000:3b:00.0` of `mlx5_core 0000:3b:00.0 eth0: Link down`, `nvme0` of `nvme nvme0: …`, `MC0` of `EDAC MC0: …`.
fn device_of_driver(text: &str) -> Option<&str> {
    const DRIVERS: [&str; 3] = ["nvme", "EDAC", "sd"];
    let mut words = text.split(' ');
    let driver = words.next()?;
    // `NVRM: GPU 0000:3b:00.0: …`, `NVRM: GPU at 0000:3b:00.0 has …`
    let mut words =
        words.filter(|word| driver != "NVRM:" || !matches!(*word, "The" | "NVIDIA" | "GPU" | "at"));
    let device = words.next()?.trim_end_matches(':');
    (is_address(device) || DRIVERS.contains(&driver)).then_some(device)
}

/// `0000:3b:00.0`, where the domain may have more digits.
pub(super) fn is_address(word: &str) -> bool {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = word.split([':', '.']);
    [4..=8, 2..=2, 2..=2, 1..=2].into_iter().all(|digits| {
        parts
            .next()
            .is_some_and(|part| digits.contains(&part.len()) && is_number(part))
    }) && parts.next().is_none()
}
