//! How rollups stand in blocks.
//!
//! The times block of a collector: varint rows, then packed: starts of buckets, newest sample - start, batches, span;
//! then byte 1 and wall and boot time of the first and the last batch, or byte 0.
//!
//! The block of a series: varint runs of rows that are in turn absent and present among those of the collector; one byte
//! form (1 decimal, then a byte exponent; 2 float); then for the rows that are present, packed: batches without a value,
//! lag of the newest value behind the collector's, last; then in decimal form max - last, last - min, sum - count * last,
//! in float form max, min, sum; and for counters lag of the span, increase (in decimal form without the difference of
//! this last to that of the row before), then the ends as above, as differences to
//! those of the collector, and two varints: the bits of the first and the last value, XOR those of the first min and last
//! last.

use crate::bytes::{Cursor, put_size, put_varint, put_zigzag};
use crate::column::{rounded, scale, scaled, unscale};
use crate::error::Malformed;
use crate::pack::{MOST_ROWS, pack, unpack};
use crate::rollup::{Point, Rolled, Row};

const DECIMAL: u8 = 1;
const FLOAT: u8 = 2;

impl Rolled {
    fn ints(&self, of: impl Fn(&Row) -> i64) -> Vec<i64> {
        self.rows.iter().map(of).collect()
    }

    fn floats(&self, of: impl Fn(&Row) -> f64) -> Vec<f64> {
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
        let present = self.put_presence(collector, &mut out);
        let base: Vec<&Row> = collector
            .rows
            .iter()
            .zip(&present)
            .filter(|(_, is)| **is)
            .map(|(row, _)| row)
            .collect();
        if base.len() != self.rows.len() {
            return Err(Malformed("a rollup has rows that its collector has not"));
        }
        let against = |of: fn(&Row) -> i64| -> Vec<i64> {
            base.iter()
                .zip(&self.rows)
                .map(|(base, row)| of(base).wrapping_sub(of(row)))
                .collect()
        };
        let decimals = self.decimals(counter);
        match &decimals {
            Some(decimals) => out.extend([DECIMAL, decimals.exponent]),
            None => out.push(FLOAT),
        }
        pack(&against(|row| row.count.cast_signed()), &mut out)?;
        pack(&against(|row| row.last_at), &mut out)?;
        if let Some(decimals) = &decimals {
            for column in &decimals.columns {
                pack(column, &mut out)?;
            }
        } else {
            for of in [
                |row: &Row| row.last,
                |row: &Row| row.max,
                |row: &Row| row.min,
                |row: &Row| row.sum,
            ] {
                pack(&self.floats(of), &mut out)?;
            }
        }
        if counter {
            pack(&against(|row| row.span.cast_signed()), &mut out)?;
            match &decimals {
                Some(decimals) => pack(&decimals.increases, &mut out)?,
                None => pack(&self.floats(|row| row.increase), &mut out)?,
            }
            put_ends(&mut out, self.ends, collector.ends);
            let (first, last) = self.ends.unwrap_or((ZERO, ZERO));
            for (value, guess) in [first.value, last.value].into_iter().zip(self.guesses()) {
                put_varint(&mut out, value.to_bits() ^ guess.to_bits());
            }
        }
        Ok(out)
    }

    pub(crate) fn decode(block: &[u8], collector: &Self, counter: bool) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(block);
        let base = take_presence(&mut cursor, collector)?;
        let count = base.len();
        let exponent = match cursor.u8()? {
            DECIMAL => Some(cursor.u8()?),
            FLOAT => None,
            _ => return Err(Malformed("a rollup is of an unknown form")),
        };
        let [missing, lags] = take_ints(&mut cursor, count)?;
        let mut rows: Vec<Row> = base.into_iter().copied().collect();
        for ((row, missing), lag) in rows.iter_mut().zip(missing).zip(lags) {
            row.count = row.count.wrapping_sub(missing.cast_unsigned());
            row.last_at = row.last_at.wrapping_sub(lag);
        }
        let lasts = match exponent {
            Some(exponent) => take_decimals(&mut cursor, &mut rows, exponent)?,
            None => {
                take_floats(&mut cursor, &mut rows)?;
                Vec::new()
            }
        };
        let mut rolled = Self { rows, ends: None };
        if !counter {
            rolled.rows.iter_mut().for_each(|row| row.span = 0);
            return Ok(rolled);
        }
        let [lags] = take_ints(&mut cursor, count)?;
        for (row, lag) in rolled.rows.iter_mut().zip(lags) {
            row.span = row.span.wrapping_sub(lag.cast_unsigned());
        }
        take_increases(&mut cursor, &mut rolled.rows, exponent, &lasts)?;
        rolled.ends = take_ends(&mut cursor, collector.ends)?;
        let mut values = rolled.guesses();
        for value in &mut values {
            *value = f64::from_bits(value.to_bits() ^ cursor.varint()?);
        }
        let [first, last] = values;
        if let Some(ends) = &mut rolled.ends {
            (ends.0.value, ends.1.value) = (first, last);
        }
        Ok(rolled)
    }

    /// What the values of the first and the last sample are where nothing was reset and no clock was set.
    fn guesses(&self) -> [f64; 2] {
        let first = self.rows.first().map_or(0.0, |row| row.min);
        let last = self.rows.last().map_or(0.0, |row| row.last);
        [first, last]
    }

    fn put_presence(&self, base: &Self, out: &mut Vec<u8>) -> Vec<bool> {
        let mut own = self.rows.iter().peekable();
        let present: Vec<bool> = base
            .rows
            .iter()
            .map(|row| own.next_if(|own| own.bucket == row.bucket).is_some())
            .collect();
        let mut runs: Vec<usize> = vec![0];
        let mut current = false;
        for is in &present {
            if *is != current {
                runs.push(0);
                current = *is;
            }
            if let Some(run) = runs.last_mut() {
                *run += 1;
            }
        }
        put_size(out, runs.len());
        runs.iter().for_each(|run| put_size(out, *run));
        present
    }

    /// The columns as whole numbers, where last, min and max are decimals to the last bit. Sums carry the rounding of
    /// their additions, which is taken off again.
    fn decimals(&self, counter: bool) -> Option<Decimals> {
        let edges: Vec<f64> = self
            .rows
            .iter()
            .flat_map(|row| [row.last, row.max, row.min])
            .collect();
        let (exponent, edges) = scale(&edges)?;
        let mut columns: [Vec<i64>; 4] = Default::default();
        let mut increases = Vec::new();
        let mut before = None;
        for (row, edges) in self.rows.iter().zip(edges.chunks_exact(3)) {
            let &[last, max, min] = edges else {
                return None;
            };
            let sum = near(row.sum, exponent)?;
            let count = row.count.cast_signed();
            let parts = [
                last,
                max.wrapping_sub(last),
                last.wrapping_sub(min),
                sum.wrapping_sub(count.wrapping_mul(last)),
            ];
            for (column, part) in columns.iter_mut().zip(parts) {
                column.push(part);
            }
            if counter {
                let expected = before.map_or(0, |before| last.wrapping_sub(before));
                increases.push(near(row.increase, exponent)?.wrapping_sub(expected));
                before = Some(last);
            }
        }
        Some(Decimals {
            exponent,
            columns,
            increases,
        })
    }
}

/// Rows as whole numbers, in the order and with the differences of the format.
struct Decimals {
    exponent: u8,
    columns: [Vec<i64>; 4],
    increases: Vec<i64>,
}

/// A sum as a whole number, where it differs from that by no more than additions round.
fn near(sum: f64, exponent: u8) -> Option<i64> {
    /// 3,600 additions round off less than this share.
    const ROUNDING: f64 = 1e-11;
    let whole = scaled(sum, exponent).or_else(|| rounded(sum, exponent))?;
    ((unscale(whole, exponent) - sum).abs() <= sum.abs() * ROUNDING).then_some(whole)
}

fn take_decimals(
    cursor: &mut Cursor<'_>,
    rows: &mut [Row],
    exponent: u8,
) -> Result<Vec<i64>, Malformed> {
    let [lasts, above, below, sums] = take_ints(cursor, rows.len())?;
    for ((((row, last), above), below), sum) in
        rows.iter_mut().zip(&lasts).zip(above).zip(below).zip(sums)
    {
        row.last = unscale(*last, exponent);
        row.max = unscale(last.wrapping_add(above), exponent);
        row.min = unscale(last.wrapping_sub(below), exponent);
        row.sum = unscale(
            sum.wrapping_add(row.count.cast_signed().wrapping_mul(*last)),
            exponent,
        );
    }
    Ok(lasts)
}

fn take_floats(cursor: &mut Cursor<'_>, rows: &mut [Row]) -> Result<(), Malformed> {
    let set: [fn(&mut Row, f64); 4] = [
        |row, value| row.last = value,
        |row, value| row.max = value,
        |row, value| row.min = value,
        |row, value| row.sum = value,
    ];
    for set in set {
        let values: Vec<f64> = unpack(cursor, rows.len())?;
        rows.iter_mut()
            .zip(values)
            .for_each(|(row, value)| set(row, value));
    }
    Ok(())
}

fn take_increases(
    cursor: &mut Cursor<'_>,
    rows: &mut [Row],
    exponent: Option<u8>,
    lasts: &[i64],
) -> Result<(), Malformed> {
    let Some(exponent) = exponent else {
        let increases: Vec<f64> = unpack(cursor, rows.len())?;
        rows.iter_mut()
            .zip(increases)
            .for_each(|(row, increase)| row.increase = increase);
        return Ok(());
    };
    let [increases] = take_ints(cursor, rows.len())?;
    let mut before = None;
    for ((row, increase), last) in rows.iter_mut().zip(increases).zip(lasts) {
        let expected = before.map_or(0, |before: i64| last.wrapping_sub(before));
        row.increase = unscale(increase.wrapping_add(expected), exponent);
        before = Some(*last);
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

fn take_presence<'a>(cursor: &mut Cursor<'_>, base: &'a Rolled) -> Result<Vec<&'a Row>, Malformed> {
    let mut rows = base.rows.iter();
    let mut taken = Vec::new();
    for run in 0..cursor.count(base.rows.len() + 1)? {
        let length = cursor.size(rows.len())?;
        let part = rows.by_ref().take(length);
        if run % 2 == 1 {
            taken.extend(part);
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
