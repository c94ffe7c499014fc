//! What a rollup's numbers are guessed to be from those before, so that little is left to be written down.
//!
//! Minimum, maximum and sum of a row are kept as differences to a guess. Which one fits best depends on what is
//! measured: a steady counter's minimum follows the last value of the row before; the extremes of noise have nothing to
//! do with the value that happened to come last. So each column is tried with each of its guesses, and says which one
//! it took.

use crate::column::{rounded, scale, scaled, unscale};
use crate::error::Malformed;
use crate::pack::pack;
use crate::rollup::Row;

/// Every row is as the column's first guess says: the column is not there.
pub(crate) const AS_GUESSED: u8 = 0;

/// The numbers of a row as multiples of a power of ten.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whole {
    pub(crate) count: i64,
    /// The last value of the row before; in the first row its own.
    pub(crate) before: i64,
    pub(crate) last: i64,
    pub(crate) max: i64,
    pub(crate) min: i64,
    pub(crate) sum: i64,
    pub(crate) increase: i64,
    pub(crate) is_first: bool,
}

/// A column of guessed numbers.
pub(crate) struct Guessed {
    pub(crate) number: fn(&mut Whole) -> &mut i64,
    /// Numbered from 1; the first is the one of [`AS_GUESSED`].
    pub(crate) guesses: &'static [fn(&Whole) -> i64],
}

/// In the order in which they are written: a guess may look at what came before.
pub(crate) const COLUMNS: [Guessed; 4] = [
    Guessed {
        number: |row| &mut row.max,
        guesses: &[|row| row.last, |_| 0, |row| row.last.max(row.before)],
    },
    Guessed {
        number: |row| &mut row.min,
        guesses: &[|row| row.last, |_| 0, |row| row.before],
    },
    Guessed {
        number: |row| &mut row.sum,
        guesses: &[
            |row| row.count.wrapping_mul(row.last),
            |_| 0,
            |row| times_half(row.count, row.before.wrapping_add(row.last)),
            |row| times_half(row.count, row.min.wrapping_add(row.max)),
        ],
    },
    Guessed {
        number: |row| &mut row.increase,
        // In the first row of a file nothing came before the first value, which of a counter is the least.
        guesses: &[|row| {
            let from = if row.is_first { row.min } else { row.before };
            row.last.wrapping_sub(from)
        }],
    },
];

pub(crate) const UNKNOWN: Malformed = Malformed("a rollup is guessed in an unknown way");

/// How many of [`COLUMNS`] series have that are no counters.
pub(crate) const WITHOUT_GROWTH: usize = 3;

const fn times_half(count: i64, twice: i64) -> i64 {
    count.wrapping_mul(twice) >> 1
}

/// The rows as whole numbers and the exponent, where last, min and max are decimals to the last bit. Sums carry the
/// rounding of their additions, which is taken off again.
pub(crate) fn whole(rows: &[Row], is_counter: bool) -> Option<(u8, Vec<Whole>)> {
    let edges: Vec<f64> = rows
        .iter()
        .flat_map(|row| [row.last, row.max, row.min])
        .collect();
    let (exponent, edges) = scale(&edges)?;
    let mut whole: Vec<Whole> = Vec::with_capacity(rows.len());
    for (row, edges) in rows.iter().zip(edges.chunks_exact(3)) {
        let &[last, max, min] = edges else {
            return None;
        };
        let increase = if is_counter {
            near(row.increase, exponent)?
        } else {
            0
        };
        whole.push(Whole {
            count: row.count.cast_signed(),
            before: whole.last().map_or(last, |before| before.last),
            last,
            max,
            min,
            sum: near(row.sum, exponent)?,
            increase,
            is_first: whole.is_empty(),
        });
    }
    Some((exponent, whole))
}

/// A sum as a whole number, where it differs from that by no more than additions round.
fn near(sum: f64, exponent: u8) -> Option<i64> {
    /// 3,600 additions round off less than this share.
    const ROUNDING: f64 = 1e-11;
    let whole = scaled(sum, exponent).or_else(|| rounded(sum, exponent))?;
    ((unscale(whole, exponent) - sum).abs() <= sum.abs() * ROUNDING).then_some(whole)
}

/// Appends what a column differs by from its best guess, and says which one that is.
pub(crate) fn put(
    rows: &mut [Whole],
    column: &Guessed,
    out: &mut Vec<u8>,
) -> Result<u8, Malformed> {
    let start = out.len();
    let mut best = AS_GUESSED;
    let mut differences = Vec::with_capacity(rows.len());
    for (number, guess) in (1..).zip(column.guesses) {
        differences.clear();
        differences.extend(rows.iter_mut().map(|row| {
            guess(row)
                .wrapping_neg()
                .wrapping_add(*(column.number)(row))
        }));
        if number == 1 && differences.iter().all(|difference| *difference == 0) {
            return Ok(AS_GUESSED);
        }
        let known = out.len() - start;
        pack(&differences, out)?;
        if best == AS_GUESSED {
            best = number;
        } else if out.len() - start - known < known {
            out.drain(start..start + known);
            best = number;
        } else {
            out.truncate(start + known);
        }
    }
    Ok(best)
}

/// Sets the numbers of a column from what they differ by from a guess.
pub(crate) fn set(
    rows: &mut [Whole],
    column: &Guessed,
    guess: u8,
    differences: &[i64],
) -> Result<(), Malformed> {
    let place = usize::from(guess.max(1)) - 1;
    let guess = column.guesses.get(place);
    let guess = guess.ok_or(UNKNOWN)?;
    let mut differences = differences.iter().copied();
    for row in rows {
        let number = guess(row).wrapping_add(differences.next().unwrap_or(0));
        *(column.number)(row) = number;
    }
    Ok(())
}
