//! Labels: what tells the series of one metric apart.

use std::fmt;

use crate::text::Untrusted;

/// Labels of one series, sorted by key, each key once. Values are untrusted: they come from the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Box<[(Box<str>, Untrusted)]>);

impl Labels {
    /// The most labels that a series may have; the rest are dropped. OpenTelemetry's host metrics need at most four.
    pub const MOST: usize = 16;

    /// Sorts the pairs by key and keeps the first of each key.
    #[must_use]
    pub fn new<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut sorted: Vec<(Box<str>, Untrusted)> = pairs
            .into_iter()
            .map(|(key, value)| (Box::from(key.as_ref()), Untrusted::new(value.as_ref())))
            .take(Self::MOST)
            .collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted.dedup_by(|later, earlier| later.0 == earlier.0);
        Self(sorted.into_boxed_slice())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Untrusted> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Pairs in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Untrusted)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `key=value,key=value`, values cleaned: for people and for agents. A value that could pass for another pair is quoted.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (key, value)) in self.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let value = value.clean();
            if value.contains([',', '=', '"']) {
                write!(f, "{comma}{key}={value:?}")?;
            } else {
                write!(f, "{comma}{key}={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_each_key_stands_once() {
        let labels = Labels::new([("b", "2"), ("a", "1"), ("b", "3")]);
        assert_eq!(labels.to_string(), "a=1,b=2");
        assert_eq!(labels, Labels::new([("a", "1"), ("b", "2")]));
        assert_eq!(labels.get("b").map(Untrusted::raw), Some("2"));
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn a_value_cannot_pass_for_another_label() {
        let labels = Labels::new([("disk", r#"sda,host=db1,x="y""#)]);
        assert_eq!(labels.to_string(), r#"disk="sda,host=db1,x=\"y\"""#);
    }
}
