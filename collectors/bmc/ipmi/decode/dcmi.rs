//! Power by DCMI 1.5 (section 6.6): what the machine draws, and what it may.

use super::{Bytes, DecodeError};

/// The group extension that stands first in every request and reply of DCMI.
pub const GROUP: u8 = 0xdc;

/// What the machine draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerReading {
    /// Watts now.
    pub current: u16,
    /// Least watts of the statistics period.
    pub minimum: u16,
    /// Most watts of the statistics period.
    pub maximum: u16,
    /// Mean watts of the statistics period.
    pub average: u16,
    /// Length of that period in milliseconds.
    pub period_milliseconds: u32,
    /// Whether the BMC measures at all.
    pub is_active: bool,
}

impl PowerReading {
    /// From the data of a reply to Get Power Reading.
    ///
    /// # Errors
    /// [`DecodeError`] where it is short or not DCMI's.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = dcmi("a reply to Get Power Reading", data)?;
        Ok(Self {
            current: data.word(1)?,
            minimum: data.word(3)?,
            maximum: data.word(5)?,
            average: data.word(7)?,
            period_milliseconds: data.double(13)?,
            is_active: data.byte(17)? & 0x40 != 0,
        })
    }

    /// Whether the numbers can be a running machine's: boards exist that answer with nothing but zeros.
    #[must_use]
    pub const fn is_measured(self) -> bool {
        self.is_active && self.current > 0
    }
}

/// What the machine may draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLimit {
    /// What the BMC does beyond it: 0 nothing, 1 power off, 11h only log.
    pub action: u8,
    /// The limit in watts.
    pub watts: u16,
    /// How long it may be crossed, in milliseconds.
    pub correction_milliseconds: u32,
}

impl PowerLimit {
    /// From the data of a reply to Get Power Limit.
    ///
    /// # Errors
    /// [`DecodeError`] where it is short or not DCMI's.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = dcmi("a reply to Get Power Limit", data)?;
        Ok(Self {
            action: data.byte(3)?,
            watts: data.word(4)?,
            correction_milliseconds: data.double(6)?,
        })
    }
}

fn dcmi<'b>(what: &'static str, data: &'b [u8]) -> Result<Bytes<'b>, DecodeError> {
    let data = Bytes::new(what, data);
    match data.byte(0)? {
        GROUP => Ok(data),
        other => Err(data.odd(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_reading_is_read_field_by_field() {
        let reply = [
            0xdc, 0x9c, 0x01, 0xb4, 0x00, 0x8f, 0x02, 0x8e, 0x01, 1, 2, 3, 4, 0x60, 0xea, 0, 0,
            0x40,
        ];
        let reading = PowerReading::decode(&reply).unwrap();
        assert_eq!(
            reading,
            PowerReading {
                current: 412,
                minimum: 180,
                maximum: 655,
                average: 398,
                period_milliseconds: 60_000,
                is_active: true
            }
        );
        assert!(reading.is_measured());
        let still = PowerReading {
            is_active: false,
            ..reading
        };
        assert!(!still.is_measured());
        let zeros = PowerReading {
            current: 0,
            ..reading
        };
        assert!(!zeros.is_measured());
        assert!(PowerReading::decode(&reply[..17]).is_err());
        assert!(PowerReading::decode(&[0; 18]).is_err());
    }

    #[test]
    fn a_limit_is_read_field_by_field() {
        let reply = [0xdc, 0, 0, 0x11, 0x20, 0x03, 0xe8, 0x03, 0, 0, 0, 0, 1, 0];
        let limit = PowerLimit::decode(&reply).unwrap();
        assert_eq!((limit.action, limit.watts), (0x11, 800));
        assert_eq!(limit.correction_milliseconds, 1000);
    }
}
