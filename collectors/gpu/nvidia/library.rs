//! The library behind a trait, so that tests can script it, and what nvml-wrapper answers.

use std::fmt;
use std::time::Duration;

use nvml_wrapper::enum_wrappers::device::PerformanceState;
use nvml_wrapper::{Device, Nvml};

use super::question::{Answer, Field, MOST_NUMBERS, Number, Question, Text};
use super::refusal::Refusal;
use crate::ffi::{Raw, RawGpu};

/// The library of the driver, begun. Each method but `gpu` is one call, whose symbol `question` names.
pub(crate) trait Library: Send + Sync + fmt::Debug {
    /// How many GPUs it sees.
    fn count(&self) -> Result<u32, Refusal>;
    /// One of them.
    fn gpu(&self, index: u32) -> Result<Box<dyn Gpu + '_>, Refusal>;
    /// The version of the driver.
    fn driver_version(&self) -> Result<String, Refusal>;
    /// The version of CUDA that the driver can serve: 1000 × major + 10 × minor.
    fn cuda_version(&self) -> Result<u32, Refusal>;
    /// A set into which the driver queues critical events of GPUs.
    fn events(&self) -> Result<Box<dyn Events + '_>, Refusal>;
}

/// One GPU of the library.
pub(crate) trait Gpu: fmt::Debug {
    /// Its address, as the library writes it.
    fn address(&self) -> Result<String, Refusal>;
    /// Numbers.
    fn ask(&self, question: &Question) -> Result<Answer, Refusal>;
    /// Text.
    fn text(&self, text: Text) -> Result<String, Refusal>;
    /// Field values, in one call; the answers stand in the order of the fields.
    fn fields(&self, fields: &[Field]) -> Result<Vec<Result<Number, Refusal>>, Refusal>;
}

/// Critical events.
pub(crate) trait Events: fmt::Debug {
    /// Whether a GPU can raise such events.
    fn supported(&self, index: u32) -> Result<bool, Refusal>;
    /// Lets a GPU's events be queued.
    fn register(&mut self, index: u32) -> Result<(), Refusal>;
    /// The next event: index of the GPU where it is known, and number; `None` where none came in time.
    fn next(&self, wait: Duration) -> Result<Option<(Option<u32>, u64)>, Refusal>;
}

/// The real library: through nvml-wrapper, and beside it by its bindings what the wrapper lacks.
#[derive(Debug)]
pub(crate) struct Loaded {
    // ended and unloaded before `raw` lets go of the file
    nvml: Nvml,
    raw: Raw,
}

impl Loaded {
    /// Loads and begins the library. Waits for the driver as long as that takes.
    pub(crate) fn open(path: &str) -> Result<Self, Refusal> {
        let nvml = Nvml::builder().lib_path(path.as_ref()).init()?;
        let raw = match Raw::open(path) {
            Ok(raw) => raw,
            Err(refusal) => {
                // it cannot be ended without the function for it: the wrapper would panic
                std::mem::forget(nvml);
                return Err(refusal);
            }
        };
        Ok(Self { nvml, raw })
    }
}

impl Library for Loaded {
    fn count(&self) -> Result<u32, Refusal> {
        Ok(self.nvml.device_count()?)
    }

    fn gpu(&self, index: u32) -> Result<Box<dyn Gpu + '_>, Refusal> {
        let device = self.nvml.device_by_index(index)?;
        let raw = self.raw.gpu(&device);
        Ok(Box::new(LoadedGpu { device, raw }))
    }

    fn driver_version(&self) -> Result<String, Refusal> {
        self.raw.driver_version()
    }

    fn cuda_version(&self) -> Result<u32, Refusal> {
        let version = self.nvml.sys_cuda_driver_version()?;
        u32::try_from(version).map_err(|_| Refusal::Malformed(format!("`{version}`")))
    }

    fn events(&self) -> Result<Box<dyn Events + '_>, Refusal> {
        let events = self.raw.events()?;
        Ok(Box::new(LoadedEvents {
            nvml: &self.nvml,
            raw: &self.raw,
            events,
        }))
    }
}

#[derive(Debug)]
struct LoadedGpu<'l> {
    device: Device<'l>,
    raw: RawGpu<'l>,
}

impl Gpu for LoadedGpu<'_> {
    fn address(&self) -> Result<String, Refusal> {
        self.raw.address()
    }

    fn ask(&self, question: &Question) -> Result<Answer, Refusal> {
        use Question as Q;
        let device = &self.device;
        match question {
            Q::TemperatureV
            | Q::Margin
            | Q::EventReasons
            | Q::ThrottleReasons
            | Q::Memory
            | Q::RemappedRows
            | Q::RowHistogram
            | Q::RetiredPages(_)
            | Q::FabricV3
            | Q::FabricV2 => self.raw.ask(question),
            Q::LinkState(link) => Ok(one(device.link_wrapper_for(*link).is_active()?)),
            Q::LinkErrors(link, kind) => {
                Ok(one(device.link_wrapper_for(*link).error_counter(*kind)?))
            }
            Q::MigMode => device
                .mig_mode()
                .map(|mode| several([mode.current, mode.pending]))
                .map_err(Refusal::from),
            Q::MigMost => Ok(one(device.mig_device_count()?)),
            Q::MigDevice(index) => Ok(one(device.mig_device_by_index(*index).map(|_| true)?)),
            Q::ComputeMode => Ok(one(device.compute_mode()?.as_c())),
            Q::Persistence => Ok(one(device.is_in_persistent_mode()?)),
            Q::ComputeProcesses => Ok(one(device.running_compute_processes_count()?)),
            Q::GraphicsProcesses => Ok(one(device.running_graphics_processes_count()?)),
            Q::Fans => Ok(one(device.num_fans()?)),
            Q::FanSpeed(fan) => Ok(one(device.fan_speed(*fan)?)),
            question => self.ask_for_performance(question),
        }
    }

    fn text(&self, text: Text) -> Result<String, Refusal> {
        self.raw.text(text)
    }

    fn fields(&self, fields: &[Field]) -> Result<Vec<Result<Number, Refusal>>, Refusal> {
        self.raw.fields(fields)
    }
}

impl LoadedGpu<'_> {
    fn ask_for_performance(&self, question: &Question) -> Result<Answer, Refusal> {
        use Question as Q;
        let device = &self.device;
        Ok(match question {
            Q::Utilization => {
                let rates = device.utilization_rates()?;
                several([rates.gpu, rates.memory])
            }
            Q::Encoder => {
                let used = device.encoder_utilization()?;
                several([used.utilization, used.sampling_period])
            }
            Q::Decoder => {
                let used = device.decoder_utilization()?;
                several([used.utilization, used.sampling_period])
            }
            Q::Temperature => {
                let sensor = nvml_wrapper::enum_wrappers::device::TemperatureSensor::Gpu;
                one(device.temperature(sensor)?)
            }
            Q::Threshold(threshold) => one(device.temperature_threshold(*threshold)?),
            Q::Clock(clock) => one(device.clock_info(*clock)?),
            Q::MaxClock(clock) => one(device.max_clock_info(*clock)?),
            Q::Violation(policy) => {
                let status = device.violation_status(*policy)?;
                several([status.reference_time, status.violation_time])
            }
            Q::PerformanceState => match device.performance_state()? {
                PerformanceState::Unknown => return Err(Refusal::NotSupported),
                known => one(known.as_c()),
            },
            question => return self.ask_for_power(question),
        })
    }

    fn ask_for_power(&self, question: &Question) -> Result<Answer, Refusal> {
        use Question as Q;
        let device = &self.device;
        Ok(match question {
            Q::Power => one(device.power_usage()?),
            Q::Energy => one(device.total_energy_consumption()?),
            Q::EnforcedPowerLimit => one(device.enforced_power_limit()?),
            Q::PowerLimit => one(device.power_management_limit()?),
            Q::DefaultPowerLimit => one(device.power_management_limit_default()?),
            Q::PowerLimitRange => {
                let range = device.power_management_limit_constraints()?;
                several([range.min_limit, range.max_limit])
            }
            question => return self.ask_for_memory_and_bus(question),
        })
    }

    fn ask_for_memory_and_bus(&self, question: &Question) -> Result<Answer, Refusal> {
        use Question as Q;
        let device = &self.device;
        Ok(match question {
            Q::MemoryV2 => {
                let memory = device.memory_info()?;
                several([memory.total, memory.reserved, memory.free, memory.used])
            }
            Q::Bar1 => {
                let bar = device.bar1_memory_info()?;
                several([bar.total, bar.free, bar.used])
            }
            Q::EccMode => {
                let mode = device.is_ecc_enabled()?;
                several([mode.currently_enabled, mode.pending_enabled])
            }
            Q::EccTotal(error, span) => one(device.total_ecc_errors(*error, *span)?),
            Q::EccAt(error, span, place) => {
                one(device.memory_error_counter(*error, *span, *place)?)
            }
            Q::RetirementPending => one(device.are_pages_pending_retired()?),
            Q::PcieReplay => one(device.pcie_replay_counter()?),
            Q::PcieThroughput(direction) => one(device.pcie_throughput(*direction)?),
            _ => return Err(Refusal::NotSupported),
        })
    }
}

#[derive(Debug)]
struct LoadedEvents<'l> {
    nvml: &'l Nvml,
    raw: &'l Raw,
    events: crate::ffi::RawEvents<'l>,
}

impl Events for LoadedEvents<'_> {
    fn supported(&self, index: u32) -> Result<bool, Refusal> {
        let device = self.nvml.device_by_index(index)?;
        self.raw.gpu(&device).can_raise_events()
    }

    fn register(&mut self, index: u32) -> Result<(), Refusal> {
        let device = self.nvml.device_by_index(index)?;
        self.events.register(index, &self.raw.gpu(&device))
    }

    fn next(&self, wait: Duration) -> Result<Option<(Option<u32>, u64)>, Refusal> {
        match self.events.next(wait) {
            Ok(event) => Ok(Some(event)),
            Err(Refusal::Timeout) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

/// An answer of one number.
pub(crate) fn one(number: impl Into<u64>) -> Answer {
    several([number])
}

/// An answer of several numbers, in their order.
pub(crate) fn several<N: Into<u64>, const COUNT: usize>(numbers: [N; COUNT]) -> Answer {
    const { assert!(COUNT <= MOST_NUMBERS, "an answer has no room for more") };
    let mut answer = Answer::default();
    for (place, number) in answer.iter_mut().zip(numbers) {
        *place = number.into();
    }
    answer
}
