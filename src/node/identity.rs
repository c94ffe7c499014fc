//! Who the node is.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use glasshouse_core::identity::NodeId;
use glasshouse_core::text::Untrusted;
use tracing::warn;
use uuid::Uuid;

use crate::settings::{NodeError, NodeSettings};

/// The namespace of node ids, made once for Glasshouse: the id is a UUIDv5, so it does not tell the machine-id, which
/// is not meant to leave the machine.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1d_52a8_93e4_4f0b_9a57_0e8d_b2f4_71c6);

/// Where systems keep the machine-id (machine-id(5), D-Bus).
const MACHINE_ID_FILES: &[&str] = &["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Where a machine without one gets its own, below the inventory.
const MADE_UP: &str = "machine-id";

/// How that file is called until it is whole.
const MADE_UP_TEMPORARY: &str = "machine-id.tmp";

/// A machine-id is 32 hexadecimal digits; the file may have a line end.
const MOST_BYTES: usize = 128;

/// The id of the node with this machine-id.
#[must_use]
pub fn node_id(machine_id: &str) -> NodeId {
    let id = Uuid::new_v5(&NAMESPACE, machine_id.trim().as_bytes());
    NodeId::from_bytes(*id.as_bytes())
}

/// The id of this node. A machine without a machine-id (a container) gets one that is kept in `inventory`.
pub(crate) fn own_id(settings: &NodeSettings, inventory: &Path) -> Result<NodeId, NodeError> {
    if let Some(machine_id) = &settings.machine_id {
        return Ok(node_id(machine_id));
    }
    let known = MACHINE_ID_FILES.iter().find_map(|path| read(path.as_ref()));
    if let Some(machine_id) = known {
        return Ok(node_id(&machine_id));
    }
    Ok(node_id(&made_up(inventory)?))
}

/// The machine-id that was made up for this machine, now or before.
fn made_up(inventory: &Path) -> Result<String, NodeError> {
    let path = inventory.join(MADE_UP);
    if let Some(machine_id) = read(&path) {
        return Ok(machine_id);
    }
    let machine_id = Uuid::new_v4().simple().to_string();
    keep(inventory, &machine_id).map_err(|source| NodeError::State {
        path: path.clone(),
        source,
    })?;
    warn!(
        path = %path.display(),
        "This machine has no machine-id; one was made up, which is this node's as long as its state folder is kept."
    );
    Ok(machine_id)
}

/// Writes the machine-id so that power loss leaves all of it or nothing: with a part of it the node would become
/// another one, whose history is nobody's.
fn keep(inventory: &Path, machine_id: &str) -> io::Result<()> {
    let temporary = inventory.join(MADE_UP_TEMPORARY);
    let mut file = File::create(&temporary)?;
    file.write_all(machine_id.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, inventory.join(MADE_UP))?;
    File::open(inventory)?.sync_all()?;
    // the folder may be as new as the file
    inventory
        .parent()
        .map_or(Ok(()), |state| File::open(state)?.sync_all())
}

/// The name that the host gives itself.
pub(crate) fn host_name(settings: &NodeSettings) -> Untrusted {
    settings.host_name.as_deref().map_or_else(
        || Untrusted::new(&rustix::system::uname().nodename().to_string_lossy()),
        Untrusted::new,
    )
}

/// A machine-id, where the file has one: early in the boot it says `uninitialized`.
fn read(path: &Path) -> Option<String> {
    let text = bounded(path).ok()?;
    let text = text.trim();
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

fn bounded(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut text = String::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    File::open(path)?.take(most).read_to_string(&mut text)?;
    if text.len() >= MOST_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_the_same_for_ever() {
        let id = node_id("0123456789abcdef0123456789abcdef\n");
        assert_eq!(id, node_id("0123456789abcdef0123456789abcdef"));
        assert_eq!(id.to_string(), "5a8299f5-6f54-5643-ae7f-61221c89456b");
        assert_ne!(id, node_id("0123456789abcdef0123456789abcdee"));
    }

    #[test]
    fn an_id_that_is_made_up_is_kept_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MADE_UP);
        // what a start that was cut short left
        let torn = folder.path().join("torn");
        fs::write(&torn, "0123").unwrap();
        fs::hard_link(&torn, &path).unwrap();
        let made_up_now = made_up(folder.path()).unwrap();
        assert_eq!(read(&path), Some(made_up_now.clone()));
        assert_eq!(made_up(folder.path()).unwrap(), made_up_now);
        assert_eq!(fs::read_to_string(torn).unwrap(), "0123", "never in place");
        assert!(!folder.path().join(MADE_UP_TEMPORARY).exists());
    }

    #[test]
    fn only_a_machine_id_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine-id");
        let cases = [
            ("0123456789abcdef0123456789abcdef\n", true),
            ("uninitialized\n", false),
            ("", false),
            ("0123456789abcdef", false),
        ];
        for (text, is_one) in cases {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).is_some(), is_one, "{text}");
        }
        fs::write(&path, "0".repeat(10_000)).unwrap();
        assert_eq!(read(&path), None);
        assert_eq!(read(folder.path()), None);
    }
}
