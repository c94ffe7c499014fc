//! What is written to all: samples in the order of their time, one list for each instant.

use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use anyhow::{Context, bail, ensure};

use super::names::Name;

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) series: u32,
    /// Finite.
    pub(crate) value: f64,
}

/// What a series is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: Name,
    /// All its values are whole numbers that a counter of 64 bits can hold.
    pub(crate) is_whole: bool,
    /// Its name says that it is a counter, and it never falls.
    pub(crate) grows: bool,
}

/// A recording in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    pub(crate) series: Vec<Series>,
    /// Milliseconds since the epoch, rising, and where the points of that instant end in `points`.
    instants: Vec<(i64, usize)>,
    points: Vec<Point>,
    /// Values that were left out because they are not finite, or because the series had one at this instant.
    pub(crate) left_out: u64,
}

/// Bounds what a recording takes in memory, to 1.6 GiB: a day of a thousand series at 1 s.
const MOST_POINTS: usize = 100_000_000;

/// Bounds what a broken recording may ask for.
const MOST_SERIES: u32 = 1_000_000;

/// Bounds what a broken recording may ask for.
const MOST_NAME_BYTES: u32 = 64 * 1024;

/// The largest whole number up to which every whole number is a double.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

impl Recording {
    /// Reads the stream that `src/analytics/examples/recording.rs` writes: little-endian, `u32` series, each `u32` length
    /// and name; then to the end `u32` series, `i64` milliseconds, `f64` value.
    pub(crate) fn read(stream: impl Read) -> anyhow::Result<Self> {
        let mut input = BufReader::with_capacity(1 << 20, stream);
        let count = u32::from_le_bytes(bytes(&mut input)?.context("the recording is empty")?);
        ensure!(count <= MOST_SERIES, "{count} series are too many");
        let mut names = Vec::new();
        for _ in 0..count {
            let length = bytes(&mut input)?.map(u32::from_le_bytes);
            let length = length.context("the recording ends in its names")?;
            ensure!(length <= MOST_NAME_BYTES, "a name of {length} bytes");
            let mut name = vec![0; usize::try_from(length)?];
            input.read_exact(&mut name)?;
            names.push(Name::parse(&String::from_utf8_lossy(&name)));
        }
        let mut rows = Vec::new();
        while let Some(row) = bytes::<20>(&mut input)? {
            let (series, rest) = row.split_first_chunk().context("a row without a series")?;
            let (millis, rest) = rest.split_first_chunk().context("a row without a time")?;
            let value = rest.first_chunk().context("a row without a value")?;
            let series = u32::from_le_bytes(*series);
            ensure!(series < count, "a sample of series {series} of {count}");
            rows.push((
                i64::from_le_bytes(*millis),
                series,
                f64::from_le_bytes(*value),
            ));
            ensure!(rows.len() <= MOST_POINTS, "more than {MOST_POINTS} samples");
        }
        Self::new(names, rows)
    }

    /// Of samples in any order: milliseconds, series, value.
    pub(crate) fn new(names: Vec<Name>, mut rows: Vec<(i64, u32, f64)>) -> anyhow::Result<Self> {
        // stable: of two values at one instant the one that stands first counts
        rows.sort_by_key(|(millis, series, _)| (*millis, *series));
        let mut recording = Self {
            series: unique(names)
                .into_iter()
                .map(|name| Series {
                    grows: name.says_counter(),
                    is_whole: true,
                    name,
                })
                .collect(),
            ..Self::default()
        };
        let mut last = vec![None; recording.series.len()];
        for (millis, series, value) in rows {
            let place = usize::try_from(series)?;
            let (Some(known), Some(before)) =
                (recording.series.get_mut(place), last.get_mut(place))
            else {
                bail!("a sample of a series without a name");
            };
            if !value.is_finite() || millis < 0 || before.is_some_and(|(at, _)| at == millis) {
                recording.left_out += 1;
                continue;
            }
            let is_whole = value.fract() == 0.0 && (0.0..=MOST_WHOLE).contains(&value);
            // -0.0 is no whole number that could be told from 0
            known.is_whole &= is_whole && value.is_sign_positive();
            known.grows &= before.is_none_or(|(_, before)| value >= before);
            *before = Some((millis, value));
            recording.push(millis, Point { series, value });
        }
        ensure!(!recording.points.is_empty(), "the recording has no sample");
        Ok(recording)
    }

    fn push(&mut self, millis: i64, point: Point) {
        self.points.push(point);
        let end = self.points.len();
        match self.instants.last_mut() {
            Some(last) if last.0 == millis => last.1 = end,
            _ => self.instants.push((millis, end)),
        }
    }

    /// The instants, oldest first: milliseconds, and the values there, sorted by series.
    pub(crate) fn instants(&self) -> impl Iterator<Item = (i64, &[Point])> {
        let mut begin = 0;
        self.instants.iter().map(move |(millis, end)| {
            let points = self.points.get(begin..*end).unwrap_or_default();
            begin = *end;
            (*millis, points)
        })
    }

    pub(crate) fn samples(&self) -> u64 {
        u64::try_from(self.points.len()).unwrap_or(u64::MAX)
    }

    /// The first and the last instant.
    pub(crate) fn span(&self) -> (i64, i64) {
        let first = self.instants.first().map_or(0, |(millis, _)| *millis);
        let last = self.instants.last().map_or(0, |(millis, _)| *millis);
        (first, last)
    }

    /// The same, earlier by whole hours where it would end after `now`: a peer refuses what lies in the future.
    pub(crate) fn in_the_past(mut self, now: i64) -> Self {
        const HOUR: i64 = 3_600_000;
        let (_, last) = self.span();
        let ahead = last.saturating_sub(now).max(0);
        let earlier = (ahead + HOUR - 1) / HOUR * HOUR;
        for (millis, _) in &mut self.instants {
            *millis -= earlier;
        }
        self
    }

    /// Its first tenth.
    pub(crate) fn tenth(mut self) -> Self {
        self.instants.truncate((self.instants.len() / 10).max(1));
        self.points
            .truncate(self.instants.last().map_or(0, |(_, end)| *end));
        self
    }

    /// The time from one instant to the next that is most often met.
    pub(crate) fn interval_millis(&self) -> i64 {
        let pairs = self.instants.iter().zip(self.instants.iter().skip(1));
        let mut gaps: Vec<i64> = pairs.map(|((one, _), (next, _))| next - one).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(1000).max(1)
    }
}

/// The names, with a label more where two would be the same.
fn unique(names: Vec<Name>) -> Vec<Name> {
    let mut seen = BTreeSet::new();
    let mut unique = Vec::with_capacity(names.len());
    for (number, mut name) in names.into_iter().enumerate() {
        if !seen.insert(name.clone()) {
            let label = ("zz_again".to_owned(), number.to_string());
            name.labels.push(label);
            seen.insert(name.clone());
        }
        unique.push(name);
    }
    unique
}

/// The next bytes; `None` at the end of the stream.
fn bytes<const N: usize>(input: &mut impl Read) -> anyhow::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    let mut have = 0;
    while have < N {
        match input.read(bytes.get_mut(have..).unwrap_or_default())? {
            0 if have == 0 => return Ok(None),
            0 => bail!("the recording ends within a row"),
            read => have += read,
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(names: &[&str], rows: &[(u32, i64, f64)]) -> Vec<u8> {
        let length = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
        let mut out = u32::try_from(names.len()).unwrap().to_le_bytes().to_vec();
        for name in names {
            out.extend(length(name));
            out.extend(name.as_bytes());
        }
        for (series, millis, value) in rows {
            out.extend(series.to_le_bytes());
            out.extend(millis.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        out
    }

    #[test]
    fn a_recording_is_sorted_and_what_cannot_be_kept_is_counted() {
        let rows = [
            (1, 2000, 0.5),
            (0, 1000, 7.0),
            (0, 2000, 8.0),
            (0, 2000, 9.0),
            (1, 3000, f64::NAN),
        ];
        let stream = stream(&["a_total", "b"], &rows);
        let recording = Recording::read(&*stream).unwrap();
        let instants: Vec<_> = recording.instants().collect();
        assert_eq!(instants.len(), 2);
        assert_eq!(instants[1].0, 2000);
        let values: Vec<f64> = instants[1].1.iter().map(|point| point.value).collect();
        assert_eq!(values, [8.0, 0.5]);
        assert_eq!((recording.samples(), recording.left_out), (3, 2));
        assert_eq!(recording.span(), (1000, 2000));
        let kinds: Vec<_> = recording
            .series
            .iter()
            .map(|series| (series.is_whole, series.grows))
            .collect();
        assert_eq!(kinds, [(true, true), (false, false)]);
    }

    #[test]
    fn what_would_lie_in_the_future_is_moved_by_whole_hours() {
        let names = vec![Name::parse("a")];
        let rows = (0..100).map(|n| (10_000_000 + n * 1000, 0, 1.0)).collect();
        let recording = Recording::new(names, rows).unwrap();
        let (first, last) = recording.span();
        assert_eq!(recording.clone().in_the_past(last).span(), (first, last));
        let moved = recording.clone().in_the_past(last - 3_600_001).span();
        assert_eq!(moved, (first - 7_200_000, last - 7_200_000));
        let tenth = recording.tenth();
        assert_eq!((tenth.samples(), tenth.span().1), (10, first + 9000));
    }

    #[test]
    fn a_broken_stream_is_refused() {
        let whole = stream(&["a", "b"], &[(0, 1000, 7.0)]);
        assert!(Recording::read(&*whole).is_ok());
        for end in [0, 3, 6, 9, whole.len() - 1] {
            assert!(Recording::read(&whole[..end]).is_err(), "{end}");
        }
        let unknown = stream(&["a"], &[(1, 1000, 7.0)]);
        assert!(Recording::read(&*unknown).is_err());
    }

    #[test]
    fn series_of_one_name_are_told_apart() {
        let names = ["a.b", "a_b", "c"].map(Name::parse).to_vec();
        let names = unique(names);
        assert_ne!(names[0], names[1]);
        assert_eq!(names[1].metric, "a_b");
    }
}
