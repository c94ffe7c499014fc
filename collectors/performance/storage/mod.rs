//! Disks and what lies on them.

mod array;
mod ata_health;
mod ata_smart;
mod disk;
mod drive_labels;
mod filesystem;
mod filesystem_health;
mod nvme;
mod nvme_health;
mod nvme_log;
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
    &nvme_health::NVME_HEALTH,
    &ata_health::ATA_HEALTH,
];
