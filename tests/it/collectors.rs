//! The host collectors as the binary has them: both families together, over the fixture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::hardware::LimitType;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;

/// Remembers which series were written, as the store will know them.
#[derive(Debug, Default)]
struct Series {
    written: Vec<(&'static str, Labels)>,
    failures: Vec<CollectError>,
}

impl SampleWriter for Series {
    fn sample(&mut self, metric: &'static MetricDefinition, labels: &[&str], _: Value) {
        let keys = metric.labels.iter().map(|label| label.key);
        let labels = Labels::new(keys.zip(labels.iter().copied()));
        self.written.push((metric.name, labels));
    }

    fn absent(&mut self, _: &'static MetricDefinition, _: &[&str], _: FailureReason) {}

    fn fact(&mut self, _: &'static FactDefinition, _: &str, _: &str) {}

    fn failure(&mut self, error: CollectError) {
        self.failures.push(error);
    }

    fn condition(&mut self, _: glasshouse_core::condition::Condition) {}

    fn log(&mut self, _: glasshouse_core::log::LogEntry) {}
}

fn families() -> impl Iterator<Item = &'static dyn CollectorSpec> {
    glasshouse_performance::collectors().chain(glasshouse_power::COLLECTORS.iter().copied())
}

/// All that the binary has.
fn all() -> impl Iterator<Item = &'static dyn CollectorSpec> {
    let devices = glasshouse_gpu::COLLECTORS
        .iter()
        .chain(glasshouse_bmc::COLLECTORS);
    families().chain(devices.copied())
}

/// Collectors share names: one name is one definition, and only where it is read differs.
#[test]
fn one_name_means_one_thing() {
    let mut names = BTreeSet::new();
    let mut metrics: BTreeMap<&str, (&str, &MetricDefinition)> = BTreeMap::new();
    let mut facts: BTreeMap<&str, (&str, &FactDefinition)> = BTreeMap::new();
    for spec in all() {
        let ours = spec.name();
        assert!(names.insert(ours), "two collectors are named `{ours}`");
        for metric in spec.metrics() {
            let (theirs, known) = *metrics.entry(metric.name).or_insert((ours, metric));
            let is_same = known.means_the_same_as(metric);
            assert!(is_same, "`{}` of `{ours}` and `{theirs}`", metric.name);
        }
        for fact in spec.facts() {
            let (theirs, known) = *facts.entry(fact.key).or_insert((ours, fact));
            let is_same = known.help == fact.help;
            assert!(is_same, "`{}` of `{ours}` and `{theirs}`", fact.key);
        }
    }
    let (metrics, facts) = (metrics.len(), facts.len());
    assert!(metrics > 200 && facts > 80, "{metrics}, {facts}");
}

/// Labels whose values a list fixes say the same wherever they stand.
#[test]
fn closed_labels_say_the_same_everywhere() {
    const CLOSED: [&str; 9] = [
        "hw.type",
        "hw.parent",
        "hw.limit_type",
        "hw.state",
        "hw.source",
        "hw.pcie.severity",
        "hw.physical_disk.state",
        "hw.bmc.protocol",
        "hw.bmc.outcome",
    ];
    let mut known: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for metric in all().flat_map(|spec| spec.metrics()) {
        let labels = metric.labels.iter();
        for label in labels.filter(|label| CLOSED.contains(&label.key)) {
            let (help, first) = *known.entry(label.key).or_insert((label.help, metric.name));
            let name = metric.name;
            assert_eq!(
                help, label.help,
                "`{}` of `{first}` and `{name}`",
                label.key
            );
        }
    }
    assert_eq!(known.len(), CLOSED.len(), "{known:?}");
}

/// Of several words for one thing, the one that OpenTelemetry or most collectors use.
#[test]
fn one_thing_has_one_name() {
    /// What is written, and what it is called here.
    const SYNONYMS: [(&str, &str); 12] = [
        ("hw.driver.version", "hw.driver_version"),
        ("hw.firmware.version", "hw.firmware_version"),
        ("hw.bios.version", "hw.bios_version"),
        ("hw.capacity", "hw.size"),
        ("hw.memory.linux.mebibytes", "hw.size"),
        ("hw.microcode", "host.cpu.microcode"),
        ("hw.gpu.board.part_number", "hw.part_number"),
        ("hw.manufacturer", "hw.vendor"),
        ("hw.gpu.pcie.generation", "hw.pcie.link.speed"),
        ("hw.gpu.pcie.width", "hw.pcie.link.width"),
        ("hw.bmc.ipmi.requests", "hw.bmc.requests"),
        ("hw.bmc.ipmi.timeouts", "hw.bmc.requests"),
    ];
    let metrics = all().flat_map(|spec| spec.metrics()).map(|one| one.name);
    let facts = all().flat_map(|spec| spec.facts()).map(|one| one.key);
    let used: BTreeSet<&str> = metrics.chain(facts).collect();
    for (synonym, name) in SYNONYMS {
        assert!(!used.contains(synonym), "`{synonym}` is `{name}`");
        assert!(used.contains(name), "nothing is called `{name}`");
    }
}

/// `hw.temperature` comes from two collectors: together they must not write one series twice.
#[test]
fn no_series_is_written_by_two_collectors() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let mut series = Series::default();
    for spec in families() {
        let mut collector: Box<dyn Collector> =
            spec.build(&fixture, &Options::defaults(spec.options()));
        let presence = collector.collect(&mut series).unwrap();
        let is_live_only = ["cpu_registers", "filesystem"].contains(&spec.name());
        assert_eq!(
            matches!(presence, Presence::Absent(_)),
            is_live_only,
            "{}",
            spec.name()
        );
    }
    assert!(series.failures.is_empty(), "{:?}", series.failures);
    let kinds: BTreeSet<&str> = LimitType::ALL.iter().map(|kind| kind.word()).collect();
    for (name, labels) in &series.written {
        if let Some(kind) = labels.get("hw.limit_type") {
            assert!(kinds.contains(kind.raw()), "{name}: {}", kind.raw());
        }
    }
    let distinct: BTreeSet<_> = series.written.iter().collect();
    assert_eq!(distinct.len(), series.written.len());
    assert!(distinct.len() > 300, "only {} series", distinct.len());
}
