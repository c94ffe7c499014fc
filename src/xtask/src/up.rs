use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

use crate::project::{self, Profile};

/// Builds, then becomes `glasshouse up`, so that signals reach it.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let shell = project::shell()?;
    let binary = project::build_glasshouse(&shell, Profile::Dev)?;
    let error = Command::new(&binary).arg("up").args(arguments).exec();
    Err(error).with_context(|| format!("failed to run `{}`", binary.display()))
}
