//! Time as Glasshouse keeps it: wall time to compare machines, boot time to survive clock steps.

use std::fmt;
use std::time::Duration;

/// Wall-clock time in nanoseconds since 1970-01-01T00:00:00Z (leap seconds smeared by the host, as in POSIX).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the epoch, saturating.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// This time plus a span, saturating.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(clamp_to_i64(span)))
    }

    /// This time minus a span, saturating.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(clamp_to_i64(span)))
    }

    /// How long ago `earlier` was; zero where it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Time since boot in nanoseconds, suspended time included (`CLOCK_BOOTTIME`). Never steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// From nanoseconds since boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero where it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Wall time.
    pub wall: Timestamp,
    /// Time since boot.
    pub boot: BootTime,
}

/// Where the time comes from; tests pass their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, on both clocks.
    fn moment(&self) -> Moment;

    /// Now, on the wall clock.
    fn now(&self) -> Timestamp {
        self.moment().wall
    }
}

/// The kernel's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn moment(&self) -> Moment {
        let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let wall = wall
            .tv_sec
            .saturating_mul(NANOS_PER_SECOND)
            .saturating_add(wall.tv_nsec);
        let boot = boot
            .tv_sec
            .saturating_mul(NANOS_PER_SECOND)
            .saturating_add(boot.tv_nsec);
        Moment {
            wall: Timestamp(wall),
            boot: BootTime(u64::try_from(boot).unwrap_or(0)),
        }
    }
}

/// How often a collector runs: 1 s to 1 h, by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(Duration);

impl Interval {
    /// The shortest interval: finer sampling would cost more than the question is worth.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// The longest interval: an hour without news cannot be told from a dead collector.
    pub const LONGEST: Duration = Duration::from_secs(3600);

    /// Whole seconds, clamped into the allowed range; for constants in code.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        let longest = Self::LONGEST.as_secs();
        let clamped = if seconds == 0 {
            1
        } else if seconds > longest {
            longest
        } else {
            seconds
        };
        Self(Duration::from_secs(clamped))
    }

    /// Parses `10s`, `500ms` (too short, refused), `5m` or `1h`.
    ///
    /// # Errors
    /// [`IntervalError`] where the text is no span or lies outside 1 s to 1 h.
    pub fn parse(text: &str) -> Result<Self, IntervalError> {
        let span = parse_span(text).ok_or_else(|| IntervalError::NotASpan {
            text: text.to_owned(),
        })?;
        if span < Self::SHORTEST || span > Self::LONGEST {
            return Err(IntervalError::OutOfRange {
                text: text.to_owned(),
            });
        }
        Ok(Self(span))
    }

    /// As a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// Why a text is no [`Interval`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntervalError {
    /// Not a number with a unit.
    #[error("`{text}` is not a span of time (write it like `10s`, `5m` or `1h`)")]
    NotASpan {
        /// What was written.
        text: String,
    },
    /// A span, but not one that a collector may have.
    #[error("`{text}` is outside the allowed interval of 1s to 1h")]
    OutOfRange {
        /// What was written.
        text: String,
    },
}

/// Parses a span such as `250ms`, `10s`, `5m`, `6h`, `14d`. One number, one unit, no sign.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// A stretch of wall time, `from` inclusive, `to` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant outside.
    pub to: Timestamp,
}

impl Window {
    /// How long the window is; zero where it is empty or reversed.
    #[must_use]
    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }

    /// Whether an instant lies inside.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// The part that both windows share, or `None` where they do not meet.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let both = Self {
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        };
        (both.from < both.to).then_some(both)
    }
}

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day that an instant lies in.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.0.div_euclid(NANOS_PER_DAY))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// From its first instant to that of the next day, as far as there are timestamps.
    #[must_use]
    pub const fn window(self) -> Window {
        let from = self.0.saturating_mul(NANOS_PER_DAY);
        Window {
            from: Timestamp(from),
            to: Timestamp(from.saturating_add(NANOS_PER_DAY)),
        }
    }
}

/// `2026-01-31`, in the Gregorian calendar.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years begin in March here, so that the leap day is the last; calendars repeat after 400 years.
        let since_march = self.0 + DAYS_TO_1970;
        let era = since_march.div_euclid(DAYS_OF_400_YEARS);
        let day_of_era = since_march.rem_euclid(DAYS_OF_400_YEARS);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

const DAYS_OF_400_YEARS: i64 = 146_097;

const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

fn clamp_to_i64(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_outside_its_range_is_refused_with_the_text() {
        assert_eq!(
            Interval::parse("10s").unwrap().duration(),
            Duration::from_secs(10)
        );
        assert_eq!(
            Interval::parse("1h").unwrap().duration(),
            Duration::from_secs(3600)
        );
        for bad in ["500ms", "0s", "2h", "99999999999999999999s"] {
            assert!(Interval::parse(bad).unwrap_err().to_string().contains(bad));
        }
        for bad in ["", "10", "s", "-1s", "1 s", "1w", "1.5s", "ä"] {
            assert!(
                matches!(Interval::parse(bad), Err(IntervalError::NotASpan { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let end = Timestamp::from_nanos(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_seconds(0).since(end), Duration::ZERO);
        assert_eq!(Timestamp::from_nanos(-1).seconds(), -1);
    }

    #[test]
    fn windows_meet_or_do_not() {
        let w = |from, to| Window {
            from: Timestamp::from_seconds(from),
            to: Timestamp::from_seconds(to),
        };
        assert_eq!(w(0, 10).intersect(w(5, 20)), Some(w(5, 10)));
        assert_eq!(w(0, 10).intersect(w(10, 20)), None);
        assert_eq!(w(10, 0).length(), Duration::ZERO);
    }

    #[test]
    fn days_have_the_names_of_the_calendar() {
        for (seconds, name) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_164_800, "2024-02-29"),
            (1_735_603_200, "2024-12-31"),
            (1_795_305_600, "2026-11-22"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let at = Timestamp::from_seconds(seconds);
            assert_eq!(Day::of(at).to_string(), name);
            assert!(Day::of(at).window().contains(at), "{name}");
        }
        for end in [i64::MIN, i64::MAX] {
            let day = Day::of(Timestamp::from_nanos(end));
            assert!(day.window().length() > Duration::ZERO, "{day}");
        }
    }
}
