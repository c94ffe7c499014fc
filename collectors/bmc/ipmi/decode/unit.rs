//! Units of sensors (section 43.17) in UCUM.

/// Units by their number; an empty one says nothing.
const UNITS: [&str; 93] = [
    "1",
    "Cel",
    "[degF]",
    "K",
    "V",
    "A",
    "W",
    "J",
    "C",
    "V.A",
    "cd/m2",
    "lm",
    "lx",
    "cd",
    "kPa",
    "[psi]",
    "N",
    "[cft_i]/min",
    "rpm",
    "Hz",
    "us",
    "ms",
    "s",
    "min",
    "h",
    "d",
    "wk",
    "[mil_i]",
    "[in_i]",
    "[ft_i]",
    "[cin_i]",
    "[cft_i]",
    "mm",
    "cm",
    "m",
    "cm3",
    "m3",
    "L",
    "[foz_us]",
    "rad",
    "sr",
    "{revolution}",
    "{cycle}",
    "[g]",
    "[oz_av]",
    "[lb_av]",
    "[ft_i].[lbf_av]",
    "[oz_av].[in_i]",
    "G",
    "Gb",
    "H",
    "mH",
    "F",
    "uF",
    "Ohm",
    "S",
    "mol",
    "Bq",
    "[ppm]",
    "",
    "dB",
    "dB{A}",
    "dB{C}",
    "Gy",
    "Sv",
    "K{color}",
    "bit",
    "kbit",
    "Mbit",
    "Gbit",
    "By",
    "KiBy",
    "MiBy",
    "GiBy",
    "{word}",
    "{dword}",
    "{qword}",
    "{line}",
    "{hit}",
    "{miss}",
    "{retry}",
    "{reset}",
    "{overflow}",
    "{underrun}",
    "{collision}",
    "{packet}",
    "{message}",
    "{character}",
    "{error}",
    "{correctable_error}",
    "{uncorrectable_error}",
    "{fatal_error}",
    "g",
];

/// Rates by bits 5:3 of the units byte.
const RATES: [&str; 8] = ["", "/us", "/ms", "/s", "/min", "/h", "/d", ""];

/// What one unit of a sensor's value is: three bytes of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Analog format, rate, use of the modifier, percentage.
    pub flags: u8,
    /// Number of the base unit.
    pub base: u8,
    /// Number of the modifier unit.
    pub modifier: u8,
}

/// What a value in plain units is, where nothing modifies them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Degrees Celsius; Fahrenheit and Kelvin come as this.
    Temperature,
    /// Volts.
    Voltage,
    /// Amperes.
    Current,
    /// Watts.
    Power,
    /// Revolutions in a minute.
    FanSpeed,
    /// Anything else.
    Other,
}

/// Base unit of degrees Fahrenheit.
const FAHRENHEIT: u8 = 2;
/// Base unit of kelvins.
const KELVIN: u8 = 3;

impl Unit {
    /// What it measures.
    #[must_use]
    pub const fn quantity(self) -> Quantity {
        if self.is_percentage() || self.has_rate() || self.has_modifier() {
            return Quantity::Other;
        }
        match self.base {
            1..=KELVIN => Quantity::Temperature,
            4 => Quantity::Voltage,
            5 => Quantity::Current,
            6 => Quantity::Power,
            18 => Quantity::FanSpeed,
            _ => Quantity::Other,
        }
    }

    /// A value in the unit of its [`Quantity`]: Celsius for the other degrees.
    #[must_use]
    pub fn plain(self, value: f64) -> f64 {
        match (self.quantity(), self.base) {
            (Quantity::Temperature, FAHRENHEIT) => (value - 32.0) / 1.8,
            (Quantity::Temperature, KELVIN) => value - 273.15,
            _ => value,
        }
    }

    /// The unit in UCUM, with rate, modifier and percentage; `1` where the record says nothing.
    #[must_use]
    pub fn ucum(self) -> String {
        if self.is_percentage() {
            return "%".to_owned();
        }
        let mut unit = name(self.base).to_owned();
        if self.has_modifier() {
            // 01b is base / modifier, 10b base × modifier
            unit.push(if self.flags >> 1 & 3 == 1 { '/' } else { '.' });
            unit.push_str(name(self.modifier));
        }
        unit.push_str(
            RATES
                .get(usize::from(self.flags >> 3 & 7))
                .copied()
                .unwrap_or_default(),
        );
        unit
    }

    /// Whether the record names a unit at all.
    #[must_use]
    pub const fn is_named(self) -> bool {
        self.base != 0 || self.is_percentage()
    }

    const fn is_percentage(self) -> bool {
        self.flags & 1 != 0
    }

    const fn has_rate(self) -> bool {
        matches!(self.flags >> 3 & 7, 1..=6)
    }

    const fn has_modifier(self) -> bool {
        matches!(self.flags >> 1 & 3, 1 | 2)
    }
}

fn name(number: u8) -> &'static str {
    match UNITS.get(usize::from(number)) {
        None | Some(&"") => "1",
        Some(unit) => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn unit(flags: u8, base: u8, modifier: u8) -> Unit {
        Unit {
            flags,
            base,
            modifier,
        }
    }

    #[test]
    fn units_are_written_in_ucum_with_all_that_modifies_them() {
        let cases = [
            (unit(0, 1, 0), "Cel", Quantity::Temperature),
            (unit(0, 18, 0), "rpm", Quantity::FanSpeed),
            (unit(0, 17, 0), "[cft_i]/min", Quantity::Other),
            (unit(1, 18, 0), "%", Quantity::Other),
            (unit(0x18, 7, 0), "J/s", Quantity::Other),
            (unit(0x02, 6, 35), "W/cm3", Quantity::Other),
            (unit(0x04, 6, 24), "W.h", Quantity::Other),
            (unit(0, 92, 0), "g", Quantity::Other),
            (unit(0, 0, 0), "1", Quantity::Other),
            (unit(0, 59, 0), "1", Quantity::Other),
            (unit(0, 255, 0), "1", Quantity::Other),
            // 11b of the modifier is reserved
            (unit(0x06, 6, 24), "W", Quantity::Power),
        ];
        for (unit, ucum, quantity) in cases {
            assert_eq!((unit.ucum().as_str(), unit.quantity()), (ucum, quantity));
        }
    }

    #[test]
    fn degrees_of_other_scales_become_celsius() {
        assert!((unit(0, 2, 0).plain(212.0) - 100.0).abs() < 1e-9);
        assert!((unit(0, 3, 0).plain(300.0) - 26.85).abs() < 1e-9);
        assert!((unit(0, 1, 0).plain(21.5) - 21.5).abs() < 1e-9);
    }
}
