//! A process that is started here, and ended here, by its number.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::http::Client;
use crate::processes::Process;

/// How long a start may take: a server that finds its log reads all of it.
const START: Duration = Duration::from_secs(120);

/// How long an end may take: a server writes down what it holds.
const END: Duration = Duration::from_secs(120);

/// How often something is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    name: String,
}

impl Server {
    /// Starts it; what it logs goes into a file in `folder`.
    pub(crate) fn start(mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let log = File::create(folder.join(format!("{name}.log")))?;
        let child = command
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start `{name}`"))?;
        Ok(Self { child, name })
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Its input and output; once.
    pub(crate) fn talk(&mut self) -> anyhow::Result<(ChildStdin, BufReader<ChildStdout>)> {
        let input = self.child.stdin.take().context("its input is taken")?;
        let output = self.child.stdout.take().context("its output is taken")?;
        Ok((input, BufReader::new(output)))
    }

    /// A connection, once `path` there is answered well.
    pub(crate) fn connect(&mut self, port: u16, path: &str) -> anyhow::Result<Client> {
        let begun = Instant::now();
        loop {
            let answer = Client::connect(port).and_then(|mut client| {
                client.get(path)?.good()?;
                Ok(client)
            });
            match answer {
                Ok(client) => return Ok(client),
                Err(error) if begun.elapsed() > START => {
                    return Err(error.context(format!("`{}` does not answer", self.name)));
                }
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("`{}` ended: {status}", self.name);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let number = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &number]).status()?;
        if !told.success() {
            bail!("`{}` cannot be told to end", self.name);
        }
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > END {
                bail!("`{}` does not end", self.name);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // after `end` there is nothing to kill, and that is no trouble
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The next line that it says, where it begins as expected.
pub(crate) fn hear(output: &mut impl BufRead, expected: &str) -> anyhow::Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    let rest = line.trim_end().strip_prefix(expected);
    rest.map(|rest| rest.trim().to_owned())
        .with_context(|| format!("`{}` where `{expected}` was expected", line.trim_end()))
}
