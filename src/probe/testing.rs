//! Collectors for tests.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::LogSource;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::time::Interval;
use glasshouse_core::worker::Worker;

use crate::settings::Planned;

const fn metric(name: &'static str, value: ValueType) -> MetricDefinition {
    MetricDefinition {
        name,
        unit: "1",
        kind: MetricKind::Gauge,
        value,
        help: "A number.",
        is_not: "Not a word.",
        labels: &[
            LabelDefinition {
                key: "b",
                help: "The first.",
            },
            LabelDefinition {
                key: "a",
                help: "The second.",
            },
        ],
        source: "a test",
        audience: Audience::Operator,
    }
}

pub(crate) static METRICS: [MetricDefinition; 3] = [
    metric("test.whole", ValueType::U64),
    metric("test.float", ValueType::F64),
    metric("test.state", ValueType::State(&["off", "on"])),
];

pub(crate) static UNDECLARED: MetricDefinition = metric("test.undeclared", ValueType::U64);

pub(crate) static FACTS: [FactDefinition; 1] = [FactDefinition {
    key: "test.fact",
    help: "A fact.",
    source: "a test",
}];

/// What a fake does in its run number n, counted from 1.
pub(crate) type Act = fn(u64, &mut dyn SampleWriter) -> Result<Presence, CollectError>;

#[derive(Debug)]
pub(crate) struct FakeSpec {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) worker: Option<Worker>,
}

#[derive(Debug)]
struct Fake {
    run: u64,
    act: Act,
}

impl CollectorSpec for FakeSpec {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        "Does what a test wants."
    }

    fn metrics(&self) -> &'static [MetricDefinition] {
        &METRICS
    }

    fn facts(&self) -> &'static [FactDefinition] {
        &FACTS
    }

    fn default_interval(&self) -> Interval {
        Interval::from_seconds(1)
    }

    fn worker(&self) -> Option<Worker> {
        self.worker
    }

    fn log_source(&self) -> Option<LogSource> {
        Some(LogSource::Gpu)
    }

    fn causes(&self) -> &'static [&'static str] {
        &["gpu.lost"]
    }

    fn look(&self, root: &Path, _options: &Options) -> Presence {
        if root.join(self.name).exists() || root == Path::new("/") {
            Presence::Present
        } else {
            Presence::Absent(format!("no `{}`", self.name))
        }
    }

    fn build(&self, _root: &Path, _options: &Options) -> Box<dyn Collector> {
        Box::new(Fake {
            run: 0,
            act: self.act,
        })
    }
}

impl Collector for Fake {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        self.run += 1;
        (self.act)(self.run, out)
    }
}

/// Writes 1, 2, 3 …
pub(crate) static COUNTS: FakeSpec = FakeSpec {
    name: "counts",
    worker: None,
    act: |run, out| {
        out.sample(&METRICS[0], &[], Value::U64(run));
        out.fact(&FACTS[0], "test", "same");
        Ok(Presence::Present)
    },
};

/// Lets the collector that hangs go.
pub(crate) static LET_GO: AtomicBool = AtomicBool::new(false);

/// Writes once, and then hangs until it is let go.
pub(crate) static HANGS: FakeSpec = FakeSpec {
    name: "hangs",
    worker: None,
    act: |run, out| {
        while run == 2 && !LET_GO.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        out.sample(&METRICS[0], &["hangs"], Value::U64(run));
        Ok(Presence::Present)
    },
};

/// Makes a call in its second run that does not come back before it is let go.
pub(crate) static CALLS: FakeSpec = FakeSpec {
    name: "calls",
    worker: None,
    act: |run, out| {
        out.sample(&METRICS[0], &["calls"], Value::U64(run));
        if run == 2 {
            out.calling("short");
            out.calling("fake_call");
            while !LET_CALL_GO.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(Presence::Present)
    },
};

/// Lets the call of `CALLS` go.
pub(crate) static LET_CALL_GO: AtomicBool = AtomicBool::new(false);

/// Makes a call at once that never comes back.
pub(crate) static WEDGED: FakeSpec = FakeSpec {
    name: "wedged",
    worker: Some(Worker::Gpu),
    act: |_, out| {
        out.calling("wedged_call");
        loop {
            std::thread::park();
        }
    },
};

/// What nobody runs in these tests: its worker is a script.
pub(crate) static ELSEWHERE: FakeSpec = FakeSpec {
    name: "elsewhere",
    worker: Some(Worker::Gpu),
    act: |_, _| Ok(Presence::Present),
};

/// Panics in its second run.
pub(crate) static PANICS: FakeSpec = FakeSpec {
    name: "panics",
    worker: None,
    act: |run, out| {
        assert!(run < 2, "this panic is wanted by a test");
        out.sample(&METRICS[0], &["panics"], Value::U64(run));
        Ok(Presence::Present)
    },
};

/// Is not there.
pub(crate) static ABSENT: FakeSpec = FakeSpec {
    name: "absent",
    worker: None,
    act: |_, _| Ok(Presence::Absent("no test device".to_owned())),
};

pub(crate) fn planned(spec: &'static FakeSpec) -> Planned {
    Planned {
        spec,
        options: Options::default(),
        interval: spec.default_interval(),
        enabled: true,
    }
}

pub(crate) fn denied(path: &str) -> CollectError {
    CollectError {
        path: path.into(),
        line: None,
        reason: FailureReason::Denied,
        detail: "permission denied".to_owned(),
    }
}
