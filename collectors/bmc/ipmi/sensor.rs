//! One sensor: what it is called in labels, and what its readings become.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;

use super::asking::{AskError, Asking, part};
use super::decode::factors::{Factors, Linearization};
use super::decode::reading::{Reading, Thresholds, reading_factors};
use super::decode::sdr::{Analog, Limits, Sensor, THRESHOLD};
use super::decode::states::{code, state};
use super::decode::unit::Quantity;
use super::metrics as is;
use super::place::Place;
use super::request::{Request, SensorAddress};

/// A sensor of the BMC's software rather than of a controller that could be asked.
const SOFTWARE: u8 = 1;

/// A sensor that can be read.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) sensor: Sensor,
    id: String,
    name: String,
    parent: String,
    part: &'static str,
    unit: String,
    /// What its value is written as, and its limits.
    metric: Option<(&'static MetricDefinition, Option<&'static MetricDefinition>)>,
    /// Limits in units of the metric, as they were last read.
    limits: Vec<(&'static str, f64)>,
    /// States with a series each: offset and word.
    states: Vec<(u8, String)>,
}

/// What one reading was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The value in units of the metric.
    pub(crate) value: Option<f64>,
    /// States that hold, of a discrete sensor.
    pub(crate) states: Option<u16>,
}

impl Watched {
    /// `None` for what cannot be read: sensors that only make events, and those of software.
    pub(crate) fn new(sensor: &Sensor, place: &Place) -> Option<Self> {
        if !sensor.is_readable || sensor.owner.address & SOFTWARE != 0 {
            return None;
        }
        let owner = sensor.owner;
        let number = sensor.number;
        let name = if sensor.name.is_empty() {
            format!("sensor {number:02X}h")
        } else {
            sensor.name.clone()
        };
        let metric = sensor.analog.map(|analog| metric(&analog, sensor.kind));
        Some(Self {
            id: place.id(&format!(
                "{:02x}.{}.{:02x}/{name}",
                owner.address, owner.lun, number
            )),
            parent: place.parent(&sensor.entity.name()),
            part: sensor.entity.hardware_type(),
            unit: sensor
                .analog
                .map(|analog| analog.unit.ucum())
                .unwrap_or_default(),
            metric,
            limits: Vec::new(),
            states: states(sensor),
            name,
            sensor: sensor.clone(),
        })
    }

    /// Its `hw.id`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) const fn address(&self) -> SensorAddress {
        SensorAddress {
            owner: self.sensor.owner,
            number: self.sensor.number,
        }
    }

    /// Asks for the limits, where they can change or stand in the sensor.
    pub(crate) fn look_up_limits(
        &mut self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        let Some(analog) = self.sensor.analog else {
            return Ok(());
        };
        let thresholds = match analog.limits {
            Limits::None => return Ok(()),
            Limits::Fixed(thresholds) => thresholds,
            Limits::Readable => {
                let asked = asking.ask(&Request::GetSensorThresholds(self.address()), out);
                let decoded = asked.and_then(|data| Ok(Thresholds::decode(&data)?));
                match decoded {
                    Ok(thresholds) => thresholds,
                    // a sensor that is not there has no limits either, which its reading says
                    Err(AskError::Refused { .. }) => return Ok(()),
                    Err(error) => {
                        part::<()>(Err(error), asking, out)?;
                        return Ok(());
                    }
                }
            }
        };
        let mut limits = Vec::new();
        for (limit, raw) in thresholds.iter() {
            if let Some(value) = self.value(&analog, raw, asking, out)? {
                limits.push((limit.kind().word(), value));
            }
        }
        self.limits = limits;
        Ok(())
    }

    /// Reads and writes it.
    pub(crate) fn read(
        &self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<Outcome, AskError> {
        let asked = asking.ask(&Request::GetSensorReading(self.address()), out);
        let reading = match asked.and_then(|data| Ok(Reading::decode(&data)?)) {
            Ok(reading) => reading,
            Err(error @ AskError::Lost(_)) => return Err(error),
            Err(error) => {
                self.absent(error.reason(), out);
                if matches!(error, AskError::Malformed(_)) {
                    out.failure(error.at(asking));
                }
                return Ok(Outcome::NOTHING);
            }
        };
        if !reading.is_valid() {
            self.absent(FailureReason::Missing, out);
            return Ok(Outcome::NOTHING);
        }
        let value = match self.sensor.analog {
            Some(analog) => self.write_value(&analog, reading.raw, asking, out)?,
            None => None,
        };
        let states = self.write_states(reading, out);
        Ok(Outcome { value, states })
    }

    /// Writes that there is no value.
    pub(crate) fn absent(&self, reason: FailureReason, out: &mut dyn SampleWriter) {
        if let Some((metric, _)) = self.metric {
            self.with_labels(metric, |labels| out.absent(metric, labels, reason));
            if self.has_limits() {
                out.absent(
                    is::LIMIT_STATE,
                    &[&self.id, &self.name, &self.parent],
                    reason,
                );
            }
        }
        for (_, word) in &self.states {
            out.absent(is::SENSOR_STATE, &self.state_labels(word), reason);
        }
    }

    fn write_value(
        &self,
        analog: &Analog,
        raw: u8,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<Option<f64>, AskError> {
        let Some((metric, limit)) = self.metric else {
            return Ok(None);
        };
        let Some(value) = self.value(analog, raw, asking, out)? else {
            self.with_labels(metric, |labels| {
                out.absent(metric, labels, FailureReason::Malformed);
            });
            return Ok(None);
        };
        self.with_labels(metric, |labels| {
            out.sample(metric, labels, Value::F64(value))
        });
        if let Some(metric) = limit {
            for (word, value) in &self.limits {
                let labels = [&*self.id, &*self.name, &*self.parent, word];
                out.sample(metric, &labels, Value::F64(*value));
            }
        }
        Ok(Some(value))
    }

    fn value(
        &self,
        analog: &Analog,
        raw: u8,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<Option<f64>, AskError> {
        let value = match analog.linearization {
            Linearization::Known(curve) => analog.factors.value(analog.format, curve, raw),
            Linearization::NonLinear => {
                let request = Request::GetSensorReadingFactors(self.address(), raw);
                let asked = asking.ask(&request, out);
                let factors = asked.and_then(|data| Ok(reading_factors(&data)?));
                part(factors, asking, out)?
                    .map(|factors: Factors| factors.linear(analog.format.number(raw)))
            }
        };
        let value = value.filter(|value| value.is_finite());
        let percent = value.map(|value| match self.metric {
            Some((metric, _)) if is_share(metric) => value / 100.0,
            _ => analog.unit.plain(value),
        });
        Ok(percent)
    }

    fn write_states(&self, reading: Reading, out: &mut dyn SampleWriter) -> Option<u16> {
        let states = reading.states?;
        if self.sensor.event_type == THRESHOLD {
            if self.has_limits() {
                let worst = worst_limit(states);
                let labels = [&*self.id, &*self.name, &*self.parent];
                out.sample(is::LIMIT_STATE, &labels, Value::State(worst));
            }
            return None;
        }
        for (offset, word) in &self.states {
            let holds = states >> offset & 1;
            let value = Value::U64(u64::from(holds));
            out.sample(is::SENSOR_STATE, &self.state_labels(word), value);
        }
        Some(states)
    }

    fn has_limits(&self) -> bool {
        let limits = self.sensor.analog.map(|analog| analog.limits);
        limits.is_some_and(|limits| limits != Limits::None)
            && self.sensor.event_type == THRESHOLD
            && !self.limits.is_empty()
    }

    fn state_labels<'s>(&'s self, word: &'s str) -> [&'s str; 5] {
        [&self.id, &self.name, &self.parent, self.part, word]
    }

    fn with_labels(&self, metric: &'static MetricDefinition, write: impl FnOnce(&[&str])) {
        let [id, name, parent] = [&*self.id, &*self.name, &*self.parent];
        if std::ptr::eq(metric, is::POWER) {
            write(&[id, name, parent, self.part]);
        } else if std::ptr::eq(metric, is::SENSOR_READING) {
            write(&[id, name, parent, &self.unit]);
        } else {
            write(&[id, name, parent]);
        }
    }
}

impl Outcome {
    const NOTHING: Self = Self {
        value: None,
        states: None,
    };
}

/// Bits 0 to 5: lower limits, then upper ones, each worse than the one before. 0 is within all of them.
fn worst_limit(states: u16) -> u16 {
    (0..6)
        .rev()
        .find(|bit| states >> bit & 1 != 0)
        .map_or(0, |bit| bit + 1)
}

fn states(sensor: &Sensor) -> Vec<(u8, String)> {
    let offsets = (0..15).filter(|offset| sensor.states >> offset & 1 != 0);
    offsets
        .map(|offset| {
            let word = match state(sensor.kind, sensor.event_type, offset) {
                Some(state) => state.word.to_owned(),
                None => code(sensor.kind, sensor.event_type, offset),
            };
            (offset, word)
        })
        .collect()
}

/// Kind of sensor of fans.
const FAN: u8 = 0x04;

type Pair = (&'static MetricDefinition, Option<&'static MetricDefinition>);

fn metric(analog: &Analog, kind: u8) -> Pair {
    match analog.unit.quantity() {
        Quantity::Temperature => (is::TEMPERATURE, Some(is::TEMPERATURE_LIMIT)),
        Quantity::Voltage => (is::VOLTAGE, Some(is::VOLTAGE_LIMIT)),
        Quantity::Current => (is::CURRENT, Some(is::CURRENT_LIMIT)),
        Quantity::Power => (is::POWER, Some(is::POWER_LIMIT)),
        Quantity::FanSpeed => (is::FAN_SPEED, Some(is::FAN_SPEED_LIMIT)),
        Quantity::Other if analog.unit.ucum() == "%" && kind == FAN => (is::FAN_SPEED_RATIO, None),
        Quantity::Other if analog.unit.ucum() == "%" => (is::SENSOR_RATIO, None),
        Quantity::Other => (is::SENSOR_READING, None),
    }
}

fn is_share(metric: &'static MetricDefinition) -> bool {
    std::ptr::eq(metric, is::SENSOR_RATIO) || std::ptr::eq(metric, is::FAN_SPEED_RATIO)
}
