//! SMART attributes of ATA disks, decoded.
//!
//! The structure is that of SMART READ DATA and SMART READ THRESHOLDS: a revision, 30 entries of 12 bytes, and a sum over
//! all that is 0. What an attribute means is its maker's; the table below has those on which makers agree.

/// Bytes of both structures.
const BLOCK_BYTES: usize = 512;

/// Where entries begin, how long each is, and how many there are.
const FIRST_ENTRY: usize = 2;
const ENTRY_BYTES: usize = 12;
const ENTRIES: usize = 30;

/// One attribute that is of interest.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: u8,
    pub(super) word: &'static str,
    /// Bits of the raw value that count; makers keep other things in the rest.
    bits: u32,
}

const fn known(id: u8, word: &'static str, bits: u32) -> Known {
    Known { id, word, bits }
}

/// Attributes whose raw value is a count of something on which makers agree.
pub(super) static KNOWN: [Known; 20] = [
    known(1, "read_error_rate", 48),
    known(5, "reallocated_sectors", 16),
    known(9, "power_on_hours", 24),
    known(10, "spin_retries", 48),
    known(12, "power_cycles", 48),
    known(171, "program_failures", 48),
    known(172, "erase_failures", 48),
    known(174, "unsafe_shutdowns", 48),
    known(181, "program_failures_in_all", 48),
    known(182, "erase_failures_in_all", 48),
    known(183, "link_speed_drops", 48),
    known(184, "end_to_end_errors", 48),
    known(187, "uncorrectable_errors", 48),
    known(188, "command_timeouts", 16),
    known(192, "power_off_retracts", 48),
    known(196, "reallocation_events", 16),
    known(197, "pending_sectors", 48),
    known(198, "offline_uncorrectable_sectors", 48),
    known(199, "link_crc_errors", 48),
    known(241, "blocks_written", 48),
];

/// The temperature in the airflow or of the disk: the lowest byte of the raw value, in °C.
const TEMPERATURES: [u8; 2] = [194, 190];

/// By the start of a model, the attribute whose normalized value is what is left of the rated life, in percent.
const WEAR: [(&str, u8); 17] = [
    ("SAMSUNG", 177),
    ("Samsung", 177),
    ("INTEL", 233),
    ("SSDSC2", 233),
    ("SOLIDIGM", 233),
    ("Micron", 202),
    ("MTFD", 202),
    ("Crucial", 202),
    ("CT", 202),
    ("KINGSTON", 231),
    ("SanDisk", 230),
    ("WDC WDS", 230),
    ("WD Blue", 230),
    ("HFS", 177),
    ("SK hynix", 177),
    ("KIOXIA", 173),
    ("TOSHIBA THNS", 173),
];

/// One attribute as a disk tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) id: u8,
    /// Whether its failing means that the disk will fail soon, rather than that it is old.
    pub(super) is_prefail: bool,
    /// 1 to 253, higher is better.
    pub(super) value: u8,
    pub(super) worst: u8,
    /// 48 bits.
    pub(super) raw: u64,
}

impl Attribute {
    /// The part of the raw value that counts.
    pub(super) const fn count(&self, known: &Known) -> u64 {
        self.raw & ((1 << known.bits) - 1)
    }
}

/// The attributes of a disk, in its order; `None` where the block has another length or its sum is wrong.
pub(super) fn attributes(block: &[u8]) -> Option<Vec<Attribute>> {
    let read = |entry: &[u8]| match entry {
        [id @ 1..=255, low, _, value, worst, raw @ .., _] => {
            let mut wide = [0; 8];
            for (place, byte) in wide.iter_mut().zip(raw) {
                *place = *byte;
            }
            Some(Attribute {
                id: *id,
                is_prefail: low & 1 == 1,
                value: *value,
                worst: *worst,
                raw: u64::from_le_bytes(wide),
            })
        }
        _ => None,
    };
    Some(entries(block)?.filter_map(read).collect())
}

/// The threshold of each attribute; `None` where the block has another length or its sum is wrong.
pub(super) fn thresholds(block: &[u8]) -> Option<Vec<(u8, u8)>> {
    let read = |entry: &[u8]| match entry {
        [id @ 1..=255, threshold, ..] => Some((*id, *threshold)),
        _ => None,
    };
    Some(entries(block)?.filter_map(read).collect())
}

fn entries(block: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let sum = block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let is_blank = block.iter().all(|byte| *byte == 0);
    if block.len() != BLOCK_BYTES || sum != 0 || is_blank {
        return None;
    }
    let entries = block.get(FIRST_ENTRY..)?;
    Some(entries.chunks_exact(ENTRY_BYTES).take(ENTRIES))
}

/// What is left of the rated life, in percent, of a model whose maker tells it.
pub(super) fn life_left(model: &str, attributes: &[Attribute]) -> Option<u8> {
    let (_, id) = WEAR.iter().find(|(start, _)| model.starts_with(start))?;
    let attribute = attributes.iter().find(|attribute| attribute.id == *id)?;
    (attribute.value <= 100).then_some(attribute.value)
}

/// °C, where a disk tells it and it can be one.
pub(super) fn temperature(attributes: &[Attribute]) -> Option<f64> {
    let attribute = TEMPERATURES
        .iter()
        .find_map(|id| attributes.iter().find(|attribute| attribute.id == *id))?;
    let [lowest, ..] = attribute.raw.to_le_bytes();
    let celsius = i8::from_le_bytes([lowest]);
    (celsius != 0).then(|| f64::from(celsius))
}

/// Whether an attribute has failed by its threshold: `no`, `now`, `past`. 0 is no threshold, and 254 one for tests.
pub(super) const fn failing(attribute: &Attribute, threshold: u8) -> &'static str {
    match threshold {
        0 | 254.. => "no",
        _ if attribute.value <= threshold => "now",
        _ if attribute.worst <= threshold => "past",
        _ => "no",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(entries: &[[u8; ENTRY_BYTES]]) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        block[0] = 16;
        for (n, entry) in entries.iter().enumerate() {
            let at = FIRST_ENTRY + n * ENTRY_BYTES;
            block[at..at + ENTRY_BYTES].copy_from_slice(entry);
        }
        let sum = block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        block[511] = sum.wrapping_neg();
        block
    }

    #[test]
    fn attributes_are_read_to_the_byte() {
        let data = block(&[
            [5, 0x33, 0, 98, 97, 0x08, 0, 0x99, 0, 0, 0, 0],
            [9, 0x32, 0, 91, 91, 0x10, 0x27, 0, 0xAB, 0, 0, 0],
            [0; ENTRY_BYTES],
            [194, 0x22, 0, 70, 55, 30, 0, 20, 0, 45, 0, 0],
        ]);
        let read = attributes(&data).unwrap();
        assert_eq!(read.len(), 3);
        assert!(read[0].is_prefail && !read[1].is_prefail);
        assert_eq!((read[0].value, read[0].worst), (98, 97));
        assert_eq!(read[0].raw, 0x99_0008);
        assert_eq!(read[0].count(&KNOWN[1]), 8);
        assert_eq!(read[1].count(&KNOWN[2]), 10_000);
        assert_eq!(temperature(&read), Some(30.0));
    }

    #[test]
    fn an_attribute_at_its_threshold_has_failed() {
        let attribute = Attribute {
            id: 5,
            is_prefail: true,
            value: 36,
            worst: 30,
            raw: 0,
        };
        for (threshold, verdict) in [
            (0, "no"),
            (30, "past"),
            (36, "now"),
            (100, "now"),
            (254, "no"),
        ] {
            assert_eq!(failing(&attribute, threshold), verdict, "{threshold}");
        }
        let limits = block(&[[5, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]);
        assert_eq!(thresholds(&limits).unwrap(), [(5, 36)]);
    }

    #[test]
    fn wear_is_told_of_known_makers_alone() {
        let attribute = |id, value| Attribute {
            id,
            is_prefail: false,
            value,
            worst: value,
            raw: 0,
        };
        let read = [attribute(177, 91), attribute(233, 240)];
        assert_eq!(life_left("Samsung SSD 870", &read), Some(91));
        assert_eq!(life_left("INTEL SSDSC2KG96", &read), None);
        assert_eq!(life_left("ST8000NM0055", &read), None);
    }

    #[test]
    fn a_block_with_a_wrong_sum_or_length_is_none() {
        let good = block(&[[5, 0, 0, 100, 100, 0, 0, 0, 0, 0, 0, 0]]);
        assert!(attributes(&good).is_some());
        let mut bad = good.clone();
        bad[3] ^= 1;
        assert!(attributes(&bad).is_none() && thresholds(&bad).is_none());
        assert!(attributes(&good[..511]).is_none());
        assert!(attributes(&[0; BLOCK_BYTES]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..520)) {
            drop((attributes(&bytes), thresholds(&bytes)));
            if bytes.len() == BLOCK_BYTES {
                let sum = bytes[..511].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                bytes[511] = sum.wrapping_neg();
                let read = attributes(&bytes).unwrap_or_default();
                prop_assert!(read.len() <= ENTRIES);
                prop_assert!(read.iter().all(|attribute| attribute.raw < 1 << 48));
                prop_assert!(life_left("INTEL", &read).is_none_or(|left| left <= 100));
                prop_assert!(temperature(&read).is_none_or(f64::is_finite));
            }
        }
    }
}
