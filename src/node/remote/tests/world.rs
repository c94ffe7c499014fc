//! A store that is written second by second, and a sender that follows it, in virtual time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::failure::FailureReason;
use glasshouse_core::labels::Labels;
use glasshouse_core::metric::{Audience, MetricKind};
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Value};
use glasshouse_core::time::{BootTime, Moment, Timestamp};
use glasshouse_exposition::remote_write;
use glasshouse_store::{Batch, Store, StoreSettings, Tail};

use super::super::position::Position;
use super::super::sender::{Next, Sender};
use super::super::table::Table;
use super::super::totals::Totals;
use super::super::{Choice, RemoteSettings};
use super::receiver::{Arrived, Receiver};

pub(super) const S: i64 = 1_000_000_000;
/// 2023-11-14T22:00:00Z.
pub(super) const START: i64 = 1_699_999_200 * S;

pub(super) struct World {
    pub(super) dir: PathBuf,
    pub(super) store: Option<Store>,
    pub(super) settings: StoreSettings,
    pub(super) remote: RemoteSettings,
    pub(super) receiver: Receiver,
    pub(super) sender: Option<Sender<Receiver>>,
    pub(super) totals: Arc<Totals>,
    pub(super) now: i64,
    /// What should arrive.
    pub(super) written: Arrived,
    /// When `now` was zero, in nanoseconds.
    pub(super) start: i64,
    next: i64,
}

pub(super) fn remote(url: &str) -> RemoteSettings {
    RemoteSettings {
        url: url.to_owned(),
        interval: Duration::from_secs(10),
        batch_samples: 500,
        choice: Choice::default(),
        labels: [("job".to_owned(), "test".to_owned())].into(),
        credentials: None,
        ca: None,
        certificate: None,
    }
}

pub(super) fn info(metric: &str, collector: &str, labels: &[(&str, &str)]) -> SeriesInfo {
    SeriesInfo {
        metric: metric.to_owned(),
        unit: "By".to_owned(),
        kind: MetricKind::Gauge,
        states: Vec::new(),
        help: "What it says.".to_owned(),
        labels: Labels::new(labels.iter().copied()),
        collector: collector.to_owned(),
        interval: Duration::from_secs(1),
        audience: Audience::Operator,
    }
}

impl World {
    pub(super) fn new(dir: &Path) -> Self {
        let mut world = Self {
            dir: dir.to_owned(),
            store: None,
            settings: StoreSettings {
                rotate: Duration::from_secs(100),
                merge: Duration::from_secs(600),
                shard: Duration::from_secs(3600),
                ..StoreSettings::default()
            },
            remote: remote("http://127.0.0.1:1/"),
            receiver: Receiver::new(),
            sender: None,
            totals: Arc::new(Totals::new(Timestamp::from_nanos(START))),
            now: 0,
            written: Arrived::new(),
            start: START,
            next: 0,
        };
        world.open_store();
        world.open_sender();
        world
    }

    pub(super) fn open_store(&mut self) {
        // the one before gives up its lock first
        self.store = None;
        let folder = self.dir.join("store");
        let (store, _) = Store::open(&folder, self.settings.clone()).unwrap();
        self.store = Some(store);
    }

    /// As after a start; what the one before did not write down is forgotten.
    pub(super) fn open_sender(&mut self) {
        let now = self.moment();
        let store = self.dir.join("store");
        let (position, cursor) = Position::open(&self.dir, &store, now.wall).unwrap();
        let labels = self.remote.labels.clone();
        let mut sender = Sender::new(
            Tail::new(&store, cursor),
            Table::new(
                remote_write::Sender::new(labels),
                self.remote.choice.clone(),
            ),
            self.receiver.clone(),
            position,
            Arc::clone(&self.totals),
            &self.remote,
        );
        sender.look(now);
        self.sender = Some(sender);
        self.next = self.now;
    }

    pub(super) fn moment(&self) -> Moment {
        moment(self.start, self.now)
    }

    /// Appends a row of a collector and notes what should arrive of it.
    pub(super) fn row(&mut self, collector: &str, samples: &[(SeriesInfo, Option<Value>)]) {
        let at = self.moment();
        let store = self.store.as_mut().unwrap();
        let mut batch = Vec::new();
        for (number, (info, value)) in samples.iter().enumerate() {
            let first: u32 = collector.bytes().map(u32::from).sum();
            let number = first * 100 + u32::try_from(number).unwrap();
            let series = store.define(1, number, info).unwrap();
            let quality = match value {
                Some(_) => Quality::Good,
                None => Quality::Absent(FailureReason::Timeout),
            };
            batch.push((series, *value, quality));
        }
        store
            .append(&Batch {
                collector,
                at,
                samples: &batch,
            })
            .unwrap();
        for (info, value) in samples {
            self.expect(info, *value);
        }
    }

    fn expect(&mut self, info: &SeriesInfo, value: Option<Value>) {
        let millis = (self.start + self.now * S) / 1_000_000;
        let name = info.metric.replace('.', "_");
        let device = info
            .labels
            .get("device")
            .map(|device| device.raw().to_owned());
        let device = device.map_or_else(String::new, |device| format!("device={device}"));
        match value {
            None => {}
            Some(Value::State(holds)) => {
                for (index, state) in info.states.iter().enumerate() {
                    let key = format!("{name}{{{name}={state}}}");
                    let value = f64::from(u8::from(usize::from(holds) == index));
                    self.written.entry(key).or_default().push((millis, value));
                }
            }
            Some(value) => {
                let key = format!("{name}_bytes{{{device}}}");
                let written = self.written.entry(key).or_default();
                written.push((millis, value.as_f64()));
            }
        }
    }

    /// The rows of one second: a collector with some devices, one with a state, one that is slow.
    pub(super) fn rows(&mut self) {
        let now = self.now;
        let number = |n: i64| Some(Value::F64(n as f64 / 8.0));
        let devices: Vec<_> = (0..6)
            .map(|n| {
                let name = format!("d{n}");
                (
                    info("disk.io", "disk", &[("device", &name)]),
                    number(now * 10 + n),
                )
            })
            .collect();
        self.row("disk", &devices);
        let mut state = info("hw.status", "state", &[]);
        state.states = vec!["ok".to_owned(), "failed".to_owned()];
        let holds = Some(Value::State(u16::from(now / 60 % 2 == 1)));
        self.row("state", &[(state, holds)]);
        if now % 5 == 0 {
            let mut slow = info("slow", "slow", &[]);
            slow.interval = Duration::from_secs(5);
            self.row("slow", &[(slow, number(now))]);
        }
    }

    pub(super) fn maintain(&mut self) {
        let now = self.moment();
        let store = self.store.as_mut().unwrap();
        while store.maintain(now).unwrap().more {}
    }

    /// Steps that are due now; a hundred at most, so that it ends.
    pub(super) fn send(&mut self) {
        for _ in 0..100 {
            if self.now < self.next {
                return;
            }
            let now = self.moment();
            let next = self.sender.as_mut().unwrap().step(now);
            if let Next::Wait(span) = next {
                self.next = self.now + i64::try_from(span.as_secs().max(1)).unwrap();
            }
        }
    }

    pub(super) fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1;
            self.rows();
            self.maintain();
            self.send();
        }
    }

    /// Until everything is delivered.
    pub(super) fn settle(&mut self) {
        for second in 0..2000 {
            self.now += 1;
            self.send();
            // what waits for the next time has gone by then
            if second > 45
                && self.totals.lag(self.moment().wall).is_zero()
                && self.now + 5 < self.next
            {
                return;
            }
        }
        panic!("it never gets done");
    }

    /// What arrived, without the ends of series.
    pub(super) fn arrived(&self) -> Arrived {
        let mut arrived = self.receiver.state().arrived.clone();
        for samples in arrived.values_mut() {
            samples.retain(|(_, value)| !value.is_nan());
        }
        arrived
    }
}

fn moment(start: i64, seconds: i64) -> Moment {
    Moment {
        wall: Timestamp::from_nanos(start + seconds * S),
        boot: BootTime::from_nanos((seconds * S).unsigned_abs()),
    }
}
