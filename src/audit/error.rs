//! What can go wrong with the log and its checkpoints.

use std::path::Path;

/// Why the audit log or its checkpoints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file system said no.
    #[error("failed to {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the log open.
    #[error("`{path}` is being written by another process; stop that one first")]
    Locked {
        /// The folder.
        path: String,
    },
    /// Under a name of the log stands something that the log does not write.
    #[error("`{path}` is no file of the log: {detail} (move it away, and ask who put it there)")]
    Strange {
        /// What stands there.
        path: String,
        /// What it is.
        detail: &'static str,
    },
    /// A line makes no sense, and lines that do follow it.
    #[error(
        "`{path}` is damaged at line {line}: {detail} (run `glasshouse audit verify`, then move the audit and checkpoints folders away together to begin a new log)"
    )]
    Damaged {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// The signing key cannot be used.
    #[error("the checkpoint key `{path}` {detail}")]
    Key {
        /// The file.
        path: String,
        /// What is wrong, and the way out.
        detail: String,
    },
}

impl AuditError {
    /// For `map_err` on a call to the file system.
    pub(crate) fn io<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl Fn(std::io::Error) -> Self + 'a {
        move |source| Self::Io {
            doing,
            path: path.display().to_string(),
            source,
        }
    }
}
