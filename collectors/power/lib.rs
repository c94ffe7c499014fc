//! Floor 1: collectors of power and heat.
//!
//! One file a collector: definitions, reader. [`COLLECTORS`] is the list; nothing else is public.

mod hwmon;
mod power_supply;
mod rapl;
mod thermal;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of this family, in the order in which they are listed.
pub static COLLECTORS: &[&dyn CollectorSpec] = &[
    &hwmon::HWMON,
    &hwmon::HWMON_ALARM,
    &hwmon::HWMON_DEVICE,
    &rapl::RAPL,
    &thermal::THERMAL,
    &power_supply::POWER_SUPPLY,
];
