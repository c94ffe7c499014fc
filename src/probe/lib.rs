//! Floor 2: collector threads and the frame writer.
//!
//! The probe is the process that reads hardware. It takes no input but its settings and the machine itself: there is
//! no listener here and nothing is ever read from the link to the node.
//!
//! ```text
//! collector thread ─▶ Recorder ─┐
//! collector thread ─▶ Recorder ─┼─▶ Queue (60 s, drop-oldest) ─▶ one writer thread ─▶ FIFO
//! supervisor: watchdog, status, own metrics ─┘
//! ```
//!
//! * A collector thread owns its collector, its schedule and its series. One that hangs costs its own series alone; the
//!   supervisor reports it, and what it says after its deadline is thrown away.
//! * Nobody but the writer thread ever waits for the link, and it does so without blocking in the kernel.
//! * Definitions of series are never dropped. They go out before their first use, again with the next run, and from
//!   then on all of them once in [`REPEAT_PERIOD`]. The link is one-way, so the node cannot ask: the second time covers
//!   a node that was killed between reading a definition and logging it, the repetition a node that lost its store.
//! * Facts go out when they change and once in [`REPEAT_PERIOD`]; statuses when they change and every 10 s.

mod board;
mod facts;
mod link;
mod once;
mod own;
mod parcel;
mod queue;
mod recorder;
mod runner;
mod schedule;
mod sender;
mod series;
mod settings;
mod stop;
mod supervisor;
#[cfg(test)]
mod testing;

pub use once::{CollectedOnce, CollectedSample, collect_once};
pub use own::{OWN_COLLECTOR, OWN_METRICS};
pub use series::MOST_SERIES;
pub use settings::{Planned, ProbeError, ProbeSettings, REPEAT_PERIOD, Tempo};
pub use supervisor::run;
