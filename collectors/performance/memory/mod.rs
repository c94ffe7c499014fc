//! Memory: what it is used for, by node too, what happens where it runs short, and its errors.

mod bandwidth;
mod edac;
mod modules;
mod numa;
mod paging;
mod usage;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of memory.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &usage::MEMORY,
    &paging::PAGING,
    &numa::NUMA,
    &edac::EDAC,
    &bandwidth::MEMORY_BANDWIDTH,
];
