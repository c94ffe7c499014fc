//! The state of NVMe controllers as their driver sees it, from `/sys/class/nvme`.
//!
//! What only the controller itself knows, its health log, is `nvme_health`.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::facts;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{Spec, SysRoot};

use crate::parts::{HARDWARE_ID, HARDWARE_NAME, hardware_id, names, noted, state, write_state};

pub(crate) static NVME: Spec = Spec {
    name: "nvme",
    summary: "Whether NVMe controllers are alive, and how they are attached.",
    metrics: &METRICS,
    facts: &FACTS,
    options: &[],
    interval_seconds: 10,
    needs: "",
    build: |root: SysRoot, _: &Options| Box::new(Nvme { root }),
};

pub(super) const DIRECTORY: &str = "sys/class/nvme";

static METRICS: [MetricDefinition; 1] = [state(
    "hw.physical_disk.nvme.state",
    &[
        "new",
        "live",
        "resetting",
        "connecting",
        "deleting",
        "deleting (no IO)",
        "dead",
        "unknown",
    ],
    "What the driver does with the controller: `live` is at work, `dead` was given up.",
    "Not health: a controller that is live may be worn out, see its health log.",
    &[HARDWARE_ID, HARDWARE_NAME],
    "/sys/class/nvme/*/state",
)];
static STATE: &MetricDefinition = &METRICS[0];

static FACTS: [FactDefinition; 4] = [
    facts::model("/sys/class/nvme/*/model"),
    facts::firmware_version("/sys/class/nvme/*/firmware_rev"),
    FactDefinition {
        key: "nvme.transport",
        help: "How the controller is attached: `pcie`, `rdma`, `tcp`, `fc`, `loop`.",
        source: "/sys/class/nvme/*/transport",
    },
    FactDefinition {
        key: "nvme.controller_type",
        help: "What the controller is for: `io`, `discovery`, `admin`.",
        source: "/sys/class/nvme/*/cntrltype",
    },
];

const FACT_FILES: [&str; 4] = ["model", "firmware_rev", "transport", "cntrltype"];

#[derive(Debug)]
struct Nvme {
    root: SysRoot,
}

impl Collector for Nvme {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let names = names(&self.root, DIRECTORY)?;
        if names.is_empty() {
            let looked_for = format!("no controller in `/{DIRECTORY}`");
            return Ok(Presence::Absent(looked_for));
        }
        for name in &names {
            let directory = format!("{DIRECTORY}/{name}");
            let id = hardware_id(&self.root, &directory, "nvme", out);
            let word = self
                .root
                .read_optional_trimmed(&format!("{directory}/state"));
            if let Some(word) = noted(word, out) {
                // until Linux 5.0 a controller over a network said so while it connected again
                let word = if word == "reconnecting" {
                    "connecting"
                } else {
                    &word
                };
                write_state(STATE, &[&id, name], word, out);
            }
            let component = format!("nvme/{name}");
            for (fact, file) in FACTS.iter().zip(FACT_FILES) {
                let text = self
                    .root
                    .read_optional_trimmed(&format!("{directory}/{file}"));
                if let Some(text) = noted(text, out) {
                    out.fact(fact, &component, &text);
                }
            }
        }
        Ok(Presence::Present)
    }
}
