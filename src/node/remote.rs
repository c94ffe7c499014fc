//! Sends what the store takes to a receiver of Prometheus' remote write 1.0.
//!
//! A thread of its own follows the store ([`Tail`]) and sends what came in: one request at a time, in order, from a
//! position that is written down behind each answer. The store is the queue, so it is as long as the store keeps samples,
//! takes no space of its own, and outlasts restarts.
//!
//! * What the receiver cannot take now (no answer, 5xx, 429) is sent again, each time later, for as long as it takes.
//! * What it refuses (other 4xx) is never sent again. Since receivers refuse a whole request for one sample that came too
//!   late, a refused request is first divided, so that the others arrive; what is left is counted by its reason.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use glasshouse_core::condition::Severity;
use glasshouse_core::finding::Evidence;
use glasshouse_core::identity::NodeId;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, Moment, SystemClock};
use glasshouse_exposition::remote_write;
use glasshouse_store::Tail;

use self::client::Client;
use self::position::Position;
use self::sender::{Next, Sender};
use self::table::Table;
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
    /// minutes before.
    ///
    /// # Errors
    /// [`NodeError`] where the folder of the position cannot be used, or there is no thread to be had.
    pub(crate) fn start(
        settings: &RemoteSettings,
        state: &State,
        node: NodeId,
        host: &Untrusted,
    ) -> Result<Self, NodeError> {
        let now = SystemClock.moment();
        let totals = Arc::new(Totals::new(now.wall));
        let (position, cursor) = Position::open(&state.dir, &state.store, now.wall)?;
        totals.begins_at(&cursor);
        let mut sender = Sender::new(
            Tail::new(&state.store, cursor),
            Table::new(labels(settings, node, host), settings.choice.clone()),
            Client::new(settings),
            position,
            Arc::clone(&totals),
            settings,
        );
        // before anything can be forgotten by the store that is about to be looked after
        sender.look(now);
        let stop = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&stop);
        let thread = Builder::new()
            .name("remote-write".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || go_on(&mut sender, &wanted))
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
    pub(crate) fn stated(&self, now: Moment) -> Option<Stated> {
        let lag = self.totals.lag(now.wall);
        (lag >= BEHIND_AFTER).then(|| {
            let trouble = self.totals.trouble();
            let detail = if trouble.is_empty() {
                "samples reach the receiver of remote write late".to_owned()
            } else {
                format!("samples do not reach the receiver of remote write: {trouble}")
            };
            Stated {
                cause: "remote_write.behind".to_owned(),
                severity: Severity::Warning,
                component: Untrusted::new("remote_write"),
                detail: Untrusted::new(&detail),
                evidence: vec![Evidence {
                    name: "lag".to_owned(),
                    value: lag.as_secs_f64().floor(),
                    unit: "s".to_owned(),
                }],
            }
        })
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

fn go_on(sender: &mut Sender<Client>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if let Next::Wait(span) = sender.step(SystemClock.moment()) {
            let until = Instant::now() + span;
            // a thread may be woken for no reason
            while !stop.load(Ordering::Relaxed)
                && let left = until.saturating_duration_since(Instant::now())
                && !left.is_zero()
            {
                std::thread::park_timeout(left);
            }
        }
    }
    sender.close();
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
