//! Why the library gave no answer.

use std::path::PathBuf;

use glasshouse_core::failure::{CollectError, FailureReason};
use nvml_wrapper::error::NvmlError;

/// Why the library gave no answer to one question. Codes are those of `nvmlReturn_t` in `nvml.h`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The library could not be loaded.
    #[error("no library: {0}")]
    NoLibrary(String),
    /// The library is older, or newer, than this function.
    #[error("the library has no such function")]
    MissingFunction,
    /// The GPU, or the way it is set up, does not have this.
    #[error("not supported")]
    NotSupported,
    /// The library knows another version of the structure.
    #[error("the library expects another version of the question")]
    OtherVersion,
    /// The GPU does not answer on its bus any more.
    #[error("the GPU is lost: it has fallen off its bus")]
    Lost,
    /// The GPU works again after a reset only.
    #[error("the GPU needs a reset")]
    ResetRequired,
    /// Rights are missing, or a control group is in the way.
    #[error("not permitted: the worker needs to open /dev/nvidiactl and /dev/nvidia*")]
    Denied,
    /// The driver gave up waiting.
    #[error("the driver waited in vain")]
    Timeout,
    /// The library was never begun, or was ended below us.
    #[error("the library is not initialized")]
    Uninitialized,
    /// The kernel module is not loaded.
    #[error("the driver is not loaded: `modprobe nvidia` or see the kernel's log")]
    DriverNotLoaded,
    /// Library and kernel module come from different releases.
    #[error(
        "library and loaded driver are of different versions: reload the driver or restart the machine"
    )]
    DriverMismatch,
    /// There is nothing to say yet.
    #[error("no data yet")]
    NoData,
    /// What was said cannot be.
    #[error("what it said makes no sense: {0}")]
    Malformed(String),
    /// Everything else.
    #[error("{words} (code {0})", words = code_words(*.0))]
    Code(u32),
}

/// What remaining codes of `nvmlReturn_t` mean.
fn code_words(code: u32) -> &'static str {
    match code {
        8 => "the GPU's external power cables are not attached",
        11 => "the kernel found a fault with the GPU's interrupt",
        12 => "a library that it needs could not be loaded",
        14 => "the InfoROM of the GPU is corrupted",
        19 => "in use",
        20 => "out of memory",
        23 => "out of resources",
        29 => "the GPU is in a wrong state",
        999 => "unknown error of the driver",
        _ => "unheard-of answer",
    }
}

impl Refusal {
    /// From a return code that is not success.
    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Uninitialized,
            // an argument that the library does not know: of a GPU or driver that lacks it
            2 | 3 | 6 | 26 => Self::NotSupported,
            4 | 17 => Self::Denied,
            7 => Self::Malformed("it does not fit".to_owned()),
            9 => Self::DriverNotLoaded,
            10 => Self::Timeout,
            13 => Self::MissingFunction,
            15 | 28 => Self::Lost,
            16 => Self::ResetRequired,
            18 => Self::DriverMismatch,
            21 | 27 => Self::NoData,
            25 => Self::OtherVersion,
            other => Self::Code(other),
        }
    }

    /// Whether the whole library has to be begun again.
    pub(crate) const fn ends_session(&self) -> bool {
        matches!(
            self,
            Self::Uninitialized | Self::DriverNotLoaded | Self::DriverMismatch
        )
    }

    /// Whether there is no use in asking this GPU anything more in this run.
    pub(crate) const fn ends_run(&self) -> bool {
        self.ends_session() || matches!(self, Self::Lost | Self::ResetRequired | Self::Timeout)
    }

    /// Whether the same question will be refused again: it may rest for a while.
    pub(crate) const fn lasts(&self) -> bool {
        matches!(
            self,
            Self::MissingFunction | Self::NotSupported | Self::OtherVersion
        )
    }

    /// The closed-set reason.
    pub(crate) const fn reason(&self) -> FailureReason {
        match self {
            Self::NoLibrary(_) | Self::Lost | Self::DriverNotLoaded => FailureReason::Missing,
            Self::MissingFunction
            | Self::NotSupported
            | Self::OtherVersion
            | Self::DriverMismatch => FailureReason::Unsupported,
            Self::Denied => FailureReason::Denied,
            Self::Timeout => FailureReason::Timeout,
            Self::Malformed(_) => FailureReason::Malformed,
            Self::ResetRequired | Self::Uninitialized | Self::NoData | Self::Code(_) => {
                FailureReason::Io
            }
        }
    }

    /// The error for a report: what was asked, of whom, and why there was no answer.
    pub(crate) fn error(&self, path: PathBuf, symbol: &str) -> CollectError {
        CollectError {
            path,
            line: None,
            reason: self.reason(),
            detail: format!("{symbol}: {self}"),
        }
    }
}

impl From<NvmlError> for Refusal {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(error) => Self::NoLibrary(error.to_string()),
            NvmlError::FailedToLoadSymbol(_) => Self::MissingFunction,
            // a return code or a state that the wrapper does not know: it does not say which
            NvmlError::UnexpectedVariant(value) => Self::Malformed(format!("`{value}`")),
            NvmlError::Utf8Error(_) => Self::Malformed("text that is not UTF-8".to_owned()),
            NvmlError::NulError(_)
            | NvmlError::StringTooLong { .. }
            | NvmlError::IncorrectBits(_)
            | NvmlError::SetReleaseFailed
            | NvmlError::GetPciInfoFailed
            | NvmlError::PciInfoToCFailed => Self::Malformed(error.to_string()),
            coded => Self::from_code(coded.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words_and_a_reason() {
        for code in (1..40).chain([999, u32::MAX]) {
            let refusal = Refusal::from_code(code);
            assert!(!refusal.to_string().is_empty(), "{code}");
            if refusal.ends_session() {
                assert!(refusal.ends_run(), "{code}");
            }
            assert!(!(refusal.lasts() && refusal.ends_run()), "{code}");
        }
        assert_eq!(Refusal::from_code(15), Refusal::Lost);
        assert_eq!(
            Refusal::from_code(999).to_string(),
            "unknown error of the driver (code 999)"
        );
    }

    #[test]
    fn the_wrapper_s_errors_keep_their_meaning() {
        assert_eq!(Refusal::from(NvmlError::GpuLost), Refusal::Lost);
        assert_eq!(
            Refusal::from(NvmlError::LibRmVersionMismatch),
            Refusal::DriverMismatch
        );
        assert_eq!(Refusal::from(NvmlError::OperatingSystem), Refusal::Denied);
        assert_eq!(
            Refusal::from(NvmlError::FunctionNotFound),
            Refusal::MissingFunction
        );
        assert_eq!(Refusal::from(NvmlError::Unknown), Refusal::Code(999));
    }
}
