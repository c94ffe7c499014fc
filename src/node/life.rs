//! The life of events: what is stated becomes one, and what is no longer stated is over.
//!
//! A collector states all that is wrong each time, so what its list lacks is over: at once where it had stated it in the
//! same run of the probe, else only once that run has had time to find out again. A collector that cannot look says
//! nothing about what it saw before, so its events stay open.

use std::collections::BTreeMap;
use std::time::Duration;

use glasshouse_core::condition::{Condition, Severity};
use glasshouse_core::finding::{Event, EventId, Evidence, Finding, is_cause};
use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::{CollectorState, CollectorStatus};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{BootTime, Moment, Timestamp};
use glasshouse_store::findings::{Change, MOST_OPEN};
use tracing::{info, warn};
use uuid::Uuid;

use crate::own::OWN_COLLECTOR;

/// The namespace of event ids, made once for Glasshouse.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b7f_0c94_5d1e_4a63_8e0b_91c4_f7a8_36d2);

/// Changes that wait for a disk that does not take them; the oldest goes, and is counted.
const MOST_CHANGES: usize = 4096;

/// A severity that goes up and down is noted this often at most.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// The probe repeats what holds about each minute, and at each run of a collector that runs more seldom. What was not
/// repeated for this long and three runs is over, although nobody was heard to say so.
const UNREPEATED: Duration = Duration::from_secs(300);

/// A new run of the probe gets this many runs of a collector, beside its time of grace.
const RUNS_OF_GRACE: u32 = 3;

/// So many events of one collector may begin, or change in the history, at once: all that one may state …
const BURST: u32 = 128;

/// … and one more each so often. The rest is counted, and begins later where it is still stated: no collector fills the
/// history, which has others' events too.
const ONE_MORE_EACH: Duration = Duration::from_secs(30);

/// The most collectors that are watched for it; those that have their whole burst need not be.
const MOST_SOURCES: usize = 256;

/// What a person does next, for every cause; a test holds the list to [`CAUSES`](glasshouse_core::condition::CAUSES).
const NEXT_STEPS: &[(&str, &str)] = &[
    (
        "bmc.login_refused",
        "Check user name, password file and privilege of this BMC in probe.toml against the accounts that it has, and whether it has locked the account.",
    ),
    (
        "bmc.tls_unverified",
        "Write `ca_file` or `certificate_sha256` for this BMC in probe.toml in place of `insecure_tls`: until then the password goes to whoever answers in its name.",
    ),
    (
        "bmc.unresponsive",
        "Ask the BMC from another machine; where it does not answer there either, restart the BMC. The host runs on, without its BMC's readings.",
    ),
    (
        "collector.stalled",
        "Look at the device behind the call that does not return, and at the kernel's log. Other collectors go on.",
    ),
    (
        "cooling.leak",
        "Look at the detector that is named, on the spot and at once; where coolant is out, power the machine off before it reaches a board. A detector alone may have failed: compare its neighbours.",
    ),
    (
        "gpu.driver_mismatch",
        "Library and kernel module of the driver differ, as after an update: drain the node, then load the module anew or restart the host. Running jobs go on; new ones do not start.",
    ),
    (
        "gpu.driver_wedged",
        "Look for NVRM and Xid lines in the kernel's log; drain the node, then reset the GPU or restart the host.",
    ),
    (
        "gpu.lost",
        "Look for Xid 79 in the kernel's log; drain the node and restart it cold. Where the GPU stays lost, check its seat and its power.",
    ),
    (
        "gpu.reset_required",
        "Drain the node and reset the GPU once no process holds it (`nvidia-smi --gpu-reset`), or restart the host; then see whether it happens again.",
    ),
    (
        "kernel.tasks_stuck",
        "Look where the tasks wait: a disk, a file system of the network, or a driver. They end when that answers; killing them does not help.",
    ),
    (
        "probe.silent",
        "Look at the state and the log of glasshouse-probe.service; `glasshouse check` says what is missing.",
    ),
    (
        "remote_write.behind",
        "See whether the receiver in [remote_write] answers, and what it says against us in the log of glasshouse-node.service. Nothing is lost as long as the store keeps samples (`keep_samples`, `most_bytes`).",
    ),
    (
        "remote_write.refused",
        "What was refused is lost to the receiver: see what it says against the samples, and which reason `glasshouse.remote_write.samples_dropped` counts; docs/remote-write.md has what to do about each. The store has them all the same.",
    ),
    (
        "remote_write.stopped",
        "Mend what the event names, such as who owns the folder `remote-write` of the state folder; where the thread has ended, restart glasshouse-node.service and keep its log for a report. Nothing is lost as long as the store keeps samples.",
    ),
    (
        "store.full",
        "Raise `most_bytes` in [store] of glasshouse.toml, or remove what does not belong into the folder of the store; `glasshouse store stat` says what is in it.",
    ),
    (
        "store.series_refused",
        "Find out what makes so many series of this collector (`glasshouse store stat`, `glasshouse query`); let it read less, or raise `most_series_a_collector` or `most_series` in [store] of glasshouse.toml.",
    ),
];

/// What somebody says to be wrong.
#[derive(Clone, Debug)]
pub(crate) struct Stated {
    pub(crate) cause: String,
    pub(crate) severity: Severity,
    pub(crate) component: Untrusted,
    pub(crate) detail: Untrusted,
    pub(crate) evidence: Vec<Evidence>,
}

impl From<&Condition> for Stated {
    fn from(condition: &Condition) -> Self {
        Self {
            cause: condition.cause.clone(),
            severity: condition.severity,
            component: condition.component.clone(),
            detail: condition.detail.clone(),
            evidence: Vec::new(),
        }
    }
}

/// What makes two statements one event: who says it, the cause, the component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: String,
    cause: String,
    component: Untrusted,
}

/// An open event.
#[derive(Debug)]
struct Held {
    event: Event,
    /// In which run of the probe it was last stated, and when; `None` where that was before the node's start.
    stated: Option<(u64, BootTime)>,
    /// Which severity the history has, and since when.
    noted: (Severity, Option<BootTime>),
}

/// What one collector may still have written of it.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    /// When `left` was last raised.
    at: BootTime,
}

impl Budget {
    fn refill(&mut self, now: BootTime) {
        let more = now.since(self.at).as_nanos() / ONE_MORE_EACH.as_nanos();
        let more = u32::try_from(more).unwrap_or(BURST).min(BURST);
        self.left = self.left.saturating_add(more).min(BURST);
        if more > 0 || now < self.at {
            self.at = now;
        }
    }
}

/// The events that are open, and what is to be written about them.
#[derive(Debug)]
pub(crate) struct Life {
    node: NodeId,
    /// How long a new run of the probe may take to state again what holds, beside some runs of the collector.
    grace: Duration,
    open: BTreeMap<Key, Held>,
    /// The run of the probe, and since when it is known.
    run: Option<(u64, Moment)>,
    changes: Vec<(Change, Event)>,
    /// By collector, where it has not its whole burst.
    budgets: BTreeMap<String, Budget>,
    has_changed: bool,
    /// Conditions that make no sense or were too many, and changes that no disk took.
    refused: u64,
}

impl Life {
    /// Begins with what was open at the start.
    pub(crate) fn new(node: NodeId, grace: Duration, open: Vec<Event>) -> Self {
        let open = open.into_iter().map(|event| {
            let finding = &event.finding;
            let key = Key {
                source: finding.source.clone(),
                cause: finding.cause.clone(),
                component: finding.component.clone(),
            };
            let held = Held {
                noted: (finding.severity, None),
                event,
                stated: None,
            };
            (key, held)
        });
        Self {
            node,
            grace,
            open: open.collect(),
            run: None,
            changes: Vec::new(),
            budgets: BTreeMap::new(),
            has_changed: true,
            refused: 0,
        }
    }

    /// What was refused since the start.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// What is open.
    pub(crate) fn open(&self) -> Vec<Event> {
        self.open.values().map(|held| held.event.clone()).collect()
    }

    /// Whether nothing is open.
    pub(crate) fn is_calm(&self) -> bool {
        self.open.is_empty()
    }

    /// What happened and is not in the history yet, the oldest first.
    pub(crate) fn changes(&self) -> &[(Change, Event)] {
        &self.changes
    }

    /// The history has the changes.
    pub(crate) fn noted(&mut self) {
        self.changes.clear();
    }

    /// Whether the list of what is open is another one than before, asked once.
    pub(crate) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.has_changed, false)
    }

    /// A run of the probe came in.
    pub(crate) const fn enter(&mut self, run: u64, now: Moment) {
        self.run = Some((run, now));
    }

    /// All that a collector says to be wrong, in place of what it said before.
    pub(crate) fn conditions(
        &mut self,
        collector: &str,
        conditions: &[Condition],
        statuses: &[CollectorStatus],
        now: Moment,
    ) {
        let Some((run, since)) = self.run else {
            return;
        };
        self.state(collector, conditions.iter().map(Stated::from), run, now);
        let had_time = now.boot.since(since.boot) >= self.grace_of(collector, statuses);
        self.resolve(now.wall, |key, held| {
            let is_stated = held.stated == Some((run, now.boot));
            let in_this_run = held.stated.is_some_and(|(stated, _)| stated == run);
            key.source == collector && !is_stated && (in_this_run || had_time)
        });
    }

    /// All that the node itself says to be wrong.
    pub(crate) fn own(&mut self, stated: impl IntoIterator<Item = Stated>, now: Moment) {
        self.state(OWN_COLLECTOR, stated, 0, now);
        self.resolve(now.wall, |key, held| {
            key.source == OWN_COLLECTOR && held.stated != Some((0, now.boot))
        });
    }

    /// Resolves what nobody states any more although nobody said so: its collector is gone, or works and is silent.
    pub(crate) fn settle(&mut self, statuses: &[CollectorStatus], now: Moment) {
        let Some((run, since)) = self.run.filter(|_| !self.open.is_empty()) else {
            return;
        };
        // what the probe said before this run says nothing about it
        if !statuses.iter().any(|status| status.last_run >= since.wall) {
            return;
        }
        let life = std::mem::take(&mut self.open);
        let (over, open): (BTreeMap<_, _>, _) = life.into_iter().partition(|(key, held)| {
            if key.source == OWN_COLLECTOR {
                return false;
            }
            let grace = self.grace_of(&key.source, statuses);
            let (quiet, most) = match held.stated {
                Some((stated, at)) if stated == run => (
                    now.boot.since(at),
                    UNREPEATED.max(self.grace).saturating_add(grace),
                ),
                _ => (now.boot.since(since.boot), grace),
            };
            let status = statuses.iter().find(|status| status.name == key.source);
            let looked = status.is_none_or(|status| match status.state {
                CollectorState::Failed(_) => false,
                CollectorState::Absent | CollectorState::Disabled => true,
                CollectorState::Good | CollectorState::Partial(_) => status.last_run >= since.wall,
            });
            looked && quiet >= most
        });
        self.open = open;
        for (_, held) in over {
            self.end(held.event, now.wall);
        }
    }

    /// How long a new run may take until its silence about a collector's events means something.
    fn grace_of(&self, collector: &str, statuses: &[CollectorStatus]) -> Duration {
        let status = statuses.iter().find(|status| status.name == collector);
        let interval = status.map_or(Duration::ZERO, |status| status.interval);
        self.grace
            .saturating_add(interval.saturating_mul(RUNS_OF_GRACE))
    }

    fn state(
        &mut self,
        source: &str,
        stated: impl IntoIterator<Item = Stated>,
        run: u64,
        now: Moment,
    ) {
        let mut worst: BTreeMap<Key, Stated> = BTreeMap::new();
        for stated in stated {
            if !is_cause(&stated.cause) {
                self.refuse("its cause is no code");
                continue;
            }
            let key = Key {
                source: source.to_owned(),
                cause: stated.cause.clone(),
                component: stated.component.clone(),
            };
            let known = worst.get(&key);
            if known.is_none_or(|known| known.severity < stated.severity) {
                worst.insert(key, stated);
            }
        }
        for (key, stated) in worst {
            if let Some(held) = self.open.get_mut(&key) {
                held.stated = Some((run, now.boot));
                held.update(stated, now);
                if held.is_worth_a_note(now) && self.spend(source, now.boot) {
                    let note = self.open.get_mut(&key).map(|held| held.note(now));
                    if let Some(event) = note {
                        self.change(Change::Updated, event);
                    }
                }
            } else if self.open.len() >= MOST_OPEN {
                self.refuse("too many events are open");
            } else if !self.spend(source, now.boot) {
                self.refuse("its collector states new ones too often");
            } else {
                self.begin(key, stated, run, now);
            }
        }
    }

    /// Whether one more event of it may be written down.
    fn spend(&mut self, source: &str, now: BootTime) -> bool {
        if source == OWN_COLLECTOR {
            return true;
        }
        if !self.budgets.contains_key(source) {
            self.budgets.retain(|_, budget| {
                budget.refill(now);
                budget.left < BURST
            });
            if self.budgets.len() >= MOST_SOURCES {
                return false;
            }
        }
        let whole = Budget {
            left: BURST,
            at: now,
        };
        let budget = self.budgets.entry(source.to_owned()).or_insert(whole);
        budget.refill(now);
        let may = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        may
    }

    fn begin(&mut self, key: Key, stated: Stated, run: u64, now: Moment) {
        let event = Event {
            id: event_id(self.node, &key, now.wall),
            node: self.node,
            finding: Finding {
                next_step: next_step(&key.cause).to_owned(),
                cause: key.cause.clone(),
                severity: stated.severity,
                component: stated.component,
                source: key.source.clone(),
                detail: stated.detail,
                first_seen: now.wall,
                last_seen: now.wall,
                evidence: stated.evidence,
            },
            resolved: None,
        };
        let finding = &event.finding;
        info!(
            event = %event.id,
            cause = finding.cause,
            severity = finding.severity.word(),
            component = finding.component.clean(),
            detail = finding.detail.clean(),
            "An event began."
        );
        self.change(Change::Opened, event.clone());
        let held = Held {
            noted: (stated.severity, Some(now.boot)),
            event,
            stated: Some((run, now.boot)),
        };
        self.open.insert(key, held);
    }

    fn resolve(&mut self, at: Timestamp, is_over: impl Fn(&Key, &Held) -> bool) {
        if !self.open.iter().any(|(key, held)| is_over(key, held)) {
            return;
        }
        let life = std::mem::take(&mut self.open);
        let (over, open): (BTreeMap<_, _>, _) =
            life.into_iter().partition(|(key, held)| is_over(key, held));
        self.open = open;
        for (_, held) in over {
            self.end(held.event, at);
        }
    }

    fn end(&mut self, mut event: Event, at: Timestamp) {
        event.resolved = Some(at);
        let finding = &event.finding;
        info!(
            event = %event.id,
            cause = finding.cause,
            component = finding.component.clean(),
            "An event is over."
        );
        self.change(Change::Resolved, event);
    }

    fn change(&mut self, change: Change, event: Event) {
        if self.changes.len() >= MOST_CHANGES {
            self.changes.remove(0);
            self.refused = self.refused.saturating_add(1);
        }
        self.changes.push((change, event));
        self.has_changed = true;
    }

    fn refuse(&mut self, why: &'static str) {
        if self.refused == 0 {
            warn!(
                why,
                "A condition was not taken; more of them are only counted."
            );
        }
        self.refused = self.refused.saturating_add(1);
    }
}

impl Held {
    /// Takes over what is stated now.
    fn update(&mut self, stated: Stated, now: Moment) {
        let finding = &mut self.event.finding;
        finding.severity = stated.severity;
        finding.detail = stated.detail;
        finding.evidence = stated.evidence;
        finding.last_seen = now.wall;
    }

    /// Whether the history should know.
    fn is_worth_a_note(&self, now: Moment) -> bool {
        let worth = self.event.finding.severity;
        let (severity, at) = self.noted;
        let may = at.is_none_or(|at| now.boot < at || now.boot.since(at) >= NOTE_EVERY);
        // what gets worse is told at once, whatever was told before
        severity != worth && (may || severity < worth)
    }

    /// The event, for the history.
    fn note(&mut self, now: Moment) -> Event {
        self.noted = (self.event.finding.severity, Some(now.boot));
        self.event.clone()
    }
}

/// The same for the same source, cause, node, component and onset.
fn event_id(node: NodeId, key: &Key, onset: Timestamp) -> EventId {
    let mut name = Vec::new();
    name.extend_from_slice(&node.bytes());
    name.extend_from_slice(&onset.nanos().to_le_bytes());
    for text in [&*key.source, &*key.cause, key.component.raw()] {
        name.extend_from_slice(text.as_bytes());
        // occurs in no UTF-8: two texts never run into each other
        name.push(0xff);
    }
    EventId::from_bytes(*Uuid::new_v5(&NAMESPACE, &name).as_bytes())
}

fn next_step(cause: &str) -> &'static str {
    let known = NEXT_STEPS.iter().find(|(known, _)| *known == cause);
    known.map_or("", |(_, step)| step)
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
