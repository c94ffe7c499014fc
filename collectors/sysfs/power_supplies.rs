//! Which chips of hwmon are power supplies of the whole machine, and where they tell what they draw: one answer for all
//! who may sum them up, so that the sum has one writer.

use glasshouse_core::failure::CollectError;

use crate::buffer::ReadBuffer;
use crate::kept::KeptFile;
use crate::parse::optional;
use crate::root::SysRoot;

const DIRECTORY: &str = "sys/class/hwmon";

/// More chips than any machine has.
const MOST_CHIPS: usize = 1024;

/// The driver of chips that PMBus says enough of; it also binds to regulators on the board.
const GENERIC_PMBUS: &str = "pmbus";

/// Drivers of power supplies that stand between a feed and the machine; a `*` ends a start.
pub const POWER_SUPPLY_DRIVERS: &[&str] = &[
    "acbel*",
    "bel-pfe",
    "bpa-rs600",
    "bpd-rs600",
    "cffps*",
    "corsairpsu",
    "crps*",
    "dps*",
    "fsg032",
    "fsp*",
    "ibm-cffps*",
    "ipsps*",
    "pfe*",
    GENERIC_PMBUS,
    "ym2151e",
    "yh5151e",
];

/// Mains and high-voltage direct current have more, feeds of regulators less: 12 V, 48 V.
const LEAST_FEED_MILLIVOLTS: i64 = 80_000;

/// What PMBus calls the input power of a device; of several pages, the number is behind it.
const INPUT_POWER: &str = "pin";
const INPUT_VOLTAGE: &str = "vin";

/// Whether a driver is one of these names, of which a `*` ends a start.
#[must_use]
pub fn is_driver(names: &[&str], driver: &str) -> bool {
    names.iter().any(|name| match name.strip_suffix('*') {
        Some(start) => driver.starts_with(start),
        None => driver == *name,
    })
}

/// The driver of a chip of `/sys/class/hwmon` and where its files are: old drivers have them in the device's folder.
/// `None` where it does not say who it is.
///
/// # Errors
///
/// If the name is there but cannot be read.
pub fn hwmon_chip(root: &SysRoot, class: &str) -> Result<Option<(String, String)>, CollectError> {
    for directory in [class.to_owned(), format!("{class}/device")] {
        if let Some(driver) = root.read_optional_trimmed(&format!("{directory}/name"))? {
            return Ok(Some((driver, directory)));
        }
    }
    Ok(None)
}

/// The channels (`power1`) of a chip that measure what a power supply draws; `None` of a chip that is no power supply.
/// Empty of one that does not tell: then there is no sum.
#[must_use]
pub fn supply_inputs(
    root: &SysRoot,
    driver: &str,
    directory: &str,
    files: &[String],
) -> Option<Vec<String>> {
    if !is_driver(POWER_SUPPLY_DRIVERS, driver) {
        return None;
    }
    let labelled = |stem: &'static str, word: &'static str| {
        let channels = files.iter().filter_map(|file| file.strip_suffix("_label"));
        channels
            .filter(move |channel| is_numbered(channel, stem))
            .filter(move |channel| {
                let label = root.read_optional_trimmed(&format!("{directory}/{channel}_label"));
                matches!(label, Ok(Some(label)) if is_numbered(&label, word) || label == word)
            })
    };
    if driver == GENERIC_PMBUS
        && !labelled("in", INPUT_VOLTAGE).any(|channel| is_fed(root, directory, channel))
    {
        return None;
    }
    let has = |file: String| files.contains(&file);
    let reads =
        |channel: &str| has(format!("{channel}_input")) || has(format!("{channel}_average"));
    let inputs = labelled("power", INPUT_POWER).filter(|channel| reads(channel));
    Some(inputs.map(ToOwned::to_owned).collect())
}

/// Whether the kernel sees what every power supply draws: then the hwmon collector sums it up, and nobody else does.
///
/// # Errors
///
/// If the chips cannot be listed.
pub fn kernel_sums_supplies(root: &SysRoot) -> Result<bool, CollectError> {
    let mut sums = false;
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    for name in names.iter().take(MOST_CHIPS) {
        // of a chip that cannot be read hwmon knows as little
        let Ok(Some((driver, directory))) = hwmon_chip(root, &format!("{DIRECTORY}/{name}")) else {
            continue;
        };
        let files = root.list(&directory).unwrap_or_default();
        match supply_inputs(root, &driver, &directory, &files) {
            None => {}
            Some(inputs) if inputs.is_empty() => return Ok(false),
            Some(_) => sums = true,
        }
    }
    Ok(sums)
}

/// `power1`, `pin2`, but not `pinch`.
fn is_numbered(text: &str, stem: &str) -> bool {
    text.strip_prefix(stem)
        .is_some_and(|page| !page.is_empty() && page.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_fed(root: &SysRoot, directory: &str, channel: &str) -> bool {
    KeptFile::attribute(root, &format!("{directory}/{channel}_input"))
        .read_i64(&mut ReadBuffer::new())
        .is_ok_and(|millivolts| millivolts >= LEAST_FEED_MILLIVOLTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(chips: &[&[(&str, &str)]]) -> bool {
        let tree = tempfile::tempdir().unwrap();
        for (number, files) in chips.iter().enumerate() {
            let chip = tree.path().join(format!("{DIRECTORY}/hwmon{number}"));
            std::fs::create_dir_all(&chip).unwrap();
            for (file, text) in *files {
                std::fs::write(chip.join(file), format!("{text}\n")).unwrap();
            }
        }
        kernel_sums_supplies(&SysRoot::new(tree.path())).unwrap()
    }

    const TELLS: &[(&str, &str)] = &[
        ("name", "dps920ab"),
        ("power1_label", "pin"),
        ("power1_input", "210000000"),
    ];
    const SILENT: &[(&str, &str)] = &[("name", "dps920ab"), ("power1_label", "pout1")];
    const REGULATOR: &[(&str, &str)] = &[
        ("name", "tps53679"),
        ("power1_label", "pin"),
        ("power1_input", "31000000"),
    ];
    const fn generic(millivolts: &'static str) -> [(&'static str, &'static str); 5] {
        [
            ("name", "pmbus"),
            ("in1_label", "vin"),
            ("in1_input", millivolts),
            ("power1_label", "pin1"),
            ("power1_input", "50000000"),
        ]
    }

    #[test]
    fn the_kernel_sums_where_every_supply_and_no_regulator_tells() {
        assert!(!sums(&[]));
        assert!(sums(&[TELLS, TELLS]));
        assert!(!sums(&[TELLS, SILENT]));
        assert!(!sums(&[REGULATOR]));
        assert!(sums(&[REGULATOR, TELLS]));
        assert!(sums(&[&generic("230000")]));
        assert!(!sums(&[&generic("12000")]));
        // a label without a reading
        assert!(!sums(&[&[("name", "dps920ab"), ("power1_label", "pin")]]));
    }
}
