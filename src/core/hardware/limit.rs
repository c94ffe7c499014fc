//! The kinds of limits: every value that the label `hw.limit_type` can have.

/// A kind of limit. OpenTelemetry has `low.critical`, `low.degraded`, `high.degraded`, `high.critical`, `max` and
/// `throttled` of these; the others are ours, because makers tell more than it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitType {
    /// An alarm: so low that the part may be damaged, IPMI's lower non-recoverable.
    LowEmergency,
    /// An alarm: too low to work.
    LowCritical,
    /// An alarm: lower than it should be.
    LowDegraded,
    /// An alarm: higher than it should be.
    HighDegraded,
    /// An alarm: too high to work.
    HighCritical,
    /// An alarm: so high that the part may be damaged or turns itself off.
    HighEmergency,
    /// An alarm at a limit that the chip does not name.
    Any,
    /// The most that there can be now: OpenTelemetry's `max`.
    Max,
    /// Where the part is slowed down.
    Throttled,
    /// Where more cooling begins.
    Cooled,
    /// The least that the part is made for.
    RatedMin,
    /// The most that the part is made for.
    RatedMax,
    /// What somebody set as the most that the part may draw.
    Cap(PowerCap),
    /// The least that may be set as [`LimitType::Cap`].
    CapMin(PowerCap),
    /// The most that may be set as [`LimitType::Cap`].
    CapMax(PowerCap),
    /// What [`LimitType::Cap`] is as long as nobody sets it.
    CapDefault,
    /// What holds in the end, where several caps are set.
    CapEnforced,
    /// A limit that the driver tells and we do not know.
    Other,
}

/// Over which time a cap of power is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerCap {
    /// Nothing says: there is one.
    Only,
    /// Tens of seconds: what the cooling can carry off.
    LongTerm,
    /// Milliseconds: what the supply can give beyond.
    ShortTerm,
    /// An instant.
    Peak,
}

impl PowerCap {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Only, Self::LongTerm, Self::ShortTerm, Self::Peak];
}

impl LimitType {
    /// All of them.
    pub const ALL: [Self; 27] = {
        use PowerCap::{LongTerm, Only, Peak, ShortTerm};
        [
            Self::LowEmergency,
            Self::LowCritical,
            Self::LowDegraded,
            Self::HighDegraded,
            Self::HighCritical,
            Self::HighEmergency,
            Self::Any,
            Self::Max,
            Self::Throttled,
            Self::Cooled,
            Self::RatedMin,
            Self::RatedMax,
            Self::Cap(Only),
            Self::CapMin(Only),
            Self::CapMax(Only),
            Self::Cap(LongTerm),
            Self::CapMin(LongTerm),
            Self::CapMax(LongTerm),
            Self::Cap(ShortTerm),
            Self::CapMin(ShortTerm),
            Self::CapMax(ShortTerm),
            Self::Cap(Peak),
            Self::CapMin(Peak),
            Self::CapMax(Peak),
            Self::CapDefault,
            Self::CapEnforced,
            Self::Other,
        ]
    };

    /// The value of the label `hw.limit_type`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        use PowerCap::{LongTerm, Only, Peak, ShortTerm};
        match self {
            Self::LowEmergency => "low.emergency",
            Self::LowCritical => "low.critical",
            Self::LowDegraded => "low.degraded",
            Self::HighDegraded => "high.degraded",
            Self::HighCritical => "high.critical",
            Self::HighEmergency => "high.emergency",
            Self::Any => "any",
            Self::Max => "max",
            Self::Throttled => "throttled",
            Self::Cooled => "cooled",
            Self::RatedMin => "rated.min",
            Self::RatedMax => "rated.max",
            Self::Cap(Only) => "cap",
            Self::CapMin(Only) => "cap.min",
            Self::CapMax(Only) => "cap.max",
            Self::Cap(LongTerm) => "cap.long_term",
            Self::CapMin(LongTerm) => "cap.long_term.min",
            Self::CapMax(LongTerm) => "cap.long_term.max",
            Self::Cap(ShortTerm) => "cap.short_term",
            Self::CapMin(ShortTerm) => "cap.short_term.min",
            Self::CapMax(ShortTerm) => "cap.short_term.max",
            Self::Cap(Peak) => "cap.peak",
            Self::CapMin(Peak) => "cap.peak.min",
            Self::CapMax(Peak) => "cap.peak.max",
            Self::CapDefault => "cap.default",
            Self::CapEnforced => "cap.enforced",
            Self::Other => "other",
        }
    }

    /// Whether it is a cap of power, which is obeyed, and no threshold of an alarm, which is told.
    #[must_use]
    pub const fn is_cap(self) -> bool {
        matches!(
            self,
            Self::Cap(_) | Self::CapMin(_) | Self::CapMax(_) | Self::CapDefault | Self::CapEnforced
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_its_word_and_caps_say_that_they_are() {
        let words: BTreeSet<_> = LimitType::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), LimitType::ALL.len());
        for kind in LimitType::ALL {
            assert_eq!(kind.is_cap(), kind.word().starts_with("cap"), "{kind:?}");
        }
        for cap in PowerCap::ALL {
            let word = LimitType::Cap(cap).word();
            assert_eq!(LimitType::CapMin(cap).word(), format!("{word}.min"));
            assert_eq!(LimitType::CapMax(cap).word(), format!("{word}.max"));
        }
    }
}
