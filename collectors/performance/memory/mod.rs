//! Memory: what it is used for, and what happens where it runs short.

mod paging;
mod usage;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of memory.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[&usage::MEMORY, &paging::PAGING];
