//! What the sender counts, for the node's own series and for the event that it is behind.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use glasshouse_core::metric::{LabelDefinition, MetricDefinition, counter, gauge};
use glasshouse_core::time::{BootTime, Timestamp};
use glasshouse_store::TailCursor;

/// Why samples were not delivered and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The receiver has newer ones of the series already.
    OutOfOrder,
    /// The receiver takes nothing that old.
    TooOld,
    /// The receiver has another value of that time.
    Duplicate,
    /// Even one sample was too much for the receiver.
    TooLarge,
    /// The receiver says no, for another reason.
    Refused,
    /// Retention took them first.
    Expired,
    /// The store could not read them.
    Damaged,
    /// Their series has name and labels of another one, as Prometheus writes them.
    Ambiguous,
}

/// Why something is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// No answer, or none in time.
    Network,
    /// The receiver is in trouble.
    Server,
    /// The receiver asks for patience.
    Throttled,
    /// The receiver sends us elsewhere; nothing follows that.
    Redirected,
    /// A secret or a certificate cannot be read.
    Credentials,
    /// The receiver does not know us, or lets us do nothing.
    Denied,
    /// There is no receiver at that path.
    NotFound,
}

impl Dropped {
    /// Whether it happens without a mistake of anybody: what was taken and not answered comes again.
    const fn is_harmless(self) -> bool {
        matches!(self, Self::OutOfOrder | Self::Duplicate)
    }
}

impl Failed {
    /// Whether it stays until a person mends it; then there is no hurry to ask again.
    pub(super) const fn is_lasting(self) -> bool {
        matches!(self, Self::Denied | Self::NotFound)
    }
}

const DROPPED: [(Dropped, &str); 8] = [
    (Dropped::OutOfOrder, "out_of_order"),
    (Dropped::TooOld, "too_old"),
    (Dropped::Duplicate, "duplicate"),
    (Dropped::TooLarge, "too_large"),
    (Dropped::Refused, "refused"),
    (Dropped::Expired, "expired"),
    (Dropped::Damaged, "damaged"),
    (Dropped::Ambiguous, "ambiguous"),
];

const FAILED: [(Failed, &str); 7] = [
    (Failed::Network, "network"),
    (Failed::Server, "server"),
    (Failed::Throttled, "throttled"),
    (Failed::Redirected, "redirected"),
    (Failed::Credentials, "credentials"),
    (Failed::Denied, "denied"),
    (Failed::NotFound, "not_found"),
];

const REASON: &[LabelDefinition] = &[LabelDefinition {
    key: "glasshouse.reason",
    help: "Why, one of a few words.",
}];

const SOURCE: &str = "the node";

/// The metrics of the sender; their series are there only where one is configured.
pub(crate) static METRICS: [MetricDefinition; 6] = [
    counter(
        "glasshouse.remote_write.samples",
        "{sample}",
        "Samples that the receiver of remote write took since the node started.",
        "Not samples of the store: a state is a sample for each of its words, and the end of a series is one too.",
        &[],
        SOURCE,
    )
    .for_glasshouse(),
    counter(
        "glasshouse.remote_write.bytes",
        "By",
        "Bytes of the requests that the receiver took, packed.",
        "Not what went over the network: headers, TLS and what was sent again are not counted.",
        &[],
        SOURCE,
    )
    .for_glasshouse(),
    counter(
        "glasshouse.remote_write.requests",
        "{request}",
        "Requests that the receiver took.",
        "Not all that were sent: the others are failures, or their samples are dropped.",
        &[],
        SOURCE,
    )
    .for_glasshouse(),
    counter(
        "glasshouse.remote_write.samples_dropped",
        "{sample}",
        "Samples that never reach the receiver: it refused them, or they were gone before it could take them.",
        "Not exact where files vanished or were damaged: what was sent of them before counts too, and of a damaged block nobody knows how many stood in it.",
        REASON,
        SOURCE,
    )
    .for_glasshouse(),
    counter(
        "glasshouse.remote_write.failures",
        "{request}",
        "Requests that did not get through and are sent again.",
        "Not losses: what is sent again is late.",
        REASON,
        SOURCE,
    )
    .for_glasshouse(),
    gauge(
        "glasshouse.remote_write.lag",
        "s",
        "How far the receiver is behind the store, zero where it has all that was due.",
        "Not the time that one request takes.",
        &[],
        SOURCE,
    )
    .whole()
    .for_glasshouse(),
];

/// What the thread has counted since it started.
#[derive(Debug)]
pub(crate) struct Totals {
    sent: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    dropped: [AtomicU64; DROPPED.len()],
    failed: [AtomicU64; FAILED.len()],
    /// Everything up to about this time was delivered, in nanoseconds.
    delivered: AtomicI64,
    is_caught_up: AtomicBool,
    /// What is wrong, in words; empty where nothing is.
    trouble: Mutex<String>,
    /// What was refused in a row that has not been over for [`REFUSAL_HOLDS`].
    refusal: Mutex<Option<Refusal>>,
    /// Why nothing is sent at all, in words; empty where it is.
    idle: Mutex<String>,
}

/// What was refused lately.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    at: BootTime,
    /// How much was since it began.
    pub(crate) samples: u64,
    /// Nothing but what the receiver has already.
    pub(crate) is_harmless: bool,
    /// What the receiver said.
    pub(crate) text: String,
}

/// Refused samples are told for this long: as long as what is too old is not asked for again, and longer than any interval.
const REFUSAL_HOLDS: Duration = Duration::from_secs(600);

impl Totals {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            sent: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            dropped: [const { AtomicU64::new(0) }; DROPPED.len()],
            failed: [const { AtomicU64::new(0) }; FAILED.len()],
            delivered: AtomicI64::new(now.nanos()),
            is_caught_up: AtomicBool::new(false),
            trouble: Mutex::default(),
            refusal: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// What was delivered before the start.
    pub(super) fn begins_at(&self, cursor: &TailCursor) {
        if let Some(newest) = cursor.newest() {
            self.delivered.store(newest.nanos(), Ordering::Relaxed);
        }
    }

    pub(super) fn took(&self, samples: usize, bytes: usize) {
        add(&self.sent, samples);
        add(&self.bytes, bytes);
        add(&self.requests, 1);
        self.set_trouble("");
    }

    pub(super) fn dropped(&self, why: Dropped, samples: u64) {
        let place = DROPPED.iter().position(|(known, _)| *known == why);
        if let Some(count) = place.and_then(|place| self.dropped.get(place)) {
            count.fetch_add(samples, Ordering::Relaxed);
        }
    }

    /// The receiver refused so many, and they are given up.
    pub(super) fn refused(&self, why: Dropped, samples: u64, text: &str, now: BootTime) {
        if samples == 0 {
            return;
        }
        self.dropped(why, samples);
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refusal.take().filter(|before| before.holds(now));
        let (sum, was_harmless) = before.map_or((0, true), |one| (one.samples, one.is_harmless));
        *refusal = Some(Refusal {
            at: now,
            samples: sum.saturating_add(samples),
            is_harmless: was_harmless && why.is_harmless(),
            text: text.to_owned(),
        });
    }

    /// What was refused lately, where something was.
    pub(crate) fn refusal(&self, now: BootTime) -> Option<Refusal> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.clone().filter(|refusal| refusal.holds(now))
    }

    /// Nothing is sent at all, for this reason; empty where it is sent.
    pub(super) fn is_idle(&self, why: &str) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        why.clone_into(&mut idle);
    }

    /// Why nothing is sent at all; empty where it is.
    pub(crate) fn idle(&self) -> String {
        let idle = self.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn failed(&self, why: Failed, trouble: &str) {
        let place = FAILED.iter().position(|(known, _)| *known == why);
        if let Some(count) = place.and_then(|place| self.failed.get(place)) {
            add(count, 1);
        }
        self.set_trouble(trouble);
    }

    /// Everything up to about this time was delivered or given up, and whether that is all that was there.
    pub(super) fn reached(&self, newest: Option<Timestamp>, is_all: bool) {
        if let Some(newest) = newest {
            self.delivered.store(newest.nanos(), Ordering::Relaxed);
        }
        self.is_caught_up.store(is_all, Ordering::Relaxed);
    }

    /// There is something to be delivered.
    pub(super) fn begins(&self) {
        self.is_caught_up.store(false, Ordering::Relaxed);
    }

    /// How far the receiver is behind.
    pub(crate) fn lag(&self, now: Timestamp) -> Duration {
        if self.is_caught_up.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let delivered = self.delivered.load(Ordering::Relaxed);
        now.since(Timestamp::from_nanos(delivered))
    }

    pub(super) fn trouble(&self) -> String {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing gets on, for this reason; empty where it does.
    pub(super) fn set_trouble(&self, trouble: &str) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != trouble {
            trouble.clone_into(&mut known);
        }
    }

    /// Every series: its metric, its reason where it has one, and its value.
    pub(crate) fn series(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'static MetricDefinition, Option<&'static str>, u64)> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [samples, bytes, requests, drops, failures, lag] = &METRICS;
        let dropped = DROPPED.iter().zip(&self.dropped);
        let dropped = dropped.map(move |((_, word), count)| (drops, Some(*word), load(count)));
        let failed = FAILED.iter().zip(&self.failed);
        let failed = failed.map(move |((_, word), count)| (failures, Some(*word), load(count)));
        [
            (samples, None, load(&self.sent)),
            (bytes, None, load(&self.bytes)),
            (requests, None, load(&self.requests)),
            (lag, None, self.lag(now).as_secs()),
        ]
        .into_iter()
        .chain(dropped)
        .chain(failed)
    }

    #[cfg(test)]
    pub(super) fn of(&self, metric: &str, reason: &str) -> u64 {
        let mut series = self.series(Timestamp::from_nanos(0));
        let found = series.find(|(known, why, _)| {
            known.name.ends_with(metric) && why.unwrap_or_default() == reason
        });
        found.unwrap().2
    }
}

impl Refusal {
    fn holds(&self, now: BootTime) -> bool {
        now.since(self.at) < REFUSAL_HOLDS
    }
}

fn add(count: &AtomicU64, more: usize) {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    count.fetch_add(more, Ordering::Relaxed);
}
