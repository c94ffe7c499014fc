//! Where configs and state are, as a command was told or as is usual.

use std::path::{Path, PathBuf};

use crate::cli::{DEFAULT_CONFIG, DEFAULT_PROBE_CONFIG, Global};
use crate::config::main_file::{self, MainConfig};
use crate::config::probe_file::{self, ProbeConfig};
use crate::config::problem::ConfigError;
use crate::exit::Failure;
use crate::registry;

/// The two config files that a command may need, each possibly absent.
#[derive(Debug)]
pub(crate) struct ConfigFiles {
    /// `glasshouse.toml`.
    pub(crate) main: Option<PathBuf>,
    /// `probe.toml`.
    pub(crate) probe: Option<PathBuf>,
}

/// A file whose name begins so is the probe's.
const PROBE_STEM: &str = "probe";

impl ConfigFiles {
    /// The file that was named and the one beside it; without a name those of /etc, where they exist.
    pub(crate) fn find(named: Option<&Path>) -> Self {
        let existing = |path: PathBuf| path.exists().then_some(path);
        let Some(named) = named else {
            return Self {
                main: existing(PathBuf::from(DEFAULT_CONFIG)),
                probe: existing(PathBuf::from(DEFAULT_PROBE_CONFIG)),
            };
        };
        let name = named.file_stem().unwrap_or_default().to_string_lossy();
        if name.starts_with(PROBE_STEM) {
            Self {
                main: existing(named.with_file_name("glasshouse.toml")),
                probe: Some(named.to_owned()),
            }
        } else {
            Self {
                main: Some(named.to_owned()),
                probe: existing(named.with_file_name("probe.toml")),
            }
        }
    }

    /// What `glasshouse.toml` says, or what holds without one.
    pub(crate) fn load_main(&self) -> Result<MainConfig, ConfigError> {
        self.main
            .as_deref()
            .map_or_else(main_file::defaults, main_file::load)
    }

    /// What `probe.toml` says, or what holds without one.
    pub(crate) fn load_probe(&self) -> Result<ProbeConfig, ConfigError> {
        let collectors = registry::collectors();
        self.probe.as_deref().map_or_else(
            || probe_file::defaults(&collectors),
            |path| probe_file::load(path, &collectors),
        )
    }
}

/// The config that `glasshouse up` wrote for the node into a state folder of its own.
pub(crate) fn state_folder_config(folder: &Path) -> Option<PathBuf> {
    let config = folder.join("run/node.toml");
    // what may not be looked at is there: who reads it says why it cannot be
    config.try_exists().unwrap_or(true).then_some(config)
}

/// A config error as the end of a command: wrong content is bad usage, an unreadable file is not.
pub(crate) fn config_failure(error: ConfigError) -> Failure {
    match &error {
        ConfigError::Wrong { .. } => Failure::usage(error),
        ConfigError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::usage(error)
        }
        ConfigError::Read { .. } => Failure::environment(error),
    }
}

/// The state folder: what was asked for, else what the config says.
pub(crate) fn state_dir(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(folder) = &global.state_dir {
        return Ok(folder.clone());
    }
    let files = ConfigFiles::find(global.config.as_deref());
    let config = files.load_main().map_err(config_failure)?;
    Ok(config.state_dir)
}
