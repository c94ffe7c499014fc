//! Answers questions about a store over HTTP on loopback, so that it can be timed as servers of time series are.
//!
//! `ask STORE` says `listening PORT`, takes one connection, and answers each POST on it until the other side closes it.
//! The body is a question in JSON, nanoseconds throughout: `{"latest": {"at"}}`,
//! `{"raw": {"metric", "labels", "from", "to"}}`, `{"range": {…, "step", "aggregation"}}` or `{"top": {"most", "from", "to"}}`, the series
//! with the highest mean. The answer is JSON in columns, as `glasshouse query --format json` has it; the header
//! `library-nanos` says how long the store took for it, without writing it down.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glasshouse_core::reader::{
    Aggregation, Budget, Latest, RangeAnswer, RangeQuery, SampleReader as _, Selector, SeriesInfo,
};
use glasshouse_core::time::{Timestamp, Window};
use glasshouse_store::StoreReader;
use serde::Serialize;
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Questions are short; a longer one is a mistake.
const MOST_QUESTION: usize = 64 * 1024;

/// Rollups are of whole hours.
const HOUR_NANOS: u64 = 3_600_000_000_000;

/// What an answer may cost: enough for all that is asked here.
const BUDGET: Budget = Budget {
    series: 100_000,
    points: 10_000_000,
    bytes: u64::MAX,
};

fn main() -> Outcome<()> {
    let dir = std::env::args_os().nth(1).ok_or("usage: ask STORE")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening {}", listener.local_addr()?.port())?;
    out.flush()?;
    let (connection, _) = listener.accept()?;
    connection.set_nodelay(true)?;
    serve(&StoreReader::open(Path::new(&dir)), connection)
}

fn serve(store: &StoreReader, mut connection: TcpStream) -> Outcome<()> {
    let mut input = BufReader::new(connection.try_clone()?);
    while let Some(question) = next_question(&mut input)? {
        let begun = Instant::now();
        let (status, nanos, body) = match answer(store, &question) {
            Ok((nanos, body)) => ("200 OK", nanos, body),
            Err(error) => ("400 Bad Request", begun.elapsed(), error.to_string()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nlibrary-nanos: {}\r\n\r\n",
            body.len(),
            nanos.as_nanos()
        );
        connection.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    }
    Ok(())
}

/// The body of the next request; `None` where the other side has closed.
fn next_question(input: &mut BufReader<TcpStream>) -> Outcome<Option<Vec<u8>>> {
    let mut length = 0;
    let mut is_first = true;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() && !is_first {
            break;
        }
        is_first = false;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    if length > MOST_QUESTION {
        return Err("the question is too long".into());
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some(body))
}

/// How long the store took, and its answer in JSON.
fn answer(store: &StoreReader, question: &[u8]) -> Outcome<(Duration, String)> {
    let question: Value = serde_json::from_slice(question)?;
    let (kind, of) = question
        .as_object()
        .and_then(|object| object.iter().next())
        .ok_or("not a question")?;
    let begun = Instant::now();
    match kind.as_str() {
        "latest" => {
            let at = time(of, "at")?;
            let found = store.latest(&Selector::default(), at)?;
            let took = begun.elapsed();
            Ok((took, latest_as_json(&found.entries, at)?))
        }
        "range" => {
            let answer = store.range(&range(of)?)?;
            Ok((begun.elapsed(), as_json(&answer)?))
        }
        "raw" => {
            let samples = raw(store, of)?;
            Ok((begun.elapsed(), raw_as_json(&samples)?))
        }
        "top" => {
            let answer = top(store, of)?;
            Ok((begun.elapsed(), as_json(&answer)?))
        }
        other => Err(format!("no question `{other}`").into()),
    }
}

/// The samples of a window that are there: of each series its times and values.
type Raw = Vec<(Arc<SeriesInfo>, Vec<i64>, Vec<Option<f64>>)>;

fn raw(store: &StoreReader, of: &Value) -> Outcome<Raw> {
    let mut scan = store.scan(&selector(of)?, window(of)?)?;
    let mut all = Vec::new();
    for (place, series) in scan.series().to_vec().into_iter().enumerate() {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let mut samples = scan.read(place)?;
        while let Some(block) = samples.next_block()? {
            for sample in block {
                if let Some(value) = sample.value {
                    times.push(sample.at.nanos() / 1_000_000);
                    values.push(Some(value.as_f64()));
                }
            }
        }
        all.push((series, times, values));
    }
    Ok(all)
}

/// The series with the highest mean of the window.
fn top(store: &StoreReader, of: &Value) -> Outcome<RangeAnswer> {
    let window = window(of)?;
    // steps begin at multiples of themselves: one that reaches from the epoch over the end of the window holds all of it
    let hours = window.to.nanos().unsigned_abs().div_ceil(HOUR_NANOS);
    let mut answer = store.range(&RangeQuery {
        selector: Selector::default(),
        window,
        step: Duration::from_nanos(hours.saturating_mul(HOUR_NANOS)),
        aggregation: Aggregation::Mean,
        offset: 0,
        budget: BUDGET,
    })?;
    let mean = |values: &[Option<f64>]| values.iter().flatten().copied().fold(f64::MIN, f64::max);
    let by_mean = |one: &f64, other: &f64| other.total_cmp(one);
    answer
        .series
        .sort_by(|one, other| by_mean(&mean(&one.values), &mean(&other.values)));
    let most = of.get("most").and_then(Value::as_u64).ok_or("no `most`")?;
    answer.series.truncate(usize::try_from(most)?);
    Ok(answer)
}

fn range(of: &Value) -> Outcome<RangeQuery> {
    let text = |key: &str| of.get(key).and_then(Value::as_str);
    Ok(RangeQuery {
        selector: selector(of)?,
        window: window(of)?,
        step: Duration::from_nanos(of.get("step").and_then(Value::as_u64).ok_or("no `step`")?),
        aggregation: text("aggregation")
            .and_then(Aggregation::parse)
            .ok_or("no `aggregation`")?,
        offset: 0,
        budget: BUDGET,
    })
}

fn selector(of: &Value) -> Outcome<Selector> {
    let metric = of.get("metric").and_then(Value::as_str);
    let labels = of.get("labels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    Ok(Selector {
        metrics: vec![metric.ok_or("no `metric`")?.to_owned()],
        labels: labels
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    })
}

fn window(of: &Value) -> Outcome<Window> {
    Ok(Window {
        from: time(of, "from")?,
        to: time(of, "to")?,
    })
}

fn time(of: &Value, key: &str) -> Outcome<Timestamp> {
    let nanos = of.get(key).and_then(Value::as_i64);
    Ok(Timestamp::from_nanos(
        nanos.ok_or_else(|| format!("no `{key}`, in nanoseconds"))?,
    ))
}

/// A series of an answer, written as it stands: a tree of values would cost more than the answer.
#[derive(Serialize)]
struct Series<'a> {
    metric: &'a str,
    labels: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    /// In milliseconds, where they do not follow from the answer's step.
    #[serde(skip_serializing_if = "<[i64]>::is_empty")]
    times: &'a [i64],
    values: &'a [Option<f64>],
}

/// An answer.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<&'a str>,
    start: i64,
    step_nanos: u64,
    truncated: String,
    series: Vec<Series<'a>>,
}

fn labels(series: &SeriesInfo) -> BTreeMap<&str, String> {
    let pairs = series.labels.iter();
    pairs.map(|(key, value)| (key, value.clean())).collect()
}

fn as_json(answer: &RangeAnswer) -> serde_json::Result<String> {
    let series = answer.series.iter().map(|one| Series {
        metric: &one.series.metric,
        labels: labels(&one.series),
        at: None,
        times: &[],
        values: &one.values,
    });
    serde_json::to_string(&Answer {
        resolution: Some(answer.resolution.word()),
        start: answer.start.nanos(),
        step_nanos: u64::try_from(answer.step.as_nanos()).unwrap_or(u64::MAX),
        truncated: answer.truncated.to_string(),
        series: series.collect(),
    })
}

fn raw_as_json(samples: &Raw) -> serde_json::Result<String> {
    let series = samples.iter().map(|(series, times, values)| Series {
        metric: &series.metric,
        labels: labels(series),
        at: None,
        times,
        values,
    });
    serde_json::to_string(&Answer {
        resolution: None,
        start: 0,
        step_nanos: 0,
        truncated: String::new(),
        series: series.collect(),
    })
}

fn latest_as_json(found: &[Latest], at: Timestamp) -> serde_json::Result<String> {
    let values: Vec<[Option<f64>; 1]> = found
        .iter()
        .map(|one| [one.sample.value.map(|value| value.as_f64())])
        .collect();
    let series = found.iter().zip(&values).map(|(one, values)| Series {
        metric: &one.series.metric,
        labels: labels(&one.series),
        at: Some(one.sample.at.nanos()),
        times: &[],
        values,
    });
    serde_json::to_string(&Answer {
        resolution: None,
        start: at.nanos(),
        step_nanos: 0,
        truncated: String::new(),
        series: series.collect(),
    })
}
