//! Disks and what lies on them.

mod disk;
mod filesystem;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of disks and file systems.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[&disk::DISK, &filesystem::FILESYSTEM];
