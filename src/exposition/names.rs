//! Names, units and labels, as OpenTelemetry translates them.
//!
//! The rules are those of "Prometheus and OpenMetrics Compatibility" in the OpenTelemetry specification: characters that
//! a name may not have become `_`, the unit is spelled out at the end, counters end in `_total`, a gauge of unit `1` in
//! `_ratio`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{MetricDefinition, MetricKind, ValueType};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::text::{Untrusted, clean};

/// What one metric is to Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name with the unit, without `_total`: what stands in `# TYPE` of OpenMetrics.
    pub name: String,
    /// How its values relate.
    pub kind: FamilyKind,
    /// The unit in words, empty where there is none. The name ends with it.
    pub unit: String,
    /// What the number says.
    pub help: String,
}

/// How the values of a family relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FamilyKind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Anything else that is a number.
    Gauge,
    /// A line for each state, 1 at the one that holds, with the state in a label that bears the family's name. To
    /// Prometheus a gauge: its text format has no other word for it.
    States,
}

impl Family {
    /// What becomes of a stored series' metric.
    #[must_use]
    pub fn of(series: &SeriesInfo) -> Self {
        let has_states = !series.states.is_empty();
        let name = (series.metric.as_str(), series.unit.as_str());
        Self::new(name, series.kind, has_states, &series.help)
    }

    /// What becomes of a metric that a collector declares.
    #[must_use]
    pub fn of_definition(metric: &MetricDefinition) -> Self {
        let has_states = matches!(metric.value, ValueType::State(_));
        let name = (metric.name, metric.unit);
        Self::new(name, metric.kind, has_states, metric.help)
    }

    fn new((metric, unit): (&str, &str), kind: MetricKind, has_states: bool, help: &str) -> Self {
        let (kind, unit) = match kind {
            _ if has_states => (FamilyKind::States, String::new()),
            MetricKind::Counter => (FamilyKind::Counter, unit_words(unit)),
            MetricKind::Gauge if unit == "1" => (FamilyKind::Gauge, "ratio".to_owned()),
            MetricKind::Gauge | MetricKind::UpDownCounter => (FamilyKind::Gauge, unit_words(unit)),
        };
        Self {
            name: name_with_unit(metric, &unit, kind),
            kind,
            unit,
            help: help.to_owned(),
        }
    }

    /// The name of its samples: with `_total` where it is a counter.
    #[must_use]
    pub fn sample_name(&self) -> Cow<'_, str> {
        match self.kind {
            FamilyKind::Counter => Cow::Owned(format!("{}_total", self.name)),
            FamilyKind::Gauge | FamilyKind::States => Cow::Borrowed(&self.name),
        }
    }

    /// The word for its kind in `# TYPE`.
    #[must_use]
    pub const fn type_word(&self) -> &'static str {
        match self.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge | FamilyKind::States => "gauge",
        }
    }
}

/// The name of the family of a series: what stands in `# TYPE` of OpenMetrics, without `_total`.
#[must_use]
pub fn family_name(series: &SeriesInfo) -> String {
    Family::of(series).name
}

/// The name of a label: only the characters that Prometheus takes, and never empty.
#[must_use]
pub fn label_name(key: &str) -> String {
    let plain = plain_name(key);
    if plain.is_empty() {
        "_".to_owned()
    } else {
        plain
    }
}

/// A label's value as it may be shown. An empty one is no label to Prometheus.
#[must_use]
pub fn label_value(value: &Untrusted) -> String {
    value.clean()
}

/// The labels of a line, by name. Values of keys that have one name once they are translated stand together, with `;` between
/// them in the order of the keys. `state` takes the place of a label of its name. Empty values are left out.
pub(crate) fn labels_shown(
    labels: &Labels,
    state: Option<(&str, &str)>,
) -> BTreeMap<String, String> {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in labels.iter() {
        let value = label_value(value);
        if value.is_empty() {
            continue;
        }
        let known = named.entry(label_name(key)).or_default();
        if !known.is_empty() {
            known.push(';');
        }
        known.push_str(&value);
    }
    if let Some((name, state)) = state {
        named.insert(name.to_owned(), clean(state));
    }
    named
}

fn name_with_unit(metric: &str, unit: &str, kind: FamilyKind) -> String {
    let mut name = plain_name(metric);
    if kind == FamilyKind::Counter
        && let Some(bare) = name.strip_suffix("_total")
    {
        name = bare.to_owned();
    }
    let stands_already = name == unit || name.ends_with(&format!("_{unit}"));
    if !unit.is_empty() && !stands_already {
        name = format!("{name}_{unit}");
    }
    if name.is_empty() {
        // a name of nothing but what Prometheus does not take
        name.push('_');
    }
    name
}

/// A name with only the characters that Prometheus takes, never two `_` in a row.
fn plain_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if !(c == '_' && plain.ends_with('_')) {
            plain.push(c);
        }
    }
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.insert(0, '_');
    }
    plain.truncate(plain.trim_end_matches('_').len());
    plain
}

/// The unit in words: `By/s` is `bytes_per_second`. Annotations such as `{process}` are none.
fn unit_words(unit: &str) -> String {
    let mut parts = unit.split('/');
    let first = unit_word(parts.next().unwrap_or_default());
    let per = parts.next().map(per_word).filter(|word| !word.is_empty());
    match (first.is_empty(), per) {
        (false, None) => first,
        (false, Some(per)) => format!("{first}_per_{per}"),
        (true, Some(per)) => format!("per_{per}"),
        (true, None) => String::new(),
    }
}

/// The words of the OpenTelemetry specification for UCUM units.
static UNIT_WORDS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    // a count, which has no word
    ("1", ""),
];

fn unit_word(unit: &str) -> String {
    if unit.contains(['{', '}']) {
        return String::new();
    }
    UNIT_WORDS
        .iter()
        .find(|(ucum, _)| *ucum == unit)
        .map_or_else(|| plain_name(unit), |(_, word)| (*word).to_owned())
}

fn per_word(unit: &str) -> String {
    match unit {
        "s" => "second".to_owned(),
        "m" => "minute".to_owned(),
        "h" => "hour".to_owned(),
        "d" => "day".to_owned(),
        _ if unit.contains(['{', '}']) => String::new(),
        other => plain_name(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_opentelemetry() {
        let cases = [
            (
                "system.cpu.time",
                "s",
                MetricKind::Counter,
                "system_cpu_time_seconds",
            ),
            (
                "system.memory.usage",
                "By",
                MetricKind::UpDownCounter,
                "system_memory_usage_bytes",
            ),
            (
                "system.cpu.utilization",
                "1",
                MetricKind::Gauge,
                "system_cpu_utilization_ratio",
            ),
            (
                "system.paging.faults",
                "{fault}",
                MetricKind::Counter,
                "system_paging_faults",
            ),
            (
                "hw.temperature",
                "Cel",
                MetricKind::Gauge,
                "hw_temperature_celsius",
            ),
            (
                "network.io",
                "By/s",
                MetricKind::Gauge,
                "network_io_bytes_per_second",
            ),
            (
                "system.errors.total",
                "{error}",
                MetricKind::Counter,
                "system_errors",
            ),
            // what is neither counted nor measured has an annotation, and is no ratio
            (
                "system.filesystem.linux.read_only",
                "{state}",
                MetricKind::Gauge,
                "system_filesystem_linux_read_only",
            ),
            (
                "hw.cooling.level",
                "{level}",
                MetricKind::Gauge,
                "hw_cooling_level",
            ),
            ("uptime.seconds", "s", MetricKind::Gauge, "uptime_seconds"),
            ("a..b-c", "{x}/s", MetricKind::Gauge, "a_b_c_per_second"),
            ("3d.load", "1", MetricKind::UpDownCounter, "_3d_load"),
        ];
        for (metric, unit, kind, name) in cases {
            let family = Family::new((metric, unit), kind, false, "");
            assert_eq!(family.name, name);
            assert!(family.name.ends_with(&family.unit), "{family:?}");
        }
    }

    #[test]
    fn a_metric_of_states_has_no_unit_and_is_a_gauge() {
        let family = Family::new(("hw.status", "1"), MetricKind::UpDownCounter, true, "");
        assert_eq!(
            (family.name.as_str(), family.unit.as_str()),
            ("hw_status", "")
        );
        assert_eq!(family.type_word(), "gauge");
    }

    #[test]
    fn names_that_hold_nothing_usable_are_still_names() {
        assert_eq!(label_name("µ°"), "_");
        assert_eq!(label_name("__name__"), "_name");
        assert_eq!(label_name("9lives"), "_9lives");
        let family = Family::new(("温度", "{x}"), MetricKind::Gauge, false, "");
        assert_eq!(family.name, "_");
    }
}
