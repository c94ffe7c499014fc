//! What may stand in a config file, as data.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use glasshouse_core::time::{Interval, parse_span};

use super::layers::{Entry, Tree};

/// The step of a path that stands for any name.
pub(crate) const ANY: &str = "*";

/// A table of a config file.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Its path; [`ANY`] stands for a name that the operator chooses. Empty for the top of the file.
    pub(crate) path: Vec<&'static str>,
    /// What it is about.
    pub(crate) help: Cow<'static, str>,
    /// What may stand in it. `None`: any key, each of the given kind (a table from names to lists).
    pub(crate) keys: Keys,
}

/// The keys of a table.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// These.
    Named(Vec<Key>),
    /// Any name, with values of this kind, and how one is written in the reference.
    Free(Kind, &'static str),
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What may be written.
    pub(crate) kind: Kind,
    /// What it does.
    pub(crate) help: &'static str,
    /// What holds where nothing is written.
    pub(crate) default: Default,
}

/// What holds where a key is left out.
#[derive(Clone, Debug)]
pub(crate) enum Default {
    /// This value, as it would be written.
    Written(Cow<'static, str>),
    /// Nothing; the text is an example for the reference.
    Nothing(&'static str),
    /// It may not be left out; the text is an example for the reference.
    Required(&'static str),
}

/// What may be written for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text that is not empty.
    Text,
    /// An absolute path.
    Path,
    /// `true` or `false`.
    Switch,
    /// A whole number in this range, both ends inside.
    Integer(i64, i64),
    /// A span of time such as `90s` or `14d`, between these.
    Span(&'static str, &'static str),
    /// The interval of a collector.
    Interval,
    /// An amount of bytes such as `512MiB`.
    Size,
    /// An address with a port.
    Address,
    /// A URL with `http` or `https`.
    Url,
    /// A list of texts.
    TextList,
}

/// What was written, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A text, a URL.
    Text(String),
    /// A path.
    Path(PathBuf),
    /// A switch.
    Switch(bool),
    /// A whole number.
    Integer(i64),
    /// A span of time.
    Span(Duration),
    /// The interval of a collector.
    Interval(Interval),
    /// Bytes.
    Size(u64),
    /// An address.
    Address(SocketAddr),
    /// A list of texts.
    TextList(Vec<String>),
}

impl Section {
    /// A table with these keys.
    pub(crate) fn new(path: &[&'static str], help: &'static str, keys: &[&'static Key]) -> Self {
        Self {
            path: path.to_vec(),
            help: Cow::Borrowed(help),
            keys: Keys::Named(keys.iter().map(|key| (*key).clone()).collect()),
        }
    }
}

impl Key {
    /// A key with what holds where it is left out, as it would be written.
    pub(crate) const fn with_default(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            help,
            default: Default::Written(Cow::Borrowed(default)),
        }
    }

    /// A key that may be left out, with an example.
    pub(crate) const fn optional(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            help,
            default: Default::Nothing(example),
        }
    }

    /// A key that may not be left out, with an example.
    pub(crate) const fn required(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            help,
            default: Default::Required(example),
        }
    }
}

impl Kind {
    /// What may be written, in words: the end of "expected …".
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "a text in quotes that is not empty".to_owned(),
            Self::Path => "an absolute path such as \"/var/lib/glasshouse\"".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Integer(least, most) if most == i64::MAX => {
                format!("a whole number from {least} on")
            }
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Span(least, most) => {
                format!(
                    "a span of time from \"{least}\" to \"{most}\", such as \"90s\", \"5m\", \"6h\" or \"14d\""
                )
            }
            Self::Interval => {
                "an interval from \"1s\" to \"1h\", such as \"10s\" or \"5m\"".to_owned()
            }
            Self::Size => "an amount such as \"512MiB\" or \"20GiB\"".to_owned(),
            Self::Address => {
                "an address with a port such as \"127.0.0.1:8765\" or \"[::1]:8765\"".to_owned()
            }
            Self::Url => "a URL that begins with http:// or https://".to_owned(),
            Self::TextList => "a list of texts such as [\"a\", \"b\"]".to_owned(),
        }
    }

    /// What a written value means, or `None` where it is not of this kind.
    pub(crate) fn read(self, tree: &Tree) -> Option<Meaning> {
        match (self, tree) {
            (Self::Switch, Tree::Switch(switch)) => Some(Meaning::Switch(*switch)),
            (Self::Integer(least, most), Tree::Integer(Some(number))) => (least..=most)
                .contains(number)
                .then_some(Meaning::Integer(*number)),
            (Self::TextList, Tree::List(items)) => texts(items).map(Meaning::TextList),
            (_, Tree::Text(text)) => self.read_text(text),
            _ => None,
        }
    }

    fn read_text(self, text: &str) -> Option<Meaning> {
        match self {
            Self::Text => (!text.trim().is_empty()).then(|| Meaning::Text(text.to_owned())),
            Self::Path => text
                .starts_with('/')
                .then(|| Meaning::Path(PathBuf::from(text))),
            Self::Span(least, most) => {
                let span = parse_span(text)?;
                let inside = span >= parse_span(least)? && span <= parse_span(most)?;
                inside.then_some(Meaning::Span(span))
            }
            Self::Interval => Interval::parse(text).ok().map(Meaning::Interval),
            Self::Size => parse_size(text).map(Meaning::Size),
            Self::Address => text.parse().ok().map(Meaning::Address),
            Self::Url => is_url(text).then(|| Meaning::Text(text.to_owned())),
            Self::Switch | Self::Integer(..) | Self::TextList => None,
        }
    }
}

fn texts(items: &[Entry]) -> Option<Vec<String>> {
    items
        .iter()
        .map(|item| match &item.tree {
            Tree::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
        .collect()
}

/// A scheme and a host; what comes after is for whoever uses it to judge.
fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        })
    })
}

/// Bytes of an amount such as `512MiB`; powers of 1024, whole numbers only.
fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_urls_are_read_or_refused() {
        assert_eq!(parse_size("2GiB"), Some(2 << 30));
        for bad in ["2GB", "GiB", "2", "99999999999999999TiB", "-1MiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        for good in [
            "http://127.0.0.1:1/mcp",
            "https://a.example",
            "http://[::1]:80",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in ["ftp://a", "http://", "http:///x", "https://a b", "a"] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
