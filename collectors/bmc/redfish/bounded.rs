//! Building a document without letting it grow: a value of two bytes (`{}`) takes hundreds of them in memory.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// The most values of one document. The largest real ones, a log page of thousands of entries and all sensors of a
/// rack-scale node, have about 100,000; built, it takes 40 MB at most.
pub(crate) const MOST_VALUES: usize = 250_000;

/// The most values of one entry of a metric report, or of anything else that is read piece by piece.
pub(crate) const MOST_OF_AN_ENTRY: usize = 1000;

/// An object counts as one value and as so many more: it takes half a kilobyte, empty or not.
const OBJECT: usize = 3;

/// How many values there is still room for; seeds of one document share it.
#[derive(Debug)]
pub(crate) struct Tree<'b>(pub(crate) &'b Cell<usize>);

/// A whole document of at most `most` values, and how many of them are left.
///
/// # Errors
/// Where it is no JSON, nested too deep, or has more values.
pub(crate) fn document(bytes: &[u8], most: usize) -> Result<(Json, usize), serde_json::Error> {
    let left = Cell::new(most);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let document = Tree(&left).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((document, left.get()))
}

impl Tree<'_> {
    fn count<E: Error>(&self, values: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(values);
        let left =
            left.ok_or_else(|| E::custom("there are more values in it than in any real one"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.count(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element_seed(Tree(self.0))? {
            list.push(entry);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        self.count(OBJECT)?;
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            object.insert(name, map.next_value_seed(Tree(self.0))?);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_of_many_small_values_is_refused_before_it_is_built() {
        let many = |value: &str| format!("[{}]", vec![value; 600_000].join(","));
        for value in [r#"{"":0}"#, "0", "[]", "{}", "null"] {
            assert!(
                document(many(value).as_bytes(), MOST_VALUES).is_err(),
                "{value}"
            );
        }
        let large = format!(
            "[{}]",
            vec![r#"{"Reading":1.5,"Name":"Inlet"}"#; 40_000].join(",")
        );
        assert!(document(large.as_bytes(), MOST_VALUES).is_ok());
        assert_eq!(document(b"[1,{}]", 10).unwrap().1, 4);
        assert!(document(b"[1,{}]", 5).is_err());
        assert!(document(b"[1] 2", 10).is_err());
        let deep = "[".repeat(100_000);
        assert!(document(deep.as_bytes(), MOST_VALUES).is_err());
    }

    proptest! {
        #[test]
        fn it_builds_what_the_parser_builds(text in r#"[\[\]{}:,"a0-9.e\\ntrufalse -]{0,60}"#) {
            let plain: Option<Json> = serde_json::from_str(&text).ok();
            prop_assert_eq!(document(text.as_bytes(), 1000).ok().map(|(document, _)| document), plain);
        }
    }
}
