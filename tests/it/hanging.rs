//! A device that hangs costs its own series and nothing else, from the device up to what an operator reads.
//!
//! What takes ten minutes on a machine is pressed into one here: the BMC is asked each second, not each half minute.

use std::path::Path;
use std::time::{Duration, Instant};

use glasshouse_sim::ipmi::{self, Bmc};
use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::peers::are_required;
use crate::support::process::{GLASSHOUSE, children, is_root, run};
use crate::support::up::Up;
use crate::support::{eventually, skip};

/// The user of the worker that talks to BMCs, under root.
const BMC_USER: u32 = 64802;

/// The user of the probe, and of the workers that it starts, under root.
const PROBE_USER: u32 = 64801;

const UNRESPONSIVE: &str = "bmc.unresponsive";

/// How long the BMC hangs: thirty of its periods, as many as fifteen minutes have at the default interval.
const HANG: Duration = Duration::from_secs(30);

/// The event may take this long, at any interval.
const EVENT_WITHIN: Duration = Duration::from_secs(90);

/// What sensors of the simulated BMC read, by the end of their id; they do not change.
const TRUTH: &[(&str, &str, f64)] = &[
    ("hw.temperature", "Inlet Temp", 24.0),
    ("hw.temperature", "CPU1 Temp", 58.0),
    ("hw.fan.speed", "Fan1", 7500.0),
    ("hw.fan.speed", "Fan2", 7725.0),
    ("hw.voltage", "12V", 12.06),
];

/// Read each second by the probe itself, whatever becomes of the BMC.
const CADENCE: &[&str] = &["system.cpu.time", "system.memory.usage"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bmc_that_hangs_costs_its_own_series_alone() {
    let missing = ipmi::missing();
    if !missing.is_empty() {
        assert!(!are_required(), "{missing:?} are not installed");
        skip(&format!("{missing:?} are not installed"));
        return;
    }
    let bmc = Bmc::start().unwrap();
    let folder = Folder::new();
    let up = Up::start_with_probe(&config(&folder, &bmc));
    let state = up.state.to_str().unwrap().to_owned();

    eventually("values of the BMC", async || {
        truth_holds(&state, "-5s").then_some(())
    })
    .await;
    let before = resources(&up);
    let begun = Instant::now();
    bmc.hang().unwrap();
    let event = eventually("the event", async || open_event(&state, UNRESPONSIVE)).await;
    let took = begun.elapsed();
    println!("event after {:.1} s: {event}", took.as_secs_f64());
    assert!(took < EVENT_WITHIN);
    assert_eq!(event["component"], "bmc/rig");
    tokio::time::sleep(HANG.saturating_sub(begun.elapsed())).await;
    // what was read before is out of this window, so no value may be left
    let newest = newest_value(&state, "hw.temperature", "Inlet Temp", "-8s");
    assert_eq!(newest, None, "an old value was told as new");
    assert_constant(&before, &resources(&up));

    bmc.go_on().unwrap();
    eventually("the event's end", async || {
        open_event(&state, UNRESPONSIVE).is_none().then_some(())
    })
    .await;
    eventually("values of the BMC again", async || {
        truth_holds(&state, "-5s").then_some(())
    })
    .await;
    let window = format!("-{}s", begun.elapsed().as_secs());
    assert!(truth_holds(&state, &window), "a value is wrong");
    for metric in CADENCE {
        let gap = longest_gap(&state, metric, &window);
        println!("{metric}: at most {gap} seconds without a sample");
        assert!(gap <= 1, "{metric} missed {gap} seconds in a row");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_hangs_costs_its_own_series_alone() {
    let folder = Folder::new();
    let library = Library::new(&folder);
    let up = Up::start_with_probe(&library.config(&folder));
    let state = up.state.to_str().unwrap().to_owned();
    let power = async |wanted: bool| {
        eventually("the power of the GPUs", async || {
            let answer = query(&state, "hw.power", "-3s", "last");
            let values: Vec<f64> = values_of(&answer, "power").flatten().collect();
            // 118,250 mW
            assert!(values.iter().all(|watts| (watts - 118.25).abs() < 1e-6));
            (values.is_empty() != wanted).then_some(())
        })
        .await;
    };
    power(true).await;
    let probe = resources(&up).remove(0);
    let begun = Instant::now();
    library.say("hold nvmlDeviceGetPowerUsage yes");
    let event = eventually("the event", async || {
        open_event(&state, "gpu.driver_wedged")
    })
    .await;
    println!(
        "event after {:.1} s: {event}",
        begun.elapsed().as_secs_f64()
    );
    let detail = event["detail"].as_str().unwrap();
    assert!(detail.contains("nvmlDeviceGetPowerUsage"), "{detail}");
    power(false).await;
    let (_, threads, _) = resources(&up).remove(0);
    assert_eq!(threads, probe.1, "threads of the probe");

    library.say("");
    power(true).await;
    eventually("the event's end", async || {
        open_event(&state, "gpu.driver_wedged")
            .is_none()
            .then_some(())
    })
    .await;
    let window = format!("-{}s", begun.elapsed().as_secs());
    let gap = longest_gap(&state, "system.memory.usage", &window);
    println!("system.memory.usage: at most {gap} seconds without a sample");
    assert!(gap <= 1, "missed {gap} seconds in a row");
}

/// A stand-in for the library of a driver, and a machine that has its GPUs.
struct Library(std::path::PathBuf);

impl Library {
    fn new(folder: &Folder) -> Self {
        let library = folder.join("nvml");
        std::fs::create_dir(&library).unwrap();
        let test = std::env::current_exe().unwrap();
        let built = test.parent().unwrap().join("libfake_nvml.so");
        std::fs::copy(built, library.join("libnvidia-ml.so.1")).unwrap();
        if is_root() {
            // it writes down who calls it
            std::os::unix::fs::chown(&library, Some(PROBE_USER), Some(PROBE_USER)).unwrap();
        }
        let library = Self(library);
        library.say("");
        library
    }

    /// Says what the fixture says, and this.
    fn say(&self, besides: &str) {
        let recorded = std::fs::read_to_string(fixture("gpu/nvml.state")).unwrap();
        let next = self.0.join("next");
        std::fs::write(&next, format!("{recorded}\n{besides}\n")).unwrap();
        std::fs::rename(next, self.0.join("state")).unwrap();
    }

    fn config(&self, folder: &Folder) -> std::path::PathBuf {
        let root = folder.join("machine");
        std::fs::create_dir(&root).unwrap();
        for part in ["host/proc", "gpu/sys"] {
            let copy = [
                "-r",
                &fixture(part).display().to_string(),
                &root.display().to_string(),
            ];
            assert_eq!(run("/bin/cp", &copy).0, Some(0));
        }
        let library = self.0.join("libnvidia-ml.so.1");
        let text = format!(
            "root = \"{}\"\n\n[collectors.nvidia_gpu]\ninterval = \"1s\"\nlibrary = \"{library}\"\n\n\
             [collectors.nvidia_gpu_health]\nlibrary = \"{library}\"\n",
            root.display(),
            library = library.display()
        );
        folder.write("probe.toml", &text)
    }
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn config(folder: &Folder, bmc: &Bmc) -> std::path::PathBuf {
    let (user, password) = ipmi::USER;
    let secret = folder.write_secret("password", password);
    if is_root() {
        std::os::unix::fs::chown(&secret, Some(BMC_USER), Some(BMC_USER)).unwrap();
    }
    let text = format!(
        "[collectors.ipmi_lan]\ninterval = \"1s\"\n\n[collectors.ipmi_lan.bmcs.rig]\naddress = \"{}\"\n\
         username = \"{user}\"\npassword_file = \"{}\"\n",
        bmc.lan(),
        secret.display()
    );
    folder.write("probe.toml", &text)
}

/// Lowest and highest value of each sensor since then are what the sensor reads; `false` where one has none.
fn truth_holds(state: &str, from: &str) -> bool {
    TRUTH.iter().all(|(metric, name, truth)| {
        ["min", "max"].iter().all(|aggregation| {
            let answer = query(state, metric, from, aggregation);
            let values: Vec<f64> = values_of(&answer, name).flatten().collect();
            for value in &values {
                assert!((value - truth).abs() < 1e-6, "{name}: {value} for {truth}");
            }
            !values.is_empty()
        })
    })
}

fn newest_value(state: &str, metric: &str, name: &str, from: &str) -> Option<f64> {
    values_of(&query(state, metric, from, "last"), name)
        .flatten()
        .last()
}

/// The longest run of seconds without a sample in the first series of a metric, the window's ends left out.
fn longest_gap(state: &str, metric: &str, from: &str) -> usize {
    let answer = query(state, metric, from, "last");
    let values = answer["series"][0]["values"].as_array().unwrap();
    let inner = values.get(2..values.len().saturating_sub(3)).unwrap();
    // The hang alone lasts about twenty seconds; the ends that are left out are five.
    assert!(inner.len() >= 15, "{} seconds", inner.len());
    let gaps = inner.split(|value| !value.is_null());
    gaps.map(<[Value]>::len).max().unwrap()
}

fn query(state: &str, metric: &str, from: &str, aggregation: &str) -> Value {
    let (_, output, _) = run(
        GLASSHOUSE,
        &[
            "--state-dir",
            state,
            "query",
            metric,
            "--from",
            from,
            "--step",
            "1s",
            "--aggregation",
            aggregation,
            "--format",
            "json",
        ],
    );
    serde_json::from_str(&output).unwrap_or(Value::Null)
}

fn values_of<'a>(answer: &'a Value, name: &'a str) -> impl Iterator<Item = Option<f64>> + 'a {
    let series = answer["series"].as_array().into_iter().flatten();
    series
        .filter(move |one| {
            let id = one["labels"]["hw.id"].as_str().unwrap_or_default();
            Path::new(id).file_name().is_some_and(|last| last == name)
        })
        .flat_map(|one| one["values"].as_array().into_iter().flatten())
        .map(Value::as_f64)
}

fn open_event(state: &str, cause: &str) -> Option<Value> {
    let (_, output, _) = run(GLASSHOUSE, &["--state-dir", state, "events", "--json"]);
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["cause"] == cause)
}

/// The same processes with the same threads and descriptors; a worker may have a socket more or less, that of a session
/// which begins or ends.
fn assert_constant(before: &[(String, usize, usize)], after: &[(String, usize, usize)]) {
    assert_eq!(before.len(), after.len(), "{before:?} {after:?}");
    for (before, after) in before.iter().zip(after) {
        let sockets = usize::from(!before.0.is_empty());
        let same = before.0 == after.0 && before.1 == after.1;
        assert!(
            same && before.2.abs_diff(after.2) <= sockets,
            "{before:?} {after:?}"
        );
    }
}

/// Threads and descriptors of the probe and of its workers.
fn resources(up: &Up) -> Vec<(String, usize, usize)> {
    let count = |id: u32, what: &str| {
        std::fs::read_dir(format!("/proc/{id}/{what}"))
            .unwrap()
            .count()
    };
    let mut found: Vec<_> = children(up.running.id())
        .into_iter()
        .filter(|(_, arguments)| arguments.get(1).is_some_and(|role| role == "probe"))
        .map(|(id, arguments)| {
            let worker = arguments.get(2).filter(|word| !word.starts_with('-'));
            let name = worker.cloned().unwrap_or_default();
            (name, count(id, "task"), count(id, "fd"))
        })
        .collect();
    found.sort();
    found
}
