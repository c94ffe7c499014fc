//! How full a file system is: the one thing that no captured tree can hold.

use glasshouse_core::failure::CollectError;
use rustix::io::Errno;

use crate::root::os_error;

/// Room in one file system, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// All bytes.
    pub bytes: u64,
    /// Bytes that nobody uses.
    pub bytes_free: u64,
    /// Bytes that users without privileges may still take; the rest of the free ones is reserved.
    pub bytes_available: u64,
    /// All inodes; 0 where the file system has no fixed number.
    pub inodes: u64,
    /// Inodes that nobody uses.
    pub inodes_free: u64,
}

/// Asks the running kernel (`statvfs`) for the file system mounted at `mount_point` (absolute).
///
/// Only for the live machine, and only for local file systems: one whose server is gone would hold the caller.
///
/// # Errors
/// [`CollectError`] where the mount point is gone or the kernel refuses.
pub fn capacity(mount_point: &str) -> Result<Capacity, CollectError> {
    let relative = mount_point.trim_start_matches('/');
    let stat = loop {
        match rustix::fs::statvfs(mount_point) {
            Err(Errno::INTR) => {}
            result => break result.map_err(|errno| os_error(relative, errno))?,
        }
    };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Capacity {
        bytes: bytes(stat.f_blocks),
        bytes_free: bytes(stat.f_bfree),
        bytes_available: bytes(stat.f_bavail),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_a_size_and_nothing_has_none() {
        let root = capacity("/").unwrap();
        assert!(root.bytes >= root.bytes_free && root.bytes_free >= root.bytes_available);
        assert!(capacity("/nowhere").is_err());
    }
}
