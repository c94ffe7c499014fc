//! Which part of the machine a chip is in, by its driver.

use glasshouse_sysfs::{POWER_SUPPLY_DRIVERS, is_driver};

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
    ("power_supply", POWER_SUPPLY_DRIVERS),
];

/// The `hw.type` of the part that a chip is in; `other` where nothing says.
pub(super) fn part(driver: &str) -> &'static str {
    PARTS
        .iter()
        .find(|(_, names)| is_driver(names, driver))
        .map_or("other", |(part, _)| part)
}

/// The part that a socket of ACPI's power meter feeds, by the text that the maker wrote beside it (NVIDIA Grace).
pub(super) fn part_of_socket(text: &str) -> Option<&'static str> {
    if !text.contains("Power Socket") {
        return None;
    }
    let is_cpu = text.starts_with("CPU") || text.starts_with("Grace");
    Some(if is_cpu { "cpu" } else { "other" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_or_a_text_says_the_part() {
        assert_eq!(part("tps53679"), "other");
        assert_eq!(part("ibm-cffps2"), "power_supply");
        assert_eq!(part_of_socket("CPU Power Socket 0"), Some("cpu"));
        assert_eq!(part_of_socket("Module Power Socket 0"), Some("other"));
        assert_eq!(part_of_socket("total"), None);
    }
}
