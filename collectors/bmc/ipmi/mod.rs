//! IPMI: the BMC of this machine through the kernel (`ipmi`), and others over the network (`ipmi_lan`).
//!
//! ```text
//! own, network            collectors: which BMCs, and by which way
//!   bmc                   one run over one BMC
//!     repository sensor sel_log parts power health
//!       asking            an exchange: timed, counted, refused or lost
//!         transport       in_band (ipmi-rs), lan (ipmi)
//!           request       everything that can be asked
//! decode                  what the bytes mean: pure, and known to nobody's transport
//! ```

mod asking;
mod bmc;
pub mod decode;
mod health;
mod in_band;
mod lan;
mod metrics;
mod network;
mod own;
mod parts;
mod place;
mod power;
mod relay;
mod repository;
pub mod request;
mod sel_log;
mod sensor;
#[cfg(test)]
mod tests;
pub mod transport;

pub(crate) use network::IPMI_LAN;
pub(crate) use own::IPMI;
