//! What structures of an SMBIOS table mean: memory arrays and devices, processors.

use super::smbios::Structure;

/// Types that are told.
pub(super) const PROCESSOR: u8 = 4;
pub(super) const MEMORY_ARRAY: u8 = 16;
pub(super) const MEMORY_DEVICE: u8 = 17;

/// Words that firmware writes where it has nothing to say.
const NOTHING: [&str; 9] = [
    "empty",
    "n/a",
    "no dimm",
    "none",
    "not available",
    "not installed",
    "not specified",
    "to be filled by o.e.m.",
    "unknown",
];

/// A slot for memory, and the module in it (7.18).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Module {
    /// What is printed beside the slot.
    pub(super) locator: String,
    /// The bank, which tells slots of equal names apart.
    pub(super) bank: String,
    /// Bytes; `None` where the slot is empty.
    pub(super) bytes: Option<u64>,
    pub(super) facts: Vec<(&'static str, String)>,
}

/// Everything of a type 17 but serial number and asset tag.
pub(super) fn module(device: &Structure<'_>) -> Module {
    let text = |offset| known(device.text(offset).as_deref());
    let bytes = size(device);
    let mut facts = Vec::new();
    let mut tell = |key, value: Option<String>| {
        if let Some(value) = value {
            facts.push((key, value));
        }
    };
    if let Some(bytes) = bytes {
        tell("hw.size", Some(bytes.to_string()));
        tell("hw.vendor", text(0x17));
        tell("hw.model", text(0x1A));
        tell("hw.firmware_version", text(0x2B));
        tell("hw.memory.type", word(MEMORY_TYPES, device.byte(0x12)));
        tell(
            "hw.memory.form_factor",
            word(FORM_FACTORS, device.byte(0x0E)),
        );
        tell(
            "hw.memory.technology",
            word(TECHNOLOGIES, device.byte(0x28)),
        );
        tell("hw.memory.speed", speed(device, 0x15, 0x54));
        tell("hw.memory.speed.configured", speed(device, 0x20, 0x58));
        let ranks = device.byte(0x1B).map(|attributes| attributes & 0x0F);
        tell("hw.memory.ranks", more_than_none(ranks.map(u32::from)));
        let millivolts = device.word(0x26);
        tell(
            "hw.memory.voltage",
            millivolts
                .filter(|millivolts| *millivolts > 0)
                .map(|millivolts| format!("{}.{:03}", millivolts / 1000, millivolts % 1000)),
        );
        tell("hw.memory.width", width(device.word(0x0A)));
        tell("hw.memory.width.physical", width(device.word(0x08)));
    }
    Module {
        locator: text(0x10).unwrap_or_default(),
        bank: text(0x11).unwrap_or_default(),
        bytes,
        facts,
    }
}

/// Bytes of a module: in MiB, or KiB where the highest bit is set, or in the field for more than 32 GiB.
fn size(device: &Structure<'_>) -> Option<u64> {
    const EMPTY: u16 = 0;
    const UNKNOWN: u16 = 0xFFFF;
    const EXTENDED: u16 = 0x7FFF;
    const KIBIBYTES: u16 = 0x8000;
    let bytes = match device.word(0x0C)? {
        EMPTY | UNKNOWN => return None,
        EXTENDED => u64::from(device.double_word(0x1C)? & 0x7FFF_FFFF) << 20,
        small if small & KIBIBYTES != 0 => u64::from(small & !KIBIBYTES) << 10,
        mebibytes => u64::from(mebibytes) << 20,
    };
    (bytes > 0).then_some(bytes)
}

/// Megatransfers a second, in the field for more than 65,535 where the first says so.
fn speed(device: &Structure<'_>, offset: usize, extended: usize) -> Option<String> {
    match device.word(offset)? {
        u16::MAX => more_than_none(
            device
                .double_word(extended)
                .map(|speed| speed & 0x7FFF_FFFF),
        ),
        speed => more_than_none(Some(u32::from(speed))),
    }
}

fn width(bits: Option<u16>) -> Option<String> {
    more_than_none(bits.filter(|bits| *bits != u16::MAX).map(u32::from))
}

fn more_than_none(number: Option<u32>) -> Option<String> {
    number
        .filter(|number| *number > 0)
        .map(|number| number.to_string())
}

/// An array of slots (7.17), where it is the machine's memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Array {
    pub(super) slots: u16,
    /// The most bytes that fit.
    pub(super) limit: Option<u64>,
    pub(super) correction: Option<String>,
}

pub(super) fn array(structure: &Structure<'_>) -> Option<Array> {
    const SYSTEM_MEMORY: u8 = 3;
    const EXTENDED: u32 = 0x8000_0000;
    if structure.byte(0x05)? != SYSTEM_MEMORY {
        return None;
    }
    let limit = match structure.double_word(0x07)? {
        EXTENDED => structure.quad_word(0x0F),
        kibibytes => Some(u64::from(kibibytes) << 10),
    };
    Some(Array {
        slots: structure.word(0x0D).unwrap_or_default(),
        limit: limit.filter(|bytes| *bytes > 0),
        correction: word(CORRECTIONS, structure.byte(0x06)),
    })
}

/// A socket, and what firmware says of the processor in it (7.5).
pub(super) fn processor(
    structure: &Structure<'_>,
) -> Option<(String, Vec<(&'static str, String)>)> {
    const POPULATED: u8 = 0x40;
    let socket = known(structure.text(0x04).as_deref())?;
    if structure.byte(0x18)? & POPULATED == 0 {
        return Some((socket, Vec::new()));
    }
    let count = |offset, extended| match structure.byte(offset)? {
        u8::MAX => structure.word(extended).map(u32::from),
        count => Some(u32::from(count)),
    };
    let megahertz = |offset| structure.word(offset).map(u32::from);
    let facts = [
        ("hw.vendor", known(structure.text(0x07).as_deref())),
        ("hw.model", known(structure.text(0x10).as_deref())),
        ("hw.cpu.cores", more_than_none(count(0x23, 0x2A))),
        ("hw.cpu.cores.enabled", more_than_none(count(0x24, 0x2C))),
        ("hw.cpu.threads", more_than_none(count(0x25, 0x2E))),
        ("hw.cpu.speed.limit", more_than_none(megahertz(0x14))),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    Some((socket, facts.collect()))
}

/// A text that says something.
fn known(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let nothing = text.is_empty()
        || NOTHING
            .iter()
            .any(|nothing| text.eq_ignore_ascii_case(nothing));
    (!nothing).then(|| text.to_owned())
}

/// The word for a number; `None` for `other` and `unknown`.
fn word(words: &[(u8, &str)], number: Option<u8>) -> Option<String> {
    let number = number?;
    words
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, word)| (*word).to_owned())
}

/// Table 78 of DSP0134 3.7.
const MEMORY_TYPES: &[(u8, &str)] = &[
    (0x0F, "SDRAM"),
    (0x12, "DDR"),
    (0x13, "DDR2"),
    (0x14, "DDR2 FB-DIMM"),
    (0x18, "DDR3"),
    (0x1A, "DDR4"),
    (0x1B, "LPDDR"),
    (0x1C, "LPDDR2"),
    (0x1D, "LPDDR3"),
    (0x1E, "LPDDR4"),
    (0x1F, "logical non-volatile device"),
    (0x20, "HBM"),
    (0x21, "HBM2"),
    (0x22, "DDR5"),
    (0x23, "LPDDR5"),
    (0x24, "HBM3"),
];

/// Table 77.
const FORM_FACTORS: &[(u8, &str)] = &[
    (0x03, "SIMM"),
    (0x09, "DIMM"),
    (0x0A, "TSOP"),
    (0x0B, "row of chips"),
    (0x0C, "RIMM"),
    (0x0D, "SODIMM"),
    (0x0E, "SRIMM"),
    (0x0F, "FB-DIMM"),
    (0x10, "die"),
    (0x11, "CAMM"),
];

/// Table 80.
const TECHNOLOGIES: &[(u8, &str)] = &[
    (0x03, "DRAM"),
    (0x04, "NVDIMM-N"),
    (0x05, "NVDIMM-F"),
    (0x06, "NVDIMM-P"),
    (0x07, "Intel Optane persistent memory"),
    (0x08, "MRDIMM"),
];

/// Table 74.
const CORRECTIONS: &[(u8, &str)] = &[
    (0x03, "none"),
    (0x04, "parity"),
    (0x05, "single-bit ECC"),
    (0x06, "multi-bit ECC"),
    (0x07, "CRC"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::smbios::Structures;
    use super::*;

    fn device(size: u16, extended: u32, speed: u16) -> Vec<u8> {
        let mut bytes = vec![0_u8; 0x5C];
        bytes[0] = MEMORY_DEVICE;
        bytes[1] = 0x5C;
        bytes[0x0C..0x0E].copy_from_slice(&size.to_le_bytes());
        bytes[0x1C..0x20].copy_from_slice(&extended.to_le_bytes());
        bytes[0x15..0x17].copy_from_slice(&speed.to_le_bytes());
        bytes[0x54..0x58].copy_from_slice(&70_000_u32.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn sizes_and_speeds_have_fields_for_what_is_large() {
        for (size, extended, bytes) in [
            (0, 0, None),
            (0xFFFF, 0, None),
            (16_384, 0, Some(16 << 30)),
            (0x8000 | 512, 0, Some(512 << 10)),
            (0x7FFF, 262_144, Some(256 << 30)),
            (0x7FFF, 0x8000_0000, None),
        ] {
            let table = device(size, extended, 4800);
            let structure = Structures::new(&table).next().unwrap().unwrap();
            assert_eq!(module(&structure).bytes, bytes, "{size} {extended}");
        }
        for (speed, told) in [(4800, Some("4800")), (0xFFFF, Some("70000")), (0, None)] {
            let table = device(16_384, 0, speed);
            let structure = Structures::new(&table).next().unwrap().unwrap();
            let facts = module(&structure).facts;
            let found = facts.iter().find(|(key, _)| *key == "hw.memory.speed");
            assert_eq!(found.map(|(_, value)| value.as_str()), told);
        }
    }

    #[test]
    fn what_says_nothing_is_not_told() {
        assert_eq!(known(Some(" Not Specified ")), None);
        assert_eq!(known(Some("NO DIMM")), None);
        assert_eq!(known(Some("Samsung")).as_deref(), Some("Samsung"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            kind in prop_oneof![Just(PROCESSOR), Just(MEMORY_ARRAY), Just(MEMORY_DEVICE)],
            mut table in proptest::collection::vec(any::<u8>(), 2..300),
        ) {
            table[0] = kind;
            for structure in Structures::new(&table).flatten() {
                module(&structure);
                array(&structure);
                processor(&structure);
            }
        }
    }
}
