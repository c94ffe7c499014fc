//! The verifier against a made-up issuer: every refusal by its word.

mod issuers;
mod refusals;
mod support;
