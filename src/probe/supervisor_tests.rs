//! A whole probe on a real FIFO.

use std::fs::File;
use std::path::PathBuf;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::reader::CollectorStatus;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::Timestamp;
use glasshouse_wire::{Batch, FrameReader, Step};
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::*;
use crate::settings::Tempo;
use crate::testing::{ABSENT, COUNTS, FakeSpec, HANGS, LET_GO, PANICS, planned};

/// Nothing here takes longer on a machine that is alive.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), ProbeError>>,
    fifo: File,
    reader: FrameReader,
    _folder: TempDir,
}

impl Running {
    fn start(specs: &[&'static FakeSpec], tempo: Tempo) -> Self {
        let folder = TempDir::new().unwrap();
        let frames: PathBuf = folder.path().join("frames");
        mkfifoat(CWD, &frames, Mode::from_raw_mode(0o600)).unwrap();
        let fifo = File::options()
            .read(true)
            .write(true)
            .open(&frames)
            .unwrap();
        let settings = ProbeSettings {
            root: "/".into(),
            frames,
            collectors: specs.iter().map(|spec| planned(spec)).collect(),
            workers: Vec::new(),
            tempo,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || run(settings, stop)
        });
        Self {
            stop,
            thread,
            fifo,
            reader: FrameReader::new(),
            _folder: folder,
        }
    }

    /// Takes messages until one satisfies.
    fn until<T>(&mut self, mut wanted: impl FnMut(&Message) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            // opened for reading and writing, so this never ends, and the heartbeats wake it
            if let Step::Frame(frame) = self.reader.next_frame(&mut self.fifo).unwrap()
                && let Some(found) = wanted(&frame.message().unwrap())
            {
                return found;
            }
        }
        panic!("waited in vain");
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}

fn hurry() -> Tempo {
    Tempo {
        interval: Some(Duration::from_millis(20)),
        deadline: (Duration::from_secs(2), Duration::from_secs(2)),
        status: Duration::from_millis(100),
        tick: Duration::from_millis(20),
        queue: Duration::from_millis(200),
        ..Tempo::default()
    }
}

fn batch_of<'a>(message: &'a Message, name: &str) -> Option<&'a Batch> {
    match message {
        Message::Batch(batch) if batch.collector == name => Some(batch),
        _ => None,
    }
}

fn status_of<'a>(message: &'a Message, name: &str) -> Option<&'a CollectorStatus> {
    match message {
        Message::Status(statuses) => statuses.iter().find(|status| status.name == name),
        _ => None,
    }
}

#[test]
fn definitions_come_before_their_use_and_nothing_is_missing() {
    let mut probe = Running::start(&[&COUNTS, &ABSENT], hurry());
    let mut defined = Vec::new();
    let mut expected = 1;
    let mut facts = 0;
    probe.until(|message| {
        match message {
            Message::Define(definitions) => {
                defined.extend(definitions.iter().map(|definition| definition.number));
            }
            Message::Batch(batch) => {
                assert!(
                    batch
                        .samples
                        .iter()
                        .all(|(number, ..)| defined.contains(number))
                );
            }
            Message::Facts { .. } => facts += 1,
            _ => {}
        }
        let batch = batch_of(message, "counts")?;
        assert_eq!(batch.samples[0].1, Some(Value::U64(expected)));
        expected += 1;
        (expected > 50).then_some(())
    });
    assert_eq!(
        facts, 1,
        "facts that do not change are not sent again so soon"
    );
    let absent = probe.until(|message| status_of(message, "absent").cloned());
    assert_eq!(
        (absent.state, absent.detail.raw()),
        (CollectorState::Absent, "no test device")
    );
    let own = probe.until(|message| batch_of(message, OWN_COLLECTOR).cloned());
    assert_eq!(own.samples.len(), 2 * 3 + 3 + 3);
    let own = probe.until(|message| {
        let status = status_of(message, OWN_COLLECTOR).cloned();
        status.filter(|status| status.last_run != Timestamp::default())
    });
    assert_eq!(
        (own.state, own.series, own.interval),
        (CollectorState::Good, 2 * 3 + 3 + 3, hurry().status)
    );
    assert_eq!(probe.reader.counts().resyncs, 0);
    probe.stop();
}

#[test]
fn a_collector_that_hangs_costs_its_own_series_only() {
    let mut probe = Running::start(&[&HANGS, &COUNTS], hurry());
    let hanging = |message: &Message| {
        status_of(message, "hangs")
            .filter(|status| status.state == CollectorState::Failed(FailureReason::Timeout))
            .cloned()
    };
    let status = probe.until(hanging);
    assert!(
        status.detail.raw().contains("has not answered"),
        "{status:?}"
    );
    let mut last = None;
    let mut more = 0;
    probe.until(|message| {
        assert!(
            batch_of(message, "hangs")
                .is_none_or(|batch| { batch.samples[0].1 == Some(Value::U64(1)) })
        );
        let Some(Value::U64(count)) = batch_of(message, "counts")?.samples[0].1 else {
            panic!("no count");
        };
        assert!(
            last.is_none_or(|last| count == last + 1),
            "the others keep on"
        );
        last = Some(count);
        more += 1;
        (more > 30).then_some(())
    });
    LET_GO.store(true, Ordering::Relaxed);
    let after = probe.until(|message| batch_of(message, "hangs").cloned());
    assert_eq!(
        after.samples[0].1,
        Some(Value::U64(3)),
        "what was late is thrown away"
    );
    probe.until(|message| {
        status_of(message, "hangs")
            .filter(|status| status.state == CollectorState::Good)
            .cloned()
    });
    probe.stop();
}

#[test]
fn a_reader_that_is_stuck_costs_the_oldest_batches_and_they_are_counted() {
    let mut probe = Running::start(&[&COUNTS], hurry());
    // the pipe takes 64 KiB, the queue 16 batches; then batches are dropped
    let filler = vec![0; 65_536 - 4096];
    std::io::Write::write_all(&mut probe.fifo, &filler).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let mut seen: Vec<u64> = Vec::new();
    let mut gaps = 0;
    let mut told = false;
    // the count may come before the gap that it counts, and grows while batches of the supervisor are dropped too
    probe.until(|message| {
        if let Some(batch) = batch_of(message, "counts")
            && let Some(Value::U64(count)) = batch.samples[0].1
        {
            gaps += seen.last().map_or(0, |last| count - last - 1);
            seen.push(count);
        }
        told |= status_of(message, OWN_COLLECTOR).is_some_and(|own| {
            own.state == CollectorState::Partial(FailureReason::Timeout)
                && own.detail.raw().contains("batches were dropped")
        });
        match message {
            Message::Heartbeat(beat) => {
                (told && gaps > 0 && beat.batches_dropped >= gaps).then_some(())
            }
            _ => None,
        }
    });
    assert_eq!(seen[0], 1, "what was in the pipe is not lost");
    assert!(told, "people see it too");
    probe.stop();
}

#[test]
fn a_collector_that_panics_is_built_anew() {
    let mut probe = Running::start(&[&PANICS], hurry());
    for _ in 0..3 {
        // a machine that is busy may take three periods over the panic
        let with_value = |batch: &&Batch| batch.samples[0].1.is_some();
        let batch = probe.until(|message| batch_of(message, "panics").filter(with_value).cloned());
        assert_eq!(batch.samples[0].1, Some(Value::U64(1)));
    }
    probe.until(|message| {
        status_of(message, "panics")
            .filter(|status| status.failures >= 2)
            .cloned()
    });
    probe.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_node_that_is_not_there() {
    let folder = TempDir::new().unwrap();
    let settings = ProbeSettings {
        root: "/".into(),
        frames: folder.path().join("frames"),
        collectors: vec![planned(&COUNTS)],
        workers: Vec::new(),
        tempo: hurry(),
    };
    run(settings, Arc::new(AtomicBool::new(true))).unwrap();
}

#[test]
fn a_single_run_gives_samples_facts_and_status() {
    let mut off = planned(&COUNTS);
    off.enabled = false;
    let all = crate::collect_once("/".as_ref(), &[planned(&COUNTS), planned(&ABSENT), off]);
    let states: Vec<_> = all.iter().map(|one| one.status.state).collect();
    assert_eq!(
        states,
        [
            CollectorState::Good,
            CollectorState::Absent,
            CollectorState::Disabled
        ]
    );
    assert_eq!(all[0].samples[0].value, Some(Value::U64(1)));
    assert_eq!(all[0].samples[0].series.metric, "test.whole");
    assert_eq!(all[0].facts[0].value.raw(), "same");
    assert!(all[1].samples.is_empty() && all[2].samples.is_empty());
}

#[test]
fn a_call_that_does_not_come_back_is_named_and_its_series_are_absent() {
    use crate::testing::{CALLS, LET_CALL_GO};

    let tempo = Tempo {
        deadline: (Duration::from_millis(300), Duration::from_millis(300)),
        stall: Duration::from_secs(1),
        ..hurry()
    };
    let mut probe = Running::start(&[&COUNTS, &CALLS], tempo);
    let absent = Quality::Absent(FailureReason::Timeout);
    let wrong = |message: &Message| match message {
        Message::Conditions {
            collector,
            conditions,
        } if collector == "calls" => Some(conditions.clone()),
        _ => None,
    };
    let (mut detail, mut blanked, mut count) = (String::new(), false, 0);
    // the condition comes last, a while after the rest
    let condition = probe.until(|message| {
        count += u32::from(batch_of(message, "counts").is_some());
        blanked |= batch_of(message, "calls").is_some_and(|batch| batch.samples[0].2 == absent);
        if let Some(status) = status_of(message, "calls")
            && matches!(status.state, CollectorState::Failed(_))
        {
            status.detail.raw().clone_into(&mut detail);
        }
        wrong(message).filter(|conditions| !conditions.is_empty())
    });
    assert!(
        detail.starts_with("`fake_call` has not answered"),
        "{detail}"
    );
    assert!(blanked, "what is known of it is absent");
    assert_eq!(condition[0].cause, "collector.stalled");
    assert!(condition[0].detail.raw().contains("fake_call"));
    assert!(count > 5, "others go on: {count}");
    LET_CALL_GO.store(true, Ordering::Relaxed);
    let mut is_back = false;
    probe.until(|message| {
        is_back |= batch_of(message, "calls").is_some_and(|batch| batch.samples[0].1.is_some());
        wrong(message).filter(Vec::is_empty)
    });
    assert!(is_back || probe.until(|message| batch_of(message, "calls").map(|_| true)));
    probe.stop();
}

#[test]
fn a_worker_ends_itself_when_a_call_does_not_come_back() {
    use crate::testing::WEDGED;

    let folder = TempDir::new().unwrap();
    let frames: PathBuf = folder.path().join("frames");
    mkfifoat(CWD, &frames, Mode::from_raw_mode(0o600)).unwrap();
    let mut fifo = File::options()
        .read(true)
        .write(true)
        .open(&frames)
        .unwrap();
    let settings = ProbeSettings {
        root: "/".into(),
        frames: frames.clone(),
        collectors: vec![planned(&WEDGED)],
        workers: Vec::new(),
        tempo: Tempo {
            deadline: (Duration::from_millis(200), Duration::from_millis(200)),
            ..hurry()
        },
    };
    let output = Output::Fifo(frames);
    let ended = run_worker(settings, output, Arc::new(AtomicBool::new(false)));
    assert!(
        matches!(&ended, Err(ProbeError::Hung { collector: "wedged", detail }) if detail.contains("wedged_call")),
        "{ended:?}"
    );
    let mut reader = FrameReader::new();
    loop {
        if let Step::Frame(frame) = reader.next_frame(&mut fifo).unwrap()
            && let Message::Status(all) = frame.message().unwrap()
            && all[0].state == CollectorState::Failed(FailureReason::Timeout)
        {
            break;
        }
    }
}

#[test]
fn a_single_run_does_not_wait_for_ever() {
    use crate::testing::WEDGED;

    let all = crate::once::collect_within(
        "/".as_ref(),
        &[planned(&WEDGED), planned(&COUNTS)],
        &Tempo {
            deadline: (Duration::from_millis(200), Duration::from_millis(200)),
            ..hurry()
        },
    );
    assert_eq!(
        all[0].status.state,
        CollectorState::Failed(FailureReason::Timeout)
    );
    assert!(all[0].status.detail.raw().contains("wedged_call"));
    assert_eq!(all[1].status.state, CollectorState::Good);
}
