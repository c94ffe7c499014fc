//! Floor 1: from a bearer token to a principal.
//!
//! [`TokenVerifier`] turns the token of a request into a [`Principal`](glasshouse_core::access::Principal), or says why not.
//! It is the only room that knows `jsonwebtoken`, and it asks that crate one thing: does this signature fit this key? The
//! header, the claims and the times are read and judged here, by rules that have no lax default:
//!
//! * one algorithm a key, taken from the key and never from the token; `none` and `HS*` do not exist here;
//! * no duplicate names in the header or the claims, nothing critical (`crit`), nothing that brings its own key
//!   (`jwk`, `jku`, `x5u` are not looked at);
//! * `typ` is `at+jwt`, so an ID token is not an access token; `iss`, `aud`, `sub`, `exp` and the client must be there;
//! * a token bound to a key (`cnf`) is refused as a plain bearer token;
//! * two tasks are refused; none is passed on as none.
//!
//! Keys come from the issuer (its JWKS, found by RFC 8414 or OpenID metadata), are kept for an hour while the issuer is
//! away, and then no longer. Revocation is learnt by introspection (RFC 7662), at most four seconds old. Whatever
//! cannot be found out is a refusal.

mod claims;
mod fetch;
mod introspection;
mod issuer;
mod keys;
mod metadata;
mod settings;
mod strict;
mod token;
mod verifier;
#[cfg(test)]
mod verifier_tests;

pub use metadata::resource_metadata;
pub use settings::{AuthError, AuthSettings, IntrospectionSettings, IssuerSettings};
pub use verifier::TokenVerifier;
