//! The host collectors as the binary has them: both families together, over the fixture.

use std::collections::BTreeSet;
use std::path::Path;

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
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

/// `hw.temperature` comes from two collectors: together they must not write one series twice.
#[test]
fn no_series_is_written_by_two_collectors() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let mut series = Series::default();
    for spec in families() {
        let mut collector: Box<dyn Collector> =
            spec.build(&fixture, &Options::defaults(spec.options()));
        let presence = collector.collect(&mut series).unwrap();
        let is_live_only = spec.name() == "filesystem";
        assert_eq!(
            matches!(presence, Presence::Absent(_)),
            is_live_only,
            "{}",
            spec.name()
        );
    }
    assert!(series.failures.is_empty(), "{:?}", series.failures);
    let distinct: BTreeSet<_> = series.written.iter().collect();
    assert_eq!(distinct.len(), series.written.len());
    assert!(distinct.len() > 300, "only {} series", distinct.len());
}
