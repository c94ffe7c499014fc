//! Functions that are missing, refuse, or say what cannot be: each costs its own series alone.

use std::collections::BTreeSet;

use glasshouse_core::failure::FailureReason;
use glasshouse_sysfs::compliance::Recording;
use proptest::prelude::*;

use crate::fake::{Fake, recorded, run};

const NAMES: [&str; 2] = ["nvidia_gpu", "nvidia_gpu_health"];

/// Without these there is no library, or no GPU.
const FRAME: &[&str] = &[
    "nvmlInit_v2",
    "nvmlShutdown",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetPciInfo_v3",
];

fn both(fake: &Fake) -> [Recording; 2] {
    NAMES.map(|name| run(name, fake.collector(name).as_mut()))
}

/// Series with their values.
fn values(recordings: &[Recording; 2]) -> BTreeSet<String> {
    let lines = recordings.iter().map(Recording::text);
    lines
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.contains("absent: ") && !line.starts_with("failure: "))
        .collect()
}

/// A function that is truly not in the library, one after the other.
#[test]
fn a_missing_function_costs_its_own_series() {
    let whole = values(&both(&Fake::new()));
    for symbol in glasshouse_gpu::allowed().filter(|symbol| !FRAME.contains(symbol)) {
        let recordings = both(&Fake::without(&[symbol]));
        for recording in &recordings {
            assert!(
                recording.outcome.is_ok(),
                "{symbol}: {:?}",
                recording.outcome
            );
            assert!(
                recording.failures.is_empty(),
                "{symbol}: {:?}",
                recording.failures
            );
            for sample in &recording.samples {
                if let Err(reason) = sample.value {
                    assert_eq!(
                        reason,
                        FailureReason::Unsupported,
                        "{symbol}: {}",
                        sample.name()
                    );
                }
            }
        }
        let left = values(&recordings);
        let lost: Vec<_> = whole.difference(&left).collect();
        let most = if symbol == "nvmlDeviceGetFieldValues" {
            50
        } else {
            36
        };
        assert!(
            lost.len() <= most,
            "{symbol} costs {} series: {lost:?}",
            lost.len()
        );
    }
}

#[test]
fn newer_names_of_a_function_have_older_ones_behind_them() {
    let whole = values(&both(&Fake::new()));
    let newer = [
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetMemoryInfo_v2",
    ];
    let fake = Fake::without(&newer);
    fake.say(&recorded().replace("ThrottleReasons 0", "ThrottleReasons 0\ngpu1 nvmlDeviceGetCurrentClocksThrottleReasons 72\ngpu1 nvmlDeviceGetTemperature 88"));
    assert_eq!(values(&both(&fake)), whole);
}

#[test]
fn a_library_without_its_frame_is_refused() {
    for symbol in ["nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetCount_v2"] {
        let recordings = both(&Fake::without(&[symbol]));
        for recording in recordings {
            let error = recording.outcome.unwrap_err();
            assert_eq!(
                error.reason,
                FailureReason::Unsupported,
                "{symbol}: {error}"
            );
        }
    }
}

#[test]
fn a_refused_function_rests_for_a_while() {
    let fake = Fake::new();
    fake.say_besides(
        "gpu0 nvmlDeviceGetMarginTemperature error 3\ngpu1 nvmlDeviceGetMarginTemperature error 3",
    );
    let mut collector = fake.collector("nvidia_gpu");
    let margin = || {
        let calls = fake.calls();
        calls.iter().filter(|call| call.contains("Margin")).count()
    };
    for _ in 0..30 {
        run("nvidia_gpu", collector.as_mut());
    }
    assert_eq!(margin(), 2, "once for each GPU");
    for _ in 0..40 {
        run("nvidia_gpu", collector.as_mut());
    }
    assert_eq!(margin(), 4, "and again after a look");
}

#[test]
fn errors_that_are_none_of_the_usual_are_told_with_the_function() {
    let fake = Fake::new();
    fake.say_besides("gpu0 nvmlDeviceGetPowerUsage error 999\ngpu1 nvmlDeviceGetEccMode error 4");
    let [now, health] = both(&fake);
    assert_eq!(
        now.failures[0].to_string(),
        "failed to read `/proc/driver/nvidia/gpus/0000:17:00.0`: nvmlDeviceGetPowerUsage: unknown error of the driver (code 999)"
    );
    assert_eq!(health.failures[0].reason, FailureReason::Denied);
    assert_eq!((now.failures.len(), health.failures.len()), (1, 1));
}

/// Numbers that hardware never has: markers, and nonsense.
#[test]
fn nonsense_becomes_no_value() {
    let all_bits = |state: &str, number: &str| -> String {
        let line = |line: &str| {
            let code = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = code.split_whitespace().collect();
            let key = usize::from(
                words
                    .first()
                    .is_some_and(|word| word.starts_with("gpu") && *word != "gpus"),
            );
            let fixed = [
                "gpus",
                "nvmlDeviceGetPciInfo_v3",
                "nvmlDeviceGetSupportedEventTypes",
            ];
            let Some(name) = words.get(key).filter(|name| !fixed.contains(name)) else {
                return line.to_owned();
            };
            let is_field = name.starts_with("nvmlDeviceGetFieldValues");
            let kept = words.len().min(key + 1 + usize::from(is_field));
            let mut said = words[..kept].join(" ");
            for _ in kept..words.len() {
                said.push(' ');
                said.push_str(number);
            }
            said
        };
        state.lines().map(|text| line(text) + "\n").collect()
    };
    for number in [
        "4294967295",
        "65535",
        "18446744073709551615",
        "-2147483648",
        "4000000000",
        "nan",
    ] {
        let fake = Fake::new();
        fake.say(&all_bits(&recorded(), number));
        for recording in both(&fake) {
            assert!(
                recording.outcome.is_ok(),
                "{number}: {:?}",
                recording.outcome
            );
            for sample in &recording.samples {
                let Ok(value) = sample.value.map(|value| value.as_f64()) else {
                    continue;
                };
                let name = sample.metric.name;
                if sample.metric.unit == "1" {
                    assert!((0.0..=2.0).contains(&value), "{name} {value} by {number}");
                }
                if sample.metric.unit == "Cel" {
                    assert!(
                        (-100.0..=300.0).contains(&value),
                        "{name} {value} by {number}"
                    );
                }
                if sample.metric.unit == "W" {
                    assert!(value <= 100_000.0, "{name} {value} by {number}");
                }
            }
        }
    }
}

#[test]
fn text_without_an_end_is_no_text() {
    let fake = Fake::new();
    fake.say_besides("text nvmlDeviceGetName endless\ntext nvmlDeviceGetVbiosVersion endless");
    let [_, health] = both(&fake);
    let keys: BTreeSet<&str> = health.facts.iter().map(|(fact, _, _)| fact.key).collect();
    assert!(!keys.contains("hw.model") && !keys.contains("hw.firmware_version"));
    assert!(keys.contains("hw.gpu.inforom.version"));
    assert_eq!(health.failures[0].reason, FailureReason::Malformed);
    // an address without an end is none: the GPU is known by the bus alone, and lost to the library
    fake.say_besides("text nvmlDeviceGetPciInfo_v3 endless");
    let [now, _] = both(&Fake::without(&["nvmlDeviceGetPciInfo_v3"]));
    assert!(now.outcome.is_ok());
}

#[test]
fn a_library_that_counts_thousands_is_not_believed() {
    let fake = Fake::new();
    fake.say_besides("gpus 4294967295");
    let [now, _] = both(&fake);
    assert_eq!(now.outcome.unwrap_err().reason, FailureReason::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any function of any GPU may refuse with any code: the other GPU does not notice.
    #[test]
    fn a_refusal_of_one_gpu_is_not_noticed_by_the_other(place in any::<prop::sample::Index>(), code in prop_oneof![1_u32..32, Just(999), any::<u32>().prop_filter("success", |code| *code != 0)]) {
        let symbols: Vec<&str> = glasshouse_gpu::allowed()
            .filter(|symbol| symbol.starts_with("nvmlDeviceGet") && *symbol != "nvmlDeviceGetCount_v2")
            .collect();
        let symbol = place.get(&symbols);
        let fake = Fake::new();
        let before = both(&fake);
        let arguments = recorded().lines().filter_map(|line| {
            let key = line.split_whitespace().find(|word| word.starts_with(symbol))?;
            Some(format!("gpu0 {key} error {code}\n"))
        }).collect::<String>();
        fake.say_besides(&format!("gpu0 {symbol} error {code}\n{arguments}"));
        // the session was begun before the GPU went bad, or the driver is: both are fine
        let during = both(&fake);
        let ends = [1, 9, 18].contains(&code);
        for (before, during) in before.iter().zip(&during) {
            if !ends {
                prop_assert_eq!(crate::fake::about(before, "0000:65:00.0"), crate::fake::about(during, "0000:65:00.0"), "{} {}", symbol, code);
            }
        }
    }
}
