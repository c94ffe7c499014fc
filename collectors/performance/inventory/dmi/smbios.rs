//! Structures of an SMBIOS table (DMTF DSP0134, version 3): pure, bounded, and never further than the bytes given.

use std::borrow::Cow;

/// The most structures of a table that are looked at: its own count has 16 bits, and large servers have 1,000.
const MOST_STRUCTURES: usize = 1 << 14;

/// Type, length and handle of each structure (6.1.2).
const HEADER_BYTES: usize = 4;

/// The structure after which nothing counts (7.46).
const END_OF_TABLE: u8 = 127;

/// What is wrong with a table, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Bytes before it.
    pub(super) at: usize,
    /// What was expected there.
    pub(super) expected: &'static str,
}

/// One structure: its formatted area with the header, and the strings behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Structure<'t> {
    formatted: &'t [u8],
    strings: &'t [u8],
}

/// The structures of a table one by one; after a broken one there are no more, as nobody knows where the next begins.
#[derive(Clone, Debug)]
pub(super) struct Structures<'t> {
    table: &'t [u8],
    at: usize,
    seen: usize,
}

impl<'t> Structures<'t> {
    pub(super) const fn new(table: &'t [u8]) -> Self {
        Self {
            table,
            at: 0,
            seen: 0,
        }
    }

    fn read(&mut self) -> Result<Option<Structure<'t>>, Broken> {
        let rest = self.table.get(self.at..).unwrap_or_default();
        // tables of version 2 may end without a last structure, and files be longer than their table
        if rest.iter().all(|byte| *byte == 0) || self.seen >= MOST_STRUCTURES {
            return Ok(None);
        }
        let broken = |expected| Broken {
            at: self.at,
            expected,
        };
        let length = usize::from(*rest.get(1).ok_or_else(|| broken("a structure's length"))?);
        if length < HEADER_BYTES {
            return Err(broken("a structure of at least 4 bytes"));
        }
        let formatted = rest
            .get(..length)
            .ok_or_else(|| broken("a structure as long as it says"))?;
        let behind = rest.get(length..).unwrap_or_default();
        let end = behind
            .windows(2)
            .position(|pair| pair == [0, 0])
            .ok_or_else(|| broken("two zeros behind the strings of a structure"))?;
        let strings = behind.get(..end).unwrap_or_default();
        self.at += length + end + 2;
        self.seen += 1;
        let structure = Structure { formatted, strings };
        Ok((structure.kind() != END_OF_TABLE).then_some(structure))
    }
}

impl<'t> Iterator for Structures<'t> {
    type Item = Result<Structure<'t>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.at = self.table.len();
        }
        read
    }
}

impl<'t> Structure<'t> {
    /// Its type.
    pub(super) fn kind(&self) -> u8 {
        self.byte(0).unwrap_or_default()
    }

    /// Its handle, by which others name it.
    #[cfg(test)]
    pub(super) fn handle(&self) -> u16 {
        self.word(2).unwrap_or_default()
    }

    /// The byte at an offset; `None` where an older version of the structure ends before.
    pub(super) fn byte(&self, offset: usize) -> Option<u8> {
        self.formatted.get(offset).copied()
    }

    pub(super) fn word(&self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub(super) fn double_word(&self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub(super) fn quad_word(&self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// The string whose number stands at an offset; `None` where there is none, or nothing but blanks.
    pub(super) fn text(&self, offset: usize) -> Option<Cow<'t, str>> {
        let number = usize::from(self.byte(offset)?);
        let string = self
            .strings
            .split(|byte| *byte == 0)
            .nth(number.checked_sub(1)?)?
            .trim_ascii();
        (!string.is_empty()).then(|| String::from_utf8_lossy(string))
    }

    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let bytes = self.formatted.get(offset..offset.checked_add(N)?)?;
        bytes.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(table: &[u8]) -> Vec<Result<Structure<'_>, Broken>> {
        Structures::new(table).collect()
    }

    #[test]
    fn a_table_is_read_to_its_last_structure() {
        let mut table = vec![17, 6, 0x34, 0x12, 1, 2];
        table.extend(b"DIMM_A1\0  Maker \0\0");
        table.extend([2, 4, 1, 0, 0, 0, 127, 4, 2, 0, 0, 0, 9, 9, 9]);
        let structures: Vec<_> = all(&table).into_iter().map(Result::unwrap).collect();
        assert_eq!(structures.len(), 2);
        assert_eq!((structures[0].kind(), structures[0].handle()), (17, 0x1234));
        assert_eq!(structures[0].text(4).as_deref(), Some("DIMM_A1"));
        assert_eq!(structures[0].text(5).as_deref(), Some("Maker"));
        assert_eq!(structures[0].text(6), None);
        assert_eq!(structures[0].byte(6), None);
        assert_eq!(structures[0].word(5), None);
        assert_eq!(structures[1].text(4), None);
    }

    #[test]
    fn a_broken_table_says_where_and_ends() {
        for (table, expected) in [
            (&[17, 3, 0, 0, 0, 0][..], "a structure of at least 4 bytes"),
            (&[17, 40, 0, 0, 0, 0], "a structure as long as it says"),
            (
                &[17, 4, 0, 0, b'a', 0],
                "two zeros behind the strings of a structure",
            ),
            (&[17], "a structure's length"),
        ] {
            let broken: Vec<_> = all(table).into_iter().map(Result::unwrap_err).collect();
            assert_eq!(broken, [Broken { at: 0, expected }]);
        }
        assert!(all(&[]).is_empty() && all(&[0; 64]).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(table in proptest::collection::vec(any::<u8>(), 0..600), offset in any::<u16>()) {
            for structure in Structures::new(&table).flatten() {
                let offset = usize::from(offset) % 300;
                structure.text(offset);
                structure.quad_word(offset);
            }
        }
    }
}
