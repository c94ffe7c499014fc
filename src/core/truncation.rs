//! Why an answer is not whole.

use std::fmt;

/// What cut an answer short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truncation {
    /// More series matched than the budget has.
    Series,
    /// Even one value a series and step was too much; the step was made longer.
    Points,
    /// More would have had to be read than the budget has.
    Bytes,
    /// A step holds more samples than can be held at once for a quantile; it has no value.
    Samples,
    /// Of part of the window only rollups are left, and those have no quantiles; its steps have no value.
    Rollups,
    /// Something of the window, or of an unknown time, is damaged; the answer is made from the rest.
    Damage,
}

impl Truncation {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Series,
        Self::Points,
        Self::Bytes,
        Self::Samples,
        Self::Rollups,
        Self::Damage,
    ];

    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Points => "points",
            Self::Bytes => "bytes",
            Self::Samples => "samples",
            Self::Rollups => "rollups",
            Self::Damage => "damage",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// All that cut an answer short; none where it is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truncations(u8);

impl Truncations {
    /// The answer is whole.
    pub const NONE: Self = Self(0);

    /// Whether the answer is whole.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one of the reasons.
    #[must_use]
    pub const fn has(self, reason: Truncation) -> bool {
        self.0 & reason.bit() != 0
    }

    /// Adds a reason.
    pub const fn add(&mut self, reason: Truncation) {
        self.0 |= reason.bit();
    }

    /// Adds a reason where it holds.
    pub const fn add_if(&mut self, holds: bool, reason: Truncation) {
        if holds {
            self.add(reason);
        }
    }

    /// Adds the reasons of another part of the answer.
    pub const fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The reasons.
    pub fn iter(self) -> impl Iterator<Item = Truncation> {
        let all = Truncation::ALL.iter().copied();
        all.filter(move |reason| self.has(*reason))
    }
}

impl From<Truncation> for Truncations {
    fn from(reason: Truncation) -> Self {
        Self(reason.bit())
    }
}

impl FromIterator<Truncation> for Truncations {
    fn from_iter<I: IntoIterator<Item = Truncation>>(reasons: I) -> Self {
        let mut all = Self::NONE;
        reasons.into_iter().for_each(|reason| all.add(reason));
        all
    }
}

/// The words, with commas between them.
impl fmt::Display for Truncations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, reason) in self.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{}", reason.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_kept_beside_each_other() {
        let mut reasons = Truncations::NONE;
        assert!(reasons.is_empty() && reasons.to_string().is_empty());
        reasons.add(Truncation::Damage);
        reasons.add(Truncation::Bytes);
        reasons.add(Truncation::Damage);
        reasons.add_if(false, Truncation::Series);
        assert_eq!(reasons.to_string(), "bytes, damage");
        assert_eq!(
            reasons,
            [Truncation::Damage, Truncation::Bytes]
                .into_iter()
                .collect()
        );
        let all: Truncations = Truncation::ALL.iter().copied().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Truncation::ALL);
    }
}
