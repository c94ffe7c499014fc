//! What a role gives up before it does anything else: its user, its capabilities, and what others could do to it.
//!
//! All of this acts on one thread, so it happens in `main` before there is a second one.

use glasshouse_core::worker::Worker;
use rustix::fs::Mode;
use rustix::io;
use rustix::process::{
    DumpableBehavior, Gid, Pid, Signal, Uid, geteuid, getppid, set_dumpable_behavior,
    set_parent_process_death_signal, setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// The user and group that a role runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The user.
    pub(crate) uid: u32,
    /// The group.
    pub(crate) gid: u32,
}

impl Account {
    /// Parses `UID:GID`. Root is refused: a role that is told to drop must not stay.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (uid, gid) = text.split_once(':')?;
        let account = Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        };
        // the highest number means "leave it as it is" to the kernel
        let usable = |id: u32| id != 0 && id != u32::MAX;
        (usable(account.uid) && usable(account.gid)).then_some(account)
    }
}

/// The capabilities that a role may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// None.
    Nothing,
    /// Reading files of other users: RAPL counters, DMI serial numbers.
    ReadAnyFile,
    /// Asking drives, network modules and processors for their own records: the kernel lets administrators alone send such
    /// commands, and the nodes of drives are root's (NVMe) or those of a group that could write them (SCSI).
    AskDevices,
}

impl Keep {
    /// What the probe, or a worker of it, keeps. Those that ask GPUs and the local BMC open device nodes by the rights of
    /// these; the one that talks to a network has nothing on this machine.
    pub(crate) const fn of_probe(worker: Option<Worker>) -> Self {
        match worker {
            None => Self::ReadAnyFile,
            Some(Worker::Privileged) => Self::AskDevices,
            Some(Worker::Gpu | Worker::Ipmi | Worker::Bmc) => Self::Nothing,
        }
    }

    fn capabilities(self) -> CapabilitySet {
        match self {
            Self::Nothing => CapabilitySet::empty(),
            Self::ReadAnyFile => CapabilitySet::DAC_READ_SEARCH,
            Self::AskDevices => {
                CapabilitySet::DAC_READ_SEARCH
                    | CapabilitySet::SYS_ADMIN
                    | CapabilitySet::SYS_RAWIO
                    | CapabilitySet::NET_ADMIN
            }
        }
    }
}

/// Why rights could not be given up. The role must not go on.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}")]
pub(crate) struct DropError {
    what: &'static str,
    #[source]
    source: io::Errno,
}

/// Drops from root to this user, with these supplementary groups, for good. Nothing is left of root but what is kept.
///
/// # Errors
/// [`DropError`] at the first step that the kernel refuses.
pub(crate) fn become_account(
    account: Account,
    groups: &[u32],
    keep: Keep,
) -> Result<(), DropError> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    // a container may not have given it to us in the first place
    let kept = keep
        .capabilities()
        .intersection(step("read capabilities", capabilities(None))?.permitted);
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // INVAL: this kernel does not know it. PERM: root without CAP_SETPCAP; no_new_privs makes up for it
            Ok(()) | Err(io::Errno::INVAL | io::Errno::PERM) => {}
            Err(source) => {
                let what = "shrink the capability bounding set";
                return Err(DropError { what, source });
            }
        }
    }
    step(
        "keep capabilities over the change of user",
        set_keep_capabilities(!kept.is_empty()),
    )?;
    step(
        "change the supplementary groups",
        set_thread_groups(&groups),
    )?;
    step("change the group", set_thread_res_gid(gid, gid, gid))?;
    step("change the user", set_thread_res_uid(uid, uid, uid))?;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    step("drop capabilities", set_capabilities(None, sets))?;
    step("clear ambient capabilities", clear_ambient_capability_set())?;
    step(
        "forbid capabilities over the change of user",
        set_keep_capabilities(false),
    )
}

/// Gives up what a service manager gave beyond what is kept: a right that was wanted at the start alone. Root that was not
/// told to become somebody else stays what it is.
///
/// # Errors
/// [`DropError`] where the kernel refuses.
pub(crate) fn keep_only(keep: Keep) -> Result<(), DropError> {
    let have = step("read capabilities", capabilities(None))?;
    let kept = keep.capabilities();
    if geteuid().is_root() || kept.contains(have.permitted) {
        return Ok(());
    }
    let sets = CapabilitySets {
        effective: have.effective.intersection(kept),
        permitted: have.permitted.intersection(kept),
        inheritable: CapabilitySet::empty(),
    };
    step("drop capabilities", set_capabilities(None, sets))?;
    step("clear ambient capabilities", clear_ambient_capability_set())
}

/// What every role does, root or not: no new rights ever, no debugger, no core file, files closed to others.
///
/// # Errors
/// [`DropError`] at the first step that the kernel refuses.
pub(crate) fn lock_down() -> Result<(), DropError> {
    step("give up new privileges", set_no_new_privs(true))?;
    step(
        "close the process to debuggers",
        set_dumpable_behavior(DumpableBehavior::NotDumpable),
    )?;
    umask(Mode::WGRP | Mode::RWXO);
    Ok(())
}

/// Leaves the session of the supervisor, and with it its terminal.
///
/// # Errors
/// [`DropError`] where the kernel refuses: the process leads a group already.
pub(crate) fn leave_session() -> Result<(), DropError> {
    step("take a session of its own", setsid())?;
    Ok(())
}

/// Ends this process by this signal when its parent, which has this id, does. Comes after the change of user, which would undo it.
///
/// # Errors
/// [`DropError`] where the kernel refuses, or the parent has gone already.
pub(crate) fn end_with(parent: i32, signal: Signal) -> Result<(), DropError> {
    let what = "tie the process to its supervisor";
    step(what, set_parent_process_death_signal(Some(signal)))?;
    if getppid().map(Pid::as_raw_pid) == Some(parent) {
        Ok(())
    } else {
        let source = io::Errno::SRCH;
        Err(DropError { what, source })
    }
}

fn step<T>(what: &'static str, done: io::Result<T>) -> Result<T, DropError> {
    done.map_err(|source| DropError { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_never_root() {
        let account = Account { uid: 5, gid: 6 };
        assert_eq!(Account::parse("5:6"), Some(account));
        for bad in ["0:6", "5:0", "5", "-1:6", "4294967295:6", "x:y", ""] {
            assert_eq!(Account::parse(bad), None, "{bad}");
        }
    }
}
