//! A receiver in memory: it takes, refuses or is away as it is told, and keeps what it took.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use glasshouse_exposition::remote_write::{Understood, understand};

use super::super::answer::Answer;
use super::super::client::Post;
use super::super::totals::Failed;

/// What arrived, by name and labels.
pub(super) type Arrived = BTreeMap<String, Vec<(i64, f64)>>;

/// Decides on a request before it is looked into.
type Mood = dyn Fn(&Understood) -> Option<Answer> + Send;

pub(super) struct State {
    pub(super) arrived: Arrived,
    pub(super) families: Vec<String>,
    pub(super) requests: usize,
    newest: i64,
    pub(super) largest: usize,
    pub(super) mood: Box<Mood>,
    /// Like Prometheus 2.42: one sample that is not newer than the series, and nothing of the request is taken.
    pub(super) is_strict: bool,
    /// Nothing that is so many milliseconds older than the newest of all, as Prometheus has it.
    pub(super) window: Option<i64>,
    /// It takes requests and does not say so.
    pub(super) is_mute: bool,
}

#[derive(Clone)]
pub(super) struct Receiver(Arc<Mutex<State>>);

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            arrived: Arrived::new(),
            families: Vec::new(),
            requests: 0,
            newest: 0,
            largest: 0,
            mood: Box::new(|_| None),
            is_strict: true,
            window: None,
            is_mute: false,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn is_in_the_mood(
        &self,
        mood: impl Fn(&Understood) -> Option<Answer> + Send + 'static,
    ) {
        self.state().mood = Box::new(mood);
    }
}

impl State {
    /// Somebody else sent something of this time.
    pub(super) fn hears_of(&mut self, millis: i64) {
        self.newest = self.newest.max(millis);
    }

    fn take(&mut self, request: Understood) -> Answer {
        if let Some(answer) = (self.mood)(&request) {
            return answer;
        }
        if self.is_strict
            && request
                .series
                .iter()
                .any(|(labels, samples)| self.is_late(labels, samples))
        {
            return Answer::of(400, None, "out of order sample");
        }
        let times = || request.series.iter().flat_map(|(_, samples)| samples);
        let newest = self
            .newest
            .max(times().map(|(millis, _)| *millis).max().unwrap_or(0));
        if let Some(window) = self.window
            && times().any(|(millis, _)| *millis < self.newest - window)
        {
            return Answer::of(400, None, "out of bounds");
        }
        self.newest = newest;
        self.families.extend(request.families);
        for (labels, samples) in request.series {
            self.largest = self.largest.max(samples.len());
            let arrived = self.arrived.entry(key(&labels)).or_default();
            arrived.extend(samples);
        }
        Answer::of(204, None, "")
    }

    fn is_late(&self, labels: &[(String, String)], samples: &[(i64, f64)]) -> bool {
        assert!(labels.is_sorted(), "{labels:?}");
        assert!(
            samples.is_sorted_by(|one, next| one.0 < next.0),
            "{samples:?}"
        );
        let known = self.arrived.get(&key(labels));
        let Some(newest) = known.and_then(|known| known.last()) else {
            return false;
        };
        let (first, value) = samples[0];
        // the newest one may come again
        first < newest.0 || (first == newest.0 && value.to_bits() != newest.1.to_bits())
    }
}

pub(super) fn key(labels: &[(String, String)]) -> String {
    let name = labels.iter().find(|(name, _)| name == "__name__").unwrap();
    let hidden = ["__name__", "job", "instance", "node_id"];
    let shown = labels
        .iter()
        .filter(|(name, _)| !hidden.contains(&name.as_str()));
    let shown: Vec<String> = shown
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{}{{{}}}", name.1, shown.join(","))
}

impl Post for Receiver {
    fn post(&mut self, body: &[u8]) -> Answer {
        let request = understand(body).unwrap();
        let mut state = self.state();
        state.requests += 1;
        let samples: usize = request
            .series
            .iter()
            .map(|(_, samples)| samples.len())
            .sum();
        assert!(samples > 0, "a request says something");
        let answer = state.take(request);
        if state.is_mute {
            return Answer::Later {
                why: Failed::Network,
                after: None,
                text: "connection reset".to_owned(),
            };
        }
        answer
    }
}
