//! Where the samples of a run come from.

use super::data::{Point, Recording, Series};
use super::repeated::Repeated;

/// One data set, which is written to every store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feed<'a> {
    /// As it was recorded.
    Recording(&'a Recording),
    /// Days of it.
    Days(&'a Repeated<'a>),
}

impl Feed<'_> {
    pub(crate) fn series(&self) -> &[Series] {
        match self {
            Self::Recording(recording) => &recording.series,
            Self::Days(days) => days.series(),
        }
    }

    pub(crate) fn span(&self) -> (i64, i64) {
        match self {
            Self::Recording(recording) => recording.span(),
            Self::Days(days) => days.span(),
        }
    }

    pub(crate) fn interval_millis(&self) -> i64 {
        match self {
            Self::Recording(recording) => recording.interval_millis(),
            Self::Days(days) => days.step,
        }
    }

    /// Under which label the peers find a metric's name. Days are ranked over all series at once, and PromQL takes the
    /// name away from what it averages; so there it is a label like others.
    pub(crate) const fn metric_key(&self) -> &'static str {
        match self {
            Self::Recording(_) => "__name__",
            Self::Days(_) => "metric",
        }
    }

    /// How many instants go into one request to a peer: what is recorded goes as it comes, one by one; days would take
    /// hours so.
    pub(crate) const fn instants_a_request(&self) -> usize {
        match self {
            Self::Recording(_) => 1,
            Self::Days(_) => 40,
        }
    }

    /// After how long a head of ours is full, where that is not the default: as many samples as in a head of the default
    /// at 1 s. Otherwise fourteen days would be four thousand seals of twenty instants, each of which waits for the disk.
    pub(crate) fn head_seconds(&self) -> Option<u32> {
        match self {
            Self::Recording(_) => None,
            Self::Days(_) => Some(3600),
        }
    }

    /// Gives each instant to `take`, oldest first.
    pub(crate) fn each(
        &self,
        mut take: impl FnMut(i64, &[Point]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Recording(recording) => recording
                .instants()
                .try_for_each(|(millis, points)| take(millis, points)),
            Self::Days(days) => {
                let mut points = Vec::new();
                (0..days.len()).try_for_each(|step| {
                    let millis = days.instant(step, &mut points);
                    take(millis, &points)
                })
            }
        }
    }
}
