//! `probe.toml`: what the probe reads and how often. Only the probe reads this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::options::{OptionDefault, OptionDefinition, OptionValue, Options};
use glasshouse_core::time::Interval;
use glasshouse_core::worker::Worker;

use super::layers;
use super::problem::ConfigError;
use super::schema::{ANY, Default, Key, Keys, Kind, Meaning, Section};
use super::table::{Document, Table};

/// Everything that `probe.toml` says.
#[derive(Clone, Debug)]
pub(crate) struct ProbeConfig {
    /// The machine is read below this folder.
    pub(crate) root: PathBuf,
    /// The FIFO to which frames are written.
    pub(crate) frames: PathBuf,
    /// The FIFOs of the workers that stand apart.
    pub(crate) workers: Vec<(Worker, PathBuf)>,
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
static BMC_FRAMES: Key = Key::with_default(
    "bmc",
    Kind::Path,
    "\"/run/glasshouse/workers/bmc\"",
    "The FIFO to which `glasshouse probe bmc` writes, where a collector of BMCs in the network is used.",
);
static PRIVILEGED_FRAMES: Key = Key::with_default(
    "privileged",
    Kind::Path,
    "\"/run/glasshouse/workers/privileged\"",
    "The FIFO to which `glasshouse probe privileged` writes, where one of its collectors is switched on.",
);
/// The workers that stand apart, each with its key.
static WORKERS: [(Worker, &Key); 2] = [
    (Worker::Bmc, &BMC_FRAMES),
    (Worker::Privileged, &PRIVILEGED_FRAMES),
];

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
    let mut sections = vec![
        Section::new(&[], "", &[&ROOT, &FRAMES]),
        Section::new(
            &["workers"],
            "Where the probe hears the workers that it does not start itself, because each has a user of its own.",
            &WORKERS.map(|(_, key)| key),
        ),
    ];
    for spec in collectors {
        let mut keys = vec![enabled_key(*spec), interval_key(*spec)];
        keys.extend(option_keys(spec.options()));
        sections.push(Section {
            path: vec!["collectors", spec.name()],
            help: Cow::Borrowed(spec.summary()),
            keys: Keys::Named(keys),
        });
        sections.extend(spec.options().iter().filter_map(|definition| {
            let OptionDefault::Tables(inner) = definition.default else {
                return None;
            };
            Some(Section {
                path: vec!["collectors", spec.name(), definition.name, ANY],
                help: Cow::Borrowed(definition.help),
                keys: Keys::Named(option_keys(inner).collect()),
            })
        }));
    }
    sections
}

/// The keys of settings that are one value.
fn option_keys(definitions: &'static [OptionDefinition]) -> impl Iterator<Item = Key> {
    definitions
        .iter()
        .filter(|definition| !matches!(definition.default, OptionDefault::Tables(_)))
        .map(option_key)
}

fn build(document: &Document, collectors: &[&'static dyn CollectorSpec]) -> ProbeConfig {
    let top = document.table(&[]);
    let written = top.table("collectors");
    ProbeConfig {
        root: top.path(&ROOT).unwrap_or_default(),
        frames: top.path(&FRAMES).unwrap_or_default(),
        workers: WORKERS
            .iter()
            .filter_map(|(worker, key)| Some((*worker, top.table("workers").path(key)?)))
            .collect(),
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
    let options = build_options(spec.options(), table);
    CollectorConfig {
        spec,
        enabled: table.is_on(&enabled_key(spec)),
        interval,
        options,
    }
}

fn enabled_key(spec: &dyn CollectorSpec) -> Key {
    // it takes more rights than anybody should have to give unasked
    let default = if spec.worker() == Some(Worker::Privileged) {
        "false"
    } else {
        "true"
    };
    Key::with_default("enabled", Kind::Switch, default, "Whether it runs.")
}

fn build_options(definitions: &'static [OptionDefinition], table: Table<'_>) -> Options {
    let written = definitions.iter().filter_map(|definition| {
        let value = match definition.default {
            OptionDefault::Tables(inner) => {
                let tables = table.table(definition.name).tables();
                OptionValue::Tables(
                    tables
                        .map(|(name, table)| (name.to_owned(), build_options(inner, table)))
                        .collect(),
                )
            }
            _ => match table.meaning(&option_key(definition))? {
                Meaning::Switch(on) => OptionValue::Bool(on),
                Meaning::Integer(number) => OptionValue::Integer(number),
                Meaning::Text(text) => OptionValue::Text(text),
                Meaning::TextList(texts) => OptionValue::TextList(texts),
                _ => return None,
            },
        };
        Some((definition.name, value))
    });
    written.fold(Options::defaults(definitions), |options, (name, value)| {
        options.with(name, value)
    })
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
    let written = |text: String| Default::Written(Cow::Owned(text));
    let (kind, default) = match definition.default {
        OptionDefault::Bool(on) => (Kind::Switch, written(on.to_string())),
        OptionDefault::Integer(number) => (Kind::Integer(0, i64::MAX), written(number.to_string())),
        OptionDefault::Text("") => (Kind::Text, Default::Nothing(example(definition.name))),
        OptionDefault::Text(text) => (Kind::Text, written(toml::Value::from(text).to_string())),
        OptionDefault::TextList(texts) => {
            let items: Vec<toml::Value> = texts.iter().map(|text| (*text).into()).collect();
            (
                Kind::TextList,
                written(toml::Value::Array(items).to_string()),
            )
        }
        // its settings are keys of tables of their own
        OptionDefault::Tables(_) => (Kind::TextList, Default::Nothing("[]")),
    };
    Key {
        name: definition.name,
        kind,
        help: definition.help,
        default,
    }
}

/// What may be written for a text that is empty by default.
fn example(name: &str) -> &'static str {
    if name.ends_with("_file") || name.ends_with("_path") {
        "\"/etc/glasshouse/secrets/name\""
    } else if name.ends_with("url") {
        "\"https://name.example\""
    } else {
        "\"…\""
    }
}
