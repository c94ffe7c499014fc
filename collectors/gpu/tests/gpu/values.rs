//! Every value equals what the state says.

use glasshouse_sysfs::compliance::{Recording, definition_violations};

use crate::fake::{Fake, recorded, run};

const FIRST: &str = "0000:17:00.0";
const SECOND: &str = "0000:65:00.0";

#[test]
fn definitions_are_sound() {
    for spec in glasshouse_gpu::COLLECTORS {
        let found = definition_violations(*spec);
        assert!(found.is_empty(), "{}: {found:?}", spec.name());
    }
}

#[test]
fn all_that_is_read() {
    let fake = Fake::new();
    for name in ["nvidia_gpu", "nvidia_gpu_health"] {
        let mut collector = fake.collector(name);
        let first = run(name, collector.as_mut());
        let second = run(name, collector.as_mut());
        assert!(first.failures.is_empty(), "{:?}", first.failures);
        insta::assert_snapshot!(name, second.text());
    }
}

/// Numbers of the state by their keys, and the value that each must have become.
const EXPECTED: &[(&str, &str, usize, f64, &[&str])] = &[
    // key, metric, place, factor, labels after the address
    (
        "nvmlDeviceGetUtilizationRates",
        "hw.gpu.utilization",
        0,
        0.01,
        &["general"],
    ),
    (
        "nvmlDeviceGetUtilizationRates",
        "hw.gpu.memory.io.utilization",
        1,
        0.01,
        &[],
    ),
    (
        "nvmlDeviceGetEncoderUtilization",
        "hw.gpu.utilization",
        0,
        0.01,
        &["encoder"],
    ),
    (
        "nvmlDeviceGetDecoderUtilization",
        "hw.gpu.utilization",
        0,
        0.01,
        &["decoder"],
    ),
    (
        "nvmlDeviceGetClockInfo.0",
        "hw.gpu.clock.speed",
        0,
        1e6,
        &["graphics"],
    ),
    (
        "nvmlDeviceGetClockInfo.1",
        "hw.gpu.clock.speed",
        0,
        1e6,
        &["sm"],
    ),
    (
        "nvmlDeviceGetClockInfo.2",
        "hw.gpu.clock.speed",
        0,
        1e6,
        &["memory"],
    ),
    (
        "nvmlDeviceGetClockInfo.3",
        "hw.gpu.clock.speed",
        0,
        1e6,
        &["video"],
    ),
    (
        "nvmlDeviceGetMaxClockInfo.2",
        "hw.gpu.clock.speed.limit",
        0,
        1e6,
        &["memory"],
    ),
    (
        "nvmlDeviceGetPerformanceState",
        "hw.gpu.performance.state",
        0,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetMarginTemperature",
        "hw.gpu.temperature.margin",
        0,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetMemoryInfo_v2",
        "hw.gpu.memory.limit",
        0,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetMemoryInfo_v2",
        "hw.gpu.memory.usage",
        3,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetBAR1MemoryInfo",
        "hw.gpu.bar1.limit",
        0,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetBAR1MemoryInfo",
        "hw.gpu.bar1.usage",
        2,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetTotalEccErrors.0.0",
        "hw.gpu.ecc.errors",
        0,
        1.0,
        &["corrected", "volatile", "all"],
    ),
    (
        "nvmlDeviceGetTotalEccErrors.0.1",
        "hw.gpu.ecc.errors",
        0,
        1.0,
        &["corrected", "aggregate", "all"],
    ),
    (
        "nvmlDeviceGetTotalEccErrors.1.0",
        "hw.gpu.ecc.errors",
        0,
        1.0,
        &["uncorrected", "volatile", "all"],
    ),
    (
        "nvmlDeviceGetTotalEccErrors.1.1",
        "hw.gpu.ecc.errors",
        0,
        1.0,
        &["uncorrected", "aggregate", "all"],
    ),
    (
        "nvmlDeviceGetMemoryErrorCounter.0.1.7",
        "hw.gpu.ecc.errors",
        0,
        1.0,
        &["corrected", "aggregate", "sram"],
    ),
    (
        "nvmlDeviceGetMemoryErrorCounter.1.1.2",
        "hw.gpu.ecc.errors",
        0,
        1.0,
        &["uncorrected", "aggregate", "dram"],
    ),
    (
        "nvmlDeviceGetRemappedRows",
        "hw.gpu.remapped_rows",
        0,
        1.0,
        &["corrected"],
    ),
    (
        "nvmlDeviceGetRemappedRows",
        "hw.gpu.remapped_rows",
        1,
        1.0,
        &["uncorrected"],
    ),
    (
        "nvmlDeviceGetRemappedRows",
        "hw.gpu.remapped_rows.pending",
        2,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetRemappedRows",
        "hw.gpu.remapped_rows.failure",
        3,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetRowRemapperHistogram",
        "hw.gpu.remapped_rows.banks",
        0,
        1.0,
        &["maximum"],
    ),
    (
        "nvmlDeviceGetRowRemapperHistogram",
        "hw.gpu.remapped_rows.banks",
        1,
        1.0,
        &["high"],
    ),
    (
        "nvmlDeviceGetRowRemapperHistogram",
        "hw.gpu.remapped_rows.banks",
        2,
        1.0,
        &["partial"],
    ),
    (
        "nvmlDeviceGetRetiredPages.0",
        "hw.gpu.retired_pages",
        0,
        1.0,
        &["corrected"],
    ),
    (
        "nvmlDeviceGetRetiredPages.1",
        "hw.gpu.retired_pages",
        0,
        1.0,
        &["uncorrected"],
    ),
    (
        "nvmlDeviceGetViolationStatus.0",
        "hw.gpu.clock.violation.time",
        1,
        1e-9,
        &["power"],
    ),
    (
        "nvmlDeviceGetViolationStatus.1",
        "hw.gpu.clock.violation.time",
        1,
        1e-9,
        &["thermal"],
    ),
    (
        "nvmlDeviceGetViolationStatus.11",
        "hw.gpu.clock.violation.time",
        1,
        1e-9,
        &["base_clocks"],
    ),
    (
        "nvmlDeviceGetPcieReplayCounter",
        "hw.gpu.pcie.replay",
        0,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetPcieThroughput.0",
        "hw.gpu.io.rate",
        0,
        1000.0,
        &["transmit"],
    ),
    (
        "nvmlDeviceGetPcieThroughput.1",
        "hw.gpu.io.rate",
        0,
        1000.0,
        &["receive"],
    ),
    (
        "nvmlDeviceGetFieldValues.197.0",
        "hw.gpu.io",
        1,
        1.0,
        &["transmit"],
    ),
    (
        "nvmlDeviceGetFieldValues.198.0",
        "hw.gpu.io",
        1,
        1.0,
        &["receive"],
    ),
    (
        "nvmlDeviceGetFieldValues.173.0",
        "hw.gpu.pcie.errors",
        1,
        1.0,
        &["correctable"],
    ),
    (
        "nvmlDeviceGetFieldValues.183.0",
        "hw.gpu.pcie.errors",
        1,
        1.0,
        &["lane"],
    ),
    (
        "nvmlDeviceGetFieldValues.193.0",
        "hw.gpu.temperature.margin.limit",
        1,
        1.0,
        &["high.emergency"],
    ),
    (
        "nvmlDeviceGetFieldValues.194.0",
        "hw.gpu.temperature.margin.limit",
        1,
        1.0,
        &["high.critical"],
    ),
    (
        "nvmlDeviceGetFieldValues.164.0",
        "hw.gpu.nvlink.speed",
        1,
        1e6,
        &["0"],
    ),
    (
        "nvmlDeviceGetFieldValues.161.0",
        "hw.gpu.nvlink.errors",
        1,
        1.0,
        &["0", "replay"],
    ),
    (
        "nvmlDeviceGetFieldValues.162.0",
        "hw.gpu.nvlink.errors",
        1,
        1.0,
        &["0", "recovery"],
    ),
    (
        "nvmlDeviceGetFieldValues.163.0",
        "hw.gpu.nvlink.errors",
        1,
        1.0,
        &["0", "crc"],
    ),
    (
        "nvmlDeviceGetNvLinkErrorCounter.1.0",
        "hw.gpu.nvlink.errors",
        0,
        1.0,
        &["1", "replay"],
    ),
    (
        "nvmlDeviceGetNvLinkErrorCounter.1.3",
        "hw.gpu.nvlink.errors",
        0,
        1.0,
        &["1", "crc_data"],
    ),
    (
        "nvmlDeviceGetNvLinkState.0",
        "hw.gpu.nvlink.state",
        0,
        1.0,
        &["0"],
    ),
    (
        "nvmlDeviceGetNvLinkState.1",
        "hw.gpu.nvlink.state",
        0,
        1.0,
        &["1"],
    ),
    (
        "nvmlDeviceGetFieldValues.138.4294967295",
        "hw.gpu.nvlink.io",
        1,
        1024.0,
        &["transmit"],
    ),
    (
        "nvmlDeviceGetFieldValues.139.4294967295",
        "hw.gpu.nvlink.io",
        1,
        1024.0,
        &["receive"],
    ),
    (
        "nvmlDeviceGetGpuFabricInfoV.3",
        "hw.gpu.fabric.status",
        0,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetGpuFabricInfoV.3",
        "hw.gpu.fabric.state",
        1,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetGpuFabricInfoV.3",
        "hw.gpu.fabric.health.summary",
        3,
        1.0,
        &[],
    ),
    (
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "hw.gpu.process.count",
        0,
        1.0,
        &["compute"],
    ),
    (
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "hw.gpu.process.count",
        0,
        1.0,
        &["graphics"],
    ),
    (
        "nvmlDeviceGetFieldValues.230.0",
        "hw.gpu.recovery.action",
        1,
        1.0,
        &[],
    ),
];

/// The number at a place of what the state says of a GPU, read here once more and differently.
fn said(state: &str, gpu: usize, key: &str, place: usize) -> Option<f64> {
    let own = format!("gpu{gpu} {key} ");
    let common = format!("{key} ");
    let line = |start: &str| state.lines().find(|line| line.starts_with(start));
    let (start, line) = line(&own)
        .map(|line| (own.as_str(), line))
        .or_else(|| line(&common).map(|line| (common.as_str(), line)))?;
    let mut words = line.strip_prefix(start)?.split_whitespace();
    words.nth(place)?.parse().ok()
}

#[test]
fn each_value_is_what_the_state_says() {
    let fake = Fake::new();
    let state = recorded();
    let runs: Vec<Recording> = ["nvidia_gpu", "nvidia_gpu_health"]
        .map(|name| run(name, fake.collector(name).as_mut()))
        .into();
    let mut compared = 0;
    for (gpu, address) in [FIRST, SECOND].into_iter().enumerate() {
        for (key, metric, place, factor, more) in EXPECTED {
            let chip = format!("{address}/gpu");
            let mut labels = match *metric {
                // as the limits of every sensor
                "hw.gpu.temperature.margin.limit" => vec![&*chip, "GPU", address],
                _ => vec![address],
            };
            labels.extend(*more);
            let values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.value(metric, &labels))
                .collect();
            let expected = said(&state, gpu, key, *place).map(|number| number * factor);
            // the rate is told only where bytes are not counted
            let expected = expected.filter(|_| *metric != "hw.gpu.io.rate" || gpu == 1);
            let close = |value: &f64, wanted: f64| (value - wanted).abs() <= wanted.abs() * 1e-12;
            match (values.as_slice(), expected) {
                ([value], Some(wanted)) => {
                    assert!(
                        close(value, wanted),
                        "{metric} {labels:?}: {value}, not {wanted}"
                    );
                    compared += 1;
                }
                ([], None) => {}
                other => panic!("{metric} {labels:?} by {key}: {other:?}"),
            }
        }
    }
    assert!(compared > 110, "{compared}");
}

#[test]
fn sensors_have_ids_of_their_own_and_the_gpu_as_parent() {
    let fake = Fake::new();
    let now = run("nvidia_gpu", fake.collector("nvidia_gpu").as_mut());
    let value = |metric, labels: &[&str]| now.value(metric, labels);
    assert_eq!(
        value(
            "hw.power",
            &["0000:17:00.0/power", "GPU power", FIRST, "gpu"]
        ),
        Some(118.25)
    );
    assert_eq!(
        value(
            "hw.energy",
            &["0000:17:00.0/energy", "GPU energy", FIRST, "gpu"]
        ),
        Some(123_456.789)
    );
    assert_eq!(
        value("hw.temperature", &["0000:65:00.0/gpu", "GPU", SECOND]),
        Some(88.0)
    );
    assert_eq!(
        value(
            "hw.temperature",
            &["0000:65:00.0/memory", "GPU memory", SECOND]
        ),
        Some(52.0)
    );
    for (reason, active) in [("hw_slowdown", 1.0), ("hw_thermal", 1.0), ("idle", 0.0)] {
        assert_eq!(value("hw.gpu.clock.event", &[SECOND, reason]), Some(active));
    }
}

#[test]
fn calls_are_few() {
    let fake = Fake::new();
    let count = |name: &str| {
        let mut collector = fake.collector(name);
        run(name, collector.as_mut());
        let before = fake.calls().len();
        run(name, collector.as_mut());
        // those of the thread that waits for events come at any time
        let calls = fake.calls().into_iter().skip(before);
        calls.filter(|call| !call.contains("Event")).count()
    };
    let now = count("nvidia_gpu");
    let health = count("nvidia_gpu_health");
    println!("two GPUs: {now} calls a run of what changes, {health} of the rest");
    assert!(now <= 2 * 16, "{now}");
    assert!(health <= 2 * 90, "{health}");
}

/// What a machine was recorded as says the same as the machine.
#[test]
fn a_dump_is_a_state() {
    let fake = Fake::new();
    let dump = glasshouse_gpu::dump(fake.library().to_str().unwrap()).unwrap();
    for secret in ["UUID", "Serial"] {
        assert!(!dump.contains(secret));
    }
    let other = Fake::new();
    // a dump knows no events
    other.say(&format!("{dump}nvmlDeviceGetSupportedEventTypes 31\n"));
    for name in ["nvidia_gpu", "nvidia_gpu_health"] {
        let text = |fake: &Fake| run(name, fake.collector(name).as_mut()).text();
        assert_eq!(text(&fake), text(&other), "{dump}");
    }
}

#[test]
fn a_library_that_is_not_there_cannot_be_recorded() {
    let error = glasshouse_gpu::dump("/nowhere/libnvidia-ml.so.1").unwrap_err();
    let chain = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(chain.contains("/nowhere/libnvidia-ml.so.1"), "{chain}");
}
