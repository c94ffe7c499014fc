//! Floor 1: collectors of baseboard management controllers (BMCs), by IPMI and by Redfish. Only this room knows
//! ipmi-rs, ipmi and nv-redfish.

/// Makes a list of definitions, which is what a collector declares, and a name for each of its entries: the entries
/// themselves, not copies.
macro_rules! definitions {
    ($list:ident: $kind:ty, $place:ident { $($name:ident = $definition:expr;)+ }) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "the names of the definitions")]
        #[derive(Clone, Copy)]
        enum $place { $($name),+ }
        pub(crate) static $list: [$kind; [$($place::$name),+].len()] = [$($definition),+];
        $(pub(crate) static $name: &$kind = &$list[$place::$name as usize];)+
    };
}

pub mod ipmi;
mod redfish;
mod this_host;

pub use redfish::request::{ALLOWED as REDFISH_REQUESTS, AllowedRequest};

use glasshouse_core::collector::CollectorSpec;

/// The collectors of this family, in the order in which they are listed.
pub static COLLECTORS: &[&dyn CollectorSpec] = &[&ipmi::IPMI, &ipmi::IPMI_LAN, &redfish::REDFISH];
