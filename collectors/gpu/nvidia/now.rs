//! What changes by the second: utilization, power, clocks and why they are low, heat, memory; and critical events.
//!
//! Fifteen calls a GPU and run, none of which waits for a sample.

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_core::sample::Value;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::{Spec, SysRoot, WorkerSpec};

use super::convert::{
    Told, bytes, field_degrees, field_watts, fill_level, first, hertz, joules, second, share,
    signed_degrees, state, watts, whole,
};
use super::events::Journal;
use super::machine::{Machine, Teller};
use super::pci;
use super::question::{CLOCKS, Field, Question};
use super::reading::Reading;
use super::refusal::Refusal;
use crate::metrics::metric_list;

pub(crate) static NVIDIA_GPU: WorkerSpec = WorkerSpec {
    spec: Spec {
        name: "nvidia_gpu",
        summary: "Utilization, power, clocks, heat and memory of NVIDIA GPUs, and their critical events (XID).",
        metrics: &METRICS,
        facts: &[],
        options: OPTIONS,
        interval_seconds: 5,
        needs: "the driver's library libnvidia-ml.so.1, and /dev/nvidiactl and /dev/nvidia* open to the worker",
        build: |root: SysRoot, options: &Options| {
            Box::new(NvidiaGpu {
                machine: Machine::new(root, options, RUNS_BETWEEN_LOOKS),
                journal: Journal::default(),
            })
        },
    },
    worker: Worker::Gpu,
    look: pci::look,
};

/// The settings of both collectors.
pub(crate) const OPTIONS: &[OptionDefinition] = &[OptionDefinition {
    name: "library",
    help: "The driver's library, by path or name; where empty, `libnvidia-ml.so.1` as the loader finds it.",
    default: OptionDefault::Text(""),
}];

/// Five minutes at the default interval.
const RUNS_BETWEEN_LOOKS: u32 = 60;

metric_list!(METRICS:
    UTILIZATION,
    MEMORY_ACTIVITY,
    MEMORY_USAGE,
    MEMORY_LIMIT,
    MEMORY_UTILIZATION,
    POWER,
    POWER_INSTANT,
    ENERGY,
    TEMPERATURE,
    MARGIN,
    CLOCK_SPEED,
    CLOCK_REASON,
    PERFORMANCE_STATE,
    XID_ERRORS,
);

/// The bits of `nvmlDeviceGetCurrentClocksEventReasons`.
pub(crate) static REASONS: [(u64, &str); 9] = [
    (0x1, "idle"),
    (0x2, "application_clocks"),
    (0x4, "sw_power_cap"),
    (0x8, "hw_slowdown"),
    (0x10, "sync_boost"),
    (0x20, "sw_thermal"),
    (0x40, "hw_thermal"),
    (0x80, "hw_power_brake"),
    (0x100, "display_clocks"),
];

/// `NVML_FI_DEV_MEMORY_TEMP`.
const MEMORY_TEMPERATURE: Field = Field { id: 82, scope: 0 };

/// `NVML_FI_DEV_POWER_INSTANT`: what `nvmlDeviceGetPowerUsage` averages over a second on newer GPUs.
const POWER_NOW: Field = Field { id: 186, scope: 0 };

#[derive(Debug)]
struct NvidiaGpu {
    machine: Machine,
    journal: Journal,
}

impl Collector for NvidiaGpu {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let presence = self
            .machine
            .run(out, Teller::Here, |reading, _| read(reading));
        // whatever became of the GPUs: the events say why
        if let Some(session) = self.machine.door.current() {
            self.journal.follow(session);
        }
        self.journal.tell(out);
        presence
    }
}

fn read(reading: &mut Reading<'_>) {
    utilization(reading);
    power(reading);
    temperature(reading);
    clocks(reading);
    memory(reading);
}

fn utilization(reading: &mut Reading<'_>) {
    let rates = reading.ask(&Question::Utilization);
    let general = rates.as_ref().map_err(Clone::clone);
    reading.put(
        UTILIZATION,
        &["general"],
        general.and_then(|rates| share(first(rates))),
    );
    reading.put(
        MEMORY_ACTIVITY,
        &[],
        rates.and_then(|rates| share(second(&rates))),
    );
    let level = reading.ask(&Question::PerformanceState);
    reading.put(
        PERFORMANCE_STATE,
        &[],
        level.and_then(|level| whole(first(&level))),
    );
}

fn power(reading: &mut Reading<'_>) {
    let names = reading.names();
    let power = reading.ask(&Question::Power);
    reading.write(
        POWER,
        &[&names.power_sensor, "GPU power", &names.address, "gpu"],
        power.and_then(|power| watts(first(&power))),
    );
    let energy = reading.ask(&Question::Energy);
    reading.write(
        ENERGY,
        &[&names.energy_sensor, "GPU energy", &names.address, "gpu"],
        energy.and_then(|energy| joules(first(&energy))),
    );
}

fn temperature(reading: &mut Reading<'_>) {
    let names = reading.names();
    let chip = reading
        .ask_first(&[Question::TemperatureV, Question::Temperature])
        .and_then(|chip| signed_degrees(first(&chip)));
    reading.write(
        TEMPERATURE,
        &[&names.chip_sensor, "GPU", &names.address],
        chip,
    );
    let margin = reading.ask(&Question::Margin);
    reading.put(
        MARGIN,
        &[],
        margin.and_then(|margin| signed_degrees(first(&margin))),
    );
    let mut fields = reading.fields(&[MEMORY_TEMPERATURE, POWER_NOW]).into_iter();
    let mut next = || fields.next().unwrap_or(Err(Refusal::NoData));
    // what is refused, or zero where there is no such sensor, is no series
    let memory = next().and_then(field_degrees).and_then(not_zero);
    let power = next().and_then(field_watts).and_then(not_zero);
    reading.write_member(
        TEMPERATURE,
        &[&names.memory_sensor, "GPU memory", &names.address],
        memory,
    );
    reading.write_member(
        POWER_INSTANT,
        &[&names.power_sensor, "GPU power", &names.address, "gpu"],
        power,
    );
}

/// GPUs without a sensor for it answer such fields with zero, and no running GPU is at 0 °C or draws nothing.
fn not_zero(value: Value) -> Told {
    if value.as_f64() == 0.0 {
        return Err(Refusal::NotSupported);
    }
    Ok(value)
}

fn clocks(reading: &mut Reading<'_>) {
    for (clock, name) in &CLOCKS {
        let speed = reading.ask(&Question::Clock(*clock));
        reading.put(
            CLOCK_SPEED,
            &[name],
            speed.and_then(|speed| hertz(first(&speed))),
        );
    }
    let bits = reading.ask_first(&[Question::EventReasons, Question::ThrottleReasons]);
    for (bit, name) in &REASONS {
        let active = bits.as_ref().map_err(Clone::clone);
        let active = active.and_then(|bits| state(u64::from(first(bits) & bit != 0), 2));
        reading.put(CLOCK_REASON, &[name], active);
    }
}

fn memory(reading: &mut Reading<'_>) {
    let memory = reading.ask_first(&[Question::MemoryV2, Question::Memory]);
    let told = |part: fn(u64, u64) -> Told| {
        let memory = memory.as_ref().map_err(Clone::clone)?;
        let [total, _, _, used, ..] = *memory;
        // makes no sense as a whole: no part of it is believed
        fill_level(used, total)?;
        part(used, total)
    };
    let used = told(|used, _| bytes(used));
    let total = told(|_, total| bytes(total));
    let level = told(fill_level);
    reading.put(MEMORY_USAGE, &[], used);
    reading.put(MEMORY_LIMIT, &[], total);
    reading.put(MEMORY_UTILIZATION, &[], level);
}
