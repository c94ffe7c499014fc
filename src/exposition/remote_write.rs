//! Prometheus remote write 1.0: what one request says, and how it is packed.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>: a protobuf message, compressed as one snappy block. A series
//! is its labels, its name among them; a sample is a float and milliseconds. A series that ends, or of which nothing is known
//! for now, gets one sample that is a certain NaN, [`STALE`], so that graphs end there and not five minutes later.
//!
//! Names and labels are those of the text formats. Labels of the sender ([`Sender`]) stand beside them on every series; where
//! a series has one of the same name its own is called `exported_…`, as Prometheus does when it scrapes.

use std::collections::BTreeMap;

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;
use glasshouse_core::text::clean;
use glasshouse_core::time::Timestamp;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::names::{Family, FamilyKind, labels_shown};

/// The media type of a request.
pub const MEDIA_TYPE: &str = "application/x-protobuf";

/// How a request is packed.
pub const CONTENT_ENCODING: &str = "snappy";

/// The header that names the version of the protocol, and the version.
pub const VERSION_HEADER: (&str, &str) = ("X-Prometheus-Remote-Write-Version", "0.1.0");

/// The value that says that a series has ended, or is not known for now (`value.StaleNaN` in Prometheus).
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The label that holds the name.
const NAME: &str = "__name__";

/// What stands before the name of a label that the sender has too.
const EXPORTED: &str = "exported_";

/// The number of the series in a request.
const TIMESERIES: u32 = 1;

/// Bytes that a sample takes at most: key, length, eight of the value and eleven of the time.
pub const MOST_SAMPLE_BYTES: usize = 24;

#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MetricMetadata {
    /// 1 a counter, 2 a gauge.
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    metric_family_name: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

/// Who sends: the labels that every series gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender(BTreeMap<String, String>);

impl Sender {
    /// With these labels. What is no name of a label ([`is_label`]) is left out, and so are empty values.
    #[must_use]
    pub fn new(labels: impl IntoIterator<Item = (String, String)>) -> Self {
        let shown = labels
            .into_iter()
            .map(|(name, value)| (name, clean(&value)));
        Self(
            shown
                .filter(|(name, value)| is_label(name) && !value.is_empty())
                .collect(),
        )
    }
}

/// Whether this is the name of a label that anybody may give: those that begin with `__` are Prometheus' own.
#[must_use]
pub fn is_label(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && !name.starts_with("__")
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(fits)
}

/// One series as it arrives: its labels, packed once for all of its samples.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line(Box<[u8]>);

impl Line {
    /// The lines of a series: one, or one a state.
    #[must_use]
    pub fn of(sender: &Sender, family: &Family, series: &SeriesInfo) -> Vec<Self> {
        let line = |state: Option<&str>| {
            let state = state.map(|state| (family.name.as_str(), state));
            Self::new(
                sender,
                &family.sample_name(),
                labels_shown(&series.labels, state),
            )
        };
        match family.kind {
            FamilyKind::States => series
                .states
                .iter()
                .map(|state| line(Some(state)))
                .collect(),
            FamilyKind::Counter | FamilyKind::Gauge => vec![line(None)],
        }
    }

    fn new(sender: &Sender, name: &str, own: BTreeMap<String, String>) -> Self {
        let mut labels = sender.0.clone();
        for (mut key, value) in own {
            while labels.contains_key(&key) {
                key.insert_str(0, EXPORTED);
            }
            labels.insert(key, value);
        }
        labels.insert(NAME.to_owned(), name.to_owned());
        // a map of bytes: sorted as the protocol wants it
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| Label { name, value });
        let series = TimeSeries {
            labels: labels.collect(),
            samples: Vec::new(),
        };
        Self(series.encode_to_vec().into())
    }

    /// Bytes that it takes in a request, without samples.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// What the lines of a series say of a value, in their order: the value, or 1 for the state that holds and 0 for the others.
/// Nothing where the value does not fit the family, or is no number.
#[must_use]
pub fn values(kind: FamilyKind, lines: usize, value: Value) -> Option<Vec<f64>> {
    match value {
        Value::State(holds) if kind == FamilyKind::States => {
            let holds = usize::from(holds);
            let word = |line| if line == holds { 1.0 } else { 0.0 };
            (holds < lines).then(|| (0..lines).map(word).collect())
        }
        Value::U64(_) | Value::F64(_) if kind != FamilyKind::States => {
            value.is_finite().then(|| vec![value.as_f64()])
        }
        _ => None,
    }
}

/// A time as the protocol has it.
#[must_use]
pub const fn millis(at: Timestamp) -> i64 {
    /// Nanoseconds of a millisecond.
    const MILLI: i64 = 1_000_000;
    at.nanos().div_euclid(MILLI)
}

/// A request that is being put together.
#[derive(Debug, Default)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Adds a series with its samples, oldest first: milliseconds and value. Each series comes once.
    pub fn series(&mut self, line: &Line, samples: impl IntoIterator<Item = (i64, f64)>) {
        let samples = samples.into_iter();
        let only_samples = TimeSeries {
            labels: Vec::new(),
            samples: samples
                .map(|(timestamp, value)| Sample { value, timestamp })
                .collect(),
        };
        // two encodings one after the other are one message with the fields of both
        let length = line.0.len() + only_samples.encoded_len();
        let head = key_len(TIMESERIES) + encoded_len_varint(wide(length));
        self.bytes.reserve(head + length);
        encode_key(TIMESERIES, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(wide(length), &mut self.bytes);
        self.bytes.extend_from_slice(&line.0);
        self.bytes.extend_from_slice(&only_samples.encode_to_vec());
    }

    /// Adds what is to be known of a family.
    pub fn metadata(&mut self, family: &Family) {
        let metadata = MetricMetadata {
            kind: match family.kind {
                FamilyKind::Counter => 1,
                FamilyKind::Gauge | FamilyKind::States => 2,
            },
            metric_family_name: family.sample_name().into_owned(),
            help: family.help.clone(),
            unit: family.unit.clone(),
        };
        let request = WriteRequest {
            timeseries: Vec::new(),
            metadata: vec![metadata],
        };
        self.bytes.extend_from_slice(&request.encode_to_vec());
    }

    /// The body: the message, packed as one block. Nothing where it is too large for a block, which is 4 GiB.
    #[must_use]
    pub fn finish(self) -> Option<Vec<u8>> {
        snap::raw::Encoder::new().compress_vec(&self.bytes).ok()
    }
}

/// A request as a receiver understands it, for tests of senders.
///
/// Series by their labels, each `name="value"`, in the order in which they stand; and the names of families with metadata.
#[must_use]
pub fn understand(body: &[u8]) -> Option<Understood> {
    let message = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    let request = WriteRequest::decode(message.as_slice()).ok()?;
    let series = request.timeseries.into_iter().map(|series| {
        let labels = series.labels.into_iter();
        let samples = series.samples.into_iter();
        (
            labels.map(|label| (label.name, label.value)).collect(),
            samples
                .map(|sample| (sample.timestamp, sample.value))
                .collect(),
        )
    });
    let families = request.metadata.into_iter();
    Some(Understood {
        series: series.collect(),
        families: families.map(|one| one.metric_family_name).collect(),
    })
}

/// What [`understand`] found in a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Understood {
    /// Labels with their values, and samples: milliseconds and value.
    #[expect(clippy::type_complexity, reason = "two lists of pairs, for tests")]
    pub series: Vec<(Vec<(String, String)>, Vec<(i64, f64)>)>,
    /// Names of families of which the request says what they are.
    pub families: Vec<String>,
}

const fn wide(length: usize) -> u64 {
    length as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glasshouse_core::labels::Labels;
    use glasshouse_core::metric::{Audience, MetricKind};

    use super::*;

    fn series(metric: &str, states: &[&str], labels: &[(&str, &str)]) -> SeriesInfo {
        SeriesInfo {
            metric: metric.to_owned(),
            unit: "By".to_owned(),
            kind: MetricKind::Counter,
            states: states.iter().map(|state| (*state).to_owned()).collect(),
            help: "What it says.".to_owned(),
            labels: Labels::new(labels.iter().copied()),
            collector: "test".to_owned(),
            interval: Duration::from_secs(1),
            audience: Audience::Operator,
        }
    }

    fn sender() -> Sender {
        let labels = [
            ("job", "glasshouse"),
            ("Zone", "b"),
            ("__x", "1"),
            ("n", ""),
        ];
        Sender::new(labels.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    fn shown(labels: &[(String, String)]) -> String {
        let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_request_says_what_it_was_given() {
        let labels = [
            ("system.device", "sd\u{202e}a"),
            ("job", "own"),
            ("empty", ""),
        ];
        let info = series("system.disk.io", &[], &labels);
        let family = Family::of(&info);
        let [line] = Line::of(&sender(), &family, &info).try_into().unwrap();
        let mut request = Request::default();
        request.metadata(&family);
        request.series(&line, [(1000, 1.5), (2000, STALE)]);
        request.series(&line, []);
        let understood = understand(&request.finish().unwrap()).unwrap();
        assert_eq!(understood.families, ["system_disk_io_bytes_total"]);
        let (labels, samples) = &understood.series[0];
        assert_eq!(
            shown(labels),
            "Zone=b,__name__=system_disk_io_bytes_total,exported_job=own,job=glasshouse,system_device=sda"
        );
        assert!(labels.is_sorted());
        assert_eq!(samples[0], (1000, 1.5));
        assert_eq!(samples[1].1.to_bits(), 0x7ff0_0000_0000_0002);
        assert_eq!(understood.series.len(), 2);
    }

    #[test]
    fn states_are_a_line_each_and_one_of_them_holds() {
        let info = series("hw.status", &["ok", "failed"], &[("id", "0")]);
        let family = Family::of(&info);
        let lines = Line::of(&Sender::default(), &family, &info);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            values(family.kind, 2, Value::State(1)),
            Some(vec![0.0, 1.0])
        );
        assert_eq!(values(family.kind, 2, Value::State(2)), None);
        assert_eq!(values(family.kind, 2, Value::U64(1)), None);
        let mut request = Request::default();
        request.series(&lines[1], [(1, 1.0)]);
        let understood = understand(&request.finish().unwrap()).unwrap();
        let (labels, _) = &understood.series[0];
        assert_eq!(shown(labels), "__name__=hw_status,hw_status=failed,id=0");
    }

    #[test]
    fn a_value_that_is_no_number_is_not_sent() {
        let info = series("a", &[], &[]);
        let family = Family::of(&info);
        assert_eq!(values(family.kind, 1, Value::F64(f64::NAN)), None);
        assert_eq!(values(family.kind, 1, Value::State(0)), None);
        assert_eq!(values(family.kind, 1, Value::U64(7)), Some(vec![7.0]));
    }

    #[test]
    fn times_before_1970_are_rounded_down_too() {
        assert_eq!(millis(Timestamp::from_nanos(1_999_999)), 1);
        assert_eq!(millis(Timestamp::from_nanos(-1)), -1);
    }

    #[test]
    fn what_is_no_label_is_known() {
        for good in ["a", "_a", "A1"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "1a", "a-b", "__name__", "ü"] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
