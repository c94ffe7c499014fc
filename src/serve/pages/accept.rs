//! Which of the two formats a client wants.

use http::HeaderMap;
use http::header::ACCEPT;

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4, also for who says nothing or asks for what there is not: every reader of metrics knows it.
    Text,
}

impl Accepted {
    /// OpenMetrics where it is asked for by name, in the version that is written, and at least as gladly as plain text.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter();
        let entries = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','));
        let (mut openmetrics, mut text) = (0, 0);
        for entry in entries {
            let Some(entry) = Entry::parse(entry) else {
                continue;
            };
            let weight = match entry.essence.as_str() {
                "application/openmetrics-text" if entry.is_version("1.0.0") => &mut openmetrics,
                "text/plain" if entry.is_version("0.0.4") => &mut text,
                _ => continue,
            };
            *weight = entry.quality.max(*weight);
        }
        if openmetrics > 0 && openmetrics >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// One media range.
struct Entry {
    essence: String,
    version: Option<String>,
    /// In thousandths, as finely as RFC 9110 has them.
    quality: u32,
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        let (mut version, mut quality) = (None, 1000);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value.to_owned()),
                "q" => quality = thousandths(value)?,
                _ => {}
            }
        }
        Some(Self {
            essence,
            version,
            quality,
        })
    }

    fn is_version(&self, written: &str) -> bool {
        self.version
            .as_ref()
            .is_none_or(|version| version == written)
    }
}

/// `0`, `1`, `0.5`, `0.125`.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_plain = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = is_plain
        .then(|| format!("{whole}{fraction:0<3}"))?
        .parse()
        .ok()?;
    (number <= 1000).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_goes_to_who_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let newer = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let cases = [
            (prometheus, Accepted::OpenMetrics),
            (newer, Accepted::OpenMetrics),
            ("application/openmetrics-text", Accepted::OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"",
                Accepted::OpenMetrics,
            ),
            ("application/openmetrics-text;version=0.0.1", Accepted::Text),
            ("application/openmetrics-text;q=0", Accepted::Text),
            (
                "application/openmetrics-text;q=0.5,text/plain",
                Accepted::Text,
            ),
            ("application/openmetrics-text;q=x", Accepted::Text),
            ("application/openmetrics-text;q=2", Accepted::Text),
            ("text/html,*/*;q=0.8", Accepted::Text),
            ("application/json", Accepted::Text),
            ("", Accepted::Text),
            (";;,,q=,", Accepted::Text),
        ];
        for (accept, wanted) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Accepted::of(&headers), wanted, "{accept}");
        }
        assert_eq!(Accepted::of(&HeaderMap::new()), Accepted::Text);
    }
}
