//! `glasshouse mcp`: a local client's way to a face.

use glasshouse_mcp::{BridgeSettings, bridge};

use crate::cli::Mcp;
use crate::exit::{Exit, Failure};

/// Serves MCP on standard input and output until the input ends.
pub(crate) fn run(arguments: &Mcp) -> Result<Exit, Failure> {
    let settings = BridgeSettings {
        url: arguments.url.clone(),
        client_id: None,
        redirect_port: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::environment)?;
    let ended = runtime.block_on(bridge(settings));
    // a read of standard input may still hang on a thread
    runtime.shutdown_background();
    ended.map(|()| Exit::Done).map_err(Failure::environment)
}
