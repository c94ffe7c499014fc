//! Nothing but what is allowed can be called, and all that is allowed is.

use std::collections::BTreeSet;
use std::path::Path;

use crate::fake::{Fake, run};

/// What is called when everything is there, and when newer functions and fields are missing.
fn called() -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    let newer = [
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetMemoryInfo_v2",
    ];
    for fake in [Fake::new(), Fake::without(&newer)] {
        let wait_for = |symbol: &str| {
            let begun = std::time::Instant::now();
            while !fake.calls().iter().any(|call| call == symbol) {
                assert!(begun.elapsed().as_secs() < 60, "{:?}", fake.calls());
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        let mut collector = fake.collector("nvidia_gpu");
        run("nvidia_gpu", collector.as_mut());
        run(
            "nvidia_gpu_health",
            fake.collector("nvidia_gpu_health").as_mut(),
        );
        glasshouse_gpu::dump(fake.library().to_str().unwrap()).unwrap();
        // the thread that waits for events begins and ends in its own time
        wait_for("nvmlEventSetWait_v2");
        drop(collector);
        wait_for("nvmlEventSetFree");
        called.extend(fake.calls());
    }
    called
}

#[test]
fn what_is_called_is_what_is_allowed() {
    let allowed: BTreeSet<String> = glasshouse_gpu::allowed().map(str::to_owned).collect();
    let called = called();
    let more: Vec<_> = called.difference(&allowed).collect();
    assert!(more.is_empty(), "called but not allowed: {more:?}");
    let less: Vec<_> = allowed.difference(&called).collect();
    assert!(less.is_empty(), "allowed but never called: {less:?}");
}

/// The bindings hold every function of the library: the sources name allowed ones alone.
#[test]
fn the_sources_name_no_other_function() {
    let allowed: BTreeSet<&str> = glasshouse_gpu::allowed().collect();
    let mut named = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [folder.to_owned(), folder.join("nvidia"), folder.join("amd")] {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split(".nvml").skip(1) {
                let mut parts = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let function = format!("nvml{}", parts.next().unwrap());
                // a member of a structure, not a function
                if matches!(function.as_str(), "nvml" | "nvmlReturn") {
                    continue;
                }
                assert!(
                    allowed.contains(function.as_str()),
                    "{}: {function}",
                    path.display()
                );
                named += 1;
            }
            // methods of the wrapper that change something begin with these
            for verb in [
                ".set_",
                ".reset_",
                ".clear_",
                ".remove",
                ".validate_info_rom",
                ".set_drain",
            ] {
                let of_device = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .any(|line| line.contains(&format!("device{verb}")));
                assert!(!of_device, "{} says {verb}", path.display());
            }
        }
    }
    assert!(named > 20, "{named}");
}
