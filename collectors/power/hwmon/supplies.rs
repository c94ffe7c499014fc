//! Wall power as the sum of what all power supplies draw, where each of them tells it (PMBus).

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, SysRoot};

use super::HOST_POWER;
use super::chip::Chip;
use super::part::{Supply, supply};
use super::sensor::Sensor;

/// Mains and high-voltage direct current have more, feeds of regulators less: 12 V, 48 V.
const LEAST_FEED_MILLIVOLTS: i64 = 80_000;

/// What PMBus calls the input power of a device; of several pages, the number is behind it.
const INPUT_POWER: &str = "pin";
const INPUT_VOLTAGE: &str = "vin";

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
    pub(super) fn consider(&mut self, root: &SysRoot, chip: &Chip, sensors: &[Sensor]) {
        let mine = || sensors.iter().filter(|sensor| sensor.chip == chip.name);
        let is_supply = match supply(&chip.driver) {
            Supply::Surely => true,
            Supply::Perhaps => mine()
                .filter(|sensor| is_named(&sensor.name, INPUT_VOLTAGE))
                .any(|sensor| feed_voltage(root, chip, sensor)),
            Supply::No => false,
        };
        if !is_supply {
            return;
        }
        self.chips.push(chip.name.clone());
        let inputs =
            mine().filter(|sensor| is_power(sensor) && is_named(&sensor.name, INPUT_POWER));
        self.inputs.extend(inputs.map(|sensor| sensor.id.clone()));
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

fn is_power(sensor: &Sensor) -> bool {
    sensor
        .id
        .rsplit('/')
        .next()
        .is_some_and(|channel| channel.starts_with("power"))
}

/// `pin`, `pin1`, but not `pinch`.
fn is_named(name: &str, word: &str) -> bool {
    name.strip_prefix(word)
        .is_some_and(|page| page.bytes().all(|byte| byte.is_ascii_digit()))
}

fn feed_voltage(root: &SysRoot, chip: &Chip, sensor: &Sensor) -> bool {
    let Some(channel) = sensor.id.rsplit('/').next() else {
        return false;
    };
    let path = chip.path(&format!("{channel}_input"));
    KeptFile::attribute(root, &path)
        .read_i64(&mut ReadBuffer::new())
        .is_ok_and(|millivolts| millivolts >= LEAST_FEED_MILLIVOLTS)
}
