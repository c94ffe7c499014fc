//! What a sensor or part belongs to (section 43.14, table 43-13).

/// Entities by their number.
const ENTITIES: [&str; 0x38] = [
    "unspecified",
    "other",
    "unknown",
    "processor",
    "disk",
    "peripheral_bay",
    "management_module",
    "system_board",
    "memory_module",
    "processor_module",
    "power_supply",
    "add_in_card",
    "front_panel_board",
    "back_panel_board",
    "power_system_board",
    "drive_backplane",
    "expansion_board",
    "other_system_board",
    "processor_board",
    "power_unit",
    "power_module",
    "power_distribution_board",
    "chassis_back_panel_board",
    "chassis",
    "sub_chassis",
    "other_chassis_board",
    "disk_bay",
    "peripheral_bay",
    "device_bay",
    "fan",
    "cooling_unit",
    "cable",
    "memory_device",
    "management_software",
    "system_firmware",
    "operating_system",
    "system_bus",
    "group",
    "remote_management_device",
    "external_environment",
    "battery",
    "processing_blade",
    "connectivity_switch",
    "processor_memory_module",
    "io_module",
    "processor_io_module",
    "management_controller_firmware",
    "ipmi_channel",
    "pci_bus",
    "pci_express_bus",
    "scsi_bus",
    "sata_bus",
    "front_side_bus",
    "real_time_clock",
    "reserved",
    "air_inlet",
];

/// Number of power supplies.
pub const POWER_SUPPLY: u8 = 0x0a;

/// What a sensor or part belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity {
    /// Number of its kind.
    pub id: u8,
    /// Which of its kind; bit 7, which says that it is a container, left out.
    pub instance: u8,
}

impl Entity {
    /// From the two bytes of a record.
    #[must_use]
    pub const fn new(id: u8, instance: u8) -> Self {
        Self {
            id,
            instance: instance & 0x7f,
        }
    }

    /// `processor/1`, `power_supply/2`; a kind of a maker by its number, `entity_90h/1`.
    #[must_use]
    pub fn name(self) -> String {
        let Self { id, instance } = self;
        let dcmi = match id {
            // DCMI has its own numbers for what others have too
            0x40 => Some("air_inlet"),
            0x41 => Some("processor"),
            0x42 => Some("system_board"),
            _ => None,
        };
        match dcmi.or_else(|| ENTITIES.get(usize::from(id)).copied()) {
            Some(kind) => format!("{kind}/{instance}"),
            None => format!("entity_{id:02X}h/{instance}"),
        }
    }

    /// The `hw.type` of OpenTelemetry.
    #[must_use]
    pub const fn hardware_type(self) -> &'static str {
        match self.id {
            0x03 | 0x09 | 0x12 | 0x41 => "cpu",
            0x04 | 0x1a => "physical_disk",
            0x08 | 0x20 => "memory",
            POWER_SUPPLY => "power_supply",
            0x17 | 0x18 | 0x37 | 0x40 => "enclosure",
            0x1d | 0x1e => "fan",
            0x28 => "battery",
            0x2a => "network",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_have_the_names_of_the_table() {
        assert_eq!(Entity::new(0x03, 0x81).name(), "processor/1");
        assert_eq!(Entity::new(0x1d, 4).name(), "fan/4");
        assert_eq!(Entity::new(0x37, 1).name(), "air_inlet/1");
        assert_eq!(Entity::new(0x40, 1).name(), "air_inlet/1");
        assert_eq!(Entity::new(0xd0, 9).name(), "entity_D0h/9");
        assert_eq!(Entity::new(0x28, 1).name(), "battery/1");
        assert_eq!(
            Entity::new(0x2e, 1).name(),
            "management_controller_firmware/1"
        );
    }
}
