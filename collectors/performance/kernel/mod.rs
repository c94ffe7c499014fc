//! The kernel: load, pressure, processes, control groups, its clock, what it counts and what it says.

mod cgroup;
mod cgroup_metrics;
mod clock;
mod counters;
mod groups;
mod interrupts;
mod load;
mod messages;
mod patterns;
mod pressure;
mod processes;
mod record;
mod state;
mod stuck;
mod subject;
mod tables;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of the kernel.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &counters::KERNEL,
    &state::KERNEL_STATE,
    &messages::KERNEL_MESSAGES,
    &interrupts::INTERRUPTS,
    &load::LOAD,
    &pressure::PRESSURE,
    &processes::PROCESSES,
    &cgroup::CGROUP,
    &tables::KERNEL_TABLES,
    &clock::CLOCK,
];

/// The class of every message that is known; some come more than once.
pub(crate) fn message_classes() -> impl Iterator<Item = &'static str> {
    patterns::PATTERNS.iter().map(|pattern| pattern.class)
}
