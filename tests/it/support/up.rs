use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::browser::Browser;
use super::folder::Folder;
use super::mcp::Face;
use super::oauth::{Grant, Issuer};
use super::process::{GLASSHOUSE, Running, children};

/// `glasshouse up` on free ports, with a state folder of its own.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) running: Running,
    /// The line that it prints when it is ready.
    pub(crate) ready: Value,
    pub(crate) state: PathBuf,
    _folder: Folder,
}

impl Up {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With a file over the config of the probe.
    pub(crate) fn start_with_probe(config: &Path) -> Self {
        Self::start_with(&["--probe-config".as_ref(), config.as_os_str()])
    }

    fn start_with(arguments: &[&OsStr]) -> Self {
        let folder = Folder::new();
        let state = folder.join("state");
        let running = Running::start(
            Command::new(GLASSHOUSE)
                .args(["up", "--json", "--listen", "127.0.0.1:0", "--state-dir"])
                .arg(&state)
                .args(arguments),
        );
        let line = running.line();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the ready line is not JSON ({error}): {line}"));
        Self {
            running,
            ready,
            state,
            _folder: folder,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.ready
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.ready))
    }

    pub(crate) fn mcp(&self) -> &str {
        self.text("/mcp")
    }

    pub(crate) fn issuer(&self) -> &str {
        self.text("/issuer")
    }

    pub(crate) fn metrics(&self) -> &str {
        self.text("/metrics")
    }

    pub(crate) fn face(&self) -> Face {
        Face::new(self.mcp())
    }

    /// Somebody who signs in with the login of the ready line and takes the task that is asked for.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.text("/login/user"), self.text("/login/password"))
    }

    /// The first of the clients that are known beforehand.
    pub(crate) fn issuer_client(&self) -> Issuer {
        let redirect = self.text("/clients/0/redirect_uris/0");
        Issuer::new(
            self.issuer(),
            self.mcp(),
            self.text("/clients/0/client_id"),
            redirect,
        )
    }

    /// A token for a task with both scopes, by the whole flow.
    pub(crate) async fn token(&self, task: &str) -> Grant {
        let issuer = self.issuer_client();
        let scope = format!("telemetry:read inventory:read task:{task}");
        issuer.sign_in(&mut self.browser(), &scope).await
    }

    /// The process of a role, by the first argument of its command line.
    pub(crate) fn role(&self, role: &str) -> Option<u32> {
        children(self.running.id())
            .into_iter()
            .find(|(_, arguments)| arguments.get(1).is_some_and(|first| first == role))
            .map(|(id, _)| id)
    }
}
