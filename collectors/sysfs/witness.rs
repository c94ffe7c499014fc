//! What was sent and opened while the tests ran, written down for the comparison with `docs/read-only.md`.
//!
//! `cargo xtask test` names a folder in `GLASSHOUSE_RECORD`; each process writes a file there, a line for each thing once.
//! Nothing of this is shipped: without the feature `compliance`, which only tests switch on, [`sending`] does nothing.

/// Says that something is being sent to a device: its kind (`ipmi`, `ioctl`, `register`), and what, as the document names
/// it. Does nothing in what is shipped.
#[inline]
pub fn sending(kind: &str, what: impl FnOnce() -> String) {
    #[cfg(feature = "compliance")]
    recording::note(kind, what);
    #[cfg(not(feature = "compliance"))]
    let _ = (kind, what);
}

/// Says that a file is being opened. The tests of this crate open what they like.
#[cfg(feature = "compliance")]
pub(crate) fn opening(path: &str) {
    if !cfg!(test) {
        recording::note("file", || path.to_owned());
    }
}

#[cfg(feature = "compliance")]
mod recording {
    use std::collections::BTreeSet;
    use std::fs::{File, OpenOptions};
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// Names the folder.
    const FOLDER: &str = "GLASSHOUSE_RECORD";

    #[derive(Debug)]
    struct Witness {
        file: File,
        seen: BTreeSet<String>,
    }

    pub(super) fn note(kind: &str, what: impl FnOnce() -> String) {
        static WITNESS: OnceLock<Option<Mutex<Witness>>> = OnceLock::new();
        let Some(witness) = WITNESS.get_or_init(begin) else {
            return;
        };
        let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{kind} {}\n", what());
        if !witness.seen.contains(&line) {
            // nothing can be done about a record that cannot be written; the comparison counts what it has
            witness.file.write_all(line.as_bytes()).ok();
            witness.seen.insert(line);
        }
    }

    fn begin() -> Option<Mutex<Witness>> {
        let folder = PathBuf::from(std::env::var_os(FOLDER)?);
        let name = format!("door-{}", std::process::id());
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(folder.join(name))
            .ok()?;
        Some(Mutex::new(Witness {
            file,
            seen: BTreeSet::new(),
        }))
    }
}
