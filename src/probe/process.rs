//! The process of a worker: started, killed, and waited for without waiting.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::ioctl_fionbio;

/// What can be ended and waited for.
pub(crate) trait Mortal {
    /// Its number.
    fn id(&self) -> u32;

    /// Ends it. One that the kernel does not let go stays; see [`Self::ended`].
    fn kill(&mut self);

    /// How it ended; `None` where it has not.
    fn ended(&mut self) -> Option<String>;
}

/// A worker that the probe started.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it. Its standard output is the pipe that is given back; what it logs goes where the probe's log goes;
    /// every other descriptor of the probe closes by itself.
    pub(crate) fn start(program: &Path, arguments: &[OsString]) -> io::Result<(Self, OwnedFd)> {
        let mut child = Command::new(program)
            .arg0("glasshouse")
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("a child without an output"));
        let process = Self(child);
        match output.map(OwnedFd::from).and_then(|output| {
            ioctl_fionbio(&output, true)?;
            Ok(output)
        }) {
            Ok(output) => Ok((process, output)),
            Err(error) => {
                let mut process = process;
                process.kill();
                Err(error)
            }
        }
    }
}

impl Mortal for Process {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn kill(&mut self) {
        // it has ended already
        self.0.kill().ok();
    }

    fn ended(&mut self) -> Option<String> {
        match self.0.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            // somebody else has waited for it
            Err(error) => Some(error.to_string()),
        }
    }
}
