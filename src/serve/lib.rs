//! Floor 2: listeners, TLS and limits of the face.
//!
//! This room knows bytes, sockets and time. It knows no token, no policy and no tool: wiring hands it one service for
//! `/mcp` and the bytes of one public document. Everything that a stranger can do before the first policy is asked is
//! bounded here: connections, handshakes, headers, requests, and how long each of them may take.
//!
//! * [`bind`] opens the listener, and refuses to speak plain HTTP off loopback.
//! * [`run`] serves until told to stop; certificates are reloaded on demand, and a broken file keeps the old ones.

mod connection;
mod error;
mod limits;
mod linger;
mod listener;
mod routes;
mod server;
mod tls;

#[cfg(test)]
mod tests;

pub use error::ServeError;
pub use limits::ServeLimits;
pub use listener::{ServeSettings, bind};
pub use routes::{MCP_PATH, RESOURCE_METADATA_PATH, RESOURCE_METADATA_ROOT_PATH, Routes};
pub use server::run;
pub use tls::TlsFiles;
