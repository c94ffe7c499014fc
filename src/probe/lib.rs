//! Floor 2: what runs the collectors, and the frame writer.
//!
//! The probe is the process that reads hardware. It takes no input but its settings and the machine itself: there is
//! no listener here and nothing is ever read from the link to the node.
//!
//! ```text
//! crew: collector ─▶ Recorder ───┐
//!       collector ─▶ Recorder ───┼─▶ Queue (60 s, drop-oldest) ─▶ one writer thread ─▶ FIFO
//! worker thread ◀─ pipe ─ worker ┤
//! supervisor: watchdog, status, own metrics ─┘
//! ```
//!
//! * One thread of the crew runs all collectors that are due at a tick, so that a tick wakes the machine once; another
//!   takes over at once when that one does not come back. A collector owns its schedule and its series. One that hangs
//!   costs its own series alone; the supervisor reports it, and what it says after its deadline is thrown away.
//! * What asks a device that may never answer, or parses what a network sent, runs in a worker: this same machinery in
//!   a process of its own, which ends itself when a call misses its deadline ([`run_worker`]). The probe reads its
//!   frames as it would read a device's answer: only what the worker's collectors declare is taken, at the pace at
//!   which they run, and numbered anew. It starts workers again, one process, one thread and one pipe each, and none
//!   in place of a process that the kernel does not let go. A child of the probe has its user and its supplementary
//!   groups but none of its capabilities: they are not ambient and end with the `exec`, and devices are opened by the
//!   rights of their nodes.
//! * A collector that is silent for three periods has its series marked absent, with the reason: nobody takes an old
//!   value for a new one. One that misses three deadlines, or gives no answer for 90 s, is a condition.
//! * Nobody but the writer thread ever waits for the link, and it does so without blocking in the kernel.
//! * Definitions of series are never dropped. They go out before their first use, again with the next run, and from
//!   then on all of them once in [`REPEAT_PERIOD`]. The link is one-way, so the node cannot ask: the second time covers
//!   a node that was killed between reading a definition and logging it, the repetition a node that lost its store.
//! * Facts go out when they change and once in [`REPEAT_PERIOD`]; statuses when they change and every 10 s.
//!   Conditions go out when they change and once in [`REPEAT_PERIOD`], log entries once.

#[cfg(test)]
mod allocation_tests;
mod board;
mod crew;
mod end;
mod facts;
mod keeper;
mod link;
mod notices;
mod once;
mod own;
mod parcel;
mod process;
mod queue;
mod recorder;
mod relay;
mod runner;
mod schedule;
mod sender;
mod series;
mod settings;
mod silence;
mod stop;
mod supervisor;
#[cfg(test)]
mod testing;
mod used;
mod workers;

pub use link::Output;
pub use once::{CollectedOnce, CollectedSample, collect_once};
pub use own::{OWN_COLLECTOR, OWN_METRICS};
pub use series::MOST_SERIES;
pub use settings::{Planned, ProbeError, ProbeSettings, REPEAT_PERIOD, Reach, Tempo, WorkerPlan};
pub use supervisor::{run, run_worker};
