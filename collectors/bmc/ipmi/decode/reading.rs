//! Replies about one sensor: its reading and states (section 35.14), thresholds (35.9) and reading factors (35.5).

use glasshouse_core::hardware::LimitType;

use super::factors::Factors;
use super::{Bytes, DecodeError};

/// What a sensor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The raw byte; its meaning is in the sensor's record.
    pub raw: u8,
    /// Whether the sensor is watched at all.
    pub is_scanned: bool,
    /// Whether the BMC says that there is nothing to read now: the part is off or absent, or the first look is not done.
    pub is_unavailable: bool,
    /// Thresholds that are crossed (bits 0 to 5), or states that hold (bits 0 to 14); `None` where the reply has none.
    pub states: Option<u16>,
}

impl Reading {
    /// From the data of a reply to Get Sensor Reading.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = Bytes::new("a reply to Get Sensor Reading", data);
        let flags = data.byte(1)?;
        let low = data.byte(2).ok().map(u16::from);
        let high = data.byte(3).map_or(0, u16::from);
        Ok(Self {
            raw: data.byte(0)?,
            is_scanned: flags & 0x40 != 0,
            is_unavailable: flags & 0x20 != 0,
            // bit 15 is reserved and returned as one
            states: low.map(|low| (low | high << 8) & 0x7fff),
        })
    }

    /// Whether reading and states mean anything.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.is_scanned && !self.is_unavailable
    }
}

/// The six limits of a sensor, in the order of the bits of every mask of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Lower non-critical.
    LowDegraded,
    /// Lower critical.
    LowCritical,
    /// Lower non-recoverable.
    LowEmergency,
    /// Upper non-critical.
    HighDegraded,
    /// Upper critical.
    HighCritical,
    /// Upper non-recoverable.
    HighEmergency,
}

impl Limit {
    /// All of them: bit 0 first.
    pub const ALL: [Self; 6] = [
        Self::LowDegraded,
        Self::LowCritical,
        Self::LowEmergency,
        Self::HighDegraded,
        Self::HighCritical,
        Self::HighEmergency,
    ];

    /// Which kind of limit it is; `emergency` is what IPMI calls non-recoverable.
    #[must_use]
    pub const fn kind(self) -> LimitType {
        match self {
            Self::LowDegraded => LimitType::LowDegraded,
            Self::LowCritical => LimitType::LowCritical,
            Self::LowEmergency => LimitType::LowEmergency,
            Self::HighDegraded => LimitType::HighDegraded,
            Self::HighCritical => LimitType::HighCritical,
            Self::HighEmergency => LimitType::HighEmergency,
        }
    }
}

/// Raw limits of a sensor; the ones that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds([Option<u8>; 6]);

impl Thresholds {
    /// From a mask and the six bytes, lower non-critical first, as replies have them.
    #[must_use]
    pub fn masked(mask: u8, raw: [u8; 6]) -> Self {
        let mut limits = [None; 6];
        for (bit, (limit, raw)) in limits.iter_mut().zip(raw).enumerate() {
            *limit = (mask >> bit & 1 != 0).then_some(raw);
        }
        Self(limits)
    }

    /// From the data of a reply to Get Sensor Thresholds.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = Bytes::new("a reply to Get Sensor Thresholds", data);
        let mut raw = [0; 6];
        for (at, raw) in raw.iter_mut().enumerate() {
            *raw = data.byte(at + 1)?;
        }
        Ok(Self::masked(data.byte(0)?, raw))
    }

    /// The limits that there are.
    pub fn iter(self) -> impl Iterator<Item = (Limit, u8)> {
        let limits = Limit::ALL.into_iter().zip(self.0);
        limits.filter_map(|(limit, raw)| Some((limit, raw?)))
    }
}

/// The factors for one reading, from the data of a reply to Get Sensor Reading Factors.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn reading_factors(data: &[u8]) -> Result<Factors, DecodeError> {
    // the first byte is the next reading for which they are others
    Factors::decode(Bytes::new("a reply to Get Sensor Reading Factors", data).from(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_says_whether_it_means_anything() {
        let reading = Reading::decode(&[24, 0xc0, 0x00]).unwrap();
        assert!(reading.is_valid());
        assert_eq!((reading.raw, reading.states), (24, Some(0)));
        assert!(!Reading::decode(&[0, 0xe0, 0]).unwrap().is_valid());
        assert!(!Reading::decode(&[0, 0x80, 0]).unwrap().is_valid());
        assert_eq!(Reading::decode(&[0, 0x40]).unwrap().states, None);
        let discrete = Reading::decode(&[0, 0xc0, 0x80, 0x81]).unwrap();
        assert_eq!(discrete.states, Some(0x0180));
        assert!(Reading::decode(&[1]).is_err());
    }

    #[test]
    fn limits_stand_in_the_order_of_their_bits() {
        let limits = Thresholds::decode(&[0x1a, 0, 3, 0, 42, 47, 0]).unwrap();
        let limits: Vec<_> = limits
            .iter()
            .map(|(limit, raw)| (limit.kind().word(), raw))
            .collect();
        assert_eq!(
            limits,
            [
                ("low.critical", 3),
                ("high.degraded", 42),
                ("high.critical", 47)
            ]
        );
        assert!(Thresholds::decode(&[0x3f, 1, 2, 3]).is_err());
    }
}
