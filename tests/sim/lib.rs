//! An identity provider for tests: it publishes metadata and keys, signs whatever it is asked to, and answers
//! introspection. It issues tokens that no honest issuer would, which is what it is for.

mod provider;
mod token;

pub use provider::{IdentityProvider, RESOURCE_SERVER_ID, RESOURCE_SERVER_SECRET};
pub use token::{Signature, TokenKey};
