//! Signals of faults of GPUs.

use super::By::{Condition, Log, Metric, NotAvailable};
use super::{Fault, fault, signal};

const UNIT_STATES: &str =
    "whether a unit failed or restarts is said on a message bus alone, which no collector asks";

pub(super) static FAULTS: &[Fault] = &[
    fault(
        "16",
        "XID",
        &[
            signal(
                "events of the driver and of the kernel's log",
                &[Metric("hw.gpu.xid"), Log("gpu xid.*"), Log("kernel xid.*")],
            ),
            signal("recovery action", &[Metric("hw.gpu.recovery.action")]),
        ],
    ),
    fault(
        "17",
        "GPU memory degrading",
        &[
            signal("errors by place and span", &[Metric("hw.gpu.ecc.errors")]),
            signal(
                "rows remapped, pending, failed, spares",
                &[
                    Metric("hw.gpu.remapped_rows"),
                    Metric("hw.gpu.remapped_rows.pending"),
                    Metric("hw.gpu.remapped_rows.failure"),
                    Metric("hw.gpu.remapped_rows.banks"),
                ],
            ),
            signal(
                "retired pages",
                &[
                    Metric("hw.gpu.retired_pages"),
                    Metric("hw.gpu.retired_pages.pending"),
                ],
            ),
        ],
    ),
    fault(
        "18",
        "GPU driver wedged",
        &[
            signal("missed deadline", &[Condition("gpu.driver_wedged")]),
            signal(
                "refusals of the driver",
                &[
                    Condition("gpu.reset_required"),
                    Condition("gpu.driver_mismatch"),
                ],
            ),
            signal(
                "stuck tasks",
                &[
                    Metric("system.process.linux.stuck"),
                    Condition("kernel.tasks_stuck"),
                ],
            ),
            signal(
                "messages",
                &[
                    Log("kernel gpu_firmware_timeout"),
                    Log("kernel gpu_hang"),
                    Log("kernel gpu_reset"),
                ],
            ),
            signal("recovery action", &[Metric("hw.gpu.recovery.action")]),
        ],
    ),
    fault(
        "19",
        "NVLink, fabric",
        &[
            signal(
                "state, speed, errors of links",
                &[
                    Metric("hw.gpu.nvlink.state"),
                    Metric("hw.gpu.nvlink.speed"),
                    Metric("hw.gpu.nvlink.errors"),
                ],
            ),
            signal(
                "state and health of the fabric",
                &[
                    Metric("hw.gpu.fabric.state"),
                    Metric("hw.gpu.fabric.status"),
                    Metric("hw.gpu.fabric.health"),
                ],
            ),
            signal(
                "services `nvidia-fabricmanager`, `nvidia-imex`: a control group with threads is one that runs, once `services` is on in `[collectors.cgroup]`",
                &[
                    Metric("system.linux.cgroup.threads"),
                    NotAvailable(UNIT_STATES),
                ],
            ),
            signal("messages of switches", &[Log("kernel sxid.*")]),
        ],
    ),
    fault(
        "20",
        "GPU slow but healthy",
        &[
            signal(
                "clock, utilization, power",
                &[
                    Metric("hw.gpu.clock.speed"),
                    Metric("hw.gpu.utilization"),
                    Metric("hw.power"),
                ],
            ),
            signal(
                "share of multiprocessors that work (GPM)",
                &[NotAvailable(
                    "profiling samples of the GPU are made by calls that allocate in the driver, which is no getter",
                )],
            ),
        ],
    ),
];
