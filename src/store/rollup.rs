//! Rollups: what the samples of a minute or an hour come to.
//!
//! A row is a *part*: the same minute of the same series may have a row in several files, because samples that come
//! late (a clock that was set back, a slow collector at the turn of the hour) are rolled up with the head that they
//! came in. Every sample is in the rows of exactly one file of a tier, so whoever reads adds parts up; nothing is
//! counted twice and nothing has to be rewritten.
//!
//! What a counter grew by is kept as the sum over pairs of neighbouring samples (`increase`), beside the time that
//! those pairs span (`span`): their quotient is the rate, whatever was reset or missed in between. A pair belongs to
//! the row of its later sample; the pair across two files is joined by whoever reads both.
//!
//! The times block of a collector: varint rows, then packed: starts of buckets, newest sample - start, batches, span;
//! then wall (zigzag) and boot time (varint) of the first and the last batch.
//!
//! The block of a series: varint runs of rows that are in turn absent and present among those of the collector; one byte
//! form (1 decimal, then a byte exponent; 2 float); then for the rows that are present, packed: batches without a value,
//! lag of the newest value behind the collector's, last; then in decimal form max - last, last - min, sum - count * last,
//! in float form max, min, sum; and for counters lag of the span, increase (in decimal form without the difference of
//! this last to that of the row before), then wall, boot (varint) and value (8 bytes) of the first and of the last sample.

use crate::bytes::{Cursor, put_size, put_varint, put_zigzag};
use crate::column::{rounded, scale, scaled, unscale};
use crate::error::Malformed;
use crate::pack::{MOST_ROWS, pack, unpack};
use crate::times::span;

const DECIMAL: u8 = 1;
const FLOAT: u8 = 2;

/// A sample, as far as rates need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) wall: i64,
    pub(crate) boot: u64,
    pub(crate) value: f64,
}

impl Point {
    /// What a counter grew by since the sample before, and in how many nanoseconds. A counter that is smaller than
    /// before began again at zero in between.
    pub(crate) fn growth_since(&self, before: &Self) -> Option<(f64, u64)> {
        let span = span((before.wall, before.boot), (self.wall, self.boot))?;
        let growth = if self.value < before.value {
            self.value
        } else {
            self.value - before.value
        };
        Some((growth.max(0.0), span))
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// Where the minute or hour begins, in nanoseconds.
    pub(crate) bucket: i64,
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    pub(crate) last: f64,
    pub(crate) last_at: i64,
    pub(crate) increase: f64,
    pub(crate) span: u64,
}

impl Row {
    fn of(bucket: i64, point: &Point) -> Self {
        Self {
            bucket,
            count: 1,
            min: point.value,
            max: point.value,
            sum: point.value,
            last: point.value,
            last_at: point.wall,
            increase: 0.0,
            span: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        if other.last_at >= self.last_at {
            self.last = other.last;
            self.last_at = other.last_at;
        }
        self.increase += other.increase;
        self.span = self.span.saturating_add(other.span);
    }
}

/// The rows of one series (or, without values, of a collector), with its first and last sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rolled {
    /// Sorted by bucket, each once.
    pub(crate) rows: Vec<Row>,
    pub(crate) ends: Option<(Point, Point)>,
}

impl Rolled {
    /// Adds a sample that came after all that were added.
    pub(crate) fn push(&mut self, width: i64, point: Point) {
        let mut row = Row::of(floor(point.wall, width), &point);
        if let Some((_, before)) = &self.ends
            && let Some((increase, span)) = point.growth_since(before)
        {
            row.increase = increase;
            row.span = span;
        }
        self.ends = Some((self.ends.map_or(point, |(first, _)| first), point));
        self.add(row);
    }

    /// Adds the rows of a file that came after all that were added.
    pub(crate) fn append(&mut self, width: i64, later: &Self) {
        for row in &later.rows {
            self.add(*row);
        }
        let Some((first, last)) = later.ends else {
            return;
        };
        if let Some((_, before)) = &self.ends
            && let Some((increase, span)) = first.growth_since(before)
            && let Ok(place) = self.find(floor(first.wall, width))
            && let Some(row) = self.rows.get_mut(place)
        {
            row.increase += increase;
            row.span = row.span.saturating_add(span);
        }
        self.ends = Some((self.ends.map_or(first, |(first, _)| first), last));
    }

    fn add(&mut self, row: Row) {
        match self.find(row.bucket) {
            Ok(place) => {
                if let Some(known) = self.rows.get_mut(place) {
                    known.add(&row);
                }
            }
            Err(place) => self.rows.insert(place, row),
        }
    }

    fn find(&self, bucket: i64) -> Result<usize, usize> {
        match self.rows.last() {
            Some(last) if last.bucket == bucket => Ok(self.rows.len() - 1),
            Some(last) if last.bucket > bucket => {
                self.rows.binary_search_by_key(&bucket, |row| row.bucket)
            }
            _ => Err(self.rows.len()),
        }
    }

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
        put_ends(&mut out, self.ends, |_, _| {});
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
        let ends = take_ends(&mut cursor, |_| Ok(0.0))?;
        Ok(Self { rows, ends })
    }

    /// The block of a series among the rows of its collector; `counter` says whether growth is kept.
    pub(crate) fn encode(&self, base: &Self, counter: bool) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        let present = self.put_presence(base, &mut out);
        let base: Vec<&Row> = base
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
            put_ends(&mut out, self.ends, |out, point| {
                out.extend(point.value.to_le_bytes())
            });
        }
        Ok(out)
    }

    pub(crate) fn decode(block: &[u8], base: &Self, counter: bool) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(block);
        let base = take_presence(&mut cursor, base)?;
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
        let mut ends = None;
        if counter {
            let [lags] = take_ints(&mut cursor, count)?;
            for (row, lag) in rows.iter_mut().zip(lags) {
                row.span = row.span.wrapping_sub(lag.cast_unsigned());
            }
            take_increases(&mut cursor, &mut rows, exponent, &lasts)?;
            ends = take_ends(&mut cursor, |cursor| cursor.f64())?;
        } else {
            rows.iter_mut().for_each(|row| row.span = 0);
        }
        Ok(Self { rows, ends })
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

fn put_ends(
    out: &mut Vec<u8>,
    ends: Option<(Point, Point)>,
    put_value: impl Fn(&mut Vec<u8>, &Point),
) {
    let Some((first, last)) = ends else {
        return out.push(0);
    };
    out.push(1);
    for point in [first, last] {
        put_zigzag(out, point.wall);
        put_varint(out, point.boot);
        put_value(out, &point);
    }
}

fn take_ends(
    cursor: &mut Cursor<'_>,
    value: impl Fn(&mut Cursor<'_>) -> Result<f64, Malformed>,
) -> Result<Option<(Point, Point)>, Malformed> {
    if cursor.u8()? == 0 {
        return Ok(None);
    }
    let mut point = || {
        Ok(Point {
            wall: cursor.zigzag()?,
            boot: cursor.varint()?,
            value: value(cursor)?,
        })
    };
    Ok(Some((point()?, point()?)))
}

/// The start of the bucket of a width that a time lies in.
pub(crate) const fn floor(time: i64, width: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1_000_000_000;
    const MINUTE: i64 = 60 * S;

    fn at(second: i64, value: f64) -> Point {
        Point {
            wall: second * S,
            boot: (second * S).cast_unsigned(),
            value,
        }
    }

    fn roll(points: impl IntoIterator<Item = Point>) -> Rolled {
        let mut rolled = Rolled::default();
        points
            .into_iter()
            .for_each(|point| rolled.push(MINUTE, point));
        rolled
    }

    #[test]
    fn a_reset_counter_keeps_its_rate() {
        let rolled = roll((0..180).map(|s| {
            at(
                s,
                if s < 90 {
                    100.0 + 2.0 * s as f64
                } else {
                    2.0 * (s - 90) as f64
                },
            )
        }));
        let grown: f64 = rolled.rows.iter().map(|row| row.increase).sum();
        let spans: Vec<u64> = rolled
            .rows
            .iter()
            .map(|row| row.span / S.cast_unsigned())
            .collect();
        assert_eq!(grown, 2.0 * 89.0 + 0.0 + 2.0 * 89.0);
        assert_eq!(spans, [59, 60, 60]);
    }

    #[test]
    fn an_hour_of_steady_counters_costs_little() {
        let base = roll((0..3600).map(|s| at(s, 0.0)));
        let rolled = roll((0..3600).map(|s| at(s, 7.0 * s as f64)));
        let block = rolled.encode(&base, true).unwrap();
        assert!(block.len() < 110, "{}", block.len());
    }

    fn points() -> impl Strategy<Value = Vec<(i64, Option<f64>)>> {
        let value = prop_oneof![
            2 => (0_u32..100_000).prop_map(|n| Some(f64::from(n) / 100.0)),
            1 => Just(None),
            1 => proptest::num::f64::NORMAL.prop_map(|f| Some(f / 1e300)),
        ];
        proptest::collection::vec((-5_i64..40, value), 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn rollups_survive_and_parts_come_to_the_whole(points in points(), cut in any::<proptest::sample::Index>(), counter in any::<bool>()) {
            let mut second = 1000;
            let points: Vec<(Point, bool)> = points.into_iter().map(|(step, value)| {
                second += step;
                (at(second, value.unwrap_or(0.0)), value.is_some())
            }).collect();
            let base = |points: &[(Point, bool)]| roll(points.iter().map(|(p, _)| Point { value: 0.0, ..*p }));
            let own = |points: &[(Point, bool)]| roll(points.iter().filter(|(_, is)| *is).map(|(p, _)| *p));
            let through = |points: &[(Point, bool)]| {
                let base = Rolled::decode_base(&base(points).encode_base().unwrap()).unwrap();
                let block = own(points).encode(&base, counter).unwrap();
                (Rolled::decode(&block, &base, counter).unwrap(), base)
            };
            let (whole, whole_base) = through(&points);
            prop_assert_eq!(whole_base.rows.len(), base(&points).rows.len());
            let (early, late) = points.split_at(cut.index(points.len()));
            let ((mut joined, mut joined_base), (later, later_base)) = (through(early), through(late));
            joined.append(MINUTE, &later);
            joined_base.append(MINUTE, &later_base);
            let expected = own(&points);
            for rolled in [&whole, &joined] {
                prop_assert_eq!(rolled.rows.len(), expected.rows.len());
                for (a, b) in rolled.rows.iter().zip(&expected.rows) {
                    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1e-9);
                    prop_assert_eq!((a.bucket, a.count, a.last_at), (b.bucket, b.count, b.last_at));
                    prop_assert!((a.min, a.max, a.last) == (b.min, b.max, b.last) && close(a.sum, b.sum), "{:?} {:?}", a, b);
                    prop_assert!(!counter || (close(a.increase, b.increase) && a.span == b.span), "{:?} {:?}", a, b);
                }
            }
            prop_assert_eq!(
                joined_base.rows.iter().map(|row| (row.count, row.span)).collect::<Vec<_>>(),
                base(&points).rows.iter().map(|row| (row.count, row.span)).collect::<Vec<_>>()
            );
        }

        #[test]
        fn a_damaged_rollup_is_refused_or_bounded(points in points(), at_byte in any::<proptest::sample::Index>(), flip in 1_u8..) {
            let points: Vec<Point> = points.into_iter().enumerate().map(|(n, (_, value))| at(n as i64 * 7, value.unwrap_or(1.0))).collect();
            let rolled = roll(points);
            let mut block = rolled.encode(&rolled, true).unwrap();
            let place = at_byte.index(block.len());
            block[place] ^= flip;
            if let Ok(back) = Rolled::decode(&block, &rolled, true) {
                prop_assert!(back.rows.len() <= rolled.rows.len());
            }
            let mut block = rolled.encode_base().unwrap();
            let place = at_byte.index(block.len());
            block[place] ^= flip;
            prop_assert!(Rolled::decode_base(&block).map_or(0, |back| back.rows.len()) <= MOST_ROWS);
        }
    }
}
