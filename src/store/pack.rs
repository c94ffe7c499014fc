//! Columns of numbers, packed: nothing, one constant, a few steps, or pco.
//!
//! | tag | then |
//! | --- | --- |
//! | 0 | nothing: the column is empty |
//! | 1 | the one value of all rows |
//! | 2 | varint runs, then for each: varint length, value |
//! | 3 | varint length, pco in its wrapped format (header, chunk, one page) |
//!
//! A whole number is a zigzag varint (in steps: of the difference to the run before), a float its 8 bytes.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, PagingSpec};

use crate::bytes::{Cursor, put_size, put_zigzag};
use crate::error::Malformed;

const EMPTY: u8 = 0;
const CONSTANT: u8 = 1;
const STEPS: u8 = 2;
const PCO: u8 = 3;

/// Where runs are longer than this on average, steps are tried beside pco.
const STEPS_WORTH_TRYING: usize = 16;

/// Rows of the longest column: a collector at 1 s for three days. A larger count in a file is damage.
pub(crate) const MOST_ROWS: usize = 1 << 18;

/// What a column can be made of.
pub(crate) trait Cell: Number + Copy {
    /// The same to the last bit: -0.0 is not 0.0.
    fn same(self, other: Self) -> bool;
    fn put(self, before: Self, out: &mut Vec<u8>);
    fn take(before: Self, cursor: &mut Cursor<'_>) -> Result<Self, Malformed>;
    const ZERO: Self;
}

impl Cell for i64 {
    const ZERO: Self = 0;

    fn same(self, other: Self) -> bool {
        self == other
    }

    fn put(self, before: Self, out: &mut Vec<u8>) {
        put_zigzag(out, self.wrapping_sub(before));
    }

    fn take(before: Self, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(before.wrapping_add(cursor.zigzag()?))
    }
}

impl Cell for f64 {
    const ZERO: Self = 0.0;

    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits()
    }

    fn put(self, _: Self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn take(_: Self, cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.f64()
    }
}

/// Appends the packed column. The number of rows is not in it: whoever unpacks knows it.
pub(crate) fn pack<T: Cell>(values: &[T], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let Some(first) = values.first() else {
        out.push(EMPTY);
        return Ok(());
    };
    let runs = 1 + values
        .windows(2)
        .filter(|two| matches!(two, [a, b] if !a.same(*b)))
        .count();
    if runs == 1 {
        out.push(CONSTANT);
        first.put(T::ZERO, out);
        return Ok(());
    }
    let start = out.len();
    if runs * STEPS_WORTH_TRYING <= values.len() {
        out.push(STEPS);
        put_steps(values, runs, out);
    }
    let steps = out.len() - start;
    let packed = pco_pack(values)?;
    if steps == 0 || packed.len() + 3 < steps {
        out.truncate(start);
        out.push(PCO);
        put_size(out, packed.len());
        out.extend_from_slice(&packed);
    }
    Ok(())
}

/// Takes a column of `rows` numbers.
pub(crate) fn unpack<T: Cell>(cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<T>, Malformed> {
    if rows > MOST_ROWS {
        return Err(Malformed("a column has too many rows"));
    }
    match cursor.u8()? {
        EMPTY if rows == 0 => Ok(Vec::new()),
        CONSTANT => Ok(vec![T::take(T::ZERO, cursor)?; rows]),
        STEPS => take_steps(cursor, rows),
        PCO => {
            let length = cursor.count(usize::MAX)?;
            pco_unpack(cursor.take(length)?, rows)
        }
        _ => Err(Malformed("a column is packed in an unknown way")),
    }
}

fn put_steps<T: Cell>(values: &[T], runs: usize, out: &mut Vec<u8>) {
    put_size(out, runs);
    let mut before = T::ZERO;
    for run in values.chunk_by(|a, b| a.same(*b)) {
        put_size(out, run.len());
        if let Some(value) = run.first() {
            value.put(before, out);
            before = *value;
        }
    }
}

fn take_steps<T: Cell>(cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<T>, Malformed> {
    let mut values = Vec::with_capacity(rows);
    let mut before = T::ZERO;
    for _ in 0..cursor.count(rows)? {
        let length = cursor.size(rows - values.len())?;
        before = T::take(before, cursor)?;
        values.resize(values.len() + length, before);
    }
    if values.len() != rows {
        return Err(Malformed("the steps of a column do not fill it"));
    }
    Ok(values)
}

const PCO_REFUSES: Malformed = Malformed("pco refuses a column");

fn pco_pack<T: Cell>(values: &[T]) -> Result<Vec<u8>, Malformed> {
    let config = ChunkConfig::default().with_paging_spec(PagingSpec::Exact(vec![values.len()]));
    let file = FileCompressor::default();
    let pack = || {
        let out = file.write_header(Vec::new())?;
        let mut chunk = file.chunk_compressor(values, &config)?;
        let out = chunk.write_meta(out)?;
        chunk.write_page(0, out)
    };
    pack().map_err(|_| PCO_REFUSES)
}

fn pco_unpack<T: Cell>(packed: &[u8], rows: usize) -> Result<Vec<T>, Malformed> {
    let unpack = || {
        let (file, rest) = FileDecompressor::new(packed)?;
        let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest)?;
        let mut values = vec![T::ZERO; rows];
        let progress = chunk.page_decompressor(rest, rows)?.read(&mut values)?;
        Ok((values, progress.n_processed))
    };
    let unpacked: Result<_, pco::errors::PcoError> = unpack();
    let (values, read) = unpacked.map_err(|_| PCO_REFUSES)?;
    if read != rows {
        return Err(Malformed("a column is shorter than it says"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn survives<T: Cell>(values: &[T]) -> Vec<u8> {
        let mut out = Vec::new();
        pack(values, &mut out).unwrap();
        let mut cursor = Cursor::new(&out);
        let back = unpack::<T>(&mut cursor, values.len()).unwrap();
        assert!(cursor.is_empty());
        assert!(back.iter().zip(values).all(|(a, b)| a.same(*b)) && back.len() == values.len());
        out
    }

    #[test]
    fn a_column_takes_the_smallest_form() {
        assert_eq!(survives::<i64>(&[])[0], EMPTY);
        assert_eq!(survives(&[7_i64; 100])[0], CONSTANT);
        assert_eq!(survives(&[-0.0_f64; 100])[0], CONSTANT);
        assert_eq!(survives(&[[1_i64; 300], [9; 300]].concat())[0], STEPS);
        assert_eq!(
            survives(&(0..500).map(|n| n * n % 97).collect::<Vec<i64>>())[0],
            PCO
        );
        assert_eq!(survives(&[0.0_f64, -0.0])[0], PCO);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_column_survives(
            whole in proptest::collection::vec(any::<i64>(), 0..600),
            floats in proptest::collection::vec(proptest::num::f64::NORMAL | proptest::num::f64::ZERO, 0..600),
        ) {
            survives(&whole);
            survives(&floats);
        }

        #[test]
        fn noise_is_refused_not_obeyed(
            mut noise in proptest::collection::vec(any::<u8>(), 1..200), rows in 0_usize..2000, tag in 0_u8..5,
        ) {
            noise[0] = tag;
            if let Ok(values) = unpack::<i64>(&mut Cursor::new(&noise), rows) {
                prop_assert_eq!(values.len(), rows);
            }
            drop(unpack::<f64>(&mut Cursor::new(&noise), rows));
        }
    }
}
