//! Networks: traffic, links, fabrics.

mod bond;
mod driver;
mod driver_words;
mod ethtool;
mod interface;
mod known;
mod link;
mod module_memory;
mod optics;
mod protocol;
mod rdma;
mod speed;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of networks.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &interface::NETWORK,
    &link::NETWORK_LINK,
    &speed::NETWORK_SPEED,
    &bond::BOND,
    &protocol::NETWORK_PROTOCOL,
    &rdma::RDMA,
    &driver::NETWORK_DRIVER,
    &optics::OPTICS,
];
