//! Text that a machine gave us, and what has to happen to it before anybody reads it.
//!
//! Host names, mount points, process names, DMI strings and log messages are written by whoever controls the machine.
//! They reach a model's context, a terminal and a web page, so they are hostile until cleaned: no control characters,
//! no bidirectional overrides, nothing invisible, no Unicode tags, and a bounded length.

use std::fmt;

/// Text from a machine. It can be compared and stored as it is, but only [`Untrusted::clean`] can be shown.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted(Box<str>);

impl Untrusted {
    /// The most bytes that are kept; Linux paths may be longer, but a name that long tells nobody anything.
    pub const MOST_BYTES: usize = 512;

    /// Takes the text, cut at a character boundary to [`Self::MOST_BYTES`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        let end = text.floor_char_boundary(Self::MOST_BYTES);
        Self(text.get(..end).unwrap_or_default().into())
    }

    /// The text as the machine wrote it. For comparing and storing, never for showing.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The text as it may be shown, at most [`CLEAN_CHARACTERS`] characters.
    #[must_use]
    pub fn clean(&self) -> String {
        clean(&self.0)
    }
}

/// Shows the cleaned text: a stray `{:?}` in a log must not carry an escape sequence either.
impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.clean(), f)
    }
}

/// The most characters of one machine-made text in an answer: enough for a mount point or a disk model.
pub const CLEAN_CHARACTERS: usize = 200;

/// Removes what is invisible or steers a terminal, a renderer or a tokenizer; cuts to [`CLEAN_CHARACTERS`] with `…`.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .filter_map(visible)
        .take(CLEAN_CHARACTERS + 1)
        .collect();
    if let Some((cut, _)) = shown.char_indices().nth(CLEAN_CHARACTERS) {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}

/// The character as it may be shown: white space becomes a space, the invisible vanishes.
/// The character as it may be shown: a space for what breaks a line, `None` for what is invisible or steers.
#[must_use]
pub fn visible(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => None,
        // soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul and Khmer fillers, Mongolian selectors
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => {
            None
        }
        '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}' => None,
        // zero width, bidirectional marks, embeddings, overrides, isolates, invisible operators
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => None,
        // variation selectors (they can carry hidden bytes), interlinear annotations, private use
        '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' => None,
        // shorthand and musical format controls, then the tag and supplementary variation planes and private planes
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_reader_is_removed() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "[31mred[0m");
        assert_eq!(clean("a\r\nb\tc"), "a  b c");
        assert_eq!(clean("x\u{202e}gnp.exe"), "xgnp.exe");
        assert_eq!(clean("i\u{200b}gn\u{e0069}ore"), "ignore");
        assert_eq!(clean("Straße 温度"), "Straße 温度");
    }

    #[test]
    fn long_text_is_cut_visibly() {
        let shown = clean(&"é".repeat(1000));
        assert_eq!(shown.chars().count(), CLEAN_CHARACTERS + 1);
        assert!(shown.ends_with('…'));
        assert!(Untrusted::new(&"é".repeat(1000)).raw().len() <= Untrusted::MOST_BYTES);
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text in any::<String>()) {
            let once = clean(&text);
            prop_assert!(!once.chars().any(char::is_control));
            if once.chars().count() <= CLEAN_CHARACTERS {
                prop_assert_eq!(clean(&once), once);
            }
        }
    }
}
