//! How the samples of a step become one number.

/// How the samples of a step become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum of the samples.
    Sum,
    /// The last one.
    Last,
    /// Increase a second of a counter, resets allowed for.
    Rate,
    /// The median. This and the other quantiles are exact: of the samples themselves, between two of them in proportion
    /// (as Prometheus' `quantile_over_time` has it). Rollups have none.
    P50,
    /// Nine of ten samples are at most this.
    P90,
    /// Nineteen of twenty samples are at most this.
    P95,
    /// Ninety-nine of a hundred samples are at most this.
    P99,
}

impl Aggregation {
    /// Every aggregation.
    pub const ALL: &[Self] = &[
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Last,
        Self::Rate,
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
    ];

    /// The word for it in arguments and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|aggregation| aggregation.word() == word)
    }

    /// Which share of the samples is at most the value, where it is a quantile.
    #[must_use]
    pub const fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::Mean | Self::Min | Self::Max | Self::Sum | Self::Last | Self::Rate => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_aggregation_is_found_by_its_word_and_quantiles_are_named_by_their_share() {
        for aggregation in Aggregation::ALL {
            assert_eq!(Aggregation::parse(aggregation.word()), Some(*aggregation));
            if let Some(share) = aggregation.quantile() {
                assert_eq!(aggregation.word(), format!("p{:.0}", share * 100.0));
            }
        }
    }
}
