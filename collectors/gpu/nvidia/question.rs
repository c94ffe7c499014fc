//! What the library can be asked, as data. There is no other way to name one of its functions.

use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, MemoryLocation, PcieUtilCounter, PerformancePolicy,
    RetirementCause, TemperatureThreshold,
};
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;

/// The most numbers of one answer: the histogram of spare rows has five.
pub(crate) const MOST_NUMBERS: usize = 5;

/// The numbers of one answer, in the order that [`Question`] says; what is signed is kept as its bits.
pub(crate) type Answer = [u64; MOST_NUMBERS];

/// A question about one GPU that is answered with numbers. What the numbers are stands behind each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// GPU, memory: percent.
    Utilization,
    /// Percent, sample period in µs.
    Encoder,
    /// Percent, sample period in µs.
    Decoder,
    /// mW.
    Power,
    /// mJ since the driver was loaded.
    Energy,
    /// °C, signed.
    TemperatureV,
    /// °C, as drivers before 570 know it.
    Temperature,
    /// °C, signed.
    Margin,
    /// °C.
    Threshold(TemperatureThreshold),
    /// MHz.
    Clock(Clock),
    /// MHz.
    MaxClock(Clock),
    /// Bits.
    EventReasons,
    /// Bits, by the name before 535.
    ThrottleReasons,
    /// CPU time in µs, time of violation in ns.
    Violation(PerformancePolicy),
    /// 0 to 15, 32 for unknown.
    PerformanceState,
    /// mW.
    EnforcedPowerLimit,
    /// mW.
    PowerLimit,
    /// mW.
    DefaultPowerLimit,
    /// Least, most: mW.
    PowerLimitRange,
    /// Total, reserved, free, used: bytes.
    MemoryV2,
    /// Total, 0, free, used: bytes; drivers before 510.
    Memory,
    /// Total, free, used: bytes.
    Bar1,
    /// Current, pending: 0 or 1.
    EccMode,
    /// Errors.
    EccTotal(MemoryError, EccCounter),
    /// Errors.
    EccAt(MemoryError, EccCounter, MemoryLocation),
    /// Corrected, uncorrected, pending, failure.
    RemappedRows,
    /// Banks with most, many, some, few, no spare rows.
    RowHistogram,
    /// Pages.
    RetiredPages(RetirementCause),
    /// 0 or 1.
    RetirementPending,
    /// Packets.
    PcieReplay,
    /// KB/s over 20 ms, for which the call takes as long.
    PcieThroughput(PcieUtilCounter),
    /// 0 or 1.
    LinkState(u32),
    /// Errors.
    LinkErrors(u32, ErrorCounter),
    /// Return code, state, health bits, health summary.
    FabricV3,
    /// Return code, state, health bits; drivers before 570.
    FabricV2,
    /// Processes.
    ComputeProcesses,
    /// Processes.
    GraphicsProcesses,
    /// Current, pending: 0 or 1.
    MigMode,
    /// The most devices.
    MigMost,
    /// 1 where there is such a device.
    MigDevice(u32),
    /// 0 or 1.
    Persistence,
    /// `nvmlComputeMode_t`.
    ComputeMode,
    /// Fans.
    Fans,
    /// Percent of the most.
    FanSpeed(u32),
}

impl Question {
    /// The function that answers it.
    pub(crate) const fn symbol(&self) -> &'static str {
        match self {
            Self::Utilization => "nvmlDeviceGetUtilizationRates",
            Self::Encoder => "nvmlDeviceGetEncoderUtilization",
            Self::Decoder => "nvmlDeviceGetDecoderUtilization",
            Self::Power => "nvmlDeviceGetPowerUsage",
            Self::Energy => "nvmlDeviceGetTotalEnergyConsumption",
            Self::TemperatureV => "nvmlDeviceGetTemperatureV",
            Self::Temperature => "nvmlDeviceGetTemperature",
            Self::Margin => "nvmlDeviceGetMarginTemperature",
            Self::Threshold(_) => "nvmlDeviceGetTemperatureThreshold",
            Self::Clock(_) => "nvmlDeviceGetClockInfo",
            Self::MaxClock(_) => "nvmlDeviceGetMaxClockInfo",
            Self::EventReasons => "nvmlDeviceGetCurrentClocksEventReasons",
            Self::ThrottleReasons => "nvmlDeviceGetCurrentClocksThrottleReasons",
            Self::Violation(_) => "nvmlDeviceGetViolationStatus",
            Self::PerformanceState => "nvmlDeviceGetPerformanceState",
            Self::EnforcedPowerLimit => "nvmlDeviceGetEnforcedPowerLimit",
            Self::PowerLimit => "nvmlDeviceGetPowerManagementLimit",
            Self::DefaultPowerLimit => "nvmlDeviceGetPowerManagementDefaultLimit",
            Self::PowerLimitRange => "nvmlDeviceGetPowerManagementLimitConstraints",
            Self::MemoryV2 => "nvmlDeviceGetMemoryInfo_v2",
            Self::Memory => "nvmlDeviceGetMemoryInfo",
            Self::Bar1 => "nvmlDeviceGetBAR1MemoryInfo",
            Self::EccMode => "nvmlDeviceGetEccMode",
            Self::EccTotal(..) => "nvmlDeviceGetTotalEccErrors",
            Self::EccAt(..) => "nvmlDeviceGetMemoryErrorCounter",
            Self::RemappedRows => "nvmlDeviceGetRemappedRows",
            Self::RowHistogram => "nvmlDeviceGetRowRemapperHistogram",
            Self::RetiredPages(_) => "nvmlDeviceGetRetiredPages",
            Self::RetirementPending => "nvmlDeviceGetRetiredPagesPendingStatus",
            Self::PcieReplay => "nvmlDeviceGetPcieReplayCounter",
            Self::PcieThroughput(_) => "nvmlDeviceGetPcieThroughput",
            Self::LinkState(_) => "nvmlDeviceGetNvLinkState",
            Self::LinkErrors(..) => "nvmlDeviceGetNvLinkErrorCounter",
            Self::FabricV3 | Self::FabricV2 => "nvmlDeviceGetGpuFabricInfoV",
            Self::ComputeProcesses => "nvmlDeviceGetComputeRunningProcesses_v3",
            Self::GraphicsProcesses => "nvmlDeviceGetGraphicsRunningProcesses_v3",
            Self::MigMode => "nvmlDeviceGetMigMode",
            Self::MigMost => "nvmlDeviceGetMaxMigDeviceCount",
            Self::MigDevice(_) => "nvmlDeviceGetMigDeviceHandleByIndex",
            Self::Persistence => "nvmlDeviceGetPersistenceMode",
            Self::ComputeMode => "nvmlDeviceGetComputeMode",
            Self::Fans => "nvmlDeviceGetNumFans",
            Self::FanSpeed(_) => "nvmlDeviceGetFanSpeed_v2",
        }
    }

    /// The numbers that are passed besides the GPU, as `nvml.h` has them.
    pub(crate) fn arguments(&self) -> Vec<u32> {
        match self {
            Self::Threshold(threshold) => vec![threshold.as_c()],
            Self::Clock(clock) | Self::MaxClock(clock) => vec![clock.as_c()],
            Self::Violation(policy) => vec![policy.as_c()],
            Self::EccTotal(error, span) => vec![error.as_c(), span.as_c()],
            Self::EccAt(error, span, place) => vec![error.as_c(), span.as_c(), place.as_c()],
            Self::RetiredPages(cause) => vec![cause.as_c()],
            Self::PcieThroughput(direction) => vec![direction.as_c()],
            Self::LinkState(link) => vec![*link],
            Self::LinkErrors(link, error) => vec![*link, error.as_c()],
            Self::MigDevice(index) => vec![*index],
            Self::FanSpeed(fan) => vec![*fan],
            // the version of the structure
            Self::FabricV3 => vec![3],
            Self::FabricV2 => vec![2],
            _ => Vec::new(),
        }
    }

    /// How many numbers of the answer mean something.
    pub(crate) const fn width(&self) -> usize {
        match self {
            Self::RowHistogram => 5,
            Self::MemoryV2 | Self::Memory | Self::RemappedRows | Self::FabricV3 => 4,
            Self::Bar1 | Self::FabricV2 => 3,
            Self::Utilization
            | Self::Encoder
            | Self::Decoder
            | Self::Violation(_)
            | Self::PowerLimitRange
            | Self::EccMode
            | Self::MigMode => 2,
            _ => 1,
        }
    }
}

/// A question about one GPU that is answered with text. No serial number and no UUID is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// The model.
    Name,
    /// The version of the video BIOS.
    Vbios,
    /// The version of the InfoROM's image.
    InfoRom,
    /// The part number of the board, which all boards of a kind share.
    PartNumber,
}

impl Text {
    pub(crate) const ALL: &[Self] = &[Self::Name, Self::Vbios, Self::InfoRom, Self::PartNumber];

    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Name => "nvmlDeviceGetName",
            Self::Vbios => "nvmlDeviceGetVbiosVersion",
            Self::InfoRom => "nvmlDeviceGetInforomImageVersion",
            Self::PartNumber => "nvmlDeviceGetBoardPartNumber",
        }
    }
}

/// One field value: its number in `nvml.h` and its scope, e.g. a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: u32,
    pub(crate) scope: u32,
}

/// A number of the type that the library chose for a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(u64),
    Signed(i64),
    Real(f64),
}

pub(crate) const INIT: &str = "nvmlInit_v2";
pub(crate) const SHUTDOWN: &str = "nvmlShutdown";
pub(crate) const COUNT: &str = "nvmlDeviceGetCount_v2";
pub(crate) const HANDLE: &str = "nvmlDeviceGetHandleByIndex_v2";
pub(crate) const PCI_INFO: &str = "nvmlDeviceGetPciInfo_v3";
pub(crate) const FIELDS: &str = "nvmlDeviceGetFieldValues";
pub(crate) const DRIVER_VERSION: &str = "nvmlSystemGetDriverVersion";
pub(crate) const CUDA_VERSION: &str = "nvmlSystemGetCudaDriverVersion_v2";
pub(crate) const EVENT_SET: &str = "nvmlEventSetCreate";
pub(crate) const EVENT_SET_FREE: &str = "nvmlEventSetFree";
pub(crate) const EVENT_TYPES: &str = "nvmlDeviceGetSupportedEventTypes";
pub(crate) const EVENT_REGISTER: &str = "nvmlDeviceRegisterEvents";
pub(crate) const EVENT_WAIT: &str = "nvmlEventSetWait_v2";

/// The functions beside those of [`Question`] and [`Text`].
const FRAME: &[&str] = &[
    INIT,
    SHUTDOWN,
    COUNT,
    HANDLE,
    PCI_INFO,
    FIELDS,
    DRIVER_VERSION,
    CUDA_VERSION,
    EVENT_SET,
    EVENT_SET_FREE,
    EVENT_TYPES,
    EVENT_REGISTER,
    EVENT_WAIT,
];

/// Links of one GPU: NVLink 5 has 18, and `nvml.h` leaves no room for more.
pub(crate) const MOST_LINKS: u32 = 18;

/// Fans of one GPU: boards have up to three.
pub(crate) const MOST_FANS: u32 = 8;

/// Devices that one GPU can be cut into: seven today.
pub(crate) const MOST_MIG_DEVICES: u32 = 16;

pub(crate) static CLOCKS: [(Clock, &str); 4] = [
    (Clock::Graphics, "graphics"),
    (Clock::SM, "sm"),
    (Clock::Memory, "memory"),
    (Clock::Video, "video"),
];

pub(crate) static POLICIES: [(PerformancePolicy, &str); 8] = [
    (PerformancePolicy::Power, "power"),
    (PerformancePolicy::Thermal, "thermal"),
    (PerformancePolicy::SyncBoost, "sync_boost"),
    (PerformancePolicy::BoardLimit, "board"),
    (PerformancePolicy::LowUtilization, "low_utilization"),
    (PerformancePolicy::Reliability, "reliability"),
    (PerformancePolicy::TotalAppClocks, "application_clocks"),
    (PerformancePolicy::TotalBaseClocks, "base_clocks"),
];

pub(crate) static ECC_ERRORS: [(MemoryError, &str); 2] = [
    (MemoryError::Corrected, "corrected"),
    (MemoryError::Uncorrected, "uncorrected"),
];

pub(crate) static ECC_SPANS: [(EccCounter, &str); 2] = [
    (EccCounter::Volatile, "volatile"),
    (EccCounter::Aggregate, "aggregate"),
];

pub(crate) static ECC_PLACES: [(MemoryLocation, &str); 8] = [
    (MemoryLocation::Device, "dram"),
    (MemoryLocation::SRAM, "sram"),
    (MemoryLocation::L1Cache, "l1"),
    (MemoryLocation::L2Cache, "l2"),
    (MemoryLocation::RegisterFile, "register_file"),
    (MemoryLocation::Texture, "texture"),
    (MemoryLocation::Shared, "texture_shared"),
    (MemoryLocation::Cbu, "cbu"),
];

pub(crate) static RETIREMENTS: [(RetirementCause, &str); 2] = [
    (RetirementCause::MultipleSingleBitEccErrors, "corrected"),
    (RetirementCause::DoubleBitEccError, "uncorrected"),
];

pub(crate) static DIRECTIONS: [(PcieUtilCounter, &str); 2] = [
    (PcieUtilCounter::Receive, "receive"),
    (PcieUtilCounter::Send, "transmit"),
];

pub(crate) static LINK_ERROR_KINDS: [(ErrorCounter, &str); 4] = [
    (ErrorCounter::DlReplay, "replay"),
    (ErrorCounter::DlRecovery, "recovery"),
    (ErrorCounter::DlCrcFlit, "crc_flit"),
    (ErrorCounter::DlCrcData, "crc_data"),
];

/// Every question that can be asked of one GPU, links, fans and devices included.
pub(crate) fn all() -> Vec<Question> {
    use Question as Q;
    let mut all = vec![
        Q::Utilization,
        Q::Encoder,
        Q::Decoder,
        Q::Power,
        Q::Energy,
        Q::TemperatureV,
        Q::Temperature,
        Q::Margin,
        Q::EventReasons,
        Q::ThrottleReasons,
        Q::PerformanceState,
        Q::EnforcedPowerLimit,
        Q::PowerLimit,
        Q::DefaultPowerLimit,
        Q::PowerLimitRange,
        Q::MemoryV2,
        Q::Memory,
        Q::Bar1,
        Q::EccMode,
        Q::RemappedRows,
        Q::RowHistogram,
        Q::RetirementPending,
        Q::PcieReplay,
        Q::FabricV3,
        Q::FabricV2,
        Q::ComputeProcesses,
        Q::GraphicsProcesses,
        Q::MigMode,
        Q::MigMost,
        Q::Persistence,
        Q::ComputeMode,
        Q::Fans,
    ];
    let thresholds = super::limits::THRESHOLDS.iter();
    all.extend(thresholds.map(|limit| Q::Threshold(limit.threshold)));
    for (clock, _) in &CLOCKS {
        all.extend([Q::Clock(*clock), Q::MaxClock(*clock)]);
    }
    all.extend(POLICIES.iter().map(|(policy, _)| Q::Violation(*policy)));
    for (error, _) in &ECC_ERRORS {
        for (span, _) in &ECC_SPANS {
            all.push(Q::EccTotal(*error, *span));
            let places = ECC_PLACES.iter();
            all.extend(places.map(|(place, _)| Q::EccAt(*error, *span, *place)));
        }
    }
    all.extend(RETIREMENTS.iter().map(|(cause, _)| Q::RetiredPages(*cause)));
    all.extend(DIRECTIONS.iter().map(|(way, _)| Q::PcieThroughput(*way)));
    for link in 0..MOST_LINKS {
        all.push(Q::LinkState(link));
        let kinds = LINK_ERROR_KINDS.iter();
        all.extend(kinds.map(|(kind, _)| Q::LinkErrors(link, *kind)));
    }
    all.extend((0..MOST_FANS).map(Q::FanSpeed));
    all.extend((0..MOST_MIG_DEVICES).map(Q::MigDevice));
    all
}

/// Every function that can be called, each once.
pub(crate) fn allowed() -> impl Iterator<Item = &'static str> {
    let mut symbols: Vec<&'static str> = FRAME.to_vec();
    symbols.extend(Text::ALL.iter().map(|text| text.symbol()));
    symbols.extend(all().iter().map(Question::symbol));
    symbols.sort_unstable();
    symbols.dedup();
    symbols.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the library is begun and ended with, and the events that it is told to queue for us; the rest are getters.
    const NOT_GETTERS: &[&str] = &[
        INIT,
        SHUTDOWN,
        EVENT_SET,
        EVENT_SET_FREE,
        EVENT_REGISTER,
        EVENT_WAIT,
    ];

    #[test]
    fn all_but_the_frame_are_getters() {
        let symbols: Vec<&str> = allowed().collect();
        assert!(symbols.len() > 50, "{}", symbols.len());
        for symbol in symbols {
            let getter = ["nvmlDeviceGet", "nvmlSystemGet"]
                .iter()
                .any(|start| symbol.starts_with(start));
            assert!(getter || NOT_GETTERS.contains(&symbol), "{symbol}");
            for word in ["Set", "Reset", "Clear", "Modify", "Remove", "Validate"] {
                let own = symbol.trim_start_matches("nvmlEventSet");
                assert!(!own.contains(word), "{symbol} says {word}");
            }
            for secret in ["UUID", "Serial"] {
                assert!(!symbol.contains(secret), "{symbol}");
            }
        }
    }

    #[test]
    fn no_question_stands_twice() {
        let all = all();
        for (n, question) in all.iter().enumerate() {
            assert!(!all.iter().skip(n + 1).any(|other| other == question));
            assert!(question.width() <= MOST_NUMBERS);
        }
    }
}
