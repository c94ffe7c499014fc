//! The servers to compare with. Both take Prometheus' remote write and answer PromQL.

mod measure;
mod prometheus;
mod victoria;

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::http::{Client, percent};
use super::questions::{Answered, MOST_RANKED, Question, list};
use super::server::Server;
use super::subject::Sizes;

pub(crate) use measure::measure;
pub(crate) use prometheus::Prometheus;
pub(crate) use victoria::Victoria;

/// A server to compare with.
pub(crate) trait Peer {
    /// Its name in the report.
    fn title(&self) -> &'static str;

    /// The program, which is also what Debian's package is called.
    fn program(&self) -> &'static str;

    /// The argument that makes it say its version.
    fn version_argument(&self) -> &'static str;

    /// Starts it over what is in `folder`, and waits until it is ready.
    fn start(&self, folder: &Path) -> anyhow::Result<(Server, Client)>;

    /// Makes it write all that it has in the form in which it keeps it, and waits until it has.
    fn seal(&self, client: &mut Client) -> anyhow::Result<()>;

    /// How many samples are in what [`Self::seal`] wrote.
    fn kept(&self, client: &mut Client, folder: &Path) -> anyhow::Result<u64>;

    /// What its files take after [`Self::seal`].
    fn sizes(&self, folder: &Path) -> anyhow::Result<Sizes>;
}

/// What a program says of its version, in one word; `None` where it is not installed.
pub(crate) fn version(peer: &dyn Peer) -> Option<String> {
    let said = std::process::Command::new(peer.program())
        .arg(peer.version_argument())
        .output()
        .ok()?;
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Some(version_in(&text).unwrap_or_else(|| debian_version(peer.program())))
}

/// The word behind `version`.
fn version_in(text: &str) -> Option<String> {
    let (_, behind) = text.split_once("version ")?;
    let word = behind.split([' ', ',']).next()?;
    let is_number = word.starts_with(|c: char| c.is_ascii_digit() || c == 'v');
    is_number.then(|| word.to_owned())
}

/// What the package manager says, where the program was built without its version.
fn debian_version(package: &str) -> String {
    let asked = std::process::Command::new("dpkg-query")
        .args(["--show", "--showformat=${Version}", package])
        .output();
    match asked {
        Ok(said) if said.status.success() => String::from_utf8_lossy(&said.stdout).into_owned(),
        _ => "version unknown".to_owned(),
    }
}

/// Asks in PromQL; series are told apart by `metric_key`.
fn ask(client: &mut Client, question: &Question<'_>, metric_key: &str) -> anyhow::Result<Answered> {
    let answer = client.get(&path(question, metric_key))?.good()?;
    Ok(Answered {
        body: answer.body,
        inside: None,
        read: values,
    })
}

/// The values of an answer: of an instant one a series, else a list of them.
fn values(answer: &Value) -> Vec<f64> {
    let series = list(answer, "/data/result").iter();
    let pairs = series.flat_map(|one| {
        let one_value = one.get("value").into_iter();
        one_value.chain(list(one, "/values"))
    });
    let texts = pairs.filter_map(|pair| pair.get(1).and_then(Value::as_str));
    texts.filter_map(|text| text.parse().ok()).collect()
}

fn path(question: &Question<'_>, metric_key: &str) -> String {
    let instant = |query: &str, at: i64| {
        format!(
            "/api/v1/query?query={}&time={}",
            percent(query),
            seconds(at)
        )
    };
    match question {
        Question::Latest { at } => instant("{__name__!=\"\"}", *at),
        Question::Raw { series, from, to } => {
            let window = to - from;
            let selector = series.name.selector(metric_key);
            instant(&format!("{selector}[{window}ms]"), *to)
        }
        Question::Means { series, from, to } => {
            let selector = series.name.selector(metric_key);
            let query = percent(&format!("avg_over_time({selector}[1h])"));
            format!(
                "/api/v1/query_range?query={query}&start={}&end={}&step=3600",
                seconds(*from),
                seconds(*to)
            )
        }
        Question::Top { from, to } => {
            let window = to - from;
            let all = format!("{{__name__=\"{}\"}}", super::ONE_METRIC);
            let query = format!("topk({MOST_RANKED}, avg_over_time({all}[{window}ms]))");
            instant(&query, *to)
        }
    }
}

/// Milliseconds as seconds, exactly.
fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}

/// A text in an answer of Prometheus' API.
fn text(body: &[u8], pointer: &str) -> anyhow::Result<String> {
    let answer: Value = serde_json::from_slice(body)?;
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(text
        .with_context(|| format!("an answer without `{pointer}`"))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::data::Series;
    use super::super::names::Name;
    use super::*;

    #[test]
    fn questions_are_written_in_promql() {
        let series = Series {
            name: Name::parse("a_total{b=\"c\"}"),
            is_whole: true,
            grows: true,
        };
        let raw = Question::Raw {
            series: &series,
            from: 1_000_005,
            to: 4_600_005,
        };
        assert_eq!(
            path(&raw, "__name__"),
            format!(
                "/api/v1/query?query={}&time=4600.005",
                percent("{__name__=\"a_total\",b=\"c\"}[3600000ms]")
            )
        );
        let top = path(&Question::Top { from: 0, to: 5000 }, "metric");
        assert!(top.ends_with("&time=5.000"), "{top}");
        assert!(top.contains("topk%2810"), "{top}");
    }

    #[test]
    fn values_are_found_in_both_shapes() {
        let answer = serde_json::json!({ "data": { "result": [
            { "value": [1, "2.5"] },
            { "values": [[1, "3"], [2, "4"]] },
        ]}});
        assert_eq!(values(&answer), [2.5, 3.0, 4.0]);
    }

    #[test]
    fn versions_are_found() {
        let text = "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+b5)";
        assert_eq!(version_in(text).as_deref(), Some("2.42.0+ds"));
        assert_eq!(version_in("version go1.19"), None);
        assert_eq!(version_in(""), None);
    }
}
