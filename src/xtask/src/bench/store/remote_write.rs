//! Requests of Prometheus' remote write 1.0: protobuf of a handful of fields, in the block format of Snappy.

use super::data::{Point, Series};

/// Builds requests, with the labels of each series written once.
#[derive(Debug)]
pub(crate) struct Requests {
    labels: Vec<Vec<u8>>,
    /// The samples of each series that wait.
    waiting: Vec<Vec<u8>>,
    instants: usize,
}

impl Requests {
    /// The metric's name goes under `metric_key`; where that is not Prometheus' own, all series are of one metric.
    pub(crate) fn new(series: &[Series], metric_key: &str) -> Self {
        let labels = series.iter().map(|one| {
            let metric = (metric_key.to_owned(), one.name.metric.clone());
            let mut labels = one.name.labels.clone();
            labels.push(metric);
            if metric_key != "__name__" {
                labels.push(("__name__".to_owned(), super::ONE_METRIC.to_owned()));
            }
            labels.sort();
            encoded_labels(&labels)
        });
        Self {
            labels: labels.collect(),
            waiting: vec![Vec::new(); series.len()],
            instants: 0,
        }
    }

    /// Adds an instant to the request.
    pub(crate) fn add(&mut self, millis: i64, points: &[Point]) {
        self.instants += 1;
        for point in points {
            let place = usize::try_from(point.series).unwrap_or(usize::MAX);
            if let Some(samples) = self.waiting.get_mut(place) {
                let mut sample = vec![0x09];
                sample.extend(point.value.to_le_bytes());
                sample.push(0x10);
                put_varint(&mut sample, millis.cast_unsigned());
                put_field(samples, 2, &sample);
            }
        }
    }

    /// Instants that wait.
    pub(crate) const fn instants(&self) -> usize {
        self.instants
    }

    /// The request with all that waits, packed.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.instants = 0;
        let mut request = Vec::new();
        let mut series = Vec::new();
        for (labels, samples) in self.labels.iter().zip(&mut self.waiting) {
            if !samples.is_empty() {
                series.clear();
                series.extend_from_slice(labels);
                series.append(samples);
                put_field(&mut request, 1, &series);
            }
        }
        packed(&request)
    }
}

fn encoded_labels(labels: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in labels {
        let mut label = Vec::new();
        put_field(&mut label, 1, key.as_bytes());
        put_field(&mut label, 2, value.as_bytes());
        put_field(&mut out, 1, &label);
    }
    out
}

/// A field of protobuf that has a length.
fn put_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while let [low, ..] = number.to_le_bytes()
        && number >= 0x80
    {
        out.push(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    out.push(low);
}

/// The longest literal whose length fits two bytes.
const MOST_LITERAL: usize = 1 << 16;

/// In the block format of Snappy, all of it literal: what is unpacked for nothing is charged to no server.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 1000 + 16);
    put_varint(&mut out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    for literal in bytes.chunks(MOST_LITERAL) {
        let less_one = u16::try_from(literal.len() - 1).unwrap_or(u16::MAX);
        out.push(61 << 2);
        out.extend(less_one.to_le_bytes());
        out.extend_from_slice(literal);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::names::Name;
    use super::*;

    #[test]
    fn a_request_is_what_the_protocol_says() {
        let series = Series {
            name: Name::parse("m{a=\"b\"}"),
            is_whole: true,
            grows: false,
        };
        let mut requests = Requests::new(&[series], "__name__");
        requests.add(
            300,
            &[Point {
                series: 0,
                value: 1.0,
            }],
        );
        assert_eq!(requests.instants(), 1);
        let mut expected = vec![0x0a, 33];
        expected.extend([0x0a, 13, 0x0a, 8]);
        expected.extend(b"__name__");
        expected.extend([0x12, 1, b'm', 0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b']);
        expected.extend([0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        expected.extend([0x10, 0xac, 0x02]);
        // the lengths are those of what stands behind them
        let inner = expected.len() - 2;
        expected[1] = u8::try_from(inner).unwrap();
        assert_eq!(requests.take(), packed(&expected));
        assert_eq!((requests.instants(), requests.take()), (0, packed(&[])));
    }

    #[test]
    fn what_is_packed_is_literal() {
        assert_eq!(packed(b"abc"), [3, 0xf4, 2, 0, b'a', b'b', b'c']);
        let long = packed(&vec![7; MOST_LITERAL + 1]);
        assert_eq!(long.len(), 3 + 3 + MOST_LITERAL + 3 + 1);
    }
}
