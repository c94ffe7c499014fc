//! Processors: time, clocks, throttling.

mod frequency;
mod throttle;
mod time;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of processors.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &time::CPU,
    &frequency::CPU_FREQUENCY,
    &throttle::CPU_THROTTLE,
];
