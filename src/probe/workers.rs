//! The workers of a probe, and their threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use glasshouse_core::worker::Worker;

use crate::board::Slot;
use crate::keeper::Keeper;
use crate::queue::Queue;
use crate::relay::{Relay, WorkerCounts};
use crate::series::Numbers;
use crate::settings::{Planned, ProbeError, ProbeSettings, WorkerPlan};
use crate::stop::Stop;
use crate::supervisor::{STACK_BYTES, spawn};

/// A worker that the probe keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) worker: Worker,
    pub(crate) thread: Option<JoinHandle<()>>,
    plan: WorkerPlan,
    /// Until its thread has it.
    relay: Option<Relay>,
    counts: Arc<Mutex<WorkerCounts>>,
}

impl Kept {
    pub(crate) fn new(plan: &WorkerPlan, queue: &Arc<Queue>) -> Self {
        Self {
            worker: plan.worker,
            thread: None,
            plan: plan.clone(),
            relay: Some(Relay::new(queue)),
            counts: Arc::default(),
        }
    }

    /// Adds one of its collectors.
    pub(crate) fn add(
        &mut self,
        planned: Planned,
        interval: Duration,
        slot: Arc<Slot>,
        numbers: Numbers,
    ) {
        if let Some(relay) = &mut self.relay {
            relay.add(planned, interval, slot, numbers);
        }
    }

    /// Starts the thread that keeps it.
    pub(crate) fn start(
        &mut self,
        settings: &ProbeSettings,
        stop: &Arc<Stop>,
    ) -> Result<(), ProbeError> {
        let Some(relay) = self.relay.take() else {
            return Ok(());
        };
        let keeper = Keeper {
            worker: self.worker,
            reach: self.plan.reach.clone(),
            root: settings.root.clone(),
            tempo: settings.tempo.clone(),
            relay,
            stop: Arc::clone(stop),
            counts: Arc::clone(&self.counts),
        };
        let name = format!("worker-{}", self.worker.word());
        self.thread = Some(spawn(name, STACK_BYTES, move || keeper.run())?);
        Ok(())
    }

    pub(crate) fn counts(&self) -> WorkerCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
