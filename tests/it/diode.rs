//! The diode, looked at from outside: who holds what, and what the kernel refuses to the face.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::folder::Folder;
use crate::support::mcp::Revision;
use crate::support::process::{children, is_root};
use crate::support::up::Up;
use crate::support::{eventually, skip};

const ROLES: [&str; 4] = ["probe", "node", "serve", "authd"];

#[tokio::test]
async fn no_role_holds_more_than_its_own_end() {
    if !is_root() {
        return skip(
            "the diode can be looked at by root alone, who starts each role as its own user",
        );
    }
    let up = Up::start();
    let token = up.token("node-health").await.access_token();
    // every role has done its work once, so every descriptor that it needs is there
    eventually("values", async || {
        let answer = up
            .face()
            .call(
                Some(&token),
                Revision::Stateless,
                "node_snapshot",
                json!({}),
            )
            .await;
        (answer.result()["isError"] != true).then_some(())
    })
    .await;
    let looks: Vec<Look> = ROLES.iter().map(|role| Look::at(&up, role)).collect();
    for look in &looks {
        print!("{}", look.table());
    }
    let [probe, node, serve, authd] = <[Look; 4]>::try_from(looks).unwrap();

    let users = [probe.user, node.user, serve.user, authd.user];
    for (n, user) in users.iter().enumerate() {
        assert_ne!(*user, 0, "a role runs as root");
        assert!(
            !users[..n].contains(user),
            "two roles share a user: {users:?}"
        );
    }
    assert!(probe.sockets().is_empty(), "{:?}", probe.descriptors);
    assert!(node.sockets().is_empty(), "{:?}", node.descriptors);
    assert_eq!(serve.listeners(), ports(&[up.mcp(), up.metrics()]));
    assert_eq!(authd.listeners(), ports(&[up.issuer()]));

    let store = up.state.join("store");
    let written = |look: &Look, below: &Path| {
        let inside =
            |held: &&Descriptor| held.writable && Path::new(&held.target).starts_with(below);
        look.descriptors.iter().any(|held| inside(&held))
    };
    assert!(written(&node, &store), "the look would see a writer");
    assert!(!written(&serve, &store), "{:?}", serve.descriptors);
    assert!(!written(&authd, &store), "{:?}", authd.descriptors);
    for held in &serve.descriptors {
        for hardware in [
            "/dev/ipmi",
            "/dev/nvidia",
            "/dev/mem",
            "/dev/cpu",
            "/dev/kvm",
            "/sys/",
        ] {
            assert!(!held.target.starts_with(hardware), "serve holds {held:?}");
        }
    }
    // the probe's end of the link is for writing alone, the face has none
    let frames = |look: &Look| {
        let ends = look.descriptors.iter();
        ends.filter(|held| held.target.ends_with("/frames"))
            .map(|held| (held.readable, held.writable))
            .collect::<Vec<_>>()
    };
    assert!(!frames(&probe).is_empty(), "{:?}", probe.descriptors);
    assert!(frames(&probe).iter().all(|end| *end == (false, true)));
    assert!(frames(&serve).is_empty() && frames(&authd).is_empty());
    // the probe reads nothing that others can write into, but what its own workers say
    let of_workers: Vec<String> = children(probe.process)
        .iter()
        .filter_map(|(id, _)| std::fs::read_link(format!("/proc/{id}/fd/1")).ok())
        .map(|output| output.to_string_lossy().into_owned())
        .collect();
    for held in probe.descriptors.iter().filter(|held| held.readable) {
        assert!(
            !held.target.starts_with("pipe:")
                || held.number <= 2
                || of_workers.contains(&held.target),
            "probe reads {held:?}"
        );
    }
    refused_by_the_kernel(&up, &[&probe, &node, &serve]);
}

/// The ports of these URLs, sorted.
fn ports(urls: &[&str]) -> Vec<u16> {
    let urls = urls.iter().map(|url| reqwest::Url::parse(url).unwrap());
    let mut ports: Vec<u16> = urls.map(|url| url.port().unwrap()).collect();
    ports.sort_unstable();
    ports
}

/// A worker that talks to a network: another user, no capability, and nothing of this machine but its end of a FIFO.
#[tokio::test]
async fn a_worker_that_talks_to_a_network_holds_nothing_of_this_machine() {
    if !is_root() {
        return skip("only root starts workers as users of their own");
    }
    let folder = Folder::new();
    let config = folder.join("given.toml");
    // nobody listens there
    std::fs::write(
        &config,
        "[collectors.redfish.bmcs.nobody]\naddress = \"http://127.0.0.1:9\"\nusername = \"reader\"\npassword_file = \"/nonexistent\"\n",
    )
    .unwrap();
    let up = Up::start_with_probe(&config);
    let worker = eventually("the worker", async || {
        children(up.running.id())
            .into_iter()
            .find(|(_, line)| {
                line.get(1..3)
                    .is_some_and(|words| words == ["probe", "bmc"])
            })
            .map(|(id, _)| id)
    })
    .await;
    let frames = up.state.join("run/workers/bmc");
    let worker = eventually("its end of the FIFO", async || {
        let look = Look::of("probe bmc", worker);
        let has_end = |held: &Descriptor| held.target == frames.to_string_lossy();
        look.descriptors.iter().any(has_end).then_some(look)
    })
    .await;
    print!("{}", worker.table());
    let probe = Look::of("probe", probe_of(&up));
    assert_ne!(worker.user, 0);
    assert_ne!(worker.user, probe.user, "its user is not the probe's");
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.process)).unwrap();
    for line in status.lines().filter(|line| line.starts_with("Cap")) {
        let (set, bits) = line.split_once(':').unwrap();
        assert_eq!(u64::from_str_radix(bits.trim(), 16), Ok(0), "{set}");
    }
    for held in &worker.descriptors {
        let is_own_end = held.target == frames.to_string_lossy();
        let is_device = held.target.starts_with("/dev/") && held.target != "/dev/null";
        assert!(!is_device, "the worker holds {held:?}");
        assert!(
            !Path::new(&held.target).starts_with(&up.state) || (is_own_end && !held.readable),
            "the worker holds {held:?}"
        );
    }
    // the probe reads its FIFO and no other role can write it
    let end = frames.metadata().unwrap();
    assert_eq!((end.uid(), end.gid()), (probe.user, worker.group));
    assert_eq!(end.mode() & 0o7777, 0o620);
}

/// The probe itself, and not a worker of it.
fn probe_of(up: &Up) -> u32 {
    let all = children(up.running.id());
    let is_probe = |line: &[String]| {
        let mut words = line.iter().skip(1);
        words.next().is_some_and(|word| word == "probe")
            && words.next().is_some_and(|word| word.starts_with("--"))
    };
    let probe = all.iter().find(|(_, line)| is_probe(line));
    probe.map(|(id, _)| *id).expect("a probe")
}

/// As the face's user: write the store, trace, signal, read the probe's config.
fn refused_by_the_kernel(up: &Up, looks: &[&Look; 3]) {
    let [probe, node, serve] = *looks;
    let store = up.state.join("store");
    let config = probe
        .config
        .as_deref()
        .unwrap_or_else(|| panic!("the probe has no config file"));
    assert!(Path::new(config).is_file(), "{config}");
    let as_face = |script: &str| {
        let output = Command::new("setpriv")
            .arg(format!("--reuid={}", serve.user))
            .arg(format!("--regid={}", serve.group))
            .args(["--clear-groups", "--no-new-privs", "--", "sh", "-c", script])
            .output()
            .expect("setpriv (util-linux) is on every Debian");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), errors)
    };
    let store = store.display();
    let (probe, node) = (probe.process, node.process);
    // the same tries must work where they may, or a broken try would look like a refusal
    for allowed in [
        format!("ls {store} && cat {store}/* > /dev/null"),
        format!("kill -0 {}", serve.process),
    ] {
        let (worked, errors) = as_face(&allowed);
        assert!(worked, "`{allowed}`: {errors}");
    }
    let tries = [
        format!("echo x > {store}/x"),
        format!("for f in {store}/*; do echo x >> $f || exit 1; done"),
        format!("rm -f {store}/*"),
        format!("mv {store} {store}.old"),
        format!("kill -TERM {probe}"),
        format!("kill -TERM {node}"),
        format!("cat /proc/{probe}/environ"),
        format!("ls /proc/{probe}/fd"),
        // opening `mem` for writing takes the right to trace
        format!("exec 3<> /proc/{probe}/mem"),
        format!("exec 3<> /proc/{node}/mem"),
        format!("cat {config}"),
        format!("echo x >> {config}"),
    ];
    println!("as the face (uid {}):", serve.user);
    for script in tries {
        let (worked, errors) = as_face(&script);
        println!("  {script}: {}", errors.trim());
        assert!(!worked, "`{script}` was allowed");
        assert!(
            errors.contains("ermission denied") || errors.contains("not permitted"),
            "`{script}` failed for another reason: {errors}"
        );
    }
}

/// What one role holds.
#[derive(Debug)]
struct Look {
    role: &'static str,
    process: u32,
    user: u32,
    group: u32,
    config: Option<String>,
    descriptors: Vec<Descriptor>,
}

#[derive(Debug)]
struct Descriptor {
    number: u32,
    target: String,
    readable: bool,
    writable: bool,
}

impl Look {
    fn at(up: &Up, role: &'static str) -> Self {
        let process = up
            .role(role)
            .unwrap_or_else(|| panic!("no `{role}`:\n{}", up.running.log()));
        Self::of(role, process)
    }

    fn of(role: &'static str, process: u32) -> Self {
        let folder = format!("/proc/{process}");
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let effective = |key: &str| -> u32 {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap();
            line.split_ascii_whitespace()
                .nth(1)
                .unwrap()
                .parse()
                .unwrap()
        };
        let arguments = std::fs::read(format!("{folder}/cmdline")).unwrap();
        let arguments = String::from_utf8(arguments).unwrap();
        let arguments: Vec<&str> = arguments.split('\0').collect();
        let config = arguments
            .iter()
            .position(|argument| *argument == "--config")
            .map(|at| arguments[at + 1].to_owned());
        let mut descriptors: Vec<Descriptor> = std::fs::read_dir(format!("{folder}/fd"))
            .unwrap()
            .filter_map(|entry| Descriptor::read(&folder, &entry.unwrap()))
            .collect();
        descriptors.sort_by_key(|held| held.number);
        Self {
            role,
            process,
            user: effective("Uid:"),
            group: effective("Gid:"),
            config,
            descriptors,
        }
    }

    fn sockets(&self) -> Vec<&Descriptor> {
        let sockets = self.descriptors.iter();
        sockets
            .filter(|held| held.target.starts_with("socket:"))
            .collect()
    }

    /// The ports on which it listens, sorted, each once.
    fn listeners(&self) -> Vec<u16> {
        let sockets = self.sockets().into_iter();
        let mut ports: Vec<u16> = sockets
            .filter_map(|held| held.socket(self.process))
            .filter(|socket| socket.ends_with("listens"))
            .map(|socket| {
                let address = socket.split_ascii_whitespace().nth(1).unwrap();
                u16::from_str_radix(address.rsplit_once(':').unwrap().1, 16).unwrap()
            })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn table(&self) -> String {
        let mut table = format!(
            "{} (pid {}, uid {}, gid {})\n",
            self.role, self.process, self.user, self.group
        );
        for held in &self.descriptors {
            let mode = match (held.readable, held.writable) {
                (true, true) => "rw",
                (true, false) => "r-",
                (false, true) => "-w",
                (false, false) => "--",
            };
            let socket = held.socket(self.process).unwrap_or_default();
            table.push_str(&format!(
                "  {:>3} {mode} {} {socket}\n",
                held.number, held.target
            ));
        }
        table
    }
}

impl Descriptor {
    /// Nothing where it was closed between two looks.
    fn read(folder: &str, entry: &std::fs::DirEntry) -> Option<Self> {
        let number = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = std::fs::read_link(entry.path()).ok()?;
        let info = std::fs::read_to_string(format!("{folder}/fdinfo/{number}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        // O_ACCMODE: 0 read, 1 write, 2 both
        let access = flags & 3;
        Some(Self {
            number,
            target: target.to_string_lossy().into_owned(),
            readable: access != 1,
            writable: access != 0,
        })
    }

    /// The line of the kernel's socket tables, addresses in its own spelling.
    fn socket(&self, process: u32) -> Option<String> {
        let inode = self.target.strip_prefix("socket:[")?.strip_suffix(']')?;
        for table in ["tcp", "tcp6", "udp", "udp6", "unix"] {
            let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).ok()?;
            for line in text.lines() {
                let fields: Vec<&str> = line.split_ascii_whitespace().collect();
                if fields.contains(&inode) {
                    // state 0A is LISTEN
                    let listens = table.starts_with("tcp") && fields.get(3) == Some(&"0A");
                    let state = if listens { "listens" } else { "" };
                    return Some(format!("{table} {} {state}", fields.get(1)?));
                }
            }
        }
        None
    }
}
