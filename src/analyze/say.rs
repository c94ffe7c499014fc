//! The ways to standard output and standard error.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde_json::Value;

/// Writes one JSON object, on one line, at once.
pub(crate) fn say(value: &Value) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")
        .and_then(|()| out.flush())
        .context("failed to write to standard output")
}

/// Writes what failed, with its causes. There is nobody to tell where that fails too.
pub(crate) fn complain(error: &anyhow::Error) {
    drop(writeln!(io::stderr().lock(), "{error:#}"));
}
