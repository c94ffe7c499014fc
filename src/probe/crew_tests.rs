//! Collectors that hang together, and a tick that is one for all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};

use glasshouse_core::collector::{Presence, SampleWriter};
use glasshouse_core::failure::CollectError;
use glasshouse_core::reader::CollectorState;

use super::*;
use crate::board::{Place, Slot};
use crate::queue::Next;
use crate::recorder::Recorder;
use crate::series::{Numbers, Owner};
use crate::settings::Tempo;
use crate::testing::{COUNTS, FakeSpec, PANICS, planned};

const INTERVAL: Duration = Duration::from_millis(20);

/// Nothing here takes longer on a machine that is alive.
const LONG: Duration = Duration::from_secs(60);

static HELD: AtomicBool = AtomicBool::new(true);
static HANGING: AtomicU64 = AtomicU64::new(0);

fn hang(run: u64, _: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
    if run == 2 {
        HANGING.fetch_add(1, Atomic::Relaxed);
        while HELD.load(Atomic::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(Presence::Present)
}

const fn hanging(name: &'static str) -> FakeSpec {
    FakeSpec {
        name,
        worker: None,
        act: hang,
    }
}

static HANGS: [FakeSpec; 5] = [
    hanging("hangs_1"),
    hanging("hangs_2"),
    hanging("hangs_3"),
    hanging("hangs_4"),
    hanging("hangs_5"),
];

fn runner(spec: &'static FakeSpec, queue: &Arc<Queue>) -> Runner {
    let planned = planned(spec);
    let owner = Owner {
        collector: spec.name,
        metrics: planned.spec.metrics(),
        interval: INTERVAL,
    };
    let place = Place::new(planned.spec, INTERVAL, &Tempo::default());
    let slot = Arc::new(Slot::new(place, CollectorState::Absent));
    Runner {
        recorder: Recorder::new(owner, planned.spec.facts(), Numbers::new()).watched_by(&slot),
        planned,
        root: "/".into(),
        interval: INTERVAL,
        slot,
        queue: Arc::clone(queue),
        collector: None,
    }
}

fn eventually(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn drain(queue: &Queue) -> usize {
    std::iter::from_fn(|| match queue.next() {
        Next::Payload(payload) => Some(payload),
        Next::Idle | Next::Closed => None,
    })
    .count()
}

#[test]
fn collectors_that_hang_together_keep_a_member_each_and_stop_nobody_else() {
    let queue = Arc::new(Queue::new(10_000));
    let crew = Crew::new(&queue, 256 * 1024);
    let mut runners: Vec<Runner> = HANGS.iter().map(|spec| runner(spec, &queue)).collect();
    runners.push(runner(&COUNTS, &queue));
    let slots: Vec<Arc<Slot>> = runners.iter().map(|one| Arc::clone(&one.slot)).collect();
    crew.take_on(runners).unwrap();
    let hung = u64::try_from(HANGS.len()).unwrap();
    eventually(|| HANGING.load(Atomic::Relaxed) == hung);
    drain(&queue);
    let mut payloads = 0;
    eventually(|| {
        payloads += drain(&queue);
        payloads > 30
    });
    // one in each device, one leads, one stands by
    let most = HANGS.len() + 2;
    let members = crew.lock().members.len();
    assert!(members <= most, "{members} members");
    let runs = |slot: &Slot| slot.status().last_run;
    let before: Vec<_> = slots.iter().map(|slot| runs(slot)).collect();
    HELD.store(false, Atomic::Relaxed);
    eventually(|| {
        slots
            .iter()
            .zip(&before)
            .all(|(slot, before)| runs(slot) > *before)
    });
    assert!(
        crew.lock().members.len() <= most,
        "nobody is made in place of who came back"
    );
    crew.close();
    eventually(|| crew.has_ended());
}

#[test]
fn a_tick_wakes_the_writer_when_all_have_run() {
    let queue = Arc::new(Queue::new(10_000));
    let crew = Crew::new(&queue, 256 * 1024);
    let writer = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            queue.wait(LONG);
            drain(&queue)
        }
    });
    crew.take_on((0..8).map(|_| runner(&COUNTS, &queue)).collect())
        .unwrap();
    // a batch, a definition and a fact each; a machine that stops for long may need the one who stands by
    let together = writer.join().unwrap();
    assert!(together >= 3, "{together}");
    crew.close();
    eventually(|| crew.has_ended());
}

#[test]
fn a_collector_that_panics_costs_no_member() {
    let queue = Arc::new(Queue::new(10_000));
    let crew = Crew::new(&queue, 256 * 1024);
    let panics = runner(&PANICS, &queue);
    let slot = Arc::clone(&panics.slot);
    crew.take_on(vec![panics, runner(&COUNTS, &queue)]).unwrap();
    eventually(|| slot.status().failures >= 3);
    assert!(
        crew.lock()
            .members
            .iter()
            .all(|member| !member.is_finished())
    );
    crew.close();
    eventually(|| crew.has_ended());
}
