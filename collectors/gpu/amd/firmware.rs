//! `gpu_metrics`: a table that the GPU's firmware fills, whose layout its header names (`kgd_pp_interface.h`).
//!
//! Only why the clocks are low is read from it, the rest stands in files of its own. Layouts that are not known here
//! say nothing.

/// The header: length of the table, format, content.
const HEADER_BYTES: usize = 4;

/// Bits of `indep_throttle_status`, which mean the same on every GPU.
const REASONS: [(&str, u64); 4] = [
    ("power_limit", 0x0000_0000_0000_00ff),
    ("current_limit", 0x0000_0000_00ff_0000),
    ("thermal", 0x0000_0fff_0000_0000),
    ("hot_signal", 0x0000_f000_0000_0000),
];

/// What older layouts say: that there is a reason, by bits that each GPU has its own meaning for.
const UNNAMED: &str = "throttled";

/// Which reasons hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    /// By [`REASONS`].
    Named(u64),
    /// Whether there is one at all.
    Unnamed(bool),
}

impl Reasons {
    pub(super) fn iter(self) -> impl Iterator<Item = (&'static str, bool)> {
        let named = REASONS.iter().filter_map(move |(name, mask)| match self {
            Self::Named(bits) => Some((*name, bits & mask != 0)),
            Self::Unnamed(_) => None,
        });
        let unnamed = match self {
            Self::Named(_) => None,
            Self::Unnamed(is_active) => Some((UNNAMED, is_active)),
        };
        named.chain(unnamed)
    }
}

/// The reasons, where the layout is known and they are available.
///
/// # Errors
/// What is wrong with a table that contradicts its own header.
pub(super) fn reasons(table: &[u8]) -> Result<Option<Reasons>, String> {
    let header = table.first_chunk::<HEADER_BYTES>();
    let Some([low, high, format, content]) = header.copied() else {
        return Err(format!("{} bytes", table.len()));
    };
    let length = usize::from(u16::from_le_bytes([low, high]));
    if length > table.len() {
        return Err(format!("{} bytes that should be {length}", table.len()));
    }
    let table = table.get(..length).unwrap_or_default();
    let unnamed = |place: usize| {
        let bits = number::<4>(table, place).map(u32::from_le_bytes);
        let bits = bits.ok_or_else(|| too_short(format, content, length))?;
        Ok((bits != u32::MAX).then_some(Reasons::Unnamed(bits != 0)))
    };
    match (format, content) {
        (1, 0..=2) => unnamed(68),
        (1, 3) => {
            let bits = number::<8>(table, 112).map(u64::from_le_bytes);
            let bits = bits.ok_or_else(|| too_short(format, content, length))?;
            Ok((bits != u64::MAX).then_some(Reasons::Named(bits)))
        }
        (1, 4) => unnamed(40),
        (1, 5) => unnamed(104),
        _ => Ok(None),
    }
}

fn too_short(format: u8, content: u8, length: usize) -> String {
    format!("version {format}.{content} in {length} bytes")
}

fn number<const BYTES: usize>(table: &[u8], place: usize) -> Option<[u8; BYTES]> {
    table.get(place..)?.first_chunk::<BYTES>().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(format: u8, content: u8, length: u16, place: usize, bits: &[u8]) -> Vec<u8> {
        let mut table = vec![0; usize::from(length)];
        table[..2].copy_from_slice(&length.to_le_bytes());
        table[2] = format;
        table[3] = content;
        table[place..place + bits.len()].copy_from_slice(bits);
        table
    }

    #[test]
    fn each_layout_has_its_reasons_at_its_place() {
        let bits = 0x0000_0010_0000_0001_u64.to_le_bytes();
        let named = reasons(&table(1, 3, 120, 112, &bits)).unwrap().unwrap();
        let told: Vec<_> = named.iter().collect();
        assert_eq!(
            told,
            [
                ("power_limit", true),
                ("current_limit", false),
                ("thermal", true),
                ("hot_signal", false)
            ]
        );
        for (content, length, place) in [
            (0, 80, 68),
            (1, 96, 68),
            (2, 104, 68),
            (4, 288, 40),
            (5, 352, 104),
        ] {
            let active = reasons(&table(1, content, length, place, &[1, 0, 0, 0]));
            assert_eq!(active, Ok(Some(Reasons::Unnamed(true))), "1.{content}");
            let idle = reasons(&table(1, content, length, place, &[0; 4]));
            assert_eq!(idle, Ok(Some(Reasons::Unnamed(false))), "1.{content}");
            let unknown = reasons(&table(1, content, length, place, &[0xff; 4]));
            assert_eq!(unknown, Ok(None), "1.{content}");
        }
    }

    #[test]
    fn other_layouts_say_nothing_and_broken_ones_are_errors() {
        assert_eq!(reasons(&table(2, 3, 120, 4, &[])), Ok(None));
        assert_eq!(reasons(&table(1, 8, 120, 4, &[])), Ok(None));
        assert!(reasons(&[]).is_err());
        assert!(reasons(&[200, 0, 1, 3]).is_err());
        assert!(reasons(&table(1, 3, 100, 4, &[])).is_err());
    }

    proptest! {
        #[test]
        fn no_table_can_do_harm(table in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(Some(told)) = reasons(&table) {
                prop_assert!(told.iter().count() <= 4);
            }
        }
    }
}
