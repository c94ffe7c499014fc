//! Times and steps in arguments and answers.

use std::time::Duration;

use glasshouse_core::text::clean;
use glasshouse_core::time::{Timestamp, Window, parse_span};

use super::error::ToolError;

/// The steps that a default is taken from: people and rollups think in these.
const ROUND_STEPS: &[u64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/// `2026-01-31T12:00:00Z`, `-1h` or `now`.
///
/// # Errors
/// [`ToolError::BadTime`].
pub(crate) fn parse_time(
    name: &'static str,
    text: &str,
    now: Timestamp,
) -> Result<Timestamp, ToolError> {
    let bad = || ToolError::BadTime {
        name,
        text: clean(text),
    };
    if text == "now" {
        return Ok(now);
    }
    if let Some(back) = text.strip_prefix('-').and_then(parse_span) {
        return Ok(now.before(back));
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| bad())?;
    let nanos = i64::try_from(time.as_nanosecond()).map_err(|_| bad())?;
    Ok(Timestamp::from_nanos(nanos))
}

/// From `from` (or `default_back` before the end) to `to` (or now); the future is cut off.
///
/// # Errors
/// [`ToolError`] where nothing is left.
pub(crate) fn parse_window(
    from: Option<&str>,
    to: Option<&str>,
    default_back: Duration,
    now: Timestamp,
) -> Result<Window, ToolError> {
    let to = to
        .map_or(Ok(now), |text| parse_time("to", text, now))?
        .min(now);
    let from = from.map_or(Ok(to.before(default_back)), |text| {
        parse_time("from", text, now)
    })?;
    if from >= to {
        return Err(ToolError::EmptyWindow);
    }
    Ok(Window { from, to })
}

/// The smallest round step that gives at most so many values.
pub(crate) fn round_step(window: Window, most_values: u64) -> Duration {
    let least = window.length().as_secs().div_ceil(most_values.max(1));
    ROUND_STEPS.iter().find(|step| **step >= least).map_or_else(
        || Duration::from_secs(least.div_ceil(86_400).saturating_mul(86_400)),
        |step| Duration::from_secs(*step),
    )
}

/// `10s`, `5m`, `1h`: the largest unit that fits.
pub(crate) fn show_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        s if s.is_multiple_of(86_400) => format!("{}d", s / 86_400),
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn show_time(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.seconds())
        .map_or_else(|_| "unknown".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn times_are_absolute_or_back_from_now() {
        let time = |text| parse_time("from", text, NOW).map(Timestamp::seconds).ok();
        assert_eq!(time("now"), Some(1_800_000_000));
        assert_eq!(time("-1h"), Some(1_799_996_400));
        assert_eq!(time("2027-01-15T08:00:00Z"), Some(1_800_000_000));
        assert_eq!(time("2027-01-15T09:00:00+01:00"), Some(1_800_000_000));
        for bad in [
            "",
            "1h",
            "-1",
            "yesterday",
            "+1h",
            "2027-01-15",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(show_time(NOW), "2027-01-15T08:00:00Z");
    }

    #[test]
    fn windows_end_now_at_the_latest() {
        let hour = Duration::from_secs(3600);
        let window = parse_window(None, Some("2028-01-01T00:00:00Z"), hour, NOW).unwrap();
        assert_eq!((window.to, window.length()), (NOW, hour));
        for (from, to) in [
            ("-1h", "-2h"),
            ("-1h", "-1h"),
            ("2028-01-01T00:00:00Z", "now"),
        ] {
            assert_eq!(
                parse_window(Some(from), Some(to), hour, NOW),
                Err(ToolError::EmptyWindow)
            );
        }
    }

    #[test]
    fn steps_are_round() {
        let window = |seconds| Window {
            from: NOW.before(Duration::from_secs(seconds)),
            to: NOW,
        };
        for (seconds, values, step) in [
            (3600, 60, "1m"),
            (3600, 50, "2m"),
            (30, 60, "1s"),
            (86_400, 60, "30m"),
            (400 * 86_400, 60, "7d"),
        ] {
            assert_eq!(show_span(round_step(window(seconds), values)), step);
        }
    }
}
