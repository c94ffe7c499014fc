//! Floor 2: listeners, TLS and limits of the face.
//!
//! This room knows bytes, sockets and time. It knows no token, no policy, no tool and no metric: wiring hands it one service
//! for `/mcp`, the bytes of one public document, and a source of pages. Everything that a stranger can do before the first policy is asked is
//! bounded here: connections, handshakes, headers, requests, and how long each of them may take.
//!
//! * [`bind`] opens the listener, and refuses to speak plain HTTP off loopback.
//! * [`run`] serves until told to stop; certificates are reloaded on demand, and a broken file keeps the old ones.
//! * [`run_pages`] does the same for `/metrics` and `/healthz` on a listener of their own.

mod connection;
mod counters;
mod error;
mod limits;
mod linger;
mod listener;
mod pages;
mod routes;
mod server;
mod tls;

#[cfg(test)]
mod tests;

pub use counters::{CLASSES, ListenerCounters};
pub use error::ServeError;
pub use limits::ServeLimits;
pub use listener::{ServeSettings, bind};
pub use pages::{Admission, HEALTH_PATH, METRICS_PATH, PageSource, Pages, Rendered, Unavailable};
pub use routes::{MCP_PATH, RESOURCE_METADATA_PATH, RESOURCE_METADATA_ROOT_PATH, Routes};
pub use server::{run, run_pages};
pub use tls::{ClientCertificates, TlsFiles};
