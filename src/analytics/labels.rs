//! Labels as one text that all readers of a table take.

use std::fmt::Write as _;

use glasshouse_core::labels::Labels;
use glasshouse_core::text::visible;

/// A JSON object, keys in order: the same labels are the same text, so that it can be grouped and joined by.
///
/// Values come from machines. Nothing of them is lost, as two that differ only in what is invisible are two; but what steers
/// a terminal or cannot be seen is written as `\u` escapes, because tables are printed.
pub(crate) fn as_json(labels: &Labels) -> String {
    let mut text = "{".to_owned();
    for (number, (key, value)) in labels.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        push_quoted(&mut text, key);
        text.push(':');
        push_quoted(&mut text, value.raw());
    }
    text.push('}');
    text
}

fn push_quoted(text: &mut String, raw: &str) {
    text.push('"');
    for c in raw.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if visible(c) == Some(c) => text.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // writing to a String cannot fail
                    write!(text, "\\u{unit:04x}").ok();
                }
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_nothing_steers() {
        let labels = Labels::new([
            ("b", "plain Straße"),
            ("a", "q\"u\\o\u{1b}[31m\n\u{202e}\u{e0069}\u{85}"),
        ]);
        assert_eq!(
            as_json(&labels),
            r#"{"a":"q\"u\\o\u001b[31m\u000a\u202e\udb40\udc69\u0085","b":"plain Straße"}"#
        );
        assert_eq!(as_json(&Labels::default()), "{}");
    }
}
