//! Floor 1: collectors of GPUs. Only this room knows nvml-wrapper.

use glasshouse_core::collector::CollectorSpec;

/// The collectors of this family, in the order in which they are listed.
pub static COLLECTORS: &[&dyn CollectorSpec] = &[];
