//! `MetricReport`: values that a BMC recorded by itself, of which only the newest counts.
//!
//! One report may hold a day of them (25,920 values in 5.4 MB on a Lenovo), so it is read entry by entry and never
//! held as a tree.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use glasshouse_core::time::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use crate::redfish::bounded::{MOST_OF_AN_ENTRY, Tree};
use crate::redfish::document::{Lenient, number, timestamp};

/// The most series of one report: GB200 reports hold about a thousand.
const MOST_SERIES: usize = 8192;

/// A report, reduced to the newest value of each series.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// When it was made.
    pub(crate) at: Option<Timestamp>,
    /// Series, by metric and property.
    pub(crate) newest: BTreeMap<(String, String), Newest>,
    /// Values that were there.
    pub(crate) values: usize,
    /// Values that are no numbers, or one series too many.
    pub(crate) skipped: usize,
}

/// The newest value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Newest {
    /// When it was measured; `None` where it does not say.
    pub(crate) at: Option<Timestamp>,
    /// What.
    pub(crate) value: f64,
}

impl Report {
    fn take(&mut self, entry: &Json) {
        self.values += 1;
        let Some(value) = entry.property("MetricValue").and_then(number_or_flag) else {
            self.skipped += 1;
            return;
        };
        let metric = entry.text("MetricId").unwrap_or_default().into_owned();
        let property = entry
            .text("MetricProperty")
            .map(|property| property.into_owned())
            .or_else(|| part_by_oem(entry))
            .unwrap_or_default();
        let found = Newest {
            at: entry.text("Timestamp").and_then(|text| timestamp(&text)),
            value,
        };
        let key = (metric, property);
        if let Some(known) = self.newest.get_mut(&key) {
            // of two values of one time the later one counts
            if found.at >= known.at {
                *known = found;
            }
        } else if self.newest.len() < MOST_SERIES {
            self.newest.insert(key, found);
        } else {
            self.skipped += 1;
        }
    }
}

fn number_or_flag(value: &Json) -> Option<f64> {
    number(value).or_else(|| match value {
        Json::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Json::String(text) if text.eq_ignore_ascii_case("true") => Some(1.0),
        Json::String(text) if text.eq_ignore_ascii_case("false") => Some(0.0),
        _ => None,
    })
}

/// iDRAC leaves `MetricProperty` out and says the part in its own words.
fn part_by_oem(entry: &Json) -> Option<String> {
    let makers = entry.property("Oem")?.as_object()?;
    makers.values().find_map(|maker| {
        ["ContextID", "FQDD", "Label"]
            .iter()
            .find_map(|name| maker.text(name))
            .map(|part| part.into_owned())
    })
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Properties)
    }
}

#[derive(Debug)]
struct Properties;

impl<'de> Visitor<'de> for Properties {
    type Value = Report;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a metric report")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Report, A::Error> {
        let mut report = Report::default();
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match &*name {
                "Timestamp" => {
                    let left = Cell::new(MOST_OF_AN_ENTRY);
                    let written = map.next_value_seed(Tree(&left))?;
                    report.at = written.as_str().and_then(timestamp);
                }
                "MetricValues" => map.next_value_seed(Values(&mut report))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(report)
    }
}

/// The array of values; anything else in its place is no values.
#[derive(Debug)]
struct Values<'r>(&'r mut Report);

impl<'de> serde::de::DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values of metrics")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let left = Cell::new(MOST_OF_AN_ENTRY);
        while let Some(entry) = entries.next_element_seed(Tree(&left))? {
            left.set(MOST_OF_AN_ENTRY);
            self.0.take(&entry);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Report {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_newest_counts_whatever_the_order() {
        let report = read(
            r#"{"Timestamp": "2023-02-13T17:38:31Z", "MetricValues": [
                {"MetricId": "P", "MetricValue": "3", "Timestamp": "2023-02-13T17:38:30Z"},
                {"MetricId": "P", "MetricValue": "1", "Timestamp": "2023-02-12T17:38:30Z"},
                {"MetricId": "Q", "MetricValue": "OK"}, {"MetricId": "R", "MetricValue": true},
                null, 7, {"MetricValue": 5, "Oem": {"Dell": {"FQDD": "CPU.1"}}}]}"#,
        );
        assert_eq!(report.values, 7);
        assert_eq!(report.skipped, 3);
        let newest = |metric: &str, property: &str| {
            let key = (metric.to_owned(), property.to_owned());
            report.newest.get(&key).map(|newest| newest.value)
        };
        assert_eq!(newest("P", ""), Some(3.0));
        assert_eq!(newest("R", ""), Some(1.0));
        assert_eq!(newest("", "CPU.1"), Some(5.0));
        assert!(report.at.is_some());
    }

    #[test]
    fn an_entry_of_many_values_is_no_report() {
        let many = vec![r#"{"":0}"#; 1000].join(",");
        for text in [
            format!(r#"{{"MetricValues": [{{"MetricValue": [{many}]}}]}}"#),
            format!(r#"{{"Timestamp": [{many}]}}"#),
        ] {
            assert!(serde_json::from_str::<Report>(&text).is_err());
        }
        let entries = vec![r#"{"MetricId":"P","MetricValue":1}"#; 5000].join(",");
        let report = read(&format!(
            r#"{{"MetricValues": [{entries}], "Other": [{many}]}}"#
        ));
        assert_eq!((report.values, report.newest.len()), (5000, 1));
    }

    #[test]
    fn values_that_are_no_list_are_none() {
        for text in [
            "{}",
            r#"{"MetricValues": null}"#,
            r#"{"MetricValues": "x"}"#,
            r#"{"MetricValues": {"a": [1]}}"#,
            r#"{"MetricValues": 3, "Timestamp": 4}"#,
        ] {
            assert_eq!(read(text).values, 0, "{text}");
        }
    }
}
