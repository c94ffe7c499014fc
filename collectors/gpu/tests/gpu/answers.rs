//! The four answers where a GPU does not answer, and what else may be wrong with a driver.

use std::path::Path;

use glasshouse_core::collector::Presence;
use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::failure::FailureReason;
use glasshouse_core::options::{OptionValue, Options};
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::compliance::{Recording, record};

use crate::fake::{Fake, about, collector_with, machine, run, spec};

const FIRST: &str = "0000:17:00.0";
const SECOND: &str = "0000:65:00.0";

/// A machine with one GPU that this driver holds.
fn tree(driver: Option<&str>) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let device = tree.path().join("sys/bus/pci/devices/0000:17:00.0");
    std::fs::create_dir_all(&device).unwrap();
    std::fs::write(device.join("vendor"), "0x10de\n").unwrap();
    std::fs::write(device.join("class"), "0x030200\n").unwrap();
    if let Some(driver) = driver {
        let target = format!("../../../../bus/pci/drivers/{driver}");
        std::os::unix::fs::symlink(target, device.join("driver")).unwrap();
    }
    tree
}

fn absent_because(recording: &Recording) -> &str {
    assert!(recording.samples.is_empty() && recording.conditions.is_empty());
    match &recording.outcome {
        Ok(Presence::Absent(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn causes(conditions: &[Condition]) -> Vec<(&str, &str)> {
    conditions
        .iter()
        .map(|condition| (condition.cause.as_str(), condition.component.raw()))
        .collect()
}

#[test]
fn no_gpu_is_absent_and_wants_no_worker() {
    let fake = Fake::new();
    let empty = tempfile::tempdir().unwrap();
    for name in ["nvidia_gpu", "nvidia_gpu_health"] {
        let recording = run(name, fake.collector_over(name, empty.path()).as_mut());
        assert_eq!(absent_because(&recording), "no NVIDIA GPU on the PCI bus");
        let options = Options::defaults(spec(name).options());
        let options = options.with("library", OptionValue::Text("x".to_owned()));
        let look = |root: &Path| spec(name).look(root, &options);
        assert!(matches!(look(empty.path()), Presence::Absent(_)));
        assert_eq!(look(&machine()), Presence::Present);
        assert_eq!(spec(name).worker(), Some(Worker::Gpu));
        assert_eq!(spec(name).hang_cause(), "gpu.driver_wedged");
    }
    assert!(fake.calls().is_empty());
}

#[test]
fn a_captured_tree_has_no_driver() {
    for name in ["nvidia_gpu", "nvidia_gpu_health"] {
        let recording = record(spec(name), &machine());
        assert!(absent_because(&recording).contains("captured tree"));
    }
}

#[test]
fn no_library_for_a_gpu_that_the_driver_holds_is_a_failure() {
    let nowhere = "/nowhere/libnvidia-ml.so.1";
    let recording = run(
        "nvidia_gpu",
        collector_with("nvidia_gpu", &machine(), nowhere).as_mut(),
    );
    let error = recording.outcome.as_ref().unwrap_err();
    assert_eq!(error.reason, FailureReason::Missing);
    let said = error.to_string();
    assert!(
        said.starts_with("failed to read `/nowhere/libnvidia-ml.so.1`: an NVIDIA GPU is there but no library of its driver, install it"),
        "{said}"
    );
}

#[test]
fn a_gpu_without_nvidia_s_driver_is_absent_and_says_who_has_it() {
    for (driver, why) in [
        (
            None,
            "the NVIDIA driver is not installed, or not loaded, for the GPU at `0000:17:00.0`",
        ),
        (
            Some("vfio-pci"),
            "the GPU at `0000:17:00.0` belongs to the driver `vfio-pci`",
        ),
        (
            Some("nouveau"),
            "the GPU at `0000:17:00.0` belongs to the driver `nouveau`",
        ),
    ] {
        let tree = tree(driver);
        let nowhere = "/nowhere/libnvidia-ml.so.1";
        let mut collector = collector_with("nvidia_gpu", tree.path(), nowhere);
        let recording = run("nvidia_gpu", collector.as_mut());
        assert_eq!(absent_because(&recording), why);
        // the library is there, and its driver has nothing to do
        let fake = Fake::new();
        fake.say("nvmlInit_v2 error 9\n");
        let mut collector = fake.collector_over("nvidia_gpu", tree.path());
        assert_eq!(absent_because(&run("nvidia_gpu", collector.as_mut())), why);
    }
}

#[test]
fn a_lost_gpu_costs_its_own_series() {
    for lost in [
        "gpu1 nvmlDeviceGetHandleByIndex_v2 error 15",
        "gpu1 nvmlDeviceGetUtilizationRates error 15",
        "gpu1 nvmlDeviceGetPowerUsage error 15",
    ] {
        let fake = Fake::new();
        let mut collector = fake.collector("nvidia_gpu");
        let before = run("nvidia_gpu", collector.as_mut());
        assert!(before.conditions.is_empty());
        fake.say_besides(lost);
        let during = run("nvidia_gpu", collector.as_mut());
        assert_eq!(during.outcome.as_ref().unwrap(), &Presence::Present);
        assert_eq!(
            causes(&during.conditions),
            [("gpu.lost", "gpu/0000:65:00.0")]
        );
        assert_eq!(during.conditions[0].severity, Severity::Critical);
        assert_eq!(about(&during, FIRST), about(&before, FIRST), "{lost}");
        let of_lost = |recording: &Recording| -> Vec<_> {
            let samples = recording.samples.iter();
            samples
                .filter(|sample| sample.labels.iter().any(|label| label == SECOND))
                .map(|sample| (sample.name(), sample.value))
                .collect()
        };
        // every series of it is told, and all that were not read before it was lost have no value
        assert_eq!(of_lost(&during).len(), of_lost(&before).len());
        let without = of_lost(&during)
            .iter()
            .filter(|(_, value)| *value == Err(FailureReason::Missing))
            .count();
        assert!(without + 4 > of_lost(&during).len(), "{without}");
        assert_eq!(during.failures.len(), 1);
        // and it comes back
        fake.say_besides("");
        let after = run("nvidia_gpu", collector.as_mut());
        assert_eq!(after.text(), before.text());
        assert!(after.conditions.is_empty());
    }
}

#[test]
fn a_gpu_that_the_library_no_longer_counts_is_lost() {
    let fake = Fake::new();
    fake.say_besides("gpus 1");
    let mut collector = fake.collector("nvidia_gpu");
    let recording = run("nvidia_gpu", collector.as_mut());
    assert_eq!(
        causes(&recording.conditions),
        [("gpu.lost", "gpu/0000:65:00.0")]
    );
    let power = ["0000:65:00.0/power", "GPU power", SECOND, "gpu"];
    assert!(
        recording
            .samples
            .iter()
            .any(|sample| sample.labels == power && sample.value == Err(FailureReason::Missing))
    );
    assert_eq!(
        recording.value("hw.gpu.utilization", &[FIRST, "general"]),
        Some(0.37)
    );
    // a reset brings it back; the library must be begun anew to see it, which is tried with the next look at the bus
    fake.say_besides("gpus 2");
    let mut runs = 0;
    while run("nvidia_gpu", collector.as_mut())
        .value("hw.gpu.utilization", &[SECOND, "general"])
        .is_none()
    {
        runs += 1;
        assert!(runs < 200, "it never comes back");
        // the thread that waits for events lets go of the old session within its wait
        if runs > 60 {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    assert!(
        runs >= 50,
        "after {runs} runs: the library was begun anew too eagerly"
    );
}

#[test]
fn a_gpu_that_another_driver_took_is_not_lost() {
    let tree = tree(Some("nvidia"));
    let fake = Fake::new();
    fake.say_besides("gpus 0");
    let link = tree.path().join("sys/bus/pci/devices/0000:17:00.0/driver");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("../../../../bus/pci/drivers/vfio-pci", &link).unwrap();
    let mut collector = fake.collector_over("nvidia_gpu", tree.path());
    let recording = run("nvidia_gpu", collector.as_mut());
    assert!(absent_because(&recording).contains("vfio-pci"));
}

#[test]
fn what_is_wrong_with_the_driver_is_said() {
    for (code, reason, words, cause) in [
        (
            18,
            FailureReason::Unsupported,
            "different versions",
            Some("gpu.driver_mismatch"),
        ),
        (4, FailureReason::Denied, "not permitted", None),
        (9, FailureReason::Missing, "the driver is not loaded", None),
        (
            10,
            FailureReason::Timeout,
            "waited in vain",
            Some("gpu.driver_wedged"),
        ),
        (
            999,
            FailureReason::Io,
            "unknown error of the driver (code 999)",
            None,
        ),
        (12_345, FailureReason::Malformed, "12345", None),
    ] {
        let fake = Fake::new();
        fake.say(&format!("nvmlInit_v2 error {code}\n"));
        let recording = run("nvidia_gpu", fake.collector("nvidia_gpu").as_mut());
        let error = recording.outcome.as_ref().unwrap_err();
        assert_eq!(error.reason, reason, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("nvmlInit_v2"), "{error}");
        let told: Vec<&str> = causes(&recording.conditions)
            .iter()
            .map(|(cause, _)| *cause)
            .collect();
        assert_eq!(told, cause.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_ails_one_gpu_is_a_condition_of_it() {
    for (code, cause) in [(16, "gpu.reset_required"), (10, "gpu.driver_wedged")] {
        let fake = Fake::new();
        fake.say_besides(&format!("gpu0 nvmlDeviceGetPowerUsage error {code}"));
        let recording = run("nvidia_gpu", fake.collector("nvidia_gpu").as_mut());
        assert_eq!(causes(&recording.conditions), [(cause, "gpu/0000:17:00.0")]);
        assert_eq!(
            recording.value("hw.gpu.utilization", &[SECOND, "general"]),
            Some(0.37)
        );
        // one teller is enough
        let health = run(
            "nvidia_gpu_health",
            fake.collector("nvidia_gpu_health").as_mut(),
        );
        assert!(health.conditions.is_empty());
    }
}

/// The driver is unloaded below us and loaded again in another version: the library is ended by both collectors before
/// either begins it anew, and tries come later and later meanwhile.
#[test]
fn a_driver_that_is_loaded_again_is_found_again() {
    let fake = Fake::new();
    let mut now = fake.collector("nvidia_gpu");
    let mut health = fake.collector("nvidia_gpu_health");
    run("nvidia_gpu", now.as_mut());
    run("nvidia_gpu_health", health.as_mut());
    let count = |symbol: &str| fake.calls().iter().filter(|call| *call == symbol).count();
    assert_eq!((count("nvmlInit_v2"), count("nvmlShutdown")), (1, 0));

    fake.say("gpus 2\nnvmlInit_v2 error 9\nnvmlDeviceGetHandleByIndex_v2 error 1\n");
    let gone = run("nvidia_gpu", now.as_mut());
    let power = ["0000:17:00.0/power", "GPU power", FIRST, "gpu"];
    assert!(
        gone.samples
            .iter()
            .any(|sample| sample.labels == power && sample.value.is_err())
    );
    for _ in 0..100 {
        let gone = run("nvidia_gpu", now.as_mut());
        assert!(gone.samples.iter().all(|sample| sample.value.is_err()));
        run("nvidia_gpu_health", health.as_mut());
    }
    assert!(count("nvmlInit_v2") < 25, "{}", count("nvmlInit_v2"));

    let state = crate::fake::recorded().replace("580.65.06", "590.1");
    fake.say(&state);
    let mut facts = Vec::new();
    for _ in 0..400 {
        let recording = run("nvidia_gpu_health", health.as_mut());
        run("nvidia_gpu", now.as_mut());
        facts = recording
            .facts
            .into_iter()
            .map(|(_, _, value)| value)
            .collect();
        if facts.iter().any(|fact| fact == "590.1") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(facts.iter().any(|fact| fact == "590.1"), "{facts:?}");
    assert_eq!(count("nvmlShutdown"), 1);
}
