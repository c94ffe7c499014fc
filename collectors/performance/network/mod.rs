//! Networks: traffic, links, fabrics.

mod interface;
mod link;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of networks.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[&interface::NETWORK, &link::NETWORK_LINK];
