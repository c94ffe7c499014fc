//! The state folder: who owns which part of it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glasshouse_core::worker::Worker;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, mkfifoat};

use super::accounts::Accounts;
use crate::exit::Failure;
use crate::privileges::Account;

/// The state folder, made ready. While it lives, no other `up` can use the folder and the link stays open.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
    /// Held open so that what the probe wrote survives a restart of the node.
    _frames: File,
    /// The same for what the workers wrote.
    _workers: Vec<File>,
}

/// A folder in the state folder: name, mode, owner and group where the roles have users of their own.
struct Part {
    name: &'static str,
    mode: u32,
    owner: fn(&Accounts) -> Account,
}

/// The node writes them and the face, by its group, reads them; the group is inherited by what is made in them.
const NODE_FOR_SERVE: u32 = 0o2750;

const fn node_for_serve(accounts: &Accounts) -> Account {
    Account {
        uid: accounts.node.uid,
        gid: accounts.serve.gid,
    }
}

static PARTS: &[Part] = &[
    Part {
        name: "store",
        mode: NODE_FOR_SERVE,
        owner: node_for_serve,
    },
    Part {
        name: "inventory",
        mode: NODE_FOR_SERVE,
        owner: node_for_serve,
    },
    Part {
        name: "findings",
        mode: NODE_FOR_SERVE,
        owner: node_for_serve,
    },
    Part {
        name: "logs",
        mode: NODE_FOR_SERVE,
        owner: node_for_serve,
    },
    Part {
        name: "checkpoints",
        mode: NODE_FOR_SERVE,
        owner: node_for_serve,
    },
    Part {
        name: "audit",
        mode: 0o2750,
        owner: |accounts| Account {
            uid: accounts.serve.uid,
            gid: accounts.node.gid,
        },
    },
    Part {
        name: "node",
        mode: 0o700,
        owner: |accounts| accounts.node,
    },
    Part {
        name: "authd",
        mode: 0o700,
        owner: |accounts| accounts.authd,
    },
];

/// The workers that the supervisor starts, because each has a user of its own.
pub(crate) const APART: &[Worker] = &[Worker::Bmc, Worker::Privileged];

/// The FIFO of such a worker, below the state folder.
pub(crate) fn worker_frames(worker: Worker) -> String {
    format!("run/workers/{}", worker.word())
}

impl State {
    /// Makes the folder and its parts where they are missing.
    pub(crate) fn prepare(folder: &Path, accounts: Option<&Accounts>) -> Result<Self, Failure> {
        make_parents(folder)?;
        if let Some(accounts) = accounts {
            refuse_closed(folder, accounts)?;
            refuse_shared(folder)?;
        }
        for (name, mode) in [("run", 0o755), ("run/workers", 0o755), ("secrets", 0o711)] {
            make_plain(&folder.join(name), mode)?;
        }
        if accounts.is_some() {
            refuse_shared(&folder.join("run"))?;
            refuse_shared(&folder.join("secrets"))?;
        }
        let lock = lock(&folder.join("run/up.lock"), folder)?;
        for part in PARTS {
            let owner = accounts.map(part.owner);
            make_owned(&folder.join(part.name), part.mode, owner)?;
        }
        let ends = accounts.map(|all| (all.node, all.probe));
        let frames = make_link(&folder.join("run/frames"), ends)?;
        let mut workers = Vec::new();
        for worker in APART {
            let ends = accounts.map(|all| (all.probe, all.worker(*worker)));
            let path = folder.join(worker_frames(*worker));
            workers.push(make_link(&path, ends)?);
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
            _frames: frames,
            _workers: workers,
        })
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path below it.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }
}

/// Flags for opening a file, as the standard library takes them.
pub(crate) fn open_flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

fn failed(what: &str, path: &Path, error: io::Error) -> Failure {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let failure = Failure::environment(
        anyhow::Error::new(error).context(format!("failed to {what} `{}`", path.display())),
    );
    if denied {
        failure.help("choose a folder of your own with `--state-dir`")
    } else {
        failure
    }
}

/// The folders above may be entered by all; the state folder itself shows its names and nothing else.
fn make_parents(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|error| failed("make", folder, error))
}

/// Refuses a folder into which the users of the roles cannot get.
fn refuse_closed(folder: &Path, accounts: &Accounts) -> Result<(), Failure> {
    let real = fs::canonicalize(folder).map_err(|error| failed("resolve", folder, error))?;
    let all = [
        accounts.probe,
        accounts.bmc,
        accounts.privileged,
        accounts.node,
        accounts.serve,
        accounts.authd,
    ];
    let mut above: Vec<&Path> = real.ancestors().collect();
    above.reverse();
    for step in above {
        let metadata = fs::metadata(step).map_err(|error| failed("look at", step, error))?;
        if let Some(account) = all.iter().find(|account| !may_enter(&metadata, **account)) {
            let error = anyhow::anyhow!(
                "the state folder `{}` cannot be used: the roles' users (uid {}, for one) cannot enter `{}` (mode {:04o})",
                folder.display(),
                account.uid,
                step.display(),
                metadata.mode() & 0o7777
            );
            return Err(Failure::environment(error).help(format!(
                "choose another with `--state-dir`, such as /var/lib/glasshouse, or open it with `chmod o+x {}`",
                step.display()
            )));
        }
    }
    Ok(())
}

/// Refuses a folder that somebody beside root could change under root's hands: configs, secrets and names below it are
/// written and trusted by root. A folder such as `/tmp`, in which one cannot touch what is another's, is no danger above.
fn refuse_shared(folder: &Path) -> Result<(), Failure> {
    let real = fs::canonicalize(folder).map_err(|error| failed("resolve", folder, error))?;
    for (above, step) in real.ancestors().enumerate() {
        let metadata =
            fs::symlink_metadata(step).map_err(|error| failed("look at", step, error))?;
        if is_shared(&metadata, above > 0) {
            let error = anyhow::anyhow!(
                "the state folder `{}` cannot be used by root: others can change `{}` (uid {}, mode {:04o})",
                folder.display(),
                step.display(),
                metadata.uid(),
                metadata.mode() & 0o7777
            );
            return Err(Failure::environment(error).help(
                "choose one that is root's alone with `--state-dir`, such as /var/lib/glasshouse",
            ));
        }
    }
    Ok(())
}

/// Whether somebody beside root can change what is in a folder; `sticky_is_safe` where only a name of root's matters.
fn is_shared(metadata: &Metadata, sticky_is_safe: bool) -> bool {
    let sticky = sticky_is_safe && metadata.mode() & 0o1000 != 0;
    metadata.uid() != 0 || (metadata.mode() & 0o022 != 0 && !sticky)
}

fn may_enter(metadata: &Metadata, account: Account) -> bool {
    let bit = if metadata.uid() == account.uid {
        0o100
    } else if metadata.gid() == account.gid {
        0o010
    } else {
        0o001
    };
    metadata.mode() & bit != 0
}

fn make_plain(path: &Path, mode: u32) -> Result<(), Failure> {
    make_owned(path, mode, None)
}

/// Makes a folder with this mode and owner. One that belongs to somebody else and holds something is refused.
fn make_owned(path: &Path, mode: u32, owner: Option<Account>) -> Result<(), Failure> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make", path, error));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(path).map_err(|error| failed("look at", path, error))?;
    if !metadata.is_dir() {
        let error = anyhow::anyhow!("`{}` is not a folder", path.display());
        return Err(Failure::environment(error).help("move it away"));
    }
    if let Some(owner) = owner
        && (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid)
    {
        refuse_foreign(path, &metadata, owner)?;
        chown(path, Some(owner.uid), Some(owner.gid))
            .map_err(|error| failed("give away", path, error))?;
    }
    // after chown, which takes the set-group-id bit away
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| failed("set the mode of", path, error))
}

fn refuse_foreign(path: &Path, metadata: &Metadata, owner: Account) -> Result<(), Failure> {
    let mut inside = fs::read_dir(path).map_err(|error| failed("list", path, error))?;
    if inside.next().is_none() {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "`{}` belongs to {}:{}, and the role that works in it runs as {}:{}",
        path.display(),
        metadata.uid(),
        metadata.gid(),
        owner.uid,
        owner.gid
    );
    let help = format!(
        "give it away: chown -R {}:{} {}",
        owner.uid,
        owner.gid,
        path.display()
    );
    Err(Failure::environment(error).help(help))
}

fn lock(path: &Path, folder: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(open_flags(OFlags::NOFOLLOW))
        .open(path)
        .map_err(|error| failed("open", path, error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .with_context(|| format!("another `glasshouse up` is using `{}`", folder.display()))
        .map_err(|error| {
            Failure::environment(error).help("stop it, or choose another folder with `--state-dir`")
        })?;
    Ok(file)
}

/// A link: one role reads, the group of another writes, nobody else does either.
fn make_link(path: &Path, ends: Option<(Account, Account)>) -> Result<File, Failure> {
    match mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(failed("make", path, error.into())),
    }
    let metadata = fs::symlink_metadata(path).map_err(|error| failed("look at", path, error))?;
    if !metadata.file_type().is_fifo() {
        let error = anyhow::anyhow!("`{}` is not a FIFO", path.display());
        return Err(Failure::environment(error).help("remove it"));
    }
    if let Some((reader, writer)) = ends {
        chown(path, Some(reader.uid), Some(writer.gid))
            .map_err(|error| failed("give away", path, error))?;
    }
    let mode = if ends.is_some() { 0o620 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| failed("set the mode of", path, error))?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(open_flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path)
        .map_err(|error| failed("open", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_trusts_no_folder_that_others_can_change() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can make folders of root's");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        for (mode, owner, trusted) in [
            (0o755, 0, true),
            (0o775, 0, false),
            (0o1777, 0, false),
            (0o755, 65534, false),
        ] {
            DirBuilder::new().create(&state).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
            chown(&state, Some(owner), None).unwrap();
            assert_eq!(refuse_shared(&state).is_ok(), trusted, "{mode:o} {owner}");
            fs::remove_dir(&state).unwrap();
        }
    }
}
