//! Threads, processes and descriptors of a probe whose worker is started again and again. Alone in its process, so that
//! the counts are those of the probe.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use glasshouse_core::collector::{Collector, CollectorSpec, Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_core::time::Interval;
use glasshouse_core::worker::Worker;
use glasshouse_probe::{Planned, ProbeSettings, Reach, Tempo, WorkerPlan, run};
use glasshouse_wire::{FrameReader, Message, Step};
use rustix::fs::{CWD, Mode, mkfifoat};

/// Nothing here takes longer on a machine that is alive.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts of the worker between the two counts.
const STARTS: u64 = 30;

#[derive(Debug)]
struct Elsewhere;

#[derive(Debug)]
struct Never;

impl CollectorSpec for Elsewhere {
    fn name(&self) -> &'static str {
        "elsewhere"
    }

    fn summary(&self) -> &'static str {
        "Runs in a worker."
    }

    fn metrics(&self) -> &'static [MetricDefinition] {
        &[]
    }

    fn default_interval(&self) -> Interval {
        Interval::from_seconds(1)
    }

    fn worker(&self) -> Option<Worker> {
        Some(Worker::Gpu)
    }

    fn build(&self, _root: &Path, _options: &Options) -> Box<dyn Collector> {
        Box::new(Never)
    }
}

impl Collector for Never {
    fn collect(&mut self, _out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        Ok(Presence::Present)
    }
}

#[test]
fn threads_processes_and_descriptors_stay_the_same_over_many_kills() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    mkfifoat(CWD, &frames, Mode::from_raw_mode(0o600)).unwrap();
    let mut fifo = File::options()
        .read(true)
        .write(true)
        .open(&frames)
        .unwrap();
    let settings = ProbeSettings {
        root: "/".into(),
        frames,
        collectors: vec![Planned {
            spec: &Elsewhere,
            options: Options::default(),
            interval: Interval::from_seconds(1),
            enabled: true,
        }],
        workers: vec![WorkerPlan {
            worker: Worker::Gpu,
            reach: Reach::Start {
                program: "/bin/sh".into(),
                // half of them end, half have to be killed
                arguments: vec![
                    "-c".into(),
                    "test $(($$ % 2)) = 0 && exit 1; kill -STOP $$".into(),
                ],
            },
        }],
        tempo: Tempo {
            status: Duration::from_millis(100),
            tick: Duration::from_millis(20),
            silence: Duration::from_millis(100),
            restart: (Duration::from_millis(10), Duration::from_millis(20)),
            reap: Duration::from_millis(500),
            ..Tempo::default()
        },
    };
    let stop = Arc::new(AtomicBool::new(false));
    let probe = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || run(settings, stop)
    });
    let mut starts = Starts::default();
    let before = starts.counts_at(&mut fifo, 3);
    let after = starts.counts_at(&mut fifo, 3 + STARTS);
    println!("after 3 starts {before:?}, after {} {after:?}", 3 + STARTS);
    assert_eq!(before.threads, after.threads);
    assert!(after.processes <= 1, "{after:?}");
    // the pipe of the worker, and one that is just being made
    assert!(
        after.descriptors.abs_diff(before.descriptors) <= 2 + PIPE,
        "{before:?} {after:?}"
    );
    stop.store(true, Ordering::Relaxed);
    probe.join().unwrap().unwrap();
    assert_eq!(processes(), 0, "none is left behind");
}

/// Starting a process takes a pipe of its own for a moment.
const PIPE: usize = 2;

#[derive(Debug)]
struct Counts {
    threads: usize,
    descriptors: usize,
    processes: usize,
}

#[derive(Default)]
struct Starts {
    reader: FrameReader,
    number: Option<u32>,
}

impl Starts {
    /// What there is when the worker has been started so often.
    fn counts_at(&mut self, fifo: &mut File, wanted: u64) -> Counts {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let Step::Frame(frame) = self.reader.next_frame(fifo).unwrap() else {
                continue;
            };
            match frame.message().unwrap() {
                Message::Define(all) => {
                    let mut all = all.iter();
                    let starts = all.find(|one| one.info.metric == "glasshouse.worker.starts");
                    self.number = starts.map(|one| one.number).or(self.number);
                }
                Message::Batch(batch) => {
                    let mut samples = batch.samples.iter();
                    let starts = samples.find(|(number, ..)| Some(*number) == self.number);
                    if let Some((_, Some(Value::U64(starts)), _)) = starts
                        && *starts >= wanted
                    {
                        return Counts {
                            threads: entries("/proc/self/task"),
                            descriptors: entries("/proc/self/fd"),
                            processes: processes(),
                        };
                    }
                }
                _ => {}
            }
        }
        panic!("waited in vain for {wanted} starts");
    }
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Children of this process, those included that nobody has waited for.
fn processes() -> usize {
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_ascii_whitespace().nth(1).map(str::to_owned)
    });
    stats.filter(|parent| *parent == own).count()
}
