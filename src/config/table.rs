//! Checking a config against its schema, and reading what was checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layers::{Entry, Tree};
use super::problem::{ConfigError, Place, Problem};
use super::schema::{ANY, Default, Key, Keys, Kind, Meaning, Section};
use crate::near::nearest;

/// The most problems that are told at once: who has more has the wrong file.
const MOST_PROBLEMS: usize = 20;
/// The longest name that an operator may give to an issuer, a user, a client or a group.
const LONGEST_NAME: usize = 200;

/// A config that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    entries: BTreeMap<String, Entry>,
}

/// One table of it, possibly not written at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    entries: Option<&'a BTreeMap<String, Entry>>,
}

impl Document {
    /// Checks a tree: only known keys, values of their kinds, nothing required left out.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] with everything that is wrong.
    pub(crate) fn check(
        entries: BTreeMap<String, Entry>,
        sections: &[Section],
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        check_table(&entries, None, &mut Vec::new(), sections, &mut problems);
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        problems.truncate(MOST_PROBLEMS);
        if problems.is_empty() {
            Ok(Self { entries })
        } else {
            Err(ConfigError::Wrong { problems })
        }
    }

    /// The table at a path.
    pub(crate) fn table(&self, path: &[&str]) -> Table<'_> {
        let top = Table {
            entries: Some(&self.entries),
        };
        path.iter().fold(top, |table, name| table.table(name))
    }
}

impl<'a> Table<'a> {
    /// A table in it.
    pub(crate) fn table(self, name: &str) -> Self {
        let entries = match self.entry(name).map(|entry| &entry.tree) {
            Some(Tree::Table(entries)) => Some(entries),
            _ => None,
        };
        Self { entries }
    }

    /// Whether it was written.
    pub(crate) const fn is_written(self) -> bool {
        self.entries.is_some()
    }

    /// The tables in it with their names, in the order of these.
    pub(crate) fn tables(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.entries
            .into_iter()
            .flatten()
            .filter_map(|(name, entry)| match &entry.tree {
                Tree::Table(entries) => Some((
                    name.as_str(),
                    Self {
                        entries: Some(entries),
                    },
                )),
                _ => None,
            })
    }

    /// The lists of a table from names to lists.
    pub(crate) fn lists(self) -> BTreeMap<String, Vec<String>> {
        self.entries
            .into_iter()
            .flatten()
            .filter_map(|(name, entry)| match Kind::TextList.read(&entry.tree) {
                Some(Meaning::TextList(texts)) => Some((name.clone(), texts)),
                _ => None,
            })
            .collect()
    }

    /// The texts of a table from names to texts.
    pub(crate) fn texts(self) -> BTreeMap<String, String> {
        self.entries
            .into_iter()
            .flatten()
            .filter_map(|(name, entry)| match Kind::Text.read(&entry.tree) {
                Some(Meaning::Text(text)) => Some((name.clone(), text)),
                _ => None,
            })
            .collect()
    }

    /// A problem with what was written for a key, which only its reader can know.
    pub(crate) fn problem(self, key: &Key, message: String, help: &str) -> Option<ConfigError> {
        let entry = self.entry(key.name)?;
        Some(ConfigError::Wrong {
            problems: vec![entry.place.problem(message, Some(help.to_owned()))],
        })
    }

    /// What holds for a key: what was written, else its default.
    pub(crate) fn meaning(self, key: &Key) -> Option<Meaning> {
        match self.entry(key.name) {
            Some(entry) => key.kind.read(&entry.tree),
            None => key.default_meaning(),
        }
    }

    pub(crate) fn text(self, key: &Key) -> Option<String> {
        match self.meaning(key) {
            Some(Meaning::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn path(self, key: &Key) -> Option<PathBuf> {
        match self.meaning(key) {
            Some(Meaning::Path(path)) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn address(self, key: &Key) -> Option<SocketAddr> {
        match self.meaning(key) {
            Some(Meaning::Address(address)) => Some(address),
            _ => None,
        }
    }

    pub(crate) fn span(self, key: &Key) -> Option<Duration> {
        match self.meaning(key) {
            Some(Meaning::Span(span)) => Some(span),
            _ => None,
        }
    }

    pub(crate) fn size(self, key: &Key) -> Option<u64> {
        match self.meaning(key) {
            Some(Meaning::Size(bytes)) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn is_on(self, key: &Key) -> bool {
        matches!(self.meaning(key), Some(Meaning::Switch(true)))
    }

    pub(crate) fn text_list(self, key: &Key) -> Vec<String> {
        match self.meaning(key) {
            Some(Meaning::TextList(texts)) => texts,
            _ => Vec::new(),
        }
    }

    fn entry(self, name: &str) -> Option<&'a Entry> {
        self.entries.and_then(|entries| entries.get(name))
    }
}

impl Key {
    /// What holds where nothing is written.
    pub(crate) fn default_meaning(&self) -> Option<Meaning> {
        let Default::Written(text) = &self.default else {
            return None;
        };
        let source = std::sync::Arc::new(super::problem::Source {
            path: Path::new("default").to_owned(),
            text: format!("{} = {text}", self.name),
        });
        let entries = super::layers::parse(&source).ok()?;
        self.kind.read(&entries.get(self.name)?.tree)
    }
}

/// `own` is where the table itself stands; the top of the file stands nowhere.
fn check_table(
    entries: &BTreeMap<String, Entry>,
    own: Option<&Place>,
    path: &mut Vec<String>,
    sections: &[Section],
    problems: &mut Vec<Problem>,
) {
    let here: Vec<&Section> = sections.iter().filter(|s| at(&s.path, path)).collect();
    let inner = inner_names(sections, path);
    for (name, entry) in entries {
        let key = here.iter().find_map(|section| section.keys.find(name));
        match key {
            Some(kind) => check_value(name, kind, entry, problems),
            None if inner.contains(&name.as_str()) || inner.contains(&ANY) => {
                check_inner(name, entry, path, sections, problems);
            }
            None => problems.push(unknown(name, entry, path, &here, &inner)),
        }
    }
    let required = here.iter().flat_map(|section| section.keys.named());
    for key in required.filter(|key| matches!(key.default, Default::Required(_))) {
        if !entries.contains_key(key.name) {
            problems.extend(own.and_then(|own| missing(key, own, path)));
        }
    }
}

fn check_value(name: &str, kind: Kind, entry: &Entry, problems: &mut Vec<Problem>) {
    if kind.read(&entry.tree).is_none() {
        let found = match &entry.tree {
            Tree::Text(text) => format!("`{text}`"),
            Tree::Integer(Some(number)) => format!("`{number}`"),
            tree => tree.kind().to_owned(),
        };
        let message = format!("bad value for `{name}`: {found}");
        let help = format!("expected {}", kind.expected());
        problems.push(entry.place.problem(message, Some(help)));
    }
}

fn check_inner(
    name: &str,
    entry: &Entry,
    path: &mut Vec<String>,
    sections: &[Section],
    problems: &mut Vec<Problem>,
) {
    match &entry.tree {
        Tree::Table(inner) if name.len() <= LONGEST_NAME => {
            path.push(name.to_owned());
            check_table(inner, Some(&entry.key), path, sections, problems);
            path.pop();
        }
        Tree::Table(_) => {
            let message = format!(
                "a name in {} is longer than {LONGEST_NAME} bytes",
                shown(path)
            );
            problems.push(entry.key.problem(message, None));
        }
        tree => {
            let mut whole = path.clone();
            whole.push(name.to_owned());
            let message = format!("`{name}` is {}, not a table", tree.kind());
            let help = format!("write its keys below [{}]", whole.join("."));
            problems.push(entry.key.problem(message, Some(help)));
        }
    }
}

fn unknown(
    name: &str,
    entry: &Entry,
    path: &[String],
    here: &[&Section],
    inner: &[&'static str],
) -> Problem {
    let keys = here.iter().flat_map(|section| section.keys.named());
    let mut known: Vec<&str> = keys.map(|key| key.name).collect();
    known.extend(inner);
    known.sort_unstable();
    let what = if matches!(entry.tree, Tree::Table(_)) {
        "table"
    } else {
        "key"
    };
    let list = known.iter().map(|known| format!("`{known}`"));
    let list = list.collect::<Vec<_>>().join(", ");
    let help = nearest(name, known.iter().copied()).map_or_else(
        || format!("known here: {list}"),
        |near| format!("did you mean `{near}`? known here: {list}"),
    );
    let message = format!("unknown {what} `{name}` {}", shown(path));
    if looks_secret(name) {
        let help = format!(
            "a secret never stands in the config, only the path of a file that holds it; {help}"
        );
        return entry.key.problem(message, Some(help)).without_value();
    }
    entry.key.problem(message, Some(help))
}

/// Whether the value of an unknown key may be a secret that must not be shown.
fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "password", "token", "key", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

/// A required key that was left out, told at the name of its table.
fn missing(key: &Key, own: &Place, path: &[String]) -> Option<Problem> {
    let message = format!("`{}` is missing {}", key.name, shown(path));
    let Default::Required(example) = &key.default else {
        return None;
    };
    let help = format!("add it, as in `{} = {example}`: {}", key.name, key.help);
    Some(own.problem(message, Some(help)))
}

fn shown(path: &[String]) -> String {
    if path.is_empty() {
        "at the top of the file".to_owned()
    } else {
        format!("in [{}]", path.join("."))
    }
}

fn at(pattern: &[&'static str], path: &[String]) -> bool {
    pattern.len() == path.len() && begins(pattern, path)
}

fn begins(pattern: &[&'static str], path: &[String]) -> bool {
    pattern
        .iter()
        .zip(path)
        .all(|(step, name)| *step == ANY || step == name)
}

/// The names of the tables that may stand directly in the table at a path.
fn inner_names(sections: &[Section], path: &[String]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = sections
        .iter()
        .filter(|section| section.path.len() > path.len() && begins(&section.path, path))
        .filter_map(|section| section.path.get(path.len()).copied())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Keys {
    /// The kind of a key.
    pub(crate) fn find(&self, name: &str) -> Option<Kind> {
        match self {
            Self::Named(keys) => keys.iter().find(|key| key.name == name).map(|key| key.kind),
            Self::Free(kind, _) => Some(*kind),
        }
    }

    /// The keys that have names of ours.
    pub(crate) fn named(&self) -> &[Key] {
        match self {
            Self::Named(keys) => keys,
            Self::Free(..) => &[],
        }
    }
}
