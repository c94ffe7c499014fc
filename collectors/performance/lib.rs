//! Floor 1: collectors of processors, memory, disks and networks.
//!
//! One file a collector: definitions, reader. [`COLLECTORS`] is the list; nothing else is public.

mod cpu;
mod cpu_frequency;
mod cpu_throttle;
mod disk;
mod filesystem;
mod inventory;
mod kernel;
mod labels;
mod load;
mod memory;
mod network;
mod network_link;
mod paging;
mod pressure;
mod processes;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of this family, in the order in which they are listed.
pub static COLLECTORS: &[&dyn CollectorSpec] = &[
    &cpu::CPU,
    &cpu_frequency::CPU_FREQUENCY,
    &cpu_throttle::CPU_THROTTLE,
    &disk::DISK,
    &filesystem::FILESYSTEM,
    &inventory::INVENTORY,
    &kernel::KERNEL,
    &load::LOAD,
    &memory::MEMORY,
    &network::NETWORK,
    &network_link::NETWORK_LINK,
    &paging::PAGING,
    &pressure::PRESSURE,
    &processes::PROCESSES,
];
