//! Names: the type/length byte and the four encodings behind it (section 43.15, FRU specification section 13).

/// Characters of BCD plus; the last three are reserved in FRU areas, where nothing else would stand either.
const BCD_PLUS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ' ', '-', '.', ':', ',', '_',
];

/// How the bytes of a name are to be read: the upper two bits of a type/length byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 00b: Unicode in an SDR, binary in a FRU area.
    UnicodeOrBinary,
    /// 01b: a digit or a sign in four bits.
    BcdPlus,
    /// 10b: a capital letter, digit or sign in six bits.
    SixBit,
    /// 11b: ASCII and Latin-1.
    EightBit,
}

impl Encoding {
    /// From a type/length byte.
    #[must_use]
    pub const fn of(type_length: u8) -> Self {
        match type_length >> 6 {
            0 => Self::UnicodeOrBinary,
            1 => Self::BcdPlus,
            2 => Self::SixBit,
            _ => Self::EightBit,
        }
    }
}

/// The name of a sensor or device: its type/length byte (five bits of length) and what follows it in the record.
///
/// A length beyond the end of the record is taken as its end: boards with such records exist, and their names are whole.
#[must_use]
pub fn identifier(type_length: u8, rest: &[u8]) -> String {
    let length = usize::from(type_length & 0x1f);
    let bytes = rest.get(..length.min(rest.len())).unwrap_or_default();
    match Encoding::of(type_length) {
        Encoding::UnicodeOrBinary => unicode(bytes),
        encoding => decoded(encoding, bytes),
    }
}

/// The bytes of a field that is not Unicode.
pub(crate) fn decoded(encoding: Encoding, bytes: &[u8]) -> String {
    let text: String = match encoding {
        Encoding::BcdPlus => bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| BCD_PLUS.get(usize::from(digit)).copied())
            .collect(),
        Encoding::SixBit => six_bit(bytes),
        Encoding::EightBit => eight_bit(bytes),
        Encoding::UnicodeOrBinary => String::new(),
    };
    text.trim().to_owned()
}

/// Two bytes a character, low one first. Boards that mean ASCII by 00b exist: bytes that are all printable are that.
pub(crate) fn unicode(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return eight_bit(bytes).trim().to_owned();
    }
    let units = bytes
        .chunks_exact(2)
        .filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Four characters in three bytes, low bits first, counted from the blank.
fn six_bit(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .rev()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let characters = group.len() * 8 / 6;
        text.extend((0..characters).filter_map(|at| {
            let code = (bits >> (6 * at)) & 0x3f;
            char::from_u32(0x20 + code)
        }));
    }
    text
}

fn eight_bit(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_reads_as_the_specification_has_it() {
        let cases: [(&str, u8, &[u8], &str); 9] = [
            ("8-bit", 0xc5, b"CPU 1", "CPU 1"),
            ("Latin-1", 0xc2, &[0xb0, b'C'], "°C"),
            ("8-bit with a NUL", 0xc4, b"ab\0c", "ab"),
            // the example of section 43.15: "IPMI" in six bits is 29h DCh A6h
            ("6-bit", 0x83, &[0x29, 0xdc, 0xa6], "IPMI"),
            ("6-bit, blank at the end", 0x83, &[0x91, 0x64, 0x03], "12V"),
            ("BCD plus", 0x43, &[0x12, 0xb3, 0x4c], "12-34."),
            ("Unicode", 0x04, &[0x29, 0x6e, 0xa6, 0x5e], "温度"),
            ("Unicode that is ASCII", 0x03, b"Fan", "Fan"),
            ("longer than the record", 0xdf, b"VBAT", "VBAT"),
        ];
        for (what, type_length, bytes, name) in cases {
            assert_eq!(identifier(type_length, bytes), name, "{what}");
        }
    }

    #[test]
    fn a_length_ends_a_name_before_the_record_does() {
        assert_eq!(identifier(0xc2, b"ABCD"), "AB");
        assert_eq!(identifier(0xc0, b"ABCD"), "");
    }
}
