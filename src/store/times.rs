//! The time column of a collector: one row a batch, in the order in which the batches came.
//!
//! Rows are not sorted by wall time: where the clock was set back, times repeat, and only the order of arrival says how
//! a counter grew. Boot time is kept as its distance from wall time, in runs: a new run begins where the distance
//! differs by more than [`BOOT_TOLERANCE`] from that of the run. That shows every step of the clock and every restart
//! of the machine, for a few bytes.

use crate::bytes::{Cursor, put_size, put_zigzag};
use crate::error::Malformed;
use crate::pack::{MOST_ROWS, pack, unpack};

/// How exact a boot time is after sealing: reading two clocks one after the other is not better either.
const BOOT_TOLERANCE: u64 = 1_000_000;

/// When the batches of one collector were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Wall time in nanoseconds.
    pub(crate) wall: Vec<i64>,
    /// Boot time in nanoseconds.
    pub(crate) boot: Vec<u64>,
}

impl Times {
    pub(crate) const fn len(&self) -> usize {
        self.wall.len()
    }

    pub(crate) fn push(&mut self, wall: i64, boot: u64) {
        self.wall.push(wall);
        self.boot.push(boot);
    }

    pub(crate) fn extend(&mut self, later: &Self) {
        self.wall.extend_from_slice(&later.wall);
        self.boot.extend_from_slice(&later.boot);
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (i64, u64)> {
        self.wall.iter().copied().zip(self.boot.iter().copied())
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        put_size(&mut out, self.len());
        pack(&self.wall, &mut out)?;
        let mut runs: Vec<(usize, i64)> = Vec::new();
        for (wall, boot) in self.rows() {
            let distance = wall.wrapping_sub(boot.cast_signed());
            match runs.last_mut() {
                Some((length, known)) if known.abs_diff(distance) <= BOOT_TOLERANCE => *length += 1,
                _ => runs.push((1, distance)),
            }
        }
        put_size(&mut out, runs.len());
        for (length, distance) in runs {
            put_size(&mut out, length);
            put_zigzag(&mut out, distance);
        }
        Ok(out)
    }

    pub(crate) fn decode(block: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(block);
        let rows = cursor.size(MOST_ROWS)?;
        let wall: Vec<i64> = unpack(&mut cursor, rows)?;
        let mut boot = Vec::with_capacity(rows);
        for _ in 0..cursor.count(rows)? {
            let length = cursor.size(rows - boot.len())?;
            let distance = cursor.zigzag()?;
            let run = wall.iter().skip(boot.len()).take(length);
            let run: Vec<u64> = run
                .map(|wall| wall.wrapping_sub(distance).cast_unsigned())
                .collect();
            boot.extend(run);
        }
        if boot.len() != rows {
            return Err(Malformed("boot times do not fill their column"));
        }
        Ok(Self { wall, boot })
    }
}

/// Nanoseconds between two samples that came one after the other, or `None` where the clocks do not say.
///
/// Where wall and boot time agree, wall time is the more exact one. Where they do not, either the wall clock was set,
/// and boot time is right, or the machine was started again, and wall time is all there is. A start moves boot time by at
/// least as long as the machine had been up, so a smaller difference is a clock that was set.
pub(crate) fn span(before: (i64, u64), after: (i64, u64)) -> Option<u64> {
    let wall = i128::from(after.0) - i128::from(before.0);
    let boot = i128::from(after.1) - i128::from(before.1);
    let ahead = wall - boot;
    let agree = ahead.abs() <= CLOCKS_AGREE + boot / SLEW;
    let same_boot = boot > 0 && ahead < i128::from(before.1);
    let span = if same_boot && !agree { boot } else { wall };
    u64::try_from(span).ok().filter(|span| *span > 0)
}

/// Two roundings to [`BOOT_TOLERANCE`], and some more.
const CLOCKS_AGREE: i128 = 3_000_000;

/// A clock that is slewed runs at most one part in two thousand (500 ppm) faster or slower; twice that is no step yet.
const SLEW: i128 = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_survive(rows in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..300)) {
            let mut times = Times::default();
            for (wall, boot) in rows {
                times.push(wall, boot);
            }
            let back = Times::decode(&times.encode().unwrap()).unwrap();
            prop_assert_eq!(&back.wall, &times.wall);
            for (a, b) in back.boot.iter().zip(&times.boot) {
                prop_assert!(a.abs_diff(*b) <= BOOT_TOLERANCE || a.wrapping_sub(*b).min(b.wrapping_sub(*a)) <= BOOT_TOLERANCE);
            }
        }
    }

    #[test]
    fn an_hour_at_1_s_costs_little_and_a_clock_step_is_kept() {
        let mut times = Times::default();
        for n in 0..3600_i64 {
            let step = if n < 1800 { 0 } else { -600_000_000_000 };
            times.push(
                1_700_000_000_000_000_000 + n * 1_000_000_000 + step,
                (n * 1_000_000_000).cast_unsigned(),
            );
        }
        let block = times.encode().unwrap();
        assert!(block.len() < 200, "{}", block.len());
        assert_eq!(Times::decode(&block).unwrap(), times);
    }

    #[test]
    fn a_span_survives_clock_steps_and_restarts() {
        const S: i64 = 1_000_000_000;
        let at = |wall: i64, boot: i64| (wall * S, (boot * S).cast_unsigned());
        for (name, before, after, seconds) in [
            ("steady", at(100, 50), at(101, 51), Some(1)),
            ("set back", at(100, 50), at(40, 51), Some(1)),
            ("set back a little", at(100, 50), at(101, 61), Some(11)),
            ("set forward", at(100, 500), at(200, 501), Some(1)),
            (
                "set forward by more than the machine was up",
                at(100, 50),
                at(200, 51),
                Some(100),
            ),
            ("restarted", at(100, 50), at(160, 10), Some(60)),
            ("restarted and set back", at(100, 50), at(90, 10), None),
            ("the same instant", at(100, 50), at(100, 50), None),
        ] {
            assert_eq!(
                span(before, after),
                seconds.map(|s: u64| s * S.cast_unsigned()),
                "{name}"
            );
        }
    }
}
