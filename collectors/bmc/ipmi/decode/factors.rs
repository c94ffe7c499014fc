//! From a raw byte to a value: analog formats, reading factors, linearizations, tolerance and accuracy
//! (sections 36.3 to 36.5).

use super::{Bytes, DecodeError};

/// How the raw byte of a sensor is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnalogFormat {
    /// 0 to 255.
    Unsigned,
    /// −127 to 127, with two zeros.
    OnesComplement,
    /// −128 to 127.
    TwosComplement,
}

impl AnalogFormat {
    /// From bits 7:6 of the units byte; `None` is a sensor without an analog reading.
    #[must_use]
    pub const fn of(units: u8) -> Option<Self> {
        match units >> 6 {
            0 => Some(Self::Unsigned),
            1 => Some(Self::OnesComplement),
            2 => Some(Self::TwosComplement),
            _ => None,
        }
    }

    /// The raw byte as a number.
    #[must_use]
    pub fn number(self, raw: u8) -> f64 {
        match self {
            Self::Unsigned => f64::from(raw),
            // all bits set is the negative zero
            Self::OnesComplement if raw & 0x80 != 0 => -f64::from(!raw),
            Self::OnesComplement => f64::from(raw),
            Self::TwosComplement => f64::from(raw.cast_signed()),
        }
    }
}

/// What a sensor's linear result goes through before it is the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linearization {
    /// One of the twelve of the specification.
    Known(Curve),
    /// Factors change with the reading and have to be asked for it (70h), or are the maker's (71h to 7Fh), which the
    /// specification has asked the same way.
    NonLinear,
}

/// The twelve curves, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// y = x.
    Linear,
    /// Natural logarithm.
    Ln,
    /// Decimal logarithm.
    Log10,
    /// Binary logarithm.
    Log2,
    /// e to the power of x.
    Exp,
    /// 10 to the power of x.
    Exp10,
    /// 2 to the power of x.
    Exp2,
    /// 1 / x.
    Inverse,
    /// x².
    Square,
    /// x³.
    Cube,
    /// Square root.
    SquareRoot,
    /// Cube root.
    CubeRoot,
}

const CURVES: [Curve; 12] = [
    Curve::Linear,
    Curve::Ln,
    Curve::Log10,
    Curve::Log2,
    Curve::Exp,
    Curve::Exp10,
    Curve::Exp2,
    Curve::Inverse,
    Curve::Square,
    Curve::Cube,
    Curve::SquareRoot,
    Curve::CubeRoot,
];

impl Linearization {
    /// From the linearization byte; `None` is a number that is reserved.
    #[must_use]
    pub fn of(byte: u8) -> Option<Self> {
        match byte & 0x7f {
            0x70..=0x7f => Some(Self::NonLinear),
            number => CURVES.get(usize::from(number)).copied().map(Self::Known),
        }
    }
}

impl Curve {
    /// The value; not finite where the curve has none.
    #[must_use]
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Ln => x.ln(),
            Self::Log10 => x.log10(),
            Self::Log2 => x.log2(),
            Self::Exp => x.exp(),
            Self::Exp10 => 10_f64.powf(x),
            Self::Exp2 => x.exp2(),
            Self::Inverse => x.recip(),
            Self::Square => x * x,
            Self::Cube => x * x * x,
            Self::SquareRoot => x.sqrt(),
            Self::CubeRoot => x.cbrt(),
        }
    }
}

/// M, B, their exponents, tolerance and accuracy: in a full sensor record, or asked for one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factors {
    /// M, 10 bits, signed.
    pub multiplier: i16,
    /// B, 10 bits, signed.
    pub offset: i16,
    /// K1, the exponent of B, 4 bits, signed.
    pub offset_exponent: i8,
    /// K2, the exponent of the result, 4 bits, signed.
    pub result_exponent: i8,
    /// In halves of a raw count, 6 bits.
    pub tolerance: u8,
    /// In hundredths of a percent before its exponent, 10 bits.
    pub accuracy: u16,
    /// 2 bits.
    pub accuracy_exponent: u8,
}

impl Factors {
    /// From the six bytes in which records and replies have them: M; M and tolerance; B; B and accuracy; accuracy and
    /// its exponent; both exponents.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(six: &[u8]) -> Result<Self, DecodeError> {
        let six = Bytes::new("a set of reading factors", six);
        let (m_low, m_high) = (six.byte(0)?, six.byte(1)?);
        let (b_low, b_high) = (six.byte(2)?, six.byte(3)?);
        let (accuracy, exponents) = (six.byte(4)?, six.byte(5)?);
        Ok(Self {
            multiplier: ten_bits(m_low, m_high),
            offset: ten_bits(b_low, b_high),
            offset_exponent: four_bits(exponents),
            result_exponent: four_bits(exponents >> 4),
            tolerance: m_high & 0x3f,
            accuracy: u16::from(b_high & 0x3f) | u16::from(accuracy >> 4) << 6,
            accuracy_exponent: (accuracy >> 2) & 3,
        })
    }

    /// (M x + B 10^K1) 10^K2, before any curve.
    #[must_use]
    pub fn linear(self, x: f64) -> f64 {
        let offset = shifted(f64::from(self.offset), self.offset_exponent);
        let sum = f64::from(self.multiplier) * x + offset;
        shifted(sum, self.result_exponent)
    }

    /// The value of a raw reading; `None` where the curve has none (the logarithm of nothing).
    #[must_use]
    pub fn value(self, format: AnalogFormat, curve: Curve, raw: u8) -> Option<f64> {
        Some(curve.apply(self.linear(format.number(raw)))).filter(|value| value.is_finite())
    }

    /// How far the true value may lie from what the raw reading says, in units of the value: the half counts of the
    /// tolerance to either side, through the curve; the wider side of the two.
    #[must_use]
    pub fn tolerance_at(self, format: AnalogFormat, curve: Curve, raw: u8) -> Option<f64> {
        let x = format.number(raw);
        let half_counts = f64::from(self.tolerance) / 2.0;
        let value = |x: f64| Some(curve.apply(self.linear(x))).filter(|value| value.is_finite());
        let at = value(x)?;
        let sides = [value(x - half_counts), value(x + half_counts)];
        sides
            .into_iter()
            .flatten()
            .map(|side| (side - at).abs())
            .reduce(f64::max)
    }

    /// The accuracy in percent of the reading.
    #[must_use]
    pub fn accuracy_percent(self) -> f64 {
        f64::from(self.accuracy) * 10_f64.powi(i32::from(self.accuracy_exponent)) / 100.0
    }
}

/// x 10^k. Division is exact where a multiplication by 0.001 is not: 12060 mV are 12.06 V, not 12.060000000000001.
fn shifted(x: f64, exponent: i8) -> f64 {
    let power = 10_f64.powi(i32::from(exponent.unsigned_abs()));
    if exponent < 0 { x / power } else { x * power }
}

/// Eight low bits and, in bits 7:6 of the second byte, two high ones: 10 bits with a sign.
fn ten_bits(low: u8, high: u8) -> i16 {
    let bits = u16::from(low) | u16::from(high >> 6) << 8;
    // the sign to the top, and down again with it
    (bits << 6).cast_signed() >> 6
}

const fn four_bits(nibble: u8) -> i8 {
    (nibble << 4).cast_signed() >> 4
}
