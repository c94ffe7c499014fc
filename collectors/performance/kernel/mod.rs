//! The kernel: what it counts of itself, of what runs on it, and of what waits.

mod counters;
mod load;
mod pressure;
mod processes;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of the kernel and of what runs on it.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &counters::KERNEL,
    &load::LOAD,
    &pressure::PRESSURE,
    &processes::PROCESSES,
];
