//! What the running kernel says of itself in no file that every kernel has.

use crate::root::SysRoot;

/// The architecture of the processors, as `uname` names it; `None` in a captured tree, which cannot know it.
///
/// `/proc/sys/kernel/arch` says the same from Linux 6.1 on; distributions with long support are older.
#[must_use]
pub fn architecture(root: &SysRoot) -> Option<String> {
    root.is_live().then(sysinfo::System::cpu_arch)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_the_live_machine_has_an_architecture() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(architecture(&SysRoot::new(tree.path())), None);
        let live = architecture(&SysRoot::new(Path::new("/")));
        assert_eq!(live.as_deref(), Some(std::env::consts::ARCH));
    }
}
