//! The program from outside. That it stands beside `glasshouse` when the tests of the whole run is owed to this test, too: cargo
//! builds a program before the tests that name it.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};
use glasshouse_store::{Batch, Store, StoreSettings};
use polars::prelude::{ParquetReader, SerReader as _};
use serde_json::{Value as Json, json};

fn parquet(state: &Path, output: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glasshouse-analyze"))
        .arg("parquet")
        .arg("--store")
        .arg(state.join("store"))
        .arg("--inventory")
        .arg(state.join("inventory"))
        .arg("--output")
        .arg(output)
        .args(more)
        .output()
        .unwrap()
}

fn said(output: &Output) -> Vec<Json> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn record(state: &Path) {
    let (mut store, _) = Store::open(&state.join("store"), StoreSettings::default()).unwrap();
    let info = SeriesInfo {
        metric: "system.uptime".to_owned(),
        unit: "s".to_owned(),
        kind: MetricKind::Gauge,
        states: Vec::new(),
        help: String::new(),
        labels: Labels::default(),
        collector: "up/time".to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    };
    let series = store.define(1, 0, &info).unwrap();
    for second in [-1, 0, 1] {
        let at = Moment {
            wall: Timestamp::from_seconds(second),
            boot: BootTime::from_nanos(1),
        };
        store
            .append(&Batch {
                collector: &info.collector,
                at,
                samples: &[(series, Some(Value::U64(7)), Quality::Good)],
            })
            .unwrap();
    }
}

#[test]
fn polars_reads_what_is_written_also_where_no_node_said_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let output = dir.path().join("out");
    let window = [format!("--from={}", i64::MIN), format!("--to={}", i64::MAX)];
    let done = parquet(dir.path(), &output, &[&window[0], &window[1]]);
    assert!(done.status.success(), "{done:?}");
    let lines = said(&done);
    let days: Vec<_> = lines.iter().filter_map(|line| line.get("day")).collect();
    assert_eq!(days, [&json!("1969-12-31"), &json!("1970-01-01")]);
    assert_eq!(lines.last(), Some(&json!({"damaged": []})));
    // what a collector is called is no path
    let path = output.join("day=1970-01-01/collector=up%2Ftime/part-0.parquet");
    let frame = ParquetReader::new(File::open(path).unwrap())
        .finish()
        .unwrap();
    assert_eq!(frame.height(), 2);
    assert_eq!(frame.column("node").unwrap().null_count(), 2);
    let values = frame.column("value").unwrap().f64().unwrap();
    assert!(values.iter().eq([Some(7.0), Some(7.0)]));
}

#[test]
fn where_nothing_is_stored_it_ends_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let done = parquet(dir.path(), &dir.path().join("out"), &["--from=0", "--to=1"]);
    assert_eq!(done.status.code(), Some(3));
    let errors = String::from_utf8(done.stderr).unwrap();
    assert!(
        errors.starts_with("nothing has been stored yet in"),
        "{errors}"
    );
    assert!(!dir.path().join("out").exists());
}
