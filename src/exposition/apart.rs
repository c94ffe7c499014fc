//! What tells metrics apart, before and after their names are translated: the same for a page and for a file.

use std::collections::BTreeSet;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;

use crate::names::{Family, FamilyKind};

/// What tells one metric from another: two of the same name and another meaning are two. Their order says which of them has a
/// name that both would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning<'a> {
    metric: &'a str,
    unit: &'a str,
    kind: &'static str,
    is_number: bool,
}

impl<'a> Meaning<'a> {
    /// That of the metric of a series.
    #[must_use]
    pub fn of(series: &'a SeriesInfo) -> Self {
        Self {
            metric: &series.metric,
            unit: &series.unit,
            kind: series.kind.word(),
            is_number: series.states.is_empty(),
        }
    }
}

/// The names that are taken, of families and of samples.
#[derive(Clone, Debug)]
pub struct Names(BTreeSet<String>);

impl Default for Names {
    /// None, but for those of who is told of.
    fn default() -> Self {
        Self(["target", "target_info"].map(str::to_owned).into())
    }
}

impl Names {
    /// Whether all names that the family's samples can have were free; they are taken then.
    pub fn take(&mut self, family: &Family) -> bool {
        let name = &family.name;
        let wanted = match family.kind {
            // OpenMetrics keeps the second suffix for the time at which a counter began
            FamilyKind::Counter => {
                vec![
                    name.clone(),
                    format!("{name}_total"),
                    format!("{name}_created"),
                ]
            }
            FamilyKind::Gauge | FamilyKind::States => vec![name.clone()],
        };
        if wanted.iter().any(|name| self.0.contains(name)) {
            return false;
        }
        self.0.extend(wanted);
        true
    }
}

impl Family {
    /// Whether a value of a series can be written: a state that the metric has, or a number.
    #[must_use]
    pub fn fits(&self, series: &SeriesInfo, value: Value) -> bool {
        match value {
            Value::State(holds) => usize::from(holds) < series.states.len(),
            Value::U64(_) | Value::F64(_) => self.kind != FamilyKind::States && value.is_finite(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, kind: FamilyKind) -> Family {
        Family {
            name: name.to_owned(),
            kind,
            unit: String::new(),
            help: String::new(),
        }
    }

    #[test]
    fn a_name_is_taken_once_with_all_that_may_follow_it() {
        let mut names = Names::default();
        assert!(!names.take(&family("target", FamilyKind::Gauge)));
        assert!(names.take(&family("a", FamilyKind::Counter)));
        for taken in ["a", "a_total", "a_created"] {
            assert!(!names.take(&family(taken, FamilyKind::Gauge)), "{taken}");
        }
        assert!(names.take(&family("b_total", FamilyKind::Gauge)));
        assert!(!names.take(&family("b", FamilyKind::Counter)));
        assert!(names.take(&family("b", FamilyKind::Gauge)));
    }
}
