//! Labels that several collectors share.

use glasshouse_core::metric::LabelDefinition;

pub(crate) const LOGICAL_CPU: LabelDefinition = LabelDefinition {
    key: "cpu.logical_number",
    help: "The kernel's number of the logical processor.",
};

pub(crate) const DEVICE: LabelDefinition = LabelDefinition {
    key: "system.device",
    help: "The kernel's name of the block device, or what is mounted.",
};

pub(crate) const DISK_DIRECTION: LabelDefinition = LabelDefinition {
    key: "disk.io.direction",
    help: "One of `read`, `write`.",
};

pub(crate) const INTERFACE: LabelDefinition = LabelDefinition {
    key: "network.interface.name",
    help: "The kernel's name of the network interface.",
};

pub(crate) const NETWORK_DIRECTION: LabelDefinition = LabelDefinition {
    key: "network.io.direction",
    help: "One of `receive`, `transmit`.",
};
