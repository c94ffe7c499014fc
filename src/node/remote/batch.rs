//! What goes into one request, and how a request that was refused is divided.

use std::collections::{BTreeSet, VecDeque};

use glasshouse_exposition::remote_write::{MOST_SAMPLE_BYTES, Request};

use glasshouse_core::time::BootTime;

use super::lines::Lines;
use super::table::Point;

/// A message is about this large at most before it is packed; receivers take 16 MiB and more.
const MOST_REQUEST_BYTES: usize = 4 << 20;

/// The values of one request, line by line, each line's in the order of their times, one a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece(Vec<Point>);

/// Puts values into pieces of so many at most. What comes first of a line is in a piece that comes first.
pub(super) fn cut(mut points: Vec<Point>, most: usize, lines: &Lines) -> VecDeque<Piece> {
    points.sort_by_key(|point| (point.line, point.millis));
    // of two at one time the one that came last counts: receivers take one
    points.reverse();
    points.dedup_by_key(|point| (point.line, point.millis));
    points.reverse();
    let mut pieces = VecDeque::new();
    let mut piece = Vec::with_capacity(points.len().min(most));
    let (mut bytes, mut before) = (0, None);
    for point in points {
        let is_new = before != Some(point.line);
        let line = lines.line(point.line).map_or(0, |line| line.bytes());
        let cost = MOST_SAMPLE_BYTES + if is_new { line } else { 0 };
        if !piece.is_empty() && (piece.len() >= most || bytes + cost > MOST_REQUEST_BYTES) {
            pieces.push_back(Piece(std::mem::take(&mut piece)));
            bytes = line;
        }
        bytes += cost;
        before = Some(point.line);
        piece.push(point);
    }
    if !piece.is_empty() {
        pieces.push_back(Piece(piece));
    }
    pieces
}

impl Piece {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The body of the request.
    pub(super) fn body(&self, lines: &mut Lines, now: BootTime) -> Option<Vec<u8>> {
        let mut request = Request::default();
        let of_lines = || self.0.chunk_by(|one, next| one.line == next.line);
        for points in of_lines() {
            if let Some(point) = points.first()
                && let Some(line) = lines.line(point.line)
            {
                let samples = points.iter().map(|point| (point.millis, point.value));
                request.series(line, samples);
            }
        }
        for point in of_lines().filter_map(<[Point]>::first) {
            if let Some(family) = lines.say(point.line, now) {
                request.metadata(family);
            }
        }
        request.finish()
    }

    /// The oldest time in it.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.0.iter().map(|point| point.millis).min()
    }

    /// Without its so many oldest times, and how many values that leaves out.
    pub(super) fn without_oldest(mut self, times: usize) -> (Self, usize) {
        let all: BTreeSet<i64> = self.0.iter().map(|point| point.millis).collect();
        let before = self.len();
        match all.iter().nth(times) {
            Some(first) => self.0.retain(|point| point.millis >= *first),
            None => self.0.clear(),
        }
        let left_out = before - self.len();
        (self, left_out)
    }

    /// Two halves, the first of which is to be sent first; `None` where there is nothing to divide.
    ///
    /// What a receiver refuses is mostly what it has newer samples of, and that is the older half of the times of all
    /// lines; or single lines. So whichever there are fewer of is halved. Values that came first stay first.
    pub(super) fn halve(self) -> Option<(Self, Self)> {
        let lines: BTreeSet<u32> = self.0.iter().map(|point| point.line).collect();
        let times: BTreeSet<i64> = self.0.iter().map(|point| point.millis).collect();
        let by_time = times.len() > 1 && (times.len() <= lines.len() || lines.len() == 1);
        let (first, second): (Vec<Point>, Vec<Point>) = if by_time {
            let middle = *times.iter().nth(times.len() / 2)?;
            self.0.into_iter().partition(|point| point.millis < middle)
        } else if lines.len() > 1 {
            let middle = *lines.iter().nth(lines.len() / 2)?;
            self.0.into_iter().partition(|point| point.line < middle)
        } else {
            return None;
        };
        Some((Self(first), Self(second)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(line: u32, millis: i64) -> Point {
        Point {
            line,
            millis,
            value: 0.0,
        }
    }

    #[test]
    fn pieces_are_bounded_and_keep_the_order_of_each_line() {
        let mut points: Vec<Point> = (0..10).flat_map(|n| [point(2, n), point(1, n)]).collect();
        points.push(Point {
            value: 7.0,
            ..point(1, 3)
        });
        let pieces = cut(points, 6, &Lines::default());
        let lengths: Vec<usize> = pieces.iter().map(Piece::len).collect();
        assert_eq!(lengths, [6, 6, 6, 2]);
        let all: Vec<Point> = pieces.into_iter().flat_map(|piece| piece.0).collect();
        assert!(all.is_sorted_by_key(|point| (point.line, point.millis)));
        assert_eq!(all[3].value, 7.0, "the one that came last");
    }

    #[test]
    fn a_piece_is_halved_down_to_single_values() {
        // an hour of three lines: line by line; ten seconds of many: by time
        let hour = Piece(
            (0..3)
                .flat_map(|line| (0..60).map(move |n| point(line, n)))
                .collect(),
        );
        let (first, second) = hour.halve().unwrap();
        assert!(first.0.iter().all(|point| point.line == 0));
        assert_eq!((first.len(), second.len()), (60, 120));
        let live = Piece(
            (0..50)
                .flat_map(|line| (0..10).map(move |n| point(line, n)))
                .collect(),
        );
        let (first, second) = live.halve().unwrap();
        assert!(first.0.iter().all(|point| point.millis < 5));
        assert_eq!(first.len(), second.len());
        assert_eq!(Piece(vec![point(1, 1)]).halve(), None);
        let mut left = vec![Piece(
            (0..9)
                .flat_map(|line| [point(line, 1), point(line, 2)])
                .collect(),
        )];
        let mut single = 0;
        while let Some(piece) = left.pop() {
            match piece.clone().halve() {
                Some((first, second)) => left.extend([second, first]),
                None => single += piece.len(),
            }
        }
        assert_eq!(single, 18);
    }
}
