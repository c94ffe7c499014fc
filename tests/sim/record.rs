//! What a stand-in was asked, written down for the comparison with `docs/read-only.md`.
//!
//! `cargo xtask test` names a folder in `GLASSHOUSE_RECORD`; each process writes a file there, a line for each thing once.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Names the folder.
const FOLDER: &str = "GLASSHOUSE_RECORD";

#[derive(Debug)]
struct Record {
    file: File,
    seen: BTreeSet<String>,
}

/// Writes down what was asked; nothing where nobody wants to know.
pub(crate) fn asked(kind: &str, what: &str) {
    static RECORD: OnceLock<Option<Mutex<Record>>> = OnceLock::new();
    let Some(record) = RECORD.get_or_init(|| begin(kind)) else {
        return;
    };
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("{kind} {what}\n");
    if !record.seen.contains(&line) {
        // nothing can be done about a record that cannot be written; the comparison counts what it has
        record.file.write_all(line.as_bytes()).ok();
        record.seen.insert(line);
    }
}

fn begin(kind: &str) -> Option<Mutex<Record>> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    let name = format!("{kind}-{}", std::process::id());
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join(name))
        .ok()?;
    let seen = BTreeSet::new();
    Some(Mutex::new(Record { file, seen }))
}
