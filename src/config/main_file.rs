//! `glasshouse.toml`: the node, its store, the face, and the built-in authorization server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::authd::{self, AuthdConfig};
use super::face::{self, FaceConfig};
use super::layers;
use super::problem::ConfigError;
use super::remote_write::{self, RemoteWriteConfig};
use super::schema::{Key, Keys, Kind, Section};
use super::store::{self, StoreConfig};
use super::table::Document;

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
        store::section(),
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
        store: store::build(top.table("store"))?,
        remote_write: remote_write::build(top.table("remote_write"), top.table("labels").texts())?,
        serve: face::build(top.table("serve"))?,
        authd: authd::build(top.table("authd")),
    })
}
