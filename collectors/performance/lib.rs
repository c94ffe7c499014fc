//! Floor 1: collectors of processors, memory, storage, networks and the kernel, and of what the machine is.
//!
//! A folder a kind, a file a collector: definitions, reader. [`FAMILIES`] is the list; nothing else is public.

mod cpu;
mod inventory;
mod kernel;
mod labels;
mod memory;
mod network;
mod parts;
mod pcie;
mod storage;

use glasshouse_core::collector::CollectorSpec;

/// The collectors by kind, in the order in which they are listed.
pub static FAMILIES: &[(&str, &[&dyn CollectorSpec])] = &[
    ("processors", cpu::COLLECTORS),
    ("memory", memory::COLLECTORS),
    ("storage", storage::COLLECTORS),
    ("network", network::COLLECTORS),
    ("pci express", pcie::COLLECTORS),
    ("kernel", kernel::COLLECTORS),
    ("inventory", inventory::COLLECTORS),
];

/// Every collector of every family.
pub fn collectors() -> impl Iterator<Item = &'static dyn CollectorSpec> {
    FAMILIES
        .iter()
        .flat_map(|(_, collectors)| collectors.iter().copied())
}

/// The class of every message of the kernel that is told from others: what the code of a log entry of the kernel begins
/// with, and a number follows where the message has one (`xid.79`).
pub fn kernel_message_classes() -> impl Iterator<Item = &'static str> {
    kernel::message_classes()
}
