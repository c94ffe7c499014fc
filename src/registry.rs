//! Every collector, family by family.

use glasshouse_core::collector::CollectorSpec;

/// A family and its collectors.
type Family = (&'static str, &'static [&'static dyn CollectorSpec]);

/// The families of the other rooms, behind those of `performance`.
static FURTHER: &[Family] = &[
    ("power", glasshouse_power::COLLECTORS),
    ("gpu", glasshouse_gpu::COLLECTORS),
    ("bmc", glasshouse_bmc::COLLECTORS),
];

/// The families, each with its collectors, in the order in which they are listed.
pub(crate) fn families() -> impl Iterator<Item = Family> {
    glasshouse_performance::FAMILIES
        .iter()
        .chain(FURTHER)
        .copied()
}

/// Every collector, in the order of [`families`].
pub(crate) fn collectors() -> Vec<&'static dyn CollectorSpec> {
    families()
        .flat_map(|(_, family)| family.iter().copied())
        .collect()
}
