//! From what a sensor says it measures to a metric.
//!
//! `ReadingUnits` is UCUM by the schema, but BMCs write words and their own abbreviations. Where unit and `ReadingType`
//! disagree the unit is believed: XCC calls watts a `Current` and revolutions an `AirFlow`.

use glasshouse_core::metric::MetricDefinition;

use super::definitions as is;

/// How a reading becomes a value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conversion {
    /// Of what.
    pub(crate) metric: &'static MetricDefinition,
    /// The limits of the same, where there is such a metric.
    pub(crate) limit: Option<&'static MetricDefinition>,
    factor: f64,
    offset: f64,
}

impl Conversion {
    /// The value in the unit of the metric.
    pub(crate) fn apply(&self, reading: f64) -> f64 {
        // a factor of one and no offset leave the digits as they are
        reading.mul_add(self.factor, self.offset)
    }
}

/// What a sensor says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Says<'s> {
    /// `ReadingType`.
    pub(crate) kind: &'s str,
    /// `ReadingUnits`; `None` where it is not there, as against empty.
    pub(crate) unit: Option<&'s str>,
    /// Whether it says something else that only an analog sensor has: a range or a limit.
    pub(crate) is_analog: bool,
    /// Whether it stands at a fan.
    pub(crate) at_fan: bool,
}

/// How to convert; `None` where the sensor measures nothing (a discrete one).
pub(crate) fn conversion(says: Says<'_>) -> Option<Conversion> {
    match says.unit.map(str::trim) {
        Some("") | None => by_kind(says),
        Some(unit) => Some(by_unit(unit, says)),
    }
}

fn by_unit(unit: &str, says: Says<'_>) -> Conversion {
    const WATT_HOUR: f64 = 3600.0;
    let lower = unit.to_ascii_lowercase();
    let (definition, factor, offset) = match lower.as_str() {
        "cel" | "c" | "celsius" | "degrees c" | "degree c" | "degc" | "degreesc" | "°c" => {
            (is::TEMPERATURE, 1.0, 0.0)
        }
        "k" | "kelvin" => (is::TEMPERATURE, 1.0, -273.15),
        "[degf]" | "f" | "fahrenheit" | "degf" | "degreesf" => {
            (is::TEMPERATURE, 5.0 / 9.0, -160.0 / 9.0)
        }
        "v" | "volt" | "volts" => (is::VOLTAGE, 1.0, 0.0),
        "mv" | "millivolts" => (is::VOLTAGE, 1e-3, 0.0),
        "a" | "amp" | "amps" | "ampere" | "amperes" => (is::CURRENT, 1.0, 0.0),
        "ma" | "milliamps" => (is::CURRENT, 1e-3, 0.0),
        "w" | "watt" | "watts" => (is::POWER, 1.0, 0.0),
        "kw" | "kilowatts" => (is::POWER, 1e3, 0.0),
        // UCUM tells `mW` from `MW`
        _ if unit == "mW" || lower == "milliwatts" => (is::POWER, 1e-3, 0.0),
        "j" | "joule" | "joules" => (is::ENERGY, 1.0, 0.0),
        "kj" => (is::ENERGY, 1e3, 0.0),
        "wh" | "w.h" => (is::ENERGY, WATT_HOUR, 0.0),
        "kwh" | "kw.h" => (is::ENERGY, 1e3 * WATT_HOUR, 0.0),
        "rpm" | "{rev}/min" | "rev/min" | "revolutions per minute" => (is::FAN_SPEED, 1.0, 0.0),
        "%" | "percent" | "%{rh}" | "% rh" => (share(says), 1e-2, 0.0),
        _ => (is::SENSOR_READING, 1.0, 0.0),
    };
    of(definition, factor, offset)
}

/// Where no unit is written, the type fixes it (DSP0268, Sensor). XCC writes an empty one for sensors that only have
/// states, and says their type all the same.
fn by_kind(says: Says<'_>) -> Option<Conversion> {
    if says.unit.is_some() && !says.is_analog {
        return None;
    }
    let definition = match says.kind {
        "Temperature" => is::TEMPERATURE,
        "Voltage" => is::VOLTAGE,
        "Current" => is::CURRENT,
        "Power" => is::POWER,
        "EnergyJoules" => is::ENERGY,
        "Rotational" => is::FAN_SPEED,
        "Humidity" | "Percent" => return Some(of(share(says), 1e-2, 0.0)),
        "EnergykWh" => return Some(of(is::ENERGY, 3.6e6, 0.0)),
        "EnergyWh" => return Some(of(is::ENERGY, 3600.0, 0.0)),
        _ => return None,
    };
    Some(of(definition, 1.0, 0.0))
}

fn share(says: Says<'_>) -> &'static MetricDefinition {
    match says.kind.as_bytes() {
        b"Humidity" => is::HUMIDITY,
        _ if says.at_fan => is::FAN_SPEED_RATIO,
        _ => is::SENSOR_RATIO,
    }
}

fn of(metric: &'static MetricDefinition, factor: f64, offset: f64) -> Conversion {
    let limits = [
        (is::TEMPERATURE, is::TEMPERATURE_LIMIT),
        (is::VOLTAGE, is::VOLTAGE_LIMIT),
        (is::CURRENT, is::CURRENT_LIMIT),
        (is::POWER, is::POWER_LIMIT),
        (is::FAN_SPEED, is::FAN_SPEED_LIMIT),
    ];
    let limit = limits.into_iter().find(|(of, _)| std::ptr::eq(*of, metric));
    Conversion {
        metric,
        limit: limit.map(|(_, limit)| limit),
        factor,
        offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: &str, unit: Option<&str>) -> Option<(&'static str, f64)> {
        let says = Says {
            kind,
            unit,
            ..Says::default()
        };
        conversion(says).map(|conversion| (conversion.metric.name, conversion.apply(100.0)))
    }

    #[test]
    fn units_are_believed_before_types() {
        for (kind, unit, name, value) in [
            ("Temperature", "Cel", "hw.temperature", 100.0),
            ("Temperature", "C", "hw.temperature", 100.0),
            ("Temperature", "K", "hw.temperature", -173.15),
            ("Current", "Watts", "hw.power", 100.0),
            ("AirFlow", "RPM", "hw.fan.speed", 100.0),
            ("Power", "mW", "hw.power", 0.1),
            ("Power", "MW", "hw.sensor.reading", 100.0),
            ("EnergykWh", "kW.h", "hw.energy", 3.6e8),
            ("Humidity", "%", "hw.humidity.ratio", 1.0),
            ("Percent", "%", "hw.sensor.ratio", 1.0),
            ("AirFlow", "CFM", "hw.sensor.reading", 100.0),
        ] {
            let (found, converted) = named(kind, Some(unit)).unwrap();
            assert_eq!(found, name, "{kind} {unit}");
            assert!((converted - value).abs() < 1e-6, "{kind} {unit}");
        }
        let boiling = named("Temperature", Some("[degF]")).unwrap().1;
        assert!((boiling - 37.777).abs() < 0.01);
    }

    /// XCC of a ThinkSystem: `PCIe 8 OverTemp` is a `Temperature` with the unit `""` and the reading 0.
    #[test]
    fn lenovo_sr670_discrete_sensors_measure_nothing() {
        assert_eq!(named("Temperature", Some("")), None);
        assert_eq!(named("", Some("")), None);
        assert_eq!(
            named("Temperature", None),
            Some(("hw.temperature", 100.0)),
            "no unit at all"
        );
        let analog = Says {
            kind: "Temperature",
            unit: Some(""),
            is_analog: true,
            at_fan: false,
        };
        assert!(conversion(analog).is_some());
    }
}
