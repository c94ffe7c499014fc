//! Facts that several collectors state. Each function takes where the collector reads it.

use crate::fact::FactDefinition;

/// Who made the part.
#[must_use]
pub const fn vendor(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.vendor",
        help: "Who made the part.",
        source,
    }
}

/// The maker's name of the part.
#[must_use]
pub const fn model(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.model",
        help: "The maker's name of the part.",
        source,
    }
}

/// The maker's number for this kind of part.
#[must_use]
pub const fn part_number(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.part_number",
        help: "The maker's number for this kind of part.",
        source,
    }
}

/// The maker's version of the part.
#[must_use]
pub const fn version(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.version",
        help: "The maker's version of the part.",
        source,
    }
}

/// The version of the part's firmware.
#[must_use]
pub const fn firmware_version(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.firmware_version",
        help: "The version of the part's firmware.",
        source,
    }
}

/// The version of the machine's BIOS.
#[must_use]
pub const fn bios_version(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.bios_version",
        help: "The version of the machine's BIOS.",
        source,
    }
}

/// The kernel driver of the part; `none` where no driver took it, `vfio-pci` where it is lent to a guest.
#[must_use]
pub const fn driver(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.driver",
        help: "The kernel driver of the part; `none` where no driver took it, `vfio-pci` where it is lent to a guest.",
        source,
    }
}

/// The version that a loaded driver gives itself.
#[must_use]
pub const fn driver_version(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.driver_version",
        help: "The version that a loaded driver gives itself.",
        source,
    }
}

/// The capacity of the part, in bytes.
#[must_use]
pub const fn size(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "hw.size",
        help: "The capacity of the part, in bytes.",
        source,
    }
}

/// The microcode that the processor runs, as of the first look: one that is loaded later is told after a restart.
#[must_use]
pub const fn microcode(source: &'static str) -> FactDefinition {
    FactDefinition {
        key: "host.cpu.microcode",
        help: "The microcode that the processor runs, as of the first look: one that is loaded later is told after a restart.",
        source,
    }
}
