//! Definitions of metrics: what NVIDIA's and AMD's GPUs both say has one meaning, and what other families define too has
//! the same text here as there.

use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};

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

const ID: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "A name that is unique on the machine and survives reboots.",
};
const NAME: LabelDefinition = LabelDefinition {
    key: "hw.name",
    help: "What the sensor is called: its own label where it has one.",
};
const PARENT: LabelDefinition = LabelDefinition {
    key: "hw.parent",
    help: "The part that the sensor belongs to.",
};
const TYPE: LabelDefinition = LabelDefinition {
    key: "hw.type",
    help: "What kind of part it is, e.g. `cpu`, `memory`, `power_supply`, `enclosure`; `other` where nothing says.",
};
const LIMIT_TYPE: LabelDefinition = LabelDefinition {
    key: "hw.limit_type",
    help: "Which limit, e.g. `high.critical`, `high.degraded`, `long_term`.",
};

/// A GPU, by its PCI address.
const GPU: LabelDefinition = LabelDefinition {
    key: "hw.id",
    help: "The GPU, by its PCI address.",
};

const fn label(key: &'static str, help: &'static str) -> LabelDefinition {
    LabelDefinition { key, help }
}

const SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT];
const TYPED_SENSOR: &[LabelDefinition] = &[ID, NAME, PARENT, TYPE];
const LIMIT: &[LabelDefinition] = &[ID, NAME, PARENT, LIMIT_TYPE];

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

/// Names, unit, texts and source of a gauge for operators; the rest is changed where it differs.
const fn gauge(
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
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help,
        is_not,
        labels,
        source,
        audience: Audience::Operator,
    }
}

const fn whole(definition: &MetricDefinition) -> MetricDefinition {
    MetricDefinition {
        value: ValueType::U64,
        ..*definition
    }
}

const fn counter(definition: &MetricDefinition) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::Counter,
        ..*definition
    }
}

const fn amount(definition: &MetricDefinition) -> MetricDefinition {
    MetricDefinition {
        kind: MetricKind::UpDownCounter,
        ..whole(definition)
    }
}

const fn state(definition: &MetricDefinition, states: &'static [&'static str]) -> MetricDefinition {
    MetricDefinition {
        unit: "{state}",
        value: ValueType::State(states),
        ..*definition
    }
}

const fn for_performance(definition: &MetricDefinition) -> MetricDefinition {
    MetricDefinition {
        audience: Audience::Performance,
        ..*definition
    }
}

// shared with the power family, word for word

pub(crate) const TEMPERATURE: MetricDefinition = gauge(
    "hw.temperature",
    "Cel",
    "Temperature that a sensor shows.",
    "Not always a true temperature: some sensors (AMD's Tctl) show an offset scale for fans.",
    SENSOR,
    "/sys/class/hwmon/*/temp*_input, /sys/class/thermal/thermal_zone*/temp",
);

pub(crate) const TEMPERATURE_LIMIT: MetricDefinition = gauge(
    "hw.temperature.limit",
    "Cel",
    "Temperature at which the part degrades or is in danger, as the driver says.",
    "Not read each time: limits are looked up again every few minutes.",
    LIMIT,
    "/sys/class/hwmon/*/temp*_{max,crit,emergency}",
);

pub(crate) const POWER: MetricDefinition = gauge(
    "hw.power",
    "W",
    "Power that a sensor shows, averaged by the sensor where it can.",
    "Not the power of the machine: it is what passes this sensor.",
    TYPED_SENSOR,
    "/sys/class/hwmon/*/power*_{average,input}",
);

pub(crate) const POWER_INSTANT: MetricDefinition = gauge(
    "hw.power.instant",
    "W",
    "Power at the instant of the reading, where the sensor tells an average as well.",
    "Not an average: `hw.power` of the same sensor is.",
    TYPED_SENSOR,
    "/sys/class/hwmon/*/power*_input beside power*_average",
);

pub(crate) const POWER_LIMIT: MetricDefinition = gauge(
    "hw.power.limit",
    "W",
    "Power that the part may draw, by kind of limit; `rated` ones are what its maker allows at most.",
    "Not what it draws, and not read each time: limits are looked up every few runs.",
    LIMIT,
    "/sys/class/powercap/*/constraint_*_power_limit_uw, /sys/class/hwmon/*/power*_cap",
);

pub(crate) const FAN_DUTY: MetricDefinition = gauge(
    "hw.fan.duty.ratio",
    "1",
    "How hard a fan is driven, from 0 to 1.",
    "Not its speed: a worn or blocked fan turns slower at the same duty.",
    SENSOR,
    "/sys/class/hwmon/*/pwm*",
);

pub(crate) const ENERGY: MetricDefinition = counter(&gauge(
    "hw.energy",
    "J",
    "Energy that the part used since the count began; its rate is the power.",
    "Not since boot: powercap's is counted from the first reading of the collector on, a chip's by the chip.",
    TYPED_SENSOR,
    "/sys/class/powercap/*/energy_uj, /sys/class/hwmon/*/energy*_input",
));

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

pub(crate) const MEMORY_USAGE: MetricDefinition = amount(&gauge(
    "hw.gpu.memory.usage",
    "By",
    "Memory of the GPU that is allocated.",
    "Not what processes see: what the driver reserves for itself is left out where it says so.",
    ONE,
    "nvmlDeviceGetMemoryInfo_v2, /sys/class/drm/card*/device/mem_info_vram_used",
));

pub(crate) const MEMORY_LIMIT: MetricDefinition = amount(&gauge(
    "hw.gpu.memory.limit",
    "By",
    "Memory of the GPU.",
    "Not what can be allocated: the driver keeps some, and error correction may cost some.",
    ONE,
    "nvmlDeviceGetMemoryInfo_v2, /sys/class/drm/card*/device/mem_info_vram_total",
));

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

pub(crate) const CLOCK_REASON: MetricDefinition = state(
    &gauge(
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
    ),
    &["inactive", "active"],
);

pub(crate) const PCIE_GENERATION: MetricDefinition = whole(&gauge(
    "hw.gpu.pcie.generation",
    "{generation}",
    "Generation at which the GPU's PCIe link runs right now.",
    "Not a fault below the limit: idle GPUs run their link slower on purpose.",
    ONE,
    "nvmlDeviceGetCurrPcieLinkGeneration, /sys/class/drm/card*/device/current_link_speed",
));

pub(crate) const PCIE_GENERATION_LIMIT: MetricDefinition = whole(&gauge(
    "hw.gpu.pcie.generation.limit",
    "{generation}",
    "Highest generation of the PCIe link that GPU and machine both can.",
    "Not what the GPU alone can: the slot counts too.",
    ONE,
    "nvmlDeviceGetMaxPcieLinkGeneration, /sys/class/drm/card*/device/max_link_speed",
));

pub(crate) const PCIE_WIDTH: MetricDefinition = whole(&gauge(
    "hw.gpu.pcie.width",
    "{lane}",
    "Lanes of the GPU's PCIe link right now.",
    "Not saved at idle: below the limit, a lane is lost.",
    ONE,
    "nvmlDeviceGetCurrPcieLinkWidth, /sys/class/drm/card*/device/current_link_width",
));

pub(crate) const PCIE_WIDTH_LIMIT: MetricDefinition = whole(&gauge(
    "hw.gpu.pcie.width.limit",
    "{lane}",
    "Most lanes of the PCIe link that GPU and slot both have.",
    "Not what the GPU alone has where the driver looks at the slot too.",
    ONE,
    "nvmlDeviceGetMaxPcieLinkWidth, /sys/class/drm/card*/device/max_link_width",
));

pub(crate) const PCIE_REPLAY: MetricDefinition = counter(&whole(&gauge(
    "hw.gpu.pcie.replay",
    "{replay}",
    "Packets that the GPU's PCIe link had to send again.",
    "Not lost data: each was sent again; but a steady rate is a bad link.",
    ONE,
    "nvmlDeviceGetPcieReplayCounter, /sys/class/drm/card*/device/pcie_replay_count",
)));

pub(crate) const ECC_ERRORS: MetricDefinition = counter(&whole(&gauge(
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
)));

// AMD alone

pub(crate) const SHARED_USAGE: MetricDefinition = for_performance(&amount(&gauge(
    "hw.gpu.memory.shared.usage",
    "By",
    "Memory of the machine that the GPU has mapped.",
    "Not memory of the GPU.",
    ONE,
    "/sys/class/drm/card*/device/mem_info_gtt_used",
)));

pub(crate) const SHARED_LIMIT: MetricDefinition = for_performance(&amount(&gauge(
    "hw.gpu.memory.shared.limit",
    "By",
    "Memory of the machine that the GPU may map at most.",
    "Not memory of the GPU, and not reserved for it.",
    ONE,
    "/sys/class/drm/card*/device/mem_info_gtt_total",
)));
