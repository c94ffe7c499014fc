//! A fake BMC, a collector that asks it, and time pressed together. Nothing here waits for a clock to decide: a run
//! waits until its rounds are done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use glasshouse_core::hardware::HardwareState;
use glasshouse_core::options::{OptionValue, Options};
use glasshouse_core::sample::Value;
use glasshouse_sim::redfish::{FakeBmc, PASSWORD, USERNAME};
use glasshouse_sysfs::SysRoot;
use glasshouse_sysfs::compliance::{RecordedSample, Recording};
use serde_json::Value as Json;

use super::super::Redfish;
use super::super::client::Deadlines;
use super::super::kind::Periods;
use super::super::request::ALLOWED;
use super::super::settings::{BMC, OPTIONS};
use super::super::timing::Timing;

/// Everything is due again at once, and answers are waited for long enough for a busy test machine.
pub(super) const PRESSED: Timing = Timing {
    periods: Periods {
        readings: Duration::from_millis(1),
        logs: Duration::from_millis(1),
        health: Duration::from_mins(30),
        inventory: Duration::from_mins(30),
    },
    deadlines: Deadlines {
        connect: Duration::from_secs(30),
        answer: Duration::from_secs(30),
        login: Duration::from_secs(30),
        login_pause: Duration::from_millis(1),
        minute: Duration::from_millis(1),
    },
    round: Duration::from_mins(5),
    run: Duration::from_mins(5),
    patience: Duration::from_mins(5),
    stream_silence: Duration::from_mins(5),
    stream_pause: Duration::from_millis(1),
    rest: Duration::ZERO,
    stop: Duration::from_secs(20),
};

/// A fake BMC and its collector, under the name `r1`.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) bmc: FakeBmc,
    pub(super) collector: Redfish,
    _root: tempfile::TempDir,
}

/// What several runs said together: the last word on each series, and every entry of a log.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) samples: BTreeMap<String, RecordedSample>,
    pub(super) facts: BTreeMap<(String, &'static str), String>,
    pub(super) entries: Vec<(String, String)>,
    pub(super) failures: Vec<String>,
    pub(super) conditions: Vec<String>,
}

impl Rig {
    pub(super) fn of_folder(folder: PathBuf) -> Self {
        Self::new(
            FakeBmc::serve(BTreeMap::new(), Some(folder)).unwrap(),
            PRESSED,
            |table| table,
        )
    }

    pub(super) fn of_documents(documents: BTreeMap<String, Json>) -> Self {
        Self::new(FakeBmc::serve(documents, None).unwrap(), PRESSED, |table| {
            table
        })
    }

    pub(super) fn new(bmc: FakeBmc, timing: Timing, change: fn(Options) -> Options) -> Self {
        let table = table(bmc.address()).with("this_host", OptionValue::Bool(true));
        Self::with(bmc, timing, vec![("r1".to_owned(), change(table))])
    }

    /// A fake BMC under several names, and which of them are said to be that of this machine.
    pub(super) fn of_claims(bmc: FakeBmc, claims: &[(&str, bool)]) -> Self {
        let bmcs = claims.iter().map(|(name, is_on)| {
            let table = table(bmc.address()).with("this_host", OptionValue::Bool(*is_on));
            ((*name).to_owned(), table)
        });
        let bmcs = bmcs.collect();
        Self::with(bmc, PRESSED, bmcs)
    }

    fn with(bmc: FakeBmc, timing: Timing, bmcs: Vec<(String, Options)>) -> Self {
        let root = tempfile::tempdir().unwrap();
        write_password(root.path());
        let options = options(bmcs);
        let collector = Redfish::new(SysRoot::new(root.path()), &options, timing);
        Self {
            bmc,
            collector,
            _root: root,
        }
    }

    pub(super) fn run(&mut self) -> Recording {
        Recording::of(&mut self.collector)
    }

    /// Runs until a run finds no series that was not there before.
    pub(super) fn settle(&mut self) -> Told {
        let mut told = Told::default();
        let mut known = 0;
        for run in 0..30 {
            told.hear(self.run());
            if run > 1 && told.samples.len() == known {
                break;
            }
            known = told.samples.len();
        }
        told
    }

    /// Runs until `done` says so; the deadline is there for what never comes.
    pub(super) fn run_until(
        &mut self,
        mut done: impl FnMut(&Recording, &FakeBmc) -> bool,
    ) -> Recording {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let recording = self.run();
            if done(&recording, &self.bmc) {
                return recording;
            }
            assert!(Instant::now() < until, "never came: {}", recording.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Every request that was sent is one of the list.
    pub(super) fn assert_allowed(&self) {
        let scene = self.bmc.scene();
        assert!(!scene.seen.is_empty());
        for seen in &scene.seen {
            let covered = ALLOWED
                .iter()
                .any(|one| one.covers(&seen.method, &seen.path));
            assert!(covered, "{seen:?} is not in the list");
        }
    }
}

/// The password as a secret has to lie there.
pub(super) fn write_password(root: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = root.join("password");
    std::fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(super) fn table(address: &str) -> Options {
    let text = |text: &str| OptionValue::Text(text.to_owned());
    Options::defaults(&BMC)
        .with("address", text(address))
        .with("username", text(USERNAME))
        .with("password_file", text("/password"))
        .with("requests_per_minute", OptionValue::Integer(600))
}

pub(super) fn options(bmcs: Vec<(String, Options)>) -> Options {
    Options::defaults(&OPTIONS).with("bmcs", OptionValue::Tables(bmcs))
}

impl Told {
    pub(super) fn hear(&mut self, recording: Recording) {
        recording.outcome.unwrap();
        for sample in recording.samples {
            // a report that is not made again grows old, as it should; its value was told
            if sample.value.is_ok() || !self.samples.contains_key(&sample.name()) {
                self.samples.insert(sample.name(), sample);
            }
        }
        for (fact, component, value) in recording.facts {
            self.facts.insert((component, fact.key), value);
        }
        for entry in recording.entries {
            self.entries
                .push((entry.origin.raw().to_owned(), entry.id.raw().to_owned()));
        }
        self.failures
            .extend(recording.failures.iter().map(ToString::to_string));
        self.conditions = recording
            .conditions
            .into_iter()
            .map(|one| one.cause)
            .collect();
    }

    /// The value of the series of a metric with this first label; of a status, the place of the state that holds.
    pub(super) fn value(&self, metric: &str, id: &str) -> Option<f64> {
        if metric == "hw.status" {
            let mut holding = self.of(metric).filter(|sample| {
                sample.labels.first().is_some_and(|first| first == id)
                    && sample.value == Ok(Value::U64(1))
            });
            let word = holding.next()?.labels.get(4)?;
            assert!(holding.next().is_none(), "{id} is in two states");
            let place = HardwareState::ALL
                .iter()
                .position(|state| state.word() == word);
            return place.map(|place| u32::try_from(place).unwrap().into());
        }
        self.samples
            .values()
            .find(|sample| {
                sample.metric.name == metric
                    && sample.labels.first().is_some_and(|first| first == id)
            })
            .and_then(|sample| sample.value.ok())
            .map(Value::as_f64)
    }

    /// The series of a metric that have a value.
    pub(super) fn of<'t>(&'t self, metric: &'t str) -> impl Iterator<Item = &'t RecordedSample> {
        self.samples
            .values()
            .filter(move |sample| sample.metric.name == metric && sample.value.is_ok())
    }

    /// The statuses of a kind of part.
    pub(super) fn statuses(&self, kind: &str) -> usize {
        self.of("hw.status")
            .filter(|sample| sample.labels.get(3).is_some_and(|of| of == kind))
            .filter(|sample| sample.value == Ok(Value::U64(1)))
            .count()
    }
}
