//! Log lines go to standard error, which the journal or `glasshouse up` reads.

use std::io;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// What is logged where nothing is said: what an operator should know, and nothing of each request.
pub(crate) const DEFAULT_LEVEL: &str = "info";

/// What is not logged unless a filter names it: the protocol library tells each request, in the words of its client, and
/// calls a sign-in that is still to come an error.
const UNASKED: &str = "rmcp=off";

/// Starts logging at this level (`error` … `trace`, or a filter such as `info,glasshouse_store=debug`).
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(format!("{UNASKED},{filter}"))
        .with_context(|| format!("`{filter}` is no log filter"))
        .map_err(|error| {
            Failure::usage(error).help("write a level (error, warn, info, debug, trace) or a filter such as `info,glasshouse_store=debug`")
        })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init()
        .map_err(|error| Failure::environment(anyhow::anyhow!(error)))
}
