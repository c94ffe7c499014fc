//! What NVIDIA's GPUs alone say.

use glasshouse_core::hardware::LIMIT;
use glasshouse_core::metric::{LabelDefinition, MetricDefinition, gauge};

use super::{BY_DIRECTION, GPU, ONE, label};

const BY_LINK: &[LabelDefinition] = &[GPU, label("hw.gpu.link", "Number of the link on its GPU.")];

pub(crate) const PERFORMANCE_STATE: MetricDefinition = gauge(
    "hw.gpu.performance.state",
    "{pstate}",
    "Performance state: 0 is the fastest, 15 the slowest.",
    "Not how fast it runs: the clocks within a state vary.",
    ONE,
    "nvmlDeviceGetPerformanceState",
)
.whole()
.for_performance();

pub(crate) const MARGIN: MetricDefinition = gauge(
    "hw.gpu.temperature.margin",
    "Cel",
    "Degrees until the GPU begins to slow down for heat, as it computes itself over all its sensors.",
    "Not a temperature: it falls as the GPU warms, and is negative when it is too hot.",
    ONE,
    "nvmlDeviceGetMarginTemperature",
);

pub(crate) const MARGIN_LIMIT: MetricDefinition = gauge(
    "hw.gpu.temperature.margin.limit",
    "Cel",
    "Margin below which the GPU acts against heat.",
    "Not a temperature: compare it with `hw.gpu.temperature.margin`.",
    LIMIT,
    "nvmlDeviceGetFieldValues 193-196 (T.Limit)",
);

pub(crate) const VIOLATION: MetricDefinition = gauge(
    "hw.gpu.clock.violation.time",
    "s",
    "Time for which a limit held the clocks down.",
    "Not to be added over reasons: several may hold at once.",
    &[
        GPU,
        label(
            "hw.gpu.clock.policy",
            "Which limit: `power`, `thermal`, `sync_boost`, `board`, `low_utilization`, `reliability`, `application_clocks`, `base_clocks`.",
        ),
    ],
    "nvmlDeviceGetViolationStatus",
).counted();

pub(crate) const BAR1_USAGE: MetricDefinition = gauge(
    "hw.gpu.bar1.usage",
    "By",
    "Window through which the processor and other devices reach the GPU's memory: the part in use.",
    "Not memory of its own: it shows what lies in the GPU's memory.",
    ONE,
    "nvmlDeviceGetBAR1MemoryInfo",
)
.amount()
.for_performance();

pub(crate) const BAR1_LIMIT: MetricDefinition = gauge(
    "hw.gpu.bar1.limit",
    "By",
    "Size of the window through which the GPU's memory is reached.",
    "Not memory of its own: it shows what lies in the GPU's memory.",
    ONE,
    "nvmlDeviceGetBAR1MemoryInfo",
)
.amount()
.for_performance();

pub(crate) const REMAPPED_ROWS: MetricDefinition = gauge(
    "hw.gpu.remapped_rows",
    "{row}",
    "Rows of memory that were replaced by spare ones, by the kind of error that led to it.",
    "Not errors of now: a replaced row does no harm, but spares run out.",
    &[
        GPU,
        label("hw.gpu.ecc.error", "`corrected` or `uncorrected`."),
    ],
    "nvmlDeviceGetRemappedRows",
)
.whole()
.counted();

pub(crate) const REMAP_PENDING: MetricDefinition = gauge(
    "hw.gpu.remapped_rows.pending",
    "{state}",
    "Whether rows wait for a reset of the GPU to be replaced.",
    "Not a fault that spreads: the driver keeps the rows out of use meanwhile.",
    ONE,
    "nvmlDeviceGetRemappedRows",
)
.of_states(&["no", "yes"]);

pub(crate) const REMAP_FAILURE: MetricDefinition = gauge(
    "hw.gpu.remapped_rows.failure",
    "{state}",
    "Whether a row could not be replaced, now or in the past.",
    "Not cured by a reset: the GPU is to be replaced.",
    ONE,
    "nvmlDeviceGetRemappedRows",
)
.of_states(&["no", "yes"]);

pub(crate) const REMAP_BANKS: MetricDefinition = gauge(
    "hw.gpu.remapped_rows.banks",
    "{bank}",
    "Banks of memory by how many spare rows they have left.",
    "Not a count of errors: `maximum` falls as spares are used.",
    &[
        GPU,
        label(
            "hw.gpu.spares",
            "How many spare rows are left: `maximum`, `high`, `partial`, `low`, `none`.",
        ),
    ],
    "nvmlDeviceGetRowRemapperHistogram",
)
.whole();

pub(crate) const RETIRED_PAGES: MetricDefinition = gauge(
    "hw.gpu.retired_pages",
    "{page}",
    "Pages of memory that are no longer used, by the kind of error that led to it.",
    "Not on GPUs from Ampere on: those replace rows.",
    &[
        GPU,
        label(
            "hw.gpu.ecc.error",
            "`corrected` (several single-bit errors) or `uncorrected` (a double-bit error).",
        ),
    ],
    "nvmlDeviceGetRetiredPages",
)
.whole()
.counted();

pub(crate) const RETIREMENT_PENDING: MetricDefinition = gauge(
    "hw.gpu.retired_pages.pending",
    "{state}",
    "Whether pages wait for a restart to be retired.",
    "Not harmless until then: they are still in use.",
    ONE,
    "nvmlDeviceGetRetiredPagesPendingStatus",
)
.of_states(&["no", "yes"]);

pub(crate) const IO: MetricDefinition = gauge(
    "hw.gpu.io",
    "By",
    "Bytes that passed the GPU's PCIe link.",
    "Not what passed NVLink; and the hardware's count wraps.",
    BY_DIRECTION,
    "nvmlDeviceGetFieldValues 197, 198",
)
.whole()
.counted();

pub(crate) const IO_RATE: MetricDefinition = gauge(
    "hw.gpu.io.rate",
    "By/s",
    "What passed the GPU's PCIe link within 20 milliseconds, as a rate; on GPUs that do not count bytes.",
    "Not an average over the interval: a glimpse, and asking for it takes that long.",
    BY_DIRECTION,
    "nvmlDeviceGetPcieThroughput",
).for_performance();

pub(crate) const PCIE_ERRORS: MetricDefinition = gauge(
    "hw.gpu.pcie.errors",
    "{error}",
    "Errors of the GPU's PCIe link, by kind.",
    "Not all of them lost data: corrected ones were repaired by the link.",
    &[
        GPU,
        label(
            "error.type",
            "`correctable`, `nonfatal`, `fatal`, `receiver`, `bad_tlp`, `bad_dllp`, `lcrc`, `lane`, `unsupported_request`, `naks_received`, `naks_sent`.",
        ),
    ],
    "nvmlDeviceGetFieldValues 173-183",
).whole().counted();

pub(crate) const LINK_STATE: MetricDefinition = gauge(
    "hw.gpu.nvlink.state",
    "{state}",
    "Whether a link is up.",
    "Not a fault where nothing is plugged: compare with the other GPUs of the machine.",
    BY_LINK,
    "nvmlDeviceGetNvLinkState",
)
.of_states(&["inactive", "active"]);

pub(crate) const LINK_SPEED: MetricDefinition = gauge(
    "hw.gpu.nvlink.speed",
    "By/s",
    "Speed of a link in one direction.",
    "Not what passes: it is what could.",
    BY_LINK,
    "nvmlDeviceGetFieldValues 164",
);

pub(crate) const LINK_ERRORS: MetricDefinition = gauge(
    "hw.gpu.nvlink.errors",
    "{error}",
    "Errors of a link, by kind.",
    "Not lost data: replays and recoveries repaired it; each recovery stopped the link for a moment.",
    &[
        GPU,
        label("hw.gpu.link", "Number of the link on its GPU."),
        label(
            "error.type",
            "`replay`, `recovery`, `crc`, or on older GPUs `crc_flit`, `crc_data`.",
        ),
    ],
    "nvmlDeviceGetFieldValues 161-163, nvmlDeviceGetNvLinkErrorCounter",
).whole().counted();

pub(crate) const LINK_IO: MetricDefinition = gauge(
    "hw.gpu.nvlink.io",
    "By",
    "Bytes of payload that passed all links of the GPU.",
    "Not what passed PCIe.",
    BY_DIRECTION,
    "nvmlDeviceGetFieldValues 138, 139",
)
.whole()
.counted();

pub(crate) const FABRIC_STATE: MetricDefinition = gauge(
    "hw.gpu.fabric.state",
    "{state}",
    "How far the GPU's registration with the NVLink fabric is.",
    "Not needed on machines without NVSwitch.",
    ONE,
    "nvmlDeviceGetGpuFabricInfoV",
)
.of_states(&["not_supported", "not_started", "in_progress", "completed"]);

pub(crate) const FABRIC_STATUS: MetricDefinition = gauge(
    "hw.gpu.fabric.status",
    "{code}",
    "How the registration with the fabric ended, as a return code of the library: 0 is success.",
    "Not meaningful before the registration is completed.",
    ONE,
    "nvmlDeviceGetGpuFabricInfoV",
)
.whole();

pub(crate) const FABRIC_HEALTH: MetricDefinition = gauge(
    "hw.gpu.fabric.health",
    "{state}",
    "Health of the GPU's part of the fabric, by aspect.",
    "Not a state of the links: `hw.gpu.nvlink.state` is.",
    &[
        GPU,
        label(
            "hw.gpu.fabric.aspect",
            "`bandwidth`, `route_recovery`, `route`, `access_timeout_recovery`, `configuration`.",
        ),
    ],
    "nvmlDeviceGetGpuFabricInfoV",
)
.of_states(&["not_supported", "good", "bad"]);

pub(crate) const FABRIC_SUMMARY: MetricDefinition = gauge(
    "hw.gpu.fabric.health.summary",
    "{state}",
    "Health of the GPU's part of the fabric as a whole.",
    "Not told by drivers before 570.",
    ONE,
    "nvmlDeviceGetGpuFabricInfoV",
)
.of_states(&["not_supported", "healthy", "unhealthy", "limited_capacity"]);

pub(crate) const PROCESSES: MetricDefinition = gauge(
    "hw.gpu.process.count",
    "{process}",
    "Processes that hold a context on the GPU, by kind.",
    "Not who they are, and not whether they do anything.",
    &[GPU, label("hw.gpu.context", "`compute` or `graphics`.")],
    "nvmlDeviceGet{Compute,Graphics}RunningProcesses_v3",
)
.amount();

pub(crate) const MIG_DEVICES: MetricDefinition = gauge(
    "hw.gpu.mig.devices",
    "{device}",
    "Devices that the GPU is cut into; 0 where it can be cut and is not.",
    "Not the most that are possible.",
    ONE,
    "nvmlDeviceGetMigMode, nvmlDeviceGetMigDeviceHandleByIndex",
)
.amount();

pub(crate) const RECOVERY_ACTION: MetricDefinition = gauge(
    "hw.gpu.recovery.action",
    "{state}",
    "What the driver says has to be done so that the GPU works again.",
    "Not done by anybody here.",
    ONE,
    "nvmlDeviceGetFieldValues 230",
)
.of_states(&[
    "none",
    "gpu_reset",
    "node_reboot",
    "drain_p2p",
    "drain_and_reset",
]);

pub(crate) const XID_ERRORS: MetricDefinition = gauge(
    "hw.gpu.xid",
    "{event}",
    "Critical events (XID) that the driver raised for this GPU while the collector ran, by number.",
    "Not since boot: the kernel's log has those before.",
    &[
        GPU,
        label("hw.gpu.xid.code", "The number of the XID, e.g. `79`."),
    ],
    "nvmlEventSetWait_v2",
)
.whole()
.counted();
