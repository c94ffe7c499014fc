//! Sensor data records (section 43): what sensors and parts a BMC has, and how their readings are to be understood.

use super::entity::Entity;
use super::factors::{AnalogFormat, Factors, Linearization};
use super::reading::Thresholds;
use super::text::identifier;
use super::unit::Unit;
use super::{Bytes, DecodeError};

/// Bytes before the body of a record: id, version, type, length.
pub const HEADER_BYTES: usize = 5;

/// The event/reading type of sensors with limits.
pub const THRESHOLD: u8 = 0x01;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A sensor: full (01h), compact (02h), or one that makes events alone (03h). A compact or event-only record may
    /// stand for several sensors: this is one for each.
    Sensors(Vec<Sensor>),
    /// A part with an inventory (11h).
    Fru(FruLocator),
    /// A management controller (12h).
    Controller(ControllerLocator),
    /// A record of another type, not read.
    Other(u8),
}

/// Who answers for a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Address on the bus between controllers (20h is the BMC), or a system software id where bit 0 is set.
    pub address: u8,
    /// Channel of that bus.
    pub channel: u8,
    /// Logical unit.
    pub lun: u8,
}

/// One sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// Who answers for it.
    pub owner: Owner,
    /// Its number there.
    pub number: u8,
    /// What it belongs to.
    pub entity: Entity,
    /// What it watches: `01h` temperature, `08h` power supply.
    pub kind: u8,
    /// What its states mean: [`THRESHOLD`], generic (02h to 0Ch), the sensor's own (6Fh), the maker's (70h to 7Fh).
    pub event_type: u8,
    /// What it is called.
    pub name: String,
    /// Whether it can be read; those of an event-only record cannot.
    pub is_readable: bool,
    /// States that it can return: bits 0 to 14, of a sensor without limits.
    pub states: u16,
    /// How its reading is a number, where it is one.
    pub analog: Option<Analog>,
}

/// How the reading of a sensor is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analog {
    /// How the byte is a number.
    pub format: AnalogFormat,
    /// What one of it is.
    pub unit: Unit,
    /// What the linear result goes through.
    pub linearization: Linearization,
    /// How it is scaled.
    pub factors: Factors,
    /// Where its limits are.
    pub limits: Limits,
}

/// Where the limits of a sensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// It has none.
    None,
    /// They can be asked for.
    Readable,
    /// They are fixed, and stand in the record.
    Fixed(Thresholds),
}

/// A part with an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FruLocator {
    /// Address of the controller that has it.
    pub address: u8,
    /// Its number there, where it is a logical device, which alone can be read by FRU commands.
    pub device: Option<u8>,
    /// What it belongs to.
    pub entity: Entity,
    /// What it is called.
    pub name: String,
}

/// A management controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerLocator {
    /// Its address.
    pub address: u8,
    /// What it belongs to.
    pub entity: Entity,
    /// What it is called.
    pub name: String,
}

/// The length of a whole record, from its first five bytes.
///
/// # Errors
/// [`DecodeError::Short`].
pub fn length(header: &[u8]) -> Result<usize, DecodeError> {
    Ok(HEADER_BYTES + usize::from(Bytes::new("an SDR", header).byte(4)?))
}

/// Reads a whole record.
///
/// # Errors
/// [`DecodeError`] where it ends early or has what the specification does not know.
pub fn decode(record: &[u8]) -> Result<Record, DecodeError> {
    let kind = Bytes::new("an SDR", record).byte(3)?;
    match kind {
        0x01 => full(Bytes::new("a full sensor record", record)),
        0x02 => compact(Bytes::new("a compact sensor record", record)),
        0x03 => event_only(Bytes::new("an event-only record", record)),
        0x11 => fru_locator(Bytes::new("a FRU device locator", record)),
        0x12 => controller_locator(Bytes::new("a management controller locator", record)),
        other => Ok(Record::Other(other)),
    }
}

fn full(record: Bytes<'_>) -> Result<Record, DecodeError> {
    let event_type = record.byte(13)?;
    let unit = unit(record)?;
    // full records of states alone exist, with the format of a number and no unit
    let is_analog = event_type == THRESHOLD || unit.is_named();
    let analog = match AnalogFormat::of(unit.flags) {
        Some(format) if is_analog => Some(Analog {
            format,
            unit,
            linearization: linearization(record)?,
            factors: Factors::decode(record.from(24))?,
            limits: limits(record)?,
        }),
        _ => None,
    };
    let sensor = Sensor {
        owner: owner(record)?,
        number: record.byte(7)?,
        entity: entity(record, 8)?,
        kind: record.byte(12)?,
        event_type,
        name: identifier(record.byte(47)?, record.from(48)),
        is_readable: true,
        states: states(record, event_type)?,
        analog,
    };
    Ok(Record::Sensors(vec![sensor]))
}

fn linearization(record: Bytes<'_>) -> Result<Linearization, DecodeError> {
    let byte = record.byte(23)?;
    Linearization::of(byte).ok_or_else(|| record.odd(byte))
}

/// Bits 3:2 of the capabilities say how limits are reached.
fn limits(record: Bytes<'_>) -> Result<Limits, DecodeError> {
    Ok(match record.byte(11)? >> 2 & 3 {
        0 => Limits::None,
        1 | 2 => Limits::Readable,
        _ => {
            // bits 14:12 of the two reading masks: which of the lower and of the upper limits there are
            let lower = record.byte(15)? >> 4 & 7;
            let upper = record.byte(17)? >> 4 & 7;
            let mut raw = [0; 6];
            for (at, raw) in raw.iter_mut().enumerate() {
                // upper non-recoverable comes first in the record, and last in masks
                *raw = record.byte(41 - at)?;
            }
            // the record has LNC LC LNR at 41, 40, 39 and UNC UC UNR at 38, 37, 36
            Limits::Fixed(Thresholds::masked(lower | upper << 3, raw))
        }
    })
}

fn compact(record: Bytes<'_>) -> Result<Record, DecodeError> {
    let event_type = record.byte(13)?;
    let sensor = Sensor {
        owner: owner(record)?,
        number: record.byte(7)?,
        entity: entity(record, 8)?,
        kind: record.byte(12)?,
        event_type,
        name: identifier(record.byte(31)?, record.from(32)),
        is_readable: true,
        states: states(record, event_type)?,
        analog: None,
    };
    Ok(Record::Sensors(shared(
        sensor,
        record.byte(23)?,
        record.byte(24)?,
    )))
}

fn event_only(record: Bytes<'_>) -> Result<Record, DecodeError> {
    let sensor = Sensor {
        owner: owner(record)?,
        number: record.byte(7)?,
        entity: entity(record, 8)?,
        kind: record.byte(10)?,
        event_type: record.byte(11)?,
        name: identifier(record.byte(16)?, record.from(17)),
        is_readable: false,
        states: 0,
        analog: None,
    };
    Ok(Record::Sensors(shared(
        sensor,
        record.byte(12)?,
        record.byte(13)?,
    )))
}

fn fru_locator(record: Bytes<'_>) -> Result<Record, DecodeError> {
    let device = record.byte(6)?;
    let is_logical = record.byte(7)? & 0x80 != 0;
    Ok(Record::Fru(FruLocator {
        address: record.byte(5)? & 0xfe,
        device: is_logical.then_some(device),
        entity: entity(record, 12)?,
        name: identifier(record.byte(15)?, record.from(16)),
    }))
}

fn controller_locator(record: Bytes<'_>) -> Result<Record, DecodeError> {
    Ok(Record::Controller(ControllerLocator {
        address: record.byte(5)? & 0xfe,
        entity: entity(record, 12)?,
        name: identifier(record.byte(15)?, record.from(16)),
    }))
}

fn owner(record: Bytes<'_>) -> Result<Owner, DecodeError> {
    let place = record.byte(6)?;
    Ok(Owner {
        address: record.byte(5)?,
        channel: place >> 4,
        lun: place & 3,
    })
}

fn entity(record: Bytes<'_>, at: usize) -> Result<Entity, DecodeError> {
    Ok(Entity::new(record.byte(at)?, record.byte(at + 1)?))
}

fn unit(record: Bytes<'_>) -> Result<Unit, DecodeError> {
    Ok(Unit {
        flags: record.byte(20)?,
        base: record.byte(21)?,
        modifier: record.byte(22)?,
    })
}

/// The reading mask means states where there are no limits, and limits else.
fn states(record: Bytes<'_>, event_type: u8) -> Result<u16, DecodeError> {
    Ok(if event_type == THRESHOLD {
        0
    } else {
        record.word(18)? & 0x7fff
    })
}

/// The sensors of a record that several share: numbers go up, and so do what is behind the name and, where bit 7 says
/// so, the instance of the entity.
fn shared(sensor: Sensor, sharing: u8, modifier: u8) -> Vec<Sensor> {
    let count = sharing & 0x0f;
    if count <= 1 {
        return vec![sensor];
    }
    let is_alphabetic = sharing >> 4 & 3 == 1;
    (0..count)
        .map(|at| {
            let instance = u32::from(modifier & 0x7f) + u32::from(at);
            let suffix = if is_alphabetic {
                letters(instance)
            } else {
                instance.to_string()
            };
            let mut one = sensor.clone();
            one.number = sensor.number.wrapping_add(at);
            one.name = format!("{}{suffix}", sensor.name);
            if modifier & 0x80 != 0 {
                let instance = sensor.entity.instance.wrapping_add(at);
                one.entity = Entity::new(sensor.entity.id, instance);
            }
            one
        })
        .collect()
}

/// A to Z, then AA to ZZ.
fn letters(number: u32) -> String {
    let letter = |number: u32| {
        char::from_u32(u32::from('A') + number % 26).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    match number.checked_sub(26) {
        None => letter(number).to_string(),
        Some(rest) => [letter(rest / 26), letter(rest)].iter().collect(),
    }
}
