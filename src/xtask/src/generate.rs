//! Generated files are made by the binary itself, from the same lists that it runs by.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::project::{self, Profile};

pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let shell = project::shell()?;
    let root = project::root()?;
    let binary = project::build_glasshouse(&shell, Profile::Dev)?;
    if !check {
        cmd!(shell, "{binary} generate {root}").run()?;
        return update_by_tests(&shell);
    }
    let fresh = tempfile::tempdir()?;
    let fresh = fresh.path();
    cmd!(shell, "{binary} generate {fresh}").run()?;
    let files = files_below(fresh)?;
    if files.is_empty() {
        bail!("nothing was generated");
    }
    let mut stale = Vec::new();
    for file in &files {
        let name = file.strip_prefix(fresh)?;
        let wanted = std::fs::read(file)?;
        if std::fs::read(root.join(name)).ok().as_ref() != Some(&wanted) {
            stale.push(name.display().to_string());
        }
    }
    if !stale.is_empty() {
        bail!(
            "not up to date: {} (run `cargo xtask gen` and commit what it writes)",
            stale.join(", ")
        );
    }
    println!("{} generated files are up to date", files.len());
    Ok(())
}

/// The tools' manifest for the policies, and the Cedar schema made from it, are written by the tests that hold them: what
/// makes them is too large to ship.
fn update_by_tests(shell: &Shell) -> anyhow::Result<()> {
    let _update = shell.push_env("GLASSHOUSE_UPDATE", "1");
    let manifest = ["--package", "glasshouse", "--test", "it", "policy_schema"];
    let schema = [
        "--package",
        "glasshouse-policies",
        "--test",
        "generated_schema",
    ];
    cmd!(shell, "cargo test --quiet --locked {manifest...}").run()?;
    cmd!(shell, "cargo test --quiet --locked {schema...}").run()?;
    Ok(())
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("failed to list `{}`", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
