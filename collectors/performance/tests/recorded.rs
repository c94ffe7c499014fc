//! Every collector over trees recorded from other machines: it runs, and what it cannot read is the tree's fault.
//!
//! The archives stand in `fixtures/host` of `GLASSHOUSE_DATA` or of `../shared`; without them this prints a skip.

// tells the lints that helpers are tests too
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;

use glasshouse_core::collector::Presence;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_performance::FAMILIES;
use glasshouse_sysfs::compliance::record;

#[test]
fn every_collector_runs_over_every_recorded_tree() {
    let archives = archives();
    if archives.is_empty() {
        return println!("skipped: no archives in fixtures/host of GLASSHOUSE_DATA or ../shared");
    }
    let mut ours = Vec::new();
    for archive in archives {
        let folder = tempfile::tempdir().unwrap();
        let tar = Command::new("tar")
            .arg("xf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .status();
        if !tar.is_ok_and(|status| status.success()) {
            println!("skipped: `tar` cannot unpack {}", archive.display());
            continue;
        }
        let Some(root) = root_in(folder.path()) else {
            println!("skipped: no machine in {}", archive.display());
            continue;
        };
        ours.extend(judge(&archive, &root));
    }
    assert!(ours.is_empty(), "{}", ours.join("\n"));
}

/// Prints what each family found; returns the failures that the tree does not explain.
fn judge(archive: &Path, root: &Path) -> Vec<String> {
    let name = archive.file_name().unwrap().to_string_lossy().into_owned();
    println!("\n{name}");
    println!(
        "{:12} {:>10} {:>8} {:>8} {:>8}",
        "family", "collectors", "present", "samples", "failures"
    );
    let mut ours = Vec::new();
    for (family, collectors) in FAMILIES {
        let (mut present, mut samples, mut failures) = (0, 0, 0);
        for spec in *collectors {
            let recording = record(*spec, root);
            present += usize::from(matches!(recording.outcome, Ok(Presence::Present)));
            samples += recording.samples.len();
            for error in recording.errors() {
                failures += 1;
                if !is_the_trees(root, error) {
                    ours.push(format!("{name}: {}: {error}", spec.name()));
                }
            }
        }
        let count = collectors.len();
        println!("{family:12} {count:>10} {present:>8} {samples:>8} {failures:>8}");
    }
    ours
}

/// Recorders blank what they do not want to tell and leave files empty; no kernel writes such a file.
fn is_the_trees(root: &Path, error: &CollectError) -> bool {
    let place = root.join(error.path.strip_prefix("/").unwrap());
    let text = std::fs::read_to_string(&place).unwrap_or_default();
    let blank = text.trim().is_empty();
    let broken = blank && matches!(error.reason, FailureReason::Malformed | FailureReason::Io);
    // what the recorder of the smaller trees could not read itself
    broken || error.reason == FailureReason::Denied
}

/// The folder that has `proc` or `sys`: at the top of the archive or one below.
fn root_in(folder: &Path) -> Option<PathBuf> {
    let is_root = |place: &Path| place.join("proc").is_dir() || place.join("sys").is_dir();
    if is_root(folder) {
        return Some(folder.to_owned());
    }
    let below = std::fs::read_dir(folder).ok()?.flatten();
    below.map(|entry| entry.path()).find(|place| is_root(place))
}

fn archives() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let given = std::env::var_os("GLASSHOUSE_DATA").map(PathBuf::from);
    let folders = given.into_iter().chain([here]);
    let mut archives: Vec<PathBuf> = folders
        .filter_map(|folder| std::fs::read_dir(folder.join("fixtures/host")).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().contains(".tar."))
        .collect();
    archives.sort();
    archives.dedup_by(|a, b| a.file_name() == b.file_name());
    archives
}
