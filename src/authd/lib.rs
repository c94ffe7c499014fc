//! Floor 2: the built-in authorization server for a lab or one machine.
//!
//! [`run`] serves the authorization code flow of OAuth 2.1 on loopback: metadata (RFC 8414), sign-in and consent pages,
//! codes with PKCE (S256 alone), resource indicators (RFC 8707), `iss` in every answer (RFC 9207), JWT access tokens
//! (RFC 9068) of five minutes, refresh tokens that rotate, introspection (RFC 7662) and revocation (RFC 7009). Clients
//! are configured, register themselves for loopback redirects (RFC 7591), or name a metadata document by URL. The
//! protocol is `oauth-as`; the pages, the sign-in, the choice of a task and every bound are ours.
//!
//! A token names one task. Whatever a client asked for, the person picks exactly one on the consent page, each time:
//! there is no remembered consent that somebody else's request could ride on.
//!
//! Grants live in memory: a restart revokes them all, and says so.

mod answers;
mod attempts;
mod book;
mod cimd;
mod clients;
mod connection;
mod endpoints;
mod events;
mod flow;
mod html;
mod key;
mod listen;
mod pages;
mod protocol;
mod random;
mod request;
mod settings;
mod store;
mod tickets;
mod wall_clock;

#[cfg(test)]
mod flow_tests;

pub use listen::run;
pub use settings::{AuthdError, AuthdSettings, ClientSettings, User};
