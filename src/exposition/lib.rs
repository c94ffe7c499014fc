//! Floor 1: how series look to Prometheus.
//!
//! OpenMetrics text, with names as OpenTelemetry translates them for Prometheus.
//!
//! The rules are those of "Prometheus and OpenMetrics Compatibility" in the OpenTelemetry specification: characters that
//! a name may not have become `_`, the unit is spelled out at the end, counters end in `_total`, a gauge of unit `1` in
//! `_ratio`. A metric whose values are states is a gauge for each state, 1 for the one that holds, with the state in a label
//! that bears the metric's name, as an OpenMetrics StateSet has it.

use std::collections::BTreeMap;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::MetricKind;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;

/// One reading to show.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The series.
    pub series: &'a SeriesInfo,
    /// Its value.
    pub value: Value,
}

/// Writes the readings, family by family in the order of their names.
pub fn openmetrics(readings: &[Reading<'_>]) -> String {
    let mut families: BTreeMap<String, Vec<Reading<'_>>> = BTreeMap::new();
    for reading in readings {
        families
            .entry(family_name(reading.series))
            .or_default()
            .push(*reading);
    }
    let mut text = String::new();
    for (name, readings) in families {
        write_family(&mut text, &name, &readings);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, name: &str, readings: &[Reading<'_>]) {
    let Some(first) = readings.first() else {
        return;
    };
    let is_counter = first.series.kind == MetricKind::Counter && first.series.states.is_empty();
    let kind = if is_counter { "counter" } else { "gauge" };
    text.push_str(&format!("# TYPE {name} {kind}\n"));
    let unit = unit_words(first.series);
    if !unit.is_empty() && name.ends_with(&format!("_{unit}")) {
        text.push_str(&format!("# UNIT {name} {unit}\n"));
    }
    text.push_str(&format!("# HELP {name} {}\n", escaped(&first.series.help)));
    let suffix = if is_counter { "_total" } else { "" };
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for reading in readings {
        for (labels, value) in points(name, reading) {
            // two labels that differ only in what is not shown: the first one stays
            lines.entry(labels).or_insert(value);
        }
    }
    for (labels, value) in lines {
        text.push_str(&format!("{name}{suffix}{labels} {value}\n"));
    }
}

/// Labels and value of each line of a reading.
fn points(name: &str, reading: &Reading<'_>) -> Vec<(String, String)> {
    let labels = shown_labels(&reading.series.labels);
    match reading.value {
        Value::State(holds) => {
            let states = reading.series.states.iter().enumerate();
            states
                .map(|(index, state)| {
                    let mut labels = labels.clone();
                    labels.insert(name.to_owned(), escaped(state));
                    let here = usize::from(holds) == index;
                    (braces(&labels), u8::from(here).to_string())
                })
                .collect()
        }
        Value::U64(whole) => vec![(braces(&labels), whole.to_string())],
        Value::F64(number) => vec![(braces(&labels), number.to_string())],
    }
}

fn shown_labels(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| (plain_name(key), escaped(&value.clean())))
        .collect()
}

fn braces(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs = labels
        .iter()
        .map(|(key, value)| format!("{key}=\"{value}\""));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// The name of the family: what stands in `# TYPE`, without `_total`.
pub fn family_name(series: &SeriesInfo) -> String {
    let mut name = plain_name(&series.metric);
    let is_counter = series.kind == MetricKind::Counter && series.states.is_empty();
    if is_counter && let Some(bare) = name.strip_suffix("_total") {
        name = bare.to_owned();
    }
    let unit = unit_words(series);
    let stands_already = name == unit || name.ends_with(&format!("_{unit}"));
    if !unit.is_empty() && !stands_already {
        name = format!("{name}_{unit}");
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
    plain.trim_end_matches('_').to_owned()
}

/// The unit in words: `By/s` is `bytes_per_second`. Annotations such as `{process}` are none.
fn unit_words(series: &SeriesInfo) -> String {
    if !series.states.is_empty() {
        return String::new();
    }
    match series.unit.as_str() {
        "1" if series.kind == MetricKind::Gauge => return "ratio".to_owned(),
        "1" => return String::new(),
        _ => {}
    }
    let mut parts = series.unit.split('/');
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

/// Escapes what would end a label value or a help text.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glasshouse_core::metric::Audience;

    use super::*;

    fn series(metric: &str, unit: &str, kind: MetricKind, labels: &[(&str, &str)]) -> SeriesInfo {
        SeriesInfo {
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            kind,
            states: Vec::new(),
            help: "Says \"so\".".to_owned(),
            labels: Labels::new(labels.iter().copied()),
            collector: "test".to_owned(),
            interval: Duration::from_secs(1),
            audience: Audience::Operator,
        }
    }

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
            assert_eq!(family_name(&series(metric, unit, kind, &[])), name);
        }
    }

    #[test]
    fn a_page_is_sorted_escaped_and_ended() {
        let hostile = [("disk.name", "a\"b\\c\u{1b}[31m")];
        let counter = series("system.disk.io", "By", MetricKind::Counter, &hostile);
        let mut state = series("hw.status", "1", MetricKind::UpDownCounter, &[("id", "0")]);
        state.states = vec!["ok".to_owned(), "failed".to_owned()];
        let text = openmetrics(&[
            Reading {
                series: &counter,
                value: Value::U64(7),
            },
            Reading {
                series: &state,
                value: Value::State(1),
            },
        ]);
        insta::assert_snapshot!(text, @r#"
        # TYPE hw_status gauge
        # HELP hw_status Says \"so\".
        hw_status{hw_status="failed",id="0"} 1
        hw_status{hw_status="ok",id="0"} 0
        # TYPE system_disk_io_bytes counter
        # UNIT system_disk_io_bytes bytes
        # HELP system_disk_io_bytes Says \"so\".
        system_disk_io_bytes_total{disk_name="a\"b\\c[31m"} 7
        # EOF
        "#);
    }
}
