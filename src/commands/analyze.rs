//! The program beside this one that works on whole tables.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::anyhow;

use crate::exit::Failure;

/// Its name.
const NAME: &str = "glasshouse-analyze";

/// Where packages put it.
const PACKAGED: &str = "/usr/libexec/glasshouse";

/// A command that starts it: the one beside this program, so that both are of one version, else the packaged one.
pub(crate) fn command() -> Result<Command, Failure> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent);
    let folders = beside.into_iter().chain([Path::new(PACKAGED)]);
    let path = folders
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file());
    path.map(start).ok_or_else(|| {
        let error = anyhow!("`{NAME}` is neither beside this program nor in `{PACKAGED}`");
        Failure::environment(error).help(
            "install it from the same release (from a checkout: `cargo build --package glasshouse-analyze`)",
        )
    })
}

fn start(path: PathBuf) -> Command {
    let mut command = Command::new(path);
    // one core, and nothing of ours that it does not need
    command.env("POLARS_MAX_THREADS", "1");
    command
}
