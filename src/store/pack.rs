//! Columns of numbers, packed: nothing, one constant, a few steps, or each number for itself.
//!
//! | tag | then |
//! | --- | --- |
//! | 0 | nothing: the column is empty |
//! | 1 | the one value of all rows |
//! | 2 | varint runs, then for each: varint length, value |
//! | 3 | whole numbers: zigzag least, varint step, then the *places*: each number is least + step * place |
//! | 4 | whole numbers as differences: zigzag first value, then the differences of its followers as in 3 |
//! | 5 | floats: varint length, pco of `f64` |
//!
//! A whole number is a zigzag varint (in steps: of the difference to the run before), a float its 8 bytes. Places are
//! one byte container and then:
//!
//! | container | then |
//! | --- | --- |
//! | 0 ..= 64 | so many bits for each, the lowest bit first, filled up to whole bytes |
//! | 65 | varint length, pco of `u32` |
//! | 66 | varint length, pco of `u64` |
//!
//! pco stands in its wrapped format: header, one chunk, one page. It is told neither to look for differences nor for
//! multiples: both stand outside, where they are exact. Left to itself it looks at a part of the column only, and takes
//! counters that seldom grow for noise.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

use crate::bytes::{Cursor, put_size, put_varint, put_zigzag};
use crate::error::Malformed;

const EMPTY: u8 = 0;
const CONSTANT: u8 = 1;
const STEPS: u8 = 2;
const PLAIN: u8 = 3;
const DIFFERENCES: u8 = 4;
const FLOATS: u8 = 5;

const NARROW: u8 = 65;
const WIDE: u8 = 66;

/// Where runs are longer than this on average, steps are tried beside the rest.
const STEPS_WORTH_TRYING: usize = 16;

/// The header of pco and its smallest table take this much, so what fits into as many bytes is not tried.
const SMALLEST_PCO: usize = 12;

/// One more level takes a tenth longer and saves a thousandth.
const PCO_LEVEL: usize = 8;

/// Rows of the longest column: a collector at 1 s for three days. A larger count in a file is damage.
pub(crate) const MOST_ROWS: usize = 1 << 18;

/// What a column can be made of.
pub(crate) trait Cell: Copy {
    /// The same to the last bit: -0.0 is not 0.0.
    fn same(self, other: Self) -> bool;
    fn put(self, before: Self, out: &mut Vec<u8>);
    fn take(before: Self, cursor: &mut Cursor<'_>) -> Result<Self, Malformed>;
    /// Appends the smallest form, tag first, in which each value stands for itself.
    fn put_each(values: &[Self], out: &mut Vec<u8>) -> Result<(), Malformed>;
    /// Takes such a form, behind its tag.
    fn take_each(tag: u8, cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<Self>, Malformed>;
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

    fn put_each(values: &[Self], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = out.len();
        out.push(PLAIN);
        put_places(values, out)?;
        let plain = out.len() - start;
        let Some(first) = values.first() else {
            return Ok(());
        };
        let differences: Vec<Self> = values
            .windows(2)
            .map(|two| match two {
                [a, b] => b.wrapping_sub(*a),
                _ => 0,
            })
            .collect();
        out.push(DIFFERENCES);
        put_zigzag(out, *first);
        put_places(&differences, out)?;
        if out.len() - start - plain < plain {
            out.drain(start..start + plain);
        } else {
            out.truncate(start + plain);
        }
        Ok(())
    }

    fn take_each(tag: u8, cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<Self>, Malformed> {
        match tag {
            PLAIN => take_places(cursor, rows),
            DIFFERENCES => {
                let mut value = cursor.zigzag()?;
                let mut values = take_places(cursor, rows.saturating_sub(1))?;
                for slot in &mut values {
                    let next = value.wrapping_add(*slot);
                    *slot = std::mem::replace(&mut value, next);
                }
                if rows > 0 {
                    values.push(value);
                }
                Ok(values)
            }
            _ => Err(UNKNOWN),
        }
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

    fn put_each(values: &[Self], out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.push(FLOATS);
        put_pco(values, &ChunkConfig::default(), out)
    }

    fn take_each(tag: u8, cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<Self>, Malformed> {
        match tag {
            FLOATS => take_pco(cursor, rows, Self::ZERO),
            _ => Err(UNKNOWN),
        }
    }
}

const UNKNOWN: Malformed = Malformed("a column is packed in an unknown way");

/// Appends the packed column. The number of rows is not in it: whoever unpacks knows it.
pub(crate) fn pack<T: Cell>(values: &[T], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let Some(first) = values.first() else {
        out.push(EMPTY);
        return Ok(());
    };
    let runs = values.chunk_by(|a, b| a.same(*b)).count();
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
    T::put_each(values, out)?;
    if steps > 0 {
        if out.len() - start - steps < steps {
            out.drain(start..start + steps);
        } else {
            out.truncate(start + steps);
        }
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
        tag => T::take_each(tag, cursor, rows),
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

/// Whole numbers as multiples of a step above the least of them.
fn put_places(numbers: &[i64], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let least = numbers.iter().copied().min().unwrap_or(0);
    let most = numbers.iter().copied().max().unwrap_or(0);
    // Correct also where the difference does not fit an `i64`.
    let above = |number: &i64| number.wrapping_sub(least).cast_unsigned();
    let step = common_step(numbers.iter().map(above)).max(1);
    put_zigzag(out, least);
    put_varint(out, step);
    let highest = above(&most) / step;
    let bits = u64::BITS - highest.leading_zeros();
    let places = numbers.iter().map(|number| match step {
        1 => above(number),
        step => above(number) / step,
    });
    let plain = bytes_for(numbers.len(), bits);
    let start = out.len();
    if plain > SMALLEST_PCO {
        let config = ChunkConfig::default()
            .with_compression_level(PCO_LEVEL)
            .with_mode_spec(ModeSpec::Classic)
            .with_delta_spec(DeltaSpec::NoOp);
        if u32::try_from(highest).is_ok() {
            #[expect(clippy::cast_possible_truncation, reason = "the highest fits")]
            let narrow: Vec<u32> = places.clone().map(|place| place as u32).collect();
            out.push(NARROW);
            put_pco(&narrow, &config, out)?;
        } else {
            let wide: Vec<u64> = places.clone().collect();
            out.push(WIDE);
            put_pco(&wide, &config, out)?;
        }
        if out.len() - start <= plain + 1 {
            return Ok(());
        }
        out.truncate(start);
    }
    out.push(bits.to_le_bytes()[0]);
    put_bits(places, bits, out);
    Ok(())
}

fn take_places(cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<i64>, Malformed> {
    let least = cursor.zigzag()?;
    let step = cursor.varint()?;
    let number = |place: u64| least.wrapping_add(place.wrapping_mul(step).cast_signed());
    match cursor.u8()? {
        NARROW => {
            let places = take_pco(cursor, rows, 0_u32)?;
            Ok(places
                .into_iter()
                .map(|place| number(u64::from(place)))
                .collect())
        }
        WIDE => {
            let places = take_pco(cursor, rows, 0_u64)?;
            Ok(places.into_iter().map(number).collect())
        }
        bits if u32::from(bits) <= u64::BITS => {
            let bits = u32::from(bits);
            let bytes = cursor.take(bytes_for(rows, bits))?;
            Ok(each_of_bits(bytes, bits, rows).map(number).collect())
        }
        _ => Err(UNKNOWN),
    }
}

/// The greatest number that all of them are multiples of; 0 where all are 0.
fn common_step(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut step = 0_u64;
    for number in numbers {
        if step == 1 {
            break;
        }
        let (mut a, mut b) = (step, number);
        while b != 0 {
            // `a` is a multiple of `b` most of the time, and smaller than it only at first.
            (a, b) = (b, a % b);
        }
        step = a;
    }
    step
}

const fn bytes_for(rows: usize, bits: u32) -> usize {
    (rows * bits as usize).div_ceil(8)
}

fn put_bits(places: impl Iterator<Item = u64>, bits: u32, out: &mut Vec<u8>) {
    let (mut held, mut filled) = (0_u128, 0);
    for place in places {
        held |= u128::from(place) << filled;
        filled += bits;
        while filled >= 8 {
            out.push(held.to_le_bytes()[0]);
            held >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(held.to_le_bytes()[0]);
    }
}

fn each_of_bits(bytes: &[u8], bits: u32, rows: usize) -> impl Iterator<Item = u64> {
    let mut bytes = bytes.iter();
    let (mut held, mut filled) = (0_u128, 0);
    let mask = (1_u128 << bits) - 1;
    (0..rows).map(move |_| {
        while filled < bits {
            held |= u128::from(bytes.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        let place = u64::try_from(held & mask).unwrap_or(u64::MAX);
        held >>= bits;
        filled -= bits;
        place
    })
}

const PCO_REFUSES: Malformed = Malformed("pco refuses a column");

fn put_pco<T: Number>(
    values: &[T],
    config: &ChunkConfig,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let config = config
        .clone()
        .with_paging_spec(PagingSpec::Exact(vec![values.len()]));
    let file = FileCompressor::default();
    let pack = || {
        let packed = file.write_header(Vec::new())?;
        let mut chunk = file.chunk_compressor(values, &config)?;
        let packed = chunk.write_meta(packed)?;
        chunk.write_page(0, packed)
    };
    let packed = pack().map_err(|_| PCO_REFUSES)?;
    put_size(out, packed.len());
    out.extend_from_slice(&packed);
    Ok(())
}

fn take_pco<T: Number>(cursor: &mut Cursor<'_>, rows: usize, zero: T) -> Result<Vec<T>, Malformed> {
    let length = cursor.count(usize::MAX)?;
    let packed = cursor.take(length)?;
    let unpack = || {
        let (file, rest) = FileDecompressor::new(packed)?;
        let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest)?;
        let mut values = vec![zero; rows];
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

    /// Numbers that neither follow each other nor spread evenly.
    fn uneven(n: i64) -> i64 {
        (n * n * 7919 % 97).pow(3)
    }

    #[test]
    fn a_column_takes_the_smallest_form() {
        assert_eq!(survives::<i64>(&[])[0], EMPTY);
        assert_eq!(survives(&[7_i64; 100])[0], CONSTANT);
        assert_eq!(survives(&[-0.0_f64; 100])[0], CONSTANT);
        assert_eq!(survives(&[[1_i64; 300], [9; 300]].concat())[0], STEPS);
        assert_eq!(survives(&[0.0_f64, -0.0])[0], FLOATS);
        let gauge = survives(&(0..500).map(uneven).collect::<Vec<_>>());
        assert_eq!((gauge[0], gauge[3]), (PLAIN, NARROW));
        let counter = survives(
            &(0..500)
                .map(|n| (1 << 40) + 100 * n + uneven(n) % 50)
                .collect::<Vec<_>>(),
        );
        assert_eq!(counter[0], DIFFERENCES);
        let wide = survives(
            &(0..500)
                .map(|n| (uneven(n) % 5) << 50 | uneven(n))
                .collect::<Vec<_>>(),
        );
        assert_eq!((wide[0], wide[3]), (PLAIN, WIDE));
        assert_eq!(survives(&[0_i64, 3, 1, 2]).len(), 5);
    }

    #[test]
    fn what_grows_steadily_costs_nothing_and_pages_count_as_pages() {
        let steady: Vec<i64> = (0..3600).map(|n| 17 + 3 * n).collect();
        assert!(survives(&steady).len() < 8);
        let pages: Vec<i64> = (0..1000).map(uneven).collect();
        let bytes: Vec<i64> = pages.iter().map(|page| page * 4096 + 512).collect();
        assert!(survives(&bytes).len() <= survives(&pages).len() + 4);
    }

    #[test]
    fn a_counter_that_seldom_grows_is_not_taken_for_noise() {
        let rare: Vec<i64> = (0..3600_i64)
            .map(|n| (n / 9) * 3 + i64::from(n % 50 == 0))
            .collect();
        assert!(survives(&rare).len() < 600, "{}", survives(&rare).len());
    }

    #[test]
    fn the_widest_numbers_survive() {
        for values in [
            vec![i64::MIN, i64::MAX],
            vec![i64::MIN, -1, 0, 1, i64::MAX],
            (0..200)
                .map(|n| if n % 3 == 0 { i64::MAX } else { i64::MIN + n })
                .collect(),
        ] {
            survives(&values);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_column_survives(
            whole in proptest::collection::vec(any::<i64>(), 0..600),
            small in proptest::collection::vec(-9_i64..99, 0..600),
            step in 1_i64..1 << 40,
            floats in proptest::collection::vec(proptest::num::f64::NORMAL | proptest::num::f64::ZERO, 0..600),
        ) {
            survives(&whole);
            survives(&small);
            survives(&small.iter().map(|number| number * step + 1).collect::<Vec<_>>());
            survives(&floats);
        }

        #[test]
        fn noise_is_refused_not_obeyed(
            mut noise in proptest::collection::vec(any::<u8>(), 4..200),
            rows in 0_usize..2000, tag in 0_u8..7, container in any::<Option<u8>>(),
        ) {
            noise[0] = tag;
            if let Some(container) = container {
                noise[1..4].copy_from_slice(&[2, 1, container]);
            }
            if let Ok(values) = unpack::<i64>(&mut Cursor::new(&noise), rows) {
                prop_assert_eq!(values.len(), rows);
            }
            drop(unpack::<f64>(&mut Cursor::new(&noise), rows));
        }
    }
}
