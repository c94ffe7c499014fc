//! What changes seldom: limits, health of memory, buses and links, modes, firmware; and what is dear to ask.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{Spec, SysRoot, WorkerSpec};

use super::convert::{field_count, first, share, state, whole};
use super::facts::{self, FACTS};
use super::machine::{Machine, Teller};
use super::now::OPTIONS;
use super::pci;
use super::question::{Field, MOST_MIG_DEVICES, Question};
use super::reading::Reading;
use super::refusal::Refusal;
use super::{limits, links, memory, pcie};
use crate::metrics::metric_list;

pub(crate) static NVIDIA_GPU_HEALTH: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "nvidia_gpu_health",
        summary: "Limits, memory errors, PCIe, NVLink, fabric, modes and firmware of NVIDIA GPUs.",
        metrics: &METRICS,
        facts: &FACTS,
        options: OPTIONS,
        // some 150 calls a GPU, and on older GPUs two that take 20 ms each
        interval_seconds: 30,
        needs: "the driver's library libnvidia-ml.so.1, and /dev/nvidiactl and /dev/nvidia* open to the worker",
        build: |root: SysRoot, options: &Options| {
            Box::new(NvidiaGpuHealth {
                machine: Machine::new(root, options, RUNS_BETWEEN_LOOKS),
            })
        },
    },
    worker: Worker::Gpu,
    look: pci::look,
};

/// Five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 10;

metric_list!(METRICS:
    UTILIZATION,
    POWER_LIMIT,
    TEMPERATURE_LIMIT,
    MARGIN_LIMIT,
    CLOCK_LIMIT,
    VIOLATION,
    FAN_DUTY,
    BAR1_USAGE,
    BAR1_LIMIT,
    ECC_ERRORS,
    REMAPPED_ROWS,
    REMAP_PENDING,
    REMAP_FAILURE,
    REMAP_BANKS,
    RETIRED_PAGES,
    RETIREMENT_PENDING,
    PCIE_REPLAY,
    PCIE_ERRORS,
    IO,
    IO_RATE,
    LINK_STATE,
    LINK_SPEED,
    LINK_ERRORS,
    LINK_IO,
    FABRIC_STATE,
    FABRIC_STATUS,
    FABRIC_HEALTH,
    FABRIC_SUMMARY,
    PROCESSES,
    MIG_DEVICES,
    RECOVERY_ACTION,
);

/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`.
pub(super) const RECOVERY: Field = Field { id: 230, scope: 0 };

/// Actions that are known.
const RECOVERY_ACTIONS: u16 = 5;

#[derive(Debug)]
struct NvidiaGpuHealth {
    machine: Machine,
}

impl Collector for NvidiaGpuHealth {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        self.machine
            .run(out, Teller::Elsewhere, |reading, session| {
                facts::read(reading, session);
                limits::read(reading);
                memory::read(reading);
                pcie::read(reading);
                links::read(reading);
                use_of_it(reading);
            })
    }
}

fn use_of_it(reading: &mut Reading<'_>) {
    for (question, task) in [
        (Question::Encoder, "encoder"),
        (Question::Decoder, "decoder"),
    ] {
        let used = reading.ask(&question);
        let used = used.and_then(|used| share(first(&used)));
        reading.put_member(UTILIZATION, &[task], used);
    }
    for (question, kind) in [
        (Question::ComputeProcesses, "compute"),
        (Question::GraphicsProcesses, "graphics"),
    ] {
        let count = reading.ask(&question);
        let count = count.and_then(|count| whole(first(&count)));
        reading.put(PROCESSES, &[kind], count);
    }
    let devices = mig_devices(reading).and_then(whole);
    reading.put_member(MIG_DEVICES, &[], devices);
    let mut action = reading.fields(&[RECOVERY]).into_iter();
    let action = action.next().unwrap_or(Err(Refusal::NoData));
    let action = action
        .and_then(field_count)
        .and_then(|action| state(action, RECOVERY_ACTIONS));
    reading.put_member(RECOVERY_ACTION, &[], action);
}

/// The devices that the GPU is cut into now.
fn mig_devices(reading: &mut Reading<'_>) -> Result<u64, Refusal> {
    let mode = reading.ask(&Question::MigMode)?;
    if first(&mode) == 0 {
        return Ok(0);
    }
    let most = first(&reading.ask(&Question::MigMost)?);
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let mut devices = 0;
    for index in 0..most.min(MOST_MIG_DEVICES) {
        match reading.ask_afresh(&Question::MigDevice(index)) {
            Ok(_) => devices += 1,
            // no device at this index
            Err(Refusal::NotSupported) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(devices)
}
