//! Fourteen days made of a short recording: it is looked at less often, and again and again.

use super::data::{Point, Recording, Series};

/// A recording that is repeated.
#[derive(Debug)]
pub(crate) struct Repeated<'a> {
    recording: &'a Recording,
    /// What each series was at each step of one repetition; `None` where it had no value since the step before.
    steps: Vec<Vec<Option<f64>>>,
    /// What each series grows by in one repetition; 0 where it is no counter.
    growth: Vec<f64>,
    /// The last instant of all.
    end: i64,
    /// How many steps in all.
    count: usize,
    /// Milliseconds from one step to the next.
    pub(crate) step: i64,
}

impl<'a> Repeated<'a> {
    /// Looks at the recording every `step` milliseconds, and repeats what it sees until `days` are full. The last
    /// instant is the recording's.
    pub(crate) fn new(recording: &'a Recording, days: u32, step: i64) -> Self {
        let step = step.max(1);
        let (first, last) = recording.span();
        let wanted = i64::from(days) * 86_400_000 / step;
        Self {
            steps: seen_every(recording, step, first),
            growth: growth(recording),
            end: last - last.rem_euclid(step),
            count: usize::try_from(wanted).unwrap_or(0),
            recording,
            step,
        }
    }

    pub(crate) fn series(&self) -> &[Series] {
        &self.recording.series
    }

    /// The first and the last instant.
    pub(crate) fn span(&self) -> (i64, i64) {
        (self.at(0), self.end)
    }

    /// Instants that there are.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    fn at(&self, step: usize) -> i64 {
        let before_end = i64::try_from(self.count.saturating_sub(step + 1)).unwrap_or(i64::MAX);
        self.end - before_end.saturating_mul(self.step)
    }

    /// Puts the values of a step into `points`, and says when it is.
    pub(crate) fn instant(&self, step: usize, points: &mut Vec<Point>) -> i64 {
        points.clear();
        let length = self.steps.len().max(1);
        let repetition = u32::try_from(step / length).unwrap_or(u32::MAX);
        let values = self.steps.get(step % length).into_iter().flatten();
        for ((series, value), growth) in (0..).zip(values).zip(&self.growth) {
            if let Some(value) = value {
                let value = value + growth * f64::from(repetition);
                points.push(Point { series, value });
            }
        }
        self.at(step)
    }
}

fn seen_every(recording: &Recording, step: i64, first: i64) -> Vec<Vec<Option<f64>>> {
    let mut steps = Vec::new();
    let mut seen = vec![None; recording.series.len()];
    let mut next = first + step;
    for (millis, points) in recording.instants() {
        while millis >= next {
            let empty = vec![None; seen.len()];
            steps.push(std::mem::replace(&mut seen, empty));
            next += step;
        }
        for point in points {
            let place = usize::try_from(point.series).unwrap_or(usize::MAX);
            if let Some(value) = seen.get_mut(place) {
                *value = Some(point.value);
            }
        }
    }
    // what is left is no whole step, unless it is all there is
    if steps.is_empty() {
        steps.push(seen);
    }
    steps
}

/// From the first value to the last, so that a counter goes on where it was.
fn growth(recording: &Recording) -> Vec<f64> {
    let mut ends = vec![None; recording.series.len()];
    for (_, points) in recording.instants() {
        for point in points {
            let place = usize::try_from(point.series).unwrap_or(usize::MAX);
            if let Some(ends) = ends.get_mut(place) {
                let (first, _) = ends.unwrap_or((point.value, point.value));
                *ends = Some((first, point.value));
            }
        }
    }
    let growth = |(series, ends): (&Series, Option<(f64, f64)>)| match ends {
        Some((first, last)) if series.grows => last - first,
        _ => 0.0,
    };
    recording.series.iter().zip(ends).map(growth).collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::Name;
    use super::*;

    #[test]
    fn counters_go_on_and_gauges_come_again() {
        let names = vec![Name::parse("a_total"), Name::parse("b")];
        let rows = (0..60).flat_map(|second| {
            let value = f64::from(second);
            let millis = i64::from(second) * 1000 + 5;
            [(millis, 0, 100.0 + value), (millis, 1, value)]
        });
        let recording = Recording::new(names, rows.collect()).unwrap();
        let repeated = Repeated::new(&recording, 1, 15_000);
        assert_eq!(repeated.len(), 24 * 60 * 4);
        let (first, last) = repeated.span();
        assert_eq!(last, 45_000);
        assert_eq!(last - first, 86_400_000 - 15_000);
        let mut points = Vec::new();
        let mut all = Vec::new();
        for step in 0..8 {
            let at = repeated.instant(step, &mut points);
            assert_eq!(at, first + i64::try_from(step).unwrap() * 15_000);
            all.push((points[0].value, points[1].value));
        }
        // three whole steps are in a minute's 59 s
        let expected = [14.0, 29.0, 44.0, 14.0, 29.0, 44.0, 14.0, 29.0];
        for (step, ((counter, gauge), expected)) in all.iter().zip(expected).enumerate() {
            assert_eq!(*gauge, expected);
            assert_eq!(*counter, 100.0 + expected + 59.0 * (step / 3) as f64);
        }
    }
}
