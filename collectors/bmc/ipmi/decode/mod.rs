//! What a BMC's bytes mean. Pure functions over slices: no transport, no clock, and no input that makes them panic.
//!
//! Tables and formulas follow the IPMI specification 2.0 revision 1.1 and DCMI 1.5; each file names its sections. All
//! of it is ours because the crates that have parsers trust the BMC: they panic on short records and take signs and
//! linearizations wrong.

pub mod dcmi;
pub mod device;
pub mod entity;
pub mod factors;
pub mod fru;
pub mod reading;
pub mod sdr;
pub mod sel;
pub mod states;
pub mod text;
pub mod unit;

/// Why bytes make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end before what is needed.
    #[error("{what} ends after {found} bytes")]
    Short {
        /// Which reply or record.
        what: &'static str,
        /// How long it is.
        found: usize,
    },
    /// A byte has a value that the specification does not have there.
    #[error("{what} has {found:#04x} where that cannot be")]
    Odd {
        /// Which reply or record.
        what: &'static str,
        /// The byte.
        found: u8,
    },
    /// A sum over an area is wrong.
    #[error("the checksum of {what} is wrong")]
    Checksum {
        /// Which area.
        what: &'static str,
    },
}

/// A reply or record under a name, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'b> {
    what: &'static str,
    bytes: &'b [u8],
}

impl<'b> Bytes<'b> {
    pub(crate) const fn new(what: &'static str, bytes: &'b [u8]) -> Self {
        Self { what, bytes }
    }

    pub(crate) fn byte(self, at: usize) -> Result<u8, DecodeError> {
        self.bytes.get(at).copied().ok_or_else(|| self.short())
    }

    /// Least significant byte first, as everywhere in IPMI.
    pub(crate) fn word(self, at: usize) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes([
            self.byte(at)?,
            self.byte(at.saturating_add(1))?,
        ]))
    }

    pub(crate) fn three(self, at: usize) -> Result<u32, DecodeError> {
        Ok(u32::from(self.word(at)?) | u32::from(self.byte(at.saturating_add(2))?) << 16)
    }

    pub(crate) fn double(self, at: usize) -> Result<u32, DecodeError> {
        Ok(u32::from(self.word(at)?) | u32::from(self.word(at.saturating_add(2))?) << 16)
    }

    pub(crate) fn from(self, at: usize) -> &'b [u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    pub(crate) const fn short(self) -> DecodeError {
        DecodeError::Short {
            what: self.what,
            found: self.bytes.len(),
        }
    }

    pub(crate) const fn odd(self, found: u8) -> DecodeError {
        DecodeError::Odd {
            what: self.what,
            found,
        }
    }
}
