use std::io::{self, Cursor};
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::time::Timestamp;
use polars::prelude::{AnyValue, ParquetReader, SerReader as _};

use super::*;

fn info(metric: &str, kind: MetricKind) -> SeriesInfo {
    SeriesInfo {
        metric: metric.to_owned(),
        unit: "By".to_owned(),
        kind,
        states: Vec::new(),
        help: String::new(),
        labels: Labels::new([("device", "sda\u{1b}[2J")]),
        collector: "disk".to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    }
}

fn origin() -> Origin {
    Origin {
        node: Some(NodeId::from_bytes([7; 16])),
        host: Some(Untrusted::new("web\u{202e}1")),
    }
}

fn sample(nanos: i64, value: Option<Value>, quality: Quality) -> Sample {
    Sample {
        at: Timestamp::from_nanos(nanos),
        value,
        quality,
    }
}

fn table(push: impl FnOnce(&mut SampleTable<&mut Vec<u8>>)) -> DataFrame {
    let mut bytes = Vec::new();
    let mut table = SampleTable::create(&mut bytes, &origin()).unwrap();
    push(&mut table);
    table.finish().unwrap();
    ParquetReader::new(Cursor::new(bytes)).finish().unwrap()
}

fn shown(frame: &DataFrame, column: &str) -> Vec<String> {
    let column = frame
        .column(column)
        .unwrap()
        .as_materialized_series()
        .clone();
    let cell = |value: AnyValue<'_>| match value {
        AnyValue::Null => "-".to_owned(),
        AnyValue::String(text) => text.to_owned(),
        value => format!("{value:?}"),
    };
    (0..column.len())
        .map(|row| cell(column.get(row).unwrap()))
        .collect()
}

#[test]
fn every_kind_of_value_comes_back() {
    let mut state = info("hw.status", MetricKind::UpDownCounter);
    state.states = vec!["ok".to_owned(), "failed".to_owned()];
    let frame = table(|table| {
        let good = |nanos, value| sample(nanos, Some(value), Quality::Good);
        let io = [
            good(1_999, Value::U64(1 << 53)),
            good(2_000, Value::U64(u64::MAX)),
            good(-1, Value::F64(-0.5)),
            sample(3_000, None, Quality::Absent(FailureReason::Timeout)),
            sample(4_000, Some(Value::F64(0.1)), Quality::Stale),
        ];
        table
            .push(&info("disk.io", MetricKind::Counter), &io)
            .unwrap();
        let states = [good(5_000, Value::State(1)), good(6_000, Value::State(9))];
        table.push(&state, &states).unwrap();
    });
    let micros = frame.column("time").unwrap().datetime().unwrap();
    let micros: Vec<_> = micros.physical().iter().flatten().collect();
    assert_eq!(micros, [1, 2, -1, 3, 4, 5, 6]);
    let values = frame.column("value").unwrap().f64().unwrap();
    let two = |exponent: i32| Some(2_f64.powi(exponent));
    assert_eq!(
        values.iter().collect::<Vec<_>>(),
        [two(53), two(64), Some(-0.5), None, Some(0.1), None, None]
    );
    let exact = frame.column("value_int").unwrap().u64().unwrap();
    let mut only_one = [None; 7];
    only_one[1] = Some(u64::MAX);
    assert_eq!(exact.iter().collect::<Vec<_>>(), only_one);
    assert_eq!(
        shown(&frame, "state"),
        ["-", "-", "-", "-", "-", "failed", "9"]
    );
    assert_eq!(
        shown(&frame, "quality"),
        ["good", "good", "good", "absent", "stale", "good", "good"]
    );
    assert_eq!(
        shown(&frame, "reason"),
        ["-", "-", "-", "timeout", "-", "-", "-"]
    );
    assert_eq!(shown(&frame, "kind")[4..6], ["counter", "updowncounter"]);
    assert_eq!(shown(&frame, "metric")[4..6], ["disk.io", "hw.status"]);
    assert_eq!(shown(&frame, "unit")[0], "By");
    assert_eq!(shown(&frame, "labels")[0], r#"{"device":"sda\u001b[2J"}"#);
    assert_eq!(shown(&frame, "node")[6], origin().node.unwrap().to_string());
    assert_eq!(shown(&frame, "host")[6], "web1");
}

#[test]
fn groups_of_rows_follow_each_other_without_a_gap() {
    let count = i64::try_from(2 * ROWS_AT_ONCE).unwrap() + 10;
    let samples: Vec<Sample> = (0..count)
        .map(|n| sample(n * 1000, Some(Value::U64(n.unsigned_abs())), Quality::Good))
        .collect();
    let frame = table(|table| {
        let (first, second) = samples.split_at(ROWS_AT_ONCE - 3);
        table.push(&info("a", MetricKind::Gauge), first).unwrap();
        table.push(&info("b", MetricKind::Gauge), second).unwrap();
    });
    let values = frame.column("value").unwrap().f64().unwrap();
    assert!(
        values
            .iter()
            .flatten()
            .eq((0..2 * ROWS_AT_ONCE + 10).map(|n| n as f64))
    );
    let metrics = shown(&frame, "metric");
    assert_eq!(
        metrics.iter().filter(|metric| *metric == "a").count(),
        ROWS_AT_ONCE - 3
    );
}

#[test]
fn a_table_without_rows_is_still_a_table() {
    let frame = table(|_| {});
    assert_eq!((frame.height(), frame.width()), (0, 12));
}

/// Takes some bytes, then none.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    for room in [0, 100, 5000] {
        let written = SampleTable::create(Full(room), &origin()).and_then(|mut table| {
            let value = |n: i64| Some(Value::F64(f64::from_bits(n.unsigned_abs() * 0x9e37_79b9)));
            let samples: Vec<Sample> = (0..5000)
                .map(|n| sample(n * 777, value(n), Quality::Good))
                .collect();
            table.push(&info("a", MetricKind::Gauge), &samples)?;
            table.finish()
        });
        let error = written.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("no storage space"), "{room}: {source}");
    }
}
