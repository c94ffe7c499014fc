//! Floor 2: the gate and the read-only tools.
//!
//! The only room that knows the protocol library. [`service`] is everything of `/mcp` as one tower service; inside, the
//! gate is the one place that asks whether something may be done, and a tool is a file that reads through the gate's view.

mod answer;
mod bridge;
mod callers;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod fakes;
mod gate;
mod http;
mod server;
mod tools;
mod world;

pub use self::bridge::{BridgeError, BridgeSettings, bridge};
pub use self::http::{McpBody, McpService, service};
pub use self::tools::manifest;
pub use self::world::{FaceSettings, FaceWorld};
