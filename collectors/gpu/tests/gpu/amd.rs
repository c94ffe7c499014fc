//! AMD's GPUs by sysfs.

use std::path::{Path, PathBuf};

use glasshouse_core::collector::Presence;
use glasshouse_core::options::Options;
use glasshouse_core::worker::Worker;
use glasshouse_sysfs::compliance::{record, violations};

use crate::fake::{machine, spec};

#[test]
fn it_passes_the_common_checks() {
    let found = violations(spec("amd_gpu"), &machine());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn all_that_is_read() {
    insta::assert_snapshot!("amd_gpu", record(spec("amd_gpu"), &machine()).text());
}

#[test]
fn a_worker_is_worth_it_where_there_is_one() {
    let spec = spec("amd_gpu");
    let look = |root: &Path| spec.look(root, &Options::defaults(spec.options()));
    assert_eq!(look(&machine()), Presence::Present);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(look(empty.path()), Presence::Absent(_)));
    assert_eq!(spec.worker(), Some(Worker::Gpu));
}

/// hwmon tells power, heat and fans of `amdgpu`: these are not told twice.
#[test]
fn what_hwmon_tells_is_left_to_it() {
    for metric in spec("amd_gpu").metrics() {
        assert!(metric.name.starts_with("hw.gpu."), "{}", metric.name);
    }
}

/// Sleeping GPUs are not woken: nothing but their power state is opened.
#[test]
fn a_sleeping_gpu_is_let_sleep() {
    let tree = tempfile::tempdir().unwrap();
    let device = sleeping(tree.path());
    let opened = glasshouse_sysfs::compliance::opened_by(|| {
        let recording = record(spec("amd_gpu"), tree.path());
        assert!(recording.samples.is_empty() && recording.failures.is_empty());
        assert_eq!(recording.outcome.unwrap(), Presence::Present);
    });
    assert!(opened.iter().any(|path| path.ends_with("runtime_status")));
    assert!(
        !opened.iter().any(|path| path.ends_with("gpu_busy_percent")),
        "{opened:?}"
    );
    std::fs::write(device.join("power/runtime_status"), "active\n").unwrap();
    let recording = record(spec("amd_gpu"), tree.path());
    assert_eq!(
        recording.value("hw.gpu.utilization", &["0000:03:00.0", "general"]),
        Some(0.5)
    );
}

fn sleeping(root: &Path) -> PathBuf {
    let device = root.join("sys/devices/0000:03:00.0");
    std::fs::create_dir_all(device.join("power")).unwrap();
    std::fs::create_dir_all(root.join("sys/class/drm/card0")).unwrap();
    std::os::unix::fs::symlink(
        "../../../devices/0000:03:00.0",
        root.join("sys/class/drm/card0/device"),
    )
    .unwrap();
    for (file, text) in [
        ("vendor", "0x1002"),
        ("gpu_busy_percent", "50"),
        ("power/runtime_status", "suspended"),
    ] {
        std::fs::write(device.join(file), format!("{text}\n")).unwrap();
    }
    device
}
