//! Sends what the store takes to a receiver of Prometheus' remote write 1.0.
//!
//! A thread of its own follows the store ([`Tail`]) and sends what came in: one request at a time, in order, from a
//! position that is written down behind each answer. The store is the queue, so it is as long as the store keeps samples,
//! takes no space of its own, and outlasts restarts.
//!
//! * What the receiver cannot take now (no answer, 5xx, 429, and what a wrong secret or path is answered with) is sent
//!   again, each time later, for as long as it takes.
//! * What it refuses (other 4xx) is given up. Since receivers refuse a whole request for one sample that came too late, a
//!   refused request is first divided, so that the others arrive; what is left is counted by its reason.
//! * What retention takes before it was sent is counted, and named in the log.
//!
//! Nothing is opened where nothing is configured, and then only connections to the one URL.

mod answer;
mod batch;
mod choice;
mod client;
mod lines;
mod own;
mod position;
mod sender;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod totals;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use glasshouse_core::condition::Severity;
use glasshouse_core::finding::Evidence;
use glasshouse_core::identity::NodeId;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, Moment, SystemClock, Timestamp};
use glasshouse_exposition::remote_write;
use glasshouse_store::Tail;
use tracing::error;

use self::client::Client;
use self::position::Position;
use self::sender::{Next, Sender};
use self::table::Table;
use crate::chain::Chain;
use crate::life::Stated;
use crate::settings::NodeError;
use crate::state::State;

pub use self::choice::Choice;
pub(crate) use self::own::RemoteOwn;
pub use self::settings::{Credentials, RemoteSettings, SecretSource};
pub(crate) use self::totals::METRICS;
use self::totals::Totals;

/// A TLS handshake in a debug build needs much; only what is touched of a stack costs memory.
const STACK_BYTES: usize = 1 << 20;

/// Samples that wait longer than this make an event: longer than any receiver takes to be restarted.
const BEHIND_AFTER: Duration = Duration::from_secs(300);

/// How often it is tried to begin where that failed.
const BEGIN_AGAIN: Duration = Duration::from_secs(60);

/// The thread gets this long to write down its position; a request that hangs is left to the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often its end is looked for while the node stops.
const FAREWELL_STEP: Duration = Duration::from_millis(10);

/// The thread that sends.
#[derive(Debug)]
pub(crate) struct Remote {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    totals: Arc<Totals>,
}

impl Remote {
    /// Begins to send where the last run ended; the first time, with the samples that come in from now on, and those of a few
    /// minutes before. A folder of the position that cannot be used is tried again: the node does without the sender until
    /// then, and says so.
    ///
    /// # Errors
    /// [`NodeError`] where there is no thread to be had.
    pub(crate) fn start(
        settings: &RemoteSettings,
        state: &State,
        node: NodeId,
        host: &Untrusted,
    ) -> Result<Self, NodeError> {
        let beginning = Beginning::new(settings, state, node, host);
        let totals = Arc::clone(&beginning.totals);
        // now, before anything can be forgotten by the store that is about to be looked after
        let first = beginning.begin();
        let stop = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&stop);
        let thread = Builder::new()
            .name("remote-write".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&beginning, first, &wanted))
            .map_err(|source| NodeError::Thread {
                name: "remote-write",
                source,
            })?;
        Ok(Self {
            stop,
            thread,
            totals,
        })
    }

    /// What it has counted.
    pub(crate) fn totals(&self) -> Arc<Totals> {
        Arc::clone(&self.totals)
    }

    /// What is wrong with it.
    pub(crate) fn stated(&self, now: Moment) -> Vec<Stated> {
        let has_ended = self.thread.is_finished() && !self.stop.load(Ordering::Relaxed);
        stated(&self.totals, has_ended, now)
    }

    /// Ends the thread.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let until = Instant::now() + FAREWELL;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(FAREWELL_STEP);
        }
    }
}

/// What a sender begins with.
#[derive(Debug)]
struct Beginning {
    settings: RemoteSettings,
    labels: remote_write::Sender,
    state: PathBuf,
    store: PathBuf,
    /// When the node started: where nothing was sent before, what came in since then is.
    since: Timestamp,
    totals: Arc<Totals>,
}

impl Beginning {
    fn new(settings: &RemoteSettings, state: &State, node: NodeId, host: &Untrusted) -> Self {
        let since = SystemClock.moment().wall;
        Self {
            labels: labels(settings, node, host),
            settings: settings.clone(),
            state: state.dir.clone(),
            store: state.store.clone(),
            since,
            totals: Arc::new(Totals::new(since)),
        }
    }

    /// A sender that has looked at what waits; `None` where the position cannot be read now.
    fn begin(&self) -> Option<Sender<Client>> {
        let (position, cursor) = match Position::open(&self.state, &self.store, self.since) {
            Ok(opened) => opened,
            Err(trouble) => {
                let text = Chain(&trouble).to_string();
                if self.totals.idle() != text {
                    error!(
                        error = text,
                        "Nothing is sent by remote write, because its position cannot be read; it is tried again."
                    );
                }
                self.totals.is_idle(&text);
                return None;
            }
        };
        self.totals.is_idle("");
        self.totals.begins_at(&cursor);
        let mut sender = Sender::new(
            Tail::new(&self.store, cursor),
            Table::new(self.labels.clone(), self.settings.choice.clone()),
            Client::new(&self.settings),
            position,
            Arc::clone(&self.totals),
            &self.settings,
        );
        sender.look(SystemClock.moment());
        Some(sender)
    }
}

fn run(beginning: &Beginning, mut sender: Option<Sender<Client>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Some(sender) = &mut sender else {
            rest(BEGIN_AGAIN, stop);
            sender = beginning.begin();
            continue;
        };
        if let Next::Wait(span) = sender.step(SystemClock.moment()) {
            rest(span, stop);
        }
    }
    if let Some(mut sender) = sender {
        sender.close(SystemClock.moment().boot);
    }
}

fn rest(span: Duration, stop: &AtomicBool) {
    let until = Instant::now() + span;
    // a thread may be woken for no reason
    while !stop.load(Ordering::Relaxed)
        && let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        std::thread::park_timeout(left);
    }
}

/// What is wrong with a sender that has counted this.
fn stated(totals: &Totals, has_ended: bool, now: Moment) -> Vec<Stated> {
    let state =
        |cause: &str, severity, detail: &str, (name, value, unit): (&str, f64, &str)| Stated {
            cause: cause.to_owned(),
            severity,
            component: Untrusted::new("remote_write"),
            detail: Untrusted::new(detail),
            evidence: vec![Evidence {
                name: name.to_owned(),
                value: value.floor(),
                unit: unit.to_owned(),
            }],
        };
    let mut all = Vec::new();
    let lag = totals.lag(now.wall);
    let of_lag = ("lag", lag.as_secs_f64(), "s");
    let idle = totals.idle();
    if has_ended || !idle.is_empty() {
        let why = if has_ended {
            "its thread has ended"
        } else {
            &idle
        };
        let detail = format!("no samples are sent by remote write: {why}");
        all.push(state(
            "remote_write.stopped",
            Severity::Warning,
            &detail,
            of_lag,
        ));
    } else if lag >= BEHIND_AFTER {
        let trouble = totals.trouble();
        let detail = if trouble.is_empty() {
            "samples reach the receiver of remote write late".to_owned()
        } else {
            format!("samples do not reach the receiver of remote write: {trouble}")
        };
        all.push(state(
            "remote_write.behind",
            Severity::Warning,
            &detail,
            of_lag,
        ));
    }
    if let Some(refusal) = totals.refusal(now.boot) {
        let severity = if refusal.is_harmless {
            Severity::Info
        } else {
            Severity::Warning
        };
        let text = &refusal.text;
        let detail = format!("samples were refused by the receiver of remote write: {text}");
        let samples = u32::try_from(refusal.samples).map_or(f64::from(u32::MAX), f64::from);
        let evidence = ("samples", samples, "{sample}");
        all.push(state("remote_write.refused", severity, &detail, evidence));
    }
    all
}

/// The labels of every series: what the operator wrote, and who this is. Names of hosts repeat; ids of nodes do not.
fn labels(settings: &RemoteSettings, node: NodeId, host: &Untrusted) -> remote_write::Sender {
    let own = [
        ("job", "glasshouse".to_owned()),
        ("instance", host.clean()),
        ("node_id", node.to_string()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let written = settings.labels.clone();
    remote_write::Sender::new(own.into_iter().chain(written))
}
