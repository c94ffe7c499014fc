//! The groups that open the device nodes which the probe's children read.
//!
//! Nothing is made accessible here: whoever runs the machine says by the group of a node who may use it.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The device nodes of BMCs, one for each way in which kernels have named the first.
const BMC: &[&str] = &["ipmi0", "ipmi/0", "ipmidev/0"];

/// The device nodes of GPUs begin so.
const GPU: &str = "nvidia";

/// More entries of `/dev` are not looked at.
const MOST_ENTRIES: usize = 4096;

/// Reading and writing by the group, and by everybody.
const GROUP_BITS: u32 = 0o060;
const OTHER_BITS: u32 = 0o006;

/// The groups that may use a device that the probe's children ask, where not everybody may.
pub(crate) fn groups(devices: &Path) -> Vec<u32> {
    let gpus = fs::read_dir(devices).into_iter().flatten().flatten();
    let gpus = gpus
        .take(MOST_ENTRIES)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(GPU))
        .map(|entry| entry.path());
    let nodes: Vec<PathBuf> = BMC
        .iter()
        .map(|name| devices.join(name))
        .chain(gpus)
        .collect();
    let mut groups: Vec<u32> = nodes.iter().filter_map(|node| group(node)).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// The group that opens this node. Root's opens more than a device, and is none.
fn group(node: &Path) -> Option<u32> {
    let metadata = fs::symlink_metadata(node).ok()?;
    let by_group = metadata.mode() & GROUP_BITS == GROUP_BITS;
    let by_all = metadata.mode() & OTHER_BITS == OTHER_BITS;
    let is_device = metadata.file_type().is_char_device();
    (is_device && by_group && !by_all && metadata.gid() != 0).then_some(metadata.gid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_give_a_group() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("nvidia0"), "").unwrap();
        fs::write(folder.path().join("ipmi0"), "").unwrap();
        assert!(groups(folder.path()).is_empty());
        assert!(groups(&folder.path().join("missing")).is_empty());
    }

    #[test]
    fn a_device_that_everybody_or_root_alone_may_use_gives_none() {
        // 0666, and root's own
        assert_eq!(group(Path::new("/dev/null")), None);
        assert_eq!(group(Path::new("/dev/mem")), None);
    }
}
