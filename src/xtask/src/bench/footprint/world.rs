//! Namespaces of the run's own, in which a small machine is made as large as the budget speaks of, for all who are
//! measured alike. Nothing of the host changes, and with the last process all of it is gone.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::glasshouse::series_there;

/// As many series as the budget is for.
const WANTED: u64 = 600;

/// The most pairs of network interfaces that are added.
const MOST_PAIRS: u64 = 64;

/// So many are added before the series are counted again, which takes a second.
const PAIRS_A_LOOK: u64 = 2;

/// What came of the wish to be in namespaces.
pub(super) enum Entered {
    /// The bench ran there.
    Ran(anyhow::Result<()>),
    /// They cannot be had, and why.
    Cannot(String),
}

/// Runs this command line again in namespaces of its own: mounts, network and processes.
pub(super) fn enter(binary: &Path) -> Entered {
    let namespaces = ["--mount", "--net", "--pid", "--fork", "--mount-proc"];
    let usable = Command::new("unshare")
        .args(namespaces)
        .arg("true")
        .output();
    match usable {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            return Entered::Cannot(why.trim().to_owned());
        }
        Err(error) => return Entered::Cannot(format!("`unshare`: {error}")),
    }
    let again = || -> anyhow::Result<()> {
        let mut command = Command::new("unshare");
        command
            .args(namespaces)
            .arg("--kill-child")
            .arg(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .arg("--inside");
        if !std::env::args_os().any(|argument| argument == "--binary") {
            command.arg("--binary").arg(binary);
        }
        ensure!(command.status()?.success(), "the measurement failed");
        Ok(())
    };
    Entered::Ran(again())
}

/// The machine that is measured on.
#[derive(Debug)]
pub(super) struct World {
    words: String,
    /// Only what was started here has a process number here.
    own_processes: bool,
}

impl World {
    /// The machine as it is.
    pub(super) fn as_it_is() -> Self {
        Self {
            words: "the machine as it is".to_owned(),
            own_processes: false,
        }
    }

    /// Adds what the machine lacks to have as many series as the budget is for.
    pub(super) fn enlarge(binary: &Path) -> anyhow::Result<Self> {
        // what the kernel shows of interfaces is that of the namespace in which it was mounted
        command("mount", &["-t", "sysfs", "sysfs", "/sys"])?;
        // without these there are a few series, and counts, less
        for (kind, place) in [
            ("cgroup2", "/sys/fs/cgroup"),
            ("tracefs", "/sys/kernel/tracing"),
        ] {
            if let Err(error) = command("mount", &["-t", kind, kind, place]) {
                eprintln!("{error:#}");
            }
        }
        command("ip", &["link", "set", "lo", "up"])?;
        let before = series_there(binary)?;
        let mut pairs = 0;
        while series_there(binary)? < WANTED && pairs < MOST_PAIRS {
            for _ in 0..PAIRS_A_LOOK {
                add_pair(&mut pairs)?;
            }
        }
        Ok(Self {
            words: format!(
                "namespaces of its own, {before} host series and {pairs} pairs of virtual interfaces on top"
            ),
            own_processes: true,
        })
    }

    pub(super) fn words(&self) -> String {
        self.words.clone()
    }

    /// The newest number that a process or thread got, where only those of this run get any.
    pub(super) fn newest_process(&self) -> Option<u64> {
        let load = std::fs::read_to_string("/proc/loadavg").ok()?;
        let newest = load.split_ascii_whitespace().last()?.parse().ok()?;
        self.own_processes.then_some(newest)
    }
}

/// Two interfaces that are each other's cable.
fn add_pair(pairs: &mut u64) -> anyhow::Result<()> {
    let (one, other) = (format!("up{pairs}"), format!("down{pairs}"));
    command(
        "ip",
        &["link", "add", &one, "type", "veth", "peer", "name", &other],
    )?;
    for end in [one, other] {
        command("ip", &["link", "set", &end, "up"])?;
    }
    *pairs += 1;
    Ok(())
}

fn command(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("failed to run `{program}`"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("`{program} {}`: {}", arguments.join(" "), why.trim());
    }
    Ok(())
}
