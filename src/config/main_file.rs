//! `glasshouse.toml`: the node, its store, the face, and the built-in authorization server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::authd::{self, AuthdConfig};
use super::face::{self, FaceConfig};
use super::layers;
use super::problem::ConfigError;
use super::remote_write::{self, RemoteWriteConfig};
use super::schema::{Key, Keys, Kind, Section};
use super::table::{Document, Table};

/// Everything that `glasshouse.toml` says. A role uses its own part.
#[derive(Clone, Debug)]
pub(crate) struct MainConfig {
    /// Where telemetry and the audit log are.
    pub(crate) state_dir: PathBuf,
    /// What operators call the place of this node: `site`, `rack` and what else they like.
    pub(crate) labels: BTreeMap<String, String>,
    /// The node.
    pub(crate) node: NodeConfig,
    /// What the store keeps.
    pub(crate) store: StoreConfig,
    /// Where samples are sent on to, where that is configured.
    pub(crate) remote_write: Option<RemoteWriteConfig>,
    /// The face.
    pub(crate) serve: FaceConfig,
    /// The built-in authorization server, where it is configured.
    pub(crate) authd: Option<AuthdConfig>,
}

/// `[node]`.
#[derive(Clone, Debug)]
pub(crate) struct NodeConfig {
    /// The FIFO on which the probe's frames come.
    pub(crate) frames: PathBuf,
    /// Instead of the machine's own.
    pub(crate) machine_id: Option<String>,
    /// The key that signs checkpoints of the audit log; made where it is missing.
    pub(crate) checkpoint_key: Option<PathBuf>,
}

/// `[store]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreConfig {
    /// How long samples are kept.
    pub(crate) keep_samples: Duration,
    /// How long rollups of one minute are kept.
    pub(crate) keep_minutes: Duration,
    /// How long rollups of one hour are kept.
    pub(crate) keep_hours: Duration,
    /// What the store may take on disk.
    pub(crate) most_bytes: u64,
    /// How long log entries of kernel and BMC are kept.
    pub(crate) keep_logs: Duration,
    /// What they may take on disk.
    pub(crate) most_log_bytes: u64,
}

static STATE_DIR: Key = Key::with_default(
    "state_dir",
    Kind::Path,
    "\"/var/lib/glasshouse\"",
    "Where telemetry and the audit log are.",
);
static FRAMES: Key = Key::with_default(
    "frames",
    Kind::Path,
    "\"/run/glasshouse/frames\"",
    "The FIFO on which the probe's frames come.",
);
static MACHINE_ID: Key = Key::optional(
    "machine_id",
    Kind::Text,
    "\"0123456789abcdef0123456789abcdef\"",
    "Who this node is, where /etc/machine-id does not say it. The node's id is made from it.",
);
static CHECKPOINT_KEY: Key = Key::optional(
    "checkpoint_key",
    Kind::Path,
    "\"/var/lib/glasshouse/node/checkpoint.key\"",
    "The key that signs checkpoints of the audit log; made where it is missing. Left out: node/checkpoint.key in the state folder.",
);
static KEEP_SAMPLES: Key = Key::with_default(
    "keep_samples",
    Kind::Span("1h", "3650d"),
    "\"14d\"",
    "How long samples are kept.",
);
static KEEP_MINUTES: Key = Key::with_default(
    "keep_minute_rollups",
    Kind::Span("1h", "3650d"),
    "\"90d\"",
    "How long rollups of one minute are kept; at least as long as samples.",
);
static KEEP_HOURS: Key = Key::with_default(
    "keep_hour_rollups",
    Kind::Span("1h", "3650d"),
    "\"400d\"",
    "How long rollups of one hour are kept; at least as long as those of one minute.",
);
static MOST_BYTES: Key = Key::with_default(
    "most_bytes",
    Kind::Size,
    "\"2GiB\"",
    "What the store may take on disk; the oldest goes first.",
);
static KEEP_LOGS: Key = Key::with_default(
    "keep_logs",
    Kind::Span("1h", "3650d"),
    "\"400d\"",
    "How long log entries of kernel, BMC and GPU driver are kept.",
);
static MOST_LOG_BYTES: Key = Key::with_default(
    "most_log_bytes",
    Kind::Size,
    "\"64MiB\"",
    "What log entries may take on disk; the oldest go first.",
);

/// Reads `glasshouse.toml` and its drop-ins.
///
/// # Errors
/// [`ConfigError`] where a file cannot be read or something in it is wrong.
pub(crate) fn load(path: &Path) -> Result<MainConfig, ConfigError> {
    let document = Document::check(layers::read(path)?, &sections())?;
    build(&document)
}

/// What holds where there is no file at all.
///
/// # Errors
/// None: a test reads the defaults of every key.
pub(crate) fn defaults() -> Result<MainConfig, ConfigError> {
    build(&Document::check(BTreeMap::new(), &sections())?)
}

/// What may stand in the file.
pub(crate) fn sections() -> Vec<Section> {
    let mut sections = vec![
        Section::new(&[], "", &[&STATE_DIR]),
        Section {
            path: vec!["labels"],
            help: Cow::Borrowed(
                "Where this node stands, in your words. `site` and `rack` are known to the policies; all can be named in a scope.",
            ),
            keys: Keys::Free(Kind::Text, "site = \"berlin-1\"\nrack = \"r12\""),
        },
        Section::new(
            &["node"],
            "The node: takes what the probe read and keeps the store.",
            &[&FRAMES, &MACHINE_ID, &CHECKPOINT_KEY],
        ),
        Section::new(
            &["store"],
            "What the store keeps.",
            &[
                &KEEP_SAMPLES,
                &KEEP_MINUTES,
                &KEEP_HOURS,
                &MOST_BYTES,
                &KEEP_LOGS,
                &MOST_LOG_BYTES,
            ],
        ),
    ];
    sections.extend(remote_write::sections());
    sections.extend(face::sections());
    sections.extend(authd::sections());
    sections
}

fn build(document: &Document) -> Result<MainConfig, ConfigError> {
    let top = document.table(&[]);
    let node = top.table("node");
    Ok(MainConfig {
        state_dir: top.path(&STATE_DIR).unwrap_or_default(),
        labels: top.table("labels").texts(),
        node: NodeConfig {
            frames: node.path(&FRAMES).unwrap_or_default(),
            machine_id: node.text(&MACHINE_ID),
            checkpoint_key: node.path(&CHECKPOINT_KEY),
        },
        store: build_store(top.table("store"))?,
        remote_write: remote_write::build(top.table("remote_write"), top.table("labels").texts())?,
        serve: face::build(top.table("serve"))?,
        authd: authd::build(top.table("authd")),
    })
}

fn build_store(store: Table<'_>) -> Result<StoreConfig, ConfigError> {
    let config = StoreConfig {
        keep_samples: store.span(&KEEP_SAMPLES).unwrap_or_default(),
        keep_minutes: store.span(&KEEP_MINUTES).unwrap_or_default(),
        keep_hours: store.span(&KEEP_HOURS).unwrap_or_default(),
        most_bytes: store.size(&MOST_BYTES).unwrap_or_default(),
        keep_logs: store.span(&KEEP_LOGS).unwrap_or_default(),
        most_log_bytes: store.size(&MOST_LOG_BYTES).unwrap_or_default(),
    };
    let order = [
        (
            &KEEP_SAMPLES,
            config.keep_samples,
            &KEEP_MINUTES,
            config.keep_minutes,
        ),
        (
            &KEEP_MINUTES,
            config.keep_minutes,
            &KEEP_HOURS,
            config.keep_hours,
        ),
    ];
    for (finer, short, coarser, long) in order {
        if short > long {
            let message = format!(
                "`{}` is longer than `{}`, but rollups outlive what they were made from",
                finer.name, coarser.name
            );
            let help = format!("make `{}` at least as long", coarser.name);
            return Err(store
                .problem(finer, message.clone(), &help)
                .or_else(|| store.problem(coarser, message, &help))
                .unwrap_or(ConfigError::Wrong {
                    problems: Vec::new(),
                }));
        }
    }
    Ok(config)
}
