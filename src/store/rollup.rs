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

use crate::times::span;

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
    pub(crate) const fn of(bucket: i64, point: &Point) -> Self {
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
}

/// The start of the bucket of a width that a time lies in.
pub(crate) const fn floor(time: i64, width: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::pack::MOST_ROWS;

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
