//! GPUs of AMD, by what the kernel's driver `amdgpu` writes into sysfs.
//!
//! Temperatures, fans and power are told by the driver as a chip of hwmon, and read there by the collector `hwmon`.
//! Reading any of these files may wait for the GPU's own controller, so this runs in the worker too.

mod card;
mod firmware;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::facts;
use glasshouse_core::options::Options;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{ReadBuffer, Spec, SysRoot, WorkerSpec, optional};

use crate::metrics::metric_list;
use card::Card;

pub(crate) static AMD_GPU: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "amd_gpu",
        summary: "Utilization, memory, clocks, memory errors and PCIe replays of AMD GPUs.",
        metrics: &METRICS,
        facts: &FACTS,
        options: &[],
        // each read asks the GPU's controller
        interval_seconds: 5,
        needs: "",
        build: |root: SysRoot, _: &Options| {
            Box::new(AmdGpu {
                root,
                cards: Vec::new(),
                runs: 0,
                buffer: ReadBuffer::new(),
            })
        },
    },
    worker: Worker::Gpu,
    look: |root, _| look(root),
};

const DIRECTORY: &str = "sys/class/drm";

/// AMD, in `vendor`.
const VENDOR: &str = "0x1002";

/// Five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 60;

metric_list!(METRICS:
    UTILIZATION,
    MEMORY_ACTIVITY,
    MEMORY_USAGE,
    MEMORY_LIMIT,
    MEMORY_UTILIZATION,
    SHARED_USAGE,
    SHARED_LIMIT,
    CLOCK_SPEED,
    CLOCK_LIMIT,
    CLOCK_REASON,
    ECC_ERRORS,
    PCIE_REPLAY,
);

static FACTS: [FactDefinition; 4] = [
    facts::vendor("/sys/class/drm/card*/device/vendor"),
    facts::model("/sys/class/drm/card*/device/{product_name,device}"),
    facts::firmware_version("/sys/class/drm/card*/device/vbios_version"),
    facts::part_number("/sys/class/drm/card*/device/product_number"),
];

#[derive(Debug)]
struct AmdGpu {
    root: SysRoot,
    cards: Vec<Card>,
    runs: u32,
    buffer: ReadBuffer,
}

impl Collector for AmdGpu {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.cards = find(&self.root, out)?;
        }
        self.runs = self.runs.wrapping_add(1);
        if self.cards.is_empty() {
            self.runs = 0;
            return Ok(Presence::Absent(format!("no AMD GPU in `/{DIRECTORY}`")));
        }
        for card in &mut self.cards {
            card.write(&self.root, &mut self.buffer, out);
        }
        Ok(Presence::Present)
    }
}

/// Names and numbers that the kernel keeps itself: no GPU is asked.
fn look(root: &SysRoot) -> Presence {
    match addresses(root) {
        Ok(found) if found.is_empty() => Presence::Absent(format!("no AMD GPU in `/{DIRECTORY}`")),
        Ok(_) | Err(_) => Presence::Present,
    }
}

fn find(root: &SysRoot, out: &mut dyn SampleWriter) -> Result<Vec<Card>, CollectError> {
    let found = addresses(root)?;
    Ok(found
        .into_iter()
        .map(|(directory, address)| Card::new(root, directory, address, out))
        .collect())
}

/// The folders of AMD's GPUs and their PCI addresses, each once, in the order of addresses.
fn addresses(root: &SysRoot) -> Result<Vec<(String, String)>, CollectError> {
    let mut found = Vec::new();
    for name in optional(root.list(DIRECTORY))?.unwrap_or_default() {
        let is_card = name
            .strip_prefix("card")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        if !is_card {
            continue;
        }
        let device = format!("{DIRECTORY}/{name}/device");
        if root
            .read_optional_trimmed(&format!("{device}/vendor"))?
            .as_deref()
            != Some(VENDOR)
        {
            continue;
        }
        // `card0` is counted as found, the address is soldered; a partition of a GPU shares its device
        if let Some(address) = root.link_name(&device)
            && !found.iter().any(|(_, known)| *known == address)
        {
            found.push((device, address));
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}
