use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::sample::Sample;
use glasshouse_core::time::Timestamp;

use super::*;

fn series(metric: &str, unit: &str, kind: MetricKind, labels: &[(&str, &str)]) -> SeriesInfo {
    SeriesInfo {
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        kind,
        states: Vec::new(),
        help: "Says \"so\",\\\nand so.".to_owned(),
        labels: Labels::new(labels.iter().copied()),
        collector: "test".to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    }
}

fn states(metric: &str, words: &[&str], labels: &[(&str, &str)]) -> SeriesInfo {
    SeriesInfo {
        states: words.iter().map(|word| (*word).to_owned()).collect(),
        ..series(metric, "{state}", MetricKind::Gauge, labels)
    }
}

fn gauge(metric: &str, labels: &[(&str, &str)]) -> SeriesInfo {
    series(metric, "W", MetricKind::Gauge, labels)
}

fn page(all: &[(SeriesInfo, Value)], format: Format) -> (String, Tally) {
    let readings = all.iter().map(|(series, value)| Reading {
        series,
        value: *value,
    });
    let page = Page::new(readings, &[]);
    let mut writer = Writer::new(Vec::new(), format);
    page.write(&mut writer).unwrap();
    let bytes = writer.finish().unwrap();
    (String::from_utf8(bytes).unwrap(), page.tally())
}

/// The samples of a page, without its comments.
fn samples(all: &[(SeriesInfo, Value)]) -> (Vec<String>, Tally) {
    let (text, tally) = page(all, Format::OpenMetrics);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    (lines.map(str::to_owned).collect(), tally)
}

fn mixed() -> Vec<(SeriesInfo, Value)> {
    let hostile = [("disk.name", "a\"b\\c\u{1b}[31m"), ("empty", "")];
    vec![
        (
            series("system.disk.io", "By", MetricKind::Counter, &hostile),
            Value::U64(u64::MAX),
        ),
        (
            states("hw.status", &["ok", "failed"], &[("id", "0")]),
            Value::State(1),
        ),
        (gauge("hw.power", &[]), Value::F64(1e-9)),
        (gauge("hw.power", &[("id", "1")]), Value::F64(350.5)),
    ]
}

#[test]
fn a_page_is_sorted_escaped_and_ended() {
    insta::assert_snapshot!(page(&mixed(), Format::OpenMetrics).0, @r#"
    # HELP hw_power_watts Says \"so\",\\ and so.
    # TYPE hw_power_watts gauge
    # UNIT hw_power_watts watts
    hw_power_watts 1e-9
    hw_power_watts{id="1"} 350.5
    # HELP hw_status Says \"so\",\\ and so.
    # TYPE hw_status gauge
    hw_status{hw_status="ok",id="0"} 0
    hw_status{hw_status="failed",id="0"} 1
    # HELP system_disk_io_bytes Says \"so\",\\ and so.
    # TYPE system_disk_io_bytes counter
    # UNIT system_disk_io_bytes bytes
    system_disk_io_bytes_total{disk_name="a\"b\\c[31m"} 18446744073709551615
    # EOF
    "#);
}

#[test]
fn the_older_format_names_counters_by_their_samples_and_has_no_units() {
    insta::assert_snapshot!(page(&mixed(), Format::Text).0, @r#"
    # HELP hw_power_watts Says "so",\\ and so.
    # TYPE hw_power_watts gauge
    hw_power_watts 1e-9
    hw_power_watts{id="1"} 350.5
    # HELP hw_status Says "so",\\ and so.
    # TYPE hw_status gauge
    hw_status{hw_status="ok",id="0"} 0
    hw_status{hw_status="failed",id="0"} 1
    # HELP system_disk_io_bytes_total Says "so",\\ and so.
    # TYPE system_disk_io_bytes_total counter
    system_disk_io_bytes_total{disk_name="a\"b\\c[31m"} 18446744073709551615
    "#);
}

#[test]
fn of_two_metrics_with_one_name_the_first_stays_whole() {
    let all = [
        (gauge("a.b", &[("id", "1")]), Value::F64(1.0)),
        (gauge("a_b", &[("id", "1")]), Value::F64(2.0)),
        (gauge("a_b", &[("id", "2")]), Value::F64(3.0)),
    ];
    let (lines, tally) = samples(&all);
    assert_eq!(lines, ["a_b_watts{id=\"1\"} 1"]);
    assert_eq!((tally.shown, tally.same_name), (1, 2));
    let mut backwards = all;
    backwards.reverse();
    assert_eq!(samples(&backwards), (lines, tally), "no order of chance");
}

#[test]
fn one_name_of_two_kinds_or_with_a_counters_suffix_is_one_name() {
    let all = [
        (
            series("a.runs", "{run}", MetricKind::Counter, &[]),
            Value::U64(1),
        ),
        (
            series("a.runs", "{run}", MetricKind::Gauge, &[]),
            Value::U64(2),
        ),
        (
            series("a.runs.total", "{run}", MetricKind::Gauge, &[]),
            Value::U64(3),
        ),
        (
            series("target.info", "{x}", MetricKind::Gauge, &[]),
            Value::U64(4),
        ),
    ];
    let (lines, tally) = samples(&all);
    assert_eq!(lines, ["a_runs_total 1"]);
    assert_eq!((tally.shown, tally.same_name), (1, 3));
}

#[test]
fn of_two_series_with_the_same_labels_one_stays() {
    let mut other = gauge("a", &[("x", "1")]);
    other.collector = "another".to_owned();
    let all = [
        (gauge("a", &[("x", "1")]), Value::F64(1.0)),
        (other, Value::F64(2.0)),
        // what is cleaned from the value was all that told them apart
        (gauge("a", &[("x", "1\u{200b}")]), Value::F64(3.0)),
        // to Prometheus an empty label is none
        (gauge("a", &[("x", "")]), Value::F64(4.0)),
        (gauge("a", &[]), Value::F64(5.0)),
    ];
    let (lines, tally) = samples(&all);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines.last().unwrap(), "a_watts{x=\"1\"} 2");
    assert_eq!((tally.shown, tally.same_labels), (2, 3));
}

#[test]
fn keys_that_become_one_name_keep_all_their_values() {
    let all = [(
        gauge("a", &[("x.y", "2"), ("x-y", "1"), ("x_y", "3")]),
        Value::U64(1),
    )];
    assert_eq!(samples(&all).0, ["a_watts{x_y=\"1;2;3\"} 1"]);
}

#[test]
fn lists_of_states_that_overlap_are_not_written_twice() {
    let all = [
        (states("s", &["a", "b"], &[]), Value::State(0)),
        (states("s", &["b", "c"], &[]), Value::State(0)),
        (states("s", &["d", "d"], &[("id", "1")]), Value::State(0)),
        (states("s", &["e"], &[("id", "2")]), Value::State(7)),
        (states("s", &["f"], &[("s", "label")]), Value::State(0)),
    ];
    let (lines, tally) = samples(&all);
    assert_eq!(lines, ["s{s=\"a\"} 1", "s{s=\"b\"} 0", "s{s=\"f\"} 1"]);
    assert_eq!((tally.same_labels, tally.unfit), (1, 2));
}

#[test]
fn a_value_that_is_no_number_is_left_out() {
    let all = [
        (gauge("a", &[]), Value::F64(f64::NAN)),
        (gauge("b", &[]), Value::F64(f64::INFINITY)),
        (gauge("c", &[]), Value::F64(-0.5)),
    ];
    let (lines, tally) = samples(&all);
    assert_eq!(lines, ["c_watts -0.5"]);
    assert_eq!((tally.shown, tally.unfit), (1, 2));
}

#[test]
fn what_is_stale_or_absent_is_no_reading() {
    let latest = |quality, value| Latest {
        series: Arc::new(gauge("a", &[])),
        sample: Sample {
            at: Timestamp::default(),
            value,
            quality,
        },
    };
    let value = Some(Value::U64(1));
    let absent = Quality::Absent(FailureReason::Denied);
    for (quality, value, is_shown) in [
        (Quality::Good, value, true),
        (Quality::Estimated, value, true),
        (Quality::Stale, value, false),
        (absent, None, false),
        (Quality::Good, None, false),
    ] {
        let latest = latest(quality, value);
        assert_eq!(Reading::of(&latest).is_some(), is_shown, "{quality:?}");
    }
}

#[test]
fn reserved_names_are_the_callers() {
    let series = gauge("a", &[]);
    let reading = Reading {
        series: &series,
        value: Value::U64(1),
    };
    let page = Page::new([reading], &[Family::of(&series)]);
    assert_eq!(page.tally().same_name, 1);
}

mod streamed {
    use super::*;

    const TIMES: [i64; 2] = [1_700_000_000_123_456_789, 1_700_000_001_000_000_000];

    fn written(series: &SeriesInfo, values: [Value; 2], format: Format) -> String {
        let family = Family::of(series);
        let text = SeriesText::new(&family, series);
        let mut writer = Writer::new(Vec::new(), format);
        writer.family(&family).unwrap();
        let times = TIMES.map(Timestamp::from_nanos);
        writer
            .samples(&text, &times.into_iter().zip(values))
            .unwrap();
        let all = String::from_utf8(writer.finish().unwrap()).unwrap();
        let lines = all.lines().filter(|line| !line.starts_with("# "));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn samples_carry_their_times_line_by_line() {
        let series = states("s", &["a", "b"], &[]);
        let values = [Value::State(0), Value::State(1)];
        insta::assert_snapshot!(written(&series, values, Format::OpenMetrics), @r#"
        s{s="a"} 1 1700000000.123
        s{s="a"} 0 1700000001.000
        s{s="b"} 0 1700000000.123
        s{s="b"} 1 1700000001.000
        "#);
        let counter = super::series("c", "By", MetricKind::Counter, &[]);
        let values = [Value::U64(5), Value::F64(1e300)];
        insta::assert_snapshot!(written(&counter, values, Format::Text), @r"
        c_bytes_total 5 1700000000123
        c_bytes_total 1e300 1700000001000
        ");
    }

    #[test]
    fn the_target_tells_of_the_node() {
        let labels = Labels::new([("host.name", "a\"b"), ("host.id", "1")]);
        let mut writer = Writer::new(Vec::new(), Format::OpenMetrics);
        writer.target(&labels).unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        insta::assert_snapshot!(text, @r##"
        # HELP target What is told of here: the node and the program.
        # TYPE target info
        target_info{host_id="1",host_name="a\"b"} 1
        # EOF
        "##);
    }
}
