//! Floor 1: collectors of GPUs. Only this room knows nvml-wrapper.
//!
//! NVIDIA's GPUs answer through the library of their driver (`nvidia/`), AMD's through sysfs (`amd/`). Both may hang in
//! the driver, so all collectors here run in the worker `gpu`. Nothing here can change anything: see [`allowed`].

mod amd;
mod ffi;
mod metrics;
mod nvidia;

use glasshouse_core::collector::CollectorSpec;

pub use nvidia::{DumpError, dump};

/// The collectors of this family, in the order in which they are listed.
pub static COLLECTORS: &[&dyn CollectorSpec] = &[
    &nvidia::NVIDIA_GPU,
    &nvidia::NVIDIA_GPU_HEALTH,
    &amd::AMD_GPU,
];

/// Every function of the driver's library that this room can call, by its symbol: getters, the event set that they
/// need, and the library's own start and end. There is no way to name another.
pub fn allowed() -> impl Iterator<Item = &'static str> {
    nvidia::allowed()
}
