//! The users of the roles.

use std::fs;

use anyhow::Context as _;
use glasshouse_core::worker::Worker;

use crate::exit::Failure;
use crate::privileges::Account;

/// The users of the roles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accounts {
    pub(crate) probe: Account,
    pub(crate) bmc: Account,
    pub(crate) privileged: Account,
    pub(crate) node: Account,
    pub(crate) serve: Account,
    pub(crate) authd: Account,
}

/// Numbers for names that this machine does not know: above what distributions give to people and services, below what
/// systemd takes for dynamic users' containers.
const PROBE: u32 = 64801;
const BMC: u32 = 64802;
const NODE: u32 = 64803;
const SERVE: u32 = 64804;
const AUTHD: u32 = 64805;
const PRIVILEGED: u32 = 64806;

impl Accounts {
    /// Looks the users up by name, and takes numbers for those that the machine does not know.
    pub(crate) fn look_up() -> Result<Self, Failure> {
        let users = fs::read_to_string("/etc/passwd")
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(String::new()),
                _ => Err(error),
            })
            .context("failed to read `/etc/passwd`")
            .map_err(Failure::environment)?;
        Self::from_users(&users)
    }

    fn from_users(users: &str) -> Result<Self, Failure> {
        Ok(Self {
            probe: find(users, "glasshouse-probe", PROBE)?,
            bmc: find(users, "glasshouse-bmc", BMC)?,
            privileged: find(users, "glasshouse-privileged", PRIVILEGED)?,
            node: find(users, "glasshouse-node", NODE)?,
            serve: find(users, "glasshouse-serve", SERVE)?,
            authd: find(users, "glasshouse-authd", AUTHD)?,
        })
    }
}

impl Accounts {
    /// The user of a worker that stands apart; the others have the probe's.
    pub(crate) const fn worker(&self, worker: Worker) -> Account {
        match worker {
            Worker::Bmc => self.bmc,
            Worker::Privileged => self.privileged,
            Worker::Gpu | Worker::Ipmi => self.probe,
        }
    }
}

/// The user of this name, else the number, unless that belongs to somebody else.
fn find(users: &str, name: &str, number: u32) -> Result<Account, Failure> {
    let numbered = Account {
        uid: number,
        gid: number,
    };
    let mut holder = None;
    for line in users.lines() {
        let mut fields = line.split(':');
        let user = fields.next().unwrap_or_default();
        let mut numbers = fields.skip(1).map(str::parse::<u32>);
        let uid = numbers.next().and_then(Result::ok);
        if user == name {
            let gid = numbers.next().and_then(Result::ok);
            return uid
                .zip(gid)
                .and_then(|(uid, gid)| Account::parse(&format!("{uid}:{gid}")))
                .with_context(|| format!("the user `{name}` in `/etc/passwd` is not usable"))
                .map_err(Failure::environment);
        }
        if uid == Some(number) {
            holder = Some(user);
        }
    }
    match holder {
        None => Ok(numbered),
        Some(other) => {
            let error =
                anyhow::anyhow!("there is no user `{name}`, and uid {number} belongs to `{other}`");
            Err(Failure::environment(error).help(format!("make it: useradd --system {name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_numbers() {
        let users = "root:x:0:0::/root:/bin/sh\nglasshouse-node:x:990:991::/:/bin/false\n";
        let accounts = Accounts::from_users(users).unwrap();
        assert_eq!(accounts.node, Account { uid: 990, gid: 991 });
        assert_eq!(accounts.serve.uid, SERVE);
    }

    #[test]
    fn a_number_that_belongs_to_somebody_is_not_taken() {
        let failure = Accounts::from_users("mallory:x:64804:64804::/:/bin/sh\n").unwrap_err();
        assert!(failure.to_string().contains("mallory"), "{failure}");
        assert!(Accounts::from_users("glasshouse-node:x:0:0::/:/bin/sh\n").is_err());
    }
}
