//! What is wrong with a config file, said so that it can be mended: file, line, the line itself, and the way out.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use glasshouse_core::text::clean;

/// One config file as it was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

/// Where something stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// In which file.
    pub(crate) source: Arc<Source>,
    /// At which bytes of it.
    pub(crate) span: Range<usize>,
}

impl Place {
    /// A problem here.
    pub(crate) fn problem(&self, message: String, help: Option<String>) -> Problem {
        let text = self.source.text.as_str();
        let before = text.get(..self.span.start.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text
            .get(line_start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let marked = text.get(self.span.clone()).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count();
        Problem {
            file: self.source.path.clone(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            width: width.clamp(1, line.chars().count().saturating_sub(column).max(1)),
            text: clean(line),
            message: clean_long(message),
            help: help.map(clean_long),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// In which file.
    pub(crate) file: PathBuf,
    /// In which line, counted from 1.
    pub(crate) line: usize,
    /// At which character of it, counted from 1.
    pub(crate) column: usize,
    /// Over how many characters.
    pub(crate) width: usize,
    /// The line.
    pub(crate) text: String,
    /// What is wrong.
    pub(crate) message: String,
    /// The way out.
    pub(crate) help: Option<String>,
}

impl Problem {
    /// The same without what was written behind the key: it may be a secret.
    #[must_use]
    pub(crate) fn without_value(mut self) -> Self {
        if let Some((key, _)) = self.text.split_once('=') {
            self.text = format!("{key}= …");
        }
        self
    }
}

/// Names and values come from a file: what steers a terminal is taken out, and nothing is cut.
fn clean_long(mut text: String) -> String {
    text.retain(|c| !c.is_control());
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            width,
            text,
            message,
            ..
        } = self;
        writeln!(f, "{message} ({}:{line}:{column})", self.file.display())?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(column.saturating_sub(1));
        writeln!(f, "  {number} | {}", text.replace('\t', " "))?;
        write!(f, "  {margin} | {indent}{}", "^".repeat(*width))?;
        self.help
            .as_ref()
            .map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file or folder cannot be read.
    #[error("failed to read the config `{}`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What stands in it is wrong.
    #[error("{}", Problems(problems))]
    Wrong {
        /// Everything that is wrong, in the order of the files.
        problems: Vec<Problem>,
    },
}

struct Problems<'a>(&'a [Problem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { "\nerror: " };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}
