//! The checks that every collector has to pass, for the tests of the families.
//!
//! [`violations`] is the one call. It judges the definitions, runs the collector over an empty root and over a fixture,
//! then breaks every file that the collector read, in many ways. It returns sentences; a test asserts that there are none.

mod definitions;
mod hostile;
mod recording;

use std::cell::RefCell;
use std::path::Path;

use glasshouse_core::collector::{CollectorSpec, Presence};
use glasshouse_core::options::Options;

pub use definitions::definition_violations;
pub use hostile::hostile_violations;
pub use recording::{RecordedSample, Recording, record};

/// Everything that a collector does wrong, given a fixture in which its source exists. Empty is a pass.
#[must_use]
pub fn violations(spec: &dyn CollectorSpec, fixture: &Path) -> Vec<String> {
    let mut found = definition_violations(spec);
    found.extend(empty_root_violations(spec));
    found.extend(fixture_violations(spec, fixture));
    found.extend(hostile_violations(spec, fixture));
    for violation in &mut found {
        violation.insert_str(0, &format!("{}: ", spec.name()));
    }
    found
}

/// On a machine that has nothing, a collector is absent and silent.
#[must_use]
pub fn empty_root_violations(spec: &dyn CollectorSpec) -> Vec<String> {
    let mut found = Vec::new();
    let directory = match tempfile::tempdir() {
        Ok(directory) => directory,
        Err(error) => return vec![format!("no temporary directory: {error}")],
    };
    for root in [directory.path(), &directory.path().join("missing")] {
        let recording = record(spec, root);
        match &recording.outcome {
            Ok(Presence::Absent(_)) => {}
            other => found.push(format!("an empty root is not absent but {other:?}")),
        }
        if !recording.samples.is_empty()
            || !recording.facts.is_empty()
            || !recording.failures.is_empty()
        {
            found.push("an empty root is not silent".to_owned());
        }
    }
    found
}

/// On the fixture it is present, says only what it declared, and says each thing once, also the second time.
fn fixture_violations(spec: &dyn CollectorSpec, fixture: &Path) -> Vec<String> {
    let mut collector = spec.build(fixture, &Options::defaults(spec.options()));
    let mut found = Vec::new();
    let first = Recording::of(collector.as_mut());
    let second = Recording::of(collector.as_mut());
    for recording in [&first, &second] {
        if !matches!(recording.outcome, Ok(Presence::Present)) {
            found.push(format!("the fixture gives {:?}", recording.outcome));
        }
        found.extend(recording.violations(spec));
        found.extend(recording.duplicates());
    }
    if first.series() != second.series() {
        found.push("the second run has other series than the first".to_owned());
    }
    found
}

thread_local! {
    static OPENED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Remembers a path that was opened, while [`opened_by`] listens on this thread.
pub(crate) fn note_opened(path: &str) {
    OPENED.with_borrow_mut(|opened| {
        if let Some(paths) = opened {
            paths.push(path.to_owned());
        }
    });
}

/// The paths below the root that `run` opened through a [`crate::SysRoot`], sorted, each once.
pub fn opened_by(run: impl FnOnce()) -> Vec<String> {
    OPENED.with_borrow_mut(|opened| *opened = Some(Vec::new()));
    run();
    let mut paths = OPENED.take().unwrap_or_default();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use glasshouse_core::collector::{Collector, SampleWriter};
    use glasshouse_core::failure::CollectError;
    use glasshouse_core::metric::{Audience, MetricDefinition, MetricKind, ValueType};
    use glasshouse_core::sample::Value;

    use super::*;
    use crate::{Spec, SysRoot, presence};

    static METRICS: [MetricDefinition; 1] = [MetricDefinition {
        name: "hw.test.value",
        unit: "{state}",
        kind: MetricKind::Gauge,
        value: ValueType::U64,
        help: "A number in a file.",
        is_not: "Not of any machine.",
        labels: &[],
        source: "/value",
        audience: Audience::Glasshouse,
    }];

    /// Reads one number, in one of several wrong ways.
    #[derive(Debug)]
    struct Reader {
        root: SysRoot,
        manner: Manner,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Manner {
        Right,
        Silent,
        Panicking,
        Undeclared,
        Zero,
    }

    impl Collector for Reader {
        fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
            let number = self.root.read_u64("value");
            match (self.manner, &number) {
                (Manner::Silent, Err(_)) if self.root.exists("value") => {
                    return Ok(Presence::Present);
                }
                (Manner::Panicking, Err(_)) if self.root.exists("value") => panic!("garbage"),
                (Manner::Undeclared, Ok(_)) => {
                    out.sample(&METRICS[0], &["label"], Value::F64(f64::NAN));
                }
                (Manner::Zero, Err(_)) => out.sample(&METRICS[0], &[], Value::U64(0)),
                (_, Ok(number)) => out.sample(&METRICS[0], &[], Value::U64(*number)),
                _ => {}
            }
            presence(number.map(drop))
        }
    }

    const fn spec(build: fn(SysRoot, &Options) -> Box<dyn Collector>) -> Spec {
        Spec {
            name: "test",
            summary: "A number.",
            metrics: &METRICS,
            facts: &[],
            options: &[],
            interval_seconds: 1,
            needs: "",
            build,
        }
    }

    macro_rules! reader {
        ($manner:expr) => {
            spec(|root, _| {
                Box::new(Reader {
                    root,
                    manner: $manner,
                })
            })
        };
    }

    #[test]
    fn the_checks_can_fail() {
        let fixture = tempfile::tempdir().unwrap();
        std::fs::write(fixture.path().join("value"), "12\n").unwrap();
        let judged = |spec: Spec| violations(&spec, fixture.path()).join("\n");
        assert_eq!(judged(reader!(Manner::Right)), "");
        for (spec, told) in [
            (reader!(Manner::Silent), "in silence"),
            (reader!(Manner::Panicking), "it panics over `value`"),
            (reader!(Manner::Undeclared), "more labels than declared"),
            (reader!(Manner::Zero), "an empty root is not silent"),
        ] {
            let found = judged(spec);
            assert!(found.contains(told), "{told}: {found}");
        }
    }
}
