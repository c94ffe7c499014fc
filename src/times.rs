//! Times as people write them, and as answers show them.

use glasshouse_core::time::{Timestamp, parse_span};

/// Parses RFC 3339, `now`, or a span back from now such as `-1h`.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(span) = text.strip_prefix('-').and_then(parse_span) {
        return Ok(now.before(span));
    }
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|at| i64::try_from(at.as_nanosecond()).ok())
        .map(Timestamp::from_nanos)
        .ok_or_else(|| TimeError {
            text: text.to_owned(),
        })
}

/// RFC 3339 in UTC.
pub(crate) fn show(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.nanos()))
        .map_or_else(|_| at.nanos().to_string(), |at| at.to_string())
}

/// A text that is no time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{text}` is not a time (write RFC 3339 such as 2026-01-31T12:00:00Z, `now`, or a span back from now such as -1h)"
)]
pub(crate) struct TimeError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_a_date_or_back_from_now() {
        let now = Timestamp::from_seconds(1_000_000);
        assert_eq!(parse("now", now), Ok(now));
        assert_eq!(parse("-1h", now), Ok(Timestamp::from_seconds(996_400)));
        let date = parse("2026-01-31T12:00:00Z", now).unwrap();
        assert_eq!(show(date), "2026-01-31T12:00:00Z");
        for bad in ["", "1h", "-1w", "yesterday", "2026-01-31"] {
            assert!(parse(bad, now).is_err(), "{bad}");
        }
    }
}
