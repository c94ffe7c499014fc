//! Programs that end when the bench is done with them.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::processes::Process;

/// How long a start may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a polite end may take.
const FAREWELL: Duration = Duration::from_secs(15);

/// A process that ends when this one is done with it.
#[derive(Debug)]
pub(super) struct Running(pub(super) Child);

impl Running {
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self(child))
    }

    pub(super) fn process(&self) -> Process {
        Process(self.0.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // politely first: `up` stops its children
        let id = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        let patience = Instant::now() + FAREWELL;
        while asked.is_ok() && Instant::now() < patience {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.0.kill().and_then(|()| self.0.wait()).is_err() {
            eprintln!("process {id} could not be ended");
        }
    }
}

/// Asks until there is an answer, or until the patience ends with the last error.
pub(super) fn eventually<T>(mut ask: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let patience = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(_) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}
