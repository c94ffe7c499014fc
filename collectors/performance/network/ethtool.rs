//! Answers of ethtool requests, decoded. Layouts: linux/ethtool.h; numbers in the machine's order.

/// `struct ethtool_link_settings` and its masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkSettings {
    pub(super) duplex: &'static str,
    pub(super) port: &'static str,
    pub(super) negotiates: bool,
    /// Mbit/s of the fastest mode that the hardware has; `None` where it names none.
    pub(super) fastest: Option<u32>,
}

/// Runs of link modes and their Mbit/s, `ETHTOOL_LINK_MODE_*_BIT`. Bits between are no modes but options.
const MODES: [(u32, u32, u32); 35] = [
    (0, 1, 10),
    (2, 3, 100),
    (4, 5, 1000),
    (12, 12, 10_000),
    (15, 15, 2500),
    (17, 17, 1000),
    (18, 20, 10_000),
    (21, 22, 20_000),
    (23, 26, 40_000),
    (27, 30, 56_000),
    (31, 33, 25_000),
    (34, 35, 50_000),
    (36, 39, 100_000),
    (40, 40, 50_000),
    (41, 41, 1000),
    (42, 46, 10_000),
    (47, 47, 2500),
    (48, 48, 5000),
    (52, 56, 50_000),
    (57, 61, 100_000),
    (62, 66, 200_000),
    (67, 67, 100),
    (68, 68, 1000),
    (69, 73, 400_000),
    (75, 79, 100_000),
    (80, 84, 200_000),
    (85, 89, 400_000),
    (90, 91, 100),
    (92, 92, 10),
    (93, 98, 800_000),
    (99, 102, 10),
    (103, 108, 200_000),
    (109, 114, 400_000),
    (115, 120, 800_000),
    (121, 124, 1_600_000),
];

impl LinkSettings {
    /// `None` where the answer is too short.
    pub(super) fn parse(answer: &[u8]) -> Option<Self> {
        const FIXED_BYTES: usize = 48;
        let masks = answer.get(FIXED_BYTES..)?;
        let byte = |at: usize| answer.get(at).copied();
        let words = usize::from(byte(15)?);
        let supported = masks.get(..words.checked_mul(4)?)?;
        let has = |bit: u32| {
            let word = usize::try_from(bit / 32).ok();
            let word = word.and_then(|word| supported.get(word * 4..));
            let word = word.and_then(<[u8]>::first_chunk);
            word.is_some_and(|word| u32::from_ne_bytes(*word) >> (bit % 32) & 1 == 1)
        };
        let modes = MODES
            .iter()
            .filter(|(first, last, _)| (*first..=*last).any(has));
        Some(Self {
            duplex: match byte(8)? {
                0 => "half",
                1 => "full",
                _ => "unknown",
            },
            port: match byte(9)? {
                0 => "twisted pair",
                3 => "fibre",
                5 => "direct attach copper",
                0xEF => "none",
                _ => "other",
            },
            negotiates: byte(11)? == 1,
            fastest: modes.map(|(_, _, megabits)| *megabits).max(),
        })
    }
}

/// The error correction in use, of `struct ethtool_fecparam`; `None` where the answer is too short or says nothing.
pub(super) fn active_fec(answer: &[u8]) -> Option<&'static str> {
    let active = u32::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    // the lowest bit says that there is none to choose
    let known = [
        (1 << 3, "rs"),
        (1 << 4, "base_r"),
        (1 << 5, "llrs"),
        (1 << 2, "off"),
    ];
    let found = known.iter().find(|(bit, _)| active & bit != 0)?;
    Some(found.1)
}

/// The firmware's version, of `struct ethtool_drvinfo`; `None` where it has none.
pub(super) fn firmware(answer: &[u8]) -> Option<String> {
    const AT: usize = 68;
    const BYTES: usize = 32;
    let text = text(answer.get(AT..AT + BYTES)?);
    (!text.is_empty() && text != "N/A").then_some(text)
}

/// Text of a fixed length with zeros behind it; what is not printable is left out.
pub(super) fn text(bytes: &[u8]) -> String {
    let bytes = bytes.iter().take_while(|byte| **byte != 0);
    let printable = bytes.filter(|byte| (b' '..=b'~').contains(*byte));
    let text: String = printable.map(|byte| char::from(*byte)).collect();
    text.trim().to_owned()
}

/// `ETH_GSTRING_LEN`.
pub(super) const NAME_BYTES: usize = 32;

/// Names of what a driver counts.
pub(super) fn names(answer: &[u8]) -> impl Iterator<Item = String> {
    answer.chunks_exact(NAME_BYTES).map(text)
}

/// What it counted, in the order of the names.
pub(super) fn numbers(answer: &[u8]) -> impl Iterator<Item = u64> {
    const NUMBER_BYTES: usize = 8;
    let number = |bytes: &[u8]| {
        bytes
            .first_chunk()
            .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    answer.chunks_exact(NUMBER_BYTES).map(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fastest_mode_of_the_hardware_is_found() {
        let mut answer = vec![0; 48 + 3 * 4 * 4];
        answer[8..12].copy_from_slice(&[1, 3, 0, 1]);
        answer[15] = 4;
        // 25000baseCR is bit 31, 100000baseKR4 is bit 36, RS-FEC (no mode) is bit 50
        answer[48..52].copy_from_slice(&(1_u32 << 31).to_ne_bytes());
        answer[52..56].copy_from_slice(&(1_u32 << 4 | 1 << 18).to_ne_bytes());
        // what is advertised does not count
        answer[64..68].copy_from_slice(&u32::MAX.to_ne_bytes());
        let link = LinkSettings::parse(&answer).unwrap();
        assert_eq!(link.fastest, Some(100_000));
        assert_eq!((link.duplex, link.port), ("full", "fibre"));
        assert!(link.negotiates);
        assert_eq!(LinkSettings::parse(&answer[..47]), None);
        answer[15] = 127;
        assert_eq!(LinkSettings::parse(&answer), None);
    }

    #[test]
    fn modes_do_not_overlap() {
        for pair in MODES.windows(2) {
            assert!(pair[0].1 < pair[1].0 && pair[0].0 <= pair[0].1, "{pair:?}");
        }
    }

    #[test]
    fn what_is_no_firmware_is_none() {
        let mut answer = vec![0; 196];
        assert_eq!(firmware(&answer), None);
        answer[68..71].copy_from_slice(b"N/A");
        assert_eq!(firmware(&answer), None);
        answer[68..75].copy_from_slice(b"22.41\x1b0");
        assert_eq!(firmware(&answer).as_deref(), Some("22.410"));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(answer in proptest::collection::vec(any::<u8>(), 0..700)) {
            drop((LinkSettings::parse(&answer), active_fec(&answer), firmware(&answer)));
            prop_assert!(names(&answer).all(|name| name.len() <= 32));
            prop_assert_eq!(numbers(&answer).count(), answer.len() / 8);
        }
    }
}
