//! Critical events (XID): waiting for one blocks, so a thread of its own waits.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::log::{LogEntry, LogSource};
use glasshouse_core::sample::Value;
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::{Clock, Moment, SystemClock};

use super::library::Events;
use super::now::XID_ERRORS;
use super::refusal::Refusal;
use super::session::Session;
use super::xid;

/// Events that may wait for a run: a storm has thousands, and the counters say how many were dropped.
const QUEUE: usize = 256;

/// How long one wait takes at most, and so how long a thread outlives its collector and a session its end.
const WAIT: Duration = Duration::from_secs(1);

/// Pause after a wait that failed at once, as it does while a GPU is lost: the thread must not spin.
const PAUSE: Duration = Duration::from_secs(5);

/// Pairs of GPU and number that are counted; NVIDIA's list has some 170 numbers.
const MOST_COUNTED: usize = 1024;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// `0000:17:00.0`, where the driver said which.
    address: Option<String>,
    code: u64,
    at: Moment,
}

/// The thread of one session, and what it saw.
#[derive(Debug)]
struct Watch {
    session: Weak<Session>,
    received: Receiver<Seen>,
    dropped: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

/// All events since the collector was built.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    watch: Option<Watch>,
    counted: Vec<(String, String, u64)>,
    told: u64,
}

impl Journal {
    /// Sees to it that somebody waits for events of this session.
    pub(crate) fn follow(&mut self, session: &Arc<Session>) {
        let is_followed = self
            .watch
            .as_ref()
            .is_some_and(|watch| Weak::ptr_eq(&watch.session, &Arc::downgrade(session)));
        if !is_followed {
            self.watch = Watch::begin(session);
        }
    }

    /// Says what came since the last run, and how much of each there was.
    pub(crate) fn tell(&mut self, out: &mut dyn SampleWriter) {
        // the queue bounds the loop, but a storm may fill it as fast as it is emptied
        for _ in 0..QUEUE {
            let Some(seen) = self.watch.as_ref().and_then(Watch::next) else {
                break;
            };
            self.count(&seen);
            self.told += 1;
            out.log(entry(&seen, self.told));
        }
        let dropped = self
            .watch
            .as_ref()
            .map_or(0, |watch| watch.dropped.swap(0, Ordering::Relaxed));
        if dropped > 0 {
            out.failure(CollectError {
                path: "/dev/nvidiactl".into(),
                line: None,
                reason: FailureReason::Io,
                detail: format!("{dropped} events came faster than they could be told"),
            });
        }
        for (address, code, count) in &self.counted {
            out.sample(XID_ERRORS, &[address, code], Value::U64(*count));
        }
    }

    fn count(&mut self, seen: &Seen) {
        let address = seen.address.as_deref().unwrap_or(UNKNOWN);
        let code = seen.code.to_string();
        let is_full = self.counted.len() >= MOST_COUNTED;
        let known = self
            .counted
            .iter_mut()
            .find(|(known, number, _)| known == address && *number == code);
        match known {
            Some((_, _, count)) => *count = count.saturating_add(1),
            None if !is_full => {
                self.counted.push((address.to_owned(), code, 1));
            }
            None => {}
        }
    }
}

/// The GPU of an event that does not say.
const UNKNOWN: &str = "unknown";

fn entry(seen: &Seen, number: u64) -> LogEntry {
    let (severity, meaning) = xid::meaning(seen.code);
    let component = seen
        .address
        .as_ref()
        .map_or_else(|| "gpu".to_owned(), |address| format!("gpu/{address}"));
    LogEntry {
        source: LogSource::Gpu,
        origin: Untrusted::new("nvml"),
        // events have no number of their own: the time of the machine tells them apart, over restarts too
        id: Untrusted::new(&format!("{}-{number}", seen.at.boot.nanos())),
        at: Some(seen.at.wall),
        severity,
        code: Untrusted::new(&format!("xid.{}", seen.code)),
        component: Untrusted::new(&component),
        text: Untrusted::new(&format!("XID {}: {meaning}", seen.code)),
        raw: Vec::new(),
    }
}

impl Watch {
    /// `None` where no thread can be had; the next run tries again.
    fn begin(session: &Arc<Session>) -> Option<Self> {
        let (sender, received) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let waiter = Waiter {
            session: Arc::clone(session),
            sender,
            dropped: Arc::clone(&dropped),
            stop: Arc::clone(&stop),
        };
        std::thread::Builder::new()
            .name("gpu-events".to_owned())
            .spawn(move || waiter.run())
            .ok()?;
        Some(Self {
            session: Arc::downgrade(session),
            received,
            dropped,
            stop,
        })
    }

    fn next(&self) -> Option<Seen> {
        self.received.try_recv().ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What the thread has.
struct Waiter {
    session: Arc<Session>,
    sender: SyncSender<Seen>,
    dropped: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter")
    }
}

impl Waiter {
    /// Waits until the collector or the session ends. A library without events, or a machine whose GPUs raise none,
    /// ends it at once.
    fn run(self) {
        let Ok(mut events) = self.session.library.events() else {
            return;
        };
        let mut registered = 0_u32;
        for (index, _) in &self.session.gpus {
            if self.is_over() {
                return;
            }
            let is_possible = events.supported(*index).unwrap_or(false);
            if is_possible && events.register(*index).is_ok() {
                registered += 1;
            }
        }
        while registered > 0 && !self.is_over() {
            if self.wait(events.as_ref()).is_err() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.session.is_over()
    }

    /// Waits once. An error means that there is no use in waiting again.
    fn wait(&self, events: &dyn Events) -> Result<(), Refusal> {
        match events.next(WAIT) {
            Ok(None) => Ok(()),
            Ok(Some((index, code))) => {
                let address = index.and_then(|index| self.session.address(index));
                let seen = Seen {
                    address: address.map(str::to_owned),
                    code,
                    at: SystemClock.moment(),
                };
                if self.sender.try_send(seen).is_err() {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(refusal) if refusal.ends_session() || refusal.lasts() => Err(refusal),
            Err(_) => {
                self.pause();
                Ok(())
            }
        }
    }

    /// In short steps, so that an end is not waited for.
    fn pause(&self) {
        const STEPS: u32 = 10;
        for _ in 0..STEPS {
            if self.is_over() {
                return;
            }
            std::thread::sleep(PAUSE / STEPS);
        }
    }
}
