//! What a node is told at its start, and why it could not.

use std::path::PathBuf;
use std::time::Duration;

use glasshouse_store::{Keep, StoreError, StoreSettings};

use crate::remote::RemoteSettings;

/// What a node is told at its start.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// The state folder. It must exist; what the node keeps in it is made.
    pub state_dir: PathBuf,
    /// The FIFO from the probe. It must exist: who supervises both makes it.
    pub frames: PathBuf,
    /// What the node's id is made from; `None` reads `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// The name of the node; `None` asks the kernel.
    pub host_name: Option<String>,
    /// How the store is kept.
    pub store: StoreSettings,
    /// How much of the log entries is kept.
    pub logs: Keep,
    /// The node's key for checkpoints of the audit log; made where it is missing.
    pub checkpoint_key: PathBuf,
    /// Where samples are sent on to, if anywhere.
    pub remote: Option<RemoteSettings>,
    /// How often what is done.
    pub tempo: Tempo,
}

/// How often what is done. The default is for machines; tests hurry.
#[derive(Clone, Debug)]
pub struct Tempo {
    /// The store is maintained, and changes go into the inventory, about this often: an eighth earlier where frames
    /// woke the node, an eighth later where none did. A stop is noticed this late.
    pub maintenance: Duration,
    /// The inventory is written at least this often, for the state of the link, and the node reports itself.
    pub inventory: Duration,
    /// The audit log gets a checkpoint this often.
    pub checkpoint: Duration,
    /// A frame that is not whole after this is given up: its writer died in the middle of it.
    pub partial: Duration,
    /// When no frame came for this long, the probe is silent: three times the span after which it says that it lives.
    pub silence: Duration,
    /// What held before the probe started anew may be stated again this late, beside three runs of its collector.
    pub grace: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            maintenance: Duration::from_secs(1),
            inventory: Duration::from_secs(10),
            checkpoint: Duration::from_secs(10),
            partial: Duration::from_secs(5),
            silence: Duration::from_secs(30),
            grace: Duration::from_secs(90),
        }
    }
}

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The state folder or a folder in it cannot be used.
    #[error(
        "failed to use the state folder `{}` (it must exist and belong to the user that the node runs as)",
        path.display()
    )]
    State {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The FIFO cannot be opened.
    #[error(
        "failed to open the frames' FIFO `{}` (`glasshouse up` or glasshouse-frames.socket makes it)",
        path.display()
    )]
    Frames {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What stands there is no FIFO.
    #[error("`{}` is no FIFO (remove it, and let the supervisor make one)", path.display())]
    NoFifo {
        /// Where it should be.
        path: PathBuf,
    },
    /// Frames can no longer be read.
    #[error("failed to read frames from `{}`", path.display())]
    Read {
        /// The FIFO.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("failed to open the store in `{}`", path.display())]
    Store {
        /// Its folder.
        path: PathBuf,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// The system gives no thread.
    #[error("failed to start the thread `{name}` (raise the limit on tasks of this service)")]
    Thread {
        /// Which one.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
