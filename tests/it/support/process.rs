use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// The binary under test.
pub(crate) const GLASSHOUSE: &str = env!("CARGO_BIN_EXE_glasshouse");

/// A program that ends with the test, and the lines that it prints.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: std::sync::Arc<std::sync::Mutex<String>>,
}

/// The most of what a program logs that is kept for the message of a failed test.
const LOG_BYTES: usize = 256 * 1024;

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let (sender, lines) = std::sync::mpsc::channel();
        let output = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = std::sync::Arc::<std::sync::Mutex<String>>::default();
        let mut log = child.stderr.take().unwrap();
        let kept = std::sync::Arc::clone(&errors);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = log.read(&mut chunk) {
                let mut kept = kept.lock().unwrap();
                if kept.len() < LOG_BYTES {
                    kept.push_str(&String::from_utf8_lossy(&chunk[..read]));
                }
            }
        });
        Self {
            child,
            lines,
            errors,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// The next line that it prints.
    ///
    /// # Panics
    /// Where none comes; with its log.
    pub(crate) fn line(&self) -> String {
        self.line_or_end().unwrap_or_else(|| {
            // what it logged last may still be on the way
            std::thread::sleep(Duration::from_millis(300));
            panic!(
                "it ended without the line that was expected:\n{}",
                self.log()
            )
        })
    }

    /// The next line, or nothing where it ended.
    pub(crate) fn line_or_end(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line within {PATIENCE:?}:\n{}", self.log())
            }
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop and waits.
    ///
    /// # Panics
    /// Where it does not stop.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        signal_process(self.id(), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_running() {
            return;
        }
        if std::thread::panicking() {
            eprintln!("log of the program:\n{}", self.log());
        }
        // its own children end with it only where it is asked
        self.signal(rustix::process::Signal::TERM);
        let end = Instant::now() + Duration::from_secs(20);
        while self.is_running() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("the program could not be ended: {error}");
        }
    }
}

/// Signals a process that a test started; one that is gone already is as good.
pub(crate) fn signal_process(id: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    if let Err(error) = rustix::process::kill_process(id, signal) {
        assert_eq!(error, rustix::io::Errno::SRCH);
    }
}

/// The children of a process: their ids and command lines.
pub(crate) fn children(parent: u32) -> Vec<(u32, Vec<String>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // it may end between two looks
        let read = |file: &str| std::fs::read(entry.path().join(file));
        let (Ok(stat), Ok(line)) = (read("stat"), read("cmdline")) else {
            continue;
        };
        let stat = String::from_utf8_lossy(&stat).into_owned();
        let behind_name = stat.rsplit_once(')').unwrap().1;
        if behind_name.split_ascii_whitespace().nth(1) == Some(&parent.to_string()) {
            let line = String::from_utf8_lossy(&line);
            let arguments = line.split_terminator('\0').map(str::to_owned).collect();
            found.push((id, arguments));
        }
    }
    found
}

/// Whether this test runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs to its end and returns status, output and log.
pub(crate) fn run(program: impl AsRef<Path>, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program.as_ref())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
