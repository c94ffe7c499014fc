//! Wall power as the sum of what all power supplies draw, where each of them tells it (PMBus).

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{SysRoot, supply_inputs};

use super::HOST_POWER;
use super::chip::Chip;
use super::sensor::Sensor;

/// The power supplies of the machine.
#[derive(Debug, Default)]
pub(super) struct Supplies {
    /// Chips that are power supplies.
    chips: Vec<String>,
    /// Ids of their input power.
    inputs: Vec<String>,
    watts: f64,
    read: usize,
    missing: Option<FailureReason>,
}

impl Supplies {
    /// Begins a run.
    pub(super) fn begin(&mut self) {
        self.watts = 0.0;
        self.read = 0;
        self.missing = None;
    }

    /// Takes a chip where it is a power supply.
    pub(super) fn consider(&mut self, root: &SysRoot, chip: &Chip) {
        let inputs = supply_inputs(root, &chip.driver, &chip.directory, &chip.files);
        let Some(inputs) = inputs else { return };
        self.chips.push(chip.name.clone());
        let ids = inputs
            .iter()
            .map(|channel| format!("{}/{channel}", chip.name));
        self.inputs.extend(ids);
    }

    /// Takes the outcome of a sensor.
    pub(super) fn take(&mut self, sensor: &Sensor, outcome: Result<f64, FailureReason>) {
        if !self.inputs.contains(&sensor.id) {
            return;
        }
        match outcome {
            Ok(watts) => {
                self.watts += watts;
                self.read += 1;
            }
            Err(reason) => self.missing = Some(reason),
        }
    }

    /// The sum, where every power supply told its part.
    pub(super) fn write(&self, out: &mut dyn SampleWriter) {
        let every_chip_tells = self.chips.iter().all(|chip| {
            let mut inputs = self.inputs.iter();
            inputs.any(|input| belongs(input, chip))
        });
        if self.chips.is_empty() || !every_chip_tells {
            return;
        }
        match self.missing {
            None if self.read == self.inputs.len() => {
                out.sample(HOST_POWER, &["psu_sum"], Value::F64(self.watts));
            }
            missing => {
                let reason = missing.unwrap_or(FailureReason::Missing);
                out.absent(HOST_POWER, &["psu_sum"], reason);
            }
        }
    }
}

fn belongs(sensor: &str, chip: &str) -> bool {
    sensor
        .strip_prefix(chip)
        .is_some_and(|rest| rest.starts_with('/'))
}
