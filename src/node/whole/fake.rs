//! Collectors that count, and the folder that a probe and a node share.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::{Audience, LabelDefinition, MetricDefinition, MetricKind, ValueType};
use glasshouse_core::options::Options;
use glasshouse_core::reader::{
    Aggregation, Budget, Inventory, InventoryReader, RangeQuery, SampleReader, Selector,
};
use glasshouse_core::sample::Value;
use glasshouse_core::time::{Clock, Interval, SystemClock, Timestamp, Window};
use glasshouse_probe::{Planned, ProbeSettings};
use glasshouse_store::inventory::InventoryFile;
use glasshouse_store::{Keep, StoreReader, StoreSettings};
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use crate::{NodeSettings, Tempo};

/// Nothing here takes longer on a machine that is alive.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";

static METRICS: [MetricDefinition; 1] = [MetricDefinition {
    name: "test.count",
    unit: "1",
    kind: MetricKind::Gauge,
    value: ValueType::U64,
    help: "How often the collector has run in this process.",
    is_not: "Not how often it should have.",
    labels: &[
        LabelDefinition {
            key: "collector",
            help: "Which.",
        },
        LabelDefinition {
            key: "process",
            help: "Its process.",
        },
    ],
    source: "a test",
    audience: Audience::Operator,
}];

static FACTS: [FactDefinition; 1] = [FactDefinition {
    key: "test.fact",
    help: "A fact.",
    source: "a test",
}];

/// Counts 1, 2, 3 …, and writes each count to a file below the root before it tells anybody.
#[derive(Debug)]
struct Counts(&'static str);

#[derive(Debug)]
struct Counting {
    name: &'static str,
    count: u64,
    process: String,
    journal: PathBuf,
}

impl CollectorSpec for Counts {
    fn name(&self) -> &'static str {
        self.0
    }

    fn summary(&self) -> &'static str {
        "Counts its runs."
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

    fn build(&self, root: &Path, _: &Options) -> Box<dyn Collector> {
        let process = std::process::id().to_string();
        Box::new(Counting {
            name: self.0,
            count: 0,
            journal: root.join(format!("count-{}-{process}", self.0)),
            process,
        })
    }
}

impl Collector for Counting {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        self.count += 1;
        std::fs::write(&self.journal, self.count.to_string()).unwrap();
        let labels = [self.name, &self.process];
        out.sample(&METRICS[0], &labels, Value::U64(self.count));
        out.fact(&FACTS[0], "test", "counts");
        Ok(Presence::Present)
    }
}

static FIRST: Counts = Counts("first");
static SECOND: Counts = Counts("second");

/// A state folder, a FIFO that somebody holds open, and a place for journals.
pub(super) struct House {
    pub(super) dir: TempDir,
    pub(super) fifo: File,
}

impl House {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("frames");
        mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let fifo = File::options().read(true).write(true).open(path).unwrap();
        Self { dir, fifo }
    }

    pub(super) fn reader(&self) -> StoreReader {
        StoreReader::open(&self.dir.path().join("state/store"))
    }

    pub(super) fn inventory(&self) -> Option<Arc<Inventory>> {
        InventoryFile::new(&self.dir.path().join("state/inventory"))
            .inventory()
            .ok()
    }

    /// Waits until the inventory satisfies.
    pub(super) fn inventory_with(&self, wanted: impl Fn(&Inventory) -> bool) -> Arc<Inventory> {
        wait_until(|| self.inventory().filter(|inventory| wanted(inventory)))
    }

    /// The counts that were stored: (collector, process) with the number of samples and the highest.
    pub(super) fn counts(&self, since: Timestamp) -> Vec<(String, String, u64, u64)> {
        let now = SystemClock.now();
        let query = RangeQuery {
            selector: Selector::metric("test.count"),
            window: Window {
                from: since,
                to: now.after(Duration::from_secs(1)),
            },
            step: Duration::from_secs(1),
            aggregation: Aggregation::Max,
            offset: 0,
            budget: Budget {
                series: 1000,
                points: 1_000_000,
                bytes: u64::MAX,
            },
        };
        let Ok(answer) = self.reader().range(&query) else {
            return Vec::new();
        };
        assert!(answer.truncated.is_empty(), "{}", answer.truncated);
        let counts = answer.series.iter().map(|series| {
            let label = |key| series.series.labels.get(key).unwrap().raw().to_owned();
            let highest = series.values.iter().flatten().copied().fold(0.0, f64::max);
            (
                label("collector"),
                label("process"),
                series.samples,
                format!("{highest:.0}").parse().unwrap(),
            )
        });
        counts.collect()
    }

    /// What a collector of a process had counted when it ended.
    pub(super) fn journal(&self, collector: &str, process: &str) -> u64 {
        let path = self.dir.path().join(format!("count-{collector}-{process}"));
        // a process that was killed while it wrote leaves an empty file
        std::fs::read_to_string(path).unwrap().parse().unwrap_or(0)
    }
}

pub(super) fn probe_settings(dir: &Path, interval: Duration) -> ProbeSettings {
    let planned = |spec: &'static Counts| Planned {
        spec,
        options: Options::default(),
        interval: spec.default_interval(),
        enabled: true,
    };
    ProbeSettings {
        root: dir.to_owned(),
        frames: dir.join("frames"),
        collectors: vec![planned(&FIRST), planned(&SECOND)],
        workers: Vec::new(),
        tempo: glasshouse_probe::Tempo {
            interval: Some(interval),
            status: Duration::from_millis(200),
            tick: Duration::from_millis(50),
            ..glasshouse_probe::Tempo::default()
        },
    }
}

pub(super) fn node_settings(dir: &Path) -> NodeSettings {
    NodeSettings {
        state_dir: dir.join("state"),
        frames: dir.join("frames"),
        machine_id: Some(MACHINE_ID.to_owned()),
        host_name: Some("test-host".to_owned()),
        store: StoreSettings {
            // so that heads are sealed while the tests run
            rotate: Duration::from_secs(2),
            retry: Duration::from_millis(500),
            ..StoreSettings::default()
        },
        logs: Keep::default(),
        checkpoint_key: dir.join("state/checkpoints/key"),
        remote: None,
        tempo: Tempo {
            maintenance: Duration::from_millis(100),
            inventory: Duration::from_millis(500),
            checkpoint: Duration::from_millis(200),
            partial: Duration::from_millis(300),
            silence: Duration::from_millis(1500),
            grace: Duration::from_millis(1000),
        },
    }
}

/// Something that runs on a thread until it is told to stop.
pub(super) struct Running<E> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), E>>,
}

impl<E: std::fmt::Debug> Running<E> {
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}

pub(super) fn start_node(house: &House) -> Running<crate::NodeError> {
    let settings = node_settings(house.dir.path());
    start(move |stop| crate::run(settings, stop))
}

pub(super) fn start_probe(house: &House) -> Running<glasshouse_probe::ProbeError> {
    let settings = probe_settings(house.dir.path(), Duration::from_millis(20));
    start(move |stop| glasshouse_probe::run(settings, stop))
}

fn start<E: Send + 'static>(
    body: impl FnOnce(Arc<AtomicBool>) -> Result<(), E> + Send + 'static,
) -> Running<E> {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || body(stop)
    });
    Running { stop, thread }
}

/// Asks until there is an answer.
pub(super) fn wait_until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}
