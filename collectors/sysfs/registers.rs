//! Model-specific registers of processors, of which these few may be read and none written.

use std::os::fd::AsFd;

use glasshouse_core::failure::{CollectError, FailureReason};

use crate::parse::malformed;
use crate::root::{SysRoot, os_error};
use crate::witness::sending;

/// A register that may be asked for; there is no way to name another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `IA32_MPERF`: counts at the rated clock while the processor is not idle.
    RatedCycles,
    /// `IA32_APERF`: counts at the clock that it really has while it is not idle.
    DeliveredCycles,
    /// `IA32_THERM_STATUS` of a core (Intel).
    CoreThermalStatus,
    /// `IA32_PACKAGE_THERM_STATUS` (Intel).
    PackageThermalStatus,
    /// `MSR_CORE_PERF_LIMIT_REASONS` (Intel, since Skylake).
    LimitReasons,
}

impl Register {
    /// Every register that can be asked for.
    pub const ALL: &[Self] = &[
        Self::RatedCycles,
        Self::DeliveredCycles,
        Self::CoreThermalStatus,
        Self::PackageThermalStatus,
        Self::LimitReasons,
    ];

    /// Its name in the manuals.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RatedCycles => "IA32_MPERF",
            Self::DeliveredCycles => "IA32_APERF",
            Self::CoreThermalStatus => "IA32_THERM_STATUS",
            Self::PackageThermalStatus => "IA32_PACKAGE_THERM_STATUS",
            Self::LimitReasons => "MSR_CORE_PERF_LIMIT_REASONS",
        }
    }

    /// Its number (Intel SDM volume 4; AMD APM volume 2 for the first two).
    #[must_use]
    pub const fn address(self) -> u64 {
        match self {
            Self::RatedCycles => 0xE7,
            Self::DeliveredCycles => 0xE8,
            Self::CoreThermalStatus => 0x19C,
            Self::PackageThermalStatus => 0x1B1,
            Self::LimitReasons => 0x64F,
        }
    }
}

/// Reads one register of one logical processor through `/dev/cpu/*/msr`, which interrupts that processor.
///
/// # Errors
/// Missing in a captured tree, without the kernel's module `msr`, and where the processor lacks the register; denied
/// without `CAP_SYS_RAWIO`; [`CollectError`] otherwise.
pub fn read_register(
    root: &SysRoot,
    processor: u32,
    register: Register,
) -> Result<u64, CollectError> {
    let path = format!("dev/cpu/{processor}/msr");
    if !root.is_live() {
        return Err(CollectError {
            detail: "registers can be asked of the running machine alone".to_owned(),
            ..os_error(&path, rustix::io::Errno::NOENT)
        });
    }
    sending("register", || format!("{:X}h", register.address()));
    let device = root.open(&path)?;
    let mut bytes = [0; size_of::<u64>()];
    match rustix::io::pread(device.as_fd(), &mut bytes, register.address()) {
        Ok(read) if read == bytes.len() => Ok(u64::from_le_bytes(bytes)),
        Ok(read) => Err(malformed(&path, None, "8 bytes", &read.to_string())),
        // how the processor says that it has no such register
        Err(rustix::io::Errno::IO) => Err(CollectError {
            reason: FailureReason::Missing,
            ..os_error(&path, rustix::io::Errno::IO)
        }),
        Err(errno) => Err(os_error(&path, errno)),
    }
}
