//! `probe.toml`: what the probe reads and how often. Only the probe reads this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::options::{OptionDefault, OptionDefinition, OptionValue, Options};
use glasshouse_core::time::Interval;

use super::layers;
use super::problem::ConfigError;
use super::schema::{Default, Key, Keys, Kind, Meaning, Section};
use super::table::{Document, Table};

/// Everything that `probe.toml` says.
#[derive(Clone, Debug)]
pub(crate) struct ProbeConfig {
    /// The machine is read below this folder.
    pub(crate) root: PathBuf,
    /// The FIFO to which frames are written.
    pub(crate) frames: PathBuf,
    /// One entry a collector, in the order of the registry.
    pub(crate) collectors: Vec<CollectorConfig>,
}

/// `[collectors.NAME]`.
#[derive(Clone, Debug)]
pub(crate) struct CollectorConfig {
    /// Which collector.
    pub(crate) spec: &'static dyn CollectorSpec,
    /// Whether it runs.
    pub(crate) enabled: bool,
    /// How often.
    pub(crate) interval: Interval,
    /// Its own settings.
    pub(crate) options: Options,
}

static ROOT: Key = Key::with_default(
    "root",
    Kind::Path,
    "\"/\"",
    "The machine is read below this folder: /, or a captured tree.",
);
static FRAMES: Key = Key::with_default(
    "frames",
    Kind::Path,
    "\"/run/glasshouse/frames\"",
    "The FIFO to which frames are written.",
);
static ENABLED: Key = Key::with_default("enabled", Kind::Switch, "true", "Whether it runs.");

/// Reads `probe.toml` and its drop-ins.
///
/// # Errors
/// [`ConfigError`] where a file cannot be read or something in it is wrong.
pub(crate) fn load(
    path: &Path,
    collectors: &[&'static dyn CollectorSpec],
) -> Result<ProbeConfig, ConfigError> {
    let document = Document::check(layers::read(path)?, &sections(collectors))?;
    Ok(build(&document, collectors))
}

/// What holds where there is no file at all.
///
/// # Errors
/// None: nothing is required.
pub(crate) fn defaults(
    collectors: &[&'static dyn CollectorSpec],
) -> Result<ProbeConfig, ConfigError> {
    let document = Document::check(BTreeMap::new(), &sections(collectors))?;
    Ok(build(&document, collectors))
}

/// What may stand in the file.
pub(crate) fn sections(collectors: &[&'static dyn CollectorSpec]) -> Vec<Section> {
    let mut sections = vec![Section::new(&[], "", &[&ROOT, &FRAMES])];
    sections.extend(collectors.iter().map(|spec| {
        let mut keys = vec![ENABLED.clone(), interval_key(*spec)];
        keys.extend(spec.options().iter().map(option_key));
        Section {
            path: vec!["collectors", spec.name()],
            help: Cow::Borrowed(spec.summary()),
            keys: Keys::Named(keys),
        }
    }));
    sections
}

fn build(document: &Document, collectors: &[&'static dyn CollectorSpec]) -> ProbeConfig {
    let top = document.table(&[]);
    let written = top.table("collectors");
    ProbeConfig {
        root: top.path(&ROOT).unwrap_or_default(),
        frames: top.path(&FRAMES).unwrap_or_default(),
        collectors: collectors
            .iter()
            .map(|spec| build_collector(*spec, written.table(spec.name())))
            .collect(),
    }
}

fn build_collector(spec: &'static dyn CollectorSpec, table: Table<'_>) -> CollectorConfig {
    let interval = match table.meaning(&interval_key(spec)) {
        Some(Meaning::Interval(interval)) => interval,
        _ => spec.default_interval(),
    };
    let options =
        spec.options()
            .iter()
            .fold(
                Options::defaults(spec.options()),
                |options, definition| match table.meaning(&option_key(definition)) {
                    Some(Meaning::Switch(on)) => {
                        options.with(definition.name, OptionValue::Bool(on))
                    }
                    Some(Meaning::Integer(number)) => {
                        options.with(definition.name, OptionValue::Integer(number))
                    }
                    Some(Meaning::Text(text)) => {
                        options.with(definition.name, OptionValue::Text(text))
                    }
                    Some(Meaning::TextList(texts)) => {
                        options.with(definition.name, OptionValue::TextList(texts))
                    }
                    _ => options,
                },
            );
    CollectorConfig {
        spec,
        enabled: table.is_on(&ENABLED),
        interval,
        options,
    }
}

fn interval_key(spec: &dyn CollectorSpec) -> Key {
    let text = format!("\"{}\"", show_interval(spec.default_interval()));
    Key {
        name: "interval",
        kind: Kind::Interval,
        help: "How often it runs.",
        default: Default::Written(Cow::Owned(text)),
    }
}

/// `1s`, `5m`: as it is written in a config.
pub(crate) fn show_interval(interval: Interval) -> String {
    let seconds = interval.duration().as_secs();
    match seconds {
        3600 => "1h".to_owned(),
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

fn option_key(definition: &OptionDefinition) -> Key {
    let (kind, text) = match definition.default {
        OptionDefault::Bool(on) => (Kind::Switch, on.to_string()),
        OptionDefault::Integer(number) => (Kind::Integer(0, i64::MAX), number.to_string()),
        OptionDefault::Text(text) => (Kind::Text, toml::Value::from(text).to_string()),
        OptionDefault::Tables(_) => (Kind::TextList, "[]".to_owned()),
        OptionDefault::TextList(texts) => {
            let items: Vec<toml::Value> = texts.iter().map(|text| (*text).into()).collect();
            (Kind::TextList, toml::Value::Array(items).to_string())
        }
    };
    Key {
        name: definition.name,
        kind,
        help: definition.help,
        default: Default::Written(Cow::Owned(text)),
    }
}
