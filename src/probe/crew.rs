//! The threads that run collectors: few, and never all of them in a device.
//!
//! One member of the crew leads: it sleeps until collectors are due and runs them one after the other, so that a tick
//! wakes the machine once, however many collectors there are. Another stands by. It looks a little after each tick, and
//! where the lead has been away in one run for longer than [`PATIENCE`] while others wait, takes the lead itself. Then a
//! third stands by, made where there is none. So a collector that hangs costs the others [`PATIENCE`] in the one tick in
//! which it begins to hang, and nothing afterwards: who comes back from it finds the lead taken and becomes a reserve.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::queue::Queue;
use crate::runner::Runner;
use crate::settings::ProbeError;
use crate::supervisor::spawn;

/// The lead may be away for this long while others wait. Longer than nearly every run and short against the shortest
/// interval: with as many collectors as there are hanging at the same tick, few miss it.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is due so soon is due now: ticks are counted on the wall clock and waited for on another.
const TOGETHER: Duration = Duration::from_millis(1);

/// Members from the start on: one leads, one stands by, and collectors that are slow now and then make no new ones.
const FIRST_MEMBERS: usize = 4;

/// Threads that share the runs of all collectors.
#[derive(Debug)]
pub(crate) struct Crew {
    inner: Mutex<Inner>,
    /// For the lead and the stand-by.
    changed: Condvar,
    /// For those who have nothing to do.
    called: Condvar,
    queue: Arc<Queue>,
    stack_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: BinaryHeap<Job>,
    /// Which lead this is, counted; who led as another is a member like others.
    lead: u64,
    has_lead: bool,
    has_stand_by: bool,
    reserves: usize,
    /// When the lead last took a run.
    taken: Option<Instant>,
    members: Vec<JoinHandle<()>>,
    is_closed: bool,
}

/// A collector that waits for its tick.
#[derive(Debug)]
struct Job {
    due: Instant,
    /// Among those that are due at once.
    place: usize,
    runner: Box<Runner>,
}

impl Crew {
    pub(crate) fn new(queue: &Arc<Queue>, stack_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            changed: Condvar::new(),
            called: Condvar::new(),
            queue: Arc::clone(queue),
            stack_bytes,
        })
    }

    /// Takes on collectors, which all run at once.
    pub(crate) fn take_on(self: &Arc<Self>, runners: Vec<Runner>) -> Result<(), ProbeError> {
        let now = Instant::now();
        // each of them can keep one member; somebody has to be left
        let members = runners.len().saturating_add(1).min(FIRST_MEMBERS);
        if runners.is_empty() {
            return Ok(());
        }
        let mut inner = self.lock();
        for (place, runner) in runners.into_iter().enumerate() {
            inner.waiting.push(Job {
                due: now,
                place,
                runner: Box::new(runner),
            });
        }
        for _ in 0..members {
            self.hire(&mut inner)?;
        }
        Ok(())
    }

    /// Lets everybody go who is not in a run, and those when they come back.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
        self.called.notify_all();
    }

    /// Whether all have gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().members.iter().all(JoinHandle::is_finished)
    }

    fn hire(self: &Arc<Self>, inner: &mut Inner) -> Result<(), ProbeError> {
        let crew = Arc::clone(self);
        let name = format!("collectors-{}", inner.members.len());
        let member = spawn(name, self.stack_bytes, move || crew.serve())?;
        inner.members.push(member);
        Ok(())
    }

    /// What a member does until the end.
    fn serve(self: &Arc<Self>) {
        let mut inner = self.lock();
        while !inner.is_closed {
            if !inner.has_lead {
                inner.has_lead = true;
                inner.lead = inner.lead.wrapping_add(1);
                inner = self.lead(inner);
            } else if !inner.has_stand_by {
                inner.has_stand_by = true;
                inner = self.stand_by(inner);
            } else {
                inner.reserves = inner.reserves.saturating_add(1);
                inner = wait(&self.called, inner);
                inner.reserves = inner.reserves.saturating_sub(1);
            }
        }
    }

    /// Runs what is due until another has taken the lead, or until the end.
    fn lead<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        let lead = inner.lead;
        while !inner.is_closed && inner.lead == lead {
            let now = Instant::now();
            match inner.waiting.peek().map(|job| job.due) {
                Some(due) if due <= now + TOGETHER => {
                    let Some(job) = inner.waiting.pop() else {
                        continue;
                    };
                    inner.taken = Some(now);
                    drop(inner);
                    let job = run(job);
                    inner = self.lock();
                    if inner.lead != lead {
                        // the lead may sleep past it
                        self.changed.notify_all();
                    }
                    inner.waiting.extend(job);
                }
                due => {
                    // all that the tick has brought goes on its way together
                    self.queue.wake();
                    inner = match due {
                        Some(due) => wait_until(&self.changed, inner, due),
                        None => wait(&self.changed, inner),
                    };
                }
            }
        }
        inner
    }

    /// Waits until the lead does not come back, and makes room for another.
    fn stand_by<'a>(
        self: &'a Arc<Self>,
        mut inner: MutexGuard<'a, Inner>,
    ) -> MutexGuard<'a, Inner> {
        while !inner.is_closed {
            // what the lead had read before it went into a device need not wait for it
            self.queue.wake();
            let due = inner.waiting.peek().map(|job| job.due);
            let Some(overdue) = due.map(|due| inner.taken.map_or(due, |taken| due.max(taken)))
            else {
                inner = wait(&self.changed, inner);
                continue;
            };
            let overdue = overdue + PATIENCE;
            if Instant::now() < overdue {
                inner = wait_until(&self.changed, inner, overdue);
                continue;
            }
            inner.has_lead = false;
            break;
        }
        inner.has_stand_by = false;
        if !inner.is_closed {
            self.call_another(&mut inner);
        }
        inner
    }

    /// Somebody has to stand by for the one who takes the lead now.
    fn call_another(self: &Arc<Self>, inner: &mut Inner) {
        if inner.reserves > 0 {
            self.called.notify_one();
        } else if let Err(error) = self.hire(inner) {
            // the next one who comes back from a run stands by
            warn!(%error, "Nobody stands by for the thread that runs the collectors.");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run; the job again with its next tick, or nothing where the runner itself panicked.
fn run(mut job: Job) -> Option<Job> {
    let slot = Arc::clone(&job.runner.slot);
    let wait = catch_unwind(AssertUnwindSafe(|| job.runner.run()));
    match wait {
        Ok(wait) => {
            job.due = Instant::now() + wait;
            Some(job)
        }
        Err(_) => {
            error!(
                collector = slot.name,
                "What runs the collector panicked, which is a bug; it does not run any more."
            );
            slot.ended();
            None
        }
    }
}

fn wait<'a>(condition: &Condvar, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
    condition
        .wait(inner)
        .unwrap_or_else(PoisonError::into_inner)
}

fn wait_until<'a>(
    condition: &Condvar,
    inner: MutexGuard<'a, Inner>,
    until: Instant,
) -> MutexGuard<'a, Inner> {
    let span = until.saturating_duration_since(Instant::now());
    let waited = condition.wait_timeout(inner, span);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

impl Ord for Job {
    /// The greatest is what is due first.
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = (other.due, other.place);
        keys.cmp(&(self.due, self.place))
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Job {}

#[cfg(test)]
#[path = "crew_tests.rs"]
mod tests;
