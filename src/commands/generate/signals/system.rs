//! Signals of faults of networks, storage, the kernel, and what watches over all.

use super::By::{Condition, Fact, Log, Metric, NotAvailable};
use super::{Fault, fault, signal};

pub(super) static FAULTS: &[Fault] = &[
    fault(
        "21",
        "NIC link slow, flapping or erroring",
        &[
            signal(
                "state, speed, duplex, changes",
                &[
                    Metric("hw.network.up"),
                    Metric("hw.network.bandwidth.limit"),
                    Metric("hw.network.bandwidth.supported"),
                    Metric("hw.network.duplex"),
                    Metric("system.network.linux.carrier_changes"),
                    Metric("system.network.linux.carrier_losses"),
                ],
            ),
            signal(
                "errors by cause",
                &[
                    Metric("system.network.linux.faults"),
                    Metric("system.network.errors"),
                    Metric("hw.network.driver.events"),
                ],
            ),
            signal(
                "RDMA ports",
                &[
                    Metric("hw.network.rdma.state"),
                    Metric("hw.network.rdma.physical_state"),
                    Metric("hw.network.rdma.bandwidth.limit"),
                    Metric("hw.network.rdma.events"),
                    Metric("hw.network.rdma.hardware.events"),
                    Metric("hw.network.rdma.character_device"),
                ],
            ),
            signal(
                "light of optical modules",
                &[
                    Metric("hw.network.module.receive_power"),
                    Metric("hw.network.module.transmit_power"),
                ],
            ),
        ],
    ),
    fault(
        "22",
        "NVMe and SSD wear or slow",
        &[
            signal(
                "health log",
                &[
                    Metric("hw.physical_disk.nvme.warning"),
                    Metric("hw.physical_disk.endurance_utilization"),
                    Metric("hw.physical_disk.nvme.spare.ratio"),
                    Metric("hw.physical_disk.nvme.media_errors"),
                    Metric("hw.physical_disk.nvme.error_log_entries"),
                    Metric("hw.physical_disk.nvme.critical_temperature_time"),
                ],
            ),
            signal(
                "SATA attributes",
                &[
                    Metric("hw.physical_disk.smart"),
                    Metric("hw.physical_disk.smart.failing"),
                ],
            ),
            signal(
                "drive events and status of the BMC",
                &[Log("sel 0Dh/*"), Metric("hw.status")],
            ),
            signal(
                "time of requests, as a mean",
                &[
                    Metric("system.disk.operation_time"),
                    Metric("system.disk.operations"),
                    Metric("system.disk.weighted_io_time"),
                    Log("kernel nvme_timeout"),
                    Log("kernel nvme_reset"),
                ],
            ),
            signal(
                "time of the slowest requests (p99)",
                &[NotAvailable(
                    "`/proc/diskstats` adds up requests and their time: a mean of each interval, no distribution; traces that hold one are switched on by writing",
                )],
            ),
        ],
    ),
    fault(
        "23",
        "Array or file system fault",
        &[
            signal(
                "arrays",
                &[
                    Metric("system.linux.md.degraded"),
                    Metric("system.linux.md.sync"),
                ],
            ),
            signal(
                "errors and shutdowns of file systems",
                &[
                    Metric("system.filesystem.linux.errors"),
                    Log("kernel filesystem_error"),
                    Log("kernel filesystem_shutdown"),
                ],
            ),
            signal(
                "turned read-only, filling",
                &[
                    Metric("system.filesystem.linux.read_only"),
                    Metric("system.filesystem.usage"),
                    Metric("system.filesystem.inodes.usage"),
                ],
            ),
            signal("drive events of the BMC", &[Log("sel 0Dh/*")]),
        ],
    ),
    fault(
        "24",
        "Stuck tasks, lock-ups, stalls",
        &[
            signal(
                "stuck tasks and where they wait",
                &[
                    Metric("system.process.linux.stuck"),
                    Condition("kernel.tasks_stuck"),
                    Metric("system.process.linux.blocked"),
                ],
            ),
            signal(
                "oopses, warnings, lock-ups, stalls, hung tasks",
                &[Metric("system.linux.kernel.faults")],
            ),
            signal(
                "messages",
                &[
                    Log("kernel hung_task"),
                    Log("kernel soft_lockup"),
                    Log("kernel hard_lockup"),
                    Log("kernel rcu_stall"),
                    Log("kernel oops"),
                    Log("kernel panic"),
                    Metric("system.linux.kernel.messages"),
                ],
            ),
            signal(
                "pressure",
                &[
                    Metric("system.linux.pressure.time"),
                    Metric("system.linux.pressure.share"),
                ],
            ),
            signal("taint", &[Metric("system.linux.kernel.taint")]),
        ],
    ),
    fault(
        "25",
        "Time wrong",
        &[
            signal(
                "state, offset, errors of the clock",
                &[
                    Metric("system.linux.clock.state"),
                    Metric("system.linux.clock.offset"),
                    Metric("system.linux.clock.error"),
                ],
            ),
            signal(
                "clock source",
                &[
                    Metric("system.linux.clock.source"),
                    Fact("os.kernel.clocksource"),
                    Log("kernel clock_unstable"),
                ],
            ),
            signal("clock of the BMC", &[Metric("hw.bmc.clock.offset")]),
            signal(
                "hardware clocks of network cards",
                &[
                    Fact("hw.clock.name"),
                    NotAvailable(
                        "their offset is not read: `/dev/ptp*` belongs to root alone, and no collector opens it",
                    ),
                ],
            ),
        ],
    ),
    fault(
        "M1",
        "BMC sick",
        &[
            signal(
                "latency, time-outs, requests",
                &[
                    Metric("hw.bmc.response.duration"),
                    Metric("hw.bmc.requests"),
                    Condition("bmc.unresponsive"),
                ],
            ),
            signal(
                "its account and certificate",
                &[
                    Condition("bmc.login_refused"),
                    Condition("bmc.tls_unverified"),
                ],
            ),
            signal("its self test", &[Fact("hw.bmc.self_test")]),
            signal(
                "room in its log",
                &[Metric("hw.bmc.log.entries"), Metric("hw.bmc.log.limit")],
            ),
            signal(
                "events about itself and its watchdog",
                &[Log("sel 28h/*"), Log("sel 23h/*"), Log("sel 10h/*")],
            ),
        ],
    ),
    fault(
        "M2",
        "Silent reboot",
        &[
            signal(
                "another boot",
                &[
                    Fact("os.kernel.boot_id"),
                    Metric("system.linux.boot_time"),
                    Metric("system.uptime"),
                ],
            ),
            signal(
                "mark of a clean shutdown",
                &[NotAvailable(
                    "it stands in the journal and in `wtmp`, which no collector reads; another boot without it cannot be told from an orderly one",
                )],
            ),
            signal(
                "evidence",
                &[
                    Metric("system.linux.kernel.crash_records"),
                    Log("sel 09h/*"),
                    Log("sel 23h/*"),
                    Log("sel 07h/*"),
                ],
            ),
        ],
    ),
    fault(
        "M3",
        "Config drift",
        &[
            signal(
                "firmware",
                &[
                    Fact("hw.bios_version"),
                    Fact("hw.firmware_version"),
                    Fact("hw.firmware_date"),
                    Fact("host.cpu.microcode"),
                ],
            ),
            signal(
                "kernel, command line, drivers",
                &[
                    Fact("os.kernel.release"),
                    Fact("os.kernel.command_line"),
                    Fact("hw.driver_version"),
                ],
            ),
            signal(
                "governor, boost, SMT, NUMA, huge pages, mitigations",
                &[
                    Fact("host.cpu.frequency.governor"),
                    Fact("host.cpu.turbo"),
                    Fact("host.cpu.smt"),
                    Fact("host.numa.nodes_per_package"),
                    Fact("os.kernel.transparent_hugepage"),
                    Fact("host.cpu.vulnerability"),
                    Fact("os.kernel.sysctl"),
                ],
            ),
            signal(
                "ECC, MIG, persistence of GPUs",
                &[
                    Fact("hw.gpu.ecc.mode"),
                    Fact("hw.gpu.mig.mode"),
                    Fact("hw.gpu.persistence.mode"),
                ],
            ),
            signal(
                "settings of the BIOS beyond what the kernel sees",
                &[NotAvailable(
                    "attributes of the BIOS differ by maker, and their resource is not among the requests that may be sent",
                )],
            ),
        ],
    ),
    fault(
        "M4",
        "Lemon score",
        &[signal(
            "made of the others",
            &[Log("sel *"), Log("kernel *"), Log("gpu *")],
        )],
    ),
    fault(
        "M5",
        "Collector health",
        &[
            signal(
                "latency, errors, what was refused, restarts of workers, silence; the tool `telemetry_health` says last good run and quality",
                &[
                    Metric("glasshouse.collector.duration"),
                    Metric("glasshouse.collector.failures"),
                    Metric("glasshouse.collector.refused"),
                    Metric("glasshouse.worker.starts"),
                    Condition("collector.stalled"),
                    Condition("probe.silent"),
                ],
            ),
            signal(
                "what the store has no room for, and series beyond those that there may be, by collector",
                &[
                    Metric("glasshouse.store.size"),
                    Metric("glasshouse.store.refusals"),
                    Metric("glasshouse.store.series_refused"),
                    Condition("store.full"),
                    Condition("store.series_refused"),
                ],
            ),
            signal(
                "samples that a receiver of remote write does not take",
                &[
                    Condition("remote_write.behind"),
                    Condition("remote_write.refused"),
                    Condition("remote_write.stopped"),
                ],
            ),
        ],
    ),
    fault(
        "M6",
        "Silent data corruption",
        &[signal(
            "checks of workloads",
            &[NotAvailable(
                "needs a hook in the workload; nothing on the machine says so by itself",
            )],
        )],
    ),
];
