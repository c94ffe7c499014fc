//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use xshell::{Shell, cmd};

/// The checkout.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).context("xtask lies too high")?;
    Ok(root.to_owned())
}

/// A shell in the checkout.
pub(crate) fn shell() -> anyhow::Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(root()?);
    Ok(shell)
}

/// How to build.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Quick to run.
    Release,
}

/// Builds `glasshouse` and says where it is.
pub(crate) fn build_glasshouse(shell: &Shell, profile: Profile) -> anyhow::Result<PathBuf> {
    let (flags, folder): (&[&str], _) = match profile {
        Profile::Dev => (&[], "debug"),
        Profile::Release => (&["--release"], "release"),
    };
    cmd!(
        shell,
        "cargo build --locked --package glasshouse --bin glasshouse {flags...}"
    )
    .run()?;
    let binary = target_folder(shell)?.join(folder).join("glasshouse");
    if !binary.is_file() {
        bail!("`{}` was not built", binary.display());
    }
    Ok(binary)
}

/// Builds an example of a package for speed and says where it is.
pub(crate) fn build_example(
    shell: &Shell,
    package: &str,
    example: &str,
) -> anyhow::Result<PathBuf> {
    cmd!(
        shell,
        "cargo build --locked --release --package {package} --example {example}"
    )
    .run()?;
    let folder = target_folder(shell)?.join("release/examples");
    let binary = folder.join(example);
    if !binary.is_file() {
        bail!("`{}` was not built", binary.display());
    }
    Ok(binary)
}

fn target_folder(shell: &Shell) -> anyhow::Result<PathBuf> {
    let text = cmd!(shell, "cargo metadata --no-deps --format-version 1")
        .quiet()
        .read()?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let folder = metadata
        .get("target_directory")
        .and_then(serde_json::Value::as_str)
        .context("cargo names no target folder")?;
    Ok(folder.into())
}
