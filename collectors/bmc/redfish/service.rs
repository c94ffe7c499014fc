//! The thread of all pollers: started with the first run, ended with the collector, sessions ended with it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use glasshouse_core::failure::{CollectError, FailureReason};
use tokio::sync::watch;

use super::client::{Client, Outcomes};
use super::poller::Poller;
use super::published::Published;
use super::reader::Reader;
use super::settings::{Settings, Trust};
use super::shares::Quota;
use super::timing::Timing;

/// Threads for names that have to be resolved: one that hangs must not hold all others.
const MOST_RESOLVERS: usize = 2;

/// A BMC to ask.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) settings: Settings,
    pub(crate) client: Arc<Client>,
    pub(crate) is_this_host: bool,
}

/// One BMC as the runs see it.
#[derive(Debug)]
pub(crate) struct Bmc {
    client: Arc<Client>,
    published: Arc<Mutex<Published>>,
}

impl Bmc {
    pub(crate) fn name(&self) -> &str {
        self.client.name()
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests_a_minute(&self) -> usize {
        self.client.requests_a_minute()
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        self.client.outcomes()
    }
}

/// What the runs tell the pollers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Beat {
    run: u64,
    stop: bool,
}

/// Which run each poller has finished its round for.
#[derive(Debug)]
struct Finished {
    runs: Mutex<Vec<u64>>,
    changed: Condvar,
}

/// All pollers and their thread.
#[derive(Debug)]
pub(crate) struct Service {
    bmcs: Vec<Bmc>,
    beat: watch::Sender<Beat>,
    finished: Arc<Finished>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the machine gives no thread.
    pub(crate) fn start(watched: Vec<Watched>, timing: Timing) -> Result<Self, CollectError> {
        let (beat, receiver) = watch::channel(Beat::default());
        let finished = Arc::new(Finished {
            runs: Mutex::new(vec![0; watched.len()]),
            changed: Condvar::new(),
        });
        let mut bmcs = Vec::new();
        let mut pollers = Vec::new();
        let quota = Quota::one_of(watched.len());
        for one in watched {
            let published = Arc::new(Mutex::new(Published::new(quota)));
            let shared = Arc::clone(&published);
            let reader = Reader(Arc::clone(&one.client));
            if one.settings.trust == Trust::Anybody {
                let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
                published.health().insecure = true;
            }
            pollers.push(Poller::new(
                reader,
                &one.settings,
                shared,
                one.is_this_host,
                timing,
            ));
            bmcs.push(Bmc {
                client: one.client,
                published,
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(MOST_RESOLVERS)
            // so that their number does not go up and down
            .thread_keep_alive(Duration::from_hours(24))
            .build()
            .map_err(|error| no_thread(&error))?;
        let shared = Arc::clone(&finished);
        let thread = std::thread::Builder::new()
            .name("redfish".to_owned())
            .spawn(move || {
                let all = pollers.into_iter().enumerate().map(|(place, poller)| {
                    let (beat, finished) = (receiver.clone(), Arc::clone(&shared));
                    (place, poller, beat, finished)
                });
                let all: Vec<_> = all.collect();
                runtime.block_on(async move {
                    let tasks = all.into_iter().map(|(place, poller, beat, finished)| {
                        tokio::spawn(follow(poller, place, beat, finished, timing))
                    });
                    for task in tasks.collect::<Vec<_>>() {
                        // a poller that ended early has nothing more to say
                        task.await.ok();
                    }
                });
                // one that resolves a name for ever is not waited for
                runtime.shutdown_background();
            })
            .map_err(|error| no_thread(&error))?;
        Ok(Self {
            bmcs,
            beat,
            finished,
            thread: Some(thread),
        })
    }

    /// All BMCs.
    pub(crate) fn bmcs(&self) -> &[Bmc] {
        &self.bmcs
    }

    /// Wakes all pollers and waits until their rounds are done, but not longer than `most`.
    pub(crate) fn wake(&self, most: Duration) {
        let mut run = 0;
        self.beat.send_modify(|beat| {
            beat.run += 1;
            run = beat.run;
        });
        let until = Instant::now() + most;
        let mut runs = self
            .finished
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while runs.iter().any(|finished| *finished < run) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            runs = self
                .finished
                .changed
                .wait_timeout(runs, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.beat.send_modify(|beat| beat.stop = true);
        if let Some(thread) = self.thread.take() {
            // each poller ends within its deadline; a panic there has been reported by its thread
            thread.join().ok();
        }
    }
}

fn no_thread(error: &std::io::Error) -> CollectError {
    CollectError {
        path: "/proc/self/task".into(),
        line: None,
        reason: FailureReason::from_io(error),
        detail: format!("no thread for BMCs: {error}"),
    }
}

/// A round for each run, unless the BMC is still busy with the last or is given a rest; at the end the session.
async fn follow(
    mut poller: Poller,
    place: usize,
    mut beat: watch::Receiver<Beat>,
    finished: Arc<Finished>,
    timing: Timing,
) {
    let mut rests_until = Instant::now();
    loop {
        if beat.changed().await.is_err() || beat.borrow().stop {
            break;
        }
        let run = beat.borrow_and_update().run;
        if Instant::now() >= rests_until {
            let began = Instant::now();
            let mut stop = beat.clone();
            let stopped = async {
                // the sender lives as long as the collector
                stop.wait_for(|beat| beat.stop).await.map(drop).ok();
                // an answer that is on its way may be that of a login
                tokio::time::sleep(timing.stop / 2).await;
            };
            tokio::select! {
                () = poller.round() => {}
                () = stopped => {}
            }
            let took = began.elapsed();
            if took > timing.periods.readings / 2 {
                // a slow BMC is asked half of the time at most
                rests_until = Instant::now() + took.min(timing.rest);
            }
        }
        finish(&finished, place, run);
    }
    finish(&finished, place, u64::MAX);
    tokio::time::timeout(timing.stop / 2, poller.log_out())
        .await
        .ok();
}

fn finish(finished: &Finished, place: usize, run: u64) {
    let mut runs = finished.runs.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = runs.get_mut(place) {
        *slot = run;
    }
    finished.changed.notify_all();
}
