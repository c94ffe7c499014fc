//! Definitions of metrics: what NVIDIA's and AMD's GPUs both say has one meaning; what other families say too is
//! defined in [`glasshouse_core::hardware`].

use glasshouse_core::hardware;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, gauge};

mod nvidia;

/// Makes the list of a collector and a name for each of its entries.
macro_rules! metric_list {
    ($list:ident: $($name:ident),+ $(,)?) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "the names of the definitions")]
        #[derive(Clone, Copy)]
        enum Place { $($name),+ }
        pub(crate) static $list: [glasshouse_core::metric::MetricDefinition; [$(Place::$name),+].len()] =
            [$(crate::metrics::$name),+];
        $(pub(crate) static $name: &glasshouse_core::metric::MetricDefinition = &$list[Place::$name as usize];)+
    };
}
pub(crate) use metric_list;
pub(crate) use nvidia::*;

/// A GPU, by its PCI address.
const GPU: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "The GPU, by its PCI address.",
};

const fn label(key: &'static str, help: &'static str) -> LabelDefinition {
    LabelDefinition { key, help }
}

const ONE: &[LabelDefinition] = &[GPU];
const BY_CLOCK: &[LabelDefinition] = &[
    GPU,
    label(
        "hw.gpu.clock",
        "Which clock: `graphics`, `sm`, `memory`, `video`, `soc`.",
    ),
];
const BY_DIRECTION: &[LabelDefinition] = &[
    GPU,
    label(
        "network.io.direction",
        "`receive` or `transmit`, as the GPU sees it.",
    ),
];

// shared with other families: what the library says

pub(crate) const TEMPERATURE: MetricDefinition =
    hardware::temperature("nvmlDeviceGetTemperatureV, nvmlDeviceGetFieldValues 82");

pub(crate) const TEMPERATURE_LIMIT: MetricDefinition =
    hardware::temperature_limit("nvmlDeviceGetTemperatureThreshold");

pub(crate) const POWER: MetricDefinition =
    hardware::power("nvmlDeviceGetFieldValues 185, nvmlDeviceGetPowerUsage");

pub(crate) const POWER_INSTANT: MetricDefinition =
    hardware::power_instant("nvmlDeviceGetFieldValues 186");

pub(crate) const POWER_LIMIT: MetricDefinition = hardware::power_limit(
    "nvmlDeviceGet{EnforcedPowerLimit,PowerManagementLimit,PowerManagementDefaultLimit,PowerManagementLimitConstraints}",
);

pub(crate) const FAN_DUTY: MetricDefinition = hardware::fan_duty("nvmlDeviceGetFanSpeed_v2");

pub(crate) const ENERGY: MetricDefinition = hardware::energy("nvmlDeviceGetTotalEnergyConsumption");

// NVIDIA and AMD

pub(crate) const UTILIZATION: MetricDefinition = gauge(
    "hw.gpu.utilization",
    "1",
    "Share of the driver's sample period in which the engines of this task did anything, from 0 to 1.",
    "Not how much of the GPU was in use: one small kernel at a time is full utilization.",
    &[
        GPU,
        label("hw.gpu.task", "`general`, `encoder`, `decoder`."),
    ],
    "nvmlDeviceGet{Utilization,Encoder,Decoder}*, /sys/class/drm/card*/device/gpu_busy_percent",
);

pub(crate) const MEMORY_ACTIVITY: MetricDefinition = gauge(
    "hw.gpu.memory.io.utilization",
    "1",
    "Share of the driver's sample period in which the GPU's memory was read or written, from 0 to 1.",
    "Not how full the memory is, and not its bandwidth.",
    ONE,
    "nvmlDeviceGetUtilizationRates, /sys/class/drm/card*/device/mem_busy_percent",
);

pub(crate) const MEMORY_USAGE: MetricDefinition = gauge(
    "hw.gpu.memory.usage",
    "By",
    "Memory of the GPU that is allocated.",
    "Not what processes see: what the driver reserves for itself is left out where it says so.",
    ONE,
    "nvmlDeviceGetMemoryInfo_v2, /sys/class/drm/card*/device/mem_info_vram_used",
)
.amount();

pub(crate) const MEMORY_LIMIT: MetricDefinition = gauge(
    "hw.gpu.memory.limit",
    "By",
    "Memory of the GPU.",
    "Not what can be allocated: the driver keeps some, and error correction may cost some.",
    ONE,
    "nvmlDeviceGetMemoryInfo_v2, /sys/class/drm/card*/device/mem_info_vram_total",
)
.amount();

pub(crate) const MEMORY_UTILIZATION: MetricDefinition = gauge(
    "hw.gpu.memory.utilization",
    "1",
    "Share of the GPU's memory that is allocated, from 0 to 1.",
    "Not how busy the memory is: `hw.gpu.memory.io.utilization` is.",
    ONE,
    "nvmlDeviceGetMemoryInfo_v2, /sys/class/drm/card*/device/mem_info_vram_*",
);

pub(crate) const CLOCK_SPEED: MetricDefinition = gauge(
    "hw.gpu.clock.speed",
    "Hz",
    "Speed of a clock of the GPU right now.",
    "Not an average: between two readings it may have been anything.",
    BY_CLOCK,
    "nvmlDeviceGetClockInfo, /sys/class/drm/card*/device/pp_dpm_*",
);

pub(crate) const CLOCK_LIMIT: MetricDefinition = gauge(
    "hw.gpu.clock.speed.limit",
    "Hz",
    "Highest speed of a clock of the GPU.",
    "Not promised: power and heat decide whether it is reached.",
    BY_CLOCK,
    "nvmlDeviceGetMaxClockInfo, /sys/class/drm/card*/device/pp_dpm_*",
);

pub(crate) const CLOCK_REASON: MetricDefinition = gauge(
    "hw.gpu.clock.event",
    "{state}",
    "Whether this is a reason for which the clocks are below their highest right now.",
    "Not each a fault: `idle` is none, and `sw_power_cap` is usual at full load.",
    &[
        GPU,
        label(
            "hw.gpu.clock.reason",
            "Which reason, e.g. `idle`, `sw_power_cap`, `hw_thermal`, `hw_power_brake`.",
        ),
    ],
    "nvmlDeviceGetCurrentClocksEventReasons, /sys/class/drm/card*/device/gpu_metrics",
)
.of_states(&["inactive", "active"]);

pub(crate) const PCIE_REPLAY: MetricDefinition = gauge(
    "hw.gpu.pcie.replay",
    "{replay}",
    "Packets that the GPU's PCIe link had to send again.",
    "Not lost data: each was sent again; but a steady rate is a bad link.",
    ONE,
    "nvmlDeviceGetPcieReplayCounter, /sys/class/drm/card*/device/pcie_replay_count",
)
.whole()
.counted();

pub(crate) const ECC_ERRORS: MetricDefinition = gauge(
    "hw.gpu.ecc.errors",
    "{error}",
    "Memory errors of the GPU that error correction found, by kind, span and place.",
    "Not to be added over places: `all` is their sum, and `aggregate` holds `volatile` too.",
    &[
        GPU,
        label("hw.gpu.ecc.error", "`corrected` or `uncorrected`."),
        label(
            "hw.gpu.ecc.span",
            "`volatile`: since the driver was loaded; `aggregate`: over the life of the GPU.",
        ),
        label(
            "hw.gpu.ecc.place",
            "`all`, or where: `dram`, `sram`, `l1`, `l2`, `register_file`, a block of the GPU.",
        ),
    ],
    "nvmlDeviceGet{TotalEccErrors,MemoryErrorCounter}, /sys/class/drm/card*/device/ras/*_err_count",
)
.whole()
.counted();

// AMD alone

pub(crate) const SHARED_USAGE: MetricDefinition = gauge(
    "hw.gpu.memory.shared.usage",
    "By",
    "Memory of the machine that the GPU has mapped.",
    "Not memory of the GPU.",
    ONE,
    "/sys/class/drm/card*/device/mem_info_gtt_used",
)
.amount()
.for_performance();

pub(crate) const SHARED_LIMIT: MetricDefinition = gauge(
    "hw.gpu.memory.shared.limit",
    "By",
    "Memory of the machine that the GPU may map at most.",
    "Not memory of the GPU, and not reserved for it.",
    ONE,
    "/sys/class/drm/card*/device/mem_info_gtt_total",
)
.amount()
.for_performance();
