//! PCI Express: links, errors, and which devices there are.

mod device;
mod inventory;
mod link;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of PCI Express.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[&link::PCIE, &inventory::PCIE_INVENTORY];
