//! Networks: traffic, links, fabrics.

mod bond;
mod interface;
mod link;
mod protocol;
mod rdma;

use glasshouse_core::collector::CollectorSpec;

/// The collectors of networks.
pub(crate) static COLLECTORS: &[&dyn CollectorSpec] = &[
    &interface::NETWORK,
    &link::NETWORK_LINK,
    &bond::BOND,
    &protocol::NETWORK_PROTOCOL,
    &rdma::RDMA,
];
