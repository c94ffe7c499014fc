//! Signals of faults of memory, processors and buses.

use super::By::{Condition, Fact, Log, Metric, NotAvailable};
use super::{Fault, fault, signal};

/// Needs the kernel's tracing, which takes a writer.
const TRACEPOINTS: &str = "tracepoints are switched on by writing, and nothing here writes";

pub(super) static FAULTS: &[Fault] = &[
    fault(
        "10",
        "DRAM corrected-error growth",
        &[
            signal(
                "errors of each module (EDAC, Redfish)",
                &[Metric("hw.errors")],
            ),
            signal(
                "errors of each controller, and those of no known module",
                &[Metric("system.memory.linux.edac.errors")],
            ),
            signal(
                "threshold interrupts and polls",
                &[Metric("system.linux.trouble_interrupts")],
            ),
            signal(
                "memory events of the BMC",
                &[Log("sel 0Ch/*"), Log("redfish *")],
            ),
            signal(
                "each error with its address (`ras:mc_event`)",
                &[NotAvailable(TRACEPOINTS), Log("kernel edac_corrected")],
            ),
        ],
    ),
    fault(
        "11",
        "Uncorrectable error, machine check",
        &[
            signal(
                "uncorrected errors of each module and each controller",
                &[
                    Metric("hw.errors"),
                    Metric("system.memory.linux.edac.errors"),
                ],
            ),
            signal(
                "machine-check messages and interrupts",
                &[
                    Log("kernel machine_check"),
                    Log("kernel firmware_error"),
                    Log("kernel edac_uncorrected"),
                    Log("kernel memory_failure"),
                    Metric("system.linux.trouble_interrupts"),
                ],
            ),
            signal(
                "taint",
                &[Metric("system.linux.kernel.taint"), Fact("os.kernel.taint")],
            ),
            signal(
                "processor and bus events of the BMC",
                &[Log("sel 07h/*"), Log("sel 13h/*")],
            ),
            signal(
                "records of the kernel that died",
                &[Metric("system.linux.kernel.crash_records")],
            ),
        ],
    ),
    fault(
        "12",
        "Memory missing or slow",
        &[
            signal(
                "size, speed, speed as set of each module",
                &[
                    Fact("hw.size"),
                    Metric("hw.memory.size"),
                    Metric("hw.clock.speed"),
                    Fact("hw.memory.speed"),
                    Fact("hw.memory.speed.configured"),
                    Fact("hw.memory.slots.used"),
                ],
            ),
            signal(
                "state of each module, memory events of the BMC",
                &[Metric("hw.status"), Log("sel 0Ch/*"), Log("redfish *")],
            ),
            signal(
                "memory that the kernel has",
                &[
                    Fact("host.memory.size"),
                    Metric("system.memory.limit"),
                    Metric("system.memory.linux.numa.usage"),
                ],
            ),
            signal(
                "bandwidth by resctrl",
                &[Metric("system.memory.linux.bandwidth.io")],
            ),
            signal(
                "bandwidth by the memory controller's own counters",
                &[NotAvailable(
                    "perf events of the uncore are opened by a system call that configures counters",
                )],
            ),
        ],
    ),
    fault(
        "13",
        "CPU clock stuck low",
        &[
            signal(
                "clock now, base, highest",
                &[
                    Metric("system.cpu.frequency"),
                    Metric("system.cpu.linux.frequency.limit"),
                    Fact("host.cpu.frequency.base"),
                    Fact("host.cpu.frequency.max"),
                ],
            ),
            signal(
                "clock delivered, by APERF and MPERF",
                &[
                    Metric("system.cpu.linux.frequency.delivered.ratio"),
                    Metric("system.cpu.linux.frequency.average"),
                ],
            ),
            signal(
                "why the clock is limited (PROCHOT)",
                &[Metric("system.cpu.linux.limited")],
            ),
            signal(
                "governor, turbo",
                &[
                    Fact("host.cpu.frequency.governor"),
                    Fact("host.cpu.turbo"),
                    Metric("system.cpu.linux.turbo"),
                ],
            ),
        ],
    ),
    fault(
        "14",
        "PCIe link down-trained or noisy",
        &[
            signal(
                "speed and width, now and at most",
                &[
                    Metric("hw.pcie.link.speed"),
                    Metric("hw.pcie.link.speed.limit"),
                    Metric("hw.pcie.link.width"),
                    Metric("hw.pcie.link.width.limit"),
                ],
            ),
            signal(
                "errors",
                &[
                    Metric("hw.pcie.errors"),
                    Metric("hw.pcie.error.causes"),
                    Metric("hw.pcie.root_port.errors"),
                    Log("kernel aer_corrected"),
                    Log("kernel aer_uncorrected"),
                    Log("kernel pcie_link_down"),
                    Log("kernel pcie_containment"),
                ],
            ),
            signal(
                "link and replays as the GPU sees them",
                &[
                    Metric("hw.pcie.link.speed"),
                    Metric("hw.pcie.link.width"),
                    Metric("hw.gpu.pcie.replay"),
                ],
            ),
            signal("bus events of the BMC", &[Log("sel 13h/*")]),
        ],
    ),
    fault(
        "15",
        "Device lost",
        &[
            signal(
                "inventory of the bus",
                &[
                    Metric("hw.pcie.devices"),
                    Fact("pci.inventory.hash"),
                    Fact("pci.id"),
                ],
            ),
            signal(
                "GPUs that the driver counts, against those on the bus; GPU lost",
                &[
                    Condition("gpu.lost"),
                    Log("kernel gpu_lost"),
                    Log("kernel xid.*"),
                ],
            ),
            signal(
                "state of NVMe controllers",
                &[
                    Metric("hw.physical_disk.nvme.state"),
                    Log("kernel nvme_down"),
                ],
            ),
            signal("driver of each device", &[Fact("hw.driver")]),
        ],
    ),
];
