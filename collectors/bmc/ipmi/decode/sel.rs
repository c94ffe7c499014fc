//! Records of the system event log (section 32) and the replies around it (31.2, 31.5, 31.10).

use super::{Bytes, DecodeError};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 16;

/// The next record after the last one.
pub const NO_RECORD: u16 = 0xffff;

/// Times below this are counted from the start of the BMC, not from 1970.
const FIRST_TIME: u32 = 0x2000_0000;

/// What a BMC puts where it knows no time.
const NO_TIME: u32 = 0xffff_ffff;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub id: u16,
    /// When it happened by the BMC's clock, in seconds since 1970; `None` where its clock was not set.
    pub seconds: Option<u32>,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A sensor changed its state (02h).
    Event(Event),
    /// The maker's own with a time (C0h to DFh): manufacturer id and six bytes.
    OemTimed {
        /// Record type.
        kind: u8,
        /// IANA number of the maker.
        manufacturer: u32,
        /// What it says, to its maker.
        data: [u8; 6],
    },
    /// The maker's own without a time (E0h to FFh): thirteen bytes.
    OemTimeless {
        /// Record type.
        kind: u8,
        /// What it says, to its maker.
        data: [u8; 13],
    },
    /// A type that is reserved.
    Unknown(u8),
}

/// A sensor changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who said so: a bus address, or a software id where bit 0 is set.
    pub generator: u8,
    /// Its channel and logical unit.
    pub generator_place: u8,
    /// Format of the event: 04h, or 03h of IPMI 1.0.
    pub revision: u8,
    /// What the sensor watches.
    pub kind: u8,
    /// Number of the sensor.
    pub number: u8,
    /// Whether the state ended rather than began.
    pub is_deassertion: bool,
    /// What states mean.
    pub event_type: u8,
    /// Which state.
    pub offset: u8,
    /// What the second and third byte are.
    pub data: [Extra; 2],
}

/// A byte of an event beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Not specified.
    None,
    /// The reading that triggered it, or (third byte) the limit; of sensors with limits.
    Reading(u8),
    /// The state before, and a severity; of other sensors.
    Previous(u8),
    /// What the sensor's table says.
    Specific(u8),
    /// The maker's own.
    Oem(u8),
}

/// Reads a record.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn decode(record: &[u8]) -> Result<Record, DecodeError> {
    let record = Bytes::new("a SEL record", record);
    let kind = record.byte(2)?;
    // whole, or not at all
    record.byte(RECORD_BYTES - 1)?;
    let (body, is_timed) = match kind {
        0x02 => (Body::Event(event(record)?), true),
        0xc0..=0xdf => {
            let mut data = [0; 6];
            fill(&mut data, record.from(10));
            let manufacturer = record.three(7)?;
            let body = Body::OemTimed {
                kind,
                manufacturer,
                data,
            };
            (body, true)
        }
        0xe0..=0xff => {
            let mut data = [0; 13];
            fill(&mut data, record.from(3));
            (Body::OemTimeless { kind, data }, false)
        }
        other => (Body::Unknown(other), false),
    };
    let seconds = record.double(3)?;
    Ok(Record {
        id: record.word(0)?,
        seconds: (is_timed && is_time(seconds)).then_some(seconds),
        body,
    })
}

/// Whether a time is one, rather than the age of a BMC whose clock was not set.
#[must_use]
pub const fn is_time(seconds: u32) -> bool {
    seconds > FIRST_TIME && seconds != NO_TIME
}

fn fill(data: &mut [u8], from: &[u8]) {
    for (byte, from) in data.iter_mut().zip(from) {
        *byte = *from;
    }
}

fn event(record: Bytes<'_>) -> Result<Event, DecodeError> {
    let direction = record.byte(12)?;
    let first = record.byte(13)?;
    let event_type = direction & 0x7f;
    let has_limits = event_type == super::sdr::THRESHOLD;
    let extra = |how: u8, byte: u8| match how & 3 {
        1 if has_limits => Extra::Reading(byte),
        1 => Extra::Previous(byte),
        2 => Extra::Oem(byte),
        3 => Extra::Specific(byte),
        _ => Extra::None,
    };
    Ok(Event {
        generator: record.byte(7)?,
        generator_place: record.byte(8)?,
        revision: record.byte(9)?,
        kind: record.byte(10)?,
        number: record.byte(11)?,
        is_deassertion: direction & 0x80 != 0,
        event_type,
        offset: first & 0x0f,
        data: [
            extra(first >> 6, record.byte(14)?),
            extra(first >> 4, record.byte(15)?),
        ],
    })
}

/// How full the log is, and when it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Records in it.
    pub entries: u16,
    /// Bytes that are free; `None` where there are more than 65534.
    pub free_bytes: Option<u16>,
    /// When the last record came, by the BMC's clock.
    pub added: u32,
    /// When it was last cleared, by the BMC's clock.
    pub erased: u32,
    /// Whether records were lost because it was full.
    pub has_overflowed: bool,
}

impl Info {
    /// From the data of a reply to Get SEL Info.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let data = Bytes::new("a reply to Get SEL Info", data);
        let free = data.word(3)?;
        Ok(Self {
            entries: data.word(1)?,
            free_bytes: (free != 0xffff).then_some(free),
            added: data.double(5)?,
            erased: data.double(9)?,
            has_overflowed: data.byte(13)? & 0x80 != 0,
        })
    }

    /// The share of the log that is free, 0 to 1; `None` where the BMC does not say.
    #[must_use]
    pub fn free_share(self) -> Option<f64> {
        let free = f64::from(self.free_bytes?);
        let used = f64::from(self.entries) * 16.0;
        (free + used > 0.0).then(|| free / (free + used))
    }
}

/// A record and the number of the one after it, from the data of a reply to Get SEL Entry.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn entry(data: &[u8]) -> Result<(u16, [u8; RECORD_BYTES]), DecodeError> {
    let data = Bytes::new("a reply to Get SEL Entry", data);
    let record = data
        .from(2)
        .first_chunk::<RECORD_BYTES>()
        .ok_or_else(|| data.short())?;
    Ok((data.word(0)?, *record))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECC: [u8; 16] = [
        0x12, 0, 0x02, 0x10, 0x32, 0x54, 0x66, 0x20, 0x00, 0x04, 0x0c, 0x16, 0x6f, 0xa1, 0x03, 0x05,
    ];

    #[test]
    fn an_event_is_read_field_by_field() {
        let record = decode(&ECC).unwrap();
        assert_eq!((record.id, record.seconds), (0x12, Some(0x6654_3210)));
        let Body::Event(event) = record.body else {
            unreachable!()
        };
        assert_eq!(
            (event.kind, event.number, event.event_type),
            (0x0c, 0x16, 0x6f)
        );
        assert_eq!((event.offset, event.is_deassertion), (1, false));
        assert_eq!(event.data, [Extra::Oem(3), Extra::Oem(5)]);
    }

    #[test]
    fn readings_stand_only_in_events_of_limits() {
        let mut record = ECC;
        (record[12], record[13]) = (0x81, 0x59);
        let Body::Event(event) = decode(&record).unwrap().body else {
            unreachable!()
        };
        assert!(event.is_deassertion);
        assert_eq!(event.data, [Extra::Reading(3), Extra::Reading(5)]);
        record[12] = 0x07;
        let Body::Event(event) = decode(&record).unwrap().body else {
            unreachable!()
        };
        assert_eq!(event.data[0], Extra::Previous(3));
    }

    #[test]
    fn a_clock_that_was_not_set_is_no_time() {
        for (bytes, seconds) in [
            ([0x00, 0x00, 0x00, 0x20], None),
            ([0x10, 0x27, 0x00, 0x00], None),
            ([0xff, 0xff, 0xff, 0xff], None),
            ([0x01, 0x00, 0x00, 0x20], Some(0x2000_0001)),
        ] {
            let mut record = ECC;
            record[3..7].copy_from_slice(&bytes);
            assert_eq!(decode(&record).unwrap().seconds, seconds);
        }
    }

    #[test]
    fn makers_records_keep_their_bytes() {
        let mut record = ECC;
        record[2] = 0xc1;
        let timed = decode(&record).unwrap();
        assert_eq!(timed.seconds, Some(0x6654_3210));
        assert_eq!(
            timed.body,
            Body::OemTimed {
                kind: 0xc1,
                manufacturer: 0x0004_0020,
                data: [0x0c, 0x16, 0x6f, 0xa1, 0x03, 0x05]
            }
        );
        record[2] = 0xf0;
        let timeless = decode(&record).unwrap();
        assert_eq!(timeless.seconds, None);
        assert!(matches!(timeless.body, Body::OemTimeless { data, .. } if data[0] == 0x10));
        record[2] = 0x07;
        assert_eq!(decode(&record).unwrap().body, Body::Unknown(7));
    }

    #[test]
    fn the_share_that_is_free_needs_a_number() {
        let info = |free: u16| Info {
            entries: 100,
            free_bytes: Some(free),
            added: 0,
            erased: 0,
            has_overflowed: false,
        };
        assert_eq!(info(1600).free_share(), Some(0.5));
        assert_eq!(info(0).free_share(), Some(0.0));
        let reply = [0x51, 2, 0, 0xff, 0xff, 1, 0, 0, 0, 2, 0, 0, 0, 0x8a];
        let decoded = Info::decode(&reply).unwrap();
        assert_eq!((decoded.entries, decoded.free_share()), (2, None));
        assert_eq!((decoded.added, decoded.erased), (1, 2));
        assert!(decoded.has_overflowed);
    }
}
