//! Names of series as Prometheus writes them: `metric{key="value",…}`.

/// A series by its metric and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Letters, digits, `_` and `:` alone.
    pub(crate) metric: String,
    /// Sorted by key, each key once.
    pub(crate) labels: Vec<(String, String)>,
}

/// Longest metric name and label key: what a probe may send.
const MOST_NAME: usize = 128;

/// Longest value of a label: what a probe may send.
const MOST_VALUE: usize = 512;

/// Most labels of a series: what a probe may send.
const MOST_LABELS: usize = 16;

impl Name {
    /// Reads a name. What is written otherwise becomes a metric without labels, so that any text names a series.
    pub(crate) fn parse(text: &str) -> Self {
        let parsed = match text.split_once('{') {
            None => Some((text, Vec::new())),
            Some((metric, rest)) => labels(rest).map(|labels| (metric, labels)),
        };
        let (metric, labels) = parsed.unwrap_or((text, Vec::new()));
        let mut labels: Vec<(String, String)> = labels
            .into_iter()
            .map(|(key, value)| (fitting(&key, false), shortened(value)))
            .collect();
        labels.sort();
        labels.dedup_by(|later, first| later.0 == first.0);
        labels.truncate(MOST_LABELS);
        Self {
            metric: fitting(metric, true),
            labels,
        }
    }

    /// The selector of exactly this series in the language of Prometheus, its metric under the key `metric_key`.
    pub(crate) fn selector(&self, metric_key: &str) -> String {
        let metric = (metric_key, self.metric.as_str());
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let matchers: Vec<String> = std::iter::once(metric)
            .chain(labels)
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        format!("{{{}}}", matchers.join(","))
    }

    /// Whether it only grows, as far as a name says that.
    pub(crate) fn says_counter(&self) -> bool {
        ["_total", "_count", "_sum", "_bucket"]
            .iter()
            .any(|end| self.metric.ends_with(end))
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The labels of `key="value",…}`; `None` where it is written otherwise.
fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut rest = text.trim_start();
    let mut labels = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return behind.trim().is_empty().then_some(labels);
        }
        let (key, behind) = rest.split_once('=')?;
        let (value, behind) = value(behind.trim_start().strip_prefix('"')?)?;
        labels.push((key.trim().to_owned(), value));
        rest = behind.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// A value up to its closing quote, and what stands behind that.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => match rest.next()? {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

/// The text with everything replaced that a peer or a probe would refuse in a name.
fn fitting(text: &str, may_have_colons: bool) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (may_have_colons && c == ':');
    let mut name: String = text
        .trim()
        .chars()
        .take(MOST_NAME)
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    if name.is_empty() {
        name.push('_');
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.replace_range(..1, "_");
    }
    name
}

fn shortened(mut value: String) -> String {
    value.truncate(value.floor_char_boundary(MOST_VALUE));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, Vec<(String, String)>) {
        let name = Name::parse(text);
        (name.metric, name.labels)
    }

    fn labels_of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn names_are_read_as_prometheus_writes_them() {
        assert_eq!(of("up"), ("up".to_owned(), vec![]));
        let (metric, labels) = of(r#"a:b{z="1",path="C:\\x \"y\"\n{,}", empty=""}"#);
        assert_eq!(metric, "a:b");
        let expected = [("empty", ""), ("path", "C:\\x \"y\"\n{,}"), ("z", "1")];
        assert_eq!(labels, labels_of(&expected));
    }

    #[test]
    fn any_text_names_a_series() {
        assert_eq!(of("system.cpu.time").0, "system_cpu_time");
        assert_eq!(of("a{b=").0, "a_b_");
        assert_eq!(of("a{b=\"c\"} d").0, "a_b__c___d");
        assert_eq!(of("").0, "_");
        assert_eq!(of("9 lives").0, "__lives");
        let (_, labels) = of(r#"a{x.y="1",x_y="2"}"#);
        assert_eq!(labels, labels_of(&[("x_y", "1")]));
    }

    #[test]
    fn a_selector_reads_back() {
        let name = Name::parse(r#"a{b="\"\\\n"}"#);
        let selector = name.selector("__name__");
        assert_eq!(selector, r#"{__name__="a",b="\"\\\n"}"#);
    }
}
