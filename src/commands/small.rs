//! Version, completions and man pages.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::CommandLine;
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json};

/// The version of this binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints the version.
pub(crate) fn version(json: bool) -> Result<Exit, Failure> {
    if json {
        print_json(&json!({ "name": "glasshouse", "version": VERSION }))?;
    } else {
        print(&format!("glasshouse {VERSION}\n"))?;
    }
    Ok(Exit::Done)
}

/// Prints completions for a shell.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut CommandLine::command(),
        "glasshouse",
        &mut script,
    );
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Writes the man pages into a folder.
pub(crate) fn man(directory: &Path) -> Result<Exit, Failure> {
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(CommandLine::command(), directory))
        .with_context(|| format!("failed to write man pages to `{}`", directory.display()))
        .map_err(Failure::environment)?;
    Ok(Exit::Done)
}
