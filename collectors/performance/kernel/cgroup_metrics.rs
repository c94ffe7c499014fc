//! What the numbers of control groups mean.

use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};

use crate::labels::{DEVICE, DISK_DIRECTION};

const GROUP: LabelDefinition = LabelDefinition {
    key: "linux.cgroup.name",
    help: "The path of the group below the root of all, as whoever made it named it.",
};
const ALONE: &[LabelDefinition] = &[GROUP];

const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Counter,
        value: ValueType::U64,
        help,
        is_not,
        labels,
        source,
        audience: Audience::Operator,
    }
}

const fn usage(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..counter(name, unit, help, is_not, ALONE, source)
    }
}

pub(super) static METRICS: [MetricDefinition; 13] = [
    MetricDefinition {
        value: ValueType::F64,
        ..counter(
            "system.linux.cgroup.cpu.time",
            "s",
            "Seconds of processor time that the group and those below it used.",
            "Not utilization: its rate is. Time of guests is in `user`.",
            &[
                GROUP,
                LabelDefinition {
                    key: "cpu.mode",
                    help: "One of `user`, `system`.",
                },
            ],
            "/sys/fs/cgroup/**/cpu.stat",
        )
    },
    MetricDefinition {
        value: ValueType::F64,
        ..counter(
            "system.linux.cgroup.cpu.throttled.time",
            "s",
            "Seconds that the group's tasks together were held back by its own limit of processor time.",
            "Not heat: nothing is wrong with the processor. And not there without a limit.",
            ALONE,
            "/sys/fs/cgroup/**/cpu.stat",
        )
    },
    counter(
        "system.linux.cgroup.cpu.throttled.periods",
        "{period}",
        "Periods in which the group reached its limit of processor time.",
        "Not how long it was held back.",
        ALONE,
        "/sys/fs/cgroup/**/cpu.stat",
    ),
    usage(
        "system.linux.cgroup.memory.usage",
        "By",
        "Memory that the group and those below it have, caches of their files included.",
        "Not what their programs need: caches can be had back.",
        "/sys/fs/cgroup/**/memory.current",
    ),
    MetricDefinition {
        kind: MetricKind::Gauge,
        ..usage(
            "system.linux.cgroup.memory.peak",
            "By",
            "The most memory that the group ever had.",
            "Not since the last reading but since the group was made.",
            "/sys/fs/cgroup/**/memory.peak",
        )
    },
    usage(
        "system.linux.cgroup.memory.limit",
        "By",
        "Memory that the group may have; above it processes are killed.",
        "Not there where nobody set one; a group above may have a lower one.",
        "/sys/fs/cgroup/**/memory.max",
    ),
    usage(
        "system.linux.cgroup.memory.swap.usage",
        "By",
        "Swap space that the group and those below it use.",
        "Not swapping: space may be in use since long ago.",
        "/sys/fs/cgroup/**/memory.swap.current",
    ),
    counter(
        "system.linux.cgroup.memory.events",
        "{event}",
        "Times that memory was short in the group or below it.",
        "Not all kills: the kernel also kills where the whole machine runs out.",
        &[
            GROUP,
            LabelDefinition {
                key: "linux.cgroup.memory.event",
                help: "`low` reclaimed although protected, `high` slowed down, `max` at its limit, `oom` out of memory, `oom_kill` a process killed.",
            },
        ],
        "/sys/fs/cgroup/**/memory.events",
    ),
    counter(
        "system.linux.cgroup.io",
        "By",
        "Bytes that the group and those below it read from and wrote to each device.",
        "Not what programs read and wrote: caches stand between. Late writing may count elsewhere.",
        &[GROUP, DEVICE, DISK_DIRECTION],
        "/sys/fs/cgroup/**/io.stat",
    ),
    counter(
        "system.linux.cgroup.operations",
        "{operation}",
        "Operations by which the group and those below it read from and wrote to each device.",
        "Not requests of programs, which the kernel splits and merges.",
        &[GROUP, DEVICE, DISK_DIRECTION],
        "/sys/fs/cgroup/**/io.stat",
    ),
    MetricDefinition {
        value: ValueType::F64,
        ..counter(
            "system.linux.cgroup.pressure.time",
            "s",
            "Seconds in which tasks of the group waited for the resource.",
            "Not the sum over tasks: a second in which ten tasks wait is one second.",
            &[
                GROUP,
                LabelDefinition {
                    key: "linux.pressure.resource",
                    help: "What was waited for: `cpu`, `memory`, `io`.",
                },
                LabelDefinition {
                    key: "linux.pressure.scope",
                    help: "Whether `some` task waited, or the `full` set of tasks that were not idle.",
                },
            ],
            "/sys/fs/cgroup/**/{cpu,memory,io}.pressure",
        )
    },
    usage(
        "system.linux.cgroup.threads",
        "{thread}",
        "Processes and threads in the group and those below it.",
        "Not threads that run: most sleep.",
        "/sys/fs/cgroup/**/pids.current",
    ),
    MetricDefinition {
        kind: MetricKind::Gauge,
        labels: &[],
        audience: Audience::Glasshouse,
        ..usage(
            "system.linux.cgroup.left_out",
            "{group}",
            "Groups that were not read because there are more than `most` allows.",
            "Not groups below the depth that is read.",
            "/sys/fs/cgroup",
        )
    },
];
pub(super) static CPU_TIME: &MetricDefinition = &METRICS[0];
pub(super) static THROTTLED_TIME: &MetricDefinition = &METRICS[1];
pub(super) static THROTTLED_PERIODS: &MetricDefinition = &METRICS[2];
pub(super) static LIMIT: &MetricDefinition = &METRICS[5];
pub(super) static MEMORY_EVENTS: &MetricDefinition = &METRICS[7];
pub(super) static IO: &MetricDefinition = &METRICS[8];
pub(super) static OPERATIONS: &MetricDefinition = &METRICS[9];
pub(super) static PRESSURE: &MetricDefinition = &METRICS[10];
pub(super) static LEFT_OUT: &MetricDefinition = &METRICS[12];
