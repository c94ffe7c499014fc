//! What a collector declares, judged without running it.

use std::collections::BTreeSet;

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::condition::CAUSES;
use glasshouse_core::metric::{MetricDefinition, MetricKind, ValueType};

/// UCUM units that our metrics use beside `{annotations}`.
const UNITS: &[&str] = &[
    "1", "s", "By", "By/s", "Hz", "Cel", "V", "A", "W", "J", "C", "rpm",
];

/// Everything that is wrong with the declarations of a collector.
#[must_use]
pub fn definition_violations(spec: &dyn CollectorSpec) -> Vec<String> {
    let mut found = Vec::new();
    if !is_word(spec.name()) {
        found.push("its name is not lower-case words joined by `_`".to_owned());
    }
    if !is_sentence(spec.summary()) {
        found.push("its summary is no sentence".to_owned());
    }
    if spec.metrics().is_empty() && spec.facts().is_empty() {
        found.push("it declares nothing".to_owned());
    }
    if !CAUSES.contains(&spec.hang_cause()) {
        found.push(format!(
            "the cause `{}` is not in the list",
            spec.hang_cause()
        ));
    }
    let mut names = BTreeSet::new();
    for metric in spec.metrics() {
        if !names.insert(metric.name) {
            found.push(format!("`{}` is declared twice", metric.name));
        }
        let wrong = metric_violations(metric);
        found.extend(
            wrong
                .iter()
                .map(|wrong| format!("`{}` {wrong}", metric.name)),
        );
    }
    for fact in spec.facts() {
        if !names.insert(fact.key) {
            found.push(format!("fact `{}` is declared twice", fact.key));
        }
        if !is_dotted(fact.key) || !is_sentence(fact.help) || fact.source.is_empty() {
            found.push(format!(
                "fact `{}` lacks key style, help or source",
                fact.key
            ));
        }
    }
    for option in spec.options() {
        if !is_word(option.name) || !is_sentence(option.help) {
            found.push(format!("option `{}` lacks name style or help", option.name));
        }
    }
    found
}

fn metric_violations(metric: &MetricDefinition) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |good: bool, wrong: &str| {
        if !good {
            found.push(wrong.to_owned());
        }
    };
    check(is_dotted(metric.name), "is not dotted lower-case words");
    check(
        !metric.name.ends_with("_total") && !metric.name.ends_with(".total"),
        "has a Prometheus suffix",
    );
    check(is_unit(metric.unit), "has a unit that is not UCUM");
    check(is_sentence(metric.help), "has a help that is no sentence");
    check(
        is_sentence(metric.is_not),
        "has an is_not that is no sentence",
    );
    check(!metric.source.is_empty(), "has no source");
    check(
        !matches!(metric.value, ValueType::State(states) if states.is_empty()),
        "has no states",
    );
    check(
        !(matches!(metric.value, ValueType::State(_)) && metric.kind != MetricKind::Gauge),
        "is a state but no gauge",
    );
    check(
        metric.unit != "1"
            || metric.kind != MetricKind::Gauge
            // exposed as a series of 0 or 1 a state
            || matches!(metric.value, ValueType::State(_))
            || is_share(metric.name),
        "is a gauge of unit `1`, which Prometheus calls a ratio, but no share by its name",
    );
    let mut keys = BTreeSet::new();
    for label in metric.labels {
        check(is_dotted(label.key), "has a label that is not dotted words");
        check(is_sentence(label.help), "has a label without help");
        check(keys.insert(label.key), "has a label twice");
    }
    found
}

/// `system.cpu.time`, `system.cpu.load_average.15m`: at least two words; all but the first may begin with a number.
fn is_dotted(name: &str) -> bool {
    let mut words = name.split('.');
    name.contains('.')
        && words.next().is_some_and(is_word)
        && words.all(|word| is_word(word.trim_start_matches(|c: char| c.is_ascii_digit())))
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && !word.ends_with('_')
        && !word.contains("__")
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Whether the last word of a name says that the values lie between nothing and a whole.
fn is_share(name: &str) -> bool {
    // OpenTelemetry joins the word as well: `hw.fan.speed_ratio`
    let last = name.rsplit(['.', '_']).next().unwrap_or_default();
    // the conventions call a battery's share of what it can hold its charge
    ["share", "utilization", "ratio"].contains(&last) || name == "hw.battery.charge"
}

fn is_unit(unit: &str) -> bool {
    let annotation = unit
        .strip_prefix('{')
        .and_then(|unit| unit.strip_suffix('}'));
    UNITS.contains(&unit) || annotation.is_some_and(is_word)
}

/// Begins with a capital or a figure, ends with a full stop, and says more than one word.
fn is_sentence(text: &str) -> bool {
    text.ends_with('.')
        && text.contains(' ')
        && text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_judged() {
        assert!(is_dotted("system.cpu.time") && is_dotted("system.load.15m"));
        for bad in [
            "cpu",
            "system.Cpu",
            "system..x",
            ".x",
            "system.x_",
            "system.x-y",
        ] {
            assert!(!is_dotted(bad), "{bad}");
        }
        assert!(is_share("system.cpu.utilization") && !is_share("system.filesystem.read_only"));
        assert!(is_unit("By/s") && is_unit("{operation}"));
        assert!(!is_unit("seconds") && !is_unit("{}") && !is_unit(""));
        assert!(is_sentence("Not a rate.") && !is_sentence("not a rate") && !is_sentence("Rate."));
    }
}
