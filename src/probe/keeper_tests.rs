//! A whole probe whose workers are shell scripts that play every trick.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::CollectorState;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{Clock, SystemClock};
use glasshouse_wire::{Batch, FrameWriter, Message};
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::*;
use crate::board::{Place, Slot};
use crate::queue::Queue;
use crate::series::Numbers;
use crate::settings::{ProbeError, ProbeSettings, WorkerPlan};
use crate::testing::{COUNTS, ELSEWHERE, METRICS, planned};

/// Nothing here takes longer on a machine that is alive.
const PATIENCE: Duration = Duration::from_secs(60);

/// The series of the collector beside, which must not suffer.
const INTERVAL: Duration = Duration::from_millis(100);

/// What one run of the fake worker's collector writes, as frames: numbers, a batch, a status.
fn frames(run: u64) -> Vec<u8> {
    let mut writer = FrameWriter::new(run);
    let mut bytes = Vec::new();
    for message in messages() {
        writer.append(&message.encode(), &mut bytes).unwrap();
    }
    bytes
}

fn messages() -> Vec<Message> {
    let at = SystemClock.moment();
    let metric = &METRICS[0];
    let definition = glasshouse_wire::SeriesDefinition {
        number: 77,
        info: glasshouse_core::reader::SeriesInfo {
            metric: metric.name.to_owned(),
            unit: "forged".to_owned(),
            kind: metric.kind,
            states: Vec::new(),
            help: "forged".to_owned(),
            labels: Labels::new([("b", "gpu0")]),
            collector: "elsewhere".to_owned(),
            interval: Duration::from_secs(9),
            audience: metric.audience,
        },
    };
    let status = glasshouse_core::reader::CollectorStatus {
        name: "elsewhere".to_owned(),
        interval: INTERVAL,
        state: CollectorState::Good,
        detail: glasshouse_core::text::Untrusted::default(),
        last_run: at.wall,
        duration: Duration::from_millis(3),
        series: 1,
        failures: 0,
    };
    vec![
        Message::Define(vec![definition]),
        Message::Batch(Batch {
            collector: "elsewhere".to_owned(),
            at,
            samples: vec![(77, Some(Value::U64(5)), Quality::Good)],
        }),
        Message::Status(vec![status]),
    ]
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), ProbeError>>,
    fifo: File,
    reader: FrameReader,
    folder: TempDir,
}

impl Running {
    /// A probe with a collector of its own and a worker that is this script; `$0` is a file of good frames.
    fn start(script: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let good = folder.path().join("good");
        std::fs::write(&good, frames(1)).unwrap();
        let reach = Reach::Start {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), good.into()],
        };
        Self::with(folder, reach)
    }

    fn with(folder: TempDir, reach: Reach) -> Self {
        let out = folder.path().join("frames");
        mkfifoat(CWD, &out, Mode::from_raw_mode(0o600)).unwrap();
        let fifo = File::options().read(true).write(true).open(&out).unwrap();
        let settings = ProbeSettings {
            root: "/".into(),
            frames: out,
            collectors: vec![planned(&COUNTS), planned(&ELSEWHERE)],
            workers: vec![WorkerPlan {
                worker: Worker::Gpu,
                reach,
            }],
            tempo: Tempo {
                interval: Some(INTERVAL),
                status: Duration::from_millis(200),
                tick: Duration::from_millis(20),
                silence: Duration::from_secs(1),
                restart: (Duration::from_millis(50), Duration::from_millis(200)),
                reap: Duration::from_millis(200),
                ..Tempo::default()
            },
        };
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || crate::run(settings, stop)
        });
        Self {
            stop,
            thread,
            fifo,
            reader: FrameReader::new(),
            folder,
        }
    }

    fn until<T>(&mut self, mut wanted: impl FnMut(&Message) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Step::Frame(frame) = self.reader.next_frame(&mut self.fifo).unwrap()
                && let Some(found) = wanted(&frame.message().unwrap())
            {
                return found;
            }
        }
        panic!("waited in vain");
    }

    /// Waits until the status of the worker's collector says so.
    fn until_status(&mut self, reason: FailureReason, says: &str) {
        self.until(|message| match message {
            Message::Status(all) => all
                .iter()
                .find(|status| {
                    status.name == "elsewhere"
                        && status.state == CollectorState::Failed(reason)
                        && status.detail.raw().contains(says)
                })
                .map(|_| ()),
            _ => None,
        });
    }

    /// Waits until so many workers have been started.
    fn until_starts(&mut self, wanted: u64) {
        let mut number = None;
        self.until(|message| match message {
            Message::Define(all) => {
                let starts = all
                    .iter()
                    .find(|one| one.info.metric == "glasshouse.worker.starts");
                number = starts.map(|one| one.number).or(number);
                None
            }
            Message::Batch(batch) => batch.samples.iter().find_map(|(series, value, _)| {
                let enough = matches!(value, Some(Value::U64(starts)) if *starts >= wanted);
                (Some(*series) == number && enough).then_some(())
            }),
            _ => None,
        });
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}

fn of<'a>(message: &'a Message, name: &str) -> Option<&'a Batch> {
    match message {
        Message::Batch(batch) if batch.collector == name => Some(batch),
        _ => None,
    }
}

#[test]
fn what_a_worker_reads_comes_under_the_probes_run_and_declarations() {
    let mut probe = Running::start("cat \"$0\"; exec sleep 600");
    let mut info = None;
    let sample = probe.until(|message| {
        if let Message::Define(all) = message {
            let mine = all.iter().find(|one| one.info.collector == "elsewhere");
            info = mine.cloned().or_else(|| info.take());
        }
        of(message, "elsewhere").map(|batch| batch.samples[0])
    });
    let info = info.unwrap();
    assert_eq!(sample, (info.number, Some(Value::U64(5)), Quality::Good));
    assert_eq!(
        (info.info.unit.as_str(), info.info.interval),
        ("1", INTERVAL)
    );
    assert_eq!(info.info.labels, Labels::new([("b", "gpu0")]));
    probe.stop();
}

#[test]
fn a_worker_that_is_stopped_is_killed_and_its_series_are_absent_and_a_condition() {
    // it answers once; each further start finds the device as it was left
    let mut probe = Running::start("cat \"$0\" && rm \"$0\"; kill -STOP $$");
    let (mut told, mut absent, mut wrong) = (false, None, None);
    let (row, condition) = probe.until(|message| {
        match message {
            Message::Status(all) => {
                let mut all = all.iter();
                told |= all.any(|status| status.detail.raw().contains("has not answered"));
            }
            Message::Batch(batch) if batch.collector == "elsewhere" => {
                let row = batch.samples[0];
                absent = absent.or(row.1.is_none().then_some(row));
            }
            Message::Conditions {
                collector,
                conditions,
            } if collector == "elsewhere" => {
                wrong = conditions.first().cloned().or_else(|| wrong.take());
            }
            _ => {}
        }
        if !told {
            return None;
        }
        absent.zip(wrong.clone())
    });
    assert_eq!(row.2, Quality::Absent(FailureReason::Timeout));
    assert_eq!(condition.cause, "gpu.driver_wedged");
    probe.stop();
}

#[test]
fn a_worker_that_dies_again_and_again_costs_nothing_but_its_series() {
    let mut probe = Running::start("cat \"$0\"; exit 3");
    probe.until_status(FailureReason::Io, "exit status: 3");
    probe.until_starts(5);
    probe.stop();
}

#[test]
fn garbage_and_floods_stay_in_the_workers_pipe() {
    for (script, reason, says) in [
        (
            "cat /dev/zero",
            FailureReason::Malformed,
            "did not write frames",
        ),
        (
            "cat \"$0\"; exec 1>&-; exec sleep 600",
            FailureReason::Io,
            "ended",
        ),
    ] {
        let mut probe = Running::start(script);
        probe.until_status(reason, says);
        probe.stop();
    }
    // whole frames, without end: some are taken, and the collector beside goes on as if nothing were
    let mut probe = Running::start("while :; do cat \"$0\"; done");
    let (mut mine, mut theirs) = (0u32, 0u32);
    let started = Instant::now();
    probe.until(|message| {
        mine += u32::from(of(message, "counts").is_some());
        theirs += u32::from(of(message, "elsewhere").is_some());
        (mine >= 20).then_some(())
    });
    let intervals = started.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    println!(
        "{mine} runs beside a flood in {intervals:.0} intervals, {theirs} batches of the flood"
    );
    assert!(f64::from(theirs) <= intervals * 2.0 + 16.0);
    assert!(f64::from(mine) * 2.0 >= intervals, "{mine} in {intervals}");
    probe.stop();
}

#[test]
fn a_worker_apart_is_heard_through_its_fifo_and_missed_without_it() {
    let folder = TempDir::new().unwrap();
    let fifo = folder.path().join("worker");
    let mut probe = Running::with(folder, Reach::Fifo(fifo.clone()));
    probe.until_status(FailureReason::Missing, "glasshouse probe gpu");
    mkfifoat(CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
    // a writer that began in the middle of a frame, and then whole ones
    let mut bytes = frames(7)[20..].to_vec();
    bytes.extend(frames(8));
    let mut end = File::options().read(true).write(true).open(&fifo).unwrap();
    std::io::Write::write_all(&mut end, &bytes).unwrap();
    probe.until(|message| {
        of(message, "elsewhere").filter(|batch| batch.samples[0].1.is_some())?;
        Some(())
    });
    probe.until_status(FailureReason::Timeout, "has written nothing");
    assert!(probe.folder.path().exists());
    probe.stop();
}

/// A keeper that reads nothing, with the slot of its collector.
fn keeper(root: &Path) -> (Keeper, Arc<Slot>) {
    let place = Place::new(&ELSEWHERE, INTERVAL, &Tempo::default());
    let slot = Arc::new(Slot::new(place, CollectorState::Absent));
    let mut relay = Relay::new(&Arc::new(Queue::new(8)));
    relay.add(
        planned(&ELSEWHERE),
        INTERVAL,
        Arc::clone(&slot),
        Numbers::new(),
    );
    let keeper = Keeper {
        worker: Worker::Gpu,
        reach: Reach::Fifo(root.join("none")),
        root: root.to_owned(),
        tempo: Tempo {
            reap: Duration::from_millis(100),
            ..Tempo::default()
        },
        relay,
        stop: Arc::default(),
        counts: Arc::default(),
    };
    (keeper, slot)
}

#[test]
fn a_run_that_changes_with_each_frame_is_refused() {
    let (mut keeper, _) = keeper("/".as_ref());
    let mut run = None;
    let known = (0..1000).filter(|said| keeper.knows(&mut run, *said));
    assert!(known.count() < 10);
    let last = run.unwrap();
    assert!(
        keeper.knows(&mut run, last),
        "the run that goes on is heard"
    );
    assert!(keeper.counts.lock().unwrap().starts < 10);
}

/// A process that the kernel does not let go for a while.
struct Immortal {
    asked: u32,
    kills: u32,
}

impl Mortal for Immortal {
    fn id(&self) -> u32 {
        4711
    }

    fn kill(&mut self) {
        self.kills += 1;
    }

    fn ended(&mut self) -> Option<String> {
        self.asked += 1;
        (self.asked > 10).then(|| "signal: 9 (SIGKILL)".to_owned())
    }
}

#[test]
fn a_process_that_does_not_go_is_waited_for_and_told_of() {
    let (keeper, slot) = keeper("/".as_ref());
    let mut process = Immortal { asked: 0, kills: 0 };
    let how = keeper.bury(&mut process, None);
    assert_eq!(how.as_deref(), Some("signal: 9 (SIGKILL)"));
    assert_eq!(process.kills, 1, "it had closed its output and went on");
    let status = slot.status();
    assert_eq!(status.state, CollectorState::Failed(FailureReason::Timeout));
    let detail = status.detail.raw();
    assert!(detail.contains("process 4711"), "{detail}");
    assert!(detail.contains("the driver does not let it go"), "{detail}");
}

#[test]
fn nothing_is_started_for_hardware_that_is_not_there() {
    let folder = TempDir::new().unwrap();
    let (keeper, slot) = keeper(folder.path());
    assert!(!keeper.is_wanted());
    assert_eq!(slot.status().detail.raw(), "no `elsewhere`");
    std::fs::write(folder.path().join("elsewhere"), "").unwrap();
    assert!(keeper.is_wanted());
}
