//! Exports from outside: what programs of others read in them is what was recorded.

mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Sample, Value};
use glasshouse_core::text::visible;
use glasshouse_core::time::Day;
use serde_json::{Value as Json, json};

use self::recorded::{HOSTILE, MIDNIGHT, NODE, Recorded};
use crate::support::folder::Folder;
use crate::support::process::{GLASSHOUSE, run};
use crate::support::{peers, skip};

/// A state folder and what is in it.
struct World {
    folder: Folder,
    recorded: Recorded,
}

impl World {
    fn new() -> Self {
        let folder = Folder::new();
        let recorded = recorded::write(&folder.join("state"));
        Self { folder, recorded }
    }

    fn output(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Runs an export, with its status, output and errors.
    fn export(&self, format: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let (state, output) = (self.folder.join("state"), self.output());
        let mut arguments = vec!["export", "--format", format];
        arguments.extend(["--state-dir", state.to_str().unwrap()]);
        arguments.extend(["--output", output.to_str().unwrap()]);
        arguments.extend(more);
        run(GLASSHOUSE, &arguments)
    }

    /// Runs one that must succeed, and gives its report.
    fn good(&self, format: &str, more: &[&str]) -> Json {
        let mut arguments = vec!["--json"];
        arguments.extend(more);
        let (status, output, errors) = self.export(format, &arguments);
        assert_eq!(status, Some(0), "{more:?}: {output}{errors}");
        serde_json::from_str(&output).unwrap()
    }

    /// Runs one that must fail, and gives what was said.
    fn bad(&self, wanted: i32, format: &str, more: &[&str]) -> String {
        let (status, output, errors) = self.export(format, more);
        assert_eq!(status, Some(wanted), "{more:?}: {output}{errors}");
        errors
    }

    fn samples(&self) -> impl Iterator<Item = (&SeriesInfo, &Sample)> {
        let series = self.recorded.series.iter();
        series.flat_map(|(info, samples)| samples.iter().map(move |sample| (info, sample)))
    }
}

/// Whether the program for tables is there: `cargo test --workspace` builds it before the first test.
fn has_analyze() -> bool {
    let there = Path::new(GLASSHOUSE)
        .with_file_name("glasshouse-analyze")
        .is_file();
    if !there {
        assert!(!peers::are_required(), "glasshouse-analyze is not built");
        skip("glasshouse-analyze is not built (`cargo build --package glasshouse-analyze`)");
    }
    there
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found
}

/// Labels as they should stand in a table.
fn labels_json(labels: &Labels) -> String {
    let quoted = |text: &str| {
        let mut out = "\"".to_owned();
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if visible(c) == Some(c) => out.push(c),
                c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            }
        }
        out + "\""
    };
    let pairs = labels.iter();
    let pairs = pairs.map(|(key, value)| format!("{}:{}", quoted(key), quoted(value.raw())));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A row as the readers should see it.
fn row(info: &SeriesInfo, sample: &Sample) -> Json {
    let (mut value, mut whole, mut state) = (None, None, None);
    match sample.value {
        Some(Value::State(index)) => state = Some(info.states[usize::from(index)].clone()),
        Some(number) => value = Some(number.as_f64().to_bits()),
        None => {}
    }
    if let Some(Value::U64(exact)) = sample.value
        && exact > 1 << 53
    {
        whole = Some(exact);
    }
    let reason = match sample.quality {
        Quality::Absent(reason) => Some(reason.word()),
        _ => None,
    };
    json!([
        sample.at.nanos().div_euclid(1000),
        glasshouse_core::identity::NodeId::from_bytes(NODE).to_string(),
        "web[31m1",
        info.metric,
        info.kind.word(),
        info.unit,
        labels_json(&info.labels),
        value,
        whole,
        state,
        sample.quality.word(),
        reason,
        info.collector,
        Day::of(sample.at).to_string(),
    ])
}

fn sorted(rows: impl Iterator<Item = Json>) -> Vec<String> {
    let mut rows: Vec<String> = rows.map(|row| row.to_string()).collect();
    rows.sort();
    rows
}

/// Each series stands together, in the order of time.
fn is_in_order(rows: &[Json]) -> bool {
    let mut ended = BTreeSet::new();
    rows.chunk_by(|a, b| [3, 6, 12, 13].iter().all(|cell| a[*cell] == b[*cell]))
        .all(|series| {
            let times = series.iter().map(|row| row[0].as_i64());
            let key = [3, 6, 12, 13].map(|cell| series[0][cell].to_string());
            times.is_sorted() && ended.insert(key)
        })
}

#[test]
fn duckdb_and_pandas_read_each_sample_as_it_was_recorded() {
    if !has_analyze() {
        return;
    }
    let world = World::new();
    let report = world.good("parquet", &[]);
    let all = world.samples().count();
    assert_eq!(report["samples"], all, "{report}");
    assert_eq!(report["days"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(
        files(&world.output()),
        ["2026-11-22", "2026-11-23"]
            .iter()
            .flat_map(|day| {
                let collectors = ["disk", "hwmon", "thermal"];
                collectors.map(|name| format!("day={day}/collector={name}/part-0.parquet"))
            })
            .collect()
    );
    let Some(python) = peers::read_export() else {
        return;
    };
    let wanted = sorted(world.samples().map(|(info, sample)| row(info, sample)));
    for reader in ["duckdb", "pandas"] {
        let script = python.get_args().next().unwrap().to_owned();
        let mut command = Command::new(python.get_program());
        let read = command.arg(script).arg(reader).arg(world.output());
        let read = read.current_dir(peers::folder()).output().unwrap();
        let errors = String::from_utf8_lossy(&read.stderr).into_owned();
        assert!(read.status.success(), "{reader}: {errors}");
        let text = String::from_utf8(read.stdout).unwrap();
        let rows: Vec<Json> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(reader == "duckdb" || is_in_order(&rows), "{reader}");
        let found = sorted(rows.into_iter());
        let differ = found
            .iter()
            .zip(&wanted)
            .find(|(found, wanted)| found != wanted);
        assert_eq!((found.len(), differ), (all, None), "{reader}");
    }
}

/// A line of `promtool tsdb dump`, without its value and time.
fn line(name: &str, pairs: &[(&str, &str)]) -> String {
    let mut labels: BTreeMap<&str, &str> = pairs.iter().copied().collect();
    labels.insert("__name__", name);
    let labels = labels.iter().map(|(key, value)| format!("{key}={value:?}"));
    format!("{{{}}}", labels.collect::<Vec<_>>().join(", "))
}

/// What Prometheus should hold: line and millisecond, and the bits of the value.
fn in_prometheus(world: &World) -> BTreeMap<(String, i64), u64> {
    let mut wanted = BTreeMap::new();
    for (info, sample) in world.samples() {
        let device = info.labels.get("system.device").unwrap();
        // its labels, or its name, are those of another series once they are shown
        let is_second = device.raw().contains('\u{200b}') || info.metric == "hw_temperature";
        let (Quality::Good | Quality::Estimated, Some(value), false) =
            (sample.quality, sample.value, is_second)
        else {
            continue;
        };
        let millis = sample.at.nanos().div_euclid(1_000_000);
        let device = ("system_device", &*device.clean());
        if let Value::State(holds) = value {
            for (index, state) in info.states.iter().enumerate() {
                let line = line("hw_status", &[device, ("hw_status", state)]);
                let holds = f64::from(u8::from(index == usize::from(holds)));
                wanted.insert((line, millis), holds.to_bits());
            }
            continue;
        }
        let name = match info.metric.as_str() {
            "system.disk.io" => "system_disk_io_bytes_total",
            "system.disk.usage" => "system_disk_usage_ratio",
            _ => "hw_temperature_celsius",
        };
        wanted.insert((line(name, &[device]), millis), value.as_f64().to_bits());
    }
    wanted
}

#[test]
fn prometheus_holds_what_the_text_says() {
    let world = World::new();
    let report = world.good("openmetrics", &[]);
    let names = ["22", "23"].map(|day| format!("day=2026-11-{day}/metrics.om"));
    assert_eq!(files(&world.output()), BTreeSet::from(names.clone()));
    let count = |wanted: fn(Quality) -> bool| {
        let of_second = |info: &SeriesInfo| {
            let device = info.labels.get("system.device").unwrap();
            device.raw().contains('\u{200b}') || info.metric == "hw_temperature"
        };
        let samples = world.samples().filter(|(info, _)| !of_second(info));
        samples.filter(|(_, sample)| wanted(sample.quality)).count()
    };
    let left_out = &report["left_out"];
    assert_eq!(
        left_out["stale"],
        count(|quality| quality == Quality::Stale)
    );
    let absent = count(|quality| matches!(quality, Quality::Absent(_)));
    assert_eq!(left_out["absent"], absent);
    assert_eq!(
        (&left_out["same_name"], &left_out["same_labels"]),
        (&json!(2), &json!(2))
    );
    assert!(left_out["repeated"].as_u64().unwrap() > 1000, "{report}");
    let blocks = world.folder.join("blocks");
    for name in names {
        let Some(mut promtool) = peers::debian("promtool") else {
            return;
        };
        promtool.args(["tsdb", "create-blocks-from", "openmetrics"]);
        promtool.arg(world.output().join(name)).arg(&blocks);
        let made = promtool.output().unwrap();
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{said}");
    }
    // promtool reads no blocks where there is none
    std::fs::create_dir(blocks.join("wal")).unwrap();
    let mut promtool = peers::debian("promtool").unwrap();
    let dump = promtool
        .args(["tsdb", "dump"])
        .arg(&blocks)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&dump.stderr).into_owned();
    assert!(dump.status.success(), "{errors}");
    let mut found = BTreeMap::new();
    for text in String::from_utf8(dump.stdout).unwrap().lines() {
        let (rest, millis) = text.rsplit_once(' ').unwrap();
        let (labels, value) = rest.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let key = (labels.to_owned(), millis.parse().unwrap());
        assert!(found.insert(key, value.to_bits()).is_none(), "{text}");
    }
    let wanted = in_prometheus(&world);
    let differ = found
        .iter()
        .zip(&wanted)
        .find(|(found, wanted)| found != wanted);
    assert_eq!((found.len(), differ), (wanted.len(), None));
}

#[test]
fn only_what_is_asked_for_is_exported() {
    let world = World::new();
    let label = format!("system.device={HOSTILE}");
    let report = world.good(
        "openmetrics",
        &[
            "--from=2026-11-22T23:59:50Z",
            "--to=2026-11-23T00:00:10Z",
            "--metric=system.disk.io",
            "--label",
            &label,
        ],
    );
    let inside = world.samples().filter(|(info, sample)| {
        info.labels.get("system.device").unwrap().raw() == HOSTILE
            && (MIDNIGHT - 10_000_000_000..MIDNIGHT + 10_000_000_000).contains(&sample.at.nanos())
            && sample.value.is_some()
    });
    let times: BTreeSet<_> = inside.map(|(_, sample)| sample.at).collect();
    assert!(times.len() > 10);
    assert_eq!(report["samples"], times.len(), "{report}");
    assert_eq!(report["days"].as_array().unwrap().len(), 2);
}

#[test]
fn a_day_that_stands_there_is_not_overwritten_unasked() {
    let world = World::new();
    let first = world.good("openmetrics", &[]);
    let text = |name: &str| std::fs::read(world.output().join(name)).unwrap();
    let whole = text("day=2026-11-22/metrics.om");
    let said = world.bad(2, "openmetrics", &["--from=2026-11-22T23:59:00Z"]);
    assert!(
        said.contains("exported already: 2026-11-22") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(text("day=2026-11-22/metrics.om"), whole);
    let again = world.good("openmetrics", &["--force"]);
    assert_eq!(first, again);
    assert_eq!(text("day=2026-11-22/metrics.om"), whole);
    // another day may come beside it
    std::fs::remove_dir_all(world.output().join("day=2026-11-23")).unwrap();
    world.good("openmetrics", &["--from=2026-11-23T00:00:00Z"]);
    // but nothing of another format, which would stop who reads it
    let said = world.bad(2, "parquet", &["--force"]);
    assert!(said.contains("another format"), "{said}");
}

#[test]
fn what_cannot_be_exported_says_why() {
    let world = World::new();
    let said = world.bad(2, "openmetrics", &["--metric=system.disk.oi"]);
    assert!(said.contains("did you mean system.disk.io"), "{said}");
    let said = world.bad(2, "openmetrics", &["--from=now", "--to=-1h"]);
    assert!(said.contains("the window is empty"), "{said}");
    world.bad(2, "csv", &[]);
    world.bad(2, "openmetrics", &["--label=nothing"]);
    let window = ["--from=2020-01-01T00:00:00Z", "--to=2020-01-02T00:00:00Z"];
    let (status, output, _) = world.export("openmetrics", &window);
    assert_eq!(status, Some(1));
    assert!(output.contains("nothing was stored"), "{output}");
    assert!(files(&world.output()).is_empty());
    std::fs::write(world.output(), "").unwrap();
    world.bad(3, "openmetrics", &[]);
    let elsewhere = world.folder.join("nowhere");
    let elsewhere = elsewhere.to_str().unwrap();
    let arguments = [
        "export",
        "--format=openmetrics",
        "--output=x",
        "--state-dir",
        elsewhere,
    ];
    let (status, _, errors) = run(GLASSHOUSE, &arguments);
    assert_eq!(status, Some(3), "{errors}");
    assert!(errors.contains("--state-dir"), "{errors}");
}

#[test]
fn without_the_program_for_tables_the_way_out_is_said() {
    if Path::new("/usr/libexec/glasshouse/glasshouse-analyze").exists() {
        skip("glasshouse is installed on this machine");
        return;
    }
    let world = World::new();
    let alone = world.folder.join("glasshouse");
    if std::fs::hard_link(GLASSHOUSE, &alone).is_err() {
        std::fs::copy(GLASSHOUSE, &alone).unwrap();
    }
    let (state, output) = (world.folder.join("state"), world.output());
    let mut arguments = vec!["export", "--format=parquet"];
    arguments.extend(["--state-dir", state.to_str().unwrap()]);
    arguments.extend(["--output", output.to_str().unwrap()]);
    let (status, _, errors) = run(alone, &arguments);
    assert_eq!(status, Some(3), "{errors}");
    assert!(errors.contains("--package glasshouse-analyze"), "{errors}");
    assert!(files(&output).is_empty());
}

#[test]
fn a_full_disk_is_said_and_leaves_no_half_file() {
    let world = World::new();
    std::fs::create_dir(world.output()).unwrap();
    for format in ["openmetrics", "parquet"] {
        if format == "parquet" && !has_analyze() {
            continue;
        }
        let left = world.folder.join(format);
        let script = "mount -t tmpfs -o size=64k tmpfs \"$OUT\" || exit 77; \
            \"$0\" \"$@\"; status=$?; find \"$OUT\" -type f > \"$LEFT\"; exit $status";
        let done = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, GLASSHOUSE])
            .args(["export", "--format", format, "--state-dir"])
            .arg(world.folder.join("state"))
            .arg("--output")
            .arg(world.output())
            .env("OUT", world.output())
            .env("LEFT", &left)
            .output();
        let (status, said) = match &done {
            Ok(done) => (done.status.code(), String::from_utf8_lossy(&done.stderr)),
            Err(error) => (Some(77), error.to_string().into()),
        };
        if status == Some(77) || said.starts_with("unshare:") {
            skip("no small disk can be mounted here");
            return;
        }
        assert_eq!(status, Some(3), "{said}");
        assert!(said.contains("No space left on device"), "{said}");
        let left = std::fs::read_to_string(left).unwrap();
        assert!(!left.contains(".tmp"), "{left}");
        assert!(format == "parquet" || left.is_empty(), "{left}");
    }
}

#[test]
fn an_export_that_was_ended_leaves_nothing_that_looks_whole() {
    let world = World::new();
    for (format, name) in [("openmetrics", "metrics.om"), ("parquet", "part-0.parquet")] {
        if format == "parquet" && !has_analyze() {
            continue;
        }
        let state = world.folder.join("state");
        let output = world.folder.join(format);
        // who writes more than 4 KiB into a file is ended by the kernel
        let ended = Command::new("sh")
            .args([
                "-c",
                "ulimit -c 0; ulimit -f 8; exec \"$@\"",
                "sh",
                GLASSHOUSE,
            ])
            .args(["export", "--format", format, "--state-dir"])
            .arg(&state)
            .arg("--output")
            .arg(&output)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{format}: {said}");
        if format == "parquet" {
            assert_eq!(ended.status.code(), Some(3), "{said}");
            assert!(said.contains("was ended before it was done"), "{said}");
        }
        let left = files(&output);
        assert!(!left.is_empty(), "{format}: it ended before it began");
        assert!(
            left.iter()
                .all(|file| file.ends_with(&format!(".{name}.tmp"))),
            "{left:?}"
        );
        let mut arguments = vec!["export", "--format", format];
        arguments.extend(["--state-dir", state.to_str().unwrap()]);
        arguments.extend(["--output", output.to_str().unwrap()]);
        let (status, _, errors) = run(GLASSHOUSE, &arguments);
        assert_eq!(status, Some(0), "{errors}");
        let whole = files(&output);
        assert!(
            whole.iter().all(|file| file.ends_with(&format!("/{name}"))),
            "{whole:?}"
        );
    }
}

#[test]
fn a_damaged_file_is_named_and_the_rest_is_exported() {
    let world = World::new();
    let store = world.folder.join("state/store");
    let segment = files(&store)
        .into_iter()
        .find(|name| name.starts_with("raw-"))
        .unwrap();
    let path = store.join(&segment);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (status, output, errors) = world.export("openmetrics", &["--json"]);
    assert_eq!(status, Some(1), "{errors}");
    let report: Json = serde_json::from_str(&output).unwrap();
    assert_eq!(report["damaged"], json!([segment]), "{report}");
    assert!(report["samples"].as_u64().unwrap() > 0);
}
