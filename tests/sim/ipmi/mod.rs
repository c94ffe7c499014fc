//! A BMC: Debian's `ipmi_sim` with sensors of ours, over the network and, for a guest, as a device.

mod plan;
mod proxy;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use plan::{ANALOG, Analog, DISCRETE, Discrete, Name, inventory};
pub use proxy::{Fate, Proxy};

/// Account of an administrator, whom DCMI answers.
pub const ADMINISTRATOR: (&str, &str) = ("operator", "opens-all");

/// Account that may do no more than ask.
pub const USER: (&str, &str) = ("reader", "reads-only");

/// The programs that it takes.
const PROGRAMS: [&str; 3] = ["ipmi_sim", "ipmitool", "cc"];

/// Until it answers after its start.
const START: Duration = Duration::from_secs(20);

/// A running BMC; it ends with this.
#[derive(Debug)]
pub struct Bmc {
    process: Child,
    folder: tempfile::TempDir,
    lan: SocketAddr,
    console: SocketAddr,
    connection: Mutex<Option<TcpStream>>,
    device: SocketAddr,
}

/// Which of the programs are not installed.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    PROGRAMS
        .into_iter()
        .filter(|program| !is_there(program))
        .collect()
}

impl Bmc {
    /// Starts one.
    ///
    /// # Errors
    /// Where a program is missing or does not answer.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (lan, console, device) = (free_udp()?, free_tcp()?, free_tcp()?);
        let file = |name: &str| folder.path().join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("ipmi/dcmi.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(file("dcmi.so"))
            .arg(source)
            .status()
            .context("failed to run `cc`")?;
        anyhow::ensure!(built.success(), "`cc` could not build dcmi.c");
        std::fs::write(file("power"), "412 180 655 398 60000 700")?;
        std::fs::write(
            file("lan.conf"),
            configuration(folder.path(), lan, console, device),
        )?;
        std::fs::write(file("bmc.emu"), plan::commands())?;
        let process = Command::new("ipmi_sim")
            .arg("-c")
            .arg(file("lan.conf"))
            .arg("-f")
            .arg(file("bmc.emu"))
            .arg("-s")
            .arg(folder.path())
            .arg("-n")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to run `ipmi_sim`")?;
        let bmc = Self {
            process,
            folder,
            lan,
            console,
            connection: Mutex::new(None),
            device,
        };
        bmc.wait()?;
        Ok(bmc)
    }

    /// Where it answers over the network.
    #[must_use]
    pub const fn lan(&self) -> SocketAddr {
        self.lan
    }

    /// Where a guest's `ipmi-bmc-extern` connects.
    #[must_use]
    pub const fn device(&self) -> SocketAddr {
        self.device
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Runs a command of `ipmi_sim` (see ipmi_sim_cmd(5)).
    ///
    /// # Errors
    /// Where the console does not answer.
    pub fn command(&self, command: &str) -> anyhow::Result<()> {
        // one connection for all: ipmi_sim does not survive a new one right after the end of another
        let mut console = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let console = match console.take() {
            Some(open) => console.insert(open),
            None => {
                let mut open = TcpStream::connect(self.console)?;
                open.set_read_timeout(Some(Duration::from_secs(5)))?;
                until_prompt(&mut open)?;
                console.insert(open)
            }
        };
        console.write_all(format!("{command}\n").as_bytes())?;
        until_prompt(console)
    }

    /// What DCMI says: current, minimum, maximum, average watts, period in milliseconds, limit.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn set_power(&self, power: &str) -> anyhow::Result<()> {
        std::fs::write(self.folder.path().join("power"), power)?;
        Ok(())
    }

    /// Stops it as a BMC hangs: what is asked is answered when it goes on.
    ///
    /// # Errors
    /// Where `kill` fails.
    pub fn hang(&self) -> anyhow::Result<()> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where `kill` fails.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.signal("-CONT")
    }

    /// What `ipmitool` says, in UTC.
    ///
    /// # Errors
    /// Where it fails.
    pub fn ipmitool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (user, password) = ADMINISTRATOR;
        let output = Command::new("ipmitool")
            .args(["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p"])
            .arg(self.lan.port().to_string())
            .args(["-U", user, "-P", password])
            .args(arguments)
            .env("TZ", "UTC")
            .output()
            .context("failed to run `ipmitool`")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(
            output.status.success() || !said.is_empty(),
            "ipmitool {arguments:?}: {complaint}"
        );
        Ok(said)
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill")
            .arg(signal)
            .arg(self.process.id().to_string())
            .status()?;
        anyhow::ensure!(sent.success(), "`kill {signal}` failed");
        Ok(())
    }

    fn wait(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        // the console listens before the commands of the file have run: the last of them enables the BMC
        loop {
            match self.ipmitool(&["-N", "1", "-R", "1", "mc", "info"]) {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > START => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl Drop for Bmc {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn until_prompt(console: &mut TcpStream) -> anyhow::Result<()> {
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"> ") {
        anyhow::ensure!(console.read(&mut byte)? == 1, "the console was closed");
        said.extend(byte);
    }
    Ok(())
}

fn configuration(
    folder: &Path,
    lan: SocketAddr,
    console: SocketAddr,
    device: SocketAddr,
) -> String {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let (module, power) = (path("dcmi.so"), path("power"));
    let levels: String = ["callback", "user", "operator", "admin"]
        .map(|level| format!("    allowed_auths_{level} none md2 md5 straight\n"))
        .concat();
    let (administrator, opens) = ADMINISTRATOR;
    let (user, reads) = USER;
    format!(
        "name \"glasshouse\"\nset_working_mc 0x20\n  startlan 1\n    addr {} {}\n    priv_limit admin\n{levels}    \
         guid 00112233445566778899aabbccddeeff\n  endlan\n  \
         user 2 true \"{administrator}\" \"{opens}\" admin 10 none md2 md5 straight\n  \
         user 3 true \"{user}\" \"{reads}\" user 10 none md2 md5 straight\n\
         serial 15 {} {} codec VM\nconsole {} {}\nloadlib \"{}\" \"{}\"\n",
        lan.ip(),
        lan.port(),
        device.ip(),
        device.port(),
        console.ip(),
        console.port(),
        module.display(),
        power.display(),
    )
}

/// Ports below those that the kernel gives to clients: a port that was free just now is still free when `ipmi_sim`
/// takes it, whatever else runs.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

fn free_udp() -> anyhow::Result<SocketAddr> {
    free(|address| UdpSocket::bind(address).is_ok())
}

fn free_tcp() -> anyhow::Result<SocketAddr> {
    free(|address| TcpListener::bind(address).is_ok())
}

fn free(is_free: impl Fn(SocketAddr) -> bool) -> anyhow::Result<SocketAddr> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // tests of other processes begin elsewhere
    let begin = std::process::id().wrapping_mul(61);
    for _ in PORTS {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let offset = begin.wrapping_add(taken) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if is_free(address) {
            return Ok(address);
        }
    }
    anyhow::bail!("no port is free")
}
