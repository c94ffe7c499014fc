//! Every wait of the collector, in one place, so that tests can press time together.

use std::time::Duration;

use super::client::Deadlines;
use super::kind::Periods;

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How often what is read.
    pub(crate) periods: Periods,
    /// How long for an answer.
    pub(crate) deadlines: Deadlines,
    /// The longest round; what is left is for the next.
    pub(crate) round: Duration,
    /// How long a run waits for the rounds it woke, so that it can write what is of this moment.
    pub(crate) run: Duration,
    /// Silence that makes a BMC unresponsive. With a run each 15 s it is said within 75 s.
    pub(crate) patience: Duration,
    /// Silence that closes a stream of events.
    pub(crate) stream_silence: Duration,
    /// The pause before a stream is tried again.
    pub(crate) stream_pause: Duration,
    /// The longest rest that a slow BMC is given.
    pub(crate) rest: Duration,
    /// How long is waited for sessions to be ended when the collector stops.
    pub(crate) stop: Duration,
}

/// How it is where nothing is tested.
pub(crate) const TIMING: Timing = Timing {
    periods: Periods {
        readings: Duration::from_secs(super::INTERVAL_SECONDS),
        logs: Duration::from_mins(1),
        health: Duration::from_mins(5),
        inventory: Duration::from_hours(1),
    },
    deadlines: Deadlines {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(10),
        login: Duration::from_secs(30),
        login_pause: Duration::from_secs(30),
        minute: Duration::from_mins(1),
    },
    round: Duration::from_mins(1),
    run: Duration::from_secs(2),
    patience: Duration::from_mins(1),
    // BMCs that keep their streams alive do so twice a minute
    stream_silence: Duration::from_mins(3),
    stream_pause: Duration::from_mins(30),
    rest: Duration::from_mins(5),
    stop: Duration::from_secs(4),
};
