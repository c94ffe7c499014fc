//! What a run allocates in steady state, from the first sample to the bytes that are written: the buffer in which its
//! batch waits for the link, and nothing for a sample.

use glasshouse_core::collector::{Presence, SampleWriter};
use glasshouse_core::sample::Value;
use glasshouse_core::time::Moment;
use glasshouse_wire::FrameWriter;

use crate::parcel::Parcel;
use crate::queue::Queue;
use crate::recorder::{Ending, Recorder, Repeat};
use crate::series::{Numbers, Owner};
use crate::testing::{FACTS, METRICS};

const RUNS: u64 = 200;

/// Enough for every buffer to have grown to what it will be.
const WARM_RUNS: u64 = 20;

struct Path {
    recorder: Recorder,
    queue: Queue,
    writer: FrameWriter,
    parcel: Parcel,
    labels: Vec<String>,
}

impl Path {
    fn new(series: u32, repeat: Repeat) -> Self {
        let owner = Owner {
            collector: "fake",
            metrics: &METRICS,
            interval: std::time::Duration::from_secs(1),
        };
        let mut path = Self {
            recorder: Recorder::new(owner, &FACTS, Numbers::new()),
            queue: Queue::new(60),
            writer: FrameWriter::new(1),
            parcel: Parcel::default(),
            labels: (0..series)
                .map(|number| format!("label {number}"))
                .collect(),
        };
        for run in 0..WARM_RUNS {
            path.run(run, repeat);
        }
        path
    }

    fn run(&mut self, run: u64, repeat: Repeat) {
        self.recorder.begin();
        for label in &self.labels {
            let labels = [label.as_str(), "other"];
            self.recorder.sample(&METRICS[0], &labels, Value::U64(run));
            self.recorder.sample(&METRICS[1], &labels, Value::F64(0.5));
        }
        if repeat == Repeat::Due {
            self.recorder.fact(&FACTS[0], "part", "value");
        }
        let verdict = self
            .recorder
            .verdict(Ending::Returned(Ok(Presence::Present)));
        let outgoing = self
            .recorder
            .payloads(Moment::default(), verdict.state, repeat);
        assert!(self.queue.put(outgoing));
        self.recorder.sent();
        assert!(
            self.parcel
                .fill(&self.queue, &mut self.writer)
                .lost
                .is_empty()
        );
        assert!(!self.parcel.bytes().is_empty());
    }
}

#[test]
fn a_run_allocates_one_buffer_however_many_samples_it_has() {
    for series in [1, 40, 1000] {
        let mut path = Path::new(series, Repeat::Later);
        let allocated = allocation_counter::measure(|| {
            for run in 0..RUNS {
                path.run(run, Repeat::Later);
            }
        });
        let counts = (allocated.count_total, allocated.count_current);
        assert_eq!(counts, (RUNS, 0), "{series} labels");
    }
}

/// A definition and a fact that are said again are made of texts, each of which is an allocation: so many for each at
/// most, once in a minute.
const TEXTS: u64 = 40;

#[test]
fn what_is_said_again_costs_its_own_texts_once_a_minute() {
    for series in [1, 40] {
        let mut path = Path::new(series, Repeat::Due);
        let minutes = 5;
        let allocated = allocation_counter::measure(|| {
            for run in 0..minutes * 60 {
                path.run(run, Repeat::Due);
            }
        });
        let said_again = minutes * (u64::from(series) * 2 + 1);
        let besides = allocated.count_total.saturating_sub(minutes * 60);
        assert!(
            besides <= said_again * TEXTS,
            "{besides} for {said_again} definitions and facts"
        );
        assert_eq!(allocated.count_current, 0, "nothing is kept");
    }
}
