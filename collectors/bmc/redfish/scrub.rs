//! Taking hardware addresses and unique ids out of facts: they name a machine, not what it is.

/// Put where something was taken out.
const BLANK: &str = "(blanked)";

/// The text without MAC addresses (six pairs of hex digits joined by `:` or `-`) and UUIDs.
pub(crate) fn scrub(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let starts_word = shown
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_ascii_alphanumeric());
        let unique = if starts_word {
            address_length(rest).or_else(|| uuid_length(rest))
        } else {
            None
        };
        let taken = match unique {
            Some(length) => {
                shown.push_str(BLANK);
                length
            }
            None => {
                shown.push(first);
                first.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    shown
}

/// The length of a MAC address (or an 8-byte GUID in the same style) at the start.
fn address_length(text: &str) -> Option<usize> {
    [':', '-'].into_iter().find_map(|separator| {
        groups(text, &[2; 8], separator).or_else(|| groups(text, &[2; 6], separator))
    })
}

fn uuid_length(text: &str) -> Option<usize> {
    groups(text, &[8, 4, 4, 4, 12], '-')
}

/// The length of groups of hex digits at the start, where nothing of the kind follows.
fn groups(text: &str, lengths: &[usize], separator: char) -> Option<usize> {
    let mut characters = text.chars();
    for (place, length) in lengths.iter().enumerate() {
        if place > 0 && characters.next()? != separator {
            return None;
        }
        for _ in 0..*length {
            characters.next().filter(char::is_ascii_hexdigit)?;
        }
    }
    let ends = characters
        .clone()
        .next()
        .is_none_or(|next| !next.is_ascii_alphanumeric() && next != separator);
    ends.then(|| text.len() - characters.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn addresses_and_ids_are_taken_out() {
        for (text, shown) in [
            (
                "Broadcom Adv. Dual 25Gb - 02:00:5E:00:53:F0",
                "Broadcom Adv. Dual 25Gb - (blanked)",
            ),
            ("02-00-5e-00-53-f0 x", "(blanked) x"),
            ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", "(blanked)"),
            ("6.00.30.00", "6.00.30.00"),
            ("2023-01-02", "2023-01-02"),
            ("Straße 12:34", "Straße 12:34"),
        ] {
            assert_eq!(scrub(text), shown);
        }
    }
}
