//! The states of a part: every value that the label `hw.state` can have.

/// The health of a part, in OpenTelemetry's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HardwareState {
    /// As it should be.
    Ok,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Failed,
    /// It works as soon as it is cleaned: drives of tapes.
    NeedsCleaning,
    /// It works, and says that it will soon fail.
    PredictedFailure,
}

impl HardwareState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Degraded,
        Self::Failed,
        Self::NeedsCleaning,
        Self::PredictedFailure,
    ];

    /// Those that every part can have: a part says each of these, 1 for the one that holds and 0 for the others.
    pub const OF_ANY_PART: [Self; 3] = [Self::Ok, Self::Degraded, Self::Failed];

    /// Those that a drive can have.
    pub const OF_A_DRIVE: [Self; 4] = [
        Self::Ok,
        Self::Degraded,
        Self::Failed,
        Self::PredictedFailure,
    ];

    /// The value of the label `hw.state`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::NeedsCleaning => "needs_cleaning",
            Self::PredictedFailure => "predicted_failure",
        }
    }
}
