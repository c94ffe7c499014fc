//! Stand-ins for what tests cannot have: an identity provider, and BMCs ([`ipmi`], [`redfish`]).
//!
//! The provider publishes metadata and keys, signs whatever it is asked to, and answers
//! introspection. It issues tokens that no honest issuer would, which is what it is for.

pub mod ipmi;
mod provider;
mod record;
pub mod redfish;
mod token;

pub use provider::{IdentityProvider, RESOURCE_SERVER_ID, RESOURCE_SERVER_SECRET};
pub use token::{Signature, TokenKey};
