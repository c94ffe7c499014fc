//! Small forms: hexadecimal digits, times, bounded texts, digests.

use glasshouse_core::time::Timestamp;
use sha2_of_ct_merkle::{Digest as _, Sha256};

/// SHA-256 over the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Back from lower-case digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .bytes()
        .map(|digit| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        })
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some((high << 4) | low),
            _ => None,
        })
        .collect()
}

/// RFC 3339 in UTC, to the nanosecond.
pub(crate) fn time(at: Timestamp) -> String {
    // every i64 of nanoseconds is inside the calendar
    jiff::Timestamp::from_nanosecond(i128::from(at.nanos()))
        .unwrap_or_default()
        .to_string()
}

/// Back from RFC 3339.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond())
        .ok()
        .map(Timestamp::from_nanos)
}

/// The text, cut at a character with a `…`.
pub(crate) fn cut(text: &str, most_bytes: usize) -> String {
    if text.len() <= most_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most_bytes);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_survive_a_round_trip() {
        assert_eq!(unhex(&hex(&[0, 255, 16])), Some(vec![0, 255, 16]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0G"), None);
        assert_eq!(unhex("0A"), None);
        for nanos in [i64::MIN, -1, 0, 1_767_225_600_123_456_789, i64::MAX] {
            let at = Timestamp::from_nanos(nanos);
            assert_eq!(parse_time(&time(at)), Some(at));
        }
        assert_eq!(cut("äb", 1), "…");
        assert_eq!(cut("äb", 3), "äb");
    }
}
