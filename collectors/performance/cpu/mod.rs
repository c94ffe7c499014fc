//! Processors: time, clocks and their limits, rest, throttling, registers.

mod frequency;
mod idle;
mod limits;
mod processors;
mod registers;
mod throttle;
mod time;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of processors.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &time::CPU,
    &frequency::CPU_FREQUENCY,
    &limits::CPU_LIMITS,
    &idle::CPU_IDLE,
    &throttle::CPU_THROTTLE,
    &registers::CPU_REGISTERS,
];
