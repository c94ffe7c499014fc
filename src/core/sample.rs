//! One reading: a value with its time and how far it can be trusted.

use crate::failure::FailureReason;
use crate::time::Timestamp;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    U64(u64),
    /// A finite floating-point number.
    F64(f64),
    /// An index into the states of the metric.
    State(u16),
}

impl Value {
    /// The value as a number; exact to 2⁵³ for whole numbers, the index for states.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "answers are f64; counters beyond 2^53 lose their last bits only"
    )]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::U64(whole) => whole as f64,
            Self::F64(float) => float,
            Self::State(index) => f64::from(index),
        }
    }

    /// Whether it may be stored: NaN and infinities may not.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        match self {
            Self::F64(float) => float.is_finite(),
            Self::U64(_) | Self::State(_) => true,
        }
    }
}

/// How far a reading can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quality {
    /// Read as it should be.
    #[default]
    Good,
    /// No fresh value for three periods; the value is the last one seen.
    Stale,
    /// Derived, not read.
    Estimated,
    /// There is no value, and this is why.
    Absent(FailureReason),
}

impl Quality {
    /// The stored number: 0 good, 1 stale, 2 estimated, 16 + reason where absent.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Stale => 1,
            Self::Estimated => 2,
            Self::Absent(reason) => 16 + reason.code(),
        }
    }

    /// From the stored number; an unknown one reads as absent, because nothing vouches for the value.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Good,
            1 => Self::Stale,
            2 => Self::Estimated,
            code => Self::Absent(FailureReason::from_code(code.wrapping_sub(16))),
        }
    }

    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Stale => "stale",
            Self::Estimated => "estimated",
            Self::Absent(_) => "absent",
        }
    }
}

/// One reading of one series. `value` is `None` exactly where the quality is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was read.
    pub at: Timestamp,
    /// What was read.
    pub value: Option<Value>,
    /// How far it can be trusted.
    pub quality: Quality,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_codes_survive_a_round_trip() {
        let absent = FailureReason::ALL
            .iter()
            .map(|reason| Quality::Absent(*reason));
        for quality in [Quality::Good, Quality::Stale, Quality::Estimated]
            .into_iter()
            .chain(absent)
        {
            assert_eq!(Quality::from_code(quality.code()), quality);
        }
        assert!(matches!(Quality::from_code(9), Quality::Absent(_)));
    }
}
