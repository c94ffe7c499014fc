//! Every collector of the family over the fixture: the common checks, and a golden file of all that is read.

// tells the lints that helpers are tests too
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glasshouse_core::collector::CollectorSpec;
use glasshouse_performance::collectors;
use glasshouse_sysfs::compliance::{record, violations};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host")
}

/// These read the live machine alone; their own files have their tests.
fn over_fixture() -> impl Iterator<Item = &'static dyn CollectorSpec> {
    collectors().filter(|spec| !["cpu_registers", "filesystem"].contains(&spec.name()))
}

#[test]
fn every_collector_passes_the_common_checks() {
    let found: Vec<String> = over_fixture()
        .flat_map(|spec| violations(spec, &fixture()))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn all_that_is_read_from_the_fixture() {
    for spec in over_fixture() {
        insta::assert_snapshot!(spec.name(), record(spec, &fixture()).text());
    }
}

#[test]
fn every_collector_runs_on_this_machine() {
    for spec in collectors() {
        let recording = record(spec, Path::new("/"));
        assert!(
            recording.outcome.is_ok(),
            "{}: {:?}",
            spec.name(),
            recording.outcome
        );
        // what this machine lacks is silent; what it has may be denied to whoever runs this
        println!(
            "{}: {} samples, {} facts, failures {:?}",
            spec.name(),
            recording.samples.len(),
            recording.facts.len(),
            recording.failures
        );
    }
}

/// Names are one space over all families: a name means one thing, and a collector's name is its own.
#[test]
fn names_mean_one_thing_over_all_families() {
    let mut names = BTreeSet::new();
    let mut meanings = BTreeMap::new();
    for spec in collectors().chain(glasshouse_power::COLLECTORS.iter().copied()) {
        assert!(
            names.insert(spec.name()),
            "two collectors are named `{}`",
            spec.name()
        );
        for metric in spec.metrics() {
            let known = meanings.entry(metric.name).or_insert(metric);
            assert!(
                known.means_the_same_as(metric),
                "`{}` is declared differently",
                metric.name
            );
        }
    }
}

#[test]
fn what_is_secret_is_not_told() {
    let text = record(
        collectors()
            .find(|spec| spec.name() == "inventory")
            .unwrap(),
        &fixture(),
    )
    .text();
    assert!(text.contains("rd.iscsi.password=(blanked)"));
    assert!(!text.contains("not-for-eyes"));
}
