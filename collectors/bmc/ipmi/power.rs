//! What the machine draws: DCMI where the BMC has it, else the sum over all power supplies.

use std::collections::BTreeMap;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::sample::Value;
use glasshouse_core::wall_power::WallPowerSource;

use super::asking::{AskError, Asking};
use super::decode::dcmi::{PowerLimit, PowerReading};
use super::decode::entity::POWER_SUPPLY;
use super::decode::states::SENSOR_SPECIFIC;
use super::decode::unit::Quantity;
use super::metrics as is;
use super::place::Place;
use super::request::Request;
use super::sensor::{Outcome, Watched};

/// Whether the BMC knows a command; asked again only after it was away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Knows {
    #[default]
    Perhaps,
    No,
}

/// Power of the whole machine.
#[derive(Debug, Default)]
pub(crate) struct WallPower {
    reading: Knows,
    limit: Knows,
    /// Whether DCMI has given a reading, so that there is a series to be absent.
    has_read: bool,
    supplies: Supplies,
}

/// The power supplies of one run, by their number.
#[derive(Debug, Default)]
struct Supplies(BTreeMap<u8, Supply>);

/// One power supply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Supply {
    /// Watts that it draws; the outer `None` is one without such a sensor.
    input: Option<Option<f64>>,
    /// Whether its status sensor says that it is there.
    is_present: Option<bool>,
    /// More than one sensor of input power: which is the whole of it cannot be told.
    is_ambiguous: bool,
}

/// Kind of sensor of power supplies.
const SUPPLY_SENSOR: u8 = 0x08;

impl WallPower {
    /// A BMC that was away may be another, with other firmware.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The BMC did not answer before it was asked.
    pub(crate) fn absent(&self, reason: FailureReason, place: &Place, out: &mut dyn SampleWriter) {
        if self.has_read {
            absent(reason, place, out);
        }
    }

    /// Begins a run.
    pub(crate) fn begin(&mut self) {
        self.supplies.0.clear();
    }

    /// Takes what a sensor said.
    pub(crate) fn take(&mut self, watched: &Watched, outcome: Outcome) {
        let sensor = &watched.sensor;
        if sensor.entity.id != POWER_SUPPLY {
            return;
        }
        let supply = self.supplies.0.entry(sensor.entity.instance).or_default();
        let is_power = sensor
            .analog
            .is_some_and(|analog| analog.unit.quantity() == Quantity::Power);
        if is_power && is_input(&sensor.name) {
            supply.is_ambiguous = supply.input.is_some();
            supply.input = Some(outcome.value);
        }
        if sensor.kind == SUPPLY_SENSOR
            && sensor.event_type == SENSOR_SPECIFIC
            && sensor.states & 1 != 0
        {
            supply.is_present = outcome.states.map(|states| states & 1 != 0);
        }
    }

    /// Asks DCMI, and writes what answers.
    pub(crate) fn read(
        &mut self,
        place: &Place,
        others_sum: bool,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        if self.reading == Knows::Perhaps {
            let asked = asking.ask(&Request::GetPowerReading, out);
            match asked.and_then(|data| Ok(PowerReading::decode(&data)?)) {
                Ok(reading) if reading.is_measured() => {
                    self.has_read = true;
                    write(reading, place, out);
                    return self.read_limit(place, asking, out);
                }
                Ok(_) => {}
                Err(error @ AskError::Lost(_)) => return Err(error),
                Err(error) if error.reason() == FailureReason::Unsupported => {
                    self.reading = Knows::No;
                }
                // a session that may not ask; its level does not change while it lasts
                Err(error) if error.reason() == FailureReason::Denied => {
                    self.reading = Knows::No;
                    out.failure(error.at(asking));
                }
                Err(error) => {
                    absent(error.reason(), place, out);
                    out.failure(error.at(asking));
                    return Ok(());
                }
            }
        }
        if let Some(watts) = self.supplies.sum()
            && !others_sum
        {
            write_watts(WallPowerSource::PsuSum, watts, place, out);
        }
        Ok(())
    }

    fn read_limit(
        &mut self,
        place: &Place,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        if self.limit == Knows::No {
            return Ok(());
        }
        let asked = asking.ask(&Request::GetPowerLimit, out);
        match asked.and_then(|data| Ok(PowerLimit::decode(&data)?)) {
            Ok(limit) => {
                let id = place.id("dcmi");
                let labels = [&*id, "DCMI power limit", &*place.component, "cap"];
                out.sample(is::POWER_LIMIT, &labels, Value::F64(f64::from(limit.watts)));
            }
            Err(error @ AskError::Lost(_)) => return Err(error),
            Err(error) if error.reason() == FailureReason::Unsupported => self.limit = Knows::No,
            // 80h: no limit is set
            Err(_) => {}
        }
        Ok(())
    }
}

impl Supplies {
    /// The sum over all power supplies that are there; `None` unless every one of them says what it draws.
    fn sum(&self) -> Option<f64> {
        let mut watts = 0.0;
        let mut supplies = 0_u8;
        for supply in self.0.values() {
            if supply.is_present == Some(false) {
                continue;
            }
            if supply.is_ambiguous {
                return None;
            }
            watts += supply.input??;
            supplies = supplies.saturating_add(1);
        }
        (supplies > 0).then_some(watts)
    }
}

/// Whether a sensor of power of a power supply measures what it draws, by its name: `PSU1 Input Power`, `PS1 PIN`,
/// `Pwr In 2`; not `PSU1 Output Power`.
fn is_input(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphabetic());
    words.any(|word| matches!(word, "in" | "input" | "pin" | "acin" | "inputpower"))
}

fn write(reading: PowerReading, place: &Place, out: &mut dyn SampleWriter) {
    write_watts(
        WallPowerSource::Dcmi,
        f64::from(reading.current),
        place,
        out,
    );
    let id = place.id("dcmi");
    let period = f64::from(reading.period_milliseconds) / 1000.0;
    for (metric, value) in [
        (is::HOST_POWER_MINIMUM, f64::from(reading.minimum)),
        (is::HOST_POWER_MAXIMUM, f64::from(reading.maximum)),
        (is::HOST_POWER_AVERAGE, f64::from(reading.average)),
        (is::HOST_POWER_PERIOD, period),
    ] {
        out.sample(metric, &[&id], Value::F64(value));
    }
}

/// The machine's own power, or that of another machine, whose power is a reading of its BMC.
fn write_watts(source: WallPowerSource, watts: f64, place: &Place, out: &mut dyn SampleWriter) {
    let value = Value::F64(watts);
    if place.is_own {
        out.sample(is::HOST_POWER, &[source.word()], value);
    } else {
        let id = place.id(source.word());
        let labels = [&*id, "Machine power", &*place.component, "enclosure"];
        out.sample(is::POWER, &labels, value);
    }
}

/// DCMI is there but gave nothing.
fn absent(reason: FailureReason, place: &Place, out: &mut dyn SampleWriter) {
    let source = WallPowerSource::Dcmi.word();
    if place.is_own {
        out.absent(is::HOST_POWER, &[source], reason);
    } else {
        let id = place.id(source);
        let labels = [&*id, "Machine power", &*place.component, "enclosure"];
        out.absent(is::POWER, &labels, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_input_from_output() {
        for input in [
            "PSU1 Input Power",
            "PS1 PIN",
            "PIN_PSU2",
            "Pwr In 2",
            "PS1_Pin",
        ] {
            assert!(is_input(input), "{input}");
        }
        for other in [
            "PSU1 Output Power",
            "PS1 POUT",
            "Pwr Consumption",
            "PSU Inlet Temp",
        ] {
            assert!(!is_input(other), "{other}");
        }
    }

    #[test]
    fn a_sum_needs_every_supply_that_is_there() {
        let supply = |input, is_present| Supply {
            input,
            is_present,
            is_ambiguous: false,
        };
        let sum =
            |supplies: &[Supply]| Supplies((0..).zip(supplies.iter().copied()).collect()).sum();
        let reads = supply(Some(Some(300.0)), Some(true));
        assert_eq!(sum(&[reads, reads]), Some(600.0));
        assert_eq!(sum(&[reads, supply(Some(None), Some(false))]), Some(300.0));
        assert_eq!(sum(&[reads, supply(None, Some(false))]), Some(300.0));
        assert_eq!(sum(&[reads, supply(Some(None), Some(true))]), None);
        assert_eq!(sum(&[reads, supply(None, None)]), None);
        assert_eq!(sum(&[]), None);
        let twice = Supply {
            is_ambiguous: true,
            ..reads
        };
        assert_eq!(sum(&[twice]), None);
    }
}
