//! How rollups stand in blocks.
//!
//! The times block of a collector: varint rows, then packed: starts of buckets, newest sample - start, batches, span;
//! then byte 1 and wall and boot time of the first and the last batch, or byte 0.
//!
//! The block of a series begins with:
//!
//! * varint runs of rows that are in turn present and absent among those of the collector; none where all are present;
//! * one byte form: 1 decimal, then a byte exponent; 2 float;
//! * one byte of bits: which of the columns *missing* (1), *lag* (2), *short* (4) and *increase* (8) are there, and
//!   whether the *ends* are (16);
//! * one byte that says for *max* (the low two bits), *min* (the next two) and *sum* by which guess they are kept.
//!
//! Then for the rows that are present, packed, what is there of: *missing*, batches without a value; *lag* of the newest
//! value behind the collector's; *short*, of counters, what their span lacks of the collector's; *last*, the newest
//! value, which is always there; *max*, *min*, *sum*; *increase*, of counters. A column that is not there is 0, or as
//! guessed, in all rows.
//!
//! In decimal form columns of values hold differences to a guess (see `rollup_guess.rs`; `before` is the last value of
//! the row before, or that of the first row itself):
//!
//! | guess | max | min | sum | increase |
//! | --- | --- | --- | --- | --- |
//! | 0, 1 | last | last | count * last | last - before; in the first row last - min |
//! | 2 | 0 | 0 | 0 | |
//! | 3 | the larger of last and before | before | half of count * (before + last) | |
//! | 4 | | | half of count * (min + max) | |
//!
//! With 0 the column is not there, as it would be 0 in all rows. In float form it is 0 where all rows have the bits of
//! last, and the column then is not there, or 2.
//!
//! Ends, of counters only: the ends as above, as differences to those of the collector, and two varints: the bits of the
//! first and the last value, XOR those of the first min and last last. Where they are not there, all of these are 0.

use crate::bytes::{Cursor, put_size, put_varint, put_zigzag};
use crate::column::unscale;
use crate::error::Malformed;
use crate::pack::{MOST_ROWS, pack, unpack};
use crate::rollup::{Point, Rolled, Row};
use crate::rollup_guess::{self as guess, AS_GUESSED, COLUMNS, WITHOUT_GROWTH, Whole};

const DECIMAL: u8 = 1;
const FLOAT: u8 = 2;

const MISSING: u8 = 1;
const LAG: u8 = 2;
const SHORT: u8 = 4;
const INCREASE: u8 = 8;
const ENDS: u8 = 16;

/// In float form a column stands for itself, or is the same as that of the last values.
const ITSELF: u8 = 2;

/// The values of a row beside the last one.
type Field = fn(&mut Row) -> &mut f64;

/// What a row has of what its collector has more of.
type Count = fn(&Row) -> i64;

const FIELDS: [Field; 4] = [
    |row| &mut row.max,
    |row| &mut row.min,
    |row| &mut row.sum,
    |row| &mut row.increase,
];

impl Rolled {
    fn ints(&self, of: impl Fn(&Row) -> i64) -> Vec<i64> {
        self.rows.iter().map(of).collect()
    }

    /// The times block of a collector.
    pub(crate) fn encode_base(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        put_size(&mut out, self.rows.len());
        pack(&self.ints(|row| row.bucket), &mut out)?;
        pack(
            &self.ints(|row| row.last_at.wrapping_sub(row.bucket)),
            &mut out,
        )?;
        pack(&self.ints(|row| row.count.cast_signed()), &mut out)?;
        pack(&self.ints(|row| row.span.cast_signed()), &mut out)?;
        put_ends(&mut out, self.ends, None);
        Ok(out)
    }

    pub(crate) fn decode_base(block: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(block);
        let count = cursor.size(MOST_ROWS)?;
        let [buckets, lags, counts, spans] = take_ints(&mut cursor, count)?;
        let mut rows = Vec::with_capacity(count);
        for (((bucket, lag), batches), span) in buckets.into_iter().zip(lags).zip(counts).zip(spans)
        {
            let last_at = bucket.wrapping_add(lag);
            let point = Point {
                wall: last_at,
                boot: 0,
                value: 0.0,
            };
            let mut row = Row::of(bucket, &point);
            row.count = batches.cast_unsigned();
            row.span = span.cast_unsigned();
            rows.push(row);
        }
        let ends = take_ends(&mut cursor, None)?;
        Ok(Self { rows, ends })
    }

    /// The block of a series among the rows of its collector; `counter` says whether growth is kept.
    pub(crate) fn encode(&self, collector: &Self, counter: bool) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        let base = self.put_presence(collector, &mut out)?;
        let mut there = 0;
        let mut body = Vec::new();
        let columns: [(u8, Count); 3] = [
            (MISSING, |row| row.count.cast_signed()),
            (LAG, |row| row.last_at),
            (SHORT, |row| row.span.cast_signed()),
        ];
        for (bit, of) in columns
            .into_iter()
            .filter(|(bit, _)| counter || *bit != SHORT)
        {
            let pairs = base.iter().zip(&self.rows);
            let column: Vec<i64> = pairs
                .map(|(base, row)| of(base).wrapping_sub(of(row)))
                .collect();
            if column.iter().any(|number| *number != 0) {
                there |= bit;
                pack(&column, &mut body)?;
            }
        }
        let guesses = self.put_values(counter, &mut out, &mut body)?;
        let [max, min, sum, increase] = guesses;
        if increase != AS_GUESSED {
            there |= INCREASE;
        }
        if counter && self.put_series_ends(collector, &mut body) {
            there |= ENDS;
        }
        out.extend([there, max | min << 2 | sum << 4]);
        out.append(&mut body);
        Ok(out)
    }

    pub(crate) fn decode(block: &[u8], collector: &Self, counter: bool) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(block);
        let mut rows = take_presence(&mut cursor, collector)?;
        let exponent = match cursor.u8()? {
            DECIMAL => Some(cursor.u8()?),
            FLOAT => None,
            _ => return Err(Malformed("a rollup is of an unknown form")),
        };
        let (there, guesses) = (cursor.u8()?, cursor.u8()?);
        let mut less = |bit: u8, set: fn(&mut Row, i64)| -> Result<(), Malformed> {
            if there & bit != 0 {
                let column = unpack(&mut cursor, rows.len())?;
                rows.iter_mut()
                    .zip(column)
                    .for_each(|(row, less)| set(row, less));
            }
            Ok(())
        };
        less(MISSING, |row, less| {
            row.count = row.count.wrapping_sub(less.cast_unsigned());
        })?;
        less(LAG, |row, less| {
            row.last_at = row.last_at.wrapping_sub(less);
        })?;
        less(SHORT, |row, less| {
            row.span = row.span.wrapping_sub(less.cast_unsigned());
        })?;
        let increase = if there & INCREASE == 0 { 0 } else { ITSELF };
        let guesses = [guesses & 3, guesses >> 2 & 3, guesses >> 4, increase];
        let columns = if counter {
            guesses.len()
        } else {
            WITHOUT_GROWTH
        };
        let guesses = guesses.get(..columns).unwrap_or(&guesses);
        match exponent {
            Some(exponent) => take_decimals(&mut cursor, &mut rows, exponent, guesses)?,
            None => take_floats(&mut cursor, &mut rows, guesses)?,
        }
        let mut rolled = Self { rows, ends: None };
        if counter {
            rolled.take_series_ends(&mut cursor, collector, there & ENDS != 0)?;
        } else {
            rolled.rows.iter_mut().for_each(|row| row.span = 0);
        }
        Ok(rolled)
    }

    /// Appends form and exponent to `out` and the columns of values to `body`; says how they are guessed.
    fn put_values(
        &self,
        counter: bool,
        out: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> Result<[u8; COLUMNS.len()], Malformed> {
        let mut guesses = [AS_GUESSED; COLUMNS.len()];
        let columns = if counter {
            COLUMNS.len()
        } else {
            WITHOUT_GROWTH
        };
        if let Some((exponent, mut rows)) = guess::whole(&self.rows, counter) {
            out.extend([DECIMAL, exponent]);
            let lasts: Vec<i64> = rows.iter().map(|row| row.last).collect();
            pack(&lasts, body)?;
            for (guess, column) in guesses.iter_mut().zip(&COLUMNS).take(columns) {
                *guess = guess::put(&mut rows, column, body)?;
            }
            return Ok(guesses);
        }
        out.push(FLOAT);
        let lasts: Vec<f64> = self.rows.iter().map(|row| row.last).collect();
        pack(&lasts, body)?;
        let mut rows = self.rows.clone();
        for (guess, field) in guesses.iter_mut().zip(FIELDS).take(columns) {
            let values: Vec<f64> = rows.iter_mut().map(|row| *field(row)).collect();
            let pairs = values.iter().zip(&lasts);
            if pairs.into_iter().any(|(a, b)| a.to_bits() != b.to_bits()) {
                *guess = ITSELF;
                pack(&values, body)?;
            }
        }
        Ok(guesses)
    }

    /// What the values of the first and the last sample are where nothing was reset and no clock was set.
    fn guesses(&self) -> [f64; 2] {
        let first = self.rows.first().map_or(0.0, |row| row.min);
        let last = self.rows.last().map_or(0.0, |row| row.last);
        [first, last]
    }

    /// Appends the runs of rows that are present and absent; the rows of the collector that are present.
    fn put_presence<'a>(
        &self,
        base: &'a Self,
        out: &mut Vec<u8>,
    ) -> Result<Vec<&'a Row>, Malformed> {
        let mut own = self.rows.iter().peekable();
        let mut runs: Vec<usize> = vec![0];
        let mut taken = Vec::with_capacity(self.rows.len());
        let mut is_present = true;
        for row in &base.rows {
            let is = own.next_if(|own| own.bucket == row.bucket).is_some();
            if is {
                taken.push(row);
            }
            if is != is_present {
                runs.push(0);
                is_present = is;
            }
            if let Some(run) = runs.last_mut() {
                *run += 1;
            }
        }
        if own.next().is_some() {
            return Err(Malformed("a rollup has rows that its collector has not"));
        }
        if runs.len() == 1 && is_present {
            runs.clear();
        }
        put_size(out, runs.len());
        runs.iter().for_each(|run| put_size(out, *run));
        Ok(taken)
    }

    /// Appends the ends of a series, unless they are those of its collector with the values that are guessed.
    fn put_series_ends(&self, collector: &Self, out: &mut Vec<u8>) -> bool {
        let mut ends = Vec::new();
        put_ends(&mut ends, self.ends, collector.ends);
        let (first, last) = self.ends.unwrap_or((ZERO, ZERO));
        for (value, guess) in [first.value, last.value].into_iter().zip(self.guesses()) {
            put_varint(&mut ends, value.to_bits() ^ guess.to_bits());
        }
        let is_needed = self.ends.is_none() || ends.iter().skip(1).any(|byte| *byte != 0);
        if is_needed {
            out.append(&mut ends);
        }
        is_needed
    }

    fn take_series_ends(
        &mut self,
        cursor: &mut Cursor<'_>,
        collector: &Self,
        are_there: bool,
    ) -> Result<(), Malformed> {
        let [mut first, mut last] = self.guesses();
        self.ends = if are_there {
            let ends = take_ends(cursor, collector.ends)?;
            for value in [&mut first, &mut last] {
                *value = f64::from_bits(value.to_bits() ^ cursor.varint()?);
            }
            ends
        } else {
            Some(collector.ends.unwrap_or((ZERO, ZERO)))
        };
        if let Some(ends) = &mut self.ends {
            (ends.0.value, ends.1.value) = (first, last);
        }
        Ok(())
    }
}

fn take_decimals(
    cursor: &mut Cursor<'_>,
    rows: &mut [Row],
    exponent: u8,
    guesses: &[u8],
) -> Result<(), Malformed> {
    let lasts: Vec<i64> = unpack(cursor, rows.len())?;
    let mut whole: Vec<Whole> = Vec::with_capacity(rows.len());
    for (row, last) in rows.iter().zip(lasts) {
        whole.push(Whole {
            count: row.count.cast_signed(),
            before: whole.last().map_or(last, |before| before.last),
            last,
            is_first: whole.is_empty(),
            ..Whole::default()
        });
    }
    let is_increase = |place| place == WITHOUT_GROWTH;
    for (place, (column, guess)) in COLUMNS.iter().zip(guesses).enumerate() {
        let differences = match *guess {
            AS_GUESSED => Vec::new(),
            _ => unpack(cursor, rows.len())?,
        };
        let guess = if is_increase(place) { 1 } else { *guess };
        guess::set(&mut whole, column, guess, &differences)?;
    }
    for (row, whole) in rows.iter_mut().zip(&whole) {
        row.last = unscale(whole.last, exponent);
        row.max = unscale(whole.max, exponent);
        row.min = unscale(whole.min, exponent);
        row.sum = unscale(whole.sum, exponent);
        row.increase = unscale(whole.increase, exponent);
    }
    Ok(())
}

fn take_floats(cursor: &mut Cursor<'_>, rows: &mut [Row], guesses: &[u8]) -> Result<(), Malformed> {
    let lasts: Vec<f64> = unpack(cursor, rows.len())?;
    for (row, last) in rows.iter_mut().zip(&lasts) {
        row.last = *last;
    }
    for (field, guess) in FIELDS.iter().zip(guesses) {
        let unpacked;
        let values = match *guess {
            AS_GUESSED => &lasts,
            ITSELF => {
                unpacked = unpack(cursor, rows.len())?;
                &unpacked
            }
            _ => return Err(guess::UNKNOWN),
        };
        for (row, value) in rows.iter_mut().zip(values) {
            *field(row) = *value;
        }
    }
    Ok(())
}

fn take_ints<const N: usize>(
    cursor: &mut Cursor<'_>,
    rows: usize,
) -> Result<[Vec<i64>; N], Malformed> {
    let mut columns = [const { Vec::new() }; N];
    for column in &mut columns {
        *column = unpack(cursor, rows)?;
    }
    Ok(columns)
}

fn take_presence(cursor: &mut Cursor<'_>, base: &Rolled) -> Result<Vec<Row>, Malformed> {
    let runs = cursor.count(base.rows.len() + 1)?;
    if runs == 0 {
        return Ok(base.rows.clone());
    }
    let mut rows = base.rows.iter();
    let mut taken = Vec::new();
    for run in 0..runs {
        let length = cursor.size(rows.len())?;
        let part = rows.by_ref().take(length);
        if run % 2 == 0 {
            taken.extend(part.copied());
        } else {
            part.for_each(drop);
        }
    }
    if rows.len() != 0 {
        return Err(Malformed("runs do not fill their rollup"));
    }
    Ok(taken)
}

/// First and last sample: their clocks as differences to those of the collector, which most often are none.
fn put_ends(out: &mut Vec<u8>, ends: Option<(Point, Point)>, base: Option<(Point, Point)>) {
    let Some((first, last)) = ends else {
        return out.push(0);
    };
    let (base_first, base_last) = base.unwrap_or((ZERO, ZERO));
    out.push(1);
    for (point, base) in [(first, base_first), (last, base_last)] {
        put_zigzag(out, point.wall.wrapping_sub(base.wall));
        put_zigzag(out, point.boot.wrapping_sub(base.boot).cast_signed());
    }
}

fn take_ends(
    cursor: &mut Cursor<'_>,
    base: Option<(Point, Point)>,
) -> Result<Option<(Point, Point)>, Malformed> {
    if cursor.u8()? == 0 {
        return Ok(None);
    }
    let (base_first, base_last) = base.unwrap_or((ZERO, ZERO));
    let mut point = |base: Point| {
        Ok(Point {
            wall: base.wall.wrapping_add(cursor.zigzag()?),
            boot: base.boot.wrapping_add_signed(cursor.zigzag()?),
            value: 0.0,
        })
    };
    Ok(Some((point(base_first)?, point(base_last)?)))
}

const ZERO: Point = Point {
    wall: 0,
    boot: 0,
    value: 0.0,
};
