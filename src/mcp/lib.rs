//! Floor 2: the gate and the read-only tools.

mod bridge;
mod http;
mod tools;
mod world;

pub use bridge::{BridgeError, BridgeSettings, bridge};
pub use http::{McpBody, McpService, service};
pub use tools::manifest;
pub use world::{FaceSettings, FaceWorld};
