//! The kinds of resources that are read, and how often.

use std::time::Duration;

/// What a resource is, by the link that led to it (not by what it says of itself).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Root,
    ChassisCollection,
    SystemCollection,
    ManagerCollection,
    Chassis,
    System,
    Manager,
    SensorCollection,
    Sensor,
    PowerSubsystem,
    PowerSupplyCollection,
    PowerSupply,
    PowerSupplyMetrics,
    ThermalSubsystem,
    ThermalMetrics,
    FanCollection,
    Fan,
    EnvironmentMetrics,
    LeakDetection,
    LeakDetectorCollection,
    LeakDetector,
    Power,
    Thermal,
    TelemetryService,
    MetricReportCollection,
    MetricReport,
    EventService,
    LogServiceCollection,
    LogService,
    LogEntries,
    LogEntry,
    StorageCollection,
    Storage,
    DriveCollection,
    Drive,
    MemoryCollection,
    Memory,
    MemoryMetrics,
    ProcessorCollection,
    Processor,
    ProcessorMetrics,
    UpdateService,
    FirmwareCollection,
    Firmware,
}

/// How often a resource is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// Each run: what moves.
    Readings,
    /// Each minute: what was written down.
    Logs,
    /// Each few minutes: the health of parts, reports.
    Health,
    /// Each hour: what there is.
    Inventory,
    /// Once: an entry of a log.
    Once,
}

/// How long each tier is; one table, so that tests can press it together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Periods {
    /// Of [`Tier::Readings`].
    pub(crate) readings: Duration,
    /// Of [`Tier::Logs`].
    pub(crate) logs: Duration,
    /// Of [`Tier::Health`].
    pub(crate) health: Duration,
    /// Of [`Tier::Inventory`].
    pub(crate) inventory: Duration,
}

impl Periods {
    /// How long a tier is.
    pub(crate) const fn of(&self, tier: Tier) -> Duration {
        match tier {
            Tier::Readings => self.readings,
            Tier::Logs | Tier::Once => self.logs,
            Tier::Health => self.health,
            Tier::Inventory => self.inventory,
        }
    }
}

impl Kind {
    /// Every kind, for tests that try them all.
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[
        Self::Root,
        Self::ChassisCollection,
        Self::SystemCollection,
        Self::ManagerCollection,
        Self::Chassis,
        Self::System,
        Self::Manager,
        Self::SensorCollection,
        Self::Sensor,
        Self::PowerSubsystem,
        Self::PowerSupplyCollection,
        Self::PowerSupply,
        Self::PowerSupplyMetrics,
        Self::ThermalSubsystem,
        Self::ThermalMetrics,
        Self::FanCollection,
        Self::Fan,
        Self::EnvironmentMetrics,
        Self::LeakDetection,
        Self::LeakDetectorCollection,
        Self::LeakDetector,
        Self::Power,
        Self::Thermal,
        Self::TelemetryService,
        Self::MetricReportCollection,
        Self::MetricReport,
        Self::EventService,
        Self::LogServiceCollection,
        Self::LogService,
        Self::LogEntries,
        Self::LogEntry,
        Self::StorageCollection,
        Self::Storage,
        Self::DriveCollection,
        Self::Drive,
        Self::MemoryCollection,
        Self::Memory,
        Self::MemoryMetrics,
        Self::ProcessorCollection,
        Self::Processor,
        Self::ProcessorMetrics,
        Self::UpdateService,
        Self::FirmwareCollection,
        Self::Firmware,
    ];

    /// How often it is read.
    pub(crate) const fn tier(self) -> Tier {
        match self {
            Self::Sensor
            | Self::PowerSupplyMetrics
            | Self::ThermalMetrics
            | Self::Fan
            | Self::EnvironmentMetrics
            | Self::Power
            | Self::Thermal
            | Self::LeakDetector => Tier::Readings,
            Self::LogEntries => Tier::Logs,
            Self::LogEntry => Tier::Once,
            Self::PowerSupply
            | Self::PowerSubsystem
            | Self::ThermalSubsystem
            | Self::MetricReport
            | Self::Manager
            | Self::LogService
            | Self::Storage
            | Self::Drive
            | Self::Memory
            | Self::MemoryMetrics
            | Self::Processor
            | Self::ProcessorMetrics
            | Self::LeakDetection
            | Self::System
            | Self::Chassis => Tier::Health,
            _ => Tier::Inventory,
        }
    }

    /// What the members of a collection are; `None` for what is no collection.
    pub(crate) const fn member(self) -> Option<Self> {
        Some(match self {
            Self::ChassisCollection => Self::Chassis,
            Self::SystemCollection => Self::System,
            Self::ManagerCollection => Self::Manager,
            Self::SensorCollection => Self::Sensor,
            Self::PowerSupplyCollection => Self::PowerSupply,
            Self::FanCollection => Self::Fan,
            Self::LeakDetectorCollection => Self::LeakDetector,
            Self::MetricReportCollection => Self::MetricReport,
            Self::LogServiceCollection => Self::LogService,
            Self::StorageCollection => Self::Storage,
            Self::DriveCollection => Self::Drive,
            Self::MemoryCollection => Self::Memory,
            Self::ProcessorCollection => Self::Processor,
            Self::FirmwareCollection => Self::Firmware,
            _ => return None,
        })
    }

    /// Whether its members are asked for along with it. Not chassis, systems and managers, which are few and large, and
    /// not reports, which are megabytes.
    pub(crate) const fn expands(self) -> bool {
        match self {
            Self::ChassisCollection
            | Self::SystemCollection
            | Self::ManagerCollection
            | Self::MetricReportCollection => false,
            _ => self.member().is_some(),
        }
    }

    /// Whether other resources are found through it: read first, so that what moves is found soon.
    pub(crate) const fn leads_on(self) -> bool {
        match self {
            Self::Root
            | Self::Chassis
            | Self::System
            | Self::Manager
            | Self::PowerSubsystem
            | Self::ThermalSubsystem
            | Self::LeakDetection
            | Self::TelemetryService
            | Self::EventService
            | Self::UpdateService
            | Self::LogService
            | Self::Storage => true,
            _ => self.member().is_some(),
        }
    }

    /// Whether an older schema says the same, which waits until this was read.
    pub(crate) const fn replaces_older(self) -> bool {
        matches!(
            self,
            Self::Root
                | Self::ChassisCollection
                | Self::Chassis
                | Self::SensorCollection
                | Self::Sensor
                | Self::PowerSubsystem
                | Self::PowerSupplyCollection
                | Self::PowerSupply
                | Self::PowerSupplyMetrics
                | Self::ThermalSubsystem
                | Self::FanCollection
                | Self::Fan
        )
    }
}
