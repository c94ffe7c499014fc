//! Floor 1: the Cedar decision point beside its policies.
//!
//! [`PolicyEngine`] answers the questions of [`glasshouse_core::access`]. Nothing outside this room knows Cedar.
//!
//! Policies are files: `base.cedar` forbids for everyone, `tasks/NAME.cedar` permits for one task. The schema that they
//! are checked against, `schema.cedarschema`, is generated from the manifest of the tools and is not theirs to change.
//! What is not permitted is denied, and so is everything that could not be judged. `docs/policy.md` says it to those who
//! write policies.

mod context;
mod engine;
mod entities;
mod error;
mod explain;
mod issuers;
mod listing;
mod load;
mod matrix;
mod schema;

pub use engine::{Place, PolicyEngine};
pub use error::PolicyError;
pub use explain::{Explanation, Refusal, explain};
pub use load::{CheckReport, check};
pub use matrix::matrix;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
