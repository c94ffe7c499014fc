//! Names of devices: order, patterns, and telling equal ones apart.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A list of names as config writes it: each a whole name, or the start of one and `*`.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Takes the list.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.to_vec())
    }

    /// Whether a name is meant by one of them.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == pattern,
            })
    }
}

/// Makes names unique in place: the second `x` becomes `x#2`, the third `x#3`. The first keeps its name, so that a
/// chip does not change its name when another one appears behind it.
pub fn unique_names(names: &mut [String]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for name in names.iter_mut() {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *name = format!("{name}#{count}");
        }
    }
}

/// By the text before the last number, then by that number: `cpu2` before `cpu10`.
pub(crate) fn natural_order(a: &str, b: &str) -> Ordering {
    split_number(a).cmp(&split_number(b)).then_with(|| a.cmp(b))
}

fn split_number(name: &str) -> (&str, u64) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name
        .get(stem.len()..)
        .and_then(|digits| digits.parse().ok());
    (stem, number.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_the_start_of_one() {
        let patterns = Patterns::new(&["loop*".to_owned(), "sr0".to_owned()]);
        assert!(patterns.matches("loop12"));
        assert!(patterns.matches("sr0"));
        assert!(!patterns.matches("sr01"));
        assert!(!Patterns::default().matches("sda"));
    }

    #[test]
    fn equal_names_are_told_apart_from_the_second_on() {
        let mut names = ["nct6775", "jc42", "jc42", "jc42"].map(str::to_owned);
        unique_names(&mut names);
        assert_eq!(names, ["nct6775", "jc42", "jc42#2", "jc42#3"]);
    }
}
