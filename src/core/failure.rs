//! Why something could not be read: a small closed set, so that it can be a label and a stored code.

use std::fmt;
use std::path::PathBuf;

/// The reason behind an absent sample or a failed collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// The file or device does not exist here.
    Missing,
    /// The kernel or device refused: rights are missing.
    Denied,
    /// It was read but makes no sense.
    Malformed,
    /// It did not answer in time.
    Timeout,
    /// The device says that it does not know this.
    Unsupported,
    /// Reading failed otherwise.
    Io,
}

impl FailureReason {
    /// Every reason, in the order of their stored numbers: append only.
    pub const ALL: &[Self] = &[
        Self::Missing,
        Self::Denied,
        Self::Malformed,
        Self::Timeout,
        Self::Unsupported,
        Self::Io,
    ];

    /// The word for it in labels and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
        }
    }

    /// The stored number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Denied => 1,
            Self::Malformed => 2,
            Self::Timeout => 3,
            Self::Unsupported => 4,
            Self::Io => 5,
        }
    }

    /// From the stored number; an unknown one (written by a newer version) reads as [`Self::Io`].
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Io)
    }

    /// From what the system call said.
    #[must_use]
    pub fn from_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::InvalidData => Self::Malformed,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Timeout,
            ErrorKind::Unsupported => Self::Unsupported,
            // ENODEV, ENXIO: the file stands but nothing is behind it
            _ if matches!(error.raw_os_error(), Some(6 | 19)) => Self::Missing,
            _ => Self::Io,
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A failed read: which file, where in it, and why.
#[derive(Debug, thiserror::Error)]
#[error("failed to read `{}`{}: {detail}", path.display(), Line(*line))]
pub struct CollectError {
    /// The file, as it is on the machine.
    pub path: PathBuf,
    /// The line in it, counted from 1, where that helps.
    pub line: Option<usize>,
    /// The closed-set reason, for labels.
    pub reason: FailureReason,
    /// What was expected or found, lower case, no period.
    pub detail: String,
}

struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " line {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_a_round_trip() {
        for reason in FailureReason::ALL {
            assert_eq!(FailureReason::from_code(reason.code()), *reason);
        }
        assert_eq!(FailureReason::from_code(200), FailureReason::Io);
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let error = CollectError {
            path: "/proc/stat".into(),
            line: Some(3),
            reason: FailureReason::Malformed,
            detail: "expected a number, found `x`".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "failed to read `/proc/stat` line 3: expected a number, found `x`"
        );
    }
}
