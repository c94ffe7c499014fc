//! Floor 1: collectors of baseboard management controllers (BMCs), by IPMI and by Redfish. Only this room knows
//! ipmi-rs, ipmi and nv-redfish.

pub mod ipmi;
mod metrics;
mod redfish;

pub use redfish::request::{ALLOWED as REDFISH_REQUESTS, AllowedRequest};

use glasshouse_core::collector::CollectorSpec;

/// The collectors of this family, in the order in which they are listed.
pub static COLLECTORS: &[&dyn CollectorSpec] =
    &[&ipmi::IPMI, &ipmi::IPMI_LAN, &redfish::REDFISH];
