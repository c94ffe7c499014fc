//! Every collector, family by family.

use glasshouse_core::collector::CollectorSpec;

/// The families, each with its collectors, in the order in which they are listed.
pub(crate) static FAMILIES: &[(&str, &[&dyn CollectorSpec])] = &[
    ("performance", glasshouse_performance::COLLECTORS),
    ("power", glasshouse_power::COLLECTORS),
];

/// Every collector, in the order of [`FAMILIES`].
pub(crate) fn collectors() -> Vec<&'static dyn CollectorSpec> {
    FAMILIES
        .iter()
        .flat_map(|(_, family)| family.iter().copied())
        .collect()
}
