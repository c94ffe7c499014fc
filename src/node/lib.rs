//! Floor 2: takes frames, keeps the store.
//!
//! The node is the only writer of the state folder, the audit log aside. It has no device code and no listener: frames
//! come in over a FIFO, and whoever wants to know something reads the files.
//!
//! * The FIFO is opened for reading and writing, so that it never ends when the probe goes.
//! * A frame is stored before the next one is read: a node that is killed loses at most the frame that it had read.
//! * The probe cannot be asked, so its definitions are logged by the store and loaded again with the first frame of a
//!   run; what is lost all the same comes again within a minute, because the probe repeats itself.
//! * Trouble with the store (a full disk) costs what comes meanwhile. It is counted, logged when it begins and when it
//!   ends, and never ends the node. What was lost stands in the node's own series and status.
//! * What collectors say to be wrong becomes events, with the node's own: `life.rs` says when one begins and ends. Log
//!   entries are kept once, however often they come.
//! * What the store takes is sent on to a receiver of Prometheus' remote write where one is configured, on a thread of its own.
//! * The checkpoints of the audit log are signed on a thread of their own: a slow disk must not hold up the frames.

mod chain;
mod checkpoints;
mod health;
mod identity;
mod ingest;
mod inventory;
mod life;
mod logs;
mod node;
mod notices;
mod own;
mod pace;
mod refusals;
mod remote;
mod runs;
mod settings;
mod state;

pub use identity::node_id;
pub use node::run;
pub use own::{OWN_COLLECTOR, OWN_METRICS};
pub use refusals::STORE_METRICS;
pub use remote::{Choice, Credentials, RemoteSettings, SecretSource};
pub use settings::{NodeError, NodeSettings, Tempo};

/// The metrics of remote write, which the node has where that is configured.
pub static REMOTE_METRICS: &[glasshouse_core::metric::MetricDefinition] = &remote::METRICS;

#[cfg(test)]
mod whole;
