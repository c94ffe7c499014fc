//! Disks and what lies on them.

mod array;
mod disk;
mod filesystem;
mod filesystem_health;
mod nvme;
mod queue;
mod scsi;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of disks and file systems.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &disk::DISK,
    &filesystem::FILESYSTEM,
    &nvme::NVME,
    &scsi::SCSI,
    &queue::DISK_QUEUE,
    &array::ARRAY,
    &filesystem_health::FILESYSTEM_HEALTH,
];
