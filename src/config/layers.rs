//! Reading the layers of a config and merging them into one tree that still knows where everything stands.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Place, Source};

/// The largest config file that is read: a thousand times the reference config.
const MOST_BYTES: u64 = 4 << 20;
/// The most drop-in files of one config: more are a mistake of whoever generates them.
const MOST_DROP_INS: usize = 256;

/// A written value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where its key stands.
    pub(crate) key: Place,
    /// Where it stands itself.
    pub(crate) place: Place,
    /// What was written.
    pub(crate) tree: Tree,
}

/// What was written.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// A table.
    Table(BTreeMap<String, Entry>),
    /// A list.
    List(Vec<Entry>),
    /// A text.
    Text(String),
    /// A whole number; `None` where it does not fit.
    Integer(Option<i64>),
    /// `true` or `false`.
    Switch(bool),
    /// A number with a fraction or a date, which no key takes.
    Other(&'static str),
}

impl Tree {
    /// What it is, in the words of TOML.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Switch(_) => "true or false",
            Self::Other(kind) => kind,
        }
    }
}

/// Reads a config and its drop-ins.
///
/// # Errors
/// [`ConfigError`] where a file cannot be read or is no TOML.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Entry>, ConfigError> {
    let mut merged = read_file(path)?;
    for drop_in in drop_ins(path)? {
        merge(&mut merged, read_file(&drop_in)?);
    }
    Ok(merged)
}

/// The drop-in files of a config, in the order in which they apply.
///
/// # Errors
/// [`ConfigError::Read`] where the folder exists and cannot be listed, or holds too many.
pub(crate) fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = path.with_extension("d");
    let read = |source| ConfigError::Read {
        path: folder.clone(),
        source,
    };
    let listed = match fs::read_dir(&folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut files = Vec::new();
    for entry in listed {
        let file = entry.map_err(read)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(file);
        }
        if files.len() > MOST_DROP_INS {
            return Err(read(io::Error::other("it holds more than 256 files")));
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<BTreeMap<String, Entry>, ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text))
        .map_err(read)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(read(io::Error::other("it is larger than 4 MiB")));
    }
    let source = Arc::new(Source {
        path: path.to_owned(),
        text,
    });
    parse(&source)
}

/// Parses one file.
///
/// # Errors
/// [`ConfigError::Wrong`] where it is no TOML.
pub(crate) fn parse(source: &Arc<Source>) -> Result<BTreeMap<String, Entry>, ConfigError> {
    match DeTable::parse(&source.text) {
        Ok(table) => Ok(take_table(source, table.get_ref())),
        Err(error) => {
            let place = Place {
                source: Arc::clone(source),
                span: error.span().unwrap_or(0..0),
            };
            let message = format!("not valid TOML: {}", error.message().replace('\n', ", "));
            Err(ConfigError::Wrong {
                problems: vec![place.problem(message, None)],
            })
        }
    }
}

fn take_table(source: &Arc<Source>, table: &DeTable<'_>) -> BTreeMap<String, Entry> {
    table
        .iter()
        .map(|(key, value)| {
            let place = Place {
                source: Arc::clone(source),
                span: key.span(),
            };
            (key.get_ref().to_string(), take(source, place, value))
        })
        .collect()
}

fn take(source: &Arc<Source>, key: Place, value: &Spanned<DeValue<'_>>) -> Entry {
    let place = Place {
        source: Arc::clone(source),
        span: value.span(),
    };
    let tree = match value.get_ref() {
        DeValue::Table(table) => Tree::Table(take_table(source, table)),
        DeValue::Array(list) => Tree::List(
            list.iter()
                .map(|item| take(source, key.clone(), item))
                .collect(),
        ),
        DeValue::String(text) => Tree::Text(text.to_string()),
        DeValue::Integer(number) => {
            Tree::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Boolean(switch) => Tree::Switch(*switch),
        DeValue::Float(_) => Tree::Other("a number with a fraction"),
        DeValue::Datetime(_) => Tree::Other("a date"),
    };
    Entry { key, place, tree }
}

fn merge(into: &mut BTreeMap<String, Entry>, later: BTreeMap<String, Entry>) {
    for (name, entry) in later {
        match (into.get_mut(&name).map(|have| &mut have.tree), entry.tree) {
            (Some(Tree::Table(have)), Tree::Table(more)) => merge(have, more),
            (_, tree) => {
                into.insert(name, Entry { tree, ..entry });
            }
        }
    }
}
