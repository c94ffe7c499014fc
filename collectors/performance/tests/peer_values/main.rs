//! Our values beside those of `prometheus-node-exporter`, number by number.
//!
//! Three rounds: over our own fixture, over a recorded tree (`GLASSHOUSE_DATA` or `../shared`), and on this machine.
//! Every value of the peer in the families below is matched, excluded with a reason, or a failure. Where the peer or
//! the data is missing, that is printed and the round is skipped.

// tells the lints that helpers are tests too
#![cfg(test)]

mod device_meaning;
mod kernel_meaning;
mod meaning;
mod peer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use glasshouse_sysfs::compliance::{RecordedSample, Recording, record};

use crate::meaning::{Meaning, Series, family, meaning};
use crate::peer::{Peer, PeerSample};

/// Tries on the live machine, where values move between our reading and the peer's.
const LIVE_ROUNDS: usize = 20;

#[test]
fn values_over_our_fixture() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host");
    compare_tree("our fixture", &fixture, &fixture, 250);
}

#[test]
fn values_over_a_recorded_tree() {
    let Some(archive) = recorded_archive() else {
        return println!(
            "skipped: no fixtures/host/procfs-fixtures.tar.gz in GLASSHOUSE_DATA or ../shared"
        );
    };
    let ours = tempfile::tempdir().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    for tree in [&ours, &theirs] {
        let tar = Command::new("tar")
            .arg("xzf")
            .arg(&archive)
            .arg("-C")
            .arg(tree.path())
            .status();
        if !tar.is_ok_and(|status| status.success()) {
            return println!("skipped: `tar` cannot unpack {}", archive.display());
        }
    }
    cut_for_the_peer(theirs.path());
    compare_tree("the recorded tree", ours.path(), theirs.path(), 250);
}

/// Whole machines, recorded for their topology: few values, but of many processors and nodes.
#[test]
fn values_over_recorded_topologies() {
    let Some(folder) = recorded_archive().and_then(|archive| Some(archive.parent()?.to_owned()))
    else {
        return println!("skipped: no fixtures/host in GLASSHOUSE_DATA or ../shared");
    };
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("hwloc-") {
            continue;
        }
        let tree = tempfile::tempdir().unwrap();
        let tar = Command::new("tar")
            .arg("xf")
            .arg(entry.path())
            .arg("-C")
            .arg(tree.path())
            .status();
        let below = std::fs::read_dir(tree.path()).unwrap().flatten();
        let root = below
            .map(|entry| entry.path())
            .find(|place| place.join("sys").is_dir());
        match root.filter(|_| tar.is_ok_and(|status| status.success())) {
            Some(root) => compare_tree(&name, &root, &root, 0),
            None => println!("skipped: `tar` cannot unpack {name}"),
        }
    }
}

/// What the peer's collectors fail over, where ours do not: very long `intr` lines, a cooling device without a state.
fn cut_for_the_peer(tree: &Path) {
    let path = tree.join("proc/stat");
    let stat = std::fs::read_to_string(&path).unwrap();
    let cut: Vec<String> = stat
        .lines()
        .map(|line| match line.strip_prefix("intr ") {
            Some(numbers) => {
                let first: Vec<&str> = numbers.split(' ').take(3).collect();
                format!("intr {}", first.join(" "))
            }
            None => line.to_owned(),
        })
        .collect();
    std::fs::write(path, cut.join("\n") + "\n").unwrap();
    std::fs::remove_dir_all(tree.join("sys/class/thermal/cooling_device1")).unwrap();
}

fn recorded_archive() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let given = std::env::var_os("GLASSHOUSE_DATA").map(PathBuf::from);
    let mut folders = given.into_iter().chain([here]);
    folders.find_map(|folder| {
        let archive = folder.join("fixtures/host/procfs-fixtures.tar.gz");
        archive.is_file().then_some(archive)
    })
}

fn compare_tree(what: &str, ours: &Path, theirs: &Path, at_least: usize) {
    let Some(peer) = Peer::start(theirs) else {
        return println!("skipped: no prometheus-node-exporter on this machine");
    };
    let samples = peer.scrape();
    let ours = Ours::read(ours);
    let mut table = Table::default();
    for sample in &samples {
        table.judge(sample, &ours, &ours);
    }
    table.print(what, &ours);
    assert!(
        table.unmatched().is_empty(),
        "{what}: {:#?}",
        table.unmatched()
    );
    assert!(
        table.matched() >= at_least,
        "{what}: only {} matched",
        table.matched()
    );
}

#[test]
fn values_on_this_machine() {
    let root = Path::new("/");
    let Some(peer) = Peer::start(root) else {
        return println!("skipped: no prometheus-node-exporter on this machine");
    };
    let mut table = Table::default();
    let mut last = Ours::read(root);
    for _ in 0..LIVE_ROUNDS {
        let before = Ours::read(root);
        let samples = peer.scrape();
        last = Ours::read(root);
        for sample in &samples {
            table.judge(sample, &before, &last);
        }
        if table.unmatched().is_empty() {
            break;
        }
    }
    table.print("this machine", &last);
    assert!(table.unmatched().is_empty(), "{:#?}", table.unmatched());
    assert!(table.matched() >= 50, "only {} matched", table.matched());
}

/// Everything that our collectors of both families read at one time.
struct Ours(Vec<RecordedSample>);

impl Ours {
    fn read(root: &Path) -> Self {
        let specs = glasshouse_performance::collectors()
            .chain(glasshouse_power::COLLECTORS.iter().copied());
        let recordings = specs.map(|spec| -> Recording { record(spec, root) });
        Self(recordings.flat_map(|recording| recording.samples).collect())
    }

    /// The value of the one series that is meant.
    fn value(&self, series: &Series) -> Option<f64> {
        let mut found = self.0.iter().filter(|sample| series.matches(sample));
        let value = found.next()?.value.ok()?.as_f64();
        found.next().is_none().then_some(value)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Matched,
    Excluded(&'static str),
    Unmatched(String),
}

#[derive(Debug, Default)]
struct Table(BTreeMap<String, (&'static str, Verdict)>);

impl Table {
    /// Judges one value of the peer; one that matched in an earlier round stays so.
    fn judge(&mut self, sample: &PeerSample, before: &Ours, after: &Ours) {
        let Some(family) = family(&sample.name) else {
            return;
        };
        let name = sample.series();
        if matches!(self.0.get(&name), Some((_, Verdict::Matched))) {
            return;
        }
        let verdict = match meaning(sample) {
            Some(Meaning::Excluded(reason)) => Verdict::Excluded(reason),
            Some(Meaning::Ours(series, factor)) => {
                let sum = |ours: &Ours| {
                    series
                        .iter()
                        .map(|one| ours.value(one))
                        .sum::<Option<f64>>()
                };
                compare(sample.value * factor, sum(before), sum(after))
            }
            None => Verdict::Unmatched("nobody said what this is".to_owned()),
        };
        self.0.insert(name, (family, verdict));
    }

    fn matched(&self) -> usize {
        self.0
            .values()
            .filter(|(_, verdict)| *verdict == Verdict::Matched)
            .count()
    }

    fn unmatched(&self) -> Vec<String> {
        self.0
            .iter()
            .filter_map(|(name, (_, verdict))| match verdict {
                Verdict::Unmatched(why) => Some(format!("{name}: {why}")),
                _ => None,
            })
            .collect()
    }

    fn print(&self, what: &str, ours: &Ours) {
        println!(
            "\n{what}: values of the peer, by family ({} values of ours)",
            ours.0.len()
        );
        println!(
            "{:12} {:>8} {:>9} {:>9}",
            "family", "matched", "unmatched", "excluded"
        );
        let mut families: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (family, verdict) in self.0.values() {
            let column = match verdict {
                Verdict::Matched => 0,
                Verdict::Unmatched(_) => 1,
                Verdict::Excluded(reason) => {
                    *reasons.entry((family, reason)).or_default() += 1;
                    2
                }
            };
            families.entry(family).or_default()[column] += 1;
            families.entry("~ all").or_default()[column] += 1;
        }
        for (family, [matched, unmatched, excluded]) in families {
            println!("{family:12} {matched:>8} {unmatched:>9} {excluded:>9}");
        }
        for ((family, reason), count) in reasons {
            println!("  excluded from {family}: {count} × {reason}");
        }
        for unmatched in self.unmatched() {
            println!("  UNMATCHED {unmatched}");
        }
    }
}

/// Whether the peer's value lies where ours was before and after it, allowing for the rounding of floats.
fn compare(peer: f64, before: Option<f64>, after: Option<f64>) -> Verdict {
    let (Some(before), Some(after)) = (before, after) else {
        return Verdict::Unmatched(format!("peer says {peer}, we say nothing"));
    };
    let slack = peer.abs() * 1e-9;
    let (low, high) = (before.min(after) - slack, before.max(after) + slack);
    if (low..=high).contains(&peer) {
        Verdict::Matched
    } else {
        Verdict::Unmatched(format!("peer says {peer}, we say {before} to {after}"))
    }
}
