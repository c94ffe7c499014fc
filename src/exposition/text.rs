//! The two text formats that Prometheus reads.
//!
//! OpenMetrics 1.0 and the text format 0.0.4 say the same; they differ in where a counter's `_total` stands, in what a help
//! text escapes, in the unit of timestamps, and in how a page ends.

use std::fmt::Write as _;
use std::io::{self, Write};

use glasshouse_core::labels::Labels;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::Value;
use glasshouse_core::text::visible;
use glasshouse_core::time::Timestamp;

use crate::names::{Family, FamilyKind, labels_shown};

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl Format {
    /// The media type of a page.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes families one after the other. Nothing is kept: what is written is gone, so a family comes whole or not at all.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    format: Format,
    /// One line; used again and again.
    line: String,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, which should gather small writes.
    pub const fn new(out: W, format: Format) -> Self {
        Self {
            out,
            format,
            line: String::new(),
        }
    }

    /// Begins a family. All of its samples come before the next family.
    ///
    /// # Errors
    /// What `out` says.
    pub fn family(&mut self, family: &Family) -> io::Result<()> {
        self.header(&family.name, family.type_word(), family)
    }

    /// What the whole page is about: `target_info`, with these labels.
    ///
    /// # Errors
    /// What `out` says.
    pub fn target(&mut self, labels: &Labels) -> io::Result<()> {
        let family = Family {
            name: "target".to_owned(),
            kind: FamilyKind::Gauge,
            unit: String::new(),
            help: "What is told of here: the node and the program.".to_owned(),
        };
        match self.format {
            Format::OpenMetrics => self.header("target", "info", &family)?,
            Format::Text => self.header("target_info", "gauge", &family)?,
        }
        let mut text = String::new();
        push_labels(&mut text, labels, None);
        self.write(format_args!("target_info{text} 1\n"))
    }

    fn header(&mut self, name: &str, type_word: &str, family: &Family) -> io::Result<()> {
        let is_counter = family.kind == FamilyKind::Counter;
        let total = match self.format {
            Format::Text if is_counter => "_total",
            _ => "",
        };
        self.line.clear();
        let line = &mut self.line;
        line.push_str("# HELP ");
        line.push_str(name);
        line.push_str(total);
        line.push(' ');
        push_escaped(line, &family.help, self.format == Format::OpenMetrics);
        line.push('\n');
        self.out.write_all(self.line.as_bytes())?;
        self.write(format_args!("# TYPE {name}{total} {type_word}\n"))?;
        // a metric that is called as its unit has no suffix, which OpenMetrics wants to see before it believes a unit
        let has_unit = family.unit.len() < name.len() && !family.unit.is_empty();
        if self.format == Format::OpenMetrics && has_unit {
            self.write(format_args!("# UNIT {name} {}\n", family.unit))?;
        }
        Ok(())
    }

    /// One sample of a series of the family that was begun, on each of its lines.
    ///
    /// # Errors
    /// What `out` says.
    pub fn sample(
        &mut self,
        series: &SeriesText,
        value: Value,
        at: Option<Timestamp>,
    ) -> io::Result<()> {
        (0..series.lines.len()).try_for_each(|line| self.point(series, line, value, at))
    }

    /// Many samples of a series of the family that was begun, oldest first: line by line, as OpenMetrics wants all points
    /// of a line together.
    ///
    /// # Errors
    /// What `out` says.
    pub fn samples<S>(&mut self, series: &SeriesText, samples: &S) -> io::Result<()>
    where
        S: IntoIterator<Item = (Timestamp, Value)> + Clone,
    {
        for line in 0..series.lines.len() {
            for (at, value) in samples.clone() {
                self.point(series, line, value, Some(at))?;
            }
        }
        Ok(())
    }

    fn point(
        &mut self,
        series: &SeriesText,
        number: usize,
        value: Value,
        at: Option<Timestamp>,
    ) -> io::Result<()> {
        let Some(start) = series.lines.get(number) else {
            return Ok(());
        };
        self.line.clear();
        self.line.push_str(start);
        self.line.push(' ');
        match value {
            Value::State(holds) => {
                let here = usize::from(holds) == number;
                self.line.push(if here { '1' } else { '0' });
            }
            Value::U64(whole) => push(&mut self.line, format_args!("{whole}")),
            Value::F64(float) => push_float(&mut self.line, float),
        }
        if let Some(at) = at {
            push_time(&mut self.line, self.format, at);
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }

    /// Ends the page and gives `out` back.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        if self.format == Format::OpenMetrics {
            self.out.write_all(b"# EOF\n")?;
        }
        Ok(self.out)
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.line.clear();
        push(&mut self.line, text);
        self.out.write_all(self.line.as_bytes())
    }
}

/// How the lines of one series begin: name and labels, made once for all of its samples. A series of numbers has one
/// line, one of states a line for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesText {
    lines: Vec<String>,
}

impl SeriesText {
    /// Of a series of this family.
    #[must_use]
    pub fn new(family: &Family, series: &SeriesInfo) -> Self {
        let name = family.sample_name();
        let line = |state: Option<&str>| {
            let mut text = String::with_capacity(name.len() + 16 * (series.labels.len() + 1));
            text.push_str(&name);
            let state = state.map(|state| (family.name.as_str(), state));
            push_labels(&mut text, &series.labels, state);
            text
        };
        let lines = match family.kind {
            FamilyKind::States => series
                .states
                .iter()
                .map(|state| line(Some(state)))
                .collect(),
            FamilyKind::Counter | FamilyKind::Gauge => vec![line(None)],
        };
        Self { lines }
    }

    /// The beginnings: `name{label="value"}`.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// `{a="b",c="d"}` in the order of the names, or nothing.
fn push_labels(text: &mut String, labels: &Labels, state: Option<(&str, &str)>) {
    let named = labels_shown(labels, state);
    for (number, (name, value)) in named.iter().enumerate() {
        text.push(if number == 0 { '{' } else { ',' });
        text.push_str(name);
        text.push_str("=\"");
        push_escaped(text, value, true);
        text.push('"');
    }
    if !named.is_empty() {
        text.push('}');
    }
}

/// Escapes what would end a label's value or a line, and leaves out what may not be shown.
fn push_escaped(text: &mut String, raw: &str, escape_quotes: bool) {
    for c in raw.chars().filter_map(visible) {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' if escape_quotes => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}

/// Whole numbers and those of a usual size as people write them, the rest with an exponent: never hundreds of digits.
fn push_float(text: &mut String, float: f64) {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e17).contains(&size) {
        push(text, format_args!("{float}"));
    } else if float.is_finite() {
        push(text, format_args!("{float:e}"));
    } else if float.is_nan() {
        text.push_str("NaN");
    } else {
        text.push_str(if float > 0.0 { "+Inf" } else { "-Inf" });
    }
}

/// Nanoseconds of a millisecond, the finest time that Prometheus keeps.
const NANOS_PER_MILLI: i64 = 1_000_000;
/// Milliseconds of a second.
const MILLIS_PER_SECOND: i64 = 1000;

/// OpenMetrics counts seconds, the older format milliseconds. A time before 1970 is one of a clock that was never set.
fn push_time(text: &mut String, format: Format, at: Timestamp) {
    let millis = at.nanos().div_euclid(NANOS_PER_MILLI).max(0);
    match format {
        Format::OpenMetrics => push(
            text,
            format_args!(
                " {}.{:03}",
                millis / MILLIS_PER_SECOND,
                millis % MILLIS_PER_SECOND
            ),
        ),
        Format::Text => push(text, format_args!(" {millis}")),
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // a `String` takes everything
    text.write_fmt(arguments).unwrap_or_default();
}
