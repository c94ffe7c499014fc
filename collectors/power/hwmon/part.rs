//! Which part of the machine a chip is in, by its driver.

/// Drivers whose chips measure power or energy, and the `hw.type` of the part that they are in.
const PARTS: [(&str, &[&str]); 7] = [
    (
        "cpu",
        &[
            "amd_energy",
            "coretemp",
            "fam15h_power",
            "k10temp",
            "peci_cputemp*",
            "zenpower",
        ],
    ),
    ("enclosure", &["power_meter"]),
    (
        "gpu",
        &["amdgpu", "i915", "nouveau", "radeon", "xe", "habanalabs*"],
    ),
    ("memory", &["jc42", "peci_dimmtemp*", "spd5118"]),
    (
        "network",
        &["bnxt_en", "ice", "iwlwifi*", "mlx5", "nfp", "sfp*"],
    ),
    ("physical_disk", &["drivetemp", "nvme"]),
    ("power_supply", POWER_SUPPLIES),
];

/// The driver of chips that PMBus says enough of; it also binds to regulators on the board.
const GENERIC_PMBUS: &str = "pmbus";

/// Drivers of power supplies that stand between a feed and the machine.
const POWER_SUPPLIES: &[&str] = &[
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

/// The `hw.type` of the part that a chip is in; `other` where nothing says.
pub(super) fn part(driver: &str) -> &'static str {
    PARTS
        .iter()
        .find(|(_, names)| known(names, driver))
        .map_or("other", |(part, _)| part)
}

/// How sure it is that a chip is a power supply of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// Its driver serves nothing else.
    Surely,
    /// Its driver also serves regulators: the input voltage tells.
    Perhaps,
    No,
}

pub(super) fn supply(driver: &str) -> Supply {
    match driver {
        GENERIC_PMBUS => Supply::Perhaps,
        driver if known(&POWER_SUPPLIES, driver) => Supply::Surely,
        _ => Supply::No,
    }
}

/// The part that a socket of ACPI's power meter feeds, by the text that the maker wrote beside it (NVIDIA Grace).
pub(super) fn part_of_socket(text: &str) -> Option<&'static str> {
    if !text.contains("Power Socket") {
        return None;
    }
    let is_cpu = text.starts_with("CPU") || text.starts_with("Grace");
    Some(if is_cpu { "cpu" } else { "other" })
}

fn known(names: &&[&str], driver: &str) -> bool {
    names.iter().any(|name| match name.strip_suffix('*') {
        Some(start) => driver.starts_with(start),
        None => driver == *name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regulator_is_not_surely_a_power_supply() {
        assert_eq!(supply("dps920ab"), Supply::Surely);
        assert_eq!(supply("pmbus"), Supply::Perhaps);
        assert_eq!(supply("tps53679"), Supply::No);
        assert_eq!(part("ibm-cffps2"), "power_supply");
        assert_eq!(part_of_socket("CPU Power Socket 0"), Some("cpu"));
        assert_eq!(part_of_socket("Module Power Socket 0"), Some("other"));
        assert_eq!(part_of_socket("total"), None);
    }
}
