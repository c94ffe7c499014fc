//! Inventories of parts (Platform Management FRU Information Storage Definition 1.0 revision 1.3).
//!
//! Who made it, what it is, which part number. Serial numbers, asset tags and custom fields are passed over.

use super::text::{Encoding, decoded};
use super::{Bytes, DecodeError};

/// Bytes of the common header.
pub const HEADER_BYTES: usize = 8;

/// Ends the fields of an area.
const NO_MORE_FIELDS: u8 = 0xc1;

/// The most records of a multirecord area that are looked at.
const MOST_RECORDS: usize = 32;

/// Type of the record that a power supply has.
const POWER_SUPPLY: u8 = 0x00;

/// What an inventory says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Chassis part number.
    pub chassis_part_number: Option<String>,
    /// Maker of the board.
    pub board_manufacturer: Option<String>,
    /// Name of the board.
    pub board_product: Option<String>,
    /// Part number of the board.
    pub board_part_number: Option<String>,
    /// Maker of the product.
    pub manufacturer: Option<String>,
    /// Name of the product.
    pub product: Option<String>,
    /// Part or model number of the product.
    pub part_number: Option<String>,
    /// Version of the product.
    pub version: Option<String>,
    /// Watts that a power supply can give, where it says.
    pub capacity_watts: Option<u16>,
    /// Areas that could not be read, with the reason; the others stand.
    pub broken: Vec<DecodeError>,
}

/// Reads an inventory.
///
/// # Errors
/// [`DecodeError`] where there is no valid header; what is wrong further on is in [`Inventory::broken`].
pub fn decode(data: &[u8]) -> Result<Inventory, DecodeError> {
    let header = data
        .first_chunk::<HEADER_BYTES>()
        .ok_or(DecodeError::Short {
            what: "a FRU inventory",
            found: data.len(),
        })?;
    let [version, _, chassis, board, product, multirecord, ..] = *header;
    if version & 0x0f != 1 {
        return Err(DecodeError::Odd {
            what: "the version of a FRU inventory",
            found: version,
        });
    }
    sum_is_zero("the header of a FRU inventory", header)?;
    let mut inventory = Inventory::default();
    // what follows the fields is the maker's own
    let areas: [(u8, Area); 3] = [
        (chassis, read_chassis),
        (board, read_board),
        (product, read_product),
    ];
    for (at, read) in areas {
        if at != 0
            && let Err(error) = read(data, usize::from(at) * 8, &mut inventory)
        {
            inventory.broken.push(error);
        }
    }
    if multirecord != 0 {
        read_records(data, usize::from(multirecord) * 8, &mut inventory);
    }
    Ok(inventory)
}

type Area = fn(&[u8], usize, &mut Inventory) -> Result<(), DecodeError>;

fn read_chassis(data: &[u8], at: usize, into: &mut Inventory) -> Result<(), DecodeError> {
    // version, length, type of the chassis; then part number, serial number
    let area = area("the chassis area of a FRU inventory", data, at)?;
    into.chassis_part_number = Fields::after(area, 3).next().flatten();
    Ok(())
}

fn read_board(data: &[u8], at: usize, into: &mut Inventory) -> Result<(), DecodeError> {
    // version, length, language, three bytes of date; then maker, name, serial number, part number
    let area = area("the board area of a FRU inventory", data, at)?;
    let mut fields = Fields::after(area, 6);
    into.board_manufacturer = fields.next().flatten();
    into.board_product = fields.next().flatten();
    into.board_part_number = fields.nth(1).flatten();
    Ok(())
}

fn read_product(data: &[u8], at: usize, into: &mut Inventory) -> Result<(), DecodeError> {
    // version, length, language; then maker, name, part number, version, serial number
    let area = area("the product area of a FRU inventory", data, at)?;
    let mut fields = Fields::after(area, 3);
    into.manufacturer = fields.next().flatten();
    into.product = fields.next().flatten();
    into.part_number = fields.next().flatten();
    into.version = fields.next().flatten();
    Ok(())
}

/// An area, its last byte (the sum) left out.
fn area<'d>(what: &'static str, data: &'d [u8], at: usize) -> Result<&'d [u8], DecodeError> {
    let area = Bytes::new(what, data.get(at..).unwrap_or_default());
    let length = usize::from(area.byte(1)?) * 8;
    let bytes = area.from(0).get(..length).ok_or_else(|| area.short())?;
    sum_is_zero(what, bytes)?;
    bytes
        .split_last()
        .map(|(_, area)| area)
        .ok_or_else(|| area.short())
}

fn sum_is_zero(what: &'static str, bytes: &[u8]) -> Result<(), DecodeError> {
    match bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) {
        0 => Ok(()),
        _ => Err(DecodeError::Checksum { what }),
    }
}

/// The fields of an area, each with its type and length.
#[derive(Debug)]
struct Fields<'d> {
    rest: &'d [u8],
}

impl<'d> Fields<'d> {
    fn after(area: &'d [u8], skip: usize) -> Self {
        Self {
            rest: area.get(skip..).unwrap_or_default(),
        }
    }
}

impl Iterator for Fields<'_> {
    /// `None` inside is a field that is empty or binary.
    type Item = Option<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (type_length, rest) = self.rest.split_first()?;
        if *type_length == NO_MORE_FIELDS {
            return None;
        }
        let (field, rest) = rest.split_at_checked(usize::from(type_length & 0x3f))?;
        self.rest = rest;
        let text = decoded(Encoding::of(*type_length), field);
        Some(Some(text).filter(|text| !text.is_empty()))
    }
}

fn read_records(data: &[u8], mut at: usize, into: &mut Inventory) {
    const WHAT: &str = "a record of a FRU inventory";
    for _ in 0..MOST_RECORDS {
        let Some(header) = data.get(at..).and_then(|bytes| bytes.first_chunk::<5>()) else {
            let found = data.len().saturating_sub(at);
            into.broken.push(DecodeError::Short { what: WHAT, found });
            return;
        };
        if let Err(error) = sum_is_zero(WHAT, header) {
            into.broken.push(error);
            return;
        }
        let [kind, format, length, sum, _] = *header;
        let body = data.get(at + 5..).unwrap_or_default();
        let Some(body) = body.get(..usize::from(length)) else {
            let found = body.len();
            into.broken.push(DecodeError::Short { what: WHAT, found });
            return;
        };
        let found = body.iter().fold(sum, |sum, byte| sum.wrapping_add(*byte));
        if found != 0 {
            into.broken.push(DecodeError::Checksum { what: WHAT });
        } else if kind == POWER_SUPPLY {
            let capacity = Bytes::new(WHAT, body).word(0).ok();
            // bits 11:0; zero is a supply that does not say
            into.capacity_watts = capacity
                .map(|watts| watts & 0x0fff)
                .filter(|watts| *watts > 0);
        }
        if format & 0x80 != 0 {
            return;
        }
        at += 5 + usize::from(length);
    }
}
