//! JSON, read once and strictly: what two parsers could read in two ways is refused.
//!
//! Every later step (headers, token, policies, tools) sees the value made here, and what goes on to the protocol library
//! is written anew from it. So nobody can be shown one call and made to run another.

use serde_json::{Map, Number, Value};

/// The deepest nesting; our arguments need three.
pub(crate) const DEEPEST: usize = 32;
/// The most keys and elements in one message; our largest call needs some dozens.
pub(crate) const MOST_ELEMENTS: usize = 4096;
/// Keys that `serde_json` gives a meaning of its own.
const PRIVATE_PREFIX: &str = "$serde_json::private::";

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StrictError {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body is not JSON at byte {at}: {problem}")]
    Syntax { at: usize, problem: &'static str },
    #[error("a key stands twice in one object at byte {at}")]
    DuplicateKey { at: usize },
    #[error("a key that must not be used stands at byte {at}")]
    ForbiddenKey { at: usize },
    #[error("a number at byte {at} is not finite or does not fit 64 bits")]
    Number { at: usize },
    #[error("the body nests deeper than {DEEPEST}")]
    TooDeep,
    #[error("the body has more than {MOST_ELEMENTS} keys and elements")]
    TooMany,
}

impl StrictError {
    /// The word for it in counters.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::Syntax { .. } => "syntax",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::ForbiddenKey { .. } => "forbidden_key",
            Self::Number { .. } => "number",
            Self::TooDeep => "too_deep",
            Self::TooMany => "too_many",
        }
    }
}

/// Reads one JSON value (RFC 8259) and nothing after it.
///
/// # Errors
/// [`StrictError`] on anything ambiguous: duplicate keys, lone surrogates, numbers that do not fit, trailing data.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, StrictError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StrictError::NotUtf8)?;
    let mut reader = Reader {
        text,
        at: 0,
        elements: 0,
    };
    reader.white_space();
    let value = reader.value(0)?;
    reader.white_space();
    if reader.at != text.len() {
        return Err(reader.syntax("data follows the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    /// Always at a character boundary.
    at: usize,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn syntax(&self, problem: &'static str) -> StrictError {
        StrictError::Syntax {
            at: self.at,
            problem,
        }
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn count(&mut self) -> Result<(), StrictError> {
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(StrictError::TooMany);
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, StrictError> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("null", Value::Null),
                ] {
                    if self.rest().starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.syntax("a value was expected"))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, StrictError> {
        if depth >= DEEPEST {
            return Err(StrictError::TooDeep);
        }
        self.at += 1;
        let mut object = Map::new();
        self.white_space();
        if self.take(b'}') {
            return Ok(Value::Object(object));
        }
        loop {
            self.white_space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.syntax("a key was expected"));
            }
            let key = self.string()?;
            self.count()?;
            if key.starts_with(PRIVATE_PREFIX) {
                return Err(StrictError::ForbiddenKey { at });
            }
            self.white_space();
            if !self.take(b':') {
                return Err(self.syntax("`:` was expected"));
            }
            self.white_space();
            let value = self.value(depth + 1)?;
            if object.insert(key, value).is_some() {
                return Err(StrictError::DuplicateKey { at });
            }
            self.white_space();
            if self.take(b'}') {
                return Ok(Value::Object(object));
            }
            if !self.take(b',') {
                return Err(self.syntax("`,` or `}` was expected"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, StrictError> {
        if depth >= DEEPEST {
            return Err(StrictError::TooDeep);
        }
        self.at += 1;
        let mut array = Vec::new();
        self.white_space();
        if self.take(b']') {
            return Ok(Value::Array(array));
        }
        loop {
            self.white_space();
            self.count()?;
            array.push(self.value(depth + 1)?);
            self.white_space();
            if self.take(b']') {
                return Ok(Value::Array(array));
            }
            if !self.take(b',') {
                return Err(self.syntax("`,` or `]` was expected"));
            }
        }
    }

    fn string(&mut self) -> Result<String, StrictError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let end = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or_else(|| self.syntax("a text does not end"))?;
            text.push_str(rest.get(..end).unwrap_or_default());
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.syntax("a control character stands in a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, StrictError> {
        self.at += 1;
        let letter = self.peek();
        self.at += usize::from(letter.is_some_and(|byte| byte.is_ascii()));
        match letter {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.unicode(),
            _ => Err(self.syntax("an escape is unknown")),
        }
    }

    fn unicode(&mut self) -> Result<char, StrictError> {
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(self.syntax("half a surrogate pair"));
            }
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.syntax("half a surrogate pair"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.syntax("half a surrogate pair"))
    }

    fn four_digits(&mut self) -> Result<u32, StrictError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.syntax("four hexadecimal digits were expected"))?;
        self.at += 4;
        Ok(digits)
    }

    fn number(&mut self) -> Result<Value, StrictError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.syntax("a digit was expected"));
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            if self.digits() == 0 {
                return Err(self.syntax("a digit was expected"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.syntax("a digit was expected"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let number = if whole {
            let signed = text.parse::<i64>().ok().map(Number::from);
            signed.or_else(|| text.parse::<u64>().ok().map(Number::from))
        } else {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        };
        number
            .map(Value::Number)
            .ok_or(StrictError::Number { at: start })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_ambiguous_is_refused() {
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        let wide = format!("[{}1]", "1,".repeat(MOST_ELEMENTS));
        let cases: &[(&str, &str)] = &[
            (r#"{"a":1,"a":1}"#, "duplicate_key"),
            (r#"{"a":[{"b":1,"\u0062":2}]}"#, "duplicate_key"),
            (r#"{"$serde_json::private::RawValue":"1"}"#, "forbidden_key"),
            (r#"[{"$serde_json::private::Number":"1"}]"#, "forbidden_key"),
            ("1e400", "number"),
            ("-1e400", "number"),
            ("18446744073709551616", "number"),
            ("NaN", "syntax"),
            ("Infinity", "syntax"),
            ("01", "syntax"),
            ("1.", "syntax"),
            (".5", "syntax"),
            ("+1", "syntax"),
            ("{} {}", "syntax"),
            ("[1,]", "syntax"),
            (r#"{"a":1,}"#, "syntax"),
            ("'a'", "syntax"),
            ("\"\\ud800\"", "syntax"),
            ("\"\\udc00\"", "syntax"),
            ("\"\\ud800\\u0041\"", "syntax"),
            ("\"a\nb\"", "syntax"),
            ("\"\\x41\"", "syntax"),
            ("\"\\é\"", "syntax"),
            ("\"\\u00é\"", "syntax"),
            ("\u{feff}{}", "syntax"),
            ("", "syntax"),
            ("{\"a\":1 /* no */}", "syntax"),
            (&deep, "too_deep"),
            (&wide, "too_many"),
        ];
        for (text, word) in cases {
            assert_eq!(
                parse(text.as_bytes()).map_err(|error| error.word()),
                Err(*word),
                "{text:.60}"
            );
        }
        assert_eq!(parse(b"\"\xff\""), Err(StrictError::NotUtf8));
    }

    #[test]
    fn what_is_plain_is_read() {
        assert_eq!(
            parse(br#" { "a" : [ 1 , -2.5e1 , "\u00e9\ud83d\ude00\n" , null , true ] } "#).unwrap(),
            json!({"a": [1, -25.0, "é😀\n", null, true]})
        );
        assert_eq!(
            parse(b"18446744073709551615").unwrap(),
            json!(18_446_744_073_709_551_615_u64)
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e300..1e300).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_usual_parser(value in any_json()) {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(parse(text.as_bytes()), Ok(value));
        }

        #[test]
        fn it_never_panics_and_never_accepts_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = parse(&bytes) {
                prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).ok(), Some(value));
            }
        }

        #[test]
        fn near_json_is_never_accepted_beyond_the_usual_parser(text in r#"[\[\]{},:"0-9eE.+\-\\untrfals \u{e9}]{0,40}"#) {
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
            }
        }
    }
}
