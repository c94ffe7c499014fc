//! What is asked, and how long the answers take.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::data::Series;

/// How often each question is asked; the first time counts apart.
pub(crate) const ROUNDS: usize = 31;

/// An hour and a day in milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// By how many values two answers may differ: the steps at both ends of a window.
const VALUES_APART: usize = 2;

/// An answer of no more values is taken to have no steps.
const FEWEST_STEPS: usize = 10;

/// By how much the means of two long answers may differ, as a part of the mean.
const MEANS_APART: f64 = 0.02;

/// How many series a ranking names.
pub(crate) const MOST_RANKED: u32 = 10;

/// A question. Times are milliseconds; windows are of samples after `from`, up to and with `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question<'a> {
    /// The newest value of every series.
    Latest { at: i64 },
    /// Every sample of one series.
    Raw {
        series: &'a Series,
        from: i64,
        to: i64,
    },
    /// The means of hours of one series.
    Means {
        series: &'a Series,
        from: i64,
        to: i64,
    },
    /// The series with the highest mean of the window.
    Top { from: i64, to: i64 },
}

/// The four questions, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Latest,
    Raw,
    Means,
    Top,
}

impl Kind {
    /// What is asked of the recording.
    pub(crate) const OF_RECORDING: &'static [Self] = &[Self::Latest, Self::Raw];

    /// What is asked of the days that it is repeated over.
    pub(crate) const OF_DAYS: &'static [Self] = &[Self::Means, Self::Top];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Latest => "(a) last value of all series",
            Self::Raw => "(b) one series, 1 h, every sample",
            Self::Means => "(c) one series, all days, means of 1 h",
            Self::Top => "(d) top 10 by mean over 24 h",
        }
    }

    /// Asked in a round: each time of another series or another window, so that no answer can be one that was kept.
    pub(crate) fn question(
        self,
        series: &[Series],
        (first, last): (i64, i64),
        round: usize,
    ) -> Option<Question<'_>> {
        // far enough apart that neighbours in the index are not asked for one after the other
        let place = (round * 17 + 3) % series.len().max(1);
        let one = series.get(place)?;
        let minutes = i64::try_from(round).unwrap_or(0) * 60_000;
        Some(match self {
            Self::Latest => Question::Latest { at: last },
            Self::Raw => Question::Raw {
                series: one,
                from: last - HOUR,
                to: last,
            },
            Self::Means => Question::Means {
                series: one,
                from: first - 1,
                to: last,
            },
            Self::Top => Question::Top {
                from: last - minutes - DAY,
                to: last - minutes,
            },
        })
    }
}

/// One answer: how long it took until it was there in whole, and what it was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) whole: Duration,
    /// Without rendering and transport, where the answerer says so.
    pub(crate) inside: Option<Duration>,
    pub(crate) bytes: usize,
    /// Values in the answer, and their sum.
    pub(crate) values: usize,
    pub(crate) sum: f64,
}

impl Asked {
    #[expect(clippy::cast_precision_loss, reason = "answers have few values")]
    fn mean(&self) -> f64 {
        self.sum / self.values.max(1) as f64
    }

    /// By how much the mean of another answer may differ: of few values those at the ends weigh more. What grows from
    /// nothing is twice its mean at the end.
    #[expect(clippy::cast_precision_loss, reason = "answers have few values")]
    fn means_apart(&self) -> f64 {
        let of_ends = 2.0 * VALUES_APART as f64 / self.values.max(1) as f64;
        match self.values {
            // one value a series: there are no steps, and no ends
            0..=FEWEST_STEPS => MEANS_APART,
            _ => of_ends.max(MEANS_APART),
        }
    }
}

/// How long the answers to one question took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timing {
    pub(crate) first: Asked,
    /// All but the first.
    pub(crate) rest: Vec<Asked>,
}

impl Timing {
    /// Asks in rounds.
    pub(crate) fn of(
        mut ask: impl FnMut(usize) -> anyhow::Result<Answered>,
    ) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for round in 0..ROUNDS {
            let begun = Instant::now();
            let answered = ask(round)?;
            let whole = begun.elapsed();
            let (values, sum) = answered.values()?;
            all.push(Asked {
                whole,
                inside: answered.inside,
                bytes: answered.body.len(),
                values,
                sum,
            });
        }
        let mut all = all.into_iter();
        Ok(Self {
            first: all.next().unwrap_or_default(),
            rest: all.collect(),
        })
    }

    pub(crate) fn median(&self) -> Duration {
        quantile(self.rest.iter().map(|asked| asked.whole), 50)
    }

    pub(crate) fn p95(&self) -> Duration {
        quantile(self.rest.iter().map(|asked| asked.whole), 95)
    }

    /// The median without rendering and transport.
    pub(crate) fn median_inside(&self) -> Option<Duration> {
        let inside: Option<Vec<Duration>> = self.rest.iter().map(|asked| asked.inside).collect();
        inside.map(|inside| quantile(inside.into_iter(), 50))
    }

    /// Whether it was answered alike in each round: about as many values, with about the same mean. Not more than about,
    /// because windows end differently: a peer takes steps from where the window begins, ours begin at full hours.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let alike = |one: &Asked, other: &Asked| {
            let (mean, others) = (one.mean(), other.mean());
            let apart = (mean - others).abs() / mean.abs().max(f64::MIN_POSITIVE);
            one.values.abs_diff(other.values) <= VALUES_APART
                && (apart <= one.means_apart() || mean == others)
        };
        let (all, others) = (self.rest.iter(), other.rest.iter());
        self.rest.len() == other.rest.len() && all.zip(others).all(|(one, other)| alike(one, other))
    }

    pub(crate) fn json(&self) -> Value {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        json!({
            "first_us": micros(self.first.whole),
            "median_us": micros(self.median()),
            "p95_us": micros(self.p95()),
            "median_inside_us": self.median_inside().map(micros),
            "rounds": self.rest.len(),
            "bytes": self.rest.last().map(|asked| asked.bytes),
            "values": self.rest.last().map(|asked| asked.values),
            "sum": self.rest.last().map(|asked| asked.sum),
        })
    }
}

/// What came back, before it is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) body: Vec<u8>,
    pub(crate) inside: Option<Duration>,
    /// Finds the values in it.
    pub(crate) read: fn(&Value) -> Vec<f64>,
}

impl Answered {
    /// How many values are in it, and their sum. Called after the time was taken.
    fn values(&self) -> anyhow::Result<(usize, f64)> {
        let values = (self.read)(&serde_json::from_slice(&self.body)?);
        Ok((values.len(), values.iter().sum()))
    }
}

/// A list in an answer; empty where there is none.
pub(crate) fn list<'a>(answer: &'a Value, pointer: &str) -> &'a [Value] {
    let list = answer.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn quantile(times: impl Iterator<Item = Duration>, percent: usize) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::names::Name;
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_rounds_after_the_first() {
        let of = |ms: &[u64]| quantile(ms.iter().map(|ms| Duration::from_millis(*ms)), 95);
        assert_eq!(of(&[]), Duration::ZERO);
        assert_eq!(of(&[3]), Duration::from_millis(3));
        let twenty: Vec<u64> = (1..=20).rev().collect();
        assert_eq!(of(&twenty), Duration::from_millis(19));
        let answered = Answered {
            body: b"{\"a\": [1, 2]}".to_vec(),
            inside: Some(Duration::from_millis(1)),
            read: |answer| {
                list(answer, "/a")
                    .iter()
                    .filter_map(Value::as_f64)
                    .collect()
            },
        };
        let timing = Timing::of(|_| Ok(answered.clone())).unwrap();
        assert_eq!(timing.rest.len(), ROUNDS - 1);
        assert_eq!(timing.median_inside(), Some(Duration::from_millis(1)));
        assert_eq!((timing.first.values, timing.first.sum), (2, 3.0));
        assert!(timing.agrees(&timing));
        let mut other = timing.clone();
        other.rest[7].sum = 3.1;
        assert!(!timing.agrees(&other));
        other.rest[7] = Asked {
            values: 5,
            ..other.rest[8]
        };
        assert!(!timing.agrees(&other));
    }

    #[test]
    fn rounds_ask_of_different_series_and_windows() {
        let series: Vec<Series> = (0..40)
            .map(|n| Series {
                name: Name::parse(&format!("s{n}")),
                is_whole: false,
                grows: false,
            })
            .collect();
        let mut metrics = std::collections::BTreeSet::new();
        let mut ends = std::collections::BTreeSet::new();
        for round in 0..ROUNDS {
            let ask = |kind: Kind| kind.question(&series, (0, 14 * DAY), round).unwrap();
            if let Question::Raw { series, .. } = ask(Kind::Raw) {
                metrics.insert(series.name.metric.clone());
            }
            if let Question::Top { from, to } = ask(Kind::Top) {
                assert_eq!(to - from, DAY);
                ends.insert(to);
            }
        }
        assert_eq!((metrics.len(), ends.len()), (ROUNDS, ROUNDS));
    }
}
