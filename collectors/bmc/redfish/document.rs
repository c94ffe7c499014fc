//! Reading a JSON document that may be wrong in any place: a field that is not what it should be is not there, and the
//! rest still counts.

use std::borrow::Cow;

use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use serde_json::Value;

use super::path::ResourcePath;

/// The most entries of one array that are looked at: the largest real one, a log page, has a few thousand.
const MOST_ENTRIES: usize = 10_000;

/// Lenient looks into a document.
pub(crate) trait Lenient {
    /// The value of a property that is there and not null.
    fn property(&self, name: &str) -> Option<&Value>;

    /// The property at the end of a chain of objects.
    fn at(&self, names: &[&str]) -> Option<&Value>;

    /// A text that says something, cut to what is kept of any; a number is taken as its digits.
    fn text(&self, name: &str) -> Option<Cow<'_, str>>;

    /// A finite number, also where it is written as text, or stands in an excerpt (`{"Reading": 3}`).
    fn number(&self, name: &str) -> Option<f64>;

    /// A truth value, also where it is written as text.
    fn flag(&self, name: &str) -> Option<bool>;

    /// A link (`{"@odata.id": …}`) that may be followed.
    fn link(&self, name: &str) -> Option<ResourcePath>;

    /// The objects of an array, with their places in it; none where it is no array.
    fn objects(&self, name: &str) -> impl Iterator<Item = (usize, &Value)>;

    /// A time with a zone.
    fn time(&self, name: &str) -> Option<Timestamp>;
}

impl Lenient for Value {
    fn property(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| !value.is_null())
    }

    fn at(&self, names: &[&str]) -> Option<&Value> {
        names
            .iter()
            .try_fold(self, |value, name| value.property(name))
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.property(name)? {
            Self::String(text) => {
                let text = cut(text.trim());
                (!text.is_empty()).then_some(Cow::Borrowed(text))
            }
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<f64> {
        let value = self.property(name)?;
        number(value).or_else(|| number(value.property("Reading")?))
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.property(name)? {
            Self::Bool(flag) => Some(*flag),
            Self::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" => Some(true),
                "false" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn link(&self, name: &str) -> Option<ResourcePath> {
        own_path(self.property(name)?)
    }

    fn objects(&self, name: &str) -> impl Iterator<Item = (usize, &Self)> {
        self.property(name)
            .and_then(Self::as_array)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .take(MOST_ENTRIES)
            .enumerate()
            .filter(|(_, value)| value.is_object())
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        timestamp(&self.text(name)?)
    }
}

/// The text as far as it is kept: longer ones are no names.
pub(crate) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(Untrusted::MOST_BYTES))
        .unwrap_or_default()
}

/// Where a document or a reference says that it lies.
pub(crate) fn own_path(value: &Value) -> Option<ResourcePath> {
    ResourcePath::parse(value.property("@odata.id")?.as_str()?)
}

/// A finite number, written as a number or as text.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A time with a zone (RFC 3339); `None` for times without one and for the zero time of clocks that were never set.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    let parsed: jiff::Timestamp = text.parse().ok()?;
    let nanos = i64::try_from(parsed.as_nanosecond()).ok()?;
    (nanos > 0).then(|| Timestamp::from_nanos(nanos))
}

/// Whether it is more than a reference: a member that came along with its collection.
pub(crate) fn is_whole(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|object| object.keys().any(|key| !key.contains("odata.")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_not_there() {
        let document = json!({
            "number": 1.5, "text": " 21.5 ", "excerpt": {"Reading": "7"}, "null": null, "word": "N/A", "empty": "",
            "nan": "NaN", "list": [1, {"a": 1}, null, {"b": 2}], "yes": "True", "id": 5,
            "link": {"@odata.id": "/redfish/v1/Chassis/1#/Fans/0"}, "bad": {"@odata.id": 3},
            "when": "2024-06-11T00:13:00-05:00", "never": "1970-01-01T00:00:00Z", "local": "2024-06-11T00:13:00",
        });
        assert_eq!(document.number("number"), Some(1.5));
        assert_eq!(document.number("text"), Some(21.5));
        assert_eq!(document.number("excerpt"), Some(7.0));
        for name in ["null", "word", "empty", "nan", "list", "missing"] {
            assert_eq!(document.number(name), None, "{name}");
        }
        assert_eq!(document.text("id").as_deref(), Some("5"));
        assert_eq!(document.text("empty"), None);
        assert_eq!(document.flag("yes"), Some(true));
        let places: Vec<usize> = document.objects("list").map(|(place, _)| place).collect();
        assert_eq!(places, [1, 3]);
        assert_eq!(
            document.link("link").unwrap().as_str(),
            "/redfish/v1/Chassis/1"
        );
        assert_eq!(document.link("bad"), None);
        assert_eq!(document.time("when").unwrap().seconds(), 1_718_082_780);
        assert_eq!(document.time("never"), None);
        assert_eq!(document.time("local"), None);
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let document = json!({"Name": "é".repeat(100_000)});
        assert_eq!(document.text("Name").unwrap().len(), Untrusted::MOST_BYTES);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_number_that_is_not_finite(text in ".{0,20}") {
            if let Some(number) = number(&Value::String(text)) {
                prop_assert!(number.is_finite());
            }
        }
    }
}
