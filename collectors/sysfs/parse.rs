//! Small parsers for what the kernel writes, and the errors that they give.

use std::str::SplitAsciiWhitespace;

use glasshouse_core::collector::Presence;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::text;

use crate::root::machine_path;

/// The error for a file (below the root) that was read but makes no sense. `found` is cleaned and cut.
#[must_use]
pub fn malformed(path: &str, line: Option<usize>, expected: &str, found: &str) -> CollectError {
    /// Enough to recognize the place; a whole line would fill a log.
    const SHOWN_CHARACTERS: usize = 40;
    let shown: String = text::clean(found).chars().take(SHOWN_CHARACTERS).collect();
    CollectError {
        path: machine_path(path),
        line,
        reason: FailureReason::Malformed,
        detail: format!("expected {expected}, found `{shown}`"),
    }
}

/// Turns "missing" into `None`.
///
/// # Errors
/// Every other error, as it was.
pub fn optional<T>(result: Result<T, CollectError>) -> Result<Option<T>, CollectError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.reason == FailureReason::Missing => Ok(None),
        Err(error) => Err(error),
    }
}

/// The outcome of a collector whose one source may be missing: then it is absent, and silent.
///
/// # Errors
/// Every other error, as it was.
pub fn presence(result: Result<(), CollectError>) -> Result<Presence, CollectError> {
    match result {
        Ok(()) => Ok(Presence::Present),
        Err(error) if error.reason == FailureReason::Missing => {
            Ok(Presence::Absent(format!("no `{}`", error.path.display())))
        }
        Err(error) => Err(error),
    }
}

/// A finite number; `nan` and `inf`, which Rust would parse, are refused.
#[must_use]
pub fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number divided, as when microjoules become joules. Exact to 2⁵³.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counters beyond 2^53 lose their last bits only"
)]
pub fn ratio(value: u64, divisor: u32) -> f64 {
    value as f64 / f64::from(divisor.max(1))
}

/// A whole number multiplied, as when kibibytes become bytes; `None` where it would overflow.
#[must_use]
pub const fn scaled(value: u64, factor: u64) -> Option<u64> {
    value.checked_mul(factor)
}

/// The words of one line, with the place for errors.
#[derive(Clone, Debug)]
pub struct Fields<'t> {
    path: &'t str,
    line: usize,
    words: SplitAsciiWhitespace<'t>,
}

impl<'t> Fields<'t> {
    /// The words of a line; lines count from 1.
    #[must_use]
    pub fn new(path: &'t str, line: usize, text: &'t str) -> Self {
        Self {
            path,
            line,
            words: text.split_ascii_whitespace(),
        }
    }

    /// The next word.
    ///
    /// # Errors
    /// Malformed where the line has ended.
    pub fn word(&mut self, expected: &str) -> Result<&'t str, CollectError> {
        self.words
            .next()
            .ok_or_else(|| self.malformed(expected, "the end of the line"))
    }

    /// The next word as a whole number.
    ///
    /// # Errors
    /// Malformed where the line has ended or the word is no such number.
    pub fn number(&mut self, expected: &str) -> Result<u64, CollectError> {
        let word = self.word(expected)?;
        word.parse().map_err(|_| self.malformed(expected, word))
    }

    /// The next word as a whole number, `None` where the line has ended.
    ///
    /// # Errors
    /// Malformed where the word is no such number.
    pub fn optional_number(&mut self, expected: &str) -> Result<Option<u64>, CollectError> {
        match self.words.next() {
            None => Ok(None),
            Some(word) => word
                .parse()
                .map(Some)
                .map_err(|_| self.malformed(expected, word)),
        }
    }

    /// The error for this place.
    #[must_use]
    pub fn malformed(&self, expected: &str, found: &str) -> CollectError {
        malformed(self.path, Some(self.line), expected, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_no_number_is_named_with_its_line() {
        let mut fields = Fields::new("proc/stat", 2, "cpu0 12 x");
        assert_eq!(fields.word("a name").unwrap(), "cpu0");
        assert_eq!(fields.number("ticks").unwrap(), 12);
        assert_eq!(
            fields.number("ticks").unwrap_err().to_string(),
            "failed to read `/proc/stat` line 2: expected ticks, found `x`"
        );
        assert!(fields.number("ticks").is_err());
        assert_eq!(fields.optional_number("ticks").unwrap(), None);
    }

    #[test]
    fn what_is_not_finite_is_no_number() {
        for bad in ["nan", "inf", "1e999", "", "x"] {
            assert_eq!(finite(bad), None, "{bad}");
        }
        assert_eq!(finite("1.5"), Some(1.5));
        assert_eq!(scaled(u64::MAX, 1024), None);
    }
}
