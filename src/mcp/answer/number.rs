//! How numbers are written: short, and never longer than they are true.

/// Significant digits of numbers that are not whole; sensors have three or four.
const DIGITS: usize = 6;
/// Whole numbers are exact below 2⁵³.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number as it is, another one with six significant digits, one that is not finite as nothing.
pub(crate) fn exact_or_rounded(number: f64) -> String {
    if !number.is_finite() {
        return String::new();
    }
    if number == 0.0 {
        // a negative zero says nothing that a reader should see
        return "0".to_owned();
    }
    if number.fract() == 0.0 && number.abs() < EXACT {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.*e}", DIGITS - 1)
        .parse()
        .unwrap_or(number);
    if rounded.abs() < 1e-6 || rounded.abs() >= EXACT {
        format!("{rounded:e}")
    } else {
        format!("{rounded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (67_108_864_001.0, "67108864001"),
            (0.1 + 0.2, "0.3"),
            (12.345_678_9, "12.3457"),
            (-123_456.789, "-123457"),
            (1.5e-9, "1.5e-9"),
            (1e300, "1e300"),
            (f64::NAN, ""),
            (f64::INFINITY, ""),
        ] {
            assert_eq!(exact_or_rounded(number), text);
        }
    }
}
